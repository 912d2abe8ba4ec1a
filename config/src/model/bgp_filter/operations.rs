//! What a rule does to the routes that it lets pass: Calico's three operations and ours.

use std::net::IpAddr;

use serde::Serialize;

use super::conditions::{RouteOrigin, list, names, patterns};
use crate::document::{Data, Entry, Field, Fields};
use crate::model::community_pattern::{CommunityPattern, RouteCommunity};
use crate::model::{Asn, NextHopTarget};

/// A change of a route. Serialises as a mapping with one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum FilterOperation {
    /// Adds a community.
    #[serde(rename = "addCommunity")]
    AddCommunity {
        /// This one.
        value: RouteCommunity,
    },
    /// Puts ASes in front of the AS path, so that it begins with the first.
    #[serde(rename = "prependASPath")]
    PrependAsPath {
        /// These, 1 to 10.
        prefix: Vec<Asn>,
    },
    /// Sets the priority.
    #[serde(rename = "setPriority")]
    SetPriority {
        /// This one: 2147483647 less LOCAL_PREF.
        value: u32,
    },
    /// Adds communities.
    #[serde(rename = "addCommunities")]
    AddCommunities {
        /// These.
        values: Vec<RouteCommunity>,
    },
    /// Of each kind that is among these: these and no others.
    #[serde(rename = "setCommunities")]
    SetCommunities {
        /// These.
        values: Vec<RouteCommunity>,
    },
    /// Takes communities off.
    #[serde(rename = "removeCommunities")]
    RemoveCommunities {
        /// These.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        values: Vec<CommunityPattern>,
        /// And those of these BGPSets.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        sets: Vec<String>,
    },
    /// Takes communities off and, if there were any, adds others.
    #[serde(rename = "replaceCommunities")]
    ReplaceCommunities {
        /// These go.
        values: Vec<CommunityPattern>,
        /// These come.
        with: Vec<RouteCommunity>,
    },
    /// Sets LOCAL_PREF.
    #[serde(rename = "setLocalPreference")]
    SetLocalPreference {
        /// To this.
        value: u32,
    },
    /// Sets MED.
    #[serde(rename = "setMED")]
    SetMed {
        /// To this; `None` takes it off.
        value: MedValue,
    },
    /// Raises MED.
    #[serde(rename = "addMED")]
    AddMed {
        /// By this.
        value: u32,
    },
    /// Lowers MED.
    #[serde(rename = "subtractMED")]
    SubtractMed {
        /// By this, down to 0.
        value: u32,
    },
    /// Sets the next hop.
    #[serde(rename = "setNextHop")]
    SetNextHop {
        /// To this.
        value: NextHopTarget,
    },
    /// Sets ORIGIN.
    #[serde(rename = "setOrigin")]
    SetOrigin {
        /// To this.
        value: RouteOrigin,
    },
    /// Puts the node's own AS in front of the AS path.
    #[serde(rename = "prependOwnAS")]
    PrependOwnAs {
        /// So often, 1 to 20.
        count: u8,
    },
}

/// What MED becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum MedValue {
    /// This.
    Value(u32),
    /// Nothing.
    Word(NoMed),
}

/// The word for no MED.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum NoMed {
    /// Off.
    None,
}

/// The direction and family that a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RuleContext {
    pub(super) is_import: bool,
    pub(super) is_ipv4: bool,
}

const ADD_COMMUNITY: &[Field] = &[Field::honoured(
    "value",
    "'65001:9'",
    "aa:nn, or aa:nn:mm for a large community; additions: well-known names, rt:, soo:, bandwidth:",
)];
const PREPEND: &[Field] =
    &[Field::honoured("prefix", "[65001, 65002]", "1 to 10 ASes; the path then begins with the first")];
const SET_PRIORITY: &[Field] = &[Field::honoured("value", "300", "1 to 2147483646")];
const COMMUNITY_VALUES: &[Field] = &[Field::additive("values", "['65001:9']", "communities of any kind")];
const REMOVED: &[Field] = &[
    Field::additive("values", "['65001:*']", "communities, with * and ranges as in communities.values"),
    Field::additive("sets", "[internal]", "BGPSets whose communities go"),
];
const REPLACED: &[Field] = &[
    Field::additive("values", "['65001:*']", "what goes, with * and ranges"),
    Field::additive("with", "['65001:9']", "what comes, if there was anything"),
];
const NUMBER: &[Field] = &[Field::additive("value", "50", "0 to 4294967295")];
const MED: &[Field] = &[Field::additive("value", "50", "0 to 4294967295, or None to take it off")];
const NEXT_HOP: &[Field] =
    &[Field::additive("value", "192.0.2.7", "an address; Peer on import; Self or Unchanged on export")];
