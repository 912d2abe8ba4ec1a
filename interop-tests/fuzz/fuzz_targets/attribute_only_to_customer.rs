//! See `fuzz::wire::attribute`.
#![no_main]
fuzz::target!(|data| fuzz::wire::attribute(35, 0xc0, data));
