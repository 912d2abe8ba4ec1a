//! Network policy: endpoints and policies in, one nftables transaction per change out.
//!
//! The calculation knows neither netlink nor the store. (Nothing is here yet.)
