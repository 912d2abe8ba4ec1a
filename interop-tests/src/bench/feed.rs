//! What feeders say: sets of attributes and the prefixes that share each, made from a seed so that every daemon
//! and every run gets the same bytes, and the book in which a received tag is looked up.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::attributes::Attributes;
use super::prefix::Shape;
use super::wire;

/// Every set that was ever sent, by its tag.
#[derive(Clone, Debug)]
pub struct Book(Vec<Attributes>);

impl Default for Book {
    fn default() -> Self {
        // 0 is no tag.
        Self(vec![Attributes::default()])
    }
}

impl Book {
    /// Enters a set and gives it its tag.
    pub fn enter(&mut self, mut set: Attributes) -> u32 {
        let tag = u32::try_from(self.0.len()).unwrap_or_default();
        set.tag = tag;
        self.0.push(set);
        tag
    }

    /// The set with this tag.
    #[must_use]
    pub fn set(&self, tag: u32) -> Option<&Attributes> {
        self.0.get(usize::try_from(tag).ok()?).filter(|set| set.tag != 0)
    }
}

/// Sets with the prefixes that carry them, in the order they are sent.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    /// Tag and prefix numbers.
    pub sets: Vec<(u32, Vec<u32>)>,
}

impl Feed {
    /// The UPDATEs that announce it.
    #[must_use]
    pub fn announcements(&self, shape: Shape, book: &Book) -> Arc<[u8]> {
        let (mut bytes, mut attributes) = (Vec::new(), Vec::new());
        for (tag, numbers) in &self.sets {
            attributes.clear();
            if let Some(set) = book.set(*tag) {
                set.encode(&mut attributes);
            }
            wire::announce(&mut bytes, shape, &attributes, numbers);
        }
        bytes.into()
    }

    /// The UPDATEs that withdraw it.
    #[must_use]
    pub fn withdrawals(&self, shape: Shape) -> Arc<[u8]> {
        let numbers: Vec<u32> = self.sets.iter().flat_map(|(_, numbers)| numbers).copied().collect();
        let mut bytes = Vec::new();
        wire::withdraw(&mut bytes, shape, &numbers);
        bytes.into()
    }
}

/// Who feeds.
#[derive(Clone, Copy, Debug)]
pub struct Feeder {
    /// Its AS, first in every path; `None`: it is an iBGP client, whose paths begin elsewhere.
    pub asn: Option<u32>,
    /// Its address, which is its NEXT_HOP and router id too.
    pub address: Ipv4Addr,
}

impl Feeder {
    /// Attributes of a route that the feeder originates itself: an iBGP client's own block.
    #[must_use]
    pub fn own(&self) -> Attributes {
        Attributes {
            as_path: self.asn.into_iter().collect(),
            next_hop: self.address.into(),
            // FRR adds a MED of 0 where there is none.
            med: self.asn.is_none().then_some(0),
            local_pref: self.asn.is_none().then_some(100),
            ..Attributes::default()
        }
    }

    /// A piece of the Internet's table: `numbers` in sets of which most are small and a few large (about six
    /// prefixes share a set, as in a full feed), paths of 2 to 7 hops, up to eight communities. Prefixes of a
    /// set lie in runs of four, scattered. `hops` more are put in front of every path, by which a feed is made
    /// better or worse than another.
    #[must_use]
    pub fn internet(&self, book: &mut Book, numbers: u32, seed: u64, hops: impl Fn(u32) -> usize) -> Feed {
        let mut random = Random::new(seed);
        let order = scattered(numbers, &mut random);
        let mut feed = Feed::default();
        let mut rest = &order[..];
        while let Some(&first) = rest.first() {
            let size = random.size().min(rest.len());
            let (here, behind) = rest.split_at(size);
            // One set has one length of path, so it ends where that changes.
            let same = here.iter().take_while(|&&number| hops(number) == hops(first)).count();
            let (here, behind) = if same < size { rest.split_at(same) } else { (here, behind) };
            let tag = book.enter(self.transit(&mut random, hops(first)));
            feed.sets.push((tag, here.to_vec()));
            rest = behind;
        }
        feed
    }

