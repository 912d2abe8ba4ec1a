//! What a changed configuration asks of a running peer. One field, one answer; a new field does not compile
//! until it has been given one.

use super::NeighborConfig;

/// The least that makes a new configuration effective.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigChange {
    /// Nothing differs.
    None,
    /// It can be taken over while the session stays up. What is said in an OPEN is said in the next one.
    Live,
    /// The session must end and begin anew (Cease, Other Configuration Change).
    Reset,
    /// It is another neighbor altogether.
    Replace,
}

impl ConfigChange {
    /// What leads from `old` to `new`.
    #[must_use]
    pub fn between(old: &NeighborConfig, new: &NeighborConfig) -> Self {
        let NeighborConfig {
            name,
            description,
            address,
            interface,
            port,
            local_address,
            local_as,
            remote_as,
            dynamic,
            router_id,
            hold_time_secs,
            keepalive_secs,
            connect_retry_secs,
            timing,
            passive,
            families,
            extended_next_hop,
            add_paths,
            graceful_restart,
            ttl_security_hops,
            password,
            tcp_ao,
            next_hop_mode,
            next_hop_v4,
            next_hop_v6,
            allow_local_as,
            rules,
            role,
            role_strict,
            prefix_limit,
            link_bandwidth,
            shutdown,
            reflector_client,
            import,
            export,
        } = old;
        let when = |differs: bool, change: Self| if differs { change } else { Self::None };
        let restart_offered = graceful_restart.is_some();
        // What the first of several is has no meaning.
        let has_ranges = !old.as_ranges().is_empty() && !new.as_ranges().is_empty();
        [
            when(*address != new.address, Self::Replace),
            when(*interface != new.interface, Self::Replace),
            // The RIB shows the old name until the next session.
            when(*name != new.name, Self::Live),
            when(*description != new.description, Self::Live),
            when(*connect_retry_secs != new.connect_retry_secs, Self::Live),
            when(*timing != new.timing, Self::Live),
            // An AS that is no longer accepted ends the session that has it, and no other: see NeighborTask.
            when(*dynamic != new.dynamic, Self::Live),
            when(*passive != new.passive, Self::Live),
            // RFC 2385 leaves it open; the kernel changes the key of a connection that is up. See sockopt.
            when(*password != new.password, Self::Live),
            // The RIB is told, and a session that ended because of it may begin again.
            when(*prefix_limit != new.prefix_limit, Self::Live),
            // A rollover in place is the kernel's to offer, and not every one has TCP-AO at all.
            when(*tcp_ao != new.tcp_ao, Self::Reset),
            when(*shutdown != new.shutdown, Self::Reset),
            // The RIB is told, and works the difference out.
            when(*link_bandwidth != new.link_bandwidth, Self::Live),
            when(*import != new.import, Self::Live),
            when(*export != new.export, Self::Live),
            when(*rules != new.rules, Self::Live),
            // A member AS of our confederation becomes an outside one.
            when(old.kind() != new.kind(), Self::Reset),
            when(*reflector_client != new.reflector_client, Self::Live),
            // From the next session on: not worth the routes of this one. The hold time is agreed in the OPENs.
            when(*hold_time_secs != new.hold_time_secs, Self::Live),
            when(*keepalive_secs != new.keepalive_secs, Self::Live),
            // So are the restart time and the R bit, but whether restarts are graceful at all is not a detail.
            when(*graceful_restart != new.graceful_restart, Self::Live),
            when(restart_offered != new.graceful_restart.is_some(), Self::Reset),
            when(*role != new.role, Self::Reset),
            when(*role_strict != new.role_strict, Self::Reset),
            when(*port != new.port, Self::Reset),
            when(*local_address != new.local_address, Self::Reset),
            when(*local_as != new.local_as, Self::Reset),
            when(*remote_as != new.remote_as && !has_ranges, Self::Reset),
            when(*router_id != new.router_id, Self::Reset),
            when(*families != new.families, Self::Reset),
            when(*extended_next_hop != new.extended_next_hop, Self::Reset),
            when(add_paths.mode() != new.add_paths.mode(), Self::Reset),
            // The RIB is told, and works the difference out.
            when(add_paths.send_maximum != new.add_paths.send_maximum, Self::Live),
            when(*ttl_security_hops != new.ttl_security_hops, Self::Reset),
            // What the RIB was told of the session when it came up.
            when(*next_hop_mode != new.next_hop_mode, Self::Reset),
            when(*next_hop_v4 != new.next_hop_v4, Self::Reset),
            when(*next_hop_v6 != new.next_hop_v6, Self::Reset),
            when(*allow_local_as != new.allow_local_as, Self::Reset),
        ]
        .into_iter()
        .max()
        .unwrap_or(Self::None)
    }
}
