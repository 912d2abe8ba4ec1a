//! Answers the read verbs: asks the cores for their snapshots and lets `node::snapshot` word them.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bgp::PeerId;
use bgp::io::{Observer, RibHandle};
use bgp::rib::Policy;
use bgp::rib::snapshot::{PeerState, PeerSummary, PolicyDirection, RouteSelection, TrialPage, TrialPlace};
use config::catalog::Resources;
use fib::io::FibHandle;
use ipnet::IpNet;
use tokio::sync::watch;

use super::protocol::{
    FibDocument, PeersDocument, PolicyDocument, PolicyTrialDocument, RoutesDocument, StatusDocument,
};
use crate::node::NodeState;
use crate::node::{policy_trial, snapshot};

/// Routes per question to the RIB's thread, so that a long answer does not hold up routing.
const PAGE: usize = 4096;

/// Why there is no document.
#[derive(Debug)]
pub(super) struct Refusal {
    /// HTTP status.
    pub(super) status: u16,
    /// What to tell the user.
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self { status: 404, message: message.into() }
    }

    fn bad_request(message: impl Into<String>) -> Self {
        Self { status: 400, message: message.into() }
    }

    fn stopping() -> Self {
        Self { status: 503, message: "the daemon is stopping".to_owned() }
    }
}

/// The ways to the cores.
pub(super) struct Agent {
    /// Set once at the start.
    pub(super) started: Instant,
    /// Whether kernel routes are written.
    pub(super) fib_enabled: bool,
    /// The read side of the speaker; `None` with BGP switched off. Nothing that the speaker does keeps it waiting.
    pub(super) observer: Option<Observer>,
    pub(super) rib: RibHandle,
    pub(super) fib: FibHandle,
    pub(super) bgp_in_sync: Arc<AtomicBool>,
    pub(super) state: watch::Receiver<Arc<NodeState>>,
    /// What the manifests hold.
    pub(super) resources: watch::Receiver<Arc<Resources>>,
}

impl Agent {
    pub(super) async fn status(&self) -> Result<StatusDocument, Refusal> {
        let peers = self.peer_snapshots().await;
        let listeners = self.observer.as_ref().map(Observer::listeners).unwrap_or_default();
        let rib = self.rib.query(bgp::rib::Rib::summary).await.ok_or_else(Refusal::stopping)?;
        let fib = self.fib.summary().await.map_err(|_| Refusal::stopping())?;
        let state = Arc::clone(&self.state.borrow());
        let inputs = snapshot::StatusInputs {
            state: &state,
            uptime_secs: self.started.elapsed().as_secs(),
            peers: &peers,
            listeners: &listeners,
            rib: &rib,
            fib: &fib,
            fib_enabled: self.fib_enabled,
            bgp_in_sync: self.bgp_in_sync.load(Ordering::Relaxed),
        };
        Ok(snapshot::status(&inputs))
    }

    pub(super) async fn peers(&self, name: Option<&str>) -> Result<PeersDocument, Refusal> {
        let sessions = self.peer_snapshots().await;
        let routes = self.rib.query(bgp::rib::Rib::peers).await.ok_or_else(Refusal::stopping)?;
        let state = Arc::clone(&self.state.borrow());
        let mut peers = snapshot::peers(&sessions, &routes, &state);
        if let Some(name) = name {
            peers.retain(|peer| {
                peer.name == name || peer.address.is_some_and(|address| address.to_string() == name)
            });
            if peers.is_empty() {
                let message = format!("no peer has the name or address '{name}': `manx peers` lists them");
                return Err(Refusal::not_found(message));
            }
        }
        let dynamic = match (name, &self.observer) {
            (None, Some(observer)) => snapshot::dynamic(&observer.dynamic()),
            (Some(_), _) | (None, None) => Vec::new(),
        };
        Ok(PeersDocument { peers, dynamic })
    }

