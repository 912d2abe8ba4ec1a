//! The fake kernel itself. What it does was watched on Linux 6.18 (`ip monitor link route` in a namespace)
//! and is described in `held.rs`.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::Write,
    net::IpAddr,
};

use ipnet::IpNet;

use super::text;
use crate::{
    FibEffect, FibEvent, LinkState, NextHop, Outcome, PROTOCOL, Route, RouteKey, RouteKind,
    ownership::{TABLE_LOCAL, TABLE_MAIN},
};

const ENETDOWN: i32 = 100;
const ENETUNREACH: i32 = 101;

/// A network namespace's routes.
///
/// `ip` changes it as an administrator or another daemon would, `apply` as the FIB's own writer would (whose
/// echoes are not notified), `take_notifications` is what the monitor hears, `scan` is a full dump, and `show`
/// prints what `ip route show` would.
#[derive(Clone, Debug, Default)]
pub struct FakeKernel {
    links: BTreeMap<u32, LinkState>,
    addresses: BTreeSet<(u32, IpNet)>,
    routes: Vec<Route>,
    notifications: VecDeque<FibEvent>,
    refused: BTreeMap<IpNet, i32>,
    writes: Vec<String>,
}

impl FakeKernel {
    /// A namespace with these links, up, and these addresses on them.
    ///
    /// # Panics
    /// If an address does not parse: the test is wrong.
    #[must_use]
    pub fn with_links(links: &[(&str, &[&str])]) -> Self {
        let mut kernel = Self::default();
        for (index, (name, addresses)) in (2..).zip(links) {
            kernel.add_link(index, name);
            for address in *addresses {
                match address.parse() {
                    Ok(address) => kernel.add_address(index, address),
                    #[expect(clippy::panic, reason = "a test helper")]
                    Err(error) => panic!("{address}: {error}"),
                }
            }
        }
        kernel
    }

    /// Adds a link that is up.
    pub fn add_link(&mut self, index: u32, name: &str) {
        let link = LinkState { index, name: name.to_owned(), admin_up: true, up: true };
        self.links.insert(index, link.clone());
        self.notify(FibEvent::Link(link));
    }

    /// `ip address add`: a local route and a connected route.
    pub fn add_address(&mut self, index: u32, address: IpNet) {
        self.addresses.insert((index, address));
        self.add_local(index, address);
        self.add_connected(index, address);
    }

    /// `ip address del`: the two routes of [`Kernel::add_address`] go, and with the last IPv4 address of a link, in
    /// silence, every IPv4 route over it (`fib_disable_ip`).
    pub fn delete_address(&mut self, index: u32, address: IpNet) {
        if !self.addresses.remove(&(index, address)) {
            return;
        }
        let own = [(TABLE_MAIN, address.trunc()), (TABLE_LOCAL, IpNet::from(address.addr()))];
        for (table, prefix) in own {
            let is_it = |route: &Route| {
                route.key.table == table
                    && route.key.prefix == prefix
                    && route.next_hops.iter().all(|hop| hop.ifindex == index && hop.gateway.is_none())
            };
            if let Some(at) = self.routes.iter().position(is_it) {
                let gone = self.routes.remove(at);
                self.notify(FibEvent::ActualGone(gone));
            }
        }
        let is_v4 = |address: &IpNet| matches!(address, IpNet::V4(_));
        if is_v4(&address) && !self.addresses.iter().any(|(on, other)| *on == index && is_v4(other)) {
            self.routes
                .retain(|route| is_v6(route) || route.next_hops.iter().all(|hop| hop.ifindex != index));
        }
    }

    /// `ip link set NAME up|down`.
    pub fn set_admin(&mut self, index: u32, up: bool) {
        let Some(link) = self.links.get_mut(&index) else { return };
        if link.admin_up == up {
            return;
        }
        (link.admin_up, link.up) = (up, up);
        let link = link.clone();
        self.notify(FibEvent::Link(link));
        if up {
            let mine: Vec<IpNet> =
                self.addresses.iter().filter(|(on, _)| *on == index).map(|(_, address)| *address).collect();
            for address in mine {
                self.add_connected(index, address);
            }
        } else {
            self.flush_dead();
        }
    }

    /// The cable is pulled or plugged: routes stay.
    pub fn set_carrier(&mut self, index: u32, carrier: bool) {
        let Some(link) = self.links.get_mut(&index) else { return };
        if link.admin_up && link.up != carrier {
            link.up = carrier;
            let link = link.clone();
            self.notify(FibEvent::Link(link));
        }
    }

