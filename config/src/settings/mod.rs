//! manx.toml: how the daemon itself is set up. Peers, pools and policy are manifests, never this file.
//!
//! The file gives values, `MANX_…` environment variables override them (`MANX_STORE_KIND` for `kind` of
//! `[store]`), defaults fill the rest. Unknown keys and variables are errors. File text, environment and host
//! name are arguments; nothing here reads any of them.

mod environment;
mod toml_tree;

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::document::{Data, Field, Fields, Source, Value};
use crate::model::is_name;
use crate::problem::{Location, Problem};

/// Where the file is unless another path is given.
pub const DEFAULT_PATH: &str = "/etc/manx/manx.toml";

/// The daemon's own setup, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which Node we are.
    pub node_name: String,
    /// Where the daemon keeps what must survive a reboot.
    pub data_dir: PathBuf,
    /// Unix socket of the control protocol.
    pub socket: PathBuf,
    /// Directory of manifests, which need not exist yet; `None`: manifests come by other ways only.
    pub manifests: Option<PathBuf>,
    /// Prometheus, health and the status page; `None`: off.
    pub metrics: Option<SocketAddr>,
    /// Where shared state is.
    pub store: StoreSettings,
    /// The BGP speaker runs.
    pub bgp_enabled: bool,
    /// Routes are written to the kernel.
    pub fib_enabled: bool,
    /// Addresses are given to pods.
    pub ipam_enabled: bool,
    /// Policy is enforced.
    pub felix_enabled: bool,
}

/// Where shared state is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreSettings {
    /// In `data_dir`, for this node alone.
    Embedded,
}

const STORE: &[Field] = &[
    Field::honoured("kind", "embedded", "embedded; etcd is not supported by this version"),
    Field::honoured("endpoints", "['https://10.0.0.1:2379']", "of etcd"),
    Field::honoured("ca", "/etc/manx/ca.pem", "of etcd"),
    Field::honoured("cert", "/etc/manx/cert.pem", "of etcd"),
    Field::honoured("key", "/etc/manx/key.pem", "of etcd"),
    Field::honoured("username", "manx", "of etcd"),
    Field::honoured("password_file", "/etc/manx/password", "of etcd"),
];

const PART: &[Field] = &[Field::honoured("enabled", "false", "whether this part runs; default true")];

pub(crate) const FIELDS: &[Field] = &[
    Field::honoured("node_name", "node1", "which Node we are; default: the host name in lower case"),
    Field::honoured("data_dir", "/srv/manx", "default /var/lib/manx"),
    Field::honoured("socket", "/tmp/manx.sock", "default /run/manx/manx.sock"),
    Field::honoured("manifests", "/srv/manifests", "default /etc/manx/manifests; empty: none"),
    Field::honoured("metrics", "127.0.0.1:9000", "address and port; default 127.0.0.1:9179; empty: off"),
    Field::honoured("store", "{kind: embedded}", "where shared state is").with(STORE),
    Field::honoured("bgp", "{enabled: false}", "the BGP speaker").with(PART),
    Field::honoured("fib", "{enabled: false}", "routes in the kernel").with(PART),
    Field::honoured("ipam", "{enabled: false}", "addresses of pods").with(PART),
    Field::honoured("felix", "{enabled: false}", "policy").with(PART),
];

impl Settings {
    /// Reads a file's text. `file` is its name, for places; `environment` all variables there are;
    /// `host_name` what the machine calls itself.
    ///
    /// # Errors
    /// Everything that is wrong, with its place in the file or the name of the variable.
    pub fn parse(
        file: &str,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        host_name: &str,
    ) -> Result<Self, Vec<Problem>> {
        let source = Source::new(file);
        let given = match toml_tree::parse(text) {
            Ok(tree) => Given::read(&source, &tree),
            Err(errors) => {
                errors.into_iter().for_each(|(at, message)| source.report(at, "", message));
                Given::default()
            }
        };
        let lines: Vec<_> = text.lines().collect();
        let mut problems: Vec<_> =
            source.into_problems().into_iter().map(|problem| problem.drawn_from(&lines)).collect();
        let (overrides, wrong) = environment::read(environment);
        problems.extend(wrong);
        let settings = given.overridden_by(overrides).complete(file, host_name, &mut problems);
        match settings {
            Some(settings) if problems.is_empty() => Ok(settings),
            _ => {
                problems.sort();
                Err(problems)
            }
        }
    }
}

/// What one source says; `None` where it says nothing.
#[derive(Debug, Default)]
struct Given {
    node_name: Option<String>,
    data_dir: Option<PathBuf>,
    socket: Option<PathBuf>,
    /// Inner `None`: empty.
    manifests: Option<Option<PathBuf>>,
    /// Inner `None`: off.
    metrics: Option<Option<SocketAddr>>,
    store_kind: Option<StoreKind>,
    /// Keys that only mean something for etcd.
    etcd_keys: Vec<(Location, String)>,
    bgp_enabled: Option<bool>,
    fib_enabled: Option<bool>,
    ipam_enabled: Option<bool>,
    felix_enabled: Option<bool>,
}

#[derive(Clone, Copy, Debug)]
enum StoreKind {
    Embedded,
    Etcd,
}

