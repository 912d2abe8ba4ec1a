//! The kinds of `projectcalico.org/v3` that this version understands, one file per kind.
//!
//! Each file holds the typed object, a table of every field that Calico knows for the kind and what we do with
//! it, and the reading of the one by the other. A value of these types has passed every check that needs no
//! second object; checks between objects are [`crate::catalog`]'s.

mod add_paths;
mod address;
mod as_path_regex;
mod asn;
mod best_path;
mod bgp_configuration;
mod bgp_filter;
mod bgp_filter_test;
mod bgp_peer;
mod bgp_set;
mod block_affinity;
mod community;
mod community_pattern;
mod dynamic_peers;
mod ip_pool;
mod limits;
mod metadata;
mod next_hop_target;
mod node;
mod seconds;
mod secret;
pub mod selector;
mod tcp_ao;
mod timing;
mod update_rules;

use serde::{Serialize, Serializer};

pub use add_paths::AddPaths;
pub use address::{PeerAddress, PeerAddressError};
pub use as_path_regex::{AsPathRegex, AsPathRegexError};
pub use asn::{Asn, AsnError};
pub use best_path::{BestPath, MULTIPATH_MAX_DEFAULT, Multipath};
pub use bgp_configuration::{
    BgpConfiguration, BgpConfigurationSpec, BindMode, CLUSTER_WIDE, NamedCommunity, PER_NODE_PREFIX,
    PrefixAdvertisement,
};
pub use bgp_filter::{
    BgpFilter, BgpFilterRule, BgpFilterSpec, CommunityMatch, FilterAction, FilterCommunities,
    FilterOperation, FilterPrefix, FilterSource, MatchOperator, MedValue, NoMed, NumberRange, PeerType,
    PrefixLength, RouteConditions, RouteOrigin,
};
pub use bgp_filter_test::{
    BgpFilterTest, BgpFilterTestSpec, Direction, Expectation, ExpectedAction, RouteSource, TestAttributes,
    TestRoute,
};
pub use bgp_peer::{
    BgpPeer, BgpPeerSpec, CONNECT_RETRY_TIME_DEFAULT, Family, HOLD_TIME_DEFAULT, MAX_RESTART_TIME_DEFAULT,
    NextHopMode, PeeringNodes, Remote, ReversePeering, SourceAddress,
};
pub use bgp_set::{BgpSet, BgpSetSpec, SetPrefix};
pub use block_affinity::{AffinityState, AffinityType, BlockAffinity, BlockAffinitySpec};
pub use community::{CommunityValue, CommunityValueError};
pub use community_pattern::{
    CommunityPattern, CommunityPatternError, PatternForm, RouteCommunity, RouteCommunityError,
    RouteCommunityValue,
};
pub use dynamic_peers::{AsRange, AsRangeError, DynamicPeers, MAXIMUM_DYNAMIC_PEERS_DEFAULT};
pub(crate) use ip_pool::overlap;
pub use ip_pool::{AllowedUse, AssignmentMode, IpPool, IpPoolSpec};
pub use limits::{LimitAction, MaximumPrefixes, PREFIX_RESTART_TIME_DEFAULT, Role, Shutdown};
pub use metadata::Metadata;
pub(crate) use metadata::{is_name, name as name_of};
pub use next_hop_target::{NextHopTarget, NextHopTargetError};
pub use node::{Node, NodeAddress, NodeBgp, NodeInterface, NodeSpec, NodeStatus, OrchRef};
pub use seconds::{Seconds, SecondsError};
pub use secret::{PasswordSource, Secret, SecretKeyRef, SecretValue};
pub use selector::{Selector, SelectorError};
pub use tcp_ao::{TcpAo, TcpAoAlgorithm, TcpAoKey};
pub use timing::{IDLE_HOLD_TIME_DEFAULT, MAXIMUM_IDLE_HOLD_TIME_DEFAULT, PeerTiming};
pub use update_rules::{RemovePrivateAs, UpdateRules};

use crate::document::{Entry, Field, Fields};

/// The API version of every kind but [`Secret`].
pub const API: &str = "projectcalico.org/v3";
/// The API version of Kubernetes' own kinds.
pub const API_CORE: &str = "v1";

