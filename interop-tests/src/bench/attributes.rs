//! Path attributes of the IPv4 UPDATEs that the generator sends and gets back. Each set that it sends carries a
//! *tag*, a community of its own, by which a receiver knows at once what it has got; what else belongs to the
//! set is compared when the clock has stopped.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};

/// Communities from here up to [`TAG_MAX`] are tags.
const TAG_BASE: u32 = 0x8000_0000;
/// The largest tag.
pub const TAG_MAX: u32 = 0x3fff_ffff;

const ORIGIN: u8 = 1;
const AS_PATH: u8 = 2;
const NEXT_HOP: u8 = 3;
const MULTI_EXIT_DISC: u8 = 4;
const LOCAL_PREF: u8 = 5;
const COMMUNITIES: u8 = 8;
const ORIGINATOR_ID: u8 = 9;
const CLUSTER_LIST: u8 = 10;

/// One set, as sent or received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// 0 IGP, 1 EGP, 2 INCOMPLETE.
    pub origin: u8,
    /// One AS_SEQUENCE of four-octet numbers; empty: none.
    pub as_path: Vec<u32>,
    /// NEXT_HOP.
    pub next_hop: u32,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF, on iBGP.
    pub local_pref: Option<u32>,
    /// What identifies the set; 0: nothing does.
    pub tag: u32,
    /// The other communities.
    pub communities: BTreeSet<u32>,
    /// ORIGINATOR_ID (RFC 4456).
    pub originator: Option<u32>,
    /// CLUSTER_LIST (RFC 4456).
    pub clusters: Vec<u32>,
}

impl Attributes {
    /// Appends them as an UPDATE has them (RFC 4271 §4.3), in order of their codes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        attribute(out, 0x40, ORIGIN, &[self.origin]);
        let mut path = Vec::with_capacity(2 + 4 * self.as_path.len());
        if !self.as_path.is_empty() {
            path.push(2);
            path.push(u8::try_from(self.as_path.len()).unwrap_or(u8::MAX));
            path.extend(self.as_path.iter().flat_map(|asn| asn.to_be_bytes()));
        }
        attribute(out, 0x40, AS_PATH, &path);
        attribute(out, 0x40, NEXT_HOP, &self.next_hop.to_be_bytes());
        if let Some(med) = self.med {
            attribute(out, 0x80, MULTI_EXIT_DISC, &med.to_be_bytes());
        }
        if let Some(local_pref) = self.local_pref {
            attribute(out, 0x40, LOCAL_PREF, &local_pref.to_be_bytes());
        }
        let tag = (self.tag != 0).then_some(TAG_BASE | self.tag);
        let communities: Vec<u8> =
            self.communities.iter().copied().chain(tag).flat_map(u32::to_be_bytes).collect();
        if !communities.is_empty() {
            attribute(out, 0xc0, COMMUNITIES, &communities);
        }
        if let Some(originator) = self.originator {
            attribute(out, 0x80, ORIGINATOR_ID, &originator.to_be_bytes());
        }
        if !self.clusters.is_empty() {
            let clusters: Vec<u8> = self.clusters.iter().flat_map(|id| id.to_be_bytes()).collect();
            attribute(out, 0x80, CLUSTER_LIST, &clusters);
        }
    }

    /// Reads them, in whatever order they are.
    ///
    /// # Errors
    /// What is malformed, or is an attribute that nobody should have added.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut found = Self::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (code, value, behind) = next(rest).context("attributes end inside one")?;
            rest = behind;
            match code {
                ORIGIN => found.origin = *value.first().context("empty ORIGIN")?,
                AS_PATH => found.as_path = as_path(value)?,
                NEXT_HOP => found.next_hop = word(value)?,
                MULTI_EXIT_DISC => found.med = Some(word(value)?),
                LOCAL_PREF => found.local_pref = Some(word(value)?),
                COMMUNITIES => {
                    for community in words(value)? {
                        match tag(community) {
                            Some(tag) => found.tag = tag,
                            None => drop(found.communities.insert(community)),
                        }
                    }
                }
                ORIGINATOR_ID => found.originator = Some(word(value)?),
                CLUSTER_LIST => found.clusters = words(value)?,
                other => bail!("attribute {other} was never sent"),
            }
        }
        Ok(found)
    }
}

