//! Sessions themselves: hundreds that come at once, and a hundred with nothing to say.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::fan_out::own_blocks;
use super::{Phases, Scene};
use crate::bench::driver::Role;
use crate::bench::prefix::Shape;
use crate::bench::stage::{Stage, internal};
use crate::bench::usage;

/// How long an idle daemon is watched.
const IDLE: Duration = Duration::from_secs(10);

/// From the start of the process until the last session is established, while all clients dial.
pub(super) fn startup(scene: &Scene<'_>, clients: usize) -> Result<Phases> {
    let setup = scene.setup(Role::Reflector, internal(clients), Shape::Block, 8);
    let mut stage = Stage::prepare(&setup, |_, _| {})?;
    let start = stage.start();
    stage.daemon.start()?;
    let attempts = stage.generator.storm(start.at + stage.limit)?;
    let end = Instant::now();
    stage.note_processes()?;
    let mut measure = stage.measure(&start, end);
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    measure.more.insert("dials".to_owned(), attempts as f64);
    Ok(vec![("", measure)])
}

/// `wall` is how long it was watched; `memory_kib` what it uses, not the peak.
pub(super) fn idle(scene: &Scene<'_>, peers: usize) -> Result<Phases> {
    let blocks = 1;
    let prefixes = u32::try_from(peers)?;
    let setup = scene.setup(Role::Mesh, internal(peers), Shape::Block, prefixes);
    let mut stage = Stage::open(&setup, |_, _| {})?;
    let (sends, _, _) = own_blocks(&mut stage, peers, blocks);
    for (id, bytes) in &sends {
        stage.generator.send(*id, bytes);
    }
    stage.settle()?;
    let start = stage.start();
    stage.generator.run(start.at + IDLE, |_| false)?;
    let mut measure = stage.measure(&start, Instant::now());
    // What peers of a mesh say is passed on to nobody, unless the daemon is a relay.
    if !scene.driver.is_relay() {
        stage.check()?;
    }
    measure.more.insert("percent".to_owned(), 100.0 * measure.cpu / measure.wall);
    measure.memory_kib = usage::memory(&stage.pids);
    Ok(vec![("", measure)])
}
