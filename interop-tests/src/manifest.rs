//! Manifests as values: `projectcalico.org/v3` objects, rendered as the YAML a user would write.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

/// One object of the API.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    kind: &'static str,
    name: String,
    spec: Value,
    status: Option<Value>,
}

impl Manifest {
    /// A Node with its BGP addresses (with length) and AS number; an address of another family may be absent.
    #[must_use]
    pub fn node(name: &str, addresses: &[&str], as_number: Option<u32>, pod_cidrs: &[&str]) -> Self {
        let mut bgp = Map::new();
        for address in addresses {
            let field = if address.contains(':') { "ipv6Address" } else { "ipv4Address" };
            bgp.insert(field.to_owned(), json!(address));
        }
        if let Some(number) = as_number {
            bgp.insert("asNumber".to_owned(), json!(number));
        }
        let status = (!pod_cidrs.is_empty()).then(|| json!({ "podCIDRs": pod_cidrs }));
        Self { kind: "Node", name: name.to_owned(), spec: json!({ "bgp": bgp }), status }
    }

    /// The cluster-wide BGPConfiguration.
    #[must_use]
    pub fn bgp_configuration(mesh: bool, as_number: u32) -> Self {
        let spec = json!({ "nodeToNodeMeshEnabled": mesh, "asNumber": as_number });
        Self { kind: "BGPConfiguration", name: "default".to_owned(), spec, status: None }
    }

    /// A BGPPeer for all nodes. Further fields by [`Manifest::with`].
    #[must_use]
    pub fn bgp_peer(name: &str, peer_ip: &str, as_number: u32) -> Self {
        let spec = json!({ "peerIP": peer_ip, "asNumber": as_number });
        Self { kind: "BGPPeer", name: name.to_owned(), spec, status: None }
    }

    /// A BGPFilter without rules. These by [`Manifest::with`].
    #[must_use]
    pub fn bgp_filter(name: &str) -> Self {
        Self { kind: "BGPFilter", name: name.to_owned(), spec: json!({}), status: None }
    }

    /// An enabled IPPool without encapsulation.
    #[must_use]
    pub fn ip_pool(name: &str, cidr: &str) -> Self {
        let block_size = if cidr.contains(':') { 122 } else { 26 };
        let spec = json!({ "cidr": cidr, "ipipMode": "Never", "blockSize": block_size });
        Self { kind: "IPPool", name: name.to_owned(), spec, status: None }
    }

    /// A set without anything in it.
    #[must_use]
    pub fn bgp_set(name: &str) -> Self {
        Self { kind: "BGPSet", name: name.to_owned(), spec: json!({}), status: None }
    }

    /// A confirmed block of a node.
    #[must_use]
    pub fn block_affinity(node: &str, cidr: &str) -> Self {
        let spec =
            json!({ "state": "confirmed", "node": node, "type": "host", "cidr": cidr, "deleted": "false" });
        let name = format!("{node}-{}", cidr.replace(['.', '/', ':'], "-").replace("--", "-"));
        Self { kind: "BlockAffinity", name, spec, status: None }
    }

    /// The same with one more field of `spec`.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        if let Value::Object(spec) = &mut self.spec {
            spec.insert(field.to_owned(), value.into());
        }
        self
    }

    /// The name of the file it is kept in: kind and name, `bgppeer-tor.yaml`.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}-{}.yaml", self.kind.to_lowercase(), self.name)
    }

    /// The YAML.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = format!(
            "apiVersion: projectcalico.org/v3\nkind: {}\nmetadata:\n  name: {}\n",
            self.kind, self.name
        );
        for (section, value) in [("spec", Some(&self.spec)), ("status", self.status.as_ref())] {
            if let Some(value) = value {
                let _ = write!(text, "{section}:");
                render_yaml(&mut text, value, 1);
            }
        }
        text
    }
}

/// A value after `key:`; text is quoted as JSON quotes it, which YAML reads the same.
fn render_yaml(text: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            text.push('\n');
            for (key, field) in fields {
                let _ = write!(text, "{indent}{key}:");
                render_yaml(text, field, depth + 1);
            }
        }
        Value::Array(_)
        | Value::Object(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_) => {
            let _ = writeln!(text, " {value}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_yaml() {
        let node = Manifest::node("node1", &["10.0.0.1/24", "fd00::1/64"], Some(64601), &["10.64.0.0/26"]);
        assert_eq!(
            node.render(),
            "apiVersion: projectcalico.org/v3\nkind: Node\nmetadata:\n  name: node1\nspec:\n  bgp:\n    \
             asNumber: 64601\n    ipv4Address: \"10.0.0.1/24\"\n    ipv6Address: \"fd00::1/64\"\n\
             status:\n  podCIDRs: [\"10.64.0.0/26\"]\n"
        );
        assert_eq!(node.file_name(), "node-node1.yaml");
        let peer = Manifest::bgp_peer("tor", "10.0.0.2", 65001).with("holdTime", "9s");
        assert!(peer.render().contains("  holdTime: \"9s\"\n"));
    }
}
