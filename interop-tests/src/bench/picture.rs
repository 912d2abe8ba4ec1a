//! What a receiver holds: for each prefix the attributes it came with last. While the clock runs this is one
//! store into an array per prefix and a look into a table per UPDATE; when it has stopped, every prefix is
//! compared with what it should be, attribute by attribute.

use std::hash::BuildHasher;

use anyhow::{Context, Result, bail, ensure};
use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::attributes::{Attributes, tag_of};
use super::feed::Book;
use super::prefix::{self, Shape};
use super::wire;

/// The attribute sets that all receivers have seen, each kept once as it came. 0 is none.
#[derive(Debug)]
pub struct Seen {
    table: HashTable<u32>,
    hasher: FixedState,
    sets: Vec<SeenSet>,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct SeenSet {
    hash: u64,
    start: usize,
    length: usize,
    tag: u32,
}

impl Default for Seen {
    fn default() -> Self {
        let none = SeenSet { hash: 0, start: 0, length: 0, tag: 0 };
        Self {
            table: HashTable::with_capacity(1 << 18),
            hasher: FixedState::with_seed(1),
            sets: vec![none],
            bytes: Vec::with_capacity(1 << 24),
        }
    }
}

impl Seen {
    /// The number of a set, from 1.
    pub fn number(&mut self, attributes: &[u8]) -> u32 {
        let hash = self.hasher.hash_one(attributes);
        let Self { table, sets, bytes, .. } = self;
        let is_same = |&number: &u32| {
            set_at(sets, number)
                .is_some_and(|set| set.hash == hash && bytes_of(bytes, set) == Some(attributes))
        };
        if let Some(&number) = table.find(hash, is_same) {
            return number;
        }
        let number = u32::try_from(sets.len()).unwrap_or_default();
        let tag = tag_of(attributes);
        sets.push(SeenSet { hash, start: bytes.len(), length: attributes.len(), tag });
        bytes.extend(attributes);
        table.insert_unique(hash, number, |&number| set_at(sets, number).map_or(0, |set| set.hash));
        number
    }

    /// The tag of a set.
    #[must_use]
    pub fn tag(&self, number: u32) -> u32 {
        set_at(&self.sets, number).map_or(0, |set| set.tag)
    }

    /// Decodes a set.
    ///
    /// # Errors
    /// It is malformed, or was never seen.
    pub fn decode(&self, number: u32) -> Result<Attributes> {
        let set = set_at(&self.sets, number).context("no such set")?;
        Attributes::decode(bytes_of(&self.bytes, set).context("no such set")?)
    }

    fn len(&self) -> u32 {
        u32::try_from(self.sets.len()).unwrap_or(u32::MAX)
    }
}

fn set_at(sets: &[SeenSet], number: u32) -> Option<&SeenSet> {
    sets.get(usize::try_from(number).ok()?)
}

fn bytes_of<'a>(bytes: &'a [u8], set: &SeenSet) -> Option<&'a [u8]> {
    bytes.get(set.start..set.start + set.length)
}

/// What every receiver should end up with.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// How long prefixes are.
    pub shape: Shape,
    /// The tag that each prefix should carry; 0: it should not be there.
    pub tags: Vec<u32>,
    /// Whose prefix it is: 1 + the receiver that must not get it. Shorter than `tags`: nobody's.
    pub owners: Vec<u32>,
    /// An owner may get its prefix all the same: the daemon sends routes back where they came from, which a
    /// receiver drops as a loop.
    pub returns: bool,
}

impl Wanted {
    /// Nothing, of `count` prefixes.
    #[must_use]
    pub fn nothing(shape: Shape, count: u32) -> Self {
        Self { shape, tags: vec![0; index(count)], owners: Vec::new(), returns: false }
    }

    /// What receiver `me` should have at `number`: a tag, or 0 for nothing; `None`: whatever it is.
    #[must_use]
    pub fn tag(&self, number: u32, me: u32) -> Option<u32> {
        let number = index(number);
        if self.owners.get(number) == Some(&(me + 1)) {
            return if self.returns { None } else { Some(0) };
        }
        Some(self.tags.get(number).copied().unwrap_or(0))
    }
}

/// What a daemon may do to attributes on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// Nothing: a relay of bytes.
    Untouched,
    /// As between eBGP peers: its AS in front, its address as next hop, or the old one where that is on the
    /// same link (RFC 4271 §5.1.3).
    Ebgp {
        /// Its AS.
        asn: u32,
        /// Its address.
        address: u32,
    },
    /// As a route reflector (RFC 4456 §8): ORIGINATOR_ID is the sender, CLUSTER_LIST has one entry.
    Reflected,
}

impl Passing {
    fn ensure_right(self, sent: &Attributes, got: &Attributes) -> Result<()> {
        let mut wanted = sent.clone();
        match self {
            Self::Untouched => {}
            Self::Ebgp { asn, address } => {
                wanted.as_path.insert(0, asn);
                wanted.local_pref = None;
                if got.next_hop == address {
                    wanted.next_hop = address;
                }
            }
            Self::Reflected => {
                wanted.originator = Some(sent.next_hop);
                ensure!(got.clusters.len() == 1, "CLUSTER_LIST {:?}", got.clusters);
                wanted.clusters.clone_from(&got.clusters);
            }
        }
        ensure!(*got == wanted, "attributes differ: got {got:?}, wanted {wanted:?}");
        Ok(())
    }
}

