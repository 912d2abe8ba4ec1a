//! Documents as text for people.

use crate::ctl::table::{duration, render};
use crate::daemon::protocol::{
    DynamicPeersDocument, FibDocument, FibNextHopDocument, PathDocument, PeerDocument, PeersDocument,
    ProblemDocument, RoutesDocument, StatusDocument,
};

/// `manx status`.
pub(super) fn status(status: &StatusDocument, _wide: bool) -> String {
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let sync = match (status.in_sync, status.bgp_in_sync) {
        (false, _) => format!("waiting for {}", status.waiting_for.join(", ")),
        (true, false) => {
            "in sync; what a former run left stays until every peer has sent and every manifest is read"
                .to_owned()
        }
        (true, true) => "in sync".to_owned(),
    };
    let fib = if status.fib.enabled {
        format!(
            "{} wanted, {} installed, {} unresolved",
            status.fib.desired, status.fib.installed, status.fib.unresolved
        )
    } else {
        "off: next hops are resolved, nothing is written".to_owned()
    };
    let originated: Vec<String> = status.originated.iter().map(ToString::to_string).collect();
    let mut text = format!(
        "node        {} (manx {}, up {})\n\
         state       {sync}\n\
         bgp         AS {}, router id {}\n\
         peers       {} of {} established\n\
         routes      {} IPv4, {} IPv6, {} paths\n\
         fib         {fib}\n\
         originated  {}\n",
        status.node,
        status.version,
        duration(status.uptime_secs),
        or_dash(status.asn.map(|asn| asn.to_string())),
        or_dash(status.router_id.clone()),
        status.peers.established,
        status.peers.configured,
        status.routes.ipv4,
        status.routes.ipv6,
        status.routes.paths,
        if originated.is_empty() { "nothing".to_owned() } else { originated.join(" ") },
    );
    for problem in &status.problems {
        text.push_str(&format!("problem     {}\n", problem_line(problem)));
    }
    text
}

/// `file:line:column: field: message`, as far as each is known.
pub(crate) fn problem_line(problem: &ProblemDocument) -> String {
    let mut text = String::new();
    if let Some(file) = &problem.file {
        text.push_str(file);
        for position in [problem.line, problem.column].into_iter().flatten() {
            text.push_str(&format!(":{position}"));
        }
        text.push_str(": ");
    }
    if let Some(field) = &problem.field {
        text.push_str(&format!("{field}: "));
    }
    text.push_str(&problem.message);
    text
}

/// `manx peers [NAME]`.
pub(super) fn peers(document: &PeersDocument, wide: bool, one: bool) -> String {
    if let ([peer], true) = (document.peers.as_slice(), one) {
        return peer_detail(peer);
    }
    let mut header = vec!["NAME", "ADDRESS", "AS", "STATE", "FOR", "RECEIVED", "USED", "SENT", "LAST ERROR"];
    if wide {
        header.splice(8..8, ["STALE", "HOLD", "FAMILIES", "ROUTER ID", "FLAPS"]);
    }
    let rows: Vec<Vec<String>> = document.peers.iter().map(|peer| peer_row(peer, wide)).collect();
    let mut text = render(&header, &rows);
    if !document.dynamic.is_empty() {
        let rows: Vec<Vec<String>> = document.dynamic.iter().map(dynamic_row).collect();
        text.push('\n');
        text.push_str(&render(&["DYNAMIC PEERS OF", "PREFIXES", "PEERS", "REFUSED"], &rows));
    }
    text
}

fn dynamic_row(template: &DynamicPeersDocument) -> Vec<String> {
    let prefixes: Vec<String> = template.prefixes.iter().map(ToString::to_string).collect();
    vec![
        template.name.clone(),
        prefixes.join(","),
        format!("{} of {}", template.current, template.maximum),
        template.refused.to_string(),
    ]
}

fn peer_row(peer: &PeerDocument, wide: bool) -> Vec<String> {
    let mut row = vec![
        peer.name.clone(),
        peer.address.map_or_else(String::new, |address| address.to_string()),
        peer.remote_as.to_string(),
        peer.state.clone(),
        duration(peer.uptime_secs.unwrap_or(peer.state_secs)),
        peer.received.to_string(),
        peer.best.to_string(),
        peer.advertised.to_string(),
    ];
    if wide {
        row.push(peer.stale.to_string());
        row.push(peer.hold_time_secs.map_or_else(|| "-".to_owned(), |secs| format!("{secs}s")));
        row.push(peer.families.join(","));
        row.push(peer.router_id.clone().unwrap_or_else(|| "-".to_owned()));
        row.push(peer.flaps.to_string());
    }
    row.push(peer.last_error.clone().unwrap_or_else(|| peer.withheld.join("; ")));
    row
}