    fn transit(&self, random: &mut Random, hops: usize) -> Attributes {
        let mut set = self.own();
        let length = hops + 2 + random.below(5);
        while set.as_path.len() < length {
            set.as_path.push(1_000 + u32::try_from(random.below(60_000)).unwrap_or_default());
        }
        set.origin = if random.below(10) == 0 { 2 } else { 0 };
        let communities = random.below(9);
        set.communities = (0..communities)
            .map(|_| u32::try_from((1_000 + random.below(20_000)) << 16 | random.below(5_000)).unwrap_or(1))
            .collect::<BTreeSet<u32>>();
        set
    }
}

/// The numbers below `count` in runs of four, the runs shuffled.
fn scattered(count: u32, random: &mut Random) -> Vec<u32> {
    let mut runs: Vec<u32> = (0..count.div_ceil(4)).collect();
    for end in (1..runs.len()).rev() {
        runs.swap(end, random.below(end + 1));
    }
    runs.iter().flat_map(|run| 4 * run..4 * run + 4).filter(|&number| number < count).collect()
}

/// xorshift64*: the same numbers everywhere, for ever.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Any seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        usize::try_from(number).unwrap_or_default().checked_rem(end).unwrap_or_default()
    }

    /// How many prefixes share a set: Pareto with exponent 1.1, up to 2000.
    fn size(&mut self) -> usize {
        let uniform = (1 + u32::try_from(self.below(1_000_000)).unwrap_or_default()) as f64 / 1e6;
        let size = uniform.powf(-1.0 / 1.1).min(2_000.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 2000")]
        let size = size as usize;
        size.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::wire::{UPDATE, next_message, split_update};

    const FEEDER: Feeder = Feeder { asn: Some(65001), address: Ipv4Addr::new(10, 0, 0, 2) };

    #[test]
    fn every_prefix_once_and_about_six_to_a_set() {
        let mut book = Book::default();
        let feed = FEEDER.internet(&mut book, 100_001, 1, |_| 0);
        let mut seen: Vec<u32> = feed.sets.iter().flat_map(|(_, numbers)| numbers).copied().collect();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..100_001));
        assert!((12_000..25_000).contains(&feed.sets.len()), "{} sets", feed.sets.len());
        let again = FEEDER.internet(&mut Book::default(), 100_001, 1, |_| 0);
        assert_eq!(again.sets, feed.sets, "a seed says everything");
    }

    #[test]
    fn hops_lengthen_the_paths_of_their_prefixes() {
        let mut book = Book::default();
        let feed = FEEDER.internet(&mut book, 1_000, 1, |number| if number % 2 == 0 { 0 } else { 9 });
        for (tag, numbers) in feed.sets {
            let long = book.set(tag).unwrap().as_path.len() > 7;
            assert!(numbers.iter().all(|number| (number % 2 == 1) == long), "{numbers:?}");
        }
    }

    #[test]
    fn announcements_say_all_of_it() {
        let mut book = Book::default();
        let feed = FEEDER.internet(&mut book, 5_000, 3, |_| 0);
        let bytes = feed.announcements(Shape::Table, &book);
        let (mut prefixes, mut rest) = (0, &bytes[..]);
        while let Some((kind, body, behind)) = next_message(rest).unwrap() {
            let (_, attributes, nlri) = split_update(body).unwrap();
            let set = Attributes::decode(attributes).unwrap();
            assert_eq!((kind, book.set(set.tag)), (UPDATE, Some(&set)));
            assert_eq!(set.as_path.first(), Some(&65001));
            prefixes += nlri.len() / 4;
            rest = behind;
        }
        assert_eq!((prefixes, rest.len()), (5_000, 0));
    }
}
