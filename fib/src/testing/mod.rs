//! A fake world for the FIB: a kernel that keeps routes as Linux does and prints them as `ip route` does.
//! More stubborn than the code under test: it refuses what Linux refuses, forgets in silence what Linux
//! forgets in silence, and remembers whether a foreign route was ever touched.

mod kernel;
mod text;

pub use kernel::FakeKernel;
