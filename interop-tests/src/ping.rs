//! A ping that never stops, and the count of what it lost.

use std::io::{BufRead as _, BufReader};
use std::net::IpAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::assert::wait_until;
use crate::host::Host;
use crate::kernel::Family;
use crate::secs;

/// What has come back. Echoes come in order on one path, nearly so on two; a gap below the newest echo is a
/// loss, and what is still under way is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Echoes that came, without duplicates.
    pub received: u64,
    /// The newest sequence number, unwrapped from its 16 bits; ping counts from 1.
    pub newest: u64,
    /// The latest round trip in microseconds.
    pub round_trip_us: u64,
}

impl Tally {
    /// Requests that were overtaken by an answered one.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.newest.saturating_sub(self.received)
    }

    /// One line of ping's output.
    fn note(&mut self, line: &str) {
        let field =
            |name: &str| line.split_once(name)?.1.split(|c: char| !c.is_ascii_digit() && c != '.').next();
        if !line.contains("bytes from") || line.contains("DUP!") {
            return;
        }
        let Some(sequence) = field("icmp_seq=").and_then(|digits| digits.parse::<u16>().ok()) else { return };
        let rounds = self.newest >> 16;
        let candidate = (rounds << 16) | u64::from(sequence);
        let unwrapped = if candidate + 0x8000 < self.newest { candidate + 0x1_0000 } else { candidate };
        self.newest = self.newest.max(unwrapped);
        self.received += 1;
        if let Some(milliseconds) = field("time=").and_then(|digits| digits.parse::<f64>().ok()) {
            self.round_trip_us =
                Duration::from_secs_f64(milliseconds / 1000.0).as_micros().try_into().unwrap_or(0);
        }
    }
}

/// A running `ping`. Killed on drop.
#[derive(Debug)]
pub struct Ping {
    name: String,
    host: Host,
    child: Child,
    tally: Arc<Mutex<Tally>>,
}

impl Ping {
    /// Pings `target` from `host` every `interval`; the first echo is waited for, because one that never
    /// worked has nothing to lose. Start it from the thread of the test ([`crate::Process`]).
    ///
    /// # Errors
    /// When no echo comes within 5 s.
    pub fn start(host: &Host, target: IpAddr, interval: Duration) -> Result<Self> {
        let ping = Self::start_unchecked(host, target, interval)?;
        ping.progress(1)?;
        Ok(ping)
    }

    /// As [`Ping::start`], without waiting for anything.
    ///
    /// # Errors
    /// When `ping` cannot be started.
    pub fn start_unchecked(host: &Host, target: IpAddr, interval: Duration) -> Result<Self> {
        let interval = format!("{:.3}", interval.as_secs_f64());
        let target_text = target.to_string();
        let argv = ["ping", "-n", Family::of(target).flag(), "-i", &interval, "-W", "1", &target_text];
        let mut child = host
            .command(&argv)?
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("start ping")?;
        let tally = Arc::new(Mutex::new(Tally::default()));
        let pipe = child.stdout.take().context("ping has no output")?;
        let noted = Arc::clone(&tally);
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                noted.lock().unwrap_or_else(PoisonError::into_inner).note(&line);
            }
        });
        Ok(Self { name: format!("{} → {target}", host.name()), host: host.clone(), child, tally })
    }

    /// What has come back so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `echoes` more echoes: the path works *now*, and a loss before now is in the tally.
    ///
    /// # Errors
    /// When they do not come within 5 s.
    pub fn progress(&self, echoes: u64) -> Result<()> {
        let before = self.tally().received;
        wait_until(&format!("ping {} is answered", self.name), secs(5), self.host.directory(), || {
            let now = self.tally();
            ensure!(now.received >= before + echoes, "{now:?}, was at {before}");
            Ok(())
        })
    }

    /// Fails when anything was lost.
    ///
    /// # Errors
    /// The loss, or that the path does not work any more.
    pub fn ensure_nothing_lost(&self) -> Result<()> {
        self.progress(5)?;
        let tally = self.tally();
        ensure!(tally.lost() == 0, "ping {}: {} of {} lost", self.name, tally.lost(), tally.newest);
        Ok(())
    }
}

impl Drop for Ping {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(sequences: &[u16]) -> Tally {
        let mut tally = Tally::default();
        for sequence in sequences {
            tally.note(&format!("64 bytes from 10.0.0.1: icmp_seq={sequence} ttl=64 time=0.037 ms"));
        }
        tally
    }

    #[test]
    fn a_gap_is_a_loss_and_the_tail_is_not() {
        assert_eq!(tally(&[1, 2, 3]).lost(), 0);
        assert_eq!(tally(&[1, 2, 5]).lost(), 2);
        assert_eq!(tally(&[1, 3, 2]).lost(), 0, "overtaking is no loss");
        assert_eq!(tally(&[1, 2]).round_trip_us, 37);
    }

    #[test]
    fn sequence_numbers_wrap() {
        let mut all: Vec<u16> = (1..=u16::MAX).collect();
        all.extend([0, 1, 3]);
        let tally = tally(&all);
        assert_eq!((tally.newest, tally.lost()), (65536 + 3, 1));
    }

    #[test]
    fn errors_and_duplicates_do_not_count() {
        let mut tally = tally(&[1]);
        tally.note("From 10.0.0.9 icmp_seq=2 Destination Host Unreachable");
        tally.note("64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=0.037 ms (DUP!)");
        assert_eq!((tally.received, tally.newest), (1, 1));
    }
}
