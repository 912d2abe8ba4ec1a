//! Prefixes by number, so that a receiver keeps what it holds in an array instead of a map: prefix number `n`
//! lies in the n-th slot of 512 addresses from 20.0.0.0. No slot comes near an address that a daemon refuses
//! (127/8, 169.254/16, multicast), up to [`COUNT_MAX`] of them.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};

/// 20.0.0.0.
const BASE: u32 = 0x1400_0000;
/// 512 addresses: room for a /23.
const SLOT_BITS: u32 = 9;
/// How many numbers there are: two million and some, up to 84.0.0.0.
pub const COUNT_MAX: u32 = 1 << 21;

/// How long the prefixes of a scenario are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As in the Internet's table, of which /24 is the larger half: /24 and /23, mixed.
    Table,
    /// Calico's blocks: /26.
    Block,
}

impl Shape {
    /// The length of prefix `number`.
    #[must_use]
    pub fn length(self, number: u32) -> u8 {
        match self {
            // 5 of 8, without a pattern that a trie could profit from.
            Self::Table if number.wrapping_mul(0x9e37_79b1) >> 29 < 5 => 24,
            Self::Table => 23,
            Self::Block => 26,
        }
    }

    /// Appends the NLRI (RFC 4271 §4.3) of prefix `number`.
    pub fn encode(self, number: u32, out: &mut Vec<u8>) {
        let length = self.length(number);
        out.push(length);
        out.extend(address(number).to_be_bytes().iter().take(octets(length)));
    }

    /// The prefix in words.
    #[must_use]
    pub fn show(self, number: u32) -> String {
        format!("{}/{}", Ipv4Addr::from(address(number)), self.length(number))
    }
}

/// The first address of prefix `number`.
#[must_use]
pub fn address(number: u32) -> u32 {
    BASE.wrapping_add(number << SLOT_BITS)
}

/// The number of the prefix with this first address; `None`: it is none of ours.
#[must_use]
pub fn number(address: u32) -> Option<u32> {
    let offset = address.checked_sub(BASE)?;
    let is_first = offset.trailing_zeros() >= SLOT_BITS;
    (is_first && offset >> SLOT_BITS < COUNT_MAX).then_some(offset >> SLOT_BITS)
}

/// Takes one NLRI from the front: address, length, rest. `None`: it is malformed.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<(u32, u8, &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    if length > 32 {
        return None;
    }
    let (octets, rest) = rest.split_at_checked(octets(length))?;
    let mut word = [0; 4];
    for (to, from) in word.iter_mut().zip(octets) {
        *to = *from;
    }
    Some((u32::from_be_bytes(word), length, rest))
}

/// Fails when there are not so many numbers.
///
/// # Errors
/// The limit.
pub fn ensure_count(count: u32) -> Result<()> {
    ensure!(count <= COUNT_MAX, "{count} prefixes: at most {COUNT_MAX}");
    Ok(())
}

fn octets(length: u8) -> usize {
    usize::from(length.div_ceil(8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_survives_the_wire() {
        for shape in [Shape::Table, Shape::Block] {
            for wanted in [0, 1, 77, 4_095, 1_000_000, COUNT_MAX - 1] {
                let mut bytes = Vec::new();
                shape.encode(wanted, &mut bytes);
                bytes.push(99);
                let (address, length, rest) = decode(&bytes).unwrap();
                assert_eq!((number(address), length, rest), (Some(wanted), shape.length(wanted), &[99][..]));
            }
        }
    }

    #[test]
    fn foreign_and_malformed_prefixes_are_none() {
        assert_eq!(number(0x0a00_0000), None);
        assert_eq!(number(BASE + 256), None, "inside a slot, not its start");
        assert_eq!(number(address(COUNT_MAX)), None);
        assert!(
            decode(&[]).is_none() && decode(&[33, 1, 2, 3, 4, 5]).is_none() && decode(&[24, 1, 2]).is_none()
        );
    }

    #[test]
    fn the_table_has_both_lengths() {
        let longer = (0..8_000).filter(|&number| Shape::Table.length(number) == 24).count();
        assert!((4_500..5_500).contains(&longer), "{longer} of 8000 are /24");
        assert_eq!(Ipv4Addr::from(address(COUNT_MAX - 1)), Ipv4Addr::new(83, 255, 254, 0));
    }
}
