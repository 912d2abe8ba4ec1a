//! See `fuzz::peer::events`.
#![no_main]
fuzz::target!(fuzz::peer::events);
