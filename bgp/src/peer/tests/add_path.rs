//! RFC 7911 §4: what is offered and what both make of it.

use super::negotiate::{local_open, negotiate};
use super::*;
use crate::peer::AddPaths;
use crate::wire::AddPathMode::{self, Both, Receive, Send};

const V4: AfiSafi = AfiSafi::IPV4_UNICAST;
const V6: AfiSafi = AfiSafi::IPV6_UNICAST;

fn configured(mode: Option<AddPathMode>) -> NeighborConfig {
    let add_paths = AddPaths {
        receive: matches!(mode, Some(Receive | Both)),
        send: matches!(mode, Some(Send | Both)),
        send_maximum: None,
    };
    NeighborConfig { families: vec![V4, V6], add_paths, ..config(1, 2) }
}

/// An OPEN of the other side with these capabilities beside both families.
fn offering(capabilities: &[Capability]) -> OpenMessage {
    let mut open = local_open(&NeighborConfig { families: vec![V4, V6], ..config(2, 1) }, false, true);
    open.capabilities.extend_from_slice(capabilities);
    open
}

/// Families in which we expect identifiers, and those in which we send them.
fn agree(config: &NeighborConfig, theirs: &OpenMessage) -> (Vec<AfiSafi>, Vec<AfiSafi>) {
    let agreed = negotiate(config, &local_open(config, false, true), theirs, socket(1), socket(2)).unwrap();
    (agreed.decode.add_path_receive, agreed.encode.add_path_send)
}

#[test]
fn rfc7911_every_mode_against_every_mode() {
    for (ours, theirs, expects, sends) in [
        (None, None, false, false),
        (None, Some(Receive), false, false),
        (None, Some(Send), false, false),
        (None, Some(Both), false, false),
        (Some(Receive), None, false, false),
        (Some(Receive), Some(Receive), false, false),
        (Some(Receive), Some(Send), true, false),
        (Some(Receive), Some(Both), true, false),
        (Some(Send), None, false, false),
        (Some(Send), Some(Receive), false, true),
        (Some(Send), Some(Send), false, false),
        (Some(Send), Some(Both), false, true),
        (Some(Both), None, false, false),
        (Some(Both), Some(Receive), false, true),
        (Some(Both), Some(Send), true, false),
        (Some(Both), Some(Both), true, true),
    ] {
        let offer = theirs.map(|mode| Capability::AddPath(vec![(V4, mode)]));
        let families = |has: bool| if has { vec![V4] } else { vec![] };
        let outcome = agree(&configured(ours), &offering(offer.as_slice()));
        assert_eq!(outcome, (families(expects), families(sends)), "{ours:?} against {theirs:?}");
    }
}

#[test]
fn rfc7911_each_family_for_itself_in_one_capability() {
    let ours = configured(Some(Both));
    let offered = local_open(&ours, false, true).capabilities;
    let is_add_path = |capability: &&Capability| matches!(capability, Capability::AddPath(_));
    assert_eq!(
        offered.iter().filter(is_add_path).collect::<Vec<_>>(),
        [&Capability::AddPath(vec![(V4, Both), (V6, Both)])]
    );
    let mixed = Capability::AddPath(vec![(V4, Receive), (V6, Send)]);
    assert_eq!(agree(&ours, &offering(&[mixed])), (vec![V6], vec![V4]));
}

#[test]
fn rfc7911_only_for_families_of_the_session() {
    let both = Capability::AddPath(vec![(V4, Both), (V6, Both)]);
    let one = NeighborConfig { families: vec![V4], ..configured(Some(Both)) };
    assert_eq!(agree(&one, &offering(std::slice::from_ref(&both))), (vec![V4], vec![V4]));
    // Nothing of ours was offered to a peer that knows no capabilities.
    let ours = configured(Some(Both));
    let agreed = negotiate(&one, &local_open(&ours, false, false), &offering(&[both]), socket(1), socket(2));
    let agreed = agreed.unwrap();
    assert!(agreed.decode.add_path_receive.is_empty() && agreed.encode.add_path_send.is_empty());
}

/// Said twice: of each family the last counts.
#[test]
fn rfc7911_repeated_capabilities_add_up() {
    let offers = [
        Capability::AddPath(vec![(V4, Both), (V6, Receive)]),
        Capability::AddPath(vec![(V4, Send), (V4, Receive)]),
    ];
    assert_eq!(agree(&configured(Some(Both)), &offering(&offers)), (vec![], vec![V4, V6]));
}

/// A mode that does not exist: the capability is ignored, the session comes up.
#[test]
fn rfc7911_an_unknown_mode_is_not_understood() {
    for mode in [0, 4, 255] {
        let octets = [0, 1, 1, mode];
        let capability = Capability::Unknown { code: 69, value: Bytes::copy_from_slice(&octets) };
        assert_eq!(agree(&configured(Some(Both)), &offering(&[capability])), (vec![], vec![]));
    }
}

/// The session reads what the OPENs agreed on from the first UPDATE on.
#[test]
fn rfc7911_the_session_carries_what_was_agreed() {
    let now = Instant::now();
    let mut peer = peer_in(State::OpenSent, Role::Outgoing, configured(Some(Both)), now);
    let offer = Capability::AddPath(vec![(V6, Both)]);
    peer.handle(received(Role::Outgoing, Message::Open(offering(&[offer]))), now);
    peer.handle(received(Role::Outgoing, Message::Keepalive), now);
    let negotiated = peer.snapshot(now).negotiated.unwrap();
    assert_eq!((negotiated.decode.add_path_receive, negotiated.encode.add_path_send), (vec![V6], vec![V6]));
}
