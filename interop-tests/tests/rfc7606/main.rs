//! RFC 7606 on the wire: a live daemon, a peer for each kind of session that sends every malformed UPDATE there
//! is, and innocent sessions beside it. What the culprit loses, and nothing else, is seen by the innocent, by the
//! kernel and by the command line.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic is how a test fails")]

mod cases;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use cases::{Case, Expected, Form, Speaker, cases};
use interop_tests::speaker::scripted::{KEEPALIVE, NOTIFICATION, Prefixes, UPDATE, message, open_with};
use interop_tests::uplink::{self, ANNOUNCED, NODE_AS, SESSIONS};
use interop_tests::{
    Bird, Family, Lab, Manifest, Manx, RouteMonitor, Scripted, can_run, end, ip, kernel, net, secs,
};
use ipnet::IpNet;

const CULPRIT_AS: u32 = 65066;
const INNOCENT_AS: u32 = 65200;
/// The node on the wire to the scripted peers.
const NODE: &str = "10.9.0.1";
/// What each session of a culprit announces last: when it is there, all before it has been understood.
const FENCE: [&str; 3] = ["198.18.1.0/24", "198.18.2.0/24", "198.18.3.0/24"];
/// An AS at the end of the path of what is announced the second time.
const AGAIN: u8 = 99;

/// The peers that are not reset: one of each kind, then one for every case that ends in a reset, because manx
/// holds back longer after each error of one peer.
fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 9, 0, 10 + u8::try_from(number).unwrap())
}

fn innocent() -> Ipv4Addr {
    Ipv4Addr::new(10, 9, 0, 9)
}

impl Speaker {
    const ALL: [Self; 3] = [Self::External, Self::Internal, Self::TwoOctet];

    fn asn(self) -> u32 {
        match self {
            Self::External | Self::TwoOctet => CULPRIT_AS,
            Self::Internal => NODE_AS,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::External => "eBGP",
            Self::Internal => "iBGP",
            Self::TwoOctet => "eBGP, two-octet",
        }
    }

    /// Both families; the four-octet capability where it has it.
    fn open(self, router_id: Ipv4Addr) -> Vec<u8> {
        let mut capabilities = vec![1, 4, 0, 1, 0, 1, 1, 4, 0, 2, 0, 1];
        if self != Self::TwoOctet {
            capabilities.extend([65, 4]);
            capabilities.extend(self.asn().to_be_bytes());
        }
        open_with(self.asn(), 90, router_id, &capabilities)
    }

    /// ORIGIN, AS_PATH ending with `last` if there is one, NEXT_HOP.
    fn mandatory(self, last: Option<u8>) -> [Vec<u8>; 3] {
        let mut asns: Vec<u32> = if self == Self::Internal { Vec::new() } else { vec![CULPRIT_AS] };
        asns.extend(last.map(u32::from));
        let width = if self == Self::TwoOctet { 2 } else { 4 };
        let mut path = Vec::new();
        if !asns.is_empty() {
            path.extend([2, u8::try_from(asns.len()).unwrap()]);
            path.extend(asns.iter().flat_map(|asn| asn.to_be_bytes()[4 - width..].to_vec()));
        }
        [
            vec![0x40, 1, 1, 0],
            [&[0x40, 2, u8::try_from(path.len()).unwrap()], path.as_slice()].concat(),
            vec![0x40, 3, 4, 10, 9, 0, 10],
        ]
    }
}

impl Case {
    fn is_mp(&self) -> bool {
        matches!(self.form, Form::Mp(_))
    }

    /// The prefix that is at stake: inside the pools, so that it goes on to the innocent.
    fn prefix(&self, number: usize) -> IpNet {
        let text = if self.is_mp() {
            format!("fd64:0:0:{:x}::/64", number + 1)
        } else {
            format!("10.64.{}.0/24", number + 1)
        };
        text.parse().unwrap()
    }

