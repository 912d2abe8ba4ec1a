//! The links as the kernel last told. Knows names and states, nothing of routes.

use std::collections::BTreeMap;

use crate::LinkState;

/// Every link of the namespace, by index.
#[derive(Debug, Default)]
pub(crate) struct Links {
    links: BTreeMap<u32, Link>,
}

#[derive(Debug)]
struct Link {
    state: LinkState,
    epoch: u32,
}

/// What a report about a link changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LinkChange {
    /// Usability or name differ: next hops over it must be resolved again.
    pub(crate) changed: bool,
    /// It was administratively up and is not any more.
    pub(crate) went_down: bool,
}

impl Links {
    pub(crate) fn apply(&mut self, state: LinkState, epoch: u32) -> LinkChange {
        let index = state.index;
        let before = self.links.insert(index, Link { state: state.clone(), epoch });
        let Some(before) = before else {
            return LinkChange { changed: true, went_down: false };
        };
        LinkChange { changed: before.state != state, went_down: before.state.admin_up && !state.admin_up }
    }

    /// True when the link was known.
    pub(crate) fn remove(&mut self, index: u32) -> bool {
        self.links.remove(&index).is_some()
    }

    /// Links that the scan with this epoch did not name.
    pub(crate) fn unseen(&self, epoch: u32) -> Vec<u32> {
        self.links.iter().filter(|(_, l)| l.epoch != epoch).map(|(i, _)| *i).collect()
    }

    /// The link of this name, if there is one.
    pub(crate) fn index_of(&self, name: &str) -> Option<u32> {
        self.links.iter().find(|(_, link)| link.state.name == name).map(|(index, _)| *index)
    }

    /// Administratively up and with carrier.
    pub(crate) fn is_up(&self, index: u32) -> bool {
        self.links.get(&index).is_some_and(|l| l.state.up)
    }

    /// Administratively up: the kernel holds routes over it.
    pub(crate) fn is_admin_up(&self, index: u32) -> bool {
        self.links.get(&index).is_some_and(|l| l.state.admin_up)
    }

    /// Its name, or `if7` for one never announced.
    pub(crate) fn name(&self, index: u32) -> String {
        self.links.get(&index).map_or_else(|| format!("if{index}"), |l| l.state.name.clone())
    }
}
