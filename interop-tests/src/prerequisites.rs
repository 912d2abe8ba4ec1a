//! Whether this machine can run the labs at all, and saying so when it cannot.

use std::env;
use std::io::{self, Write as _};
use std::path::Path;

/// The programs that labs start, and the Debian packages they come in (`.ci/apt-packages.sh`).
const PROGRAMS: [(&str, &str); 12] = [
    ("ip", "iproute2"),
    ("sysctl", "procps"),
    ("setpriv", "util-linux"),
    ("ping", "iputils-ping"),
    ("tcpdump", "tcpdump"),
    ("tshark", "tshark"),
    ("bird", "bird2"),
    ("birdc", "bird2"),
    ("gobgpd", "gobgpd"),
    ("gobgp", "gobgpd"),
    ("vtysh", "frr"),
    ("jq", "jq"),
];

/// What is missing to run labs, in words, or `None`.
#[must_use]
pub fn missing() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("network namespaces need root".to_owned());
    }
    let absent: Vec<String> = PROGRAMS
        .iter()
        .filter(|(program, _)| !installed(program))
        .map(|(program, package)| format!("{program} (package {package})"))
        .collect();
    (!absent.is_empty()).then(|| format!("not installed: {}; run .ci/apt-packages.sh", absent.join(", ")))
}

/// Whether the test `name` can run here. If not, it says so on standard error and gives `false`; with `CI` in
/// the environment, where a skipped test would look like a passed one, it panics instead.
///
/// # Panics
/// As said.
#[must_use]
pub fn can_run(name: &str) -> bool {
    let Some(reason) = missing() else { return true };
    assert!(env::var_os("CI").is_none(), "{name} cannot run: {reason}");
    // Not eprintln: the test harness would swallow the line.
    let _ = writeln!(io::stderr(), "skipped: {name}: {reason}");
    false
}

fn installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian's PATH for users lacks the directories where daemons are.
    let system = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(Into::into);
    env::split_paths(&path).chain(system).any(|directory| Path::new(&directory).join(program).is_file())
}
