//! BGPPeers with a peerPrefix: not sessions but templates of such, one per BGPPeer of the node.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Expansion;
use super::peering::Peering;
use super::session::{RemoteEnd, Session, SessionOrigin};
use super::speaker::{PORT_DEFAULT, Speaker};
use crate::catalog::Resources;
use crate::manifest::Located;
use crate::model::{AsRange, BgpPeer, DynamicPeers, Remote};
use crate::problem::Problem;

/// What sessions are like that peers open from a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionTemplate {
    /// As any other session; its address and port mean nothing, its AS is the first of those that are allowed, and no
    /// families mean the family of the peer's address.
    pub session: Session,
    /// From where, who, how many.
    pub peers: DynamicPeers,
}

/// The templates of the node's BGPPeers, by name.
pub(super) fn templates(
    resources: &Resources,
    local: &Speaker,
    peering: &Peering<'_>,
) -> (Vec<SessionTemplate>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut templates = Vec::new();
    for (name, peer) in &resources.bgp_peers {
        let Remote::Prefixes(peers) = &peer.spec.remote else { continue };
        if !peering.has_local(peer) {
            continue;
        }
        let session = template(name, peer, peers, local);
        // Whether a session is internal decides too much to be decided by its OPEN.
        let is_own = |asn| asn == session.local_as;
        let own = peers.as_ranges.iter().any(|range| range.contains(session.local_as));
        let others = peers.as_ranges.iter().any(|range| !(is_own(range.first) && is_own(range.last)));
        if own && others {
            let message = format!(
                "holds our own AS {} and others: internal and external peers need a BGPPeer each, with prefixes of \
                 their own",
                session.local_as
            );
            problems.push(Problem::error(peer.place("spec.asNumbers"), "spec.asNumbers", message));
            continue;
        }
        if let Some(message) = mixed_with_members(resources, peers) {
            problems.push(Problem::error(peer.place("spec.asNumbers"), "spec.asNumbers", message));
            continue;
        }
        templates.push(SessionTemplate { session, peers: peers.clone() });
    }
    problems.extend(overlaps(resources, &templates));
    (templates, problems)
}

/// The same of our confederation: to its members we are another AS than to the world.
fn mixed_with_members(resources: &Resources, peers: &DynamicPeers) -> Option<String> {
    let confederation = resources.cluster_configuration()?.spec.confederation.as_ref()?;
    let ranges = &peers.as_ranges;
    let is_held = |asn| ranges.iter().any(|range| range.contains(asn));
    if is_held(confederation.identifier) {
        return Some(format!(
            "holds {}, the identifier of our confederation, which nobody outside of it has",
            confederation.identifier
        ));
    }
    let held =
        confederation.members.iter().copied().filter(|member| is_held(*member)).collect::<BTreeSet<_>>();
    // As long as every AS of the ranges is one of the members found in them, there are no others.
    let is_member = |range: &AsRange| {
        (range.first.number()..=range.last.number())
            .all(|asn| held.iter().any(|member| member.number() == asn))
    };
    if held.is_empty() || ranges.iter().all(is_member) {
        return None;
    }
    Some(format!(
        "holds members of our confederation ({}) and others: they need a BGPPeer each, with prefixes of their own",
        held.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    ))
}

fn template(name: &str, peer: &Located<BgpPeer>, peers: &DynamicPeers, local: &Speaker) -> Session {
    let first = peers.as_ranges.first().map(|range| range.first);
    let address = peers.prefixes.first().map_or(IpAddr::from([0, 0, 0, 0]), ipnet::IpNet::addr);
    let remote = RemoteEnd {
        node: None,
        address,
        port: PORT_DEFAULT,
        as_number: peer.spec.as_number.or(first).unwrap_or(local.as_number),
        cluster_id: None,
    };
    let origin = if peer.spec.nodes.is_none() { SessionOrigin::Global } else { SessionOrigin::Node };
    let session_name = format!("bgppeer/{name}");
    let session = Session::of_peer((name, &peer.spec), (origin, session_name), local, &remote, None);
    Session { passive: true, families: peer.spec.families.clone(), ..session }
}

/// Of two BGPPeers with the very same prefix the first one has it.
fn overlaps(resources: &Resources, templates: &[SessionTemplate]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, later) in templates.iter().enumerate() {
        let earlier = templates.iter().take(index);
        for winner in earlier {
            let both = later.peers.prefixes.iter().find(|prefix| winner.peers.prefixes.contains(prefix));
            let objects = (object(resources, &winner.session), object(resources, &later.session));
            if let (Some(prefix), (Some(winner), Some(loser))) = (both, objects) {
                let message = format!(
                    "{prefix} is BGPPeer {}'s already, so this one has no effect there: change or remove one",
                    winner.metadata.name
                );
                let place = loser.place("spec.peerPrefix");
                problems
                    .push(Problem::warning(place, "spec.peerPrefix", message).and(winner.location.clone()));
            }
        }
    }
    problems
}

/// The kernel asks everybody within a prefix that has a key for a signature, and knows no exceptions.
pub(super) fn unsigned_within_signed(resources: &Resources, expansion: &Expansion) -> Vec<Problem> {
    let signed = expansion.templates.iter().filter(|template| template.session.password.is_some());
    let signed = signed.collect::<Vec<_>>();
    let mut problems = Vec::new();
    for session in expansion.sessions.iter().filter(|session| session.password.is_none()) {
        let holds = |template: &&&SessionTemplate| {
            template.peers.prefixes.iter().any(|prefix| prefix.contains(&session.address))
        };
        let Some(template) = signed.iter().find(holds) else { continue };
        let Some(peer) = object(resources, &template.session) else { continue };
        let message = format!(
            "the password is asked of {} ({}) too, which has none of its own: only connections that we dial will come \
             up; give it the same password, or take its address out of peerPrefix",
            session.address, session.name
        );
        problems.push(Problem::warning(peer.place("spec.password"), "spec.password", message));
    }
    problems
}

fn object<'a>(resources: &'a Resources, session: &Session) -> Option<&'a Located<BgpPeer>> {
    resources.bgp_peers.get(session.bgp_peer.as_ref()?)
}
