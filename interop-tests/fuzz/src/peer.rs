//! The state machine under any events and any bytes, with time passing as a shell lets it pass.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bgp::peer::{
    DownReason, GracefulRestartConfig, NeighborConfig, Peer, PeerEffect, PeerEvent, PrefixCount,
    PrefixExcess, PrefixLimit, PrefixLimitAction, Role, State, StopReason,
};
use bgp::wire::{
    Capability, DecodeContext, EncodeContext, Message, OpenMessage, decode_message, encode_message,
};
use bgp::{AfiSafi, Asn, RouterId};
use libfuzzer_sys::arbitrary::{Result, Unstructured};

use crate::wire::frame;

/// RFC 9687 lets the longest timer of all be twice the longest hold time.
const TIMER_MAX: Duration = Duration::from_secs(2 * 65_535 + 60);

/// Reads a configuration, then events until the data end.
pub fn events(data: &[u8]) {
    let mut input = Unstructured::new(data);
    // The data have ended.
    let _ = Machine::new(&mut input).and_then(|mut machine| machine.run(&mut input));
}

struct Machine {
    peer: Peer,
    now: Instant,
    /// What the bytes of the session are read by.
    decode: DecodeContext,
    ups: u32,
    downs: u32,
}

impl Machine {
    fn new(input: &mut Unstructured<'_>) -> Result<Self> {
        let config = config(input)?;
        Ok(Self {
            peer: Peer::new(config, input.arbitrary()?),
            now: Instant::now(),
            decode: DecodeContext::default(),
            ups: 0,
            downs: 0,
        })
    }

    fn run(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let ended = loop {
            if input.is_empty() {
                break Ok(());
            }
            if let Err(error) = self.step(input) {
                break Err(error);
            }
        };
        // Wherever it is, it can be stopped, and then nothing runs any more.
        self.feed(PeerEvent::Stop(StopReason::Deconfigured));
        assert_eq!((self.ups, self.peer.state()), (self.downs, State::Idle));
        assert_eq!(self.peer.next_deadline(), None, "a timer outlives the peer");
        ended
    }

    fn step(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let role = *input.choose(&[Role::Outgoing, Role::Incoming, Role::Rival])?;
        let event = match input.int_in_range(0..=15_u8)? {
            0 => PeerEvent::Start,
            1 => PeerEvent::Stop(match input.int_in_range(0..=3_u8)? {
                0 => StopReason::Shutdown("gone".to_owned()),
                1 => StopReason::Deconfigured,
                2 => StopReason::ConfigurationChange,
                _ => StopReason::Restart,
            }),
            2 | 3 => PeerEvent::Connected { role, local: socket(1), remote: socket(2) },
            4 => PeerEvent::ConnectFailed("refused".to_owned()),
            5..=7 => self.bytes(role, input)?,
            8 => received(role, Message::Open(open(input)?)),
            9 | 10 => received(role, Message::Keepalive),
            11 => PeerEvent::Disconnected { role, reason: "reset".to_owned() },
            12 => PeerEvent::Unread { role },
            13 => PeerEvent::Backlog { role, waiting: input.arbitrary()? },
            14 => {
                let count = PrefixCount::Received;
                let excess = PrefixExcess { count, family: AfiSafi::IPV4_UNICAST, prefixes: 11 };
                let limit = PeerEvent::TooManyPrefixes { role, excess };
                if input.arbitrary()? {
                    let config = config(input)?;
                    self.peer.reconfigure(config, self.now);
                    self.drain();
                }
                limit
            }
            _ => return self.pass(Duration::from_millis(u64::from(input.arbitrary::<u16>()?) * 10)),
        };
        self.feed(event);
        Ok(())
    }

    /// What the peer's bytes become at the edge.
    fn bytes(&self, role: Role, input: &mut Unstructured<'_>) -> Result<PeerEvent> {
        let kind = input.int_in_range(0..=6_u8)?;
        let len = usize::from(input.arbitrary::<u8>()?).min(input.len());
        let frame = frame(kind, input.bytes(len)?);
        Ok(match decode_message(&frame, &self.decode) {
            Ok(message) => received(role, message),
            Err(error) => PeerEvent::ReceivedBad { role, error },
        })
    }

