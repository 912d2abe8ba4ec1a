//! What the kernel answered to a write: success, a wrong picture, or a refusal that is tried again. One key's
//! refusal holds up no other.

use std::time::Instant;

use crate::{
    Fib, Outcome, RouteKey,
    delta::Operation,
    held::{self, Held},
};

impl Fib {
    pub(crate) fn handle_applied(&mut self, key: RouteKey, outcome: Outcome, now: Instant) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        let Some(operation) = entry.in_flight.take() else { return };
        match outcome {
            Outcome::Done => {
                self.counters.writes += 1;
                self.succeed(key, operation);
            }
            // Nothing to remove: as good as removed, but then our picture of the key was wrong.
            Outcome::Missing => match operation {
                Operation::Remove(_) | Operation::Replace(_) => {
                    self.scan.want();
                    self.edit_actual(key, |list, _| list.clear());
                    self.clear_failure(key);
                }
                Operation::Create(_) => self.fail(key, "no such route or link".to_owned(), now),
            },
            // Somebody has the key and we did not know: the scan says who.
            Outcome::Exists => {
                self.scan.want();
                self.fail(key, "the kernel holds another route of this prefix and metric".to_owned(), now);
            }
            Outcome::Failed { errno, message } => {
                let reason = if message.is_empty() { format!("errno {errno}") } else { message };
                self.fail(key, reason, now);
            }
        }
        self.review(key);
    }

    fn succeed(&mut self, key: RouteKey, operation: Operation) {
        let epoch = self.scan.epoch;
        match operation {
            Operation::Create(held) | Operation::Replace(held) => {
                self.edit_actual(key, |list, _| {
                    list.clear();
                    list.push(Held { epoch, ..held });
                });
                if let Some(entry) = self.entries.get_mut(&key) {
                    entry.written = true;
                    if std::mem::take(&mut entry.lost) {
                        self.counters.repairs += 1;
                        self.counters.last_repair = Some(key);
                    }
                }
            }
            Operation::Remove(held) => {
                self.edit_actual(key, |list, is_v6| {
                    // Uncertain is impossible to act on here: the kernel did remove it.
                    let _ = held::absent(list, is_v6, &held);
                });
                if key.table != self.config.table {
                    // Left from another table; there it counted as foreign since the last scan.
                    self.scan.want();
                }
            }
        }
        self.clear_failure(key);
    }

    fn fail(&mut self, key: RouteKey, reason: String, now: Instant) {
        self.counters.refusals += 1;
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.attempts = entry.attempts.saturating_add(1);
        entry.failure = Some(reason);
        let at = now + self.backoff.wait(entry.attempts);
        if let Some(before) = entry.retry_at.replace(at) {
            self.retries.remove(&(before, key));
        }
        self.retries.insert((at, key));
    }

    /// Forgets refusals: what they were about has changed.
    pub(crate) fn clear_failure(&mut self, key: RouteKey) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.attempts = 0;
        entry.failure = None;
        if let Some(at) = entry.retry_at.take() {
            self.retries.remove(&(at, key));
        }
    }

    /// Makes due what has waited long enough. The count of refusals stays, so waits keep growing.
    pub(crate) fn retry(&mut self, now: Instant) {
        while let Some((at, key)) = self.retries.first().copied() {
            if at > now {
                return;
            }
            self.retries.remove(&(at, key));
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.retry_at = None;
            }
            self.review(key);
        }
    }
}
