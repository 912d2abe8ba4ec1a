//! See `fuzz::wire::attribute`.
#![no_main]
fuzz::target!(|data| fuzz::wire::attribute(32, 0xc0, data));