    /// The good announcement, which comes first.
    fn good(&self, number: usize) -> Vec<u8> {
        announce(self.speaker, self.prefix(number), None)
    }

    fn bad(&self, number: usize) -> Vec<u8> {
        let prefix = self.prefix(number);
        let mandatory = self.speaker.mandatory(Some(AGAIN));
        let nlri = octets(prefix);
        match &self.form {
            Form::Attribute(octets) => {
                let mut list: Vec<_> = mandatory.into_iter().filter(|good| good[1] != octets[1]).collect();
                list.push(octets.clone());
                update(&list.concat(), &nlri)
            }
            Form::Twice(octets) => update(&[mandatory.concat(), octets.repeat(2)].concat(), &nlri),
            Form::Missing(code) => {
                let list: Vec<_> = mandatory.into_iter().filter(|good| good[1] != *code).collect();
                update(&list.concat(), &nlri)
            }
            Form::Mp(octets) => {
                let mut octets = octets.clone();
                if let Some(at) = octets.windows(3).position(|three| three == [0xff; 3]) {
                    octets.splice(at..at + 3, nlri.clone());
                    octets[2] += u8::try_from(nlri.len()).unwrap() - 3;
                }
                update(&[octets, mandatory[..2].concat()].concat(), &[])
            }
            Form::Body(body) => message(UPDATE, body),
        }
    }

    /// What is seen of P afterwards: whether it is there, and whether it is the second announcement.
    fn outcome(&self) -> (bool, bool) {
        match self.expected {
            // Not a word in it about P.
            Expected::Fine if self.is_mp() => (true, false),
            Expected::Fine | Expected::Discard => (true, true),
            Expected::Withdraw | Expected::Reset(..) => (false, false),
        }
    }
}

