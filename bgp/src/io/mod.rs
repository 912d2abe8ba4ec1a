//! The shell around the cores: sockets, clocks, one task per peer and one thread for the RIB.

pub mod rib;

pub use rib::{RibHandle, RibSink};
