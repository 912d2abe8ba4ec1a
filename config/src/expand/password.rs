//! Sessions with the passwords that they name. A session whose password is not there is not had at all: what
//! was meant to be authenticated must never run without it.

use std::collections::BTreeSet;

use super::session::{Session, SessionOrigin};
use crate::catalog::Resources;
use crate::model::{PasswordSource, SecretKeyRef, SecretValue, TcpAoKey};
use crate::problem::{Location, Problem};

/// Longest key that the kernel takes (`TCP_MD5SIG_MAXKEYLEN`).
const OCTETS_MAX: usize = 80;

/// A session that is configured but cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unstartable {
    /// Without what it lacks.
    pub session: Session,
    /// Why not, and what would help.
    pub reason: String,
    /// It is the template of many.
    pub is_template: bool,
}

/// The sessions that need no password or have theirs, those that lack it, and a problem for each that is missing.
pub(super) fn with_passwords(
    resources: &Resources,
    sessions: Vec<Session>,
) -> (Vec<Session>, Vec<Unstartable>, BTreeSet<Problem>) {
    let mut problems = BTreeSet::new();
    let mut complete = Vec::with_capacity(sessions.len());
    let mut unstartable = Vec::new();
    for mut session in sessions {
        if let Some((source, location, field)) = source(resources, &session) {
            match value(resources, &source.secret_key_ref) {
                Ok(password) => session.password = Some(password),
                Err(reason) => {
                    let message = format!("{reason}; sessions are not started without their password");
                    unstartable.push(Unstartable { session, reason: message.clone(), is_template: false });
                    problems.insert(Problem::error(location, field, message));
                    continue;
                }
            }
        }
        match ao_keys(resources, &session) {
            Ok(keys) => {
                session.tcp_ao = keys;
                complete.push(session);
            }
            Err((location, reason)) => {
                let message = format!("{reason}; sessions are not started without their keys");
                unstartable.push(Unstartable { session, reason: message.clone(), is_template: false });
                problems.insert(Problem::error(location, "spec.tcpAO", message));
            }
        }
    }
    unstartable.sort_by(|left, right| left.session.name.cmp(&right.session.name));
    (complete, unstartable, problems)
}

fn source<'a>(
    resources: &'a Resources,
    session: &Session,
) -> Option<(&'a PasswordSource, Location, &'static str)> {
    match session.origin {
        SessionOrigin::Mesh => {
            let field = "spec.nodeMeshPassword";
            let configuration = resources.bgp_configurations.get(crate::model::CLUSTER_WIDE)?;
            let source = configuration.spec.node_mesh_password.as_ref()?;
            Some((source, configuration.place(field), field))
        }
        SessionOrigin::Global | SessionOrigin::Node | SessionOrigin::Reverse => {
            let field = "spec.password";
            let peer = resources.bgp_peers.get(session.bgp_peer.as_ref()?)?;
            Some((peer.spec.password.as_ref()?, peer.place(field), field))
        }
    }
}

/// The keys of TCP-AO with their values, or what is wrong with one.
fn ao_keys(
    resources: &Resources,
    session: &Session,
) -> Result<Vec<(TcpAoKey, SecretValue)>, (Location, String)> {
    let peer = session.bgp_peer.as_ref().and_then(|peer| resources.bgp_peers.get(peer));
    let Some((peer, ao)) = peer.and_then(|peer| Some((peer, peer.spec.tcp_ao.as_ref()?))) else {
        return Ok(Vec::new());
    };
    let with_value = |key: &TcpAoKey| match value(resources, &key.secret_key_ref) {
        Ok(secret) => Ok((ours(key, session.origin), secret)),
        Err(reason) => Err((peer.place("spec.tcpAO"), reason)),
    };
    ao.keys.iter().map(with_value).collect()
}

/// What the node side sends with, its mirror takes.
fn ours(key: &TcpAoKey, origin: SessionOrigin) -> TcpAoKey {
    match origin {
        SessionOrigin::Reverse => {
            TcpAoKey { send_id: key.receive_id, receive_id: key.send_id, ..key.clone() }
        }
        SessionOrigin::Global | SessionOrigin::Node | SessionOrigin::Mesh => key.clone(),
    }
}

fn value(resources: &Resources, reference: &SecretKeyRef) -> Result<SecretValue, String> {
    let SecretKeyRef { name, key } = reference;
    let secret = resources.secrets.get(name).ok_or_else(|| format!("there is no Secret named {name}"))?;
    let value = secret.data.get(key).ok_or_else(|| format!("Secret {name} has no key {key}"))?;
    match value.octets().as_ref() {
        [] => Err(format!("{key} of Secret {name} is empty")),
        // `echo password | base64`: the other end certainly has no line break in it.
        [.., b'\n'] => Err(format!("{key} of Secret {name} ends with a line break: encode it without")),
        octets if octets.len() > OCTETS_MAX => {
            Err(format!("{key} of Secret {name} has {} octets, TCP-MD5 takes {OCTETS_MAX}", octets.len()))
        }
        _ => Ok(value.clone()),
    }
}
