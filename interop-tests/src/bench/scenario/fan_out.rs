//! Route reflection: many clients with a few blocks each, one client with a table, and one that never reads.

use std::sync::Arc;

use anyhow::Result;

use super::{Phases, Scene};
use crate::bench::driver::Role;
use crate::bench::feed::Feed;
use crate::bench::prefix::Shape;
use crate::bench::stage::{Stage, internal, tags};

/// Bytes; the least the kernel gives.
const SMALL_BUFFER: usize = 2_048;
/// How often the table of `slow-peer` is sent, each time with other attributes: more than socket buffers hold.
const VERSIONS: u64 = 4;

pub(super) fn reflect(scene: &Scene<'_>, clients: usize, blocks: u32) -> Result<Phases> {
    let prefixes = blocks * u32::try_from(clients)?;
    let setup = scene.setup(Role::Reflector, internal(clients), Shape::Block, prefixes);
    let mut stage = Stage::open(&setup, |_, _| {})?;
    let (sends, wanted, owners) = own_blocks(&mut stage, clients, blocks);
    stage.want(wanted, owners);
    Ok(vec![("", stage.timed(&sends)?)])
}

/// UPDATEs to send, wanted tags, owners: client `c` has blocks from `c · blocks`.
pub(super) type OwnBlocks = (Vec<(usize, Arc<[u8]>)>, Vec<u32>, Vec<u32>);

/// One UPDATE of each client with all of its blocks.
pub(super) fn own_blocks(stage: &mut Stage, clients: usize, blocks: u32) -> OwnBlocks {
    let (mut sends, mut wanted, mut owners) = (Vec::new(), Vec::new(), Vec::new());
    for (id, owner) in (0..clients).zip(1_u32..) {
        let own = stage.feeder(id).own();
        let tag = stage.book.enter(own);
        let first = (owner - 1) * blocks;
        let feed = Feed { sets: vec![(tag, (first..first + blocks).collect())] };
        sends.push((id, feed.announcements(stage.shape, &stage.book)));
        wanted.extend((0..blocks).map(|_| tag));
        owners.extend((0..blocks).map(|_| owner));
    }
    (sends, wanted, owners)
}

pub(super) fn fan_out(scene: &Scene<'_>, clients: usize, prefixes: u32) -> Result<Phases> {
    let setup = scene.setup(Role::Reflector, internal(clients + 1), Shape::Table, prefixes);
    let mut stage = Stage::open(&setup, |_, _| {})?;
    let feed = stage.feeder(0).internet(&mut stage.book, prefixes, 1, |_| 0);
    let sends = [(0, feed.announcements(stage.shape, &stage.book))];
    stage.want(tags(&feed, prefixes), vec![1; usize::try_from(prefixes)?]);
    Ok(vec![("", stage.timed(&sends)?)])
}

pub(super) fn slow_peer(scene: &Scene<'_>, clients: usize, prefixes: u32, with_slow: bool) -> Result<Phases> {
    let slow = clients + 1;
    let all = if with_slow { clients + 2 } else { clients + 1 };
    let setup = scene.setup(Role::Reflector, internal(all), Shape::Table, prefixes);
    let mut stage = Stage::open(&setup, |id, client| {
        client.receive_buffer = (id == slow).then_some(SMALL_BUFFER);
    })?;
    if let Some(client) = stage.generator.clients.get_mut(slow) {
        client.is_deaf = true;
        client.is_ignored = true;
    }
    let mut sends = Vec::new();
    let mut last = Feed::default();
    for version in 0..VERSIONS {
        last = stage.feeder(0).internet(&mut stage.book, prefixes, version, |_| 0);
        sends.push((0, last.announcements(stage.shape, &stage.book)));
    }
    stage.want(tags(&last, prefixes), vec![1; usize::try_from(prefixes)?]);
    Ok(vec![("", stage.timed(&sends)?)])
}
