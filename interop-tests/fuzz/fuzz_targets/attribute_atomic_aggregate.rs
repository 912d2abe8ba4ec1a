//! See `fuzz::wire::attribute`.
#![no_main]
fuzz::target!(|data| fuzz::wire::attribute(6, 0x40, data));