    pub(super) async fn routes(
        &self,
        prefix: Option<&str>,
        received: Option<&str>,
        advertised: Option<&str>,
    ) -> Result<RoutesDocument, Refusal> {
        let selection = prefix.map(parse_selection).transpose()?;
        let document = match (received, advertised) {
            (Some(_), Some(_)) => {
                Err(Refusal::bad_request("ask for received or for advertised routes, not for both"))
            }
            (Some(peer), None) => self.received(self.peer_id(peer).await?, selection).await,
            (None, Some(peer)) => self.advertised(self.peer_id(peer).await?, selection).await,
            (None, None) => self.table(selection).await,
        }?;
        match prefix {
            Some(prefix) if document.routes.is_empty() => Err(Refusal::not_found(no_route(prefix))),
            Some(_) | None => Ok(document),
        }
    }

    pub(super) async fn fib(&self) -> Result<FibDocument, Refusal> {
        let fib = self.fib.snapshot().await.map_err(|_| Refusal::stopping())?;
        Ok(snapshot::fib(&fib, self.fib_enabled))
    }

    /// Defects that ended the task of a peer.
    pub(super) fn task_failures(&self) -> u64 {
        self.observer.as_ref().map_or(0, Observer::task_failures)
    }

    /// What these manifests would change if they stood in the files.
    pub(super) async fn try_policy(&self, manifests: &str) -> Result<PolicyTrialDocument, Refusal> {
        let objects = policy_trial::objects(manifests).map_err(Refusal::bad_request)?;
        let (resources, state) = (Arc::clone(&self.resources.borrow()), Arc::clone(&self.state.borrow()));
        let changed = policy_trial::changed(&state, &resources, &objects).map_err(Refusal::bad_request)?;
        let mut document = PolicyTrialDocument::default();
        for (peer, name) in self.up_peers().await? {
            let Some((import, export)) = changed.get(&name) else { continue };
            for (direction, policy) in [(PolicyDirection::Import, import), (PolicyDirection::Export, export)]
            {
                let page = self.trial(peer, direction, Some(Arc::clone(policy))).await?;
                document.trials.push(policy_trial::document(&name, direction, page));
            }
        }
        Ok(document)
    }

    /// Which rules decide how much.
    pub(super) async fn policy(&self) -> Result<PolicyDocument, Refusal> {
        let state = Arc::clone(&self.state.borrow());
        let mut document = PolicyDocument::default();
        for (peer, name) in self.up_peers().await? {
            let Some((import, export)) = policy_trial::in_force(&state, &name) else { continue };
            for (direction, policy) in [(PolicyDirection::Import, import), (PolicyDirection::Export, export)]
            {
                if policy.is_empty() {
                    continue;
                }
                let page = self.trial(peer, direction, None).await?;
                document.rules.extend(policy_trial::rules(&name, direction, &policy, &page));
            }
        }
        Ok(document)
    }

    async fn trial(
        &self,
        peer: PeerId,
        direction: PolicyDirection,
        policy: Option<Arc<Policy>>,
    ) -> Result<TrialPage, Refusal> {
        let mut all = TrialPage::default();
        let mut next = Some(TrialPlace::default());
        while let Some(from) = next {
            let policy = policy.clone();
            let count = u32::try_from(PAGE).unwrap_or(u32::MAX);
            let question =
                move |rib: &bgp::rib::Rib| rib.try_policy(peer, direction, policy.as_ref(), from, count);
            let page = self.rib.query(question).await.ok_or_else(Refusal::stopping)?;
            next = page.next;
            all.add(page);
        }
        Ok(all)
    }

    async fn up_peers(&self) -> Result<Vec<(PeerId, String)>, Refusal> {
        let peers = self.rib.query(bgp::rib::Rib::peers).await.ok_or_else(Refusal::stopping)?;
        let up = peers.into_iter().filter(|peer| peer.state == PeerState::Up);
        Ok(up.map(|peer| (peer.peer, peer.name)).collect())
    }

    async fn peer_snapshots(&self) -> Vec<bgp::peer::PeerSnapshot> {
        match &self.observer {
            Some(observer) => observer.peers().await,
            None => Vec::new(),
        }
    }

