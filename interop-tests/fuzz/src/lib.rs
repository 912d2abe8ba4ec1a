//! What holds of any input, for libFuzzer to search counterexamples of. One function per target; the files in
//! `fuzz_targets` only name them. `.ci/fuzz.sh` runs all of them for a while, docs/fuzzing.md says how to run
//! one for hours.
//!
//! A property never looks inside: it drives what the program drives (frames, events, texts) and judges what
//! comes out. What is in a corpus came from other people's encoders, from the tests' tables and from the
//! fuzzer; `cargo run --example seeds` writes the first two anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a property fails"
)]

pub mod kernel;
pub mod peer;
pub mod rib;
pub mod text;
pub mod wire;

#[path = "../../../bgp/tests/rib_support/mod.rs"]
mod rib_support;

/// The target that is called `$name`, a file's worth.
#[macro_export]
macro_rules! target {
    ($property:expr) => {
        ::libfuzzer_sys::fuzz_target!(|data: &[u8]| $property(data));
    };
}
