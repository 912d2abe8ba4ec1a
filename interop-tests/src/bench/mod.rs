//! `make bench`: manx and its peers through the same scenarios, as black boxes. The daemon runs in one network
//! namespace, a load generator of ours in another; what the receivers end up with is compared prefix by prefix.
//!
//! ```text
//!  run       what was chosen, in which order ──► scenario::Case::run, once per cell
//!  ground    two namespaces, one wire             │
//!  driver/   configuration and processes          ▼
//!  stage     daemon + sessions + clocks ◄── scenario/*  what is said, what is waited for
//!  generator, client, picture, netlink            │
//!  results, statistics ◄──────────────────────────┘
//!  report/   docs/performance.md and its plots
//! ```
//!
//! It refuses to know how any of the daemons works. To measure another one, write a file like `driver/bird.rs`
//! and name it in `driver::all`.

pub mod attributes;
pub mod client;
pub mod driver;
pub mod feed;
pub mod generator;
pub mod ground;
pub mod netlink;
pub mod picture;
pub mod prefix;
pub mod relay;
pub mod report;
pub mod results;
pub mod run;
pub mod scenario;
pub mod stage;
pub mod statistics;
pub mod usage;
pub mod wire;
