use super::*;

fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::parse("manx.toml", text, environment, "Node1.Example")
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn defaults() -> Settings {
    Settings {
        node_name: "node1.example".into(),
        data_dir: "/var/lib/manx".into(),
        socket: "/run/manx/manx.sock".into(),
        manifests: Some("/etc/manx/manifests".into()),
        metrics: Some("127.0.0.1:9179".parse().unwrap()),
        store: StoreSettings::Embedded,
        bgp_enabled: true,
        fib_enabled: true,
        ipam_enabled: true,
        felix_enabled: true,
    }
}

#[test]
fn nothing_given_is_all_defaults() {
    assert_eq!(parse("", &[("PATH", "/bin")]), Ok(defaults()));
}

#[test]
fn everything_given() {
    let text = r#"
node_name = "a.b"
data_dir = "/d"
socket = "/s"
manifests = ""
metrics = ""
[store]
kind = "embedded"
[bgp]
enabled = false
[fib]
enabled = false
[ipam]
enabled = false
[felix]
enabled = false
"#;
    let expected = Settings {
        node_name: "a.b".into(),
        data_dir: "/d".into(),
        socket: "/s".into(),
        manifests: None,
        metrics: None,
        store: StoreSettings::Embedded,
        bgp_enabled: false,
        fib_enabled: false,
        ipam_enabled: false,
        felix_enabled: false,
    };
    assert_eq!(parse(text, &[]), Ok(expected));
}

#[test]
fn the_environment_overrides_the_file() {
    let text = "node_name = \"a\"\nmetrics = \"\"\n[bgp]\nenabled = true\n[fib]\nenabled = false\n";
    let environment = [
        ("MANX_NODE_NAME", "b"),
        ("MANX_BGP_ENABLED", "false"),
        ("MANX_METRICS", "[::1]:1"),
        ("MANX_STORE_KIND", "embedded"),
        ("MANX_CONFIG", "/x"),
        ("MANX_SERVICE_HOST", "10.96.0.9"),
        ("MANX_PORT_9179_TCP_ADDR", "10.96.0.9"),
    ];
    let expected = Settings {
        node_name: "b".into(),
        metrics: Some("[::1]:1".parse().unwrap()),
        bgp_enabled: false,
        fib_enabled: false,
        ..defaults()
    };
    assert_eq!(parse(text, &environment), Ok(expected));
}

#[test]
fn every_key_has_a_variable() {
    for field in FIELDS {
        let inner = field.fields.first().map_or(String::new(), |inner| format!("_{}", inner.name));
        let variable = format!("MANX_{}{inner}", field.name).to_uppercase();
        // A value that no key takes: the error names the variable, so it was found.
        let value = if field.name.contains("dir") || field.name == "socket" { "" } else { "\u{0}" };
        let result = parse("", &[(&variable, value)]);
        match field.name {
            "manifests" => assert!(result.is_ok()),
            _ => {
                let problems = result.unwrap_err();
                assert!(problems[0].starts_with(&format!("environment: {variable}: ")), "{problems:?}");
            }
        }
    }
}

#[test]
fn mistakes_are_all_reported_with_their_place() {
    let text = "# ü\nnode_nam = \"a\"\nmetrics = 9179\n[store]\nkind = \"etcd\"\nendpoints = [\"https://a\"]\n\
                [bgp]\nenabled = \"yes\"\nport = 1\n[peers]\n";
    let environment = [("MANX_BGP_ENABLED", "no"), ("MANX_NODE", "x")];
    let problems = parse(text, &environment).unwrap_err();
    let expected = [
        "environment: MANX_BGP_ENABLED: expected true or false, found the text 'no'",
        "environment: MANX_NODE: unknown variable: known are MANX_NODE_NAME, MANX_DATA_DIR, ",
        "manx.toml:2:1: node_nam: unknown field 'node_nam': did you mean 'node_name'?",
        "manx.toml:3:11: metrics: expected a text, found the number 9179: write \"9179\"",
        "manx.toml:5:8: store.kind: etcd is not supported by this version: use embedded",
        "manx.toml:8:11: bgp.enabled: expected true or false, found the text 'yes'",
        "manx.toml:9:1: bgp.port: unknown field 'port': known here: enabled",
        "manx.toml:10:2: peers: unknown field 'peers': known here: node_name, data_dir, socket, manifests, ",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.starts_with(expected), "{problem}\n{expected}");
    }
}

#[test]
fn contradictions_are_refused() {
    let found = parse("[store]\nkind = \"embedded\"\nca = \"/ca\"\n", &[("MANX_STORE_ENDPOINTS", "a, b")]);
    assert_eq!(
        found.unwrap_err(),
        [
            "environment: MANX_STORE_ENDPOINTS: has no meaning for the embedded store: remove it",
            "manx.toml:3:6: store.ca: has no meaning for the embedded store: remove it",
        ]
    );
}

#[test]
fn what_is_not_toml_has_a_place() {
    let problems = parse("node_name = \"a\nmetrics = = 1\n", &[]).unwrap_err();
    assert!(problems.len() >= 2, "{problems:#?}");
    assert!(problems[0].starts_with("manx.toml:1:"), "{problems:#?}");
    assert!(problems[1].starts_with("manx.toml:2:"), "{problems:#?}");
    let problems = parse("socket = \"a\"\nsocket = \"b\"\n", &[]).unwrap_err();
    assert!(problems[0].starts_with("manx.toml:2:1: this is not valid TOML: duplicate"), "{problems:#?}");
}

#[test]
fn an_unusable_host_name_asks_for_a_node_name() {
    let parse = |text| Settings::parse("f", text, [], "my_host").map_err(|problems| problems[0].to_string());
    let expected = "f: node_name: the host name 'my_host' is not the name of a node: set node_name";
    assert_eq!(parse(""), Err(expected.into()));
    assert!(parse("node_name = \"my-host\"").is_ok());
}