fn announce(speaker: Speaker, prefix: IpNet, last: Option<u8>) -> Vec<u8> {
    let mandatory = speaker.mandatory(last);
    match prefix {
        IpNet::V4(_) => update(&mandatory.concat(), &octets(prefix)),
        IpNet::V6(_) => {
            // fd01::2, which is on the wire to the router.
            let next_hop = [0xfd, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
            let nlri = octets(prefix);
            let len = u8::try_from(21 + nlri.len()).unwrap();
            let reach = [&[0x80, 14, len, 0, 2, 1, 16][..], &next_hop, &[0], &nlri].concat();
            update(&[reach, mandatory[..2].concat()].concat(), &[])
        }
    }
}

fn update(attributes: &[u8], nlri: &[u8]) -> Vec<u8> {
    let len = u16::try_from(attributes.len()).unwrap().to_be_bytes();
    message(UPDATE, &[&[0, 0], &len[..], attributes, nlri].concat())
}

fn octets(prefix: IpNet) -> Vec<u8> {
    let len = usize::from(prefix.prefix_len().div_ceil(8));
    let address = match prefix {
        IpNet::V4(net) => net.network().octets().to_vec(),
        IpNet::V6(net) => net.network().octets().to_vec(),
    };
    [&[prefix.prefix_len()], &address[..len]].concat()
}

struct World {
    innocent: Scripted,
    manx: Manx,
    bird: Bird,
    lab: Lab,
}

impl World {
    fn start(culprits: &[Speaker]) -> Result<Self> {
        let addresses: Vec<String> =
            (0..culprits.len()).map(|number| format!("{}/24", address(number))).collect();
        let own = format!("{}/24", innocent());
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).chain([own.as_str()]).collect();
        let lab = uplink::topology()
            .host("peers")
            .link(end("node1", "peers", &["10.9.0.1/24"]), end("peers", "eth0", &addresses))
            .build()?;
        let bird = Bird::start(lab.host("router")?, uplink::bird())?;
        let manx = Manx::launch(lab.host("node1")?, &uplink::manifests())?;
        lab.wait_until("the innocent routes are there", secs(20), || {
            for (index, family) in Family::ALL.into_iter().enumerate() {
                let present = kernel::learned(lab.host("node1")?, family)?;
                ensure!(present.contains(&net(ANNOUNCED[index])), "{present:?}");
            }
            manx.ensure_in_sync()
        })?;
        for (number, speaker) in culprits.iter().enumerate() {
            manx.apply(&peer(&format!("culprit{number}"), address(number), speaker.asn()))?;
        }
        manx.apply(&peer("innocent", innocent(), INNOCENT_AS))?;
        let wanted = 3 + culprits.len();
        lab.wait_until("manx knows the peers", secs(10), || {
            let peers = manx.peers()?;
            ensure!(peers.len() == wanted, "{:?}", peers.keys());
            Ok(())
        })?;
        let mut capabilities = vec![1, 4, 0, 1, 0, 1, 1, 4, 0, 2, 0, 1, 65, 4];
        capabilities.extend(INNOCENT_AS.to_be_bytes());
        let open = open_with(INNOCENT_AS, 90, innocent(), &capabilities);
        let innocent = lab.wait_until("the innocent session is up", secs(10), || {
            Scripted::establish_with(lab.host("peers")?, innocent(), ip(NODE), &open)
        })?;
        Ok(Self { innocent, manx, bird, lab })
    }

    fn establish(&self, number: usize, speaker: Speaker) -> Result<Scripted> {
        self.lab.wait_until("the scripted session is up", secs(10), || {
            let host = self.lab.host("peers")?;
            Scripted::establish_with(host, address(number), ip(NODE), &speaker.open(address(number)))
        })
    }

    /// Until every one of these is (or is not) in the kernel.
    fn wait_for_kernel(&self, prefixes: &[IpNet], there: bool) -> Result<()> {
        self.lab.wait_until("the kernel's routes are as wanted", secs(10), || {
            let mut present = kernel::learned(self.lab.host("node1")?, Family::V4)?;
            present.extend(kernel::learned(self.lab.host("node1")?, Family::V6)?);
            let wrong: Vec<_> = prefixes.iter().filter(|prefix| present.contains(prefix) != there).collect();
            ensure!(wrong.is_empty(), "wanted {there}: {wrong:?}");
            Ok(())
        })
    }
}

fn peer(name: &str, address: Ipv4Addr, asn: u32) -> Manifest {
    Manifest::bgp_peer(name, &address.to_string(), asn)
        .with("sourceAddress", "None")
        .with("passive", true)
        .with("connectRetryTime", "1s")
        .with("families", vec!["ipv4-unicast", "ipv6-unicast"])
}

#[test]
fn every_malformed_update_costs_what_the_rfc_says_and_nobody_else_anything() -> Result<()> {
    if !can_run("every_malformed_update_costs_what_the_rfc_says_and_nobody_else_anything") {
        return Ok(());
    }
    let all = cases();
    let numbered = || all.iter().enumerate().map(|(number, case)| (number + 1, case));
    let resets: Vec<_> =
        numbered().filter(|(_, case)| matches!(case.expected, Expected::Reset(..))).collect();
    let kept: Vec<_> = numbered().filter(|(_, case)| !matches!(case.expected, Expected::Reset(..))).collect();
    let culprits: Vec<Speaker> =
        Speaker::ALL.into_iter().chain(resets.iter().map(|(_, case)| case.speaker)).collect();
    let mut world = World::start(&culprits)?;
    let before = SESSIONS.map(|session| world.bird.session(session).unwrap());
    let monitor = RouteMonitor::start(world.lab.host("node1")?)?;

    let mut sessions = Vec::new();
    for (place, speaker) in Speaker::ALL.into_iter().enumerate() {
        sessions.push(survives(&world, place, speaker, &kept)?);
    }
    for (place, (number, case)) in (Speaker::ALL.len()..).zip(&resets) {
        resets_itself(&world, place, *number, case)
            .with_context(|| format!("{}: {}", case.rule, case.what))?;
    }

    let after = SESSIONS.map(|session| world.bird.session(session).unwrap());
    assert_eq!(after, before, "BIRD's sessions were touched");
    let events = monitor.stop()?;
    let touched: Vec<_> = events
        .iter()
        .filter(|event| ANNOUNCED.iter().any(|prefix| event.destination == net(prefix)))
        .collect();
    ensure!(touched.is_empty(), "innocent routes were touched: {touched:#?}");
    innocent_heard(&mut world.innocent, &all)
}

