//! RFC 4271 §8.2.2, all of it: every state against every input, as text to be read beside the RFC.

use super::*;
use crate::wire::{DecodeError, RefreshSubtype};

/// A cell is `effects → next state`; `=` stands for no change at all.
const TABLE: &str = include_str!("table.txt");

#[test]
fn every_state_against_every_input() {
    let states =
        [State::Idle, State::Connect, State::Active, State::OpenSent, State::OpenConfirm, State::Established];
    let mut rows = Vec::new();
    for (name, _) in inputs() {
        for state in states {
            let now = Instant::now();
            let limit = limit(PrefixLimitAction::Shutdown);
            let dynamic = Some(Dynamic::default());
            let limited = NeighborConfig { prefix_limit: Some(limit), dynamic, ..config(1, 2) };
            let mut peer = peer_in(state, Role::Outgoing, limited.clone(), now);
            let input = inputs().into_iter().find(|(other, _)| *other == name).expect("same list").1;
            peer.step(input, now);
            let effects = effects(&mut peer);
            let cell = match (effects.as_str(), peer.state()) {
                ("", next) if next == state => "=".to_owned(),
                ("", next) => format!("→ {next}"),
                (effects, next) => format!("{effects} → {next}"),
            };
            rows.push(format!("{name:<16} {state:<11} {cell}"));
        }
    }
    let table = rows.join("\n");
    assert_eq!(table.trim(), TABLE.trim(), "\n{table}\n");
}

fn inputs() -> Vec<(&'static str, input::Input)> {
    use input::Input;
    let role = Role::Outgoing;
    let message = |message| match message {
        Message::Update(update) => Input::Update(role, update),
        Message::RouteRefresh(refresh) => Input::Refresh(role, refresh),
        Message::Open(_) | Message::Notification(_) | Message::Keepalive => unreachable!(),
    };
    let malformed = DecodeError {
        notification: Notification::new(ErrorSubcode::CONNECTION_NOT_SYNCHRONIZED),
        reason: "marker".to_owned(),
    };
    vec![
        ("Start", Input::Start),
        ("Stop", Input::Stop(StopReason::Deconfigured)),
        ("Stop restart", Input::Stop(StopReason::Restart)),
        ("ConnectRetry", Input::ConnectRetryExpired),
        ("IdleHold", Input::IdleHoldExpired),
        ("Expired", Input::Expired),
        ("Hold", Input::HoldExpired(role)),
        ("KeepaliveDue", Input::KeepaliveDue(role)),
        ("SendHold", Input::SendHoldExpired(role)),
        ("Connected", Input::Connected(role, socket(1), socket(2))),
        ("Connected <", Input::Connected(Role::Incoming, socket(1), socket(2))),
        ("ConnectFailed", Input::ConnectFailed("refused".to_owned())),
        ("Disconnected", Input::Disconnected(role, "reset".to_owned())),
        ("OPEN", Input::Open(role, open(2))),
        ("OPEN bad", Input::Open(role, OpenMessage { hold_time_secs: 1, ..open(2) })),
        ("KEEPALIVE", Input::Keepalive(role)),
        ("UPDATE", message(update())),
        ("REFRESH", message(refresh(AfiSafi::IPV4_UNICAST, RefreshSubtype::Request))),
        ("NOTIFICATION", Input::Notification(role, Notification::new(ErrorSubcode::BAD_PEER_AS))),
        ("Cease", Input::Notification(role, cease(2))),
        ("malformed", Input::Malformed(role, malformed)),
        ("Unread", Input::Unread(role)),
        ("Backlog", Input::Backlog(role, true)),
        ("too many", Input::TooManyPrefixes(role, AfiSafi::IPV4_UNICAST, 11)),
    ]
}
