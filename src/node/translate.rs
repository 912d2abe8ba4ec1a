//! The manifests' words into the cores' plain values: the whole desired state of this node at once.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU8;

use bgp::io::Desired as DesiredBgp;
use bgp::peer::{
    AddPaths, GracefulRestartConfig, NeighborConfig, NextHopMode, Password, PrefixLimit, PrefixLimitAction,
};
use bgp::rib::{
    DecisionRules, ExportAction, ExportPolicy, ExportRule, MultipathRules, OriginatedRoute, RibConfig,
};
use bgp::wire::BgpRole;
use bgp::{AfiSafi, Asn, ClusterId, RouterId};
use config::Problem;
use config::catalog::Resources;
use config::expand::{self, Session, Speaker};
use config::model::{
    Family, LimitAction, MaximumPrefixes, NextHopMode as ManifestNextHopMode, PREFIX_RESTART_TIME_DEFAULT,
    PrefixAdvertisement, Role,
};
use fib::FibConfig;
use ipnet::IpNet;

use super::policy::{self, Policies};
use super::{dynamic, update_rules};

/// The kernel's main table.
const TABLE_MAIN: u32 = 254;
/// All that this node is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// Our AS.
    pub asn: u32,
    /// Our identifier.
    pub router_id: Ipv4Addr,
    /// For the speaker.
    pub bgp: DesiredBgp,
    /// For the FIB.
    pub fib: FibSettings,
    /// Own blocks larger than one address, each with a blackhole for its unused part.
    pub blackholes: Vec<IpNet>,
    /// By the names of neighbors that have any: their BGPFilters, in order. For people.
    pub filters: BTreeMap<String, Vec<String>>,
    /// Sessions that are configured but cannot be had, by name. For people.
    pub missing: Vec<dynamic::MissingSession>,
}

/// What the manifests say about kernel routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FibSettings {
    /// Metric of IPv4 routes.
    pub metric_v4: u32,
    /// Metric of IPv6 routes.
    pub metric_v6: u32,
}

impl FibSettings {
    /// As the FIB takes it.
    #[must_use]
    pub fn config(self, install: bool) -> FibConfig {
        FibConfig { table: TABLE_MAIN, metric_v4: self.metric_v4, metric_v6: self.metric_v6, install }
    }
}

impl Default for FibSettings {
    fn default() -> Self {
        let metric = expand::NORMAL_ROUTE_PRIORITY_DEFAULT;
        Self { metric_v4: metric, metric_v6: metric }
    }
}

/// The desired state of `node_name`, and what was noticed on the way. `restarting`: a former run left its routes in
/// the kernel, so forwarding went on meanwhile.
///
/// # Errors
/// No Node object takes part in BGP under this name.
pub fn desired(
    resources: &Resources,
    node_name: &str,
    restarting: bool,
) -> Result<(Desired, Vec<Problem>), Problem> {
    let speaker = Speaker::of(resources, node_name)?;
    let expansion = expand::sessions(resources, node_name);
    let own_blocks = expand::own_blocks(resources, node_name);
    let policies = Policies::new(resources);
    let neighbors = expansion
        .sessions
        .iter()
        .filter_map(|session| neighbor(&policies, session, &speaker, restarting))
        .collect();
    let templates = expansion.templates.iter().filter_map(|template| {
        let neighbor = neighbor(&policies, &template.session, &speaker, restarting)?;
        Some(dynamic::neighbors(template, neighbor))
    });
    let shared = expand::export_policy(resources, node_name);
    let bgp = DesiredBgp {
        listen: listen(&speaker),
        neighbors,
        dynamic: templates.collect(),
        neighbors_are_partial: resources.is_partial(),
        rib: RibConfig {
            router_id: RouterId(speaker.router_id),
            decision: decision(&speaker),
            export: export(&shared, &expand::prefix_advertisements(resources, node_name)),
            restarting,
        },
        originate: own_blocks.iter().map(|prefix| originated(*prefix, &speaker)).collect(),
    };
    let desired = Desired {
        asn: speaker.as_number.number(),
        router_id: speaker.router_id,
        bgp,
        fib: FibSettings { metric_v4: speaker.metric_v4, metric_v6: speaker.metric_v6 },
        blackholes: own_blocks
            .into_iter()
            .filter(|block| block.prefix_len() < block.max_prefix_len())
            .collect(),
        missing: expansion.unstartable.iter().map(dynamic::missing).collect(),
        filters: expansion
            .sessions
            .into_iter()
            .chain(expansion.templates.into_iter().map(|template| template.session))
            .filter(|session| !session.filters.is_empty())
            .map(|session| (session.name, session.filters))
            .collect(),
    };
    let mut problems = expansion.problems;
    problems.extend(policies.problems());
    Ok((desired, problems))
}

fn decision(speaker: &Speaker) -> DecisionRules {
    let best_path = &speaker.best_path;
    DecisionRules {
        always_compare_med: best_path.always_compare_med,
        missing_med_worst: best_path.missing_med_worst,
        ignore_as_path_length: best_path.ignore_as_path_length,
        ignore_next_hop_metric: best_path.ignore_next_hop_metric,
        compare_router_id: best_path.compare_router_id,
        multipath: MultipathRules {
            max_external: speaker.multipath_max,
            max_internal: speaker.multipath_max_ibgp,
            relax_as_path: best_path.multipath.relax_as_path,
        },
    }
}

