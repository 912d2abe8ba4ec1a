//! Secret: Kubernetes' own kind, read for the passwords that sessions name.
//!
//! What is in it is shown to nobody: the values have no text form at all, problems of a Secret never quote a
//! value, and neither does the drawing of a source line.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::{Metadata, metadata};
use crate::document::{Data, Entry, Field, Fields};

/// Stands wherever a value would.
const NOT_SHOWN: &str = "(not shown)";

/// Named values that are shown to nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Secret {
    /// It is found by its name alone: the namespace is ignored.
    pub metadata: Metadata,
    /// By key: `data`, decoded, with `stringData` laid over it.
    pub data: BTreeMap<String, SecretValue>,
}

/// Octets that no log, error text or document may hold. Comparing is all one can do by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(Arc<[u8]>);

impl SecretValue {
    /// The octets themselves, for the one who must hand them to the kernel.
    #[must_use]
    pub fn octets(&self) -> &Arc<[u8]> {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NOT_SHOWN)
    }
}

impl Serialize for SecretValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(NOT_SHOWN)
    }
}

/// Where a password stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PasswordSource {
    /// Which value of which Secret.
    pub secret_key_ref: SecretKeyRef,
}

/// One value of one Secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SecretKeyRef {
    /// The Secret.
    pub name: String,
    /// The key in its `data`.
    pub key: String,
}

const METADATA: &[Field] = &[
    Field::honoured("name", "example", "unique name: at most 253 of a-z, 0-9, '-' and '.'"),
    Field::honoured("labels", "{rack: a1}", "kept"),
    Field::informational("namespace", "kube-system", "a Secret is found by its name alone"),
    Field::informational("annotations", "{note: x}", "free notes; kept"),
    Field::informational("uid", "3f2a", "set by the API server; not kept"),
    Field::informational("resourceVersion", "'7'", "set by the API server; not kept"),
    Field::informational("generation", "3", "set by the API server; not kept"),
    Field::informational("creationTimestamp", "2026-01-01T00:00:00Z", "set by the API server; not kept"),
    Field::informational("managedFields", "[{manager: kubectl}]", "set by the API server; not kept"),
    Field::informational("finalizers", "[example.org/x]", "set by controllers; not kept"),
    Field::informational("ownerReferences", "[{kind: X}]", "set by controllers; not kept"),
    Field::informational("selfLink", "/apis/x", "set by old API servers; not kept"),
    Field::refused("generateName", "", "peer-", "names are given, not made up"),
    Field::refused("deletionTimestamp", "", "2026-01-01T00:00:00Z", "the object is being deleted"),
];

pub(crate) const FIELDS: &[Field] = &[
    Field::honoured("apiVersion", super::API_CORE, "always v1"),
    super::KIND,
    Field::honoured("metadata", "{name: example}", "name").with(METADATA),
    Field::honoured("data", "{password: c2VjcmV0}", "values in base64, by key"),
    Field::honoured("stringData", "{password: other}", "values as they are, by key; wins over data"),
    Field::informational("type", "kubernetes.io/basic-auth", "not looked at"),
    Field::informational("immutable", "true", "not looked at"),
];

pub(crate) const SECRET_KEY_REF: &[Field] = &[
    Field::honoured("name", "bgp-passwords", "the Secret"),
    Field::honoured("key", "tor", "the key in its data"),
    Field::refused("optional", "false", "true", "a session without its password"),
];

/// Inside `password` and `nodeMeshPassword`.
pub(crate) const PASSWORD: &[Field] =
    &[Field::honoured("secretKeyRef", "{name: a, key: b}", "where it stands").with(SECRET_KEY_REF)];

impl Secret {
    pub(crate) fn read(metadata: Metadata, object: &Fields<'_>) -> Self {
        let mut data = BTreeMap::new();
        for (key, entry) in values(object, "data") {
            let decoded = match entry.data() {
                Data::Text(text) => decode_base64(text),
                Data::Null => Some(Vec::new()),
                Data::Boolean(_) | Data::Number { .. } | Data::List(_) | Data::Map(_) => None,
            };
            match decoded {
                Some(octets) => drop(data.insert(key.to_owned(), SecretValue(octets.into()))),
                None => entry.report("is not base64: encode it, or move it to stringData"),
            }
        }
        for (key, entry) in values(object, "stringData") {
            match entry.data() {
                Data::Text(text) => drop(data.insert(key.to_owned(), SecretValue(text.as_bytes().into()))),
                Data::Null | Data::Boolean(_) | Data::Number { .. } | Data::List(_) | Data::Map(_) => {
                    entry.report("is not a text: put it into quotes");
                }
            }
        }
        Self { metadata, data }
    }
}

fn values<'a>(object: &Fields<'a>, name: &str) -> Vec<(&'a str, Entry<'a>)> {
    let Some(entry) = object.entry(name) else { return Vec::new() };
    match entry.data() {
        Data::Map(_) => entry.entries(),
        Data::Null | Data::Boolean(_) | Data::Number { .. } | Data::Text(_) | Data::List(_) => {
            entry.report("expected a mapping of keys to values");
            Vec::new()
        }
    }
}

impl PasswordSource {
    /// `None`: there is none, or a problem was reported.
    pub(crate) fn read(spec: &Fields<'_>, field: &str) -> Option<Self> {
        let entry = spec.entry(field).filter(|entry| !entry.data().is_empty())?;
        if !matches!(entry.data(), Data::Map(_)) {
            // Most likely the password itself.
            entry.report("expected {secretKeyRef: {name, key}}: a password stands in a Secret, not here");
            return None;
        }
        let secret_key_ref = SecretKeyRef::read(&spec.fields(field)?)?;
        Some(Self { secret_key_ref })
    }
}

impl SecretKeyRef {
    /// The field `secretKeyRef`. `None`: a problem was reported.
    pub(crate) fn read(password: &Fields<'_>) -> Option<Self> {
        let reference = password.required("secretKeyRef", "{name, key} of a Secret")?;
        if !matches!(reference.data(), Data::Map(_)) {
            reference.report("expected {name, key} of a Secret");
            return None;
        }
        let reference = password.fields("secretKeyRef")?;
        let name = reference.required("name", "the name of a Secret").and_then(|name| metadata::name(&name));
        let key = reference.required("key", "the key in the Secret's data").and_then(|key| key.text());
        if key == Some("") {
            reference.report("key", "is empty: give the key in the Secret's data");
        }
        Some(Self { name: name?, key: key?.to_owned() })
    }
}

/// RFC 4648 §4, with or without padding; line breaks as `base64` writes them are skipped.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end().trim_end_matches('=').bytes().filter(|byte| !byte.is_ascii_whitespace());
    let (mut octets, mut held, mut held_bits) = (Vec::new(), 0_u32, 0_u32);
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(value);
        held_bits += 6;
        if held_bits >= 8 {
            held_bits -= 8;
            octets.push(u8::try_from(held >> held_bits & 0xff).unwrap_or_default());
            held &= (1 << held_bits) - 1;
        }
    }
    // Six bits are left of a digit that stands alone, and what is left of a good text is zero.
    (held_bits < 6 && held == 0).then_some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648 §10.
    #[test]
    fn rfc4648_test_vectors() {
        for (text, octets) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(decode_base64(text).as_deref(), Some(octets.as_bytes()), "{text}");
        }
        assert_eq!(decode_base64("Zm9v\nYmFy\n").as_deref(), Some(&b"foobar"[..]));
        for text in ["Z", "Zh", "Zm9vY", "a_b-", "pass word!", "Zm=9v"] {
            assert_eq!(decode_base64(text), None, "{text}");
        }
    }
}