const ORIGIN: &[Field] = &[Field::additive("value", "egp", "igp, egp or incomplete")];
const OWN_AS: &[Field] = &[Field::additive("count", "3", "1 to 20 times")];

/// What operations there are.
pub(super) const OPERATIONS: &[Field] = &[
    Field::honoured("addCommunity", "{value: '65001:8'}", "adds a community, unless it is there")
        .with(ADD_COMMUNITY),
    Field::honoured("prependASPath", "{prefix: [65001]}", "puts ASes in front of the AS path").with(PREPEND),
    Field::honoured(
        "setPriority",
        "{value: 512}",
        "sets LOCAL_PREF to 2147483647 less this; not the kernel's",
    )
    .with(SET_PRIORITY),
    Field::additive("addCommunities", "{values: ['65001:8', 'rt:65001:8']}", "adds communities")
        .with(COMMUNITY_VALUES),
    Field::additive(
        "setCommunities",
        "{values: ['65001:8']}",
        "of each kind that is among these, the route then has these and no others",
    )
    .with(COMMUNITY_VALUES),
    Field::additive("removeCommunities", "{values: ['65001:*']}", "takes communities off").with(REMOVED),
    Field::additive(
        "replaceCommunities",
        "{values: ['65001:*'], with: ['65001:8']}",
        "takes communities off and, if there were any, adds others",
    )
    .with(REPLACED),
    Field::additive("setLocalPreference", "{value: 200}", "sets LOCAL_PREF; external peers do not see it")
        .with(NUMBER),
    Field::additive("setMED", "{value: 100}", "sets MED; on export it is sent to external peers too")
        .with(MED),
    Field::additive("addMED", "{value: 100}", "raises MED, from 0 if there is none").with(NUMBER),
    Field::additive("subtractMED", "{value: 100}", "lowers MED, down to 0").with(NUMBER),
    Field::additive("setNextHop", "{value: 192.0.2.1}", "sets the next hop").with(NEXT_HOP),
    Field::additive("setOrigin", "{value: incomplete}", "sets ORIGIN").with(ORIGIN),
    Field::additive("prependOwnAS", "{count: 2}", "puts the session's own AS in front of the AS path")
        .with(OWN_AS),
];

/// Most operations of a rule, as Calico has it.
const OPERATIONS_MAX: usize = 10;

pub(super) fn operations(rule: &Fields<'_>, context: RuleContext) -> Vec<FilterOperation> {
    let Some(entry) = rule.entry("operations") else { return Vec::new() };
    let count = entry.list().len();
    if count > OPERATIONS_MAX {
        entry.report(format!("has {count} operations: use at most {OPERATIONS_MAX}"));
    }
    let items = rule.list_of_fields("operations");
    items.iter().filter_map(|fields| operation(fields, context)).collect()
}

