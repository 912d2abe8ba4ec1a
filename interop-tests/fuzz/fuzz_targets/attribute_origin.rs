//! See `fuzz::wire::attribute`.
#![no_main]
fuzz::target!(|data| fuzz::wire::attribute(1, 0x40, data));
