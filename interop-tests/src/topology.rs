//! A network as a value: which hosts there are and which wires join them. [`Topology::build`] turns it into
//! namespaces; dropping the [`Lab`] turns them back into nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::assert;
use crate::host::{self, Host};

/// The gateway that Calico gives every pod; the node answers ARP for it (proxy_arp).
const POD_GATEWAY_V4: &str = "169.254.1.1";
/// The hardware address of the node's end of every pod, so that its link-local address is the same too.
const POD_GATEWAY_MAC: &str = "ee:ee:ee:ee:ee:ee";
/// The IPv6 gateway of a pod: the link-local address that follows from the hardware address.
const POD_GATEWAY_V6: &str = "fe80::ecee:eeff:feee:eeee";

/// Hosts, links between two of them, segments that join several, and pods.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    hosts: Vec<String>,
    links: Vec<(End, End)>,
    segments: Vec<(String, Vec<End>)>,
    pods: Vec<Pod>,
    routes: Vec<(String, String)>,
    addresses: Vec<End>,
}

/// One end of a wire: a host, the interface there (at most 15 characters) and its addresses with length.
#[derive(Clone, Debug)]
pub struct End {
    host: String,
    interface: String,
    addresses: Vec<String>,
}

/// A workload as Calico wires it: its own namespace, a veth to the node, addresses of full length, a host
/// route to them on the node, a link-local gateway.
#[derive(Clone, Debug)]
struct Pod {
    name: String,
    node: String,
    addresses: Vec<String>,
}

/// One end of a wire.
#[must_use]
pub fn end(host: &str, interface: &str, addresses: &[&str]) -> End {
    End {
        host: host.to_owned(),
        interface: interface.to_owned(),
        addresses: addresses.iter().map(|&address| address.to_owned()).collect(),
    }
}

impl Topology {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A host that forwards.
    #[must_use]
    pub fn host(mut self, name: &str) -> Self {
        self.hosts.push(name.to_owned());
        self
    }

    /// A wire between two hosts.
    #[must_use]
    pub fn link(mut self, a: End, b: End) -> Self {
        self.links.push((a, b));
        self
    }

    /// A switch with its ports: one broadcast domain.
    #[must_use]
    pub fn segment(mut self, switch: &str, ends: Vec<End>) -> Self {
        self.segments.push((switch.to_owned(), ends));
        self
    }

    /// A pod on a node; `addresses` without length. On the node its interface is `cali-<name>`.
    #[must_use]
    pub fn pod(mut self, name: &str, node: &str, addresses: &[&str]) -> Self {
        self.pods.push(Pod {
            name: name.to_owned(),
            node: node.to_owned(),
            addresses: addresses.iter().map(|&address| address.to_owned()).collect(),
        });
        self
    }

    /// Addresses of an interface that is there already, `lo`.
    #[must_use]
    pub fn addresses(mut self, end: End) -> Self {
        self.addresses.push(end);
        self
    }

    /// A static kernel route, `("client", "default via 172.31.1.1")`.
    #[must_use]
    pub fn route(mut self, host: &str, route: &str) -> Self {
        self.routes.push((host.to_owned(), route.to_owned()));
        self
    }

    /// Makes it. What an earlier run that was killed has left is removed first.
    ///
    /// # Errors
    /// When a part cannot be made; the parts that were made are removed again.
    pub fn build(&self) -> Result<Lab> {
        static SWEEP: Once = Once::new();
        SWEEP.call_once(|| {
            // A leftover that cannot be removed does not stand in our way: every name is new.
            let _ = sweep();
        });
        let mut lab = Lab::empty()?;
        for name in self.hosts.iter().chain(self.pods.iter().map(|pod| &pod.name)) {
            lab.add_host(name)?;
        }
        for (switch, ends) in &self.segments {
            lab.add_host(switch)?;
            lab.add_segment(switch, ends)?;
        }
        for (a, b) in &self.links {
            lab.add_link(a, b)?;
        }
        for end in &self.addresses {
            lab.host(&end.host)?.ip_batch(&end.commands().collect::<Vec<_>>())?;
        }
        for pod in &self.pods {
            lab.add_pod(pod)?;
        }
        for (host, route) in &self.routes {
            let family = if route.contains(':') { "-6" } else { "-4" };
            let mut argv = vec!["ip", family, "route", "add"];
            argv.extend(route.split_whitespace());
            lab.host(host)?.run(&argv)?;
        }
        Ok(lab)
    }
}

/// A built topology. Keep it longer than what runs in it (declare it first).
#[derive(Debug)]
pub struct Lab {
    hosts: BTreeMap<String, Host>,
    number: u32,
    directory: PathBuf,
}