    /// Wakes the machine at its deadlines on the way.
    fn pass(&mut self, duration: Duration) -> Result<()> {
        let end = self.now + duration;
        while let Some(deadline) = self.peer.next_deadline().filter(|&deadline| deadline <= end) {
            self.now = self.now.max(deadline);
            self.feed(PeerEvent::Deadline);
            assert!(self.peer.next_deadline().is_none_or(|later| later > self.now), "a deadline that stays");
        }
        self.now = end;
        Ok(())
    }

    fn feed(&mut self, event: PeerEvent) {
        self.peer.handle(event, self.now);
        self.drain();
    }

    fn drain(&mut self) {
        let mut effects = 0;
        while let Some(effect) = self.peer.poll_effect() {
            effects += 1;
            match effect {
                PeerEffect::Established { negotiated, .. } => {
                    self.ups += 1;
                    assert!(negotiated.hold_time_secs == 0 || negotiated.hold_time_secs >= 3);
                    self.decode = negotiated.decode;
                }
                PeerEffect::Down(reason) => {
                    self.downs += 1;
                    assert!(!DownReason::to_string(&reason).is_empty());
                }
                PeerEffect::Transmit { message, .. } => {
                    assert!(!matches!(message, Message::Update(_)));
                    encode_message(&message, &EncodeContext::default()).expect("it can be sent");
                }
                PeerEffect::Update(_) | PeerEffect::Refresh(_) => {
                    assert_eq!(self.ups, self.downs + 1, "routes without a session");
                }
                PeerEffect::Connect
                | PeerEffect::CancelConnect
                | PeerEffect::Close { .. }
                | PeerEffect::Expired => {}
            }
            assert!(self.ups - self.downs <= 1, "two sessions at once");
        }
        assert!(effects <= 16, "{effects} effects of one event");
        let is_up = self.peer.state() == State::Established;
        assert_eq!(self.ups - self.downs, u32::from(is_up));
        let deadline = self.peer.next_deadline();
        assert!(deadline.is_none_or(|deadline| deadline <= self.now + TIMER_MAX), "a timer without bound");
        assert!(self.peer.snapshot(self.now).connections.len() <= 3);
    }
}

fn config(input: &mut Unstructured<'_>) -> Result<NeighborConfig> {
    let ours = if input.arbitrary()? { Asn(65_001) } else { Asn(4_200_000_001) };
    let config = NeighborConfig::new(
        "neighbor".to_owned(),
        socket(2).ip(),
        (ours, Asn(65_001)),
        RouterId(Ipv4Addr::new(10, 0, 0, 1)),
    );
    let restart = GracefulRestartConfig { restart_time_secs: 120, restarting: input.arbitrary()? };
    let limit = PrefixLimit {
        received: Some(10),
        accepted: None,
        sent: None,
        action: PrefixLimitAction::Restart { after_secs: 60 },
    };
    Ok(NeighborConfig {
        hold_time_secs: *input.choose(&[0, 3, 90, u16::MAX])?,
        keepalive_secs: *input.choose(&[None, Some(1), Some(u16::MAX)])?,
        connect_retry_secs: *input.choose(&[1, 5, u16::MAX])?,
        passive: input.arbitrary()?,
        families: AfiSafi::ALL.to_vec(),
        graceful_restart: input.arbitrary::<bool>()?.then_some(restart),
        prefix_limit: input.arbitrary::<bool>()?.then_some(limit),
        ..config
    })
}

/// One that mostly leads to a session.
fn open(input: &mut Unstructured<'_>) -> Result<OpenMessage> {
    let mut capabilities = vec![Capability::FourOctetAs(Asn(65_001)), Capability::RouteRefresh];
    capabilities.extend(AfiSafi::ALL.map(Capability::Multiprotocol));
    capabilities.truncate(input.int_in_range(0..=capabilities.len())?);
    Ok(OpenMessage {
        my_as: *input.choose(&[65_001, 65_001, 65_001, 23_456])?,
        hold_time_secs: *input.choose(&[90, 0, 3, u16::MAX])?,
        router_id: RouterId(Ipv4Addr::new(10, 0, 0, *input.choose(&[2, 2, 2, 1])?)),
        capabilities,
    })
}

fn received(role: Role, message: Message) -> PeerEvent {
    PeerEvent::Received { role, message }
}

fn socket(last: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), 179)
}