fn operation(fields: &Fields<'_>, context: RuleContext) -> Option<FilterOperation> {
    // One that is unknown has been reported.
    let is_known = |name: &&str| OPERATIONS.iter().any(|field| field.name == *name);
    let names_of: Vec<&str> = fields.names().into_iter().filter(is_known).collect();
    let [name] = names_of.as_slice() else {
        let last = names_of.last().copied().unwrap_or("addCommunity");
        let all: Vec<&str> = OPERATIONS.iter().map(|field| field.name).collect();
        fields.report(last, format!("one operation is exactly one of {}", all.join(", ")));
        return None;
    };
    let inner = fields.fields(name)?;
    let required = |wanted| inner.required("value", wanted);
    let number = |name| required(name)?.integer(0..=u32::MAX.into());
    match *name {
        "addCommunity" => {
            let value = required("a community, as in 65001:100")?.parse()?;
            Some(FilterOperation::AddCommunity { value })
        }
        "prependASPath" => {
            let entry = inner.required("prefix", "a list of 1 to 10 ASes")?;
            let prefix = super::asns(&inner, "prefix");
            if !(1..=10).contains(&entry.list().len()) {
                entry.report("holds 1 to 10 ASes");
            }
            Some(FilterOperation::PrependAsPath { prefix })
        }
        "setPriority" => {
            required("a number from 1 to 2147483646")?;
            Some(FilterOperation::SetPriority { value: super::priority(&inner, "value")? })
        }
        "addCommunities" => Some(FilterOperation::AddCommunities { values: communities(&inner, "values") }),
        "setCommunities" => Some(FilterOperation::SetCommunities { values: communities(&inner, "values") }),
        "removeCommunities" => {
            let (values, sets) = (patterns(&inner, "values"), names(&inner, "sets"));
            if list(&inner, "values").is_empty() && sets.is_empty() {
                inner.report("values", "is missing: give a list of communities, or sets");
            }
            Some(FilterOperation::RemoveCommunities { values, sets })
        }
        "replaceCommunities" => {
            let values = patterns(&inner, "values");
            if list(&inner, "values").is_empty() {
                inner.report("values", "is missing: give a list of communities");
            }
            Some(FilterOperation::ReplaceCommunities { values, with: communities(&inner, "with") })
        }
        "setLocalPreference" => {
            Some(FilterOperation::SetLocalPreference { value: number("a number from 0 to 4294967295")? })
        }
        "setMED" => Some(FilterOperation::SetMed { value: med(&required("a number, or None")?)? }),
        "addMED" => Some(FilterOperation::AddMed { value: number("a number from 0 to 4294967295")? }),
        "subtractMED" => {
            Some(FilterOperation::SubtractMed { value: number("a number from 0 to 4294967295")? })
        }
        "setNextHop" => {
            let entry = required("an address, Peer, Self or Unchanged")?;
            let value: NextHopTarget = entry.parse()?;
            report_next_hop(&entry, value, context);
            Some(FilterOperation::SetNextHop { value })
        }
        "setOrigin" => {
            let value = required("igp, egp or incomplete")?.choice(&RouteOrigin::NAMES)?;
            Some(FilterOperation::SetOrigin { value })
        }
        "prependOwnAS" => {
            let count = inner.required("count", "how often, 1 to 20")?.integer(1..=20)?;
            Some(FilterOperation::PrependOwnAs { count })
        }
        _ => None,
    }
}

fn communities(fields: &Fields<'_>, name: &str) -> Vec<RouteCommunity> {
    if list(fields, name).is_empty() {
        fields.report(name, "is missing: give a list of communities, as in [\"65001:100\"]");
    }
    list(fields, name).iter().filter_map(Entry::parse).collect()
}

/// A number, or None.
pub(in crate::model) fn med(entry: &Entry<'_>) -> Option<MedValue> {
    if let Data::Text(_) = entry.data() {
        return entry.choice(&[("None", MedValue::Word(NoMed::None))]);
    }
    entry.integer(0..=u32::MAX.into()).map(MedValue::Value)
}

fn report_next_hop(entry: &Entry<'_>, value: NextHopTarget, context: RuleContext) {
    match value {
        NextHopTarget::Address(address) => {
            let is_usable = match address {
                IpAddr::V4(address) => !address.is_unspecified() && !address.is_multicast(),
                IpAddr::V6(address) => {
                    !address.is_unspecified() && !address.is_multicast() && !address.is_unicast_link_local()
                }
            };
            if address.is_ipv4() != context.is_ipv4 {
                let family = if context.is_ipv4 { "IPv4" } else { "IPv6" };
                entry.report(format!(
                    "{address} is not an {family} address, and these rules are about {family}"
                ));
            } else if !is_usable {
                entry.report(format!("{address} is the address of no router that could be reached"));
            }
        }
        NextHopTarget::Peer if context.is_import => {}
        NextHopTarget::Peer => {
            entry.report("Peer is for import: on export use Self, Unchanged or an address");
        }
        NextHopTarget::SelfAddress | NextHopTarget::Unchanged if context.is_import => {
            entry.report("is for export: on import use Peer or an address");
        }
        NextHopTarget::SelfAddress | NextHopTarget::Unchanged => {}
    }
}
