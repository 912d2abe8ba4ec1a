//! See `fuzz::wire::message`.
#![no_main]
fuzz::target!(|data| fuzz::wire::message(1, data));
