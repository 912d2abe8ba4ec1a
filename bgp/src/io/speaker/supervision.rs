//! A neighbor's task that panicked: a defect of ours that must not cost more than that neighbor's session. Only the
//! bookkeeping; the speaker's task starts it again.

use std::time::{Duration, Instant};

use tokio::task::JoinError;

/// First and longest wait before a task that failed is started again.
const RESTART_MIN: Duration = Duration::from_secs(1);
const RESTART_MAX: Duration = Duration::from_secs(60);
/// A task that ran for so long has left its former failures behind.
const LASTING_RUN: Duration = Duration::from_secs(600);

/// Why a neighbor has no task, and when it gets one again.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) reason: String,
    pub(super) at: Instant,
    pub(super) restart_at: Instant,
    /// In a row, this one included.
    count: u32,
}

impl Failure {
    /// The task that was started at `started` ended with `error`.
    pub(super) fn new(error: JoinError, former: Option<&Self>, started: Instant, now: Instant) -> Self {
        let is_lasting = now.saturating_duration_since(started) >= LASTING_RUN;
        let before = former.filter(|_| !is_lasting).map_or(0, |former| former.count);
        let wait = RESTART_MIN.saturating_mul(1 << before.min(16)).min(RESTART_MAX);
        let reason = format!("its task failed, a defect of manx: {}", text(error));
        Self { reason, at: now, restart_at: now + wait, count: before.saturating_add(1) }
    }
}

fn text(error: JoinError) -> String {
    match error.try_into_panic() {
        Err(error) => error.to_string(),
        Ok(payload) => match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(text), _) => (*text).to_owned(),
            (None, Some(text)) => text.clone(),
            (None, None) => "a panic without words".to_owned(),
        },
    }
}
