//! `manx explain route` for people: each path step by step, then the kernel, then the peers.

use crate::ctl::show::next_hop as way;
use crate::daemon::protocol::{
    ExplainDocument, ExplainedExport, ExplainedNextHop, ExplainedPath, FibRouteDocument, PathDocument,
};

/// The whole document.
pub(super) fn route(document: &ExplainDocument, _wide: bool) -> String {
    let mut text = format!("{}\n", document.prefix);
    for path in &document.paths {
        text.push_str(&path_lines(path));
    }
    text.push_str("\nkernel\n");
    text.push_str(&format!("    {}\n", kernel(document)));
    text.push_str("\npeers\n");
    for export in &document.exports {
        text.push_str(&export_lines(export));
    }
    if document.exports.is_empty() {
        text.push_str("    there are none\n");
    }
    text
}

fn path_lines(explained: &ExplainedPath) -> String {
    let path = &explained.path;
    let mark = match path {
        PathDocument { best: true, .. } => '*',
        PathDocument { multipath: true, .. } => '=',
        PathDocument { ineligible: Some(_), .. } => '!',
        PathDocument { .. } => ' ',
    };
    let stale = if path.stale { ", stale" } else { "" };
    let mut lines = vec![("path", attributes(path))];
    if let Some(received) = &explained.received {
        lines.push(("received", attributes(received)));
    }
    if path.source != "local" {
        let changed = if explained.received.is_some() { ", which changed it" } else { "" };
        lines.push((
            "import",
            match &explained.import_rule {
                Some(rule) => format!("filter {rule}{changed}"),
                None => "no filter rule matches: taken".to_owned(),
            },
        ));
    }
    lines.push(("decision", decision(path)));
    if let Some(hop) = &explained.resolution {
        lines.push(("next hop", next_hop(hop)));
    }
    let lines: String = lines.iter().map(|(key, value)| format!("    {key:9} {value}\n")).collect();
    format!("\n{mark} from {}{stale}\n{lines}", path.source)
}

fn attributes(path: &PathDocument) -> String {
    let mut words = Vec::new();
    words.extend(path.next_hop.as_ref().map(|hop| format!("next hop {hop}")));
    words.push(if path.as_path.is_empty() {
        "no AS path".to_owned()
    } else {
        format!("AS path {}", path.as_path)
    });
    words.push(format!("origin {}", path.origin));
    words.extend(path.local_pref.map(|pref| format!("local pref {pref}")));
    words.extend(path.med.map(|med| format!("MED {med}")));
    if !path.communities.is_empty() {
        words.push(format!("communities {}", path.communities.join(" ")));
    }
    words.extend(path.originator_id.as_ref().map(|id| format!("originator {id}")));
    if !path.cluster_list.is_empty() {
        words.push(format!("clusters {}", path.cluster_list.join(" ")));
    }
    words.join(", ")
}

fn decision(path: &PathDocument) -> String {
    let lost = || path.lost.clone().unwrap_or_default();
    match path {
        PathDocument { best: true, .. } => "best".to_owned(),
        PathDocument { ineligible: Some(reason), .. } => format!("takes no part: {reason}"),
        PathDocument { multipath: true, .. } => format!("used beside the best, which it is not: {}", lost()),
        PathDocument { .. } => {
            let to = path.lost_to.as_ref().map_or_else(String::new, |to| format!(" to {to}"));
            let beside = path.not_multipath.as_ref();
            let beside = beside.map_or_else(String::new, |why| format!("; not used beside the best: {why}"));
            format!("lost{to}: {}{beside}", lost())
        }
    }
}

fn next_hop(hop: &ExplainedNextHop) -> String {
    let through: Vec<String> =
        hop.through.iter().map(|route| format!("{} ({})", route.prefix, route.protocol)).collect();
    match (&hop.reason, hop.cost) {
        (Some(reason), _) => format!("does not resolve: {reason}"),
        (None, cost) => {
            let ways: Vec<String> = hop.via.iter().map(way).collect();
            let cost = cost.map_or_else(String::new, |cost| format!(", cost {cost}"));
            format!("{} through {}: {}{cost}", hop.address, through.join(", then "), ways.join(", "))
        }
    }
}

fn kernel(document: &ExplainDocument) -> String {
    let Some(FibRouteDocument { state, reason, next_hops, metric, kind, .. }) = &document.kernel else {
        return "no route of ours, and none wanted".to_owned();
    };
    let ways: Vec<String> = next_hops.iter().map(way).collect();
    let ways = if kind == "blackhole" { "blackhole".to_owned() } else { ways.join(", ") };
    let reason = reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
    let off = if document.fib_enabled { "" } else { "; kernel routes are switched off" };
    format!("{state}{reason}: {ways} metric {metric}{off}")
}

fn export_lines(export: &ExplainedExport) -> String {
    let rule = export.rule.as_ref().map_or_else(String::new, |rule| format!(" (filter {rule})"));
    if !export.advertised {
        return format!("    {:24} no: {}{rule}\n", export.peer, export.reason);
    }
    let paths: Vec<String> = export.paths.iter().map(attributes).collect();
    format!("    {:24} yes{rule}: {}\n", export.peer, paths.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(change: impl Fn(&mut PathDocument)) -> PathDocument {
        let mut path = PathDocument { source: "bgppeer/tor".to_owned(), ..PathDocument::default() };
        change(&mut path);
        path
    }

    #[test]
    fn a_decision_is_told_in_one_line() {
        assert_eq!(decision(&path(|path| path.best = true)), "best");
        let lost = path(|path| {
            path.lost = Some("higher router id".to_owned());
            path.lost_to = Some("bgppeer/spine".to_owned());
            path.not_multipath = Some("a path in use has the same next hop".to_owned());
        });
        assert_eq!(
            decision(&lost),
            "lost to bgppeer/spine: higher router id; not used beside the best: a path in use has the same next hop"
        );
        assert_eq!(
            decision(&path(|path| path.ineligible = Some("our AS is in its AS_PATH".to_owned()))),
            "takes no part: our AS is in its AS_PATH"
        );
    }
}
