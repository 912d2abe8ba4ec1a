//! The objects in force, by kind and name, after they were checked against each other.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::manifest::Located;
use crate::model::{
    self, BgpConfiguration, BgpFilter, BgpFilterTest, BgpPeer, BgpSet, BlockAffinity, CLUSTER_WIDE, IpPool,
    Node, NodeBgp, Object, Secret,
};
use crate::problem::Problem;

/// Everything that is in force, by name. Within one value:
/// no two nodes have one BGP address, no two pools overlap, no block is confirmed for two nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// The machines.
    pub nodes: BTreeMap<String, Located<Node>>,
    /// `default` and `node.<name>`.
    pub bgp_configurations: BTreeMap<String, Located<BgpConfiguration>>,
    /// Sessions beside the mesh.
    pub bgp_peers: BTreeMap<String, Located<BgpPeer>>,
    /// Rules about the routes of sessions.
    pub bgp_filters: BTreeMap<String, Located<BgpFilter>>,
    /// What those can share.
    pub bgp_sets: BTreeMap<String, Located<BgpSet>>,
    /// What filters are expected to do.
    pub bgp_filter_tests: BTreeMap<String, Located<BgpFilterTest>>,
    /// Ranges of addresses.
    pub ip_pools: BTreeMap<String, Located<IpPool>>,
    /// Claims to blocks.
    pub block_affinities: BTreeMap<String, Located<BlockAffinity>>,
    /// Passwords.
    pub secrets: BTreeMap<String, Located<Secret>>,
    problems: Vec<Problem>,
    is_partial: bool,
}

