//! What filters ask of attributes and do to them, against BIRD: what it shows of a route that an export policy
//! changed, and what an import policy makes of what it sends. Each change is made while the session stays up.
#![allow(clippy::indexing_slicing, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use interop_tests::speaker::bird::{BirdConfig, BirdSession};
use interop_tests::uplink::{self, BLOCKS, NODE_AS, ROUTER, SESSIONS};
use interop_tests::{Bird, Family, Lab, Manifest, Manx, can_run, ip, net, secs};
use serde_json::{Value, json};

/// The node with a filter on both sessions, and the router in an AS.
fn manifests(router_as: u32, import: Value, export: Value) -> Vec<Manifest> {
    let is_peer = |manifest: &Manifest| manifest.file_name().starts_with("bgppeer-");
    let mut all: Vec<Manifest> = uplink::manifests()
        .into_iter()
        .map(
            |manifest| {
                if is_peer(&manifest) { manifest.with("filters", json!(["fabric"])) } else { manifest }
            },
        )
        .map(|manifest| if is_peer(&manifest) { manifest.with("asNumber", router_as) } else { manifest })
        .collect();
    all.push(filter(import, export));
    all
}

fn filter(import: Value, export: Value) -> Manifest {
    Manifest::bgp_filter("fabric").with("importV4", import).with("exportV4", export)
}

/// Rules that let everything leave, changed by these.
fn leaving(operations: Value) -> Value {
    json!([{"action": "Accept", "operations": operations}])
}

/// Waits until BIRD shows the node's IPv4 block with exactly these values of these attributes.
fn ensure_bird_shows(lab: &Lab, bird: &Bird, wanted: &[(&str, &str)]) -> Result<()> {
    lab.wait_until(&format!("the router shows the block with {wanted:?}"), secs(15), || {
        let routes = bird.routes_from(SESSIONS[0], Family::V4)?;
        let attributes =
            routes.get(&net(BLOCKS[0])).map(|route| route.attributes.clone()).unwrap_or_default();
        let found: Vec<(&str, &str)> = wanted
            .iter()
            .map(|(name, _)| (*name, attributes.get(*name).map_or("", String::as_str)))
            .collect();
        ensure!(found == wanted, "{attributes:?}");
        Ok(())
    })
}

fn ensure_untouched(before: &BirdSession, bird: &Bird) -> Result<()> {
    let after = bird.session(SESSIONS[0])?;
    ensure!(*before == after && after.info.starts_with("Established"), "{before:?} {after:?}");
    Ok(())
}

#[test]
fn rfc4271_5_1_4_bird_shows_what_export_policy_sets() -> Result<()> {
    if !can_run("rfc4271_5_1_4_bird_shows_what_export_policy_sets") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let bird = Bird::start(lab.host("router")?, uplink::bird())?;
    let all = json!(["65001:100", "65002:7", "rt:65001:7", "soo:10.1.0.1:9", "65001:1:2"]);
    let export = leaving(json!([
        {"addCommunities": {"values": all}},
        {"setMED": {"value": 70}},
        {"setNextHop": {"value": "10.1.0.77"}},
        {"setOrigin": {"value": "incomplete"}},
        {"prependOwnAS": {"count": 2}}
    ]));
    let manx = Manx::launch(lab.host("node1")?, &manifests(uplink::ROUTER_AS, json!([]), export))?;
    ensure_bird_shows(
        &lab,
        &bird,
        &[
            ("as_path", &format!("{NODE_AS} {NODE_AS} {NODE_AS}")),
            ("med", "70"),
            ("next_hop", "10.1.0.77"),
            ("origin", "Incomplete"),
            ("community", "(65001,100) (65002,7)"),
            ("ext_community", "(rt, 65001, 7) (ro, 10.1.0.1, 9)"),
            ("large_community", "(65001, 1, 2)"),
        ],
    )?;

    // One rule that goes on and one that ends it, by a set; and our own next hop again.
    let session = bird.session(SESSIONS[0])?;
    manx.apply(&Manifest::bgp_set("inside").with("communities", json!(["rt:*:*", "65002:*"])))?;
    manx.apply(&filter(
        json!([]),
        json!([
            {"action": "Next", "operations": [
                {"addCommunities": {"values": all}}, {"addMED": {"value": 100}}, {"subtractMED": {"value": 40}}
            ]},
            {"action": "Accept", "communities": {"values": ["65001:100", "rt:65001:*"], "match": "All"},
             "med": 60, "operations": [
                {"removeCommunities": {"sets": ["inside"]}},
                {"replaceCommunities": {"values": ["65001:*:*"], "with": ["65001:9:9", "bandwidth:65001:125000000"]}},
                {"setNextHop": {"value": "Self"}}
            ]}
        ]),
    ))?;
    ensure_bird_shows(
        &lab,
        &bird,
        &[
            ("as_path", &NODE_AS.to_string()),
            ("med", "60"),
            ("next_hop", "10.1.0.1"),
            ("origin", "IGP"),
            ("community", "(65001,100)"),
            ("ext_community", "(ro, 10.1.0.1, 9) (unknown 0x4004, 65001, 1290693416)"),
            ("large_community", "(65001, 9, 9)"),
        ],
    )?;

    // The set alone changes.
    manx.apply(&Manifest::bgp_set("inside").with("communities", json!(["soo:*:*", "65001:0-200"])))?;
    ensure_bird_shows(
        &lab,
        &bird,
        &[
            ("community", "(65002,7)"),
            ("ext_community", "(rt, 65001, 7) (unknown 0x4004, 65001, 1290693416)"),
        ],
    )?;
    manx.apply(&filter(json!([]), json!([])))?;
    ensure_bird_shows(&lab, &bird, &[("med", ""), ("community", ""), ("ext_community", "")])?;
    ensure_untouched(&session, &bird)
}

