//! The benchmarks' own tests: what the generator encodes, manx's codec reads; a tiny reflector works through
//! manx and through the relay; and the checker fails when a prefix is missing or an attribute differs.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use bgp::wire::{DecodeContext, Message, decode_message};
use bytes::Bytes;
use interop_tests::bench::attributes::Attributes;
use interop_tests::bench::driver::{Driver, Plan, Role, all};
use interop_tests::bench::feed::{Book, Feed, Feeder};
use interop_tests::bench::ground::Ground;
use interop_tests::bench::prefix::Shape;
use interop_tests::bench::scenario::Case;
use interop_tests::bench::stage::{Setup, Stage, internal};
use interop_tests::bench::wire::{self, Open};
use interop_tests::{can_run, secs};

const LIMIT: Duration = Duration::from_secs(20);

fn driver(name: &str) -> Result<Box<dyn Driver>> {
    let mut all = all(Path::new(env!("CARGO_BIN_EXE_bench")));
    let index = all.iter().position(|driver| driver.name() == name);
    Ok(all.swap_remove(index.ok_or_else(|| anyhow::anyhow!("no driver {name}"))?))
}

/// Every message of a stream, by manx's decoder.
fn decoded(stream: &[u8]) -> Result<Vec<Message>> {
    let mut messages = Vec::new();
    let mut rest = stream;
    while let Some((_, body, behind)) = wire::next_message(rest)? {
        let (frame, _) = rest.split_at(wire::HEADER + body.len());
        let frame = Bytes::copy_from_slice(frame);
        messages.push(decode_message(&frame, &DecodeContext::default())?);
        rest = behind;
    }
    assert!(rest.is_empty());
    Ok(messages)
}

#[test]
fn manx_reads_what_the_generator_writes() -> Result<()> {
    let asn = 4_200_000_001;
    let open = Open { asn, router_id: 0x0ac8_0100, hold_time: 90, restart_time: Some(120), restarted: true };
    let [Message::Open(open)] = &decoded(&open.encode())?[..] else { panic!("no OPEN") };
    assert_eq!((open.asn().0, open.hold_time_secs, open.capabilities.len()), (asn, 90, 4));

    let feeder = Feeder { asn: Some(65_001), address: Ipv4Addr::new(10, 200, 1, 0) };
    let mut book = Book::default();
    let feed = feeder.internet(&mut book, 3_000, 1, |_| 0);
    let mut sets = feed.sets.iter();
    let mut prefixes = 0;
    for message in decoded(&feed.announcements(Shape::Table, &book))? {
        let Message::Update(update) = message else { panic!("no UPDATE") };
        assert!(update.errors.is_empty(), "{:?}", update.errors);
        let nlri = &update.update.reach[0].nlri;
        prefixes += nlri.len();
        let (tag, numbers) = sets.next().unwrap();
        let sent: &Attributes = book.set(*tag).unwrap();
        let path: Vec<u32> = update.update.attributes.as_path.asns().map(|asn| asn.0).collect();
        assert_eq!((path, nlri.len()), (sent.as_path.clone(), numbers.len()));
        assert_eq!(nlri[0].prefix.to_string(), Shape::Table.show(numbers[0]));
        assert_eq!(update.update.attributes.communities.len(), sent.communities.len() + 1);
    }
    assert_eq!(prefixes, 3_000);
    let withdrawn: usize = decoded(&feed.withdrawals(Shape::Table))?
        .into_iter()
        .map(|message| match message {
            Message::Update(update) => update.update.unreach[0].nlri.len(),
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(withdrawn, 3_000);
    let [Message::Update(update), Message::Keepalive] =
        &decoded(&[wire::end_of_rib(), wire::keepalive()].concat())?[..]
    else {
        panic!("no End-of-RIB")
    };
    assert!(update.update.end_of_rib.is_some());
    Ok(())
}

#[test]
fn a_tiny_reflector_through_manx_and_the_relay() -> Result<()> {
    if !can_run("a_tiny_reflector_through_manx_and_the_relay") {
        return Ok(());
    }
    for name in ["manx", "relay"] {
        let phases = Case::Reflect { clients: 3, blocks: 4 }.run(driver(name)?.as_ref(), LIMIT)?;
        let (_, measure) = &phases[0];
        // Each of the three gets the eight of the two others.
        assert!(measure.messages >= 3 && measure.bytes >= 24 * 5, "{name}: {measure:?}");
        assert!(measure.cpu > 0.0 && measure.memory_kib > 100, "{name}: {measure:?}");
    }
    Ok(())
}

/// Three clients, of which the first has four blocks.
fn with_reflector(name: &str, story: impl Fn(&mut Stage, u32) -> Result<()> + Sync) -> Result<()> {
    let ground = Ground::build(3)?;
    let driver = driver(name)?;
    ground.generator()?.within(|| {
        let peers = internal(3);
        let plan =
            Plan { role: Role::Reflector, peers, kernel: false, graceful_restart: false, filter: None };
        let (driver, ground) = (driver.as_ref(), &ground);
        let setup = Setup { driver, ground, plan, shape: Shape::Block, prefixes: 4, limit: LIMIT };
        let mut stage = Stage::open(&setup, |_, _| {})?;
        let own = stage.feeder(0).own();
        let tag = stage.book.enter(own);
        stage.want(vec![tag; 4], vec![1; 4]);
        stage.timed(&[(0, blocks(&stage, tag))])?;
        story(&mut stage, tag)
    })
}

fn blocks(stage: &Stage, tag: u32) -> Arc<[u8]> {
    Feed { sets: vec![(tag, vec![0, 1, 2, 3])] }.announcements(Shape::Block, &stage.book)
}

/// Sends, and serves the sessions until the others have heard of it.
fn say(stage: &mut Stage, bytes: Vec<u8>) -> Result<()> {
    let before = stage.generator.received().1;
    stage.generator.send(0, &bytes.into());
    stage.generator.run(Instant::now() + secs(10), |all| all.received().1 >= before + 2)
}

#[test]
fn the_checker_finds_a_missing_prefix_and_another_attribute() -> Result<()> {
    if !can_run("the_checker_finds_a_missing_prefix_and_another_attribute") {
        return Ok(());
    }
    for name in ["manx", "relay"] {
        with_reflector(name, |stage, tag| {
            // The same set but for an attribute that nobody entered into the book.
            let mut attributes = Vec::new();
            let other = Attributes { med: Some(99), tag, ..stage.feeder(0).own() };
            other.encode(&mut attributes);
            let mut bytes = Vec::new();
            wire::announce(&mut bytes, Shape::Block, &attributes, &[3]);
            say(stage, bytes)?;
            let error = format!("{:#}", stage.check().expect_err("another MED"));
            assert!(error.contains("attributes differ") && error.contains("20.0.6.0/26"), "{name}: {error}");

            let mut bytes = blocks(stage, tag).to_vec();
            wire::withdraw(&mut bytes, Shape::Block, &[2]);
            say(stage, bytes)?;
            stage.settle()?;
            let error = format!("{:#}", stage.check().expect_err("a prefix less"));
            assert!(error.contains("20.0.4.0/26: missing"), "{name}: {error}");

            let bytes = blocks(stage, tag).to_vec();
            say(stage, bytes)?;
            stage.settle()?;
            stage.check()
        })?;
    }
    Ok(())
}