    /// `ip link delete`.
    pub fn delete_link(&mut self, index: u32) {
        self.set_admin(index, false);
        if self.links.remove(&index).is_none() {
            return;
        }
        self.addresses.retain(|(on, _)| *on != index);
        for route in std::mem::take(&mut self.routes) {
            let (lost, mut kept): (Vec<NextHop>, Vec<NextHop>) =
                route.next_hops.iter().partition(|hop| hop.ifindex == index);
            if lost.is_empty() {
                self.routes.push(route);
                continue;
            }
            if is_v6(&route) || route.key.table == TABLE_LOCAL {
                self.notify(FibEvent::ActualGone(Route { next_hops: lost.into(), ..route.clone() }));
            }
            if is_v6(&route) && !kept.is_empty() {
                if let [only] = kept.as_mut_slice() {
                    only.weight = 1;
                }
                self.routes.push(Route { next_hops: kept.into(), ..route });
            }
        }
        self.notify(FibEvent::LinkGone(index));
    }

    /// `ip route add|append|replace|del …` by somebody else.
    ///
    /// # Errors
    /// iproute2's words for what it refuses.
    pub fn ip(&mut self, command: &str) -> Result<(), String> {
        let (verb, words) = command.split_once(' ').ok_or("no verb")?;
        let links: BTreeMap<String, u32> = self.links.values().map(|l| (l.name.clone(), l.index)).collect();
        let route = text::parse(words, |name| links.get(name).copied())?;
        let first = self.routes.iter().position(|held| held.key == route.key);
        match verb {
            "add" if first.is_some() => Err("RTNETLINK answers: File exists".to_owned()),
            "add" => self.insert(route, false),
            "append" if self.routes.contains(&route) => Err("RTNETLINK answers: File exists".to_owned()),
            "append" => self.insert(route, true),
            // Linux, fib_table_insert: the same route elsewhere than first is in the way.
            "replace" if self.routes.iter().skip(first.map_or(0, |at| at + 1)).any(|held| *held == route) => {
                Err("RTNETLINK answers: File exists".to_owned())
            }
            "replace" => match first.and_then(|at| self.routes.get_mut(at)) {
                Some(held) => {
                    held.clone_from(&route);
                    self.notify(FibEvent::ActualReplaced(route));
                    Ok(())
                }
                None => self.insert(route, false),
            },
            "del" => {
                let at = self.routes.iter().position(|held| {
                    held.key == route.key && (route.next_hops.is_empty() || held.next_hops == route.next_hops)
                });
                let at = at.ok_or("RTNETLINK answers: No such process")?;
                let gone = self.routes.remove(at);
                self.notify(FibEvent::ActualGone(gone));
                Ok(())
            }
            other => Err(format!("unknown verb {other}")),
        }
    }

    /// From now on the prefix is refused with this errno; 0 allows it again.
    pub fn refuse(&mut self, prefix: IpNet, errno: i32) {
        if errno == 0 {
            self.refused.remove(&prefix);
        } else {
            self.refused.insert(prefix, errno);
        }
    }

    /// Lifts every refusal.
    pub fn refuse_nothing(&mut self) {
        self.refused.clear();
    }

    /// What the FIB's writer does with an effect.
    ///
    /// # Panics
    /// If the effect is not a write, or touches a route that is not the FIB's: the property everything else
    /// rests on.
    pub fn apply(&mut self, effect: &FibEffect) -> Outcome {
        let (verb, route) = match effect {
            FibEffect::Create(route) => ("add", route),
            FibEffect::Replace(route) => ("replace", route),
            FibEffect::Remove(route) => ("del", route),
            #[expect(clippy::panic, reason = "a test helper")]
            FibEffect::NextHop(_) | FibEffect::Scan => panic!("not a write: {effect:?}"),
        };
        assert_eq!(route.protocol, PROTOCOL, "writes under our protocol only");
        self.writes.push(format!("{verb} {}", self.render(route)));
        if let Some(errno) = self.refused.get(&route.key.prefix) {
            return Outcome::Failed { errno: *errno, message: "told to refuse".to_owned() };
        }
        let first = self.routes.iter().position(|held| held.key == route.key);
        match (effect, first) {
            (FibEffect::Create(_), Some(_)) => Outcome::Exists,
            (FibEffect::Create(_), None) => self.check(route).unwrap_or_else(|| {
                self.routes.push(route.clone());
                Outcome::Done
            }),
            (FibEffect::Replace(_), None) => Outcome::Missing,
            (FibEffect::Replace(_), Some(at)) => self.check(route).unwrap_or_else(|| {
                if let Some(held) = self.routes.get_mut(at) {
                    assert_eq!(held.protocol, PROTOCOL, "replaced a foreign route: {held:?}");
                    held.clone_from(route);
                }
                Outcome::Done
            }),
            (FibEffect::Remove(_) | FibEffect::NextHop(_) | FibEffect::Scan, _) => {
                let Some(at) = self.routes.iter().position(|held| held == route) else {
                    return Outcome::Missing;
                };
                self.routes.remove(at);
                Outcome::Done
            }
        }
    }