/// LOCAL_PREF is for internal peers.
#[test]
fn bird_shows_the_local_preference_that_export_policy_sets() -> Result<()> {
    if !can_run("bird_shows_the_local_preference_that_export_policy_sets") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let bird = Bird::start(lab.host("router")?, BirdConfig { local_as: NODE_AS, ..uplink::bird() })?;
    let export = leaving(json!([{"setLocalPreference": {"value": 777}}, {"setMED": {"value": 5}}]));
    let manx = Manx::launch(lab.host("node1")?, &manifests(NODE_AS, json!([]), export))?;
    ensure_bird_shows(&lab, &bird, &[("local_pref", "777"), ("med", "5")])?;
    let session = bird.session(SESSIONS[0])?;
    let by_preference = json!([
        {"action": "Accept", "localPreference": {"min": 2_147_482_000}, "operations": [
            {"setLocalPreference": {"value": 888}}
        ]}
    ]);
    manx.apply(&filter(json!([]), by_preference))?;
    ensure_bird_shows(&lab, &bird, &[("local_pref", "888"), ("med", "")])?;
    ensure_untouched(&session, &bird)
}

const ROUTES: [(&str, &str); 6] = [
    ("172.31.1.0/24", "bgp_community.add((65001,100)); bgp_community.add((65002,7));"),
    ("172.31.2.0/24", "bgp_ext_community.add((rt, 65001, 7)); bgp_large_community.add((65001, 1, 2));"),
    ("172.31.3.0/24", "bgp_path.prepend(65077); bgp_path.prepend(65078);"),
    ("172.31.4.0/24", "bgp_origin = ORIGIN_INCOMPLETE;"),
    ("172.31.5.0/25", ""),
    ("172.31.6.0/24", ""),
];

/// `rejected` and the rule, or LOCAL_PREF and the next hop.
fn ensure_manx_shows(lab: &Lab, manx: &Manx, wanted: &[(&str, &str)]) -> Result<()> {
    lab.wait_until(&format!("the node shows {wanted:?}"), secs(15), || {
        let mut found = BTreeMap::new();
        for (prefix, paths) in manx.routes()? {
            let Some(path) = paths.iter().find(|path| path.source == "bgppeer/router4") else { continue };
            let preference = path.rest.get("local_pref").and_then(Value::as_u64);
            let next_hop = path.next_hop.map(|hop| hop.to_string()).unwrap_or_default();
            let shown = match (&path.ineligible, preference) {
                (Some(reason), _) => reason.clone(),
                (None, Some(preference)) => format!("{preference} {next_hop}"),
                (None, None) => next_hop,
            };
            found.insert(prefix.to_string(), shown);
        }
        let wanted: BTreeMap<String, String> =
            wanted.iter().map(|(prefix, shown)| ((*prefix).to_owned(), (*shown).to_owned())).collect();
        ensure!(found == wanted, "{found:#?}");
        Ok(())
    })
}

