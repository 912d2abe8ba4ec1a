//! Labs as code: hosts are network namespaces, wires are veth pairs, and the daemons that talk over them are
//! the real ones (manx, BIRD, GoBGP) plus one scripted peer that breaks the protocol on purpose.
//!
//! A test writes its network down as a value ([`Topology`]), builds it ([`Lab`]), starts speakers in its hosts
//! and waits for conditions ([`Lab::wait_until`]); everything disappears when the values are dropped, also
//! after a panic or a failed assertion. Labs share nothing, so tests run in parallel.
//!
//! This crate refuses to know what is inside manx: it sees the program's command line, its JSON, the kernel
//! and the other routers, which is what a user sees. It links no other crate of the workspace; one test holds
//! the benchmarks' encoder against the codec.

pub mod assert;
pub mod bench;
pub mod capture;
pub mod fabric;
pub mod host;
pub mod interrupt;
pub mod kernel;
pub mod manifest;
pub mod monitor;
pub mod ping;
pub mod prerequisites;
pub mod process;
pub mod reach;
pub mod speaker;
pub mod topology;
pub mod uplink;

pub use assert::wait_until;
pub use capture::Capture;
pub use host::Host;
pub use kernel::{Family, KernelRoute};
pub use manifest::Manifest;
pub use monitor::RouteMonitor;
pub use ping::Ping;
pub use prerequisites::can_run;
pub use process::Process;
pub use speaker::{bird::Bird, frr::Frr, gobgp::Gobgp, manx::Manx, scripted::Scripted};
pub use topology::{End, Lab, Topology, end};

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

/// A `Duration` of so many seconds: deadlines read as `secs(10)`.
#[must_use]
pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An address that is written in a test.
///
/// # Panics
/// When it is none.
#[must_use]
#[expect(clippy::expect_used, reason = "a literal: wrong is a mistake in the test")]
pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A prefix that is written in a test.
///
/// # Panics
/// When it is none.
#[must_use]
#[expect(clippy::expect_used, reason = "a literal: wrong is a mistake in the test")]
pub fn net(text: &str) -> IpNet {
    text.parse().expect("a prefix")
}

/// A table of `many` IPv4 and `many` IPv6 prefixes: 10.128.0.0/24 and fd80::/64 and what follows them.
#[must_use]
pub fn table(many: u32) -> Vec<IpNet> {
    (0..many)
        .flat_map(|i| {
            let v4 = IpAddr::V4((0x0a80_0000 + (i << 8)).into());
            let v6 = IpAddr::V6(((0xfd80_u128 << 112) | (u128::from(i) << 64)).into());
            [IpNet::new_assert(v4, 24), IpNet::new_assert(v6, 64)]
        })
        .collect()
}
