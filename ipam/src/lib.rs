//! Block IPAM exactly as Calico does it, as a pure machine over compare-and-swap.
//!
//! Knows the store only as keys, values and revisions; opens none. (Nothing is here yet.)
