//! BGPFilterTest: what filters are expected to make of a route. Read by `manx policy test`; it says nothing to the
//! daemon. Not Calico's.

use ipnet::IpNet;
use serde::Serialize;

use super::address::MaskedCidr;
use super::bgp_filter::{MedValue, RouteOrigin, asns, list, med, names};
use super::{Asn, Metadata, NextHopTarget, PeerType, RouteCommunity, metadata};
use crate::document::{Entry, Field, Fields};

/// One route and what is expected of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BgpFilterTest {
    /// Its name is what it is called in the results.
    pub metadata: Metadata,
    /// The test.
    pub spec: BgpFilterTestSpec,
}

/// `BGPFilterTest.spec`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BgpFilterTestSpec {
    /// The filters of the session, in order.
    pub filters: Vec<String>,
    /// Which way the route goes.
    pub direction: Direction,
    /// The kind of the session.
    pub peer_type: PeerType,
    /// The node's AS on the session.
    #[serde(rename = "localASNumber")]
    pub local_as_number: Asn,
    /// The route.
    pub route: TestRoute,
    /// What is to become of it.
    pub expect: Expectation,
}

/// Which way a route goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Direction {
    /// A peer sends it.
    Import,
    /// It is sent to a peer.
    Export,
}

/// Where a route comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum RouteSource {
    /// A peer sent it.
    #[default]
    RemotePeers,
    /// The node announces it.
    Local,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TestRoute {
    /// Where to.
    pub prefix: IpNet,
    /// Where from.
    pub source: RouteSource,
    /// Its attributes.
    #[serde(flatten)]
    pub attributes: TestAttributes,
}

/// What is to become of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Expectation {
    /// The verdict.
    pub action: ExpectedAction,
    /// The rule that ends it, `fabric rule 2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Its attributes then; those that are not given may be anything.
    #[serde(flatten)]
    pub attributes: TestAttributes,
}

/// A verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ExpectedAction {
    /// It passes: by a rule, or on import because there is none.
    Accept,
    /// A rule keeps it out.
    Reject,
    /// No rule ends it. On import it is then accepted; on export the rules that all sessions share decide.
    Default,
}

/// Attributes that are given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TestAttributes {
    /// Nearest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_path: Option<Vec<Asn>>,
    /// ORIGIN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<RouteOrigin>,
    /// The next hop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<NextHopTarget>,
    /// MED, or none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub med: Option<MedValue>,
    /// LOCAL_PREF.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_preference: Option<u32>,
    /// Of all kinds, all there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub communities: Option<Vec<RouteCommunity>>,
}

const AS_PATH: Field = Field::additive("asPath", "[65001, 65002]", "the AS path, nearest first");
const ORIGIN: Field = Field::additive("origin", "incomplete", "igp, egp or incomplete");
const MED: Field = Field::additive("med", "50", "MED, or None");
const LOCAL_PREFERENCE: Field = Field::additive("localPreference", "200", "LOCAL_PREF");
const COMMUNITIES: Field =
    Field::additive("communities", "['65001:7', 'rt:65001:7']", "communities of all kinds, all there are");

const ROUTE: &[Field] = &[
    Field::additive("prefix", "10.9.0.0/16", "where it goes"),
    Field::additive("source", "Local", "RemotePeers or Local; default RemotePeers"),
    AS_PATH,
    ORIGIN,
    Field::additive("nextHop", "192.0.2.1", "an address"),
    MED,
    LOCAL_PREFERENCE,
    COMMUNITIES,
];

const EXPECT: &[Field] = &[
    Field::additive("action", "Reject", "Accept, Reject, or Default: no rule ends it"),
    Field::additive("rule", "fabric rule 2", "the rule that ends it"),
    AS_PATH,
    ORIGIN,
    Field::additive("nextHop", "192.0.2.7", "an address, Peer, Self or Unchanged, as policy leaves it"),
    MED,
    LOCAL_PREFERENCE,
    COMMUNITIES,
];

const SPEC: &[Field] = &[
    Field::additive("filters", "[fabric, second]", "BGPFilters, in the order of a BGPPeer's filters"),
    Field::additive("direction", "Export", "Import or Export"),
    Field::additive("peerType", "iBGP", "eBGP or iBGP; default eBGP"),
    Field::additive("localASNumber", "64601", "the node's AS on the session; default 64512"),
    Field::additive("route", "{prefix: 10.8.0.0/16}", "the route").with(ROUTE),
    Field::additive(
        "expect",
        "{action: Accept}",
        "what is to become of it; what is not given may be anything",
    )
    .with(EXPECT),
];

