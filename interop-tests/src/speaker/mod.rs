//! The speakers of a lab. Each is a value that renders its configuration, starts, and answers questions
//! about its sessions and routes in the same words, so that a test can ask both ends of a session.

pub mod bird;
pub mod frr;
pub mod gobgp;
pub mod manx;
pub mod mrt;
pub mod scripted;

use std::net::IpAddr;

use crate::kernel::Family;

/// A session as a foreign speaker is configured with it.
#[derive(Clone, Debug)]
pub struct Neighbor {
    /// What it is called in configurations: letters and digits.
    pub name: String,
    /// Our own address.
    pub local: IpAddr,
    /// The other end.
    pub address: IpAddr,
    /// Its AS.
    pub remote_as: u32,
    /// Seconds.
    pub hold_time: u32,
    /// Wait for the other end to dial.
    pub passive: bool,
    /// Several paths of one prefix both ways (RFC 7911).
    pub add_paths: bool,
    /// Further lines of BIRD's `protocol bgp`, `password "x"`.
    pub bird_options: Vec<String>,
    /// Further lines of FRR's `router bgp` about this neighbor, without `neighbor ADDRESS`: `password x`.
    pub frr_options: Vec<String>,
    /// The same in the address families: `as-override`.
    pub frr_family_options: Vec<String>,
    /// What FRR exchanges; empty: the family of the address.
    pub frr_families: Vec<Family>,
}

impl Neighbor {
    /// A session with a hold time of 9 s that both ends may open. It carries the family of its addresses.
    #[must_use]
    pub fn new(name: &str, local: IpAddr, address: IpAddr, remote_as: u32) -> Self {
        Self {
            name: name.to_owned(),
            local,
            address,
            remote_as,
            hold_time: 9,
            passive: false,
            add_paths: false,
            bird_options: Vec::new(),
            frr_options: Vec::new(),
            frr_family_options: Vec::new(),
            frr_families: Vec::new(),
        }
    }

    /// What is exchanged with FRR.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        if self.frr_families.is_empty() { vec![Family::of(self.address)] } else { self.frr_families.clone() }
    }

    /// The same with one more `neighbor ADDRESS …` in FRR's `router bgp`.
    #[must_use]
    pub fn frr_option(mut self, line: &str) -> Self {
        self.frr_options.push(line.to_owned());
        self
    }

    /// The same with one more `neighbor ADDRESS …` in FRR's address families.
    #[must_use]
    pub fn frr_family_option(mut self, line: &str) -> Self {
        self.frr_family_options.push(line.to_owned());
        self
    }

    /// The same with one more line in BIRD's `protocol bgp`.
    #[must_use]
    pub fn bird_option(mut self, line: &str) -> Self {
        self.bird_options.push(line.to_owned());
        self
    }

    /// The same with several paths of one prefix both ways.
    #[must_use]
    pub fn add_paths(mut self) -> Self {
        self.add_paths = true;
        self
    }

    /// The same with another hold time in seconds.
    #[must_use]
    pub fn hold_time(mut self, seconds: u32) -> Self {
        self.hold_time = seconds;
        self
    }
}