#[test]
fn import_asks_for_what_bird_sends() -> Result<()> {
    if !can_run("import_asks_for_what_bird_sends") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let mut bird = Bird::start(lab.host("router")?, uplink::bird())?;
    bird.announce_with(&ROUTES)?;
    let import = json!([
        {"action": "Reject", "prefixSets": ["unwanted"]},
        {"action": "Reject", "communities": {"values": ["65001:*", "65002:1-9"], "match": "All"}},
        {"action": "Accept", "communities": {"values": ["rt:65001:*"]}, "operations": [
            {"setLocalPreference": {"value": 300}}
        ]},
        {"action": "Accept", "asPathRegex": "_65077$", "asPathLength": {"min": 3}, "operations": [
            {"setLocalPreference": {"value": 400}}
        ]},
        {"action": "Reject", "origin": "incomplete", "nextHop": [ROUTER[0]]},
        {"action": "Accept", "not": {"nextHop": ["192.0.2.0/24"]}, "med": 0, "operations": [
            {"setNextHop": {"value": "10.1.0.99"}}
        ]}
    ]);
    let mut all = manifests(uplink::ROUTER_AS, import, json!([]));
    let unwanted = json!(["172.31.6.0/24", {"cidr": "172.31.0.0/16", "prefixLength": {"min": 25}}]);
    all.push(Manifest::bgp_set("unwanted").with("prefixes", unwanted));
    let manx = Manx::launch(lab.host("node1")?, &all)?;
    let rejected = |rule: u32| format!("rejected by import filter fabric rule {rule}");
    let (first, second, fifth) = (rejected(1), rejected(2), rejected(5));
    ensure_manx_shows(
        &lab,
        &manx,
        &[
            ("172.31.1.0/24", &second),
            ("172.31.2.0/24", "300 10.1.0.2"),
            ("172.31.3.0/24", "400 10.1.0.2"),
            ("172.31.4.0/24", &fifth),
            ("172.31.5.0/25", &first),
            ("172.31.6.0/24", &first),
        ],
    )?;

    // The set alone changes, and is then gone, which fails closed and is said.
    let session = bird.session(SESSIONS[0])?;
    let updates = |manx: &Manx| -> Result<Option<Value>> {
        Ok(manx.peer(ip(ROUTER[0]))?.rest.get("updates_in").cloned())
    };
    let received = updates(&manx)?;
    manx.apply(&Manifest::bgp_set("unwanted").with("prefixes", json!(["172.31.2.0/24"])))?;
    ensure_manx_shows(
        &lab,
        &manx,
        &[
            ("172.31.1.0/24", &second),
            ("172.31.2.0/24", &first),
            ("172.31.3.0/24", "400 10.1.0.2"),
            ("172.31.4.0/24", &fifth),
            ("172.31.5.0/25", "10.1.0.99"),
            ("172.31.6.0/24", "10.1.0.99"),
        ],
    )?;
    manx.remove_manifest("bgpset-unwanted.yaml")?;
    let all_rejected: Vec<(&str, &str)> =
        ROUTES.iter().map(|(prefix, _)| (*prefix, first.as_str())).collect();
    ensure_manx_shows(&lab, &manx, &all_rejected)?;
    let problems = manx.status()?.problems;
    let is_said = |problem: &interop_tests::speaker::manx::Problem| {
        problem.message.starts_with("there is no BGPSet named unwanted")
    };
    ensure!(problems.iter().any(is_said), "{problems:?}");
    ensure_untouched(&session, &bird)?;
    ensure!(updates(&manx)? == received, "the router was asked to send its routes again");
    Ok(())
}

