//! Whole clusters as manifests, and what they mean for each node as text (`clusters/NAME.yaml`,
//! `clusters/NAME.txt`). `BLESS=1 cargo test -p config --test clusters` writes the texts anew; read the diff.

use std::fmt::{self, Write as _};
use std::path::Path;

use config::catalog::{Catalog, Resources};
use config::expand::{Speaker, export_policy, own_blocks, prefix_advertisements, sessions};
use config::manifest::parse_manifest;

#[test]
fn every_cluster_expands_as_written() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clusters");
    let mut names: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    names.sort();
    assert!(names.len() >= 6, "{names:?}");
    for path in names {
        let file = path.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut catalog = Catalog::default();
        catalog.apply_file(file, parse_manifest(file, &text));
        let found = describe(&catalog.resolve()).unwrap();
        let golden = path.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&golden, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(found, expected, "{}", golden.display());
    }
}

fn describe(resources: &Resources) -> Result<String, fmt::Error> {
    let mut text = String::new();
    for problem in resources.problems() {
        writeln!(text, "! {problem}")?;
    }
    for node in resources.nodes.keys() {
        match Speaker::of(resources, node) {
            Ok(speaker) => describe_speaker(&mut text, &speaker)?,
            Err(_) => writeln!(text, "{node}")?,
        }
        let expansion = sessions(resources, node);
        for session in &expansion.sessions {
            writeln!(text, "    {session}")?;
        }
        for template in &expansion.templates {
            let list = |items: Vec<String>| items.join(",");
            let prefixes = list(template.peers.prefixes.iter().map(ToString::to_string).collect());
            let ranges = list(template.peers.as_ranges.iter().map(ToString::to_string).collect());
            let (maximum, session) = (template.peers.maximum, &template.session);
            writeln!(text, "    up to {maximum} from {prefixes} of AS [{ranges}]: {session}")?;
        }
        for session in &expansion.unstartable {
            writeln!(text, "    not {}: {}", session.session.name, session.reason)?;
        }
        for problem in &expansion.problems {
            writeln!(text, "  ! {problem}")?;
        }
        for block in own_blocks(resources, node) {
            writeln!(text, "  block {block}")?;
        }
        for advertisement in prefix_advertisements(resources, node) {
            let communities: Vec<String> =
                advertisement.communities.iter().map(ToString::to_string).collect();
            writeln!(text, "  communities of {}: {}", advertisement.cidr, communities.join(" "))?;
        }
        let policy = export_policy(resources, node);
        for rule in &policy.rules {
            let own = if rule.own_only { "own " } else { "" };
            let verdict = if rule.accept { "accept" } else { "reject" };
            writeln!(text, "  export {verdict} {own}{}", rule.within)?;
        }
        writeln!(text, "  export otherwise {}", if policy.otherwise { "accept" } else { "reject" })?;
    }
    Ok(text)
}

fn describe_speaker(text: &mut String, speaker: &Speaker) -> fmt::Result {
    let Speaker { node_name, as_number, router_id, listen_port, .. } = speaker;
    write!(text, "{node_name} as {as_number} id {router_id} port {listen_port}")?;
    for address in &speaker.listen_addresses {
        write!(text, " on {address}")?;
    }
    if let Some(cluster_id) = speaker.cluster_id {
        write!(text, " cluster {cluster_id}")?;
    }
    writeln!(text, " multipath {} metric {}/{}", speaker.multipath_max, speaker.metric_v4, speaker.metric_v6)
}
