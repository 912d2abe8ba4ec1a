//! See `fuzz::rib::events`.
#![no_main]
fuzz::target!(fuzz::rib::events);