pub(crate) const FIELDS: &[Field] = &[
    super::API_VERSION,
    super::KIND,
    Field::honoured("metadata", "{name: example}", "name").with(metadata::FIELDS),
    Field::additive(
        "spec",
        "{filters: [fabric], direction: Import, route: {prefix: 10.7.0.0/16}, expect: {action: Accept}}",
        "the test",
    )
    .with(SPEC),
    super::STATUS,
];

impl BgpFilterTest {
    pub(crate) fn read(metadata: Metadata, object: &Fields<'_>) -> Option<Self> {
        object.required("spec", "filters, direction, route and expect")?;
        let spec = object.fields("spec")?;
        let directions = [("Import", Direction::Import), ("Export", Direction::Export)];
        let peer_types = [("eBGP", PeerType::External), ("iBGP", PeerType::Internal)];
        let filters = names(&spec, "filters");
        if filters.is_empty() {
            spec.report("filters", "is missing: give the filters of the session, in order");
        }
        let direction = spec.required("direction", "Import or Export").and_then(|e| e.choice(&directions));
        let peer_type = spec.entry("peerType").and_then(|entry| entry.choice(&peer_types));
        let local_as_number = spec.entry("localASNumber").and_then(|entry| entry.parse_scalar());
        spec.required("route", "a route, as in {prefix: 10.0.0.0/8}");
        let route = spec.fields("route").and_then(|fields| TestRoute::read(&fields));
        spec.required("expect", "what is to become of it, as in {action: Accept}");
        let expect = spec.fields("expect").and_then(|fields| Expectation::read(&fields));
        let spec = BgpFilterTestSpec {
            filters,
            direction: direction?,
            peer_type: peer_type.unwrap_or(PeerType::External),
            local_as_number: local_as_number.unwrap_or(Asn::CLUSTER_DEFAULT),
            route: route?,
            expect: expect?,
        };
        Some(Self { metadata, spec })
    }
}

impl TestRoute {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        let sources = [("RemotePeers", RouteSource::RemotePeers), ("Local", RouteSource::Local)];
        let source = fields.entry("source").and_then(|entry| entry.choice(&sources)).unwrap_or_default();
        let attributes = TestAttributes::read(fields);
        if attributes.next_hop.is_some_and(|hop| !matches!(hop, NextHopTarget::Address(_))) {
            fields.report("nextHop", "a route that comes has an address: give that");
        }
        let MaskedCidr(prefix) = fields.required("prefix", "a prefix, as in 10.0.0.0/8")?.parse()?;
        Some(Self { prefix, source, attributes })
    }
}

impl Expectation {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        let actions = [
            ("Accept", ExpectedAction::Accept),
            ("Reject", ExpectedAction::Reject),
            ("Default", ExpectedAction::Default),
        ];
        let rule = fields.entry("rule").and_then(|entry| entry.text()).map(str::to_owned);
        let attributes = TestAttributes::read(fields);
        let action = fields.required("action", "Accept, Reject or Default")?.choice(&actions)?;
        if action == ExpectedAction::Reject && attributes != TestAttributes::default() {
            fields.report(
                "action",
                "a route that is rejected has no attributes then: expect action and rule only",
            );
        }
        Some(Self { action, rule, attributes })
    }
}

impl TestAttributes {
    fn read(fields: &Fields<'_>) -> Self {
        let is_given = |name| fields.entry(name).is_some();
        Self {
            as_path: is_given("asPath").then(|| asns(fields, "asPath")),
            origin: fields.entry("origin").and_then(|entry| entry.choice(&RouteOrigin::NAMES)),
            next_hop: fields.entry("nextHop").and_then(|entry| entry.parse()),
            med: fields.entry("med").and_then(|entry| med(&entry)),
            local_preference: fields
                .entry("localPreference")
                .and_then(|entry| entry.integer(0..=u32::MAX.into())),
            communities: is_given("communities")
                .then(|| list(fields, "communities").iter().filter_map(Entry::parse).collect()),
        }
    }
}