    /// The writes asked for since the last call, as `add 10.9.0.0/24 via …`.
    pub fn take_writes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.writes)
    }

    /// What the monitor hears, oldest first.
    pub fn take_notifications(&mut self) -> Vec<FibEvent> {
        self.notifications.drain(..).collect()
    }

    /// A full dump, framed.
    #[must_use]
    pub fn scan(&self) -> Vec<FibEvent> {
        let mut events = vec![FibEvent::ScanStarted];
        events.extend(self.links.values().cloned().map(FibEvent::Link));
        events.extend(self.routes.iter().cloned().map(FibEvent::Actual));
        events.push(FibEvent::ScanDone);
        events
    }

    /// `ip route show proto P`, sorted; all but table local with no protocol given.
    #[must_use]
    pub fn show(&self, protocol: Option<u8>) -> String {
        let mut routes: Vec<&Route> = self
            .routes
            .iter()
            .filter(|route| protocol.map_or(route.key.table != TABLE_LOCAL, |p| route.protocol == p))
            .collect();
        routes.sort_by_key(|route| route.key);
        routes.iter().fold(String::new(), |mut text, route| {
            let _ = writeln!(text, "{}", self.render(route));
            text
        })
    }

    /// Every route, in the kernel's order.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The link, if it exists.
    #[must_use]
    pub fn link(&self, index: u32) -> Option<&LinkState> {
        self.links.get(&index)
    }

    fn render(&self, route: &Route) -> String {
        text::render(route, |index| {
            self.links.get(&index).map_or_else(|| format!("if{index}"), |link| link.name.clone())
        })
    }

    fn notify(&mut self, event: FibEvent) {
        self.notifications.push_back(event);
    }

    fn insert(&mut self, route: Route, append: bool) -> Result<(), String> {
        if let Some(Outcome::Failed { message, .. }) = self.check(&route) {
            return Err(message);
        }
        let group = self.routes.iter_mut().find(|held| {
            append && held.key == route.key && is_v6(held) && groupable(held) && groupable(&route)
        });
        let Some(held) = group else {
            self.routes.push(route.clone());
            self.notify(FibEvent::Actual(route));
            return Ok(());
        };
        for hop in route.next_hops {
            if !held.next_hops.contains(&hop) {
                held.next_hops.push(hop);
            }
        }
        held.next_hops.sort_unstable();
        let merged = held.clone();
        self.notify(FibEvent::Actual(merged));
        Ok(())
    }

    /// Why Linux would refuse a new route, if it would.
    fn check(&self, route: &Route) -> Option<Outcome> {
        let refuse = |errno, message: &str| Some(Outcome::Failed { errno, message: message.to_owned() });
        for hop in &route.next_hops {
            if !self.links.get(&hop.ifindex).is_some_and(|link| link.admin_up) {
                return refuse(ENETDOWN, "Nexthop device is not up");
            }
            let Some(gateway) = hop.gateway else { continue };
            // `ip6_validate_gw`: a link-local gateway is where its link says.
            if matches!(gateway, IpAddr::V6(gateway) if gateway.is_unicast_link_local()) {
                continue;
            }
            let connected = self.routes.iter().any(|held| {
                held.key.table == TABLE_MAIN
                    && held.kind == RouteKind::Unicast
                    && held.key.prefix.contains(&gateway)
                    && held.next_hops.iter().any(|h| h.gateway.is_none() && h.ifindex == hop.ifindex)
            });
            if !connected && !hop.onlink {
                return refuse(ENETUNREACH, "Nexthop has invalid gateway");
            }
        }
        None
    }

    fn add_local(&mut self, index: u32, address: IpNet) {
        let prefix = IpNet::from(address.addr());
        let key = RouteKey { table: TABLE_LOCAL, prefix, metric: 0 };
        self.kernel_route(key, RouteKind::Local, index);
    }

    fn add_connected(&mut self, index: u32, address: IpNet) {
        let metric = if address.addr().is_ipv6() { 256 } else { 0 };
        let key = RouteKey { table: TABLE_MAIN, prefix: address.trunc(), metric };
        self.kernel_route(key, RouteKind::Unicast, index);
    }

    fn kernel_route(&mut self, key: RouteKey, kind: RouteKind, ifindex: u32) {
        let hop = NextHop { gateway: None, ifindex, onlink: false, weight: 1 };
        let route = Route {
            key,
            kind,
            protocol: 2,
            next_hops: [hop].into_iter().collect(),
            source: None,
            object: None,
        };
        if !self.routes.contains(&route) {
            self.routes.push(route.clone());
            self.notify(FibEvent::Actual(route));
        }
    }

    /// What a link takes along when it goes down.
    fn flush_dead(&mut self) {
        for route in std::mem::take(&mut self.routes) {
            let dead = !route.next_hops.is_empty()
                && route
                    .next_hops
                    .iter()
                    .all(|hop| !self.links.get(&hop.ifindex).is_some_and(|l| l.admin_up));
            if !dead || route.key.table == TABLE_LOCAL {
                self.routes.push(route);
            } else if is_v6(&route) {
                self.notify(FibEvent::ActualGone(route));
            }
        }
    }
}

fn is_v6(route: &Route) -> bool {
    matches!(route.key.prefix, IpNet::V6(_))
}

fn groupable(route: &Route) -> bool {
    route.kind == RouteKind::Unicast && route.next_hops.iter().all(|hop| hop.gateway.is_some())
}
