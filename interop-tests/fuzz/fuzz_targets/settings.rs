//! See `fuzz::text::settings`.
#![no_main]
fuzz::target!(fuzz::text::settings);
