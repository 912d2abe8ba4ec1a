//! manx.
fn main() {}
