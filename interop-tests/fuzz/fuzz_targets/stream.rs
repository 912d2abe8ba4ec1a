//! See `fuzz::wire::stream`.
#![no_main]
fuzz::target!(fuzz::wire::stream);
