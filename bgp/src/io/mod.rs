//! The shell around the cores: sockets, clocks, one task per neighbor and one thread for the RIB.
//!
//! ```text
//!   Speaker::apply                                               a handle, from the node's task
//!        ▼
//!   speaker task ────► listener task ──accepted socket──┐        one per listen address
//!        │ ▲◄──unknown but covered──(listener.rs)       ▼        by a template
//!        ├─┼──commands────────────────────────► neighbor task    one per neighbor (peer.rs):
//!        │                                        ▲ │    ▲       owns the Peer and its sockets
//!        │                    bytes, unbounded,   │ │    │ TCP   (connection.rs, sockopt.rs)
//!        │                    window 1 MiB        │ │
//!        └──Configure, Originate, Neighbors──►  RIB thread       RibEvents, bounded: a full queue
//!                                               (rib.rs)         leaves the sockets unread
//! ```
//!
//! A neighbor's task never waits for anything but all of it at once: it is polled when a socket is ready, a
//! timer is due, the RIB has room or a command came, and does what can be done. So no neighbor waits for
//! another, and neither reading, writing nor the RIB can hold up a KEEPALIVE.

mod connection;
mod directory;
mod feed;
mod listener;
mod outbox;
mod peer;
pub mod rib;
mod sockopt;
pub mod speaker;
mod tcp_ao;

pub use listener::ListenerSnapshot;
pub use rib::{RibHandle, RibSink, ToPeer};
pub use speaker::{Desired, DynamicSnapshot, Observer, Speaker};
