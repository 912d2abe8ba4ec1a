//! Communities of manifests into those of the RIB.

use bgp::rib::{Changed, CommunityPattern, CommunityValue, Operation};
use bgp::wire::{Community, ExtendedCommunity, LargeCommunity, PathAttributes};
use config::model::{self, PatternForm, RouteCommunity, RouteCommunityValue};

/// The only community that a pattern describes.
pub(super) fn value_of(pattern: &CommunityPattern) -> Option<CommunityValue> {
    match pattern {
        CommunityPattern::Standard(high, low) if high.start() == high.end() && low.start() == low.end() => {
            Some(CommunityValue::Standard(Community::new(*high.start(), *low.start())))
        }
        CommunityPattern::Large(global, one, two)
            if global.start() == global.end() && one.start() == one.end() && two.start() == two.end() =>
        {
            let (global, local1, local2) = (*global.start(), *one.start(), *two.start());
            Some(CommunityValue::Large(LargeCommunity { global, local1, local2 }))
        }
        CommunityPattern::Extended { mask: u64::MAX, value } => {
            Some(CommunityValue::Extended(ExtendedCommunity(value.to_be_bytes())))
        }
        CommunityPattern::Standard(..) | CommunityPattern::Large(..) | CommunityPattern::Extended { .. } => {
            None
        }
    }
}

/// The pattern that describes one community.
pub(super) fn exactly(value: CommunityValue) -> CommunityPattern {
    match value {
        CommunityValue::Standard(Community(octets)) => {
            let [a, b, c, d] = octets.to_be_bytes();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            CommunityPattern::Standard(high..=high, low..=low)
        }
        CommunityValue::Extended(community) => {
            CommunityPattern::Extended { mask: u64::MAX, value: u64::from_be_bytes(community.0) }
        }
        CommunityValue::Large(LargeCommunity { global, local1, local2 }) => {
            CommunityPattern::Large(global..=global, local1..=local1, local2..=local2)
        }
    }
}

/// What it describes.
pub(super) fn patterns(pattern: &model::CommunityPattern) -> Vec<CommunityPattern> {
    match &pattern.form {
        PatternForm::Standard([high, low]) => vec![CommunityPattern::Standard(high.clone(), low.clone())],
        PatternForm::Large([global, one, two]) => {
            vec![CommunityPattern::Large(global.clone(), one.clone(), two.clone())]
        }
        PatternForm::Extended(forms) => {
            let form = |(mask, value): &(u64, u64)| CommunityPattern::Extended { mask: *mask, value: *value };
            forms.iter().map(form).collect()
        }
    }
}

/// Of any kind.
pub(super) fn route_community(community: &RouteCommunity) -> CommunityValue {
    match community.value {
        RouteCommunityValue::Plain(value) => plain_community(value),
        RouteCommunityValue::Extended(octets) => {
            CommunityValue::Extended(ExtendedCommunity(octets.to_be_bytes()))
        }
    }
}

/// Communities of a route, each in its place.
pub(in crate::node) fn add_communities<'a>(
    communities: impl Iterator<Item = &'a RouteCommunity>,
    attributes: &mut PathAttributes,
) {
    let mut changed = Changed::from(std::mem::take(attributes));
    for community in communities {
        Operation::AddCommunity(route_community(community)).apply(&mut changed);
    }
    *attributes = changed.attributes;
}

/// Of Calico's two kinds.
pub(super) fn plain_community(value: model::CommunityValue) -> CommunityValue {
    match value {
        model::CommunityValue::Standard(asn, value) => CommunityValue::Standard(Community::new(asn, value)),
        model::CommunityValue::Large(global, local1, local2) => {
            CommunityValue::Large(LargeCommunity { global, local1, local2 })
        }
    }
}