impl Resources {
    /// `objects` in order of precedence; `problems` are those already known.
    pub(super) fn new<'a>(
        objects: impl Iterator<Item = &'a Located<Object>>,
        problems: Vec<Problem>,
    ) -> Self {
        let mut resources = Self { problems, ..Self::default() };
        for located in objects {
            resources.insert(located);
        }
        resources.drop_shared_node_addresses();
        resources.drop_overlapping_pools();
        resources.drop_contested_blocks();
        resources.problems.sort();
        resources
    }

    /// What is wrong: refused files, objects left out, and why. In the order of places.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Whether something that was written down could not be read: a file of which no version was ever good, or
    /// the place itself. What is missing here may then be there, so nothing may be taken for withdrawn.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.is_partial
    }

    pub(super) fn partial(self) -> Self {
        Self { is_partial: true, ..self }
    }

    /// The same with these filters and sets in the place of those of their names, as if they stood in the files.
    /// Objects of other kinds are left out.
    #[must_use]
    pub fn with_policy(&self, objects: &[Located<Object>]) -> Self {
        let mut changed = self.clone();
        for located in objects {
            let name = located.object.metadata().name.clone();
            match &located.object {
                Object::BgpFilter(object) => {
                    changed.bgp_filters.insert(name, located.with(object.clone()));
                }
                Object::BgpSet(object) => {
                    changed.bgp_sets.insert(name, located.with(object.clone()));
                }
                Object::Node(_)
                | Object::BgpConfiguration(_)
                | Object::BgpPeer(_)
                | Object::BgpFilterTest(_)
                | Object::IpPool(_)
                | Object::BlockAffinity(_)
                | Object::Secret(_) => {}
            }
        }
        changed
    }

    /// Settings of the whole cluster.
    #[must_use]
    pub fn cluster_configuration(&self) -> Option<&BgpConfiguration> {
        self.bgp_configurations.get(CLUSTER_WIDE).map(|located| &located.object)
    }

    fn insert(&mut self, located: &Located<Object>) {
        let name = located.object.metadata().name.clone();
        let loser = match &located.object {
            Object::Node(object) => insert(&mut self.nodes, name, located.with(object)),
            Object::BgpConfiguration(object) => {
                insert(&mut self.bgp_configurations, name, located.with(object))
            }
            Object::BgpPeer(object) => insert(&mut self.bgp_peers, name, located.with(object)),
            Object::BgpFilter(object) => insert(&mut self.bgp_filters, name, located.with(object)),
            Object::BgpSet(object) => insert(&mut self.bgp_sets, name, located.with(object)),
            Object::BgpFilterTest(object) => insert(&mut self.bgp_filter_tests, name, located.with(object)),
            Object::IpPool(object) => insert(&mut self.ip_pools, name, located.with(object)),
            Object::BlockAffinity(object) => insert(&mut self.block_affinities, name, located.with(object)),
            Object::Secret(object) => insert(&mut self.secrets, name, located.with(object)),
        };
        self.problems.extend(loser);
    }

    /// Two nodes with one address would be one neighbor to everybody else.
    fn drop_shared_node_addresses(&mut self) {
        let mut owners: BTreeMap<IpAddr, &Located<Node>> = BTreeMap::new();
        let mut losers = Vec::new();
        for (name, node) in &self.nodes {
            let addresses = || node.spec.bgp.iter().flat_map(NodeBgp::addresses);
            let contested =
                addresses().find_map(|address| owners.get(&address).map(|owner| (address, *owner)));
            match contested {
                None => owners.extend(addresses().map(|address| (address, node))),
                Some((address, owner)) => {
                    let field =
                        if address.is_ipv4() { "spec.bgp.ipv4Address" } else { "spec.bgp.ipv6Address" };
                    let owner_name = &owner.metadata.name;
                    let message = format!(
                        "{address} is the address of Node {owner_name} already: Node {name} is left out; \
                         give each node its own"
                    );
                    let problem = Problem::error(node.place(field), field, message).and(owner.place(field));
                    losers.push((name.clone(), problem));
                }
            }
        }
        drop_losers(&mut self.nodes, losers, &mut self.problems);
    }

    fn drop_overlapping_pools(&mut self) {
        let mut kept: Vec<&Located<IpPool>> = Vec::new();
        let mut losers = Vec::new();
        for (name, pool) in &self.ip_pools {
            let cidr = pool.spec.cidr;
            match kept.iter().find(|other| model::overlap(other.spec.cidr, cidr)) {
                None => kept.push(pool),
                Some(other) => {
                    let message = format!(
                        "{cidr} overlaps {} of IPPool {}: IPPool {name} is left out; choose another range",
                        other.spec.cidr, other.metadata.name
                    );
                    let field = "spec.cidr";
                    let problem = Problem::error(pool.place(field), field, message).and(other.place(field));
                    losers.push((name.clone(), problem));
                }
            }
        }
        drop_losers(&mut self.ip_pools, losers, &mut self.problems);
    }

    /// A block confirmed for two nodes would be announced by both.
    fn drop_contested_blocks(&mut self) {
        let mut owners: BTreeMap<IpNet, &Located<BlockAffinity>> = BTreeMap::new();
        let mut losers = Vec::new();
        for (name, affinity) in &self.block_affinities {
            let spec = &affinity.spec;
            if !spec.is_own_block() {
                continue;
            }
            match owners.get(&spec.cidr) {
                Some(owner) if owner.spec.node != spec.node => {
                    let message = format!(
                        "block {} is confirmed for node {} by BlockAffinity {} already: BlockAffinity {name} \
                         (node {}) is left out; delete one of them",
                        spec.cidr, owner.spec.node, owner.metadata.name, spec.node
                    );
                    let field = "spec.cidr";
                    let problem =
                        Problem::error(affinity.place(field), field, message).and(owner.place(field));
                    losers.push((name.clone(), problem));
                }
                Some(_) => {}
                None => {
                    owners.insert(spec.cidr, affinity);
                }
            }
        }
        drop_losers(&mut self.block_affinities, losers, &mut self.problems);
    }
}

/// The first of a name stays; the other one is the problem.
fn insert<T: Clone>(
    objects: &mut BTreeMap<String, Located<T>>,
    name: String,
    located: Located<&T>,
) -> Option<Problem> {
    if let Some(first) = objects.get(&name) {
        let message = format!("'{name}' is defined in {} already: this one is left out", first.location.file);
        let problem = Problem::error(located.location, "metadata.name", message);
        return Some(problem.and(first.location.clone()));
    }
    let owned = located.with(located.object.clone());
    objects.insert(name, owned);
    None
}

fn drop_losers<T>(
    objects: &mut BTreeMap<String, Located<T>>,
    losers: Vec<(String, Problem)>,
    problems: &mut Vec<Problem>,
) {
    for (name, problem) in losers {
        objects.remove(&name);
        problems.push(problem);
    }
}