fn peer_detail(peer: &PeerDocument) -> String {
    let seconds = |value: Option<u16>| value.map_or_else(|| "-".to_owned(), |secs| format!("{secs} s"));
    let lines = [
        ("name", peer.name.clone()),
        ("description", peer.description.clone()),
        ("address", peer.address.map_or_else(String::new, |a| format!("{a} port {}", peer.port))),
        ("session", format!("{}, AS {} to AS {}", peer.kind, peer.local_as, peer.remote_as)),
        ("state", format!("{} for {}", peer.state, duration(peer.uptime_secs.unwrap_or(peer.state_secs)))),
        ("last error", peer.last_error.clone().unwrap_or_else(|| "none".to_owned())),
        ("template", peer.template.clone().unwrap_or_else(|| "none".to_owned())),
        ("flaps", peer.flaps.to_string()),
        ("router id", peer.router_id.clone().unwrap_or_else(|| "-".to_owned())),
        ("hold time", seconds(peer.hold_time_secs)),
        ("keepalive", seconds(peer.keepalive_secs)),
        ("families", peer.families.join(" ")),
        ("capabilities", peer.capabilities.join(", ")),
        ("restart time", seconds(peer.restart_time_secs)),
        ("filters", if peer.filters.is_empty() { "none".to_owned() } else { peer.filters.join(", ") }),
        ("add-path", add_path(peer)),
        ("rules", if peer.rules.is_empty() { "-".to_owned() } else { peer.rules.join(", ") }),
        ("withheld", if peer.withheld.is_empty() { "-".to_owned() } else { peer.withheld.join("; ") }),
        ("reflector client", if peer.reflector_client { "yes" } else { "no" }.to_owned()),
        ("role", peer.role.clone().unwrap_or_else(|| "-".to_owned())),
        ("maximum prefixes", peer.maximum_prefixes.map_or_else(|| "-".to_owned(), |limit| limit.to_string())),
        ("password", if peer.password { "TCP-MD5" } else { "none" }.to_owned()),
        (
            "paths",
            format!(
                "{} received, {} eligible, {} used, {} stale",
                peer.received, peer.accepted, peer.best, peer.stale
            ),
        ),
        ("advertised", peer.advertised.to_string()),
        (
            "messages",
            format!(
                "{} received ({} UPDATE), {} sent (UPDATE not counted)",
                peer.messages_in, peer.updates_in, peer.messages_out
            ),
        ),
    ];
    lines.iter().map(|(key, value)| format!("{key:17} {value}").trim_end().to_owned() + "\n").collect()
}

/// What may go in either direction: `receives ipv4-unicast; sends ipv4-unicast, at most 4`.
fn add_path(peer: &PeerDocument) -> String {
    let mut parts = Vec::new();
    if !peer.add_path_receive.is_empty() {
        parts.push(format!("receives {}", peer.add_path_receive.join(" ")));
    }
    if !peer.add_path_send.is_empty() {
        let most = peer.add_path_send_maximum.map_or_else(String::new, |most| format!(", at most {most}"));
        parts.push(format!("sends {}{most}", peer.add_path_send.join(" ")));
    }
    if parts.is_empty() { "-".to_owned() } else { parts.join("; ") }
}

/// `manx routes`.
pub(super) fn routes(document: &RoutesDocument, wide: bool) -> String {
    let mut header = vec!["", "PREFIX", "NEXT HOP", "FROM", "AS PATH", "PREF", "MED", "WHY NOT"];
    if wide {
        header.splice(7..7, ["ORIGIN", "COMMUNITIES", "AGE"]);
    }
    let has_path_ids =
        document.routes.iter().flat_map(|route| &route.paths).any(|path| path.path_id.is_some());
    if has_path_ids {
        header.insert(2, "PATH ID");
    }
    let mut rows = Vec::new();
    for route in &document.routes {
        for (nth, path) in route.paths.iter().enumerate() {
            let prefix = if nth == 0 { route.prefix.to_string() } else { String::new() };
            let mut row = path_row(prefix, path, wide);
            if has_path_ids {
                row.insert(2, path.path_id.map_or_else(String::new, |path_id| path_id.to_string()));
            }
            rows.push(row);
        }
    }
    render(&header, &rows) + "* best, = used beside it, s stale, ! cannot be used\n"
}

fn path_row(prefix: String, path: &PathDocument, wide: bool) -> Vec<String> {
    let number = |value: Option<u32>| value.map_or_else(String::new, |value| value.to_string());
    let mut marks = String::new();
    marks.push(match path {
        PathDocument { best: true, .. } => '*',
        PathDocument { multipath: true, .. } => '=',
        PathDocument { ineligible: Some(_), .. } => '!',
        PathDocument { .. } => ' ',
    });
    if path.stale {
        marks.push('s');
    }
    let mut row = vec![
        marks,
        prefix,
        path.next_hop.clone().unwrap_or_else(|| "-".to_owned()),
        path.source.clone(),
        path.as_path.clone(),
        number(path.local_pref),
        number(path.med),
    ];
    if wide {
        row.extend([path.origin.clone(), path.communities.join(" "), duration(path.age_secs)]);
    }
    row.push(path.ineligible.clone().or_else(|| path.lost.clone()).unwrap_or_default());
    row
}

/// `manx fib`.
pub(super) fn fib(document: &FibDocument) -> String {
    let rows: Vec<Vec<String>> = document
        .routes
        .iter()
        .map(|route| {
            let ways: Vec<String> = route.next_hops.iter().map(next_hop).collect();
            let ways = if route.kind == "blackhole" { "blackhole".to_owned() } else { ways.join(", ") };
            vec![
                route.prefix.to_string(),
                ways,
                route.metric.to_string(),
                route.source.clone(),
                route.state.clone(),
                route.reason.clone().unwrap_or_default(),
            ]
        })
        .collect();
    render(&["PREFIX", "VIA", "METRIC", "SOURCE", "STATE", "WHY NOT"], &rows)
}

fn next_hop(hop: &FibNextHopDocument) -> String {
    let gateway = hop.gateway.map_or_else(String::new, |gateway| format!("{gateway} "));
    let weight = if hop.weight == 1 { String::new() } else { format!(" weight {}", hop.weight) };
    format!("{gateway}dev {}{weight}", hop.device)
}
