//! Sessions with the passwords that they name. A session whose password is not there is not had at all: what
//! was meant to be authenticated must never run without it.

use std::collections::BTreeSet;

use super::session::{Session, SessionOrigin};
use crate::catalog::Resources;
use crate::model::{PasswordSource, SecretKeyRef, SecretValue};
use crate::problem::{Location, Problem};

/// Longest key that the kernel takes (`TCP_MD5SIG_MAXKEYLEN`).
const OCTETS_MAX: usize = 80;

/// The sessions that need no password or have theirs, and a problem for each that is missing.
pub(super) fn with_passwords(
    resources: &Resources,
    sessions: Vec<Session>,
) -> (Vec<Session>, BTreeSet<Problem>) {
    let mut problems = BTreeSet::new();
    let mut complete = Vec::with_capacity(sessions.len());
    for mut session in sessions {
        if let Some((source, location, field)) = source(resources, &session) {
            match value(resources, &source.secret_key_ref) {
                Ok(password) => session.password = Some(password),
                Err(reason) => {
                    let message = format!("{reason}; sessions are not started without their password");
                    problems.insert(Problem::error(location, field, message));
                    continue;
                }
            }
        }
        complete.push(session);
    }
    (complete, problems)
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
