//! One route with everything that was decided about it: what each path was before policy, and what became of the
//! route towards every peer. Works it all out anew, from the same functions that decide.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::super::Rib;
use super::super::event::{ExportAction, ExportPolicy};
use super::super::export::Withheld;
use super::super::family::Prefix;
use super::super::path::{Path, Slot};
use super::super::policy::{Facts, PolicyRoute, SourceMatch};
use super::super::session::{PeerEntry, SourceTerms};
use super::super::table::{Destination, PrefixId, Table};
use super::{AttributesSnapshot, PathSnapshot, RouteSnapshot};

/// A route and every decision about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteExplanation {
    /// With the paths in the order in which they were decided, the best one first.
    pub route: RouteSnapshot,
    /// How each of them came in, in the same order.
    pub imports: Vec<ImportExplanation>,
    /// What every peer got of it, by name.
    pub exports: Vec<ExportExplanation>,
}

/// How a path came in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportExplanation {
    /// The attributes before policy, if policy or a set bandwidth changed them.
    pub received: Option<AttributesSnapshot>,
    /// The rule of the peer's import policy that decided; `None`: no rule matches.
    pub rule: Option<String>,
}

/// What became of the route towards one peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportExplanation {
    /// The peer's name.
    pub peer: String,
    /// Its address.
    pub address: IpAddr,
    /// The rule of its export policy that decided about the best path; `None`: no rule matches, or it was not asked.
    pub rule: Option<String>,
    /// What it got.
    pub fate: ExportFate,
}

/// What a peer got of a route, or why it did not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ExportFate {
    /// It holds these, by path identifier (RFC 7911; 0 without).
    Advertised {
        /// As sent.
        paths: Vec<AttributesSnapshot>,
    },
    /// It is about to be told.
    Pending,
    /// Its session is down.
    Down,
    /// The family was not negotiated.
    Family,
    /// There is no best path.
    NoBest,
    /// The best path is its own.
    Source,
    /// Kept from it.
    Withheld {
        /// Why.
        reason: Withheld,
    },
}

impl Rib {
    /// Everything about the route to exactly this prefix, or the one that packets to it take; `None`: there is none.
    #[must_use]
    pub fn explain(&self, prefix: IpNet, is_longest: bool) -> Option<RouteExplanation> {
        match prefix {
            IpNet::V4(_) => self.explain_in(&self.v4, prefix, is_longest),
            IpNet::V6(_) => self.explain_in(&self.v6, prefix, is_longest),
        }
    }

    fn explain_in<P: Prefix>(
        &self,
        table: &Table<P>,
        prefix: IpNet,
        is_longest: bool,
    ) -> Option<RouteExplanation> {
        let route = self.find(table, prefix, is_longest)?;
        let id = table.find(P::from_net(route.prefix)?)?;
        let destination = table.get(id)?;
        let import = |shown: &PathSnapshot| {
            let is_shown = |path: &&Path| {
                let peer = self.shared.peers.get(path.source).map(|peer| peer.terms.peer);
                peer == shown.peer && path.path_id == shown.path_id
            };
            let path = destination.paths.iter().find(is_shown);
            path.map_or(ImportExplanation { received: None, rule: None }, |path| {
                self.import(route.prefix, path)
            })
        };
        let imports = route.paths.iter().map(import).collect();
        let mut exports: Vec<ExportExplanation> = self
            .shared
            .peers
            .iter()
            .filter(|(_, peer)| !peer.is_removed)
            .map(|(slot, peer)| self.export(destination, id, slot, peer))
            .collect();
        exports.sort_by(|left, right| left.peer.cmp(&right.peer));
        Some(RouteExplanation { route, imports, exports })
    }

    fn import(&self, prefix: IpNet, path: &Path) -> ImportExplanation {
        let received = path.received();
        let rule = self.shared.peers.get(path.source).and_then(|peer| {
            let attributes = &self.shared.attributes.get(received)?.attributes;
            let source = SourceMatch::Learned;
            let (peer_kind, facts) = (peer.terms.negotiated.kind, &Facts::default());
            let route = PolicyRoute { prefix, source, peer_kind, attributes, facts };
            peer.terms.import.decide(&route).end.map(|(_, rule)| rule.name.clone())
        });
        let is_changed = received != path.attributes;
        ImportExplanation { received: is_changed.then(|| self.attributes(received)).flatten(), rule }
    }

    fn export<P: Prefix>(
        &self,
        destination: &Destination<P>,
        id: PrefixId,
        slot: Slot,
        peer: &PeerEntry,
    ) -> ExportExplanation {
        let (rule, fate) = self.fate(destination, id, slot, peer);
        ExportExplanation { peer: peer.terms.name.clone(), address: peer.terms.address, rule, fate }
    }

    fn fate<P: Prefix>(
        &self,
        destination: &Destination<P>,
        id: PrefixId,
        slot: Slot,
        peer: &PeerEntry,
    ) -> (Option<String>, ExportFate) {
        static NOTHING_LEAVES: ExportPolicy =
            ExportPolicy { rules: Vec::new(), otherwise: ExportAction::Reject, communities: Vec::new() };
        let group = self.groups().find(|(_, group)| group.member(slot).is_some());
        let Some((_, group)) = group.filter(|_| peer.is_up()) else { return (None, ExportFate::Down) };
        if !group.terms.has(P::FAMILY) {
            return (None, ExportFate::Family);
        }
        let prefix = destination.prefix.to_net();
        let own_default = group.terms.own_default(destination);
        let best = own_default.or_else(|| destination.best());
        let rule = best
            .filter(|_| own_default.is_none())
            .and_then(|best| group.terms.deciding_rule(&self.shared.attributes, prefix, best));
        let sent = self.sent(slot, P::FAMILY, id);
        if !sent.is_empty() {
            let paths = sent.iter().filter_map(|(_, sent)| self.attributes(sent.attributes)).collect();
            return (rule, ExportFate::Advertised { paths });
        }
        let Some(best) = best else { return (None, ExportFate::NoBest) };
        if best.source == slot {
            return (None, ExportFate::Source);
        }
        let shared = self.config.as_ref().map_or(&NOTHING_LEAVES, |config| &config.export);
        let source = self.shared.peers.get(best.source).map(|peer| SourceTerms::of(&peer.terms));
        let withheld =
            group.terms.withheld(shared, &self.shared.attributes, P::FAMILY, (prefix, best), source);
        (rule, withheld.map_or(ExportFate::Pending, |reason| ExportFate::Withheld { reason }))
    }
}
