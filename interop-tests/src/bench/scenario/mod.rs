//! The scenarios: a table of cases by name, each with its sizes, and the code that runs one.

mod churn;
mod fan_out;
mod feed;
mod kernel;
mod reload;
mod session;

use std::time::Duration;

use anyhow::{Result, bail};

use super::driver::{Driver, FilterPlan, Need, PeerPlan, Plan, Role};
use super::ground::Ground;
use super::prefix::Shape;
use super::stage::{Measure, Setup};

/// A phase of a case and what it took: `("up", …)`; a case with one phase calls it "".
pub type Phases = Vec<(&'static str, Measure)>;

/// One case.
#[expect(missing_docs, reason = "sizes, by names that say what is counted")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// A table from one eBGP peer to another.
    FullTable { prefixes: u32 },
    /// The same prefixes from several eBGP peers, each of which is best for some, to one receiver.
    MultiFeed { feeders: usize, prefixes: u32 },
    /// Every client of a reflector has some blocks; all get all others'.
    Reflect { clients: usize, blocks: u32 },
    /// One client of a reflector has a table; all others get it.
    FanOut { clients: usize, prefixes: u32 },
    /// Of a reflector's clients with four blocks each a fifth replace one; then single changes.
    Churn { clients: usize },
    /// A table goes and comes again, by messages or with its session.
    Flap { prefixes: u32, by_session: bool },
    /// A table into the kernel.
    Fib { prefixes: u32 },
    /// A reflector's table four times over, with or without a client that never reads.
    SlowPeer { clients: usize, prefixes: u32, with_slow: bool },
    /// A reflector with a table reads its configuration again: unchanged, then one client's filter changed.
    Reload { clients: usize, prefixes: u32 },
    /// Killed and started again with kernel routes in place.
    Restart { prefixes: u32 },
    /// All clients dial at once while it starts.
    Startup { clients: usize },
    /// An established mesh in which nothing happens.
    Idle { peers: usize },
}

/// A case with its names.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The scenario.
    pub scenario: &'static str,
    /// The case in it.
    pub name: String,
    /// What it is.
    pub case: Case,
}

/// The names of all scenarios, in the order of the document.
pub const SCENARIOS: [&str; 12] = [
    "full-table",
    "multi-feed",
    "rr",
    "rr-churn",
    "flap",
    "fib",
    "slow-peer",
    "reload",
    "restart",
    "startup",
    "idle",
    "scale",
];

/// The cases of a scenario. `percent` of the sizes: 100, or less to try the harness itself.
#[must_use]
pub fn cases(scenario: &str, percent: u32) -> Vec<Entry> {
    let of = |count: u32| (u64::from(count) * u64::from(percent) / 100).max(8).try_into().unwrap_or(count);
    let few = |count: u32| {
        let full = usize::try_from(count).unwrap_or_default();
        // Fewer than four peers only where the full size says so.
        if percent == 100 { full } else { usize::try_from(of(count)).unwrap_or_default().max(full.min(4)) }
    };
    let fan = |clients: u32, prefixes: u32| Case::FanOut { clients: few(clients), prefixes: of(prefixes) };
    let table = |prefixes: u32| Case::FullTable { prefixes: of(prefixes) };
    let slow = |with_slow| Case::SlowPeer { clients: few(50), prefixes: of(100_000), with_slow };
    let flap = |by_session| Case::Flap { prefixes: of(200_000), by_session };
    let blocks = |clients: u32| Case::Reflect { clients: few(clients), blocks: 4 };
    let found: Vec<(&'static str, Case)> = match scenario {
        "full-table" => vec![("1M", table(1_000_000))],
        "multi-feed" => vec![("10 × 100k", Case::MultiFeed { feeders: 10, prefixes: of(100_000) })],
        "rr" => vec![
            ("100 × 4", blocks(100)),
            ("300 × 4", blocks(300)),
            ("1000 × 4", blocks(1_000)),
            ("100k → 50", fan(50, 100_000)),
        ],
        "rr-churn" => vec![
            ("20 clients", Case::Churn { clients: few(20) }),
            ("300 clients", Case::Churn { clients: few(300) }),
        ],
        "flap" => vec![("200k", flap(false)), ("200k by session", flap(true))],
        "fib" => {
            vec![("100k", Case::Fib { prefixes: of(100_000) }), ("500k", Case::Fib { prefixes: of(500_000) })]
        }
        "slow-peer" => vec![("all read", slow(false)), ("one does not", slow(true))],
        "reload" => vec![("300 × 100k", Case::Reload { clients: few(300), prefixes: of(100_000) })],
        "restart" => vec![("100k", Case::Restart { prefixes: of(100_000) })],
        "startup" => vec![
            ("300", Case::Startup { clients: few(300) }),
            ("1000", Case::Startup { clients: few(1_000) }),
        ],
        "idle" => vec![("100 peers", Case::Idle { peers: few(100) })],
        "scale" => vec![
            ("10k routes", table(10_000)),
            ("100k routes", table(100_000)),
            ("500k routes", table(500_000)),
            ("2M routes", table(2_000_000)),
            ("2k → 1 peer", fan(1, 2_000)),
            ("2k → 10 peers", fan(10, 2_000)),
            ("2k → 100 peers", fan(100, 2_000)),
            ("2k → 500 peers", fan(500, 2_000)),
            ("2k → 2000 peers", fan(2_000, 2_000)),
        ],
        _ => Vec::new(),
    };
    let scenario = SCENARIOS.into_iter().find(|name| *name == scenario).unwrap_or_default();
    found.into_iter().map(|(name, case)| Entry { scenario, name: name.to_owned(), case }).collect()
}

