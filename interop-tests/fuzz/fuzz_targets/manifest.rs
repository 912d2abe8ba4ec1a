//! See `fuzz::text::manifest`.
#![no_main]
fuzz::target!(fuzz::text::manifest);