/// What one receiver holds.
#[derive(Clone, Debug)]
pub struct Picture {
    me: u32,
    /// The number of the attribute set that each prefix came with; 0: it is not there.
    held: Vec<u32>,
    wrong: usize,
    /// Prefixes announced to it so far, repetitions included.
    pub announced: u64,
    /// Prefixes withdrawn from it so far.
    pub withdrawn: u64,
    /// What was no prefix of ours, or of another length than announced.
    pub foreign: u64,
    /// The attributes of an UPDATE could not be found: it is malformed.
    pub malformed: u64,
}

impl Picture {
    /// Of receiver `me`, holding nothing of `count` prefixes.
    #[must_use]
    pub fn new(me: u32, count: u32) -> Self {
        let held = vec![0; index(count)];
        Self { me, held, wrong: 0, announced: 0, withdrawn: 0, foreign: 0, malformed: 0 }
    }

    /// How many prefixes are not as wanted.
    #[must_use]
    pub fn wrong(&self) -> usize {
        self.wrong
    }

    /// Forgets everything, as at the end of a session.
    pub fn clear(&mut self) {
        self.held.fill(0);
    }

    /// Counts again, because another thing is wanted now.
    pub fn recount(&mut self, wanted: &Wanted, seen: &Seen) {
        let me = self.me;
        let is_wrong = |&(number, held): &(u32, &u32)| {
            wanted.tag(number, me).is_some_and(|should| seen.tag(*held) != should)
        };
        self.wrong = (0..).zip(&self.held).filter(is_wrong).count();
    }

    /// Takes in an UPDATE. Gives whether it was End-of-RIB.
    pub fn update(&mut self, body: &[u8], wanted: &Wanted, seen: &mut Seen) -> bool {
        let Some((withdrawn, attributes, nlri)) = wire::split_update(body) else {
            self.malformed += 1;
            return false;
        };
        if withdrawn.is_empty() && nlri.is_empty() {
            return attributes.is_empty();
        }
        self.withdrawn += self.take(withdrawn, 0, wanted, seen);
        if !nlri.is_empty() {
            let number = seen.number(attributes);
            self.announced += self.take(nlri, number, wanted, seen);
        }
        false
    }

    fn take(&mut self, mut nlri: &[u8], set: u32, wanted: &Wanted, seen: &Seen) -> u64 {
        let tag = seen.tag(set);
        let mut count = 0;
        while !nlri.is_empty() {
            let Some((address, length, rest)) = prefix::decode(nlri) else {
                self.malformed += 1;
                break;
            };
            nlri = rest;
            count += 1;
            let number = prefix::number(address).filter(|&number| wanted.shape.length(number) == length);
            let Some((number, held)) =
                number.and_then(|number| Some((number, self.held.get_mut(index(number))?)))
            else {
                self.foreign += 1;
                continue;
            };
            let before = std::mem::replace(held, set);
            let Some(should) = wanted.tag(number, self.me) else { continue };
            self.wrong += usize::from(tag != should);
            // What was wrong before was counted before.
            self.wrong = self.wrong.saturating_sub(usize::from(seen.tag(before) != should));
        }
        count
    }

    /// Compares every prefix.
    ///
    /// # Errors
    /// The first one that is missing, should not be there or has other attributes; what was malformed.
    pub fn ensure_right(&self, wanted: &Wanted, seen: &Seen, verified: &Verified) -> Result<()> {
        let me = self.me;
        ensure!(self.malformed == 0, "receiver {me}: {} malformed UPDATEs", self.malformed);
        ensure!(self.foreign == 0, "receiver {me}: {} prefixes that nobody announced", self.foreign);
        for (number, &held) in (0..).zip(&self.held) {
            let should = wanted.tag(number, me);
            let tag = seen.tag(held);
            let shown = || format!("receiver {me}, {}", wanted.shape.show(number));
            match (should, held) {
                (Some(0) | None, 0) => {}
                (Some(0), _) => bail!("{}: should not be there", shown()),
                (Some(_), 0) => bail!("{}: missing", shown()),
                (Some(should), _) if tag != should => bail!("{}: tag {tag}, wanted {should}", shown()),
                (Some(_) | None, _) => verified.ensure_right(held).with_context(shown)?,
            }
        }
        Ok(())
    }
}

/// Which of the sets that were seen are what their senders sent, but for what a daemon may change.
#[derive(Debug)]
pub struct Verified(Vec<Option<String>>);

impl Verified {
    /// Compares them all.
    #[must_use]
    pub fn compare(seen: &Seen, book: &Book, passing: Passing) -> Self {
        let verdict = |number: u32| {
            let got = seen.decode(number)?;
            let sent = book.set(got.tag).with_context(|| format!("tag {} was never sent", got.tag))?;
            passing.ensure_right(sent, &got)
        };
        Self((0..seen.len()).map(|number| verdict(number).err().map(|error| format!("{error:#}"))).collect())
    }

    fn ensure_right(&self, number: u32) -> Result<()> {
        match self.0.get(index(number)) {
            Some(None) => Ok(()),
            Some(Some(error)) => bail!("{error}"),
            None => bail!("set {number} was never compared"),
        }
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
