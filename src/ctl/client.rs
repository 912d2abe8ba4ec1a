//! One request to the agent's socket. Knows HTTP, nothing of what is asked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::daemon::protocol::ErrorDocument;

/// Longest answer: a table of two million routes.
const ANSWER_MAX_BYTES: usize = 4 << 30;
/// How long the agent may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Nobody listens.
    #[error("no agent answers at {}: {source}. Is `manx daemon` running, and is this its --config?", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Somebody may, but not to us.
    #[error("{} may be opened by root and its group only: use sudo, or become a member of the group", socket.display())]
    Forbidden {
        /// The socket.
        socket: PathBuf,
    },
    /// The connection broke or timed out.
    #[error("the agent at {} stopped answering: {reason}", socket.display())]
    Broken {
        /// The socket.
        socket: PathBuf,
        /// In words.
        reason: String,
    },
    /// The agent said no.
    #[error("{0}")]
    Refused(String),
}

/// Asks for one document; with a body by POST.
///
/// # Errors
/// The agent cannot be reached, breaks off, or refuses.
pub(super) async fn ask<T: DeserializeOwned>(
    socket: &Path,
    path: &str,
    body: Option<String>,
) -> Result<T, Error> {
    let stream = UnixStream::connect(socket).await.map_err(|source| match source.kind() {
        std::io::ErrorKind::PermissionDenied => Error::Forbidden { socket: socket.to_owned() },
        _ => Error::Unreachable { socket: socket.to_owned(), source },
    })?;
    let broken = |reason: String| Error::Broken { socket: socket.to_owned(), reason };
    let answer = tokio::time::timeout(TIMEOUT, exchange(stream, path, body))
        .await
        .map_err(|_| broken(format!("no answer within {} s", TIMEOUT.as_secs())))?;
    let (ok, body) = answer.map_err(&broken)?;
    if !ok {
        let refusal = serde_json::from_slice::<ErrorDocument>(&body);
        return Err(Error::Refused(refusal.map_or_else(|_| "the agent refused".to_owned(), |r| r.error)));
    }
    serde_json::from_slice(&body).map_err(|error| broken(format!("it sent something else: {error}")))
}

async fn exchange(stream: UnixStream, path: &str, body: Option<String>) -> Result<(bool, Bytes), String> {
    let words = |error: hyper::Error| error.to_string();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(words)?;
    let driver = tokio::spawn(connection);
    let method = if body.is_some() { hyper::Method::POST } else { hyper::Method::GET };
    let request = hyper::Request::builder()
        .method(method)
        .uri(path)
        .header("host", "manx")
        .body(Full::<Bytes>::from(body.unwrap_or_default()))
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(words)?;
    let ok = response.status().is_success();
    let body = Limited::new(response.into_body(), ANSWER_MAX_BYTES).collect().await;
    driver.abort();
    Ok((ok, body.map_err(|error| error.to_string())?.to_bytes()))
}
