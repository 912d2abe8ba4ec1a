//! Pure composition: what the manifests ask for as one desired state, and the translations between the domains.
//! No sockets, no tasks, no clock; `daemon` runs what is decided here.

pub mod dynamic;
mod policy;
pub mod policy_test;
pub mod policy_trial;
pub mod snapshot;
pub mod translate;
mod update_rules;
pub mod wiring;

use std::net::Ipv4Addr;

use config::Problem;
use ipnet::IpNet;

/// What this node is to be, as far as the manifests have said so. Shown by `manx status`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeState {
    /// This node's name.
    pub node_name: String,
    /// In force; `None` until a Node object has named this node.
    pub desired: Option<translate::Desired>,
    /// What is wrong with the manifests.
    pub problems: Vec<Problem>,
}

impl NodeState {
    /// The state after the manifests changed. Without a Node object for this node the former desired state stays
    /// in force: a manifest that is gone for a moment must not take every session down.
    #[must_use]
    pub fn next(&self, resources: &config::catalog::Resources, restarting: bool) -> Self {
        let mut problems = resources.problems().to_vec();
        let desired = match translate::desired(resources, &self.node_name, restarting) {
            Ok((desired, noticed)) => {
                problems.extend(noticed);
                Some(desired)
            }
            Err(mut problem) => {
                if self.desired.is_some() {
                    problem.message.push_str("; the former configuration stays in force");
                }
                problems.push(problem);
                self.desired.clone()
            }
        };
        problems.sort();
        Self { node_name: self.node_name.clone(), desired, problems }
    }

    /// Our BGP identifier.
    #[must_use]
    pub fn router_id(&self) -> Option<Ipv4Addr> {
        self.desired.as_ref().map(|desired| desired.router_id)
    }

    /// What we originate.
    #[must_use]
    pub fn originated(&self) -> Vec<IpNet> {
        let routes = self.desired.iter().flat_map(|desired| &desired.bgp.originate);
        routes.map(|route| route.prefix).collect()
    }
}
