//! Routes as iproute2 writes them, both ways.

use std::{fmt::Write, net::IpAddr};

use ipnet::IpNet;
use smallvec::SmallVec;

use crate::{
    NextHop, PROTOCOL, Route, RouteKey, RouteKind,
    ownership::{TABLE_MAIN, protocol_name},
};

/// `10.9.0.0/24 via 10.0.0.2 dev eth0 proto static metric 5`, or several ways with `nexthop` before each.
/// Tables, protocols and metrics as numbers or iproute2's names.
pub(super) fn parse(words: &str, link: impl Fn(&str) -> Option<u32>) -> Result<Route, String> {
    let mut words = words.split_whitespace().peekable();
    let kind = match words.peek().copied() {
        Some("blackhole") => RouteKind::Blackhole,
        Some("local") => RouteKind::Local,
        Some("unreachable" | "prohibit" | "throw" | "broadcast") => RouteKind::Other,
        Some(_) | None => RouteKind::Unicast,
    };
    if kind != RouteKind::Unicast {
        words.next();
    }
    let prefix = prefix(words.next().ok_or("no prefix")?)?;
    let metric = if matches!(prefix, IpNet::V6(_)) { 1024 } else { 0 };
    let mut route = Route {
        key: RouteKey { table: TABLE_MAIN, prefix, metric },
        kind,
        protocol: 3,
        next_hops: SmallVec::new(),
        source: None,
        object: None,
    };
    while let Some(word) = words.next() {
        if word == "nexthop" {
            route.next_hops.push(NextHop { gateway: None, ifindex: 0, onlink: false, weight: 1 });
            continue;
        }
        if word == "onlink" {
            hop(&mut route).onlink = true;
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word {
            "via" => hop(&mut route).gateway = Some(value.parse().map_err(|e| format!("{value}: {e}"))?),
            "dev" => hop(&mut route).ifindex = link(value).ok_or_else(|| format!("no link {value}"))?,
            "weight" => hop(&mut route).weight = number(value)?,
            "metric" => route.key.metric = number(value)?,
            "table" => route.key.table = number(value)?,
            "proto" => route.protocol = protocol(value)?,
            "src" => route.source = Some(value.parse().map_err(|e| format!("{value}: {e}"))?),
            other => return Err(format!("unknown word {other}")),
        }
    }
    if kind == RouteKind::Blackhole {
        route.next_hops.clear();
    }
    route.next_hops.sort_unstable();
    Ok(route)
}

/// One line of `ip route show`.
pub(super) fn render(route: &Route, link: impl Fn(u32) -> String) -> String {
    let mut line = String::new();
    match route.kind {
        RouteKind::Unicast => {}
        RouteKind::Blackhole => line.push_str("blackhole "),
        RouteKind::Local => line.push_str("local "),
        RouteKind::Other => line.push_str("unreachable "),
    }
    let _ = write!(line, "{}", route.key.prefix);
    let way = |hop: &NextHop| {
        let mut text = String::new();
        if let Some(gateway) = hop.gateway {
            let _ = write!(text, " via {gateway}");
        }
        let _ = write!(text, " dev {}", link(hop.ifindex));
        if hop.onlink {
            text.push_str(" onlink");
        }
        text
    };
    if let [only] = route.next_hops.as_slice() {
        line.push_str(&way(only));
    }
    if route.key.table != TABLE_MAIN {
        let _ = write!(line, " table {}", route.key.table);
    }
    let protocol = if route.protocol == PROTOCOL {
        PROTOCOL.to_string()
    } else {
        protocol_name(route.protocol).into_owned()
    };
    let _ = write!(line, " proto {protocol}");
    if route.key.metric != 0 {
        let _ = write!(line, " metric {}", route.key.metric);
    }
    if let [_, _, ..] = route.next_hops.as_slice() {
        for hop in &route.next_hops {
            let _ = write!(line, " nexthop{} weight {}", way(hop), hop.weight);
        }
    }
    line
}

fn hop(route: &mut Route) -> &mut NextHop {
    if route.next_hops.is_empty() {
        route.next_hops.push(NextHop { gateway: None, ifindex: 0, onlink: false, weight: 1 });
    }
    let last = route.next_hops.len().saturating_sub(1);
    #[expect(clippy::indexing_slicing, reason = "not empty, see above")]
    &mut route.next_hops[last]
}

fn prefix(word: &str) -> Result<IpNet, String> {
    let word = if word == "default" { "0.0.0.0/0" } else { word };
    word.parse::<IpNet>()
        .map(|net| net.trunc())
        .or_else(|_| word.parse::<IpAddr>().map(IpNet::from))
        .map_err(|e| format!("{word}: {e}"))
}

fn number<N: std::str::FromStr>(word: &str) -> Result<N, String> {
    word.parse().map_err(|_| format!("{word} is not a number"))
}

fn protocol(word: &str) -> Result<u8, String> {
    (0..=u8::MAX)
        .find(|number| protocol_name(*number) == word || number.to_string() == word)
        .ok_or_else(|| format!("unknown protocol {word}"))
}