impl Case {
    /// Why a daemon is not asked, if so.
    #[must_use]
    pub fn cannot(self, driver: &dyn Driver) -> Option<&'static str> {
        let needs: &[Need] = match self {
            Self::Fib { .. } => &[Need::Kernel],
            Self::Restart { .. } => &[Need::Rib, Need::Kernel, Need::GracefulRestart],
            Self::Reload { .. } => &[Need::Rib, Need::Reload],
            Self::Flap { by_session: true, .. } => &[Need::Rib],
            Self::FullTable { .. }
            | Self::MultiFeed { .. }
            | Self::Reflect { .. }
            | Self::FanOut { .. }
            | Self::Churn { .. }
            | Self::Flap { by_session: false, .. }
            | Self::SlowPeer { .. }
            | Self::Startup { .. }
            | Self::Idle { .. }
                if driver.raw().is_some() =>
            {
                &[Need::Rib]
            }
            Self::FullTable { .. }
            | Self::MultiFeed { .. }
            | Self::Reflect { .. }
            | Self::FanOut { .. }
            | Self::Churn { .. }
            | Self::Flap { by_session: false, .. }
            | Self::SlowPeer { .. }
            | Self::Startup { .. }
            | Self::Idle { .. } => &[],
        };
        needs.iter().find_map(|&need| driver.cannot(need))
    }

    /// How many clients it has.
    #[must_use]
    pub fn clients(self) -> usize {
        match self {
            Self::FullTable { .. } | Self::Flap { .. } | Self::Restart { .. } => 2,
            Self::Fib { .. } => 1,
            Self::MultiFeed { feeders, .. } => feeders + 1,
            Self::FanOut { clients, .. } | Self::Reload { clients, .. } => clients + 1,
            Self::SlowPeer { clients, .. } => clients + 2,
            Self::Reflect { clients, .. } | Self::Churn { clients } | Self::Startup { clients } => clients,
            Self::Idle { peers } => peers,
        }
    }

    /// Runs it once with one daemon, on fresh ground.
    ///
    /// # Errors
    /// What went wrong, or was wrong.
    pub fn run(self, driver: &dyn Driver, limit: Duration) -> Result<Phases> {
        let ground = Ground::build(self.clients())?;
        if let (Self::Fib { prefixes }, Some(via)) = (self, driver.raw()) {
            return kernel::raw(&ground, prefixes, via);
        }
        let run = || {
            let scene = Scene { driver, ground: &ground, limit };
            match self {
                Self::FullTable { prefixes } => feed::full_table(&scene, prefixes),
                Self::MultiFeed { feeders, prefixes } => feed::multi_feed(&scene, feeders, prefixes),
                Self::Flap { prefixes, by_session } => feed::flap(&scene, prefixes, by_session),
                Self::Reflect { clients, blocks } => fan_out::reflect(&scene, clients, blocks),
                Self::FanOut { clients, prefixes } => fan_out::fan_out(&scene, clients, prefixes),
                Self::SlowPeer { clients, prefixes, with_slow } => {
                    fan_out::slow_peer(&scene, clients, prefixes, with_slow)
                }
                Self::Churn { clients } => churn::churn(&scene, clients),
                Self::Fib { prefixes } => kernel::fib(&scene, prefixes),
                Self::Restart { prefixes } => kernel::restart(&scene, prefixes),
                Self::Reload { clients, prefixes } => reload::reload(&scene, clients, prefixes),
                Self::Startup { clients } => session::startup(&scene, clients),
                Self::Idle { peers } => session::idle(&scene, peers),
            }
        };
        let phases = ground.generator()?.within(run)?;
        if phases.is_empty() {
            bail!("nothing was measured");
        }
        Ok(phases)
    }
}

/// Where a case runs.
struct Scene<'a> {
    driver: &'a dyn Driver,
    ground: &'a Ground,
    limit: Duration,
}

impl Scene<'_> {
    fn setup(&self, role: Role, peers: Vec<PeerPlan>, shape: Shape, prefixes: u32) -> Setup<'_> {
        let plan = Plan { role, peers, kernel: false, graceful_restart: false, filter: None::<FilterPlan> };
        Setup { driver: self.driver, ground: self.ground, plan, shape, prefixes, limit: self.limit }
    }
}