    async fn peer_id(&self, name: &str) -> Result<PeerId, Refusal> {
        let peers = self.rib.query(bgp::rib::Rib::peers).await.ok_or_else(Refusal::stopping)?;
        let is_named = |peer: &&PeerSummary| peer.name == name || peer.address.to_string() == name;
        peers.iter().find(is_named).map(|peer| peer.peer).ok_or_else(|| {
            Refusal::not_found(format!(
                "no peer with the name or address '{name}' has had a session yet: see `manx peers`"
            ))
        })
    }

    async fn table(&self, selection: Option<RouteSelection>) -> Result<RoutesDocument, Refusal> {
        let mut document = RoutesDocument::default();
        let mut next = Some(selection.unwrap_or(RouteSelection::All { after: None }));
        while let Some(selection) = next.take() {
            let question = move |rib: &bgp::rib::Rib| rib.routes(&selection, PAGE);
            let page = self.rib.query(question).await.ok_or_else(Refusal::stopping)?;
            document.routes.extend(page.routes.iter().map(snapshot::route));
            next = page.next.map(|after| RouteSelection::All { after: Some(after) });
        }
        Ok(document)
    }

    async fn received(
        &self,
        peer: PeerId,
        selection: Option<RouteSelection>,
    ) -> Result<RoutesDocument, Refusal> {
        let mut document = self.table(selection).await?;
        let question = move |rib: &bgp::rib::Rib| {
            rib.peers().into_iter().find(|summary| summary.peer == peer).map(|summary| summary.name)
        };
        let name = self.rib.query(question).await.flatten().ok_or_else(Refusal::stopping)?;
        for route in &mut document.routes {
            route.paths.retain(|path| path.source == name);
        }
        document.routes.retain(|route| !route.paths.is_empty());
        Ok(document)
    }

    async fn advertised(
        &self,
        peer: PeerId,
        selection: Option<RouteSelection>,
    ) -> Result<RoutesDocument, Refusal> {
        let mut document = RoutesDocument::default();
        let mut after = None;
        loop {
            let question = move |rib: &bgp::rib::Rib| rib.advertised(peer, after, PAGE);
            let page = self.rib.query(question).await.ok_or_else(Refusal::stopping)?;
            snapshot::add_advertised(&mut document, &page.routes);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        match selection {
            None | Some(RouteSelection::All { .. }) => {}
            Some(RouteSelection::Exact(prefix)) => document.routes.retain(|route| route.prefix == prefix),
            Some(RouteSelection::LongestMatch(target)) => {
                let longest = document
                    .routes
                    .iter()
                    .map(|route| route.prefix)
                    .filter(|prefix| prefix.contains(&target));
                let longest = longest.max_by_key(IpNet::prefix_len);
                document.routes.retain(|route| Some(route.prefix) == longest);
            }
        }
        Ok(document)
    }
}

/// A prefix means exactly that prefix, an address the route that packets to it take.
fn parse_selection(text: &str) -> Result<RouteSelection, Refusal> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(RouteSelection::LongestMatch(address.into()));
    }
    text.parse::<IpNet>().map(|prefix| RouteSelection::Exact(prefix.trunc())).map_err(|_| {
        Refusal::bad_request(format!("'{text}' is no address and no prefix: write 10.0.0.1 or 10.0.0.0/24"))
    })
}

fn no_route(asked: &str) -> String {
    match asked.split_once('/') {
        Some((address, _)) => {
            format!("no route for exactly {asked}: `manx routes {address}` asks for the one that covers it")
        }
        None => format!("no route covers {asked}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_asks_for_the_longest_match_a_prefix_for_itself() {
        let host: IpNet = "10.0.0.1/32".parse().unwrap();
        assert_eq!(parse_selection("10.0.0.1").unwrap(), RouteSelection::LongestMatch(host));
        let net: IpNet = "2001:db8::/32".parse().unwrap();
        assert_eq!(parse_selection("2001:db8::1/32").unwrap(), RouteSelection::Exact(net));
        assert_eq!(parse_selection("tor").unwrap_err().status, 400);
    }
}
