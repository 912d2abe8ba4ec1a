//! TCP-AO (RFC 5925): keys of a BGPPeer's sessions.

use serde::Serialize;

use super::SecretKeyRef;
use super::secret;
use crate::document::{Field, Fields};

/// `tcpAO`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TcpAo {
    /// Never empty; the first is sent with. No two have a sendID or a recvID in common.
    pub keys: Vec<TcpAoKey>,
}

/// One master key tuple.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TcpAoKey {
    /// KeyID of what we send.
    #[serde(rename = "sendID")]
    pub send_id: u8,
    /// KeyID of what we take.
    #[serde(rename = "recvID")]
    pub receive_id: u8,
    /// Signs with it.
    pub algorithm: TcpAoAlgorithm,
    /// The master key.
    pub secret_key_ref: SecretKeyRef,
}

/// How segments are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum TcpAoAlgorithm {
    /// RFC 5926.
    #[default]
    #[serde(rename = "HMAC-SHA-1-96")]
    HmacSha1,
    /// RFC 5926.
    #[serde(rename = "AES-128-CMAC-96")]
    Aes128Cmac,
    /// Not in RFC 5926, but on most routers.
    #[serde(rename = "HMAC-SHA-256-96")]
    HmacSha256,
}

const KEY: &[Field] = &[
    Field::additive("sendID", "1", "KeyID of what we send: the other end's recvID, 0 to 255"),
    Field::additive("recvID", "1", "KeyID of what we take; default sendID"),
    Field::additive(
        "algorithm",
        "AES-128-CMAC-96",
        "HMAC-SHA-1-96, AES-128-CMAC-96 or HMAC-SHA-256-96; default the first",
    ),
    Field::additive("secretKeyRef", "{name: a, key: b}", "where the key stands").with(secret::SECRET_KEY_REF),
];

const KEYS: &[Field] = &[Field::additive(
    "keys",
    "[{sendID: 1, recvID: 1, secretKeyRef: {name: a, key: b}}]",
    "one or more; the first is sent with",
)
.with(KEY)];

pub(crate) const TCP_AO: Field = Field::additive(
    "tcpAO",
    "{keys: [{sendID: 1, recvID: 1, secretKeyRef: {name: a, key: b}}]}",
    "TCP-AO (RFC 5925), in place of password; needs Linux 6.7 with CONFIG_TCP_AO",
)
.with(KEYS);

impl TcpAo {
    /// `None`: there is none, or a problem was reported.
    pub(crate) fn read(spec: &Fields<'_>) -> Option<Self> {
        let ao = spec.fields("tcpAO")?;
        if spec.entry("password").is_some_and(|entry| !entry.data().is_empty()) {
            spec.report("tcpAO", "and password exclude each other: a connection is signed in one way");
        }
        let keys: Vec<_> = ao.list_of_fields("keys").iter().filter_map(read_key).collect();
        let is_twice = |(index, key): (usize, &TcpAoKey)| {
            keys.iter()
                .take(index)
                .any(|other| key.send_id == other.send_id || key.receive_id == other.receive_id)
        };
        if keys.iter().enumerate().any(is_twice) {
            ao.report("keys", "holds a sendID or recvID twice: each key has its own");
        }
        if keys.is_empty() {
            ao.report("keys", "holds at least one key, as in [{sendID: 1, secretKeyRef: {name: a, key: b}}]");
            return None;
        }
        Some(Self { keys })
    }
}

fn read_key(key: &Fields<'_>) -> Option<TcpAoKey> {
    let algorithms = [
        ("HMAC-SHA-1-96", TcpAoAlgorithm::HmacSha1),
        ("AES-128-CMAC-96", TcpAoAlgorithm::Aes128Cmac),
        ("HMAC-SHA-256-96", TcpAoAlgorithm::HmacSha256),
    ];
    let send_id = key.required("sendID", "a number from 0 to 255").and_then(|entry| entry.integer(0..=255));
    let receive_id = key.entry("recvID").map(|entry| entry.integer(0..=255));
    let algorithm = key.entry("algorithm").map(|entry| entry.choice(&algorithms));
    let secret_key_ref = SecretKeyRef::read(key);
    Some(TcpAoKey {
        send_id: send_id?,
        receive_id: receive_id.unwrap_or(send_id)?,
        algorithm: algorithm.unwrap_or(Some(TcpAoAlgorithm::default()))?,
        secret_key_ref: secret_key_ref?,
    })
}