const API_VERSION: Field = Field::honoured("apiVersion", API, "always projectcalico.org/v3");
const KIND: Field = Field::honoured("kind", "Node", "the kind of the object");
const STATUS: Field = Field::informational("status", "{conditions: []}", "set by controllers; not kept");

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// [`Node`].
    Node,
    /// [`BgpConfiguration`].
    BgpConfiguration,
    /// [`BgpPeer`].
    BgpPeer,
    /// [`BgpFilter`].
    BgpFilter,
    /// [`BgpSet`].
    BgpSet,
    /// [`BgpFilterTest`].
    BgpFilterTest,
    /// [`IpPool`].
    IpPool,
    /// [`BlockAffinity`].
    BlockAffinity,
    /// [`Secret`].
    Secret,
}

impl Kind {
    /// Every kind, in the order in which they are documented.
    pub const ALL: [Self; 9] = [
        Self::Node,
        Self::BgpConfiguration,
        Self::BgpPeer,
        Self::BgpFilter,
        Self::BgpSet,
        Self::BgpFilterTest,
        Self::IpPool,
        Self::BlockAffinity,
        Self::Secret,
    ];

    /// As manifests spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Node => "Node",
            Self::BgpConfiguration => "BGPConfiguration",
            Self::BgpPeer => "BGPPeer",
            Self::BgpFilter => "BGPFilter",
            Self::BgpSet => "BGPSet",
            Self::BgpFilterTest => "BGPFilterTest",
            Self::IpPool => "IPPool",
            Self::BlockAffinity => "BlockAffinity",
            Self::Secret => "Secret",
        }
    }

    /// The API version that its objects name.
    #[must_use]
    pub fn api(self) -> &'static str {
        match self {
            Self::Node
            | Self::BgpConfiguration
            | Self::BgpPeer
            | Self::BgpFilter
            | Self::BgpSet
            | Self::BgpFilterTest
            | Self::IpPool
            | Self::BlockAffinity => API,
            Self::Secret => API_CORE,
        }
    }

    /// The kind of that name, spelled exactly so.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Every field that Calico or we know for it, and what is done with each.
    #[must_use]
    pub fn fields(self) -> &'static [Field] {
        match self {
            Self::Node => node::FIELDS,
            Self::BgpConfiguration => bgp_configuration::FIELDS,
            Self::BgpPeer => bgp_peer::FIELDS,
            Self::BgpFilter => bgp_filter::FIELDS,
            Self::BgpSet => bgp_set::FIELDS,
            Self::BgpFilterTest => bgp_filter_test::FIELDS,
            Self::IpPool => ip_pool::FIELDS,
            Self::BlockAffinity => block_affinity::FIELDS,
            Self::Secret => secret::FIELDS,
        }
    }
}

/// One object of any kind. Serialises as a manifest, a Secret without its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// A machine of the cluster.
    Node(Node),
    /// Settings of the cluster or of one node.
    BgpConfiguration(BgpConfiguration),
    /// Sessions beside the mesh.
    BgpPeer(BgpPeer),
    /// Rules about the routes of sessions.
    BgpFilter(BgpFilter),
    /// Prefixes, communities and AS paths by name.
    BgpSet(BgpSet),
    /// A route and what filters are expected to make of it.
    BgpFilterTest(BgpFilterTest),
    /// A range of addresses.
    IpPool(IpPool),
    /// The claim of a node to a block.
    BlockAffinity(BlockAffinity),
    /// Passwords.
    Secret(Secret),
}

