//! Every change to a host's routing tables while somebody watches (`ip monitor route`): how a test proves
//! that something was *not* touched.

use anyhow::{Result, ensure};
use ipnet::IpNet;

use crate::assert::wait_until;
use crate::host::Host;
use crate::kernel::{Family, kind_name, parse_destination};
use crate::process::Process;
use crate::secs;

/// Routes that only mark a place in the stream of events (RFC 5737 TEST-NET-1, a protocol nobody uses).
const FENCE: &str = "192.0.2.";
const FENCE_PROTOCOL: &str = "251";

/// One added, replaced or deleted route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteEvent {
    /// Whether it is gone; otherwise it is new or changed.
    pub deleted: bool,
    /// Which.
    pub destination: IpNet,
    /// The line of `ip monitor`.
    pub line: String,
}

/// A recording of route changes, from [`RouteMonitor::start`] to [`RouteMonitor::stop`].
#[derive(Debug)]
pub struct RouteMonitor {
    host: Host,
    process: Process,
}

impl RouteMonitor {
    /// Starts to record; what happens after the return is seen.
    ///
    /// # Errors
    /// When `ip monitor` does not start.
    pub fn start(host: &Host) -> Result<Self> {
        let process = host.spawn("ip-monitor", &["ip", "-N", "-o", "monitor", "route"])?;
        let monitor = Self { host: host.clone(), process };
        monitor.fence(1)?;
        Ok(monitor)
    }

    /// Everything that happened before the call.
    ///
    /// # Errors
    /// When the recording has ended by itself or cannot be read.
    pub fn stop(mut self) -> Result<Vec<RouteEvent>> {
        self.process.ensure_running()?;
        self.fence(2)?;
        Ok(self.process.log()?.lines().filter_map(parse_event).collect())
    }

    /// Makes the kernel say something recognisable and waits until it has arrived: all earlier events have.
    fn fence(&self, number: u8) -> Result<()> {
        let destination = format!("{FENCE}{number}");
        // The first one may come before the subscription, so it is repeated.
        wait_until("ip monitor reports a marker route", secs(5), self.host.directory(), || {
            for verb in ["replace", "del"] {
                self.host.run(&["ip", "route", verb, "blackhole", &destination, "proto", FENCE_PROTOCOL])?;
            }
            let log = self.process.log()?;
            let seen = log.lines().any(|line| line.starts_with("Deleted") && line.contains(&destination));
            ensure!(seen, "no {destination} in {} lines", log.lines().count());
            Ok(())
        })
    }
}

fn parse_event(line: &str) -> Option<RouteEvent> {
    let mut words = line.split_whitespace().peekable();
    let deleted = words.next_if_eq(&"Deleted").is_some();
    let first = words.next()?;
    // The type comes first unless it is unicast.
    let destination = if kind_name(first) == first { first } else { words.next()? };
    if destination.starts_with(FENCE) {
        return None;
    }
    let family = if line.contains(':') { Family::V6 } else { Family::V4 };
    let destination = parse_destination(destination, family).ok()?;
    Some(RouteEvent { deleted, destination, line: line.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_ip_monitor_writes() {
        let event = parse_event("10.0.0.0/24 via 10.1.0.1 dev eth0 proto 109 metric 1024 ").unwrap();
        assert_eq!((event.deleted, event.destination.to_string().as_str()), (false, "10.0.0.0/24"));
        let event = parse_event("Deleted 6 fd00::/64 dev lo proto 109 metric 1024 pref medium").unwrap();
        assert_eq!((event.deleted, event.destination.to_string().as_str()), (true, "fd00::/64"));
        let event =
            parse_event("10.9.9.9 proto 109 metric 1024 \\\tnexthop via 10.1.0.1 dev a weight 1").unwrap();
        assert_eq!(event.destination.to_string(), "10.9.9.9/32");
        assert_eq!(parse_event("Deleted 6 192.0.2.1 proto 251"), None);
    }
}