fn listen(speaker: &Speaker) -> Vec<SocketAddr> {
    let everywhere = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let addresses = match speaker.listen_addresses.as_slice() {
        [] => &everywhere[..],
        addresses => addresses,
    };
    addresses.iter().map(|address| SocketAddr::new(*address, speaker.listen_port)).collect()
}

fn originated(prefix: IpNet, speaker: &Speaker) -> OriginatedRoute {
    let metric = match prefix {
        IpNet::V4(_) => speaker.metric_v4,
        IpNet::V6(_) => speaker.metric_v6,
    };
    // As Calico's BIRD configuration has it, so that a mixed cluster ties as Calico's own does.
    OriginatedRoute { prefix, local_pref: policy::local_pref(metric) }
}

/// `None`: its password cannot be one. The expansion leaves such sessions out; if ever it did not, none may run
/// without.
fn neighbor(
    policies: &Policies<'_>,
    session: &Session,
    speaker: &Speaker,
    restarting: bool,
) -> Option<NeighborConfig> {
    let password = match &session.password {
        None => None,
        Some(password) => Some(Password::new(password.octets().clone())?),
    };
    let (import, export) = policies.of(&session.filters, Asn(session.local_as.number()));
    Some(NeighborConfig {
        name: session.name.clone(),
        description: session.description.clone(),
        address: session.address,
        port: session.port,
        local_address: session.source_address,
        local_as: Asn(session.local_as.number()),
        remote_as: Asn(session.remote_as.number()),
        // The speaker's, of those that it makes from a template.
        dynamic: None,
        router_id: RouterId(speaker.router_id),
        hold_time_secs: session.hold_time_secs,
        keepalive_secs: session.keepalive_secs,
        connect_retry_secs: session.connect_retry_secs,
        timing: dynamic::timing(&session.timing),
        passive: session.passive,
        families: session.families.iter().map(|family| afi_safi(*family)).collect(),
        add_paths: AddPaths {
            receive: session.add_paths.receive,
            send: session.add_paths.send,
            send_maximum: session.add_paths.send_maximum.and_then(NonZeroU8::new),
        },
        graceful_restart: Some(GracefulRestartConfig {
            restart_time_secs: session.max_restart_time_secs,
            restarting,
        }),
        ttl_security_hops: session.ttl_security_hops,
        password,
        tcp_ao: dynamic::ao_keys(session)?,
        next_hop_mode: match session.next_hop_mode {
            ManifestNextHopMode::Auto => NextHopMode::Auto,
            ManifestNextHopMode::SelfAddress => NextHopMode::SelfAddress,
            ManifestNextHopMode::Keep => NextHopMode::Keep,
        },
        next_hop_v4: speaker.ipv4,
        next_hop_v6: speaker.ipv6,
        allow_local_as: session.allow_local_as,
        rules: update_rules::update_rules(&session.rules),
        role: session.role.map(bgp_role),
        role_strict: session.role_strict,
        prefix_limit: session.maximum_prefixes.map(prefix_limit),
        shutdown: session.shutdown.clone(),
        reflector_client: session.reflector_client.map(ClusterId),
        import,
        export,
    })
}

fn bgp_role(role: Role) -> BgpRole {
    match role {
        Role::Provider => BgpRole::Provider,
        Role::Customer => BgpRole::Customer,
        Role::Peer => BgpRole::Peer,
        Role::RsServer => BgpRole::RsServer,
        Role::RsClient => BgpRole::RsClient,
    }
}

fn prefix_limit(limit: MaximumPrefixes) -> PrefixLimit {
    let action = match (limit.action, limit.restart_time.unwrap_or(PREFIX_RESTART_TIME_DEFAULT).0) {
        (LimitAction::Warn, _) => PrefixLimitAction::Warn,
        (LimitAction::Shutdown, _) | (LimitAction::Restart, 0) => PrefixLimitAction::Shutdown,
        (LimitAction::Restart, after_secs) => PrefixLimitAction::Restart { after_secs },
    };
    PrefixLimit { received: limit.received, action }
}

fn afi_safi(family: Family) -> AfiSafi {
    match family {
        Family::Ipv4Unicast => AfiSafi::IPV4_UNICAST,
        Family::Ipv6Unicast => AfiSafi::IPV6_UNICAST,
    }
}

fn export(shared: &expand::ExportPolicy, advertisements: &[PrefixAdvertisement]) -> ExportPolicy {
    let action = |accept| if accept { ExportAction::Accept } else { ExportAction::Reject };
    let rules = shared.rules.iter().map(|rule| ExportRule {
        within: rule.within,
        own_only: rule.own_only,
        action: action(rule.accept),
    });
    ExportPolicy {
        rules: rules.collect(),
        otherwise: action(shared.otherwise),
        communities: advertisements.iter().map(policy::prefix_communities).collect(),
    }
}

#[cfg(test)]
mod tests;
