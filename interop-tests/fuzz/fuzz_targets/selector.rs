//! See `fuzz::text::selector`.
#![no_main]
fuzz::target!(fuzz::text::selector);