/// The tag alone; 0: none. Much quicker than [`Attributes::decode`], for while the clock runs.
#[must_use]
pub fn tag_of(bytes: &[u8]) -> u32 {
    let mut rest = bytes;
    while let Some((code, value, behind)) = next(rest) {
        if code == COMMUNITIES {
            let (communities, _) = value.as_chunks::<4>();
            // The last one is the first guess: communities are sorted, or as they were sent.
            return communities.iter().rev().find_map(|&octets| tag(u32::from_be_bytes(octets))).unwrap_or(0);
        }
        rest = behind;
    }
    0
}

fn tag(community: u32) -> Option<u32> {
    let tag = community.checked_sub(TAG_BASE)?;
    (tag != 0 && tag <= TAG_MAX).then_some(tag)
}

/// Code, value and what comes after.
fn next(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&flags, rest) = bytes.split_first()?;
    let (&code, rest) = rest.split_first()?;
    let (length, rest) = if flags & 0x10 != 0 {
        let (octets, rest) = rest.split_first_chunk::<2>()?;
        (usize::from(u16::from_be_bytes(*octets)), rest)
    } else {
        let (&octet, rest) = rest.split_first()?;
        (usize::from(octet), rest)
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((code, value, rest))
}

fn attribute(out: &mut Vec<u8>, flags: u8, code: u8, value: &[u8]) {
    match u8::try_from(value.len()) {
        Ok(length) => out.extend([flags, code, length]),
        Err(_) => {
            let [high, low] = u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes();
            out.extend([flags | 0x10, code, high, low]);
        }
    }
    out.extend(value);
}

fn as_path(value: &[u8]) -> Result<Vec<u32>> {
    let mut asns = Vec::new();
    let mut rest = value;
    while let Some((&kind, behind)) = rest.split_first() {
        ensure!(kind == 2, "AS_PATH segment of type {kind}: only sequences were sent");
        let (&count, behind) = behind.split_first().context("AS_PATH ends")?;
        let (sequence, behind) = behind.split_at_checked(4 * usize::from(count)).context("AS_PATH ends")?;
        asns.extend(words(sequence)?);
        rest = behind;
    }
    Ok(asns)
}

fn word(value: &[u8]) -> Result<u32> {
    Ok(u32::from_be_bytes(value.try_into().context("not four octets")?))
}

fn words(value: &[u8]) -> Result<Vec<u32>> {
    let (chunks, rest) = value.as_chunks::<4>();
    ensure!(rest.is_empty(), "not a multiple of four octets");
    Ok(chunks.iter().map(|&octets| u32::from_be_bytes(octets)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Attributes {
        Attributes {
            origin: 2,
            as_path: vec![64512, 4_200_000_000, 65001],
            next_hop: 0x0ac8_0100,
            med: Some(7),
            local_pref: Some(100),
            tag: 12_345,
            communities: BTreeSet::from([0x0001_0002, 0x1234_5678]),
            originator: Some(1),
            clusters: vec![2, 3],
        }
    }

    #[test]
    fn what_is_encoded_decodes() {
        for set in [full(), Attributes { tag: TAG_MAX, ..Attributes::default() }, Attributes::default()] {
            let mut bytes = Vec::new();
            set.encode(&mut bytes);
            assert_eq!(Attributes::decode(&bytes).unwrap(), set);
            assert_eq!(tag_of(&bytes), set.tag);
        }
    }

    #[test]
    fn a_long_list_takes_the_extended_length() {
        let set = Attributes { communities: (1..100).collect(), ..full() };
        let mut bytes = Vec::new();
        set.encode(&mut bytes);
        assert_eq!(Attributes::decode(&bytes).unwrap(), set);
        assert_eq!(tag_of(&bytes), set.tag);
    }

    #[test]
    fn a_cut_set_and_a_foreign_attribute_are_errors() {
        let mut bytes = Vec::new();
        full().encode(&mut bytes);
        let (cut, _) = bytes.split_at(bytes.len() - 1);
        assert!(Attributes::decode(cut).is_err());
        bytes.extend([0xc0, 99, 0]);
        assert!(Attributes::decode(&bytes).unwrap_err().to_string().contains("99"));
    }

    #[test]
    fn well_known_communities_are_no_tags() {
        for community in [0xffff_ff01_u32, 0xffff_0000, 0x7fff_ffff, TAG_BASE] {
            assert_eq!(tag(community), None, "{community:#x}");
        }
    }
}