/// What is tried is said and not done; when it is done it is as was said.
#[test]
fn filters_are_tried_against_the_running_daemon() -> Result<()> {
    if !can_run("filters_are_tried_against_the_running_daemon") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let mut bird = Bird::start(lab.host("router")?, uplink::bird())?;
    bird.announce_with(&ROUTES)?;
    let export = leaving(json!([{"addCommunities": {"values": ["65001:1"]}}]));
    let import = json!([{"action": "Reject", "cidr": "172.31.5.0/25", "matchOperator": "Equal"}]);
    let manx = Manx::launch(lab.host("node1")?, &manifests(uplink::ROUTER_AS, import, export))?;
    ensure_bird_shows(&lab, &bird, &[("community", "(65001,1)")])?;
    lab.wait_until("every route is there", secs(15), || {
        let received = manx.peer(ip(ROUTER[0]))?.received;
        ensure!(received == 6, "{received}");
        Ok(())
    })?;

    let tried = filter(
        json!([
            {"action": "Reject", "prefixSets": ["tried"]},
            {"action": "Accept", "origin": "incomplete", "operations": [{"setLocalPreference": {"value": 7}}]}
        ]),
        leaving(json!([{"setMED": {"value": 9}}, {"addCommunities": {"values": ["65001:2"]}}])),
    );
    let set = Manifest::bgp_set("tried").with("prefixes", json!(["172.31.1.0/24", "172.31.2.0/24"]));
    let file = lab.directory().join("tried.yaml");
    std::fs::write(&file, format!("{}---\n{}", set.render(), tried.render()))?;
    let words = ["policy", "test", "--live", "-f", &file.to_string_lossy()];
    let before = manx.routes()?;
    let text = manx.command_line(&words)?;
    for wanted in [
        "172.31.1.0/24  rejected by fabric rule 1 (now accepted by no rule)",
        "172.31.4.0/24  local_pref - -> 7 by fabric rule 2",
        "172.31.5.0/25  accepted by no rule (now rejected by fabric rule 1)",
        "10.64.1.0/26  med - -> 9, communities 65001:1 -> 65001:2 by fabric rule 1",
    ] {
        ensure!(text.contains(wanted), "{wanted}\n{text}");
    }
    let document: Value = serde_json::from_str(&manx.command_line(&[&words[..], &["-o", "json"]].concat())?)?;
    let counts = |direction: &str| -> Option<Value> {
        let trials = document["trials"].as_array()?;
        let is_it = |trial: &&Value| trial["peer"] == "bgppeer/router4" && trial["direction"] == direction;
        let trial = trials.iter().find(is_it)?;
        Some(json!([trial["routes"], trial["accepted"], trial["rejected"], trial["changed"]]))
    };
    ensure!(counts("import") == Some(json!([6, 1, 2, 1])), "{document:#}");
    // Two blocks and what the IPv6 session brings would go to it; only its own family does.
    ensure!(counts("export") == Some(json!([1, 0, 0, 1])), "{document:#}");

    // Nothing has changed.
    ensure!(manx.routes()?.keys().eq(before.keys()), "{:?}", manx.routes()?);
    ensure_bird_shows(&lab, &bird, &[("med", ""), ("community", "(65001,1)")])?;
    let session = bird.session(SESSIONS[0])?;
    manx.apply(&set)?;
    manx.apply(&tried)?;
    ensure_bird_shows(&lab, &bird, &[("med", "9"), ("community", "(65001,2)")])?;
    let rejected = "rejected by import filter fabric rule 1";
    ensure_manx_shows(
        &lab,
        &manx,
        &[
            ("172.31.1.0/24", rejected),
            ("172.31.2.0/24", rejected),
            ("172.31.3.0/24", ROUTER[0]),
            ("172.31.4.0/24", "7 10.1.0.2"),
            ("172.31.5.0/25", ROUTER[0]),
            ("172.31.6.0/24", ROUTER[0]),
        ],
    )?;
    let shown = manx.command_line(&["policy"])?;
    let rule = |wanted: &[&str]| shown.lines().any(|line| line.split_whitespace().eq(wanted.iter().copied()));
    ensure!(rule(&["bgppeer/router4", "import", "ipv4", "fabric", "rule", "1", "Reject", "2"]), "{shown}");
    ensure!(rule(&["bgppeer/router4", "import", "ipv4", "fabric", "rule", "2", "Accept", "1"]), "{shown}");
    ensure!(rule(&["bgppeer/router4", "import", "-", "no", "rule", "-", "3"]), "{shown}");
    ensure!(rule(&["bgppeer/router4", "export", "ipv4", "fabric", "rule", "1", "Accept", "1"]), "{shown}");
    ensure_untouched(&session, &bird)
}