/// All the cases of one kind of session that a session has to survive, on one session.
fn survives(world: &World, place: usize, speaker: Speaker, cases: &[(usize, &Case)]) -> Result<Scripted> {
    let mine: Vec<_> = cases.iter().filter(|(_, case)| case.speaker == speaker).collect();
    let mut session = world.establish(place, speaker)?;
    let prefixes: Vec<IpNet> = mine.iter().map(|(number, case)| case.prefix(*number)).collect();
    for (number, case) in &mine {
        session.send(&case.good(*number))?;
    }
    world.wait_for_kernel(&prefixes, true)?;
    for (number, case) in &mine {
        session.send(&case.bad(*number))?;
    }
    session.send(&announce(speaker, net(FENCE[place]), None))?;
    world.wait_for_kernel(&[net(FENCE[place])], true)?;

    world.manx.ensure_established(address(place).into())?;
    let routes = world.manx.routes()?;
    for (number, case) in &mine {
        let name = format!("{} {} ({})", case.rule, case.what, speaker.name());
        let paths = routes.get(&case.prefix(*number)).map_or(&[][..], Vec::as_slice);
        let (there, again) = case.outcome();
        ensure!(paths.len() == usize::from(there), "{name}: {paths:?}");
        let is_again = paths.iter().any(|path| path.as_path.ends_with(&format!("{AGAIN}")));
        ensure!(is_again == again, "{name}: {paths:?}");
    }
    let gone: Vec<IpNet> = mine
        .iter()
        .filter(|(_, case)| !case.outcome().0)
        .map(|(number, case)| case.prefix(*number))
        .collect();
    world.wait_for_kernel(&gone, false)?;
    // What was malformed is counted where an operator looks.
    let peer = world.manx.peer(address(place).into())?;
    let errors = mine.iter().filter(|(_, case)| case.expected != Expected::Fine).count();
    let counted = peer.rest.get("malformed_attributes").and_then(serde_json::Value::as_u64).unwrap_or(0);
    ensure!(counted >= errors as u64, "{counted} of {errors}: {peer:?}");
    Ok(session)
}

/// One case that ends the session: the NOTIFICATION is the right one, and the routes go with it.
fn resets_itself(world: &World, place: usize, number: usize, case: &Case) -> Result<()> {
    let Expected::Reset(subcode, data) = &case.expected else { bail!("not a reset") };
    let mut session = world.establish(place, case.speaker)?;
    let prefix = case.prefix(number);
    session.send(&case.good(number))?;
    world.wait_for_kernel(&[prefix], true)?;
    session.send(&case.bad(number))?;
    let notification = session.expect_notification_data()?;
    ensure!(notification == (3, *subcode, data.clone()), "{notification:?} instead of 3/{subcode} {data:?}");
    world.wait_for_kernel(&[prefix], false)?;
    let error = world.manx.peer(address(place).into())?.last_error;
    ensure!(error.is_some_and(|error| !error.is_empty()), "manx peers gives no reason");
    Ok(())
}

