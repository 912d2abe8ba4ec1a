//! Two peers that talk over a simulated TCP under a virtual clock. Nothing waits; everything is in order.

use std::collections::BTreeMap;

use super::*;

/// The network's next things to do, in order of time and then of sending.
type Wire = BTreeMap<(Instant, u64), Delivery>;

pub(super) struct Pair {
    pub(super) now: Instant,
    pub(super) start: Instant,
    pub(super) peers: [Peer; 2],
    /// One-way delay from side 0 and from side 1.
    pub(super) latency: [Duration; 2],
    /// Nobody listens on that side.
    pub(super) deaf: [bool; 2],
    /// Everything on the way and everything sent is lost.
    pub(super) cut: bool,
    /// What each side did: `12.5 OPEN<`.
    pub(super) log: [Vec<String>; 2],
    pub(super) ups: [u32; 2],
    pub(super) downs: [Vec<DownReason>; 2],
    pub(super) updates: [u32; 2],
    wire: Wire,
    sequence: u64,
    links: u64,
    /// The dial under way on each side.
    dials: [Option<u64>; 2],
    roles: [BTreeMap<Role, u64>; 2],
    /// Links on which something was lost; TCP would not deliver what came after it.
    broken: Vec<u64>,
}

#[derive(Debug)]
enum Delivery {
    Syn { link: u64, to: usize },
    SynAck { link: u64, to: usize },
    Refused { link: u64, to: usize },
    Ack { link: u64, to: usize },
    Message { link: u64, to: usize, message: Message },
    Fin { link: u64, to: usize },
}

impl Pair {
    /// Sides 0 and 1 are neighbors number 1 and 2; both are started at once.
    pub(super) fn new(configs: [NeighborConfig; 2]) -> Self {
        let mut pair = Self::stopped(configs);
        pair.feed(0, PeerEvent::Start);
        pair.feed(1, PeerEvent::Start);
        pair
    }

    pub(super) fn stopped([first, second]: [NeighborConfig; 2]) -> Self {
        let now = Instant::now();
        Self {
            now,
            start: now,
            peers: [Peer::new(first, 1), Peer::new(second, 2)],
            latency: [Duration::from_millis(10); 2],
            deaf: [false; 2],
            cut: false,
            log: Default::default(),
            ups: [0; 2],
            downs: Default::default(),
            updates: [0; 2],
            wire: Wire::new(),
            sequence: 0,
            links: 0,
            dials: [None; 2],
            roles: Default::default(),
            broken: Vec::new(),
        }
    }

    pub(super) fn states(&self) -> [State; 2] {
        [self.peers[0].state(), self.peers[1].state()]
    }

    /// The host goes without a word and comes back at once, with nothing of before but its configuration.
    pub(super) fn reboot(&mut self, side: usize, config: NeighborConfig) {
        self.peers[side] = Peer::new(config, 99);
        self.roles[side].clear();
        self.dials[side] = None;
        (self.ups[side], self.downs[side]) = (0, Vec::new());
        self.feed(side, PeerEvent::Start);
    }

    pub(super) fn send_update(&mut self, side: usize) {
        let (role, _) = self.peers[side].session().expect("a session");
        let link = self.roles[side][&role];
        self.send(1 - side, |to| Delivery::Message { link, to, message: update() });
    }

