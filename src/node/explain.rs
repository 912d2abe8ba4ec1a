//! `manx explain route`: what the RIB and the FIB say about one prefix, joined into one document. Pure.

use bgp::NextHopKey;
use bgp::rib::Withheld;
use bgp::rib::snapshot::{AttributesSnapshot, ExportFate, RouteExplanation};
use fib::snapshot::{FibSnapshot, NextHopSnapshot};

use super::snapshot::{attributes, fib_next_hop, fib_route, path};
use super::wiring::to_fib;
use crate::daemon::protocol::{
    ExplainDocument, ExplainedExport, ExplainedNextHop, ExplainedPath, PathDocument, ThroughDocument,
};

/// Everything about one route. `kernel` holds that prefix's kernel route and every next hop.
#[must_use]
pub fn route(explanation: &RouteExplanation, kernel: &FibSnapshot, fib_enabled: bool) -> ExplainDocument {
    let RouteExplanation { route, imports, exports } = explanation;
    let paths = route.paths.iter().zip(imports).map(|(shown, import)| ExplainedPath {
        path: path(shown),
        received: import.received.as_ref().map(sent),
        import_rule: import.rule.clone(),
        resolution: shown.attributes.next_hop.and_then(|key| next_hop(key, kernel)),
    });
    ExplainDocument {
        prefix: route.prefix,
        paths: paths.collect(),
        fib_enabled,
        kernel: kernel.routes.first().map(fib_route),
        exports: exports
            .iter()
            .map(|export| {
                let (state, paths) = fate(&export.fate);
                ExplainedExport {
                    peer: export.peer.clone(),
                    address: export.address,
                    advertised: !paths.is_empty(),
                    reason: state.to_owned(),
                    rule: export.rule.clone(),
                    paths,
                }
            })
            .collect(),
    }
}

fn sent(snapshot: &AttributesSnapshot) -> PathDocument {
    attributes(snapshot)
}

fn next_hop(key: NextHopKey, kernel: &FibSnapshot) -> Option<ExplainedNextHop> {
    let NextHopSnapshot { next_hop, via, through, metric, reason, .. } =
        kernel.next_hops.iter().find(|hop| hop.next_hop == to_fib(key))?;
    Some(ExplainedNextHop {
        address: next_hop.to_string(),
        through: through
            .iter()
            .map(|route| ThroughDocument { prefix: route.prefix, protocol: route.protocol.clone() })
            .collect(),
        via: via.iter().map(fib_next_hop).collect(),
        cost: *metric,
        reason: reason.clone(),
    })
}

fn fate(fate: &ExportFate) -> (&'static str, Vec<PathDocument>) {
    let reason = match fate {
        ExportFate::Advertised { paths } => return ("advertised", paths.iter().map(sent).collect()),
        ExportFate::Pending => "about to be told",
        ExportFate::Down => "its session is down",
        ExportFate::Family => "it does not take this family",
        ExportFate::NoBest => "there is no best path",
        ExportFate::Source => "the best path came from it",
        ExportFate::Withheld { reason } => match reason {
            Withheld::Policy => "its export filter rejects it",
            Withheld::NoPolicy => "it has no export filter and gets nothing without (RFC 8212)",
            Withheld::SharedPolicy => "no rule of pools, own blocks and exports lets it leave",
            Withheld::Community => "a community keeps it here (RFC 1997)",
            Withheld::NotReflected => {
                "it came over iBGP, and neither end is our reflection client (RFC 4456)"
            }
            Withheld::NextHop => "there is no next hop that it could use",
            Withheld::Role => "it is only for customers (RFC 9234)",
        },
    };
    (reason, Vec::new())
}
