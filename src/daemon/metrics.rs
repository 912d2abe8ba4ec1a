//! Prometheus metrics, liveness, readiness and a page for people, on one TCP address. Everything is read from the
//! same documents the socket serves, at the moment of the scrape; nothing is counted here.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use super::agent::Agent;
use super::protocol::{DynamicPeersDocument, PeersDocument, StatusDocument};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PeerLabels {
    peer: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct KindLabels {
    kind: String,
}

/// Serves until dropped.
pub(super) async fn serve(listener: TcpListener, agent: Arc<Agent>) {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/", get(page))
        .with_state(agent);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the metrics listener ended");
    }
}

async fn metrics(State(agent): State<Arc<Agent>>) -> Response {
    let (Ok(status), Ok(peers)) = (agent.status().await, agent.peers(None).await) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping\n").into_response();
    };
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(
        &mut text,
        &registry(&status, &peers, agent.task_failures()),
    ) {
        Ok(()) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Ready means: the configuration is applied and in sync. A peer that is down is a metric, never unreadiness.
async fn ready(State(agent): State<Arc<Agent>>) -> Response {
    match agent.status().await {
        Ok(status) if status.in_sync => "ready\n".into_response(),
        Ok(status) => {
            let text = format!("waiting for {}\n", status.waiting_for.join(", "));
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
        Err(refusal) => (StatusCode::SERVICE_UNAVAILABLE, refusal.message).into_response(),
    }
}

async fn page(State(agent): State<Arc<Agent>>) -> Response {
    let (Ok(status), Ok(peers)) = (agent.status().await, agent.peers(None).await) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping\n").into_response();
    };
    let text = crate::ctl::overview(&status, &peers);
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
    Html(format!("<!doctype html><title>manx {}</title><pre>{escaped}</pre>\n", status.node)).into_response()
}

fn registry(status: &StatusDocument, peers: &PeersDocument, task_failures: u64) -> Registry {
    let mut registry = Registry::with_prefix("manx");
    let single = |registry: &mut Registry, name: &str, help: &str, value: i64| {
        let gauge = Gauge::<i64>::default();
        gauge.set(value);
        registry.register(name, help, gauge);
    };
    single(
        &mut registry,
        "in_sync",
        "1 when manifests, BGP and kernel are in sync",
        i64::from(status.in_sync),
    );
    single(
        &mut registry,
        "manifest_problems",
        "What manx status lists as problems",
        count(status.problems.len()),
    );
    single(
        &mut registry,
        "uptime_seconds",
        "Since the daemon started",
        i64::try_from(status.uptime_secs).unwrap_or(i64::MAX),
    );

    let failures = Counter::<u64>::default();
    failures.inc_by(task_failures);
    registry.register("peer_task_failures", "Sessions lost to a defect of the daemon", failures);

    let families = [("ipv4", status.routes.ipv4), ("ipv6", status.routes.ipv6)];
    by_kind(&mut registry, "rib_prefixes", "Prefixes with at least one path", &families);
    single(&mut registry, "rib_paths", "Paths over all prefixes", count(status.routes.paths));
    let fib = &status.fib;
    let states = [("desired", fib.desired), ("installed", fib.installed), ("unresolved", fib.unresolved)];
    by_kind(&mut registry, "fib_routes", "Kernel routes wanted, installed, without a next hop", &states);

    let up = Family::<PeerLabels, Gauge>::default();
    let paths = [
        ("peer_received_paths", "Paths the peer has sent", Family::<PeerLabels, Gauge>::default()),
        ("peer_used_paths", "Of these: in use", Family::default()),
        ("peer_stale_paths", "Kept from its last session", Family::default()),
        (
            "peer_advertised_prefixes",
            "Prefixes sent to the peer, or paths where it takes several",
            Family::default(),
        ),
        ("peer_flaps", "Established sessions lost", Family::default()),
    ];
    for peer in &peers.peers {
        let labels = PeerLabels { peer: peer.name.clone() };
        up.get_or_create(&labels).set(i64::from(peer.state == "established"));
        let flaps = usize::try_from(peer.flaps).unwrap_or(usize::MAX);
        let values = [peer.received, peer.best, peer.stale, peer.advertised, flaps];
        for ((_, _, family), value) in paths.iter().zip(values) {
            family.get_or_create(&labels).set(count(value));
        }
    }
    dynamic(&mut registry, &peers.dynamic);
    registry.register("peer_up", "1 when the session is established", up);
    for (name, help, family) in paths {
        registry.register(name, help, family);
    }
    registry
}

fn dynamic(registry: &mut Registry, templates: &[DynamicPeersDocument]) {
    let current = Family::<PeerLabels, Gauge>::default();
    let refused = Family::<PeerLabels, Counter>::default();
    for template in templates {
        let labels = PeerLabels { peer: template.name.clone() };
        current.get_or_create(&labels).set(i64::from(template.current));
        refused.get_or_create(&labels).inc_by(template.refused);
    }
    registry.register("dynamic_peers", "Peers of a BGPPeer with peerPrefix", current);
    registry.register("dynamic_peers_refused", "Connections refused because of maximumDynamicPeers", refused);
}

fn by_kind(registry: &mut Registry, name: &str, help: &str, values: &[(&str, usize)]) {
    let family = Family::<KindLabels, Gauge>::default();
    for (kind, value) in values {
        family.get_or_create(&KindLabels { kind: (*kind).to_owned() }).set(count(*value));
    }
    registry.register(name, help, family);
}

fn count(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::protocol::PeerDocument;

    #[test]
    fn every_peer_has_its_series() {
        let peer = PeerDocument {
            name: "bgppeer/tor".into(),
            state: "established".into(),
            received: 7,
            ..Default::default()
        };
        let rack = DynamicPeersDocument { name: "bgppeer/rack".into(), refused: 3, ..Default::default() };
        let peers = PeersDocument { peers: vec![peer], dynamic: vec![rack] };
        let mut text = String::new();
        let registry = registry(&StatusDocument::default(), &peers, 1);
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains("manx_peer_up{peer=\"bgppeer/tor\"} 1\n"), "{text}");
        assert!(text.contains("manx_peer_received_paths{peer=\"bgppeer/tor\"} 7\n"), "{text}");
        assert!(text.contains("manx_in_sync 0\n"), "{text}");
        assert!(text.contains("manx_dynamic_peers_refused_total{peer=\"bgppeer/rack\"} 3\n"), "{text}");
        assert!(text.contains("manx_peer_task_failures_total 1\n"), "{text}");
    }
}