    /// Runs until `done`; fails after `limit`.
    pub(super) fn run_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) {
        let end = self.now + limit;
        while !done(self) {
            assert!(self.step(end), "not within {limit:?}: {:?} {:#?}", self.states(), self.log);
        }
    }

    pub(super) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    pub(super) fn run_until_established(&mut self) {
        self.run_until(60 * SECOND, |pair| pair.states() == [State::Established; 2]);
        self.run_for(SECOND);
        assert_eq!(self.states(), [State::Established; 2], "and stays so: {:#?}", self.log);
    }

    /// Does the next thing that is due by `end`; false when there is none.
    fn step(&mut self, end: Instant) -> bool {
        let delivery = self.wire.keys().next().map(|&(at, _)| at);
        let deadlines = [self.peers[0].next_deadline(), self.peers[1].next_deadline()];
        let Some(next) = [delivery, deadlines[0], deadlines[1]].into_iter().flatten().min() else {
            return false;
        };
        if next > end {
            return false;
        }
        assert!(next >= self.now, "time goes on");
        self.now = next;
        if delivery == Some(next) {
            let (_, delivery) = self.wire.pop_first().expect("seen");
            self.deliver(delivery);
            return true;
        }
        let side = usize::from(deadlines[0] != Some(next));
        self.feed(side, PeerEvent::Deadline);
        assert!(self.peers[side].next_deadline().is_none_or(|at| at > next), "a deadline makes progress");
        true
    }

    pub(super) fn feed(&mut self, side: usize, event: PeerEvent) {
        self.peers[side].handle(event, self.now);
        let mut count = 0;
        while let Some(effect) = self.peers[side].poll_effect() {
            count += 1;
            assert!(count <= 16, "effects are bounded");
            self.apply(side, effect);
        }
        self.check(side);
    }

    /// Exactly one Down per Established, and never two sessions at once.
    fn check(&self, side: usize) {
        let peer = &self.peers[side];
        let established = peer.connections.values().filter(|c| c.state() == State::Established).count();
        assert!(established <= 1);
        let open = self.ups[side] as usize - self.downs[side].len();
        assert_eq!(open, established, "{:#?}", self.log[side]);
        assert!(
            peer.connections.keys().eq(self.roles[side].keys()),
            "machine and shell hold the same sockets"
        );
    }

    fn apply(&mut self, side: usize, effect: PeerEffect) {
        let at = (self.now - self.start).as_secs_f64();
        self.log[side].push(format!("{at:.3} {}", render(&effect)));
        match effect {
            PeerEffect::Connect => {
                self.links += 1;
                let link = self.links;
                self.dials[side] = Some(link);
                self.send(1 - side, |to| Delivery::Syn { link, to });
            }
            PeerEffect::CancelConnect => self.dials[side] = None,
            PeerEffect::Transmit { role, message } => {
                let link = self.roles[side][&role];
                self.send(1 - side, |to| Delivery::Message { link, to, message });
            }
            PeerEffect::Close { role } => self.hang_up(side, role),
            PeerEffect::Established { .. } => self.ups[side] += 1,
            PeerEffect::Update(_) => self.updates[side] += 1,
            PeerEffect::Refresh(_) => {}
            PeerEffect::Down(reason) => self.downs[side].push(reason),
            PeerEffect::Expired => panic!("neither is dynamic"),
        }
    }

    fn hang_up(&mut self, side: usize, role: Role) {
        if let Some(link) = self.roles[side].remove(&role) {
            self.send(1 - side, |to| Delivery::Fin { link, to });
        }
    }

    fn send(&mut self, to: usize, delivery: impl FnOnce(usize) -> Delivery) {
        self.sequence += 1;
        self.wire.insert((self.now + self.latency[1 - to], self.sequence), delivery(to));
    }

    fn deliver(&mut self, delivery: Delivery) {
        let (Delivery::Syn { link, to }
        | Delivery::SynAck { link, to }
        | Delivery::Refused { link, to }
        | Delivery::Ack { link, to }
        | Delivery::Message { link, to, .. }
        | Delivery::Fin { link, to }) = delivery;
        if self.cut {
            self.broken.push(link);
        }
        if self.broken.contains(&link) {
            return;
        }
        match delivery {
            Delivery::Syn { .. } if self.deaf[to] => self.send(1 - to, |to| Delivery::Refused { link, to }),
            Delivery::Syn { .. } => self.send(1 - to, |to| Delivery::SynAck { link, to }),
            Delivery::SynAck { .. } if self.dials[to] == Some(link) => {
                self.dials[to] = None;
                self.send(1 - to, |to| Delivery::Ack { link, to });
                self.connect(to, Role::Outgoing, link);
            }
            Delivery::SynAck { .. } => {}
            Delivery::Refused { .. } if self.dials[to] == Some(link) => {
                self.dials[to] = None;
                self.feed(to, PeerEvent::ConnectFailed("refused".to_owned()));
            }
            Delivery::Refused { .. } => {}
            Delivery::Ack { .. } => self.accept(to, link),
            Delivery::Message { message, .. } => match self.role_of(to, link) {
                Some(role) => self.feed(to, received(role, message)),
                // Nobody has that connection any more: a reset.
                None => self.send(1 - to, |to| Delivery::Fin { link, to }),
            },
            Delivery::Fin { .. } => {
                if let Some(role) = self.role_of(to, link) {
                    self.roles[to].remove(&role);
                    self.feed(to, PeerEvent::Disconnected { role, reason: "closed".to_owned() });
                }
            }
        }
    }

    fn accept(&mut self, side: usize, link: u64) {
        let role = self.peers[side].role_for_accepted();
        if self.roles[side].contains_key(&role) {
            self.hang_up(side, role);
            self.feed(side, PeerEvent::Disconnected { role, reason: "replaced".to_owned() });
        }
        self.connect(side, role, link);
    }

    fn connect(&mut self, side: usize, role: Role, link: u64) {
        self.roles[side].insert(role, link);
        let (us, them) = if side == 0 { (1, 2) } else { (2, 1) };
        self.feed(side, PeerEvent::Connected { role, local: socket(us), remote: socket(them) });
    }

    fn role_of(&self, side: usize, link: u64) -> Option<Role> {
        self.roles[side].iter().find(|&(_, other)| *other == link).map(|(&role, _)| role)
    }

    /// Which side dialled the session, seen from both.
    pub(super) fn dialled_by(&self) -> usize {
        let outgoing = [0, 1].map(|side: usize| {
            self.peers[side].session().map(|(role, _)| role == Role::Outgoing).expect("a session")
        });
        assert_ne!(outgoing[0], outgoing[1], "both hold the same connection");
        usize::from(!outgoing[0])
    }
}
