//! A BGP-4 speaker as values: a codec, a peer state machine and a RIB that neither open sockets nor read
//! clocks, plus (behind the `io` feature) the tasks that do.
//!
//! The crate knows nothing of kernels, pools, stores or Calico; it could be published alone. It is told its
//! neighbors, its policy and what to originate as plain structs, and it says what it learned as effects.

pub mod afi_safi;
pub mod next_hop_key;
pub mod peer;
pub mod rib;
pub mod types;
pub mod wire;

#[cfg(feature = "io")]
pub mod io;

pub use afi_safi::AfiSafi;
pub use next_hop_key::{InterfaceName, NextHopKey};
pub use types::{Asn, ClusterId, Nlri, PeerId, PeerKind, RouterId};
