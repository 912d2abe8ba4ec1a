//! See `fuzz::text::words`.
#![no_main]
fuzz::target!(fuzz::text::words);
