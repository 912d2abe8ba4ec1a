//! Who may connect: the configured neighbors by address, and the prefixes from which others may. Replaced as a
//! whole when it changes; the listeners read it.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::peer::Command;
use crate::peer::{AoKey, DynamicNeighbors, NeighborConfig, Password};

/// A connection from an address that no neighbor has, but that a template covers.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) stream: TcpStream,
    pub(super) remote: SocketAddr,
}

/// Somebody who may connect.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// To the neighbor's task.
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) config: Arc<NeighborConfig>,
}

/// See the module's head.
#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    pub(super) neighbors: HashMap<IpAddr, Entry>,
    pub(super) templates: Arc<Vec<DynamicNeighbors>>,
}

impl Directory {
    /// What a connection from `address` must obey, if it may come at all.
    pub(super) fn config_for(&self, address: IpAddr) -> Option<&NeighborConfig> {
        match self.neighbors.get(&address) {
            Some(entry) => Some(&entry.config),
            None => DynamicNeighbors::of(&self.templates, address).map(|group| &group.template),
        }
    }

    /// The keys that a listener of one family needs (RFC 2385), by whom they are for. The kernel takes the longest
    /// prefix that has one.
    pub(super) fn passwords(&self, is_v4: bool) -> BTreeMap<IpNet, Password> {
        self.keys(is_v4, |config| config.password.clone())
    }

    /// The same for TCP-AO (RFC 5925).
    pub(super) fn ao_keys(&self, is_v4: bool) -> BTreeMap<IpNet, Vec<AoKey>> {
        self.keys(is_v4, |config| Some(config.tcp_ao.clone()).filter(|keys| !keys.is_empty()))
    }

    fn keys<K>(&self, is_v4: bool, key: fn(&NeighborConfig) -> Option<K>) -> BTreeMap<IpNet, K> {
        let neighbors =
            self.neighbors.values().map(|entry| (IpNet::from(entry.config.address), &*entry.config));
        let prefixes = self
            .templates
            .iter()
            .flat_map(|group| group.prefixes.iter().map(|prefix| (prefix.trunc(), &group.template)));
        let of_family = prefixes.chain(neighbors).filter(|(prefix, _)| prefix.addr().is_ipv4() == is_v4);
        of_family.filter_map(|(prefix, config)| Some((prefix, key(config)?))).collect()
    }
}
