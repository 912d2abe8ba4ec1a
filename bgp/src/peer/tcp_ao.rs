//! Keys of TCP-AO (RFC 5925), as configured. Which segments they sign is the kernel's business.

use super::Password;

/// How a segment's signature is made (RFC 5926, and SHA-256 as widely deployed).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AoAlgorithm {
    /// HMAC-SHA-1-96.
    #[default]
    HmacSha1,
    /// AES-128-CMAC-96.
    Aes128Cmac,
    /// HMAC-SHA-256, cut to 96 bits.
    HmacSha256,
}

/// One master key tuple (RFC 5925 §3.1) with one neighbor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AoKey {
    /// KeyID of what we send.
    pub send_id: u8,
    /// KeyID of what we take.
    pub receive_id: u8,
    /// Signs with it.
    pub algorithm: AoAlgorithm,
    /// The master key; as long as an MD5 key at most, and shown as little.
    pub secret: Password,
}
