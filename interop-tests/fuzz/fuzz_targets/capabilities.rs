//! See `fuzz::wire::capabilities`.
#![no_main]
fuzz::target!(fuzz::wire::capabilities);
