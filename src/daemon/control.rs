//! The local socket: HTTP/1.1, one GET per read verb (and one POST, which tries and changes nothing), documents of [`super::protocol`]. Decides nothing.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;

use super::agent::{Agent, Refusal};
use super::protocol::ErrorDocument;

/// Most octets of manifests that are tried at once; as long as a file may be.
const MANIFESTS_MAX_BYTES: usize = 64 << 20;

/// The bound socket; its file is removed when this is dropped.
pub(super) struct ControlSocket {
    listener: Option<UnixListener>,
    path: PathBuf,
}

impl ControlSocket {
    /// Binds `path` for the owner and group only. A file that a dead daemon left is replaced; one that a live
    /// daemon listens on is an error.
    pub(super) async fn bind(path: &Path) -> anyhow::Result<Self> {
        if let Some(parent) = path.parent() {
            tokio::fs::create_dir_all(parent).await?;
        }
        if tokio::net::UnixStream::connect(path).await.is_ok() {
            anyhow::bail!(
                "another daemon answers at {}: stop it, or give this one its own socket",
                path.display()
            );
        }
        match tokio::fs::remove_file(path).await {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let listener = UnixListener::bind(path)?;
        tokio::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).await?;
        Ok(Self { listener: Some(listener), path: path.to_owned() })
    }

    /// Serves until dropped.
    pub(super) async fn serve(mut self, agent: Arc<Agent>) {
        if let Some(listener) = self.listener.take()
            && let Err(error) = axum::serve(listener, router(agent)).await
        {
            tracing::error!(%error, "the control socket ended");
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Whoever replaced the file owns it now, and a missing one is what we want.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn router(agent: Arc<Agent>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/peers", get(peers))
        .route("/v1/routes", get(routes))
        .route("/v1/fib", get(fib))
        .route("/v1/policy", get(policy))
        .route("/v1/policy/test", post(try_policy))
        // Sets of a million prefixes.
        .layer(axum::extract::DefaultBodyLimit::max(MANIFESTS_MAX_BYTES))
        .fallback(async || {
            answer::<()>(Err(Refusal::not_found(
                "no such document; this daemon may be older than the client",
            )))
        })
        .with_state(agent)
}

async fn status(State(agent): State<Arc<Agent>>) -> Response {
    answer(agent.status().await)
}

#[derive(Deserialize)]
struct PeersQuery {
    name: Option<String>,
}

async fn peers(State(agent): State<Arc<Agent>>, Query(query): Query<PeersQuery>) -> Response {
    answer(agent.peers(query.name.as_deref()).await)
}

#[derive(Deserialize)]
struct RoutesQuery {
    prefix: Option<String>,
    received: Option<String>,
    advertised: Option<String>,
}

async fn routes(State(agent): State<Arc<Agent>>, Query(query): Query<RoutesQuery>) -> Response {
    let RoutesQuery { prefix, received, advertised } = query;
    answer(agent.routes(prefix.as_deref(), received.as_deref(), advertised.as_deref()).await)
}

async fn fib(State(agent): State<Arc<Agent>>) -> Response {
    answer(agent.fib().await)
}

async fn policy(State(agent): State<Arc<Agent>>) -> Response {
    answer(agent.policy().await)
}

async fn try_policy(State(agent): State<Arc<Agent>>, manifests: String) -> Response {
    answer(agent.try_policy(&manifests).await)
}

fn answer<T: Serialize>(result: Result<T, Refusal>) -> Response {
    match result {
        Ok(document) => Json(document).into_response(),
        Err(refusal) => {
            let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, Json(ErrorDocument { error: refusal.message })).into_response()
        }
    }
}
