//! The checker must fail when anything is wrong.

use super::super::attributes::Attributes;
use super::super::feed::Book;
use super::super::prefix::Shape;
use super::super::wire;
use super::{Passing, Picture, Seen, Verified, Wanted};

const DAEMON: u32 = 0x0ac8_0001;

struct Bench {
    book: Book,
    wanted: Wanted,
    seen: Seen,
    picture: Picture,
}

/// Three prefixes: 0 and 1 with one set, 2 with another.
fn bench() -> Bench {
    let mut book = Book::default();
    let sent = Attributes { as_path: vec![65001], next_hop: 7, ..Attributes::default() };
    let (first, second) = (book.enter(sent.clone()), book.enter(sent));
    let mut wanted = Wanted::nothing(Shape::Block, 4);
    wanted.tags = vec![first, first, second, 0];
    let (mut picture, seen) = (Picture::new(0, 4), Seen::default());
    picture.recount(&wanted, &seen);
    assert_eq!(picture.wrong(), 3);
    Bench { book, wanted, seen, picture }
}

impl Bench {
    fn take(&mut self, withdrawn: &[u32], change: impl Fn(&mut Attributes), tag: u32, announced: &[u32]) {
        let mut set = self.book.set(tag).cloned().unwrap_or_default();
        change(&mut set);
        let (mut attributes, mut stream) = (Vec::new(), Vec::new());
        set.encode(&mut attributes);
        wire::update(&mut stream, Shape::Block, withdrawn, &attributes, announced);
        let (_, body, _) = wire::next_message(&stream).unwrap().unwrap();
        self.picture.update(body, &self.wanted, &mut self.seen);
    }

    fn verdict(&self, passing: Passing) -> Result<(), String> {
        let verified = Verified::compare(&self.seen, &self.book, passing);
        let verdict = self.picture.ensure_right(&self.wanted, &self.seen, &verified);
        verdict.map_err(|error| format!("{error:#}"))
    }
}

fn ebgp(set: &mut Attributes) {
    set.as_path.insert(0, 64512);
    set.next_hop = DAEMON;
}

const EBGP: Passing = Passing::Ebgp { asn: 64512, address: DAEMON };

#[test]
fn all_of_it_is_right() {
    let mut bench = bench();
    bench.take(&[], ebgp, 1, &[0, 1]);
    assert_eq!(bench.picture.wrong(), 1);
    bench.take(&[], ebgp, 2, &[2]);
    assert_eq!((bench.picture.wrong(), bench.verdict(EBGP)), (0, Ok(())));
    assert_eq!(bench.picture.announced, 3);
}

#[test]
fn a_missing_prefix_is_found() {
    let mut bench = bench();
    bench.take(&[], ebgp, 1, &[0, 1]);
    bench.take(&[], ebgp, 2, &[2]);
    bench.take(&[1], ebgp, 1, &[]);
    assert_eq!(bench.picture.wrong(), 1);
    assert_eq!(bench.verdict(EBGP).unwrap_err(), "receiver 0, 20.0.2.0/26: missing");
}

#[test]
fn a_surplus_prefix_is_found() {
    let mut bench = bench();
    bench.take(&[], ebgp, 1, &[0, 1, 3]);
    bench.take(&[], ebgp, 2, &[2]);
    assert_eq!(bench.picture.wrong(), 1);
    assert!(bench.verdict(EBGP).unwrap_err().contains("should not be there"));
    // Its own prefix back is surplus too.
    let mut bench = self::bench();
    bench.wanted.owners = vec![1, 0, 0, 0];
    bench.take(&[], ebgp, 1, &[0, 1]);
    bench.take(&[], ebgp, 2, &[2]);
    assert!(bench.verdict(EBGP).unwrap_err().contains("20.0.0.0/26: should not be there"));
    // Unless the daemon is one of those that do so; but then it must be right.
    bench.wanted.returns = true;
    bench.picture.recount(&bench.wanted, &bench.seen);
    assert_eq!((bench.picture.wrong(), bench.verdict(EBGP)), (0, Ok(())));
    bench.take(&[], |set| set.med = Some(1), 1, &[0]);
    assert_eq!(bench.picture.wrong(), 0);
    assert!(bench.verdict(EBGP).unwrap_err().contains("attributes differ"));
}

#[test]
fn another_attribute_is_found() {
    let wrong: [fn(&mut Attributes); 6] = [
        |set| set.as_path = vec![64512, 64512, 65001],
        |set| set.next_hop = 99,
        |set| set.med = Some(0),
        |set| set.origin = 2,
        |set| {
            set.communities.insert(5);
        },
        |set| set.local_pref = Some(100),
    ];
    for change in wrong {
        let mut bench = bench();
        bench.take(&[], ebgp, 1, &[0, 1]);
        bench.take(
            &[],
            |set| {
                ebgp(set);
                change(set);
            },
            2,
            &[2],
        );
        assert_eq!(bench.picture.wrong(), 0, "by their tags all are there");
        assert!(bench.verdict(EBGP).unwrap_err().contains("attributes differ"));
    }
}

#[test]
fn another_set_is_found() {
    let mut bench = bench();
    bench.take(&[], ebgp, 1, &[0, 1, 2]);
    assert_eq!(bench.picture.wrong(), 1);
    assert!(bench.verdict(EBGP).unwrap_err().contains("tag 1, wanted 2"));
}

#[test]
fn a_reflector_adds_originator_and_cluster() {
    let reflect = |set: &mut Attributes| {
        set.originator = Some(7);
        set.clusters = vec![1];
    };
    let mut bench = bench();
    bench.take(&[], reflect, 1, &[0, 1]);
    bench.take(&[], reflect, 2, &[2]);
    assert_eq!(bench.verdict(Passing::Reflected), Ok(()));
    assert!(bench.verdict(Passing::Untouched).is_err());
    bench.take(&[], |set| set.clusters = vec![1], 2, &[2]);
    assert!(bench.verdict(Passing::Reflected).is_err());
}

#[test]
fn malformed_and_foreign_are_found() {
    let mut bench = bench();
    bench.picture.update(&[0, 9], &bench.wanted, &mut bench.seen);
    assert!(bench.verdict(EBGP).unwrap_err().contains("malformed"));
    let mut bench = self::bench();
    bench.take(&[], ebgp, 1, &[4]);
    assert!(bench.verdict(EBGP).unwrap_err().contains("nobody announced"));
}