impl Lab {
    fn empty() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NUMBER.fetch_add(1, Ordering::SeqCst);
            // Short, because unix sockets live below it and their paths may have 107 bytes.
            let directory = PathBuf::from(format!("/tmp/manx-{}-{number}", std::process::id()));
            match fs::create_dir(&directory) {
                Ok(()) => {}
                // Kept by an earlier process of the same number: leave it to its reader.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error).with_context(|| directory.display().to_string()),
            }
            return Ok(Self { hosts: BTreeMap::new(), number, directory });
        }
    }

    /// A host, switch or pod by its name in the topology.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn host(&self, name: &str) -> Result<&Host> {
        self.hosts.get(name).with_context(|| format!("no host {name} in this topology"))
    }

    /// All hosts, by name.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.values()
    }

    /// Where logs, sockets and configurations are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// [`assert::wait_until`] with the logs of this lab.
    ///
    /// # Errors
    /// As there; then the directory with the logs stays.
    pub fn wait_until<T>(&self, what: &str, within: Duration, probe: impl FnMut() -> Result<T>) -> Result<T> {
        assert::wait_until(what, within, &self.directory, probe)
    }

    /// [`assert::holds_for`] with the logs of this lab.
    ///
    /// # Errors
    /// As there.
    pub fn holds_for(&self, what: &str, during: Duration, probe: impl FnMut() -> Result<()>) -> Result<()> {
        assert::holds_for(what, during, &self.directory, probe)
    }

    fn add_host(&mut self, name: &str) -> Result<()> {
        let host = Host::create(name, self.number, &self.directory)?;
        host.sysctl(&[
            ("net.ipv4.ip_forward", "1"),
            ("net.ipv6.conf.all.forwarding", "1"),
            // Two uplinks: the answer may come in by the other one.
            ("net.ipv4.conf.all.rp_filter", "0"),
            ("net.ipv4.conf.default.rp_filter", "0"),
            // By flow (addresses and ports), as every fabric does.
            ("net.ipv4.fib_multipath_hash_policy", "1"),
            ("net.ipv6.fib_multipath_hash_policy", "1"),
            // A new address is usable at once.
            ("net.ipv6.conf.default.accept_dad", "0"),
            ("net.ipv6.conf.all.accept_dad", "0"),
        ])?;
        self.hosts.insert(name.to_owned(), host);
        Ok(())
    }

    fn add_link(&self, a: &End, b: &End) -> Result<()> {
        let (near, far) = (self.host(&a.host)?, self.host(&b.host)?);
        let (near_if, far_if) = (&a.interface, &b.interface);
        let wire = format!("link add {near_if} type veth peer name {far_if} netns {}", far.namespace());
        near.ip_batch(&std::iter::once(wire).chain(a.commands()).collect::<Vec<_>>())?;
        far.ip_batch(&b.commands().collect::<Vec<_>>())
    }

    fn add_segment(&self, switch: &str, ends: &[End]) -> Result<()> {
        let bridge = self.host(switch)?;
        bridge.ip_batch(&["link add br0 type bridge forward_delay 0".into(), "link set br0 up".into()])?;
        for (index, end) in ends.iter().enumerate() {
            let host = self.host(&end.host)?;
            let port = format!("port{index}");
            let interface = &end.interface;
            bridge.ip_batch(&[
                format!("link add {port} type veth peer name {interface} netns {}", host.namespace()),
                format!("link set {port} master br0 up"),
            ])?;
            host.ip_batch(&end.commands().collect::<Vec<_>>())?;
        }
        Ok(())
    }

    fn add_pod(&self, pod: &Pod) -> Result<()> {
        let (node, host) = (self.host(&pod.node)?, self.host(&pod.name)?);
        let interface = format!("cali-{}", pod.name);
        let inside = host.namespace();
        let mut on_node = vec![
            format!("link add {interface} address {POD_GATEWAY_MAC} type veth peer name eth0 netns {inside}"),
            format!("link set {interface} up"),
            // proxy_arp answers only for what has a route elsewhere; on a real node the default route is that.
            format!("route replace {POD_GATEWAY_V4}/32 dev lo"),
        ];
        let mut in_pod = vec!["link set eth0 up".to_owned()];
        for address in &pod.addresses {
            if address.contains(':') {
                on_node.push(format!("route add {address}/128 dev {interface}"));
                in_pod.push(format!("addr add {address}/128 dev eth0 nodad"));
                in_pod.push(format!("route add ::/0 via {POD_GATEWAY_V6} dev eth0"));
            } else {
                on_node.push(format!("route add {address}/32 dev {interface} scope link"));
                in_pod.push(format!("addr add {address}/32 dev eth0"));
                in_pod.push(format!("route add {POD_GATEWAY_V4} dev eth0 scope link"));
                in_pod.push(format!("route add default via {POD_GATEWAY_V4} dev eth0"));
            }
        }
        node.ip_batch(&on_node)?;
        // Answer ARP for the gateway at once; the kernel would wait up to 0.8 s to spare a real network.
        node.sysctl(&[
            (&format!("net.ipv4.conf.{interface}.proxy_arp"), "1"),
            (&format!("net.ipv4.neigh.{interface}.proxy_delay"), "0"),
        ])?;
        host.ip_batch(&in_pod)
    }
}

impl End {
    /// The `ip` commands that configure the interface once it exists.
    fn commands(&self) -> impl Iterator<Item = String> {
        let add = self.addresses.iter().map(|address| {
            let nodad = if address.contains(':') { " nodad" } else { "" };
            format!("addr add {address} dev {}{nodad}", self.interface)
        });
        add.chain(std::iter::once(format!("link set {} up", self.interface)))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !self.directory.join(assert::KEEP).exists() && !std::thread::panicking() {
            // Its logs are of no use any more; a leftover is removed by the next run.
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// Removes the namespaces and, if they are older than a day, the directories of runs that no longer exist.
/// Logs of a failure are for reading, so they stay that long.
///
/// # Errors
/// When a namespace cannot be removed.
pub fn sweep() -> Result<Vec<String>> {
    let removed = host::sweep()?;
    for entry in fs::read_dir("/tmp")?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let old = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > Duration::from_secs(86_400)));
        if host::maker(&name).is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) && old {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(removed)
}
