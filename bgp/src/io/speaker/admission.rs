//! Dynamic neighbors: how many there are of each template, and how one too many is told so.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use crate::wire::{EncodeContext, ErrorSubcode, Message, Notification, encode_message};

/// Refusals are logged at most so often.
const LOG_INTERVAL: Duration = Duration::from_secs(1);
/// Refusals that may be on their way at the same time; what is more is closed without a word.
const REFUSALS_MAX: usize = 64;
/// How long one may take.
const REFUSAL_MAX: Duration = Duration::from_secs(1);

/// Who was refused.
#[derive(Debug, Default)]
pub(super) struct Admission {
    refused: BTreeMap<String, u64>,
    logged_at: Option<Instant>,
    unlogged: u64,
    refusals: JoinSet<()>,
}

impl Admission {
    /// How many connections the template has refused.
    pub(super) fn refused(&self, template: &str) -> u64 {
        self.refused.get(template).copied().unwrap_or_default()
    }

    /// Closes a connection for which there is no place (RFC 4486, Connection Rejected).
    pub(super) fn refuse_full(&mut self, stream: TcpStream, template: &str, maximum: u32, now: Instant) {
        *self.refused.entry(template.to_owned()).or_default() += 1;
        let quiet = self.logged_at.is_some_and(|at| now.saturating_duration_since(at) < LOG_INTERVAL);
        if quiet {
            self.unlogged += 1;
        } else {
            let others = std::mem::take(&mut self.unlogged);
            let remote = stream.peer_addr().map(|remote| remote.ip().to_string()).unwrap_or_default();
            warn!(template, maximum, remote, others, "dynamic neighbor refused: raise maximumDynamicPeers");
            self.logged_at = Some(now);
        }
        self.say(stream, Notification::new(ErrorSubcode::CONNECTION_REJECTED));
    }

    /// Closes a connection of a template that is administratively down (RFC 9003).
    pub(super) fn refuse_shutdown(&mut self, stream: TcpStream, text: &str) {
        self.say(stream, Notification::with_communication(ErrorSubcode::ADMINISTRATIVE_SHUTDOWN, text));
    }

    fn say(&mut self, mut stream: TcpStream, notification: Notification) {
        while self.refusals.try_join_next().is_some() {}
        if self.refusals.len() >= REFUSALS_MAX {
            return;
        }
        let message = Message::Notification(notification);
        let Ok(bytes) = encode_message(&message, &EncodeContext::default()) else { return };
        self.refusals.spawn(async move {
            let words = async {
                stream.write_all(&bytes).await?;
                stream.shutdown().await?;
                // A socket that is closed with unread bytes sends a reset, which can overtake the last words.
                let mut scratch = [0; 512];
                while tokio::io::AsyncReadExt::read(&mut stream, &mut scratch).await? > 0 {}
                std::io::Result::Ok(())
            };
            match tokio::time::timeout(REFUSAL_MAX, words).await {
                Ok(Ok(())) | Err(_) => {}
                Ok(Err(error)) => debug!(%error, "a refused connection ended early"),
            }
        });
    }
}
