//! Which of several sessions with one address and port is had.
//!
//! Calico's order, made definite: BGPPeers of all nodes, BGPPeers of some nodes, mirrors, and last the mesh; each
//! in the order of names. The first wins. Where a person has written two things of which one has no effect,
//! the object that lost says so; that a mirror or a mesh session yields is how it is meant, but a mesh session
//! that yields is worth a warning, because usually one of the two should not be there.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::{IpAddr, SocketAddr};

use super::session::{Session, SessionOrigin};
use crate::catalog::Resources;
use crate::manifest::Located;
use crate::model::BgpPeer;
use crate::problem::{Location, Problem};

#[derive(Default)]
pub(super) struct Candidates {
    winners: BTreeMap<(IpAddr, Option<String>, u16), Session>,
    /// By the two objects: the first address they meet at, and how many more.
    overlaps: BTreeMap<Overlap, (SocketAddr, usize)>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Overlap {
    winner: String,
    /// `None`: the mesh.
    loser: Option<(String, Location)>,
}

impl Candidates {
    /// Offers a session, in order of precedence. `peer` is the BGPPeer it comes from.
    pub(super) fn offer(&mut self, session: Session, peer: Option<&Located<BgpPeer>>) {
        let socket = SocketAddr::new(session.address, session.port);
        match self.winners.entry((session.address, session.interface.clone(), session.port)) {
            Entry::Vacant(vacant) => {
                vacant.insert(session);
            }
            Entry::Occupied(occupied) => {
                let winner = occupied.get().bgp_peer.clone().unwrap_or_default();
                let loser = match session.origin {
                    SessionOrigin::Reverse => return,
                    SessionOrigin::Mesh => None,
                    SessionOrigin::Global | SessionOrigin::Node => {
                        peer.map(|peer| (peer.metadata.name.clone(), peer.location.clone()))
                    }
                };
                let overlap = self.overlaps.entry(Overlap { winner, loser }).or_insert((socket, 0));
                overlap.1 += 1;
            }
        }
    }

    /// The sessions that are had, and a warning for each pair of objects that overlap.
    pub(super) fn resolve(self, resources: &Resources) -> (Vec<Session>, Vec<Problem>) {
        let warning = |(overlap, (socket, count)): (Overlap, (SocketAddr, usize))| {
            let winner = resources.bgp_peers.get(&overlap.winner)?;
            let more = if count > 1 { format!(" and at {} more", count - 1) } else { String::new() };
            Some(match overlap.loser {
                Some((name, location)) => {
                    let message = format!(
                        "BGPPeer {} has the session with {socket}{more} already, so BGPPeer {name} has no effect \
                         there: change or remove one",
                        overlap.winner
                    );
                    Problem::warning(location, "", message).and(winner.location.clone())
                }
                None => {
                    let message = format!(
                        "BGPPeer {} takes the place of the mesh session with {socket}{more}: if that is not meant, \
                         remove it or switch the mesh off",
                        overlap.winner
                    );
                    Problem::warning(winner.location.clone(), "", message)
                }
            })
        };
        let problems = self.overlaps.into_iter().filter_map(warning).collect();
        (self.winners.into_values().collect(), problems)
    }
}