impl Given {
    fn read(source: &Source, tree: &Value) -> Self {
        let Some(top) = Fields::open(source, "", tree, FIELDS) else { return Self::default() };
        let path = |name| {
            let entry = top.entry(name)?;
            let text = entry.text()?;
            if text.is_empty() {
                entry.report("is empty: give a path");
            }
            Some(PathBuf::from(text))
        };
        let enabled = |part| top.fields(part)?.entry("enabled")?.boolean();
        let store = top.fields("store");
        Self {
            node_name: top.entry("node_name").and_then(|entry| crate::model::name_of(&entry)),
            data_dir: path("data_dir"),
            socket: path("socket"),
            manifests: top
                .entry("manifests")
                .and_then(|entry| entry.text())
                .map(|text| (!text.is_empty()).then(|| PathBuf::from(text))),
            metrics: metrics(&top),
            store_kind: store.as_ref().and_then(store_kind),
            etcd_keys: store.as_ref().map(etcd_keys).unwrap_or_default(),
            bgp_enabled: enabled("bgp"),
            fib_enabled: enabled("fib"),
            ipam_enabled: enabled("ipam"),
            felix_enabled: enabled("felix"),
        }
    }

    fn overridden_by(self, over: Self) -> Self {
        Self {
            node_name: over.node_name.or(self.node_name),
            data_dir: over.data_dir.or(self.data_dir),
            socket: over.socket.or(self.socket),
            manifests: over.manifests.or(self.manifests),
            metrics: over.metrics.or(self.metrics),
            store_kind: over.store_kind.or(self.store_kind),
            etcd_keys: self.etcd_keys.into_iter().chain(over.etcd_keys).collect(),
            bgp_enabled: over.bgp_enabled.or(self.bgp_enabled),
            fib_enabled: over.fib_enabled.or(self.fib_enabled),
            ipam_enabled: over.ipam_enabled.or(self.ipam_enabled),
            felix_enabled: over.felix_enabled.or(self.felix_enabled),
        }
    }

    fn complete(self, file: &str, host_name: &str, problems: &mut Vec<Problem>) -> Option<Settings> {
        let store = match self.store_kind {
            Some(StoreKind::Etcd) => None,
            Some(StoreKind::Embedded) | None => {
                problems.extend(self.etcd_keys.into_iter().map(|(location, field)| {
                    Problem::error(location, field, "has no meaning for the embedded store: remove it")
                }));
                Some(StoreSettings::Embedded)
            }
        };
        let node_name = self.node_name.unwrap_or_else(|| host_name.to_lowercase());
        if !is_name(&node_name) {
            let message = format!("the host name '{host_name}' is not the name of a node: set node_name");
            problems.push(Problem::error(Location::file(file), "node_name", message));
            return None;
        }
        Some(Settings {
            node_name,
            data_dir: self.data_dir.unwrap_or_else(|| "/var/lib/manx".into()),
            socket: self.socket.unwrap_or_else(|| "/run/manx/manx.sock".into()),
            manifests: self.manifests.unwrap_or_else(|| Some("/etc/manx/manifests".into())),
            metrics: self.metrics.unwrap_or(Some(SocketAddr::from(([127, 0, 0, 1], 9179)))),
            store: store?,
            bgp_enabled: self.bgp_enabled.unwrap_or(true),
            fib_enabled: self.fib_enabled.unwrap_or(true),
            ipam_enabled: self.ipam_enabled.unwrap_or(true),
            felix_enabled: self.felix_enabled.unwrap_or(true),
        })
    }
}

fn metrics(top: &Fields<'_>) -> Option<Option<SocketAddr>> {
    let entry = top.entry("metrics")?;
    match entry.text()? {
        "" => Some(None),
        text => {
            let address = text.parse().ok();
            if address.is_none() {
                entry.report(format!(
                    "'{text}' is not an address and a port: write 127.0.0.1:9179, [::1]:9179 or \"\" for off"
                ));
            }
            address.map(Some)
        }
    }
}

fn store_kind(store: &Fields<'_>) -> Option<StoreKind> {
    let entry = store.entry("kind")?;
    let kind = entry.choice(&[("embedded", StoreKind::Embedded), ("etcd", StoreKind::Etcd)])?;
    match kind {
        StoreKind::Embedded => {}
        StoreKind::Etcd => entry.report("etcd is not supported by this version: use embedded"),
    }
    Some(kind)
}

/// They are only counted: which values they take is for the version that supports etcd to say.
fn etcd_keys(store: &Fields<'_>) -> Vec<(Location, String)> {
    let keys = STORE.iter().map(|field| field.name).filter(|name| *name != "kind");
    let mut found = Vec::new();
    for key in keys {
        let Some(entry) = store.entry(key) else { continue };
        found.push((entry.location(), format!("store.{key}")));
    }
    found
}

/// Whether a key is a boolean or a list, for the environment, where everything is text.
fn from_text(path: &str, text: &str) -> Data {
    match (path, text) {
        (_, "true") if path.ends_with(".enabled") => Data::Boolean(true),
        (_, "false") if path.ends_with(".enabled") => Data::Boolean(false),
        ("store.endpoints", _) => {
            let item =
                |text: &str| Value { at: environment::NOWHERE, data: Data::Text(text.trim().to_owned()) };
            Data::List(text.split(',').map(item).collect())
        }
        _ => Data::Text(text.to_owned()),
    }
}

#[cfg(test)]
mod tests;
