//! See `fuzz::wire::attribute`.
#![no_main]
fuzz::target!(|data| fuzz::wire::attribute(3, 0x40, data));