impl Object {
    /// `None`: at least one problem was reported.
    pub(crate) fn read(kind: Kind, object: &Fields<'_>) -> Option<Self> {
        let metadata = Metadata::read(object);
        // With a stand-in for unusable metadata the rest is still read, for the sake of its problems.
        let named = metadata.is_some();
        let metadata =
            metadata.unwrap_or_else(|| Metadata { name: CLUSTER_WIDE.to_owned(), ..Metadata::default() });
        let read = match kind {
            Kind::Node => Node::read(metadata, object).map(Self::Node),
            Kind::BgpConfiguration => BgpConfiguration::read(metadata, object).map(Self::BgpConfiguration),
            Kind::BgpPeer => BgpPeer::read(metadata, object).map(Self::BgpPeer),
            Kind::BgpFilter => BgpFilter::read(metadata, object).map(Self::BgpFilter),
            Kind::BgpSet => Some(Self::BgpSet(BgpSet::read(metadata, object))),
            Kind::BgpFilterTest => BgpFilterTest::read(metadata, object).map(Self::BgpFilterTest),
            Kind::IpPool => IpPool::read(metadata, object).map(Self::IpPool),
            Kind::BlockAffinity => BlockAffinity::read(metadata, object).map(Self::BlockAffinity),
            Kind::Secret => Some(Self::Secret(Secret::read(metadata, object))),
        };
        read.filter(|_| named)
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Node(_) => Kind::Node,
            Self::BgpConfiguration(_) => Kind::BgpConfiguration,
            Self::BgpPeer(_) => Kind::BgpPeer,
            Self::BgpFilter(_) => Kind::BgpFilter,
            Self::BgpSet(_) => Kind::BgpSet,
            Self::BgpFilterTest(_) => Kind::BgpFilterTest,
            Self::IpPool(_) => Kind::IpPool,
            Self::BlockAffinity(_) => Kind::BlockAffinity,
            Self::Secret(_) => Kind::Secret,
        }
    }

    /// Its name and labels.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        match self {
            Self::Node(object) => &object.metadata,
            Self::BgpConfiguration(object) => &object.metadata,
            Self::BgpPeer(object) => &object.metadata,
            Self::BgpFilter(object) => &object.metadata,
            Self::BgpSet(object) => &object.metadata,
            Self::BgpFilterTest(object) => &object.metadata,
            Self::IpPool(object) => &object.metadata,
            Self::BlockAffinity(object) => &object.metadata,
            Self::Secret(object) => &object.metadata,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a, T: Serialize> {
    api_version: &'static str,
    kind: &'static str,
    #[serde(flatten)]
    object: &'a T,
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (api_version, kind) = (self.kind().api(), self.kind().name());
        match self {
            Self::Node(object) => Manifest { api_version, kind, object }.serialize(serializer),
            Self::BgpConfiguration(object) => Manifest { api_version, kind, object }.serialize(serializer),
            Self::BgpPeer(object) => Manifest { api_version, kind, object }.serialize(serializer),
            Self::BgpFilter(object) => Manifest { api_version, kind, object }.serialize(serializer),
            Self::BgpSet(object) => Manifest { api_version, kind, object }.serialize(serializer),
            Self::BgpFilterTest(object) => Manifest { api_version, kind, object }.serialize(serializer),
            Self::IpPool(object) => Manifest { api_version, kind, object }.serialize(serializer),
            Self::BlockAffinity(object) => Manifest { api_version, kind, object }.serialize(serializer),
            Self::Secret(object) => Manifest { api_version, kind, object }.serialize(serializer),
        }
    }
}

/// Calico's fields hold selectors of up to 1024 characters.
fn selector_of(entry: &Entry<'_>) -> Option<Selector> {
    if entry.text()?.chars().count() > 1024 {
        entry.report("is longer than 1024 characters");
        return None;
    }
    entry.parse()
}

/// A graceful restart time: OPEN carries twelve bits of it (RFC 4724 §3).
fn restart_time(spec: &Fields<'_>, name: &str) -> Option<Seconds> {
    let entry = spec.entry(name)?;
    let time: Seconds = entry.parse_scalar()?;
    if time > Seconds(4095) {
        entry.report(format!("{time} is too long: use at most 4095s, which is all that BGP can carry"));
        return None;
    }
    Some(time)
}

/// Reads each item; reports one that was there before.
fn unique<T: PartialEq>(items: &[Entry<'_>], read: impl Fn(&Entry<'_>) -> Option<T>) -> Vec<T> {
    let mut values = Vec::new();
    for item in items {
        match read(item) {
            Some(value) if values.contains(&value) => item.report("is in the list already: remove one"),
            Some(value) => values.push(value),
            None => {}
        }
    }
    values
}

#[cfg(test)]
mod tests;
