//! One row per field of a neighbor's configuration.

use std::sync::Arc;

use super::*;
use crate::ClusterId;
use crate::rib::{Matches, Policy, PolicyRule, PolicyVerdict};
use crate::wire::BgpRole;

type Row = (&'static str, fn(&mut NeighborConfig), ConfigChange);

fn a_policy() -> Policy {
    let (name, matches, verdict) = ("a rule 1".to_owned(), Matches::default(), PolicyVerdict::Reject);
    Policy { ipv4: vec![PolicyRule { name, matches, verdict }].into(), ..Policy::default() }
}

fn an_ao_key() -> AoKey {
    let (algorithm, secret) = (AoAlgorithm::HmacSha1, Password::new(*b"x").unwrap());
    AoKey { send_id: 1, receive_id: 1, algorithm, secret }
}

#[test]
fn what_each_field_costs() {
    use ConfigChange::{Live, None, Replace, Reset};
    let table: [Row; 37] = [
        ("nothing", |_| {}, None),
        ("name", |c| c.name.push('x'), Live),
        ("description", |c| c.description.push('x'), Live),
        ("address", |c| c.address = address(9), Replace),
        ("port", |c| c.port = 1790, Reset),
        ("local_address", |c| c.local_address = Some(address(1)), Reset),
        ("local_as", |c| c.local_as = Asn(1), Reset),
        ("remote_as", |c| c.remote_as = Asn(1), Reset),
        ("router_id", |c| c.router_id = RouterId(Ipv4Addr::LOCALHOST), Reset),
        ("hold_time_secs", |c| c.hold_time_secs = 9, Reset),
        ("keepalive_secs", |c| c.keepalive_secs = Some(3), Live),
        ("connect_retry_secs", |c| c.connect_retry_secs = 1, Live),
        ("timing", |c| c.timing.idle_hold_secs = 9, Live),
        ("dynamic", |c| c.dynamic = Some(Dynamic::default()), Live),
        ("passive", |c| c.passive = true, Live),
        ("families", |c| c.families.push(AfiSafi::IPV6_UNICAST), Reset),
        ("add_paths", |c| c.add_paths.receive = true, Reset),
        ("add_paths.send_maximum", |c| c.add_paths.send_maximum = std::num::NonZeroU8::new(4), Live),
        ("graceful_restart off", |c| c.graceful_restart = Option::None, Reset),
        ("restart_time_secs", |c| c.graceful_restart.as_mut().unwrap().restart_time_secs = 1, Live),
        ("restarting", |c| c.graceful_restart.as_mut().unwrap().restarting = false, Live),
        ("ttl_security_hops", |c| c.ttl_security_hops = Some(1), Reset),
        ("tcp_ao", |c| c.tcp_ao.push(an_ao_key()), Reset),
        ("password", |c| c.password = Password::new(*b"x"), Live),
        ("next_hop_mode", |c| c.next_hop_mode = NextHopMode::Keep, Reset),
        ("next_hop_v4", |c| c.next_hop_v4 = Some(Ipv4Addr::LOCALHOST), Reset),
        ("next_hop_v6", |c| c.next_hop_v6 = Some(std::net::Ipv6Addr::LOCALHOST), Reset),
        ("allow_local_as", |c| c.allow_local_as = 1, Reset),
        ("role", |c| c.role = Some(BgpRole::Peer), Reset),
        ("role_strict", |c| c.role_strict = true, Reset),
        ("prefix_limit", |c| c.prefix_limit = Some(limit(PrefixLimitAction::Warn)), Live),
        ("shutdown", |c| c.shutdown = Some(String::new()), Reset),
        ("reflector_client", |c| c.reflector_client = Some(ClusterId(Ipv4Addr::LOCALHOST)), Live),
        ("import", |c| c.import = Arc::new(a_policy()), Live),
        ("rules", |c| c.rules.as_override = true, Live),
        ("export", |c| c.export = Arc::new(a_policy()), Live),
        ("the greatest counts", |c| (c.passive, c.port) = (true, 1), Reset),
    ];
    let old = with_restart(config(1, 2), true);
    for (field, edit, expected) in table {
        let mut new = old.clone();
        edit(&mut new);
        assert_eq!(ConfigChange::between(&old, &new), expected, "{field}");
        assert_eq!(ConfigChange::between(&new, &old), expected, "{field}, backwards");
    }
}

/// Which of several AS numbers stands first has no meaning; whether the session is internal has.
#[test]
fn another_range_of_as_numbers_is_no_reset_by_itself() {
    let with = |ranges: &[(u32, u32)]| {
        let as_ranges = ranges.iter().map(|&(first, last)| AsRange { first: Asn(first), last: Asn(last) });
        let as_ranges: Vec<_> = as_ranges.collect();
        let remote_as = as_ranges[0].first;
        NeighborConfig {
            remote_as,
            dynamic: Some(Dynamic { template: "rack".to_owned(), as_ranges }),
            ..config(1, 2)
        }
    };
    let old = with(&[(65010, 65020)]);
    assert_eq!(ConfigChange::between(&old, &with(&[(65001, 65001), (65010, 65020)])), ConfigChange::Live);
    assert_eq!(ConfigChange::between(&old, &with(&[(65000, 65000)])), ConfigChange::Reset, "internal");
}