/// Of each prefix exactly what became of it, of nothing else a word, and the session goes on.
fn innocent_heard(innocent: &mut Scripted, cases: &[Case]) -> Result<()> {
    innocent.send(&message(KEEPALIVE, &[]))?;
    let at_stake: BTreeMap<IpNet, &Case> =
        cases.iter().enumerate().map(|(number, case)| (case.prefix(number + 1), case)).collect();
    let mut known: BTreeSet<IpNet> = ANNOUNCED.map(net).into();
    known.extend(uplink::BLOCKS.map(net));
    let mut announced: BTreeMap<IpNet, usize> = BTreeMap::new();
    let mut withdrawn: BTreeMap<IpNet, usize> = BTreeMap::new();
    // Withdrawn last of all.
    let last = cases.iter().rposition(|case| matches!(case.expected, Expected::Reset(..))).unwrap();
    let last = cases[last].prefix(last + 1);
    while !withdrawn.contains_key(&last) {
        let received = innocent.receive().with_context(|| {
            format!("the innocent waits for {last} to go; announced {announced:?} withdrawn {withdrawn:?}")
        })?;
        ensure!(received.kind != NOTIFICATION, "{received:?}");
        if received.kind != UPDATE {
            continue;
        }
        let prefixes = Prefixes::of_update(&received.body)?;
        prefixes.announced.iter().for_each(|prefix| *announced.entry(*prefix).or_default() += 1);
        prefixes.withdrawn.iter().for_each(|prefix| *withdrawn.entry(*prefix).or_default() += 1);
    }
    for (prefix, case) in at_stake {
        let (there, again) = case.outcome();
        let heard = (announced.remove(&prefix), withdrawn.remove(&prefix));
        let expected = (Some(1 + usize::from(again)), (!there).then_some(1));
        ensure!(heard == expected, "{}: {}: {prefix}: {heard:?}, not {expected:?}", case.rule, case.what);
    }
    for fence in FENCE {
        announced.remove(&net(fence));
    }
    announced.retain(|prefix, count| !known.contains(prefix) || *count > 1);
    ensure!(announced.is_empty() && withdrawn.is_empty(), "{announced:?} {withdrawn:?}");
    Ok(())
}

/// `BLESS=1 cargo test -p interop-tests --test rfc7606` writes it anew.
#[test]
fn the_document_is_the_table() -> Result<()> {
    let mut text = String::from(
        "# Malformed UPDATEs\n\n\
         Written by a test from the table that it runs: each of these is sent to a live daemon by a scripted peer \
         (`interop-tests/tests/rfc7606`), and a second session, BIRD's sessions and the kernel's routes see that \
         nothing else is lost. *discard*: the route counts, without the attribute; *withdraw*: treat-as-withdraw, \
         the route is gone and the session stays; *reset*: the session ends with this NOTIFICATION; *fine*: it is no \
         error. What was discarded or withdrawn is in the log at WARN and counted in `manx peers -o json` \
         (`malformed_attributes`).\n\n\
         | rule | what is wrong | session | octets | what follows |\n|---|---|---|---|---|\n",
    );
    for case in cases() {
        let octets = match &case.form {
            Form::Attribute(octets) => hex(octets),
            Form::Twice(octets) => format!("{} twice", hex(octets)),
            Form::Missing(_) => "–".to_owned(),
            Form::Mp(octets) => hex(octets).replace(" ff ff ff", " P"),
            Form::Body(octets) => format!("body {}", hex(octets)),
        };
        let expected = match &case.expected {
            Expected::Fine => "fine".to_owned(),
            Expected::Discard => "discard".to_owned(),
            Expected::Withdraw => "withdraw".to_owned(),
            Expected::Reset(subcode, data) if data.is_empty() => format!("reset, 3/{subcode} without data"),
            Expected::Reset(subcode, data) => format!("reset, 3/{subcode} with `{}`", hex(data)),
        };
        writeln!(
            text,
            "| {} | {} | {} | `{octets}` | {expected} |",
            case.rule,
            case.what,
            case.speaker.name()
        )?;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rfc7606.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text)?;
    }
    ensure!(
        std::fs::read_to_string(&path).unwrap_or_default() == text,
        "docs/rfc7606.md is old: BLESS=1 writes it"
    );
    Ok(())
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(" ")
}
