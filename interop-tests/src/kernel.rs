//! What the kernel of a host really holds, as `ip -j` tells it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use anyhow::{Context, Result, bail};
use ipnet::IpNet;
use serde_json::Value;

use crate::host::Host;

/// The number that manx marks its routes with (`rtm_protocol`).
pub const PROTOCOL_MANX: u32 = 109;
/// The number of BIRD's routes.
pub const PROTOCOL_BIRD: u32 = 12;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The option of `ip` and `ping`.
    #[must_use]
    pub fn flag(self) -> &'static str {
        match self {
            Self::V4 => "-4",
            Self::V6 => "-6",
        }
    }

    /// That of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// A route of the main table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelRoute {
    /// Where to.
    pub destination: IpNet,
    /// `unicast`, `blackhole`, …
    pub kind: String,
    /// `rtm_protocol`.
    pub protocol: u32,
    /// The priority; 0 when the kernel shows none.
    pub metric: u32,
    /// Every next hop: the gateway (none for a connected one) and the device.
    pub next_hops: BTreeSet<(Option<IpAddr>, String)>,
}

impl KernelRoute {
    /// The gateways alone.
    #[must_use]
    pub fn gateways(&self) -> BTreeSet<IpAddr> {
        self.next_hops.iter().filter_map(|(gateway, _)| *gateway).collect()
    }
}

/// The main table's routes of one protocol.
///
/// # Errors
/// When `ip` fails or says something unknown.
pub fn routes(host: &Host, family: Family, protocol: u32) -> Result<Vec<KernelRoute>> {
    let text =
        host.run(&["ip", "-N", "-j", family.flag(), "route", "show", "proto", &protocol.to_string()])?;
    parse_routes(&text, family)
}

/// The destinations that manx has in the kernel as unicast routes, of one family.
///
/// # Errors
/// As [`routes`].
pub fn learned(host: &Host, family: Family) -> Result<BTreeSet<IpNet>> {
    Ok(learned_routes(host, family)?.into_iter().map(|route| route.destination).collect())
}

/// The unicast routes of manx: what it learned, without the blackholes of its own blocks.
///
/// # Errors
/// As [`routes`].
pub fn learned_routes(host: &Host, family: Family) -> Result<Vec<KernelRoute>> {
    let mut all = routes(host, family, PROTOCOL_MANX)?;
    all.retain(|route| route.kind == "unicast");
    Ok(all)
}

fn parse_routes(json: &str, family: Family) -> Result<Vec<KernelRoute>> {
    if json.trim().is_empty() {
        return Ok(Vec::new());
    }
    let entries: Vec<Value> = serde_json::from_str(json).context("ip -j route")?;
    entries.iter().map(|entry| parse_route(entry, family)).collect()
}

fn parse_route(entry: &Value, family: Family) -> Result<KernelRoute> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    let destination = parse_destination(text("dst").context("a route without dst")?, family)?;
    let protocol = text("protocol").map_or(Ok(0), str::parse).context("protocol")?;
    let metric = entry.get("metric").and_then(Value::as_u64).unwrap_or(0);
    let next_hops = match entry.get("nexthops").and_then(Value::as_array) {
        Some(hops) => hops.iter().map(parse_next_hop).collect::<Result<_>>()?,
        None => BTreeSet::from([parse_next_hop(entry)?]),
    };
    Ok(KernelRoute {
        destination,
        kind: kind_name(text("type").unwrap_or("unicast")).to_owned(),
        protocol,
        metric: u32::try_from(metric)?,
        next_hops,
    })
}

fn parse_next_hop(entry: &Value) -> Result<(Option<IpAddr>, String)> {
    let gateway = match (entry.get("gateway"), entry.get("via").and_then(|via| via.get("host"))) {
        (Some(Value::String(address)), _) | (None, Some(Value::String(address))) => Some(address.parse()?),
        (None, None) => None,
        _ => bail!("gateway of {entry}"),
    };
    let device = entry.get("dev").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok((gateway, device))
}

/// `ip -N` writes the numbers of rtnetlink's `rtm_type`.
pub(crate) fn kind_name(number: &str) -> &str {
    match number {
        "1" => "unicast",
        "2" => "local",
        "3" => "broadcast",
        "4" => "anycast",
        "5" => "multicast",
        "6" => "blackhole",
        "7" => "unreachable",
        "8" => "prohibit",
        "9" => "throw",
        other => other,
    }
}

/// `ip` writes a host route without its length and the default route as a word.
pub(crate) fn parse_destination(text: &str, family: Family) -> Result<IpNet> {
    match (text, family) {
        ("default", Family::V4) => Ok("0.0.0.0/0".parse()?),
        ("default", Family::V6) => Ok("::/0".parse()?),
        _ if text.contains('/') => text.parse().with_context(|| format!("destination {text}")),
        _ => Ok(IpNet::from(text.parse::<IpAddr>().with_context(|| format!("destination {text}"))?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_ip_writes() {
        let json = r#"[{"dst":"default","gateway":"10.0.0.1","dev":"eth0","protocol":"3","flags":[]},
            {"type":"6","dst":"10.64.0.0/26","protocol":"109","metric":1024,"flags":[]},
            {"dst":"10.64.0.64/26","protocol":"109","metric":1024,"flags":[],"nexthops":[
              {"gateway":"10.0.1.2","dev":"tor","weight":1,"flags":[]},
              {"via":{"family":"inet6","host":"fe80::1"},"dev":"spine","weight":1,"flags":[]}]},
            {"dst":"10.64.0.1","dev":"cali0","protocol":"3","scope":"253","flags":[]}]"#;
        let routes = parse_routes(json, Family::V4).unwrap();
        let shown: Vec<_> = routes
            .iter()
            .map(|route| format!("{} {} {} {}", route.kind, route.destination, route.protocol, route.metric))
            .collect();
        assert_eq!(
            shown,
            [
                "unicast 0.0.0.0/0 3 0",
                "blackhole 10.64.0.0/26 109 1024",
                "unicast 10.64.0.64/26 109 1024",
                "unicast 10.64.0.1/32 3 0"
            ]
        );
        assert_eq!(routes[2].gateways().len(), 2);
        assert_eq!(routes[3].next_hops, BTreeSet::from([(None, "cali0".to_owned())]));
    }
}
