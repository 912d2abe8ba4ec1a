//! BGPPeers as sessions of one node: those it has, and the mirrors of those that others have with it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;

use super::overlap::Candidates;
use super::session::{RemoteEnd, Session, SessionOrigin};
use super::speaker::{Member, PORT_DEFAULT, Speaker};
use crate::catalog::Resources;
use crate::manifest::Located;
use crate::model::{BgpPeer, PeerAddress, PeeringNodes, Remote, ReversePeering, Selector, SourceAddress};
use crate::problem::Problem;

pub(super) struct Peering<'a> {
    resources: &'a Resources,
    local: &'a Speaker,
    members: &'a [Member<'a>],
    by_address: BTreeMap<IpAddr, &'a Member<'a>>,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Peering<'a> {
    pub(super) fn new(resources: &'a Resources, local: &'a Speaker, members: &'a [Member<'a>]) -> Self {
        let by_address =
            members.iter().flat_map(|member| member.addresses().map(move |address| (address, member)));
        Self { resources, local, members, by_address: by_address.collect(), problems: RefCell::default() }
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    /// Sessions of BGPPeers whose node side is this node: first those of all nodes, then those of some, each
    /// in the order of names. The first to claim an address and port has it.
    pub(super) fn offer_forward(&self, candidates: &mut Candidates) {
        for origin in [SessionOrigin::Global, SessionOrigin::Node] {
            for (name, peer) in &self.resources.bgp_peers {
                let is_of_all = peer.spec.nodes.is_none();
                if is_of_all == (origin == SessionOrigin::Global) && self.has_local(peer) {
                    self.offer_forward_of(name, peer, origin, candidates);
                }
            }
        }
    }

    fn offer_forward_of(
        &self,
        name: &str,
        peer: &Located<BgpPeer>,
        origin: SessionOrigin,
        candidates: &mut Candidates,
    ) {
        match &peer.spec.remote {
            Remote::Address(address) => {
                if let Some((remote, source)) = self.remote_at(peer, *address) {
                    let session_name = format!("bgppeer/{name}");
                    let session = Session::of_peer(
                        (name, &peer.spec),
                        (origin, session_name),
                        self.local,
                        &remote,
                        source,
                    );
                    candidates.offer(session, Some(peer));
                }
            }
            Remote::Selected(selector) => {
                self.check_somebody_dials(peer, selector);
                for member in self.others_selected(selector) {
                    self.offer_with(name, peer, member, origin, |_| true, candidates);
                }
            }
            // A template, and no session: see dynamic.rs.
            Remote::Prefixes(_) => {}
        }
    }

    /// Two nodes that are both on both sides of a passive BGPPeer would wait for each other for ever.
    fn check_somebody_dials(&self, peer: &Located<BgpPeer>, selector: &Selector) {
        let local = self.members.iter().find(|member| member.name == self.local.node_name);
        if !peer.spec.passive || !local.is_some_and(|local| selector.matches(local.labels)) {
            return;
        }
        if let Some(other) = self.others_selected(selector).find(|other| self.is_on_node_side(peer, other)) {
            let message = format!(
                "Node {} and Node {} are on both sides of this passive BGPPeer: neither would ever dial",
                self.local.node_name, other.name
            );
            self.report(Problem::error(peer.place("spec.peerSelector"), "spec.passive", message));
        }
    }

    /// Mirrors of BGPPeers of which this node is the remote, so that the manifest need not be written twice.
    pub(super) fn offer_reverse(&self, candidates: &mut Candidates) {
        for (name, peer) in &self.resources.bgp_peers {
            match peer.spec.reverse_peering {
                ReversePeering::Auto => {}
                ReversePeering::Manual => continue,
            }
            let Some(is_wanted) = self.reversed_family(peer) else { continue };
            for member in self.members.iter().filter(|member| member.name != self.local.node_name) {
                if self.is_on_node_side(peer, member) {
                    self.offer_with(name, peer, member, SessionOrigin::Reverse, is_wanted, candidates);
                }
            }
        }
    }

    /// Which addresses of the node side this node gets mirrors towards: all if it was selected, those of the
    /// peerIP's family if the peerIP is its own; `None` if it is not the remote at all.
    fn reversed_family(&self, peer: &BgpPeer) -> Option<fn(IpAddr) -> bool> {
        match &peer.spec.remote {
            Remote::Selected(selector) => {
                let labels = &self.resources.nodes.get(&self.local.node_name)?.metadata.labels;
                selector.matches(labels).then_some(|_| true)
            }
            // Who they are is not known; whoever is to dial needs a BGPPeer of its own.
            Remote::Prefixes(_) => None,
            Remote::Address(PeerAddress { address, port }) => {
                let is_own = self.local.address_towards(*address) == Some(*address);
                let is_own_port = port.is_none_or(|port| port == self.local.listen_port);
                let is_own_as = peer.spec.as_number.is_none_or(|number| number == self.local.as_number);
                let of_family: fn(IpAddr) -> bool =
                    if address.is_ipv4() { |address| address.is_ipv4() } else { |address| address.is_ipv6() };
                (is_own && is_own_port && is_own_as).then_some(of_family)
            }
        }
    }

    /// Sessions with one node, at each of its addresses that is wanted.
    fn offer_with(
        &self,
        name: &str,
        peer: &Located<BgpPeer>,
        member: &Member<'_>,
        origin: SessionOrigin,
        is_wanted: fn(IpAddr) -> bool,
        candidates: &mut Candidates,
    ) {
        let mirror = if origin == SessionOrigin::Reverse { "/reverse" } else { "" };
        for mut remote in RemoteEnd::of_member(member, self.local).filter(|remote| is_wanted(remote.address))
        {
            if origin != SessionOrigin::Reverse && self.is_on_node_side(peer, member) && self.is_remote(peer)
            {
                // The other node has this very session from its own point of view.
                remote.as_number = peer.spec.local_as_number.unwrap_or(remote.as_number);
            }
            let source = match peer.spec.source_address {
                SourceAddress::UseNodeIp => self.local.address_towards(remote.address),
                SourceAddress::None => None,
            };
            let session_name = format!("bgppeer/{name}/{}{mirror}", remote.name());
            let session =
                Session::of_peer((name, &peer.spec), (origin, session_name), self.local, &remote, source);
            candidates.offer(session, Some(peer));
        }
    }

    /// The other end at a peerIP and where to dial it from. `None`: it is ourselves, or a problem was
    /// reported.
    fn remote_at<'b>(
        &'b self,
        peer: &Located<BgpPeer>,
        at: PeerAddress,
    ) -> Option<(RemoteEnd<'b>, Option<IpAddr>)> {
        let member = self.by_address.get(&at.address).copied();
        let port = at.port.or(member.map(|member| member.listen_port)).unwrap_or(PORT_DEFAULT);
        if member.is_some_and(|member| member.name == self.local.node_name) && port == self.local.listen_port
        {
            return None;
        }
        // Another speaker on a node's address (another port) says nothing about the node's AS.
        let member = member.filter(|member| member.listen_port == port);
        let Some(as_number) = peer.spec.as_number.or(member.map(|member| member.as_number)) else {
            let message =
                format!("is missing, and {at} is not where a node listens: give the AS of the peer");
            self.report(Problem::error(peer.place("spec.peerIP"), "spec.asNumber", message));
            return None;
        };
        if let Some(member) = member.filter(|member| member.as_number != as_number) {
            let message = format!(
                "{as_number} is not the AS of Node {}, which is {}: the session will not come up",
                member.name, member.as_number
            );
            self.report(Problem::warning(peer.place("spec.asNumber"), "spec.asNumber", message));
        }
        let source = match peer.spec.source_address {
            SourceAddress::None => None,
            SourceAddress::UseNodeIp => match self.local.address_towards(at.address) {
                Some(address) => Some(address),
                None => {
                    self.report(self.no_address_of_the_family(peer, at.address));
                    return None;
                }
            },
        };
        let remote = RemoteEnd {
            node: member.map(|member| member.name),
            address: at.address,
            port,
            as_number,
            cluster_id: member.and_then(|member| member.cluster_id),
        };
        Some((remote, source))
    }

    fn no_address_of_the_family(&self, peer: &Located<BgpPeer>, address: IpAddr) -> Problem {
        let field = if address.is_ipv4() { "ipv4Address" } else { "ipv6Address" };
        let message = format!(
            "Node {} has no {field} to reach {address} from, so it does not have this session: set the address, \
             or sourceAddress: None",
            self.local.node_name
        );
        Problem::warning(peer.place("spec.peerIP"), "spec.peerIP", message)
    }

    /// Whether the local node is on the node side. A name that is no node's is a mistake worth saying.
    pub(super) fn has_local(&self, peer: &Located<BgpPeer>) -> bool {
        if let Some(PeeringNodes::Named(node)) = &peer.spec.nodes
            && !self.resources.nodes.contains_key(node)
        {
            let message = format!("there is no Node named {node}: nobody has this session");
            self.report(Problem::warning(peer.place("spec.node"), "spec.node", message));
        }
        let local = self.members.iter().find(|member| member.name == self.local.node_name);
        local.is_some_and(|local| self.is_on_node_side(peer, local))
    }

    /// Whether the BGPPeer selects the local node as a remote.
    fn is_remote(&self, peer: &BgpPeer) -> bool {
        let local = self.members.iter().find(|member| member.name == self.local.node_name);
        match &peer.spec.remote {
            Remote::Address(_) | Remote::Prefixes(_) => false,
            Remote::Selected(selector) => local.is_some_and(|local| selector.matches(local.labels)),
        }
    }

    fn is_on_node_side(&self, peer: &BgpPeer, member: &Member<'_>) -> bool {
        match &peer.spec.nodes {
            None => true,
            Some(PeeringNodes::Named(name)) => name == member.name,
            Some(PeeringNodes::Selected(selector)) => selector.matches(member.labels),
        }
    }

    fn others_selected<'b>(&'b self, selector: &'b Selector) -> impl Iterator<Item = &'b Member<'b>> {
        let others = self.members.iter().filter(|member| member.name != self.local.node_name);
        others.filter(|member| selector.matches(member.labels))
    }

    fn report(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }
}
