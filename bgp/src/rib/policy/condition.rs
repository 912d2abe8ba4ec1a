//! What a rule can ask of a route beyond Calico's own conditions, each a total function of the route.

use std::cell::{OnceCell, RefCell};
use std::ops::RangeInclusive;
use std::sync::Arc;

use hashbrown::HashMap;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::PolicyRoute;
use super::as_path_regex::{AsPathRegex, text_of};
use super::community::CommunityPattern;
use super::prefix_set::PrefixSet;
use crate::rib::attributes::DEFAULT_LOCAL_PREF;
use crate::wire::{AsPath, Origin};

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// LOCAL_PREF; a route without one counts as 100, as in the decision.
    LocalPref(RangeInclusive<u32>),
    /// MULTI_EXIT_DISC; a route without one counts as 0, whatever the decision's rules make of it.
    Med(RangeInclusive<u32>),
    /// The length of the AS_PATH as the decision counts it: a set is one AS (RFC 4271 §9.1.2.2 a).
    AsPathLength(RangeInclusive<u32>),
    /// ORIGIN.
    Origin(Origin),
    /// The next hop lies in one of these. Our own routes have none.
    NextHop(Vec<IpNet>),
    /// The prefix is in one of these.
    Prefixes(Vec<Arc<PrefixSet>>),
    /// Of these groups any, or all, have a community in the route.
    Communities {
        /// Each hits if one of its patterns does.
        groups: Vec<Arc<[CommunityPattern]>>,
        /// Every group has to.
        all: bool,
    },
    /// One of these matches the AS_PATH.
    AsPath(Vec<Arc<AsPathRegex>>),
    /// That does not hold.
    Not(Box<Condition>),
}

impl Condition {
    /// Whether it holds.
    #[must_use]
    pub fn holds(&self, route: &PolicyRoute<'_>) -> bool {
        let attributes = route.attributes;
        match self {
            Self::LocalPref(range) => range.contains(&attributes.local_pref.unwrap_or(DEFAULT_LOCAL_PREF)),
            Self::Med(range) => range.contains(&attributes.med.unwrap_or(0)),
            Self::AsPathLength(range) => {
                range.contains(&u32::try_from(attributes.as_path.length()).unwrap_or(u32::MAX))
            }
            Self::Origin(origin) => attributes.origin == *origin,
            Self::NextHop(nets) => attributes
                .next_hop
                .is_some_and(|next_hop| nets.iter().any(|net| net.contains(&next_hop.addr()))),
            Self::Prefixes(sets) => sets.iter().any(|set| set.contains(&route.prefix)),
            Self::Communities { groups, all } => {
                let hits = |group: &Arc<[CommunityPattern]>| group.iter().any(|c| c.is_in(attributes));
                if *all { groups.iter().all(hits) } else { groups.iter().any(hits) }
            }
            Self::AsPath(regexes) => {
                regexes.iter().any(|regex| route.facts.is_match(regex, &attributes.as_path))
            }
            Self::Not(condition) => !condition.holds(route),
        }
    }
}

/// What has been found out about one set of attributes, so that the dear questions are asked once for all the
/// prefixes that share it. Not to be kept beyond the policies it was used with.
#[derive(Debug, Default)]
pub struct Facts {
    as_path: OnceCell<String>,
    /// By the address of the expression.
    matches: RefCell<HashMap<usize, bool, foldhash::fast::RandomState>>,
}

impl Facts {
    fn is_match(&self, regex: &AsPathRegex, path: &AsPath) -> bool {
        let key = std::ptr::from_ref(regex).addr();
        let mut matches = self.matches.borrow_mut();
        *matches.entry(key).or_insert_with(|| {
            let text = self.as_path.get_or_init(|| text_of(path));
            regex.is_match(text)
        })
    }
}
