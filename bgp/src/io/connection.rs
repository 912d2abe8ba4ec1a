//! One TCP connection as the neighbor's task sees it: bytes in become messages, queued messages become as few
//! writes as possible, and nothing here ever waits but the closing.

use std::io;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::outbox::Outbox;
use super::sockopt;
use crate::peer::Password;
use crate::wire::{
    DecodeContext, DecodeError, EncodeContext, MAX_LEN_EXTENDED, Message, decode_message, frame_len,
};

/// Room for one read: one message of the longest kind, or some sixteen usual ones.
const READ_SIZE: usize = MAX_LEN_EXTENDED + 1;
/// How long a connection that is being closed may take to get its last message out and to be closed by the
/// other side too.
const LINGER: Duration = Duration::from_secs(2);

/// A connection and what waits on it.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    input: BytesMut,
    pub(super) decode: DecodeContext,
    pub(super) encode: EncodeContext,
    pub(super) outbox: Outbox,
    /// Something was left over when the socket last took all it could.
    pub(super) blocked: bool,
}

/// What one go at writing came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// Octets that reached the socket.
    pub(super) total: usize,
    /// Octets of the RIB that left the queue. A message that is only begun counts whole.
    pub(super) bulk: usize,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            decode: DecodeContext::default(),
            encode: EncodeContext::default(),
            outbox: Outbox::default(),
            blocked: false,
        }
    }

    /// Reads once, as much as there is room for. `Ready(Ok(0))` is the end of the stream.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            std::task::ready!(self.stream.poll_read_ready(cx))?;
            // Reuses the allocation when every frame of it is gone, which is the rule.
            self.input.reserve(READ_SIZE);
            match self.stream.try_read_buf(&mut self.input) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// The next whole message that has been read; `None` when more bytes are needed.
    pub(super) fn next_message(&mut self) -> Option<Result<Message, DecodeError>> {
        let len = match frame_len(&self.input, &self.decode) {
            Ok(len) => len.filter(|&len| len <= self.input.len())?,
            Err(error) => return Some(Err(error)),
        };
        let frame = self.input.split_to(len).freeze();
        Some(decode_message(&frame, &self.decode))
    }

    /// Whether something came that has not been looked at: a proof of life.
    pub(super) fn has_unread(&self) -> bool {
        let whole = frame_len(&self.input, &self.decode);
        let framed = matches!(whole, Ok(Some(len)) if len <= self.input.len());
        framed || sockopt::has_unread(&self.stream)
    }

    /// Writes until nothing is left or the socket takes no more.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<Written> {
        let mut written = Written::default();
        while !self.outbox.is_empty() {
            match self.stream.poll_write_ready(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => break,
            }
            let result = self.stream.try_write_vectored(&self.outbox.slices());
            match result {
                Ok(total) => {
                    written.total += total;
                    written.bulk += self.outbox.advance(total);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    /// See [`sockopt::change_password`].
    pub(super) fn change_password(&self, remote: IpAddr, password: Option<&Password>) -> io::Result<()> {
        sockopt::change_password(&self.stream, remote, password)
    }

    /// Gets the rest of a begun message and the machine's last words out, then closes; what the RIB had
    /// queued is dropped. Bounded by [`LINGER`].
    pub(super) async fn close(mut self) {
        let last_words = async {
            for message in self.outbox.last_words() {
                self.stream.write_all(message).await?;
            }
            self.stream.shutdown().await?;
            // A socket that is closed with unread bytes sends a reset, which can overtake the last words.
            let mut scratch = [0; 4096];
            while self.stream.read(&mut scratch).await? > 0 {}
            io::Result::Ok(())
        };
        // Whatever comes of it, the connection is over; there is nobody left to tell.
        let _ = tokio::time::timeout(LINGER, last_words).await;
    }
}
