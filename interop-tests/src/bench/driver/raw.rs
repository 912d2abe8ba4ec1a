//! The floor of the kernel scenarios: no daemon, only requests to the kernel, 512 per send.

use anyhow::{Result, bail};

use super::{Daemon, Driver, Need, Plan};
use crate::bench::netlink::Via;
use crate::host::Host;

/// The driver.
#[derive(Debug)]
pub(super) struct Raw(pub(super) Via);

impl Driver for Raw {
    fn name(&self) -> &'static str {
        match self.0 {
            Via::Gateway => "raw",
            Via::Object => "raw-nexthop",
        }
    }

    fn version(&self) -> Result<String> {
        Ok(match self.0 {
            Via::Gateway => "raw netlink writer".to_owned(),
            Via::Object => "raw netlink writer, one nexthop object".to_owned(),
        })
    }

    fn cannot(&self, need: Need) -> Option<&'static str> {
        match need {
            Need::Kernel => None,
            Need::Rib | Need::GracefulRestart | Need::Reload => Some("no BGP"),
        }
    }

    fn prepare(&self, host: &Host, _plan: &Plan) -> Result<Box<dyn Daemon>> {
        bail!("{}: nothing to start on {}", self.name(), host.name())
    }

    fn raw(&self) -> Option<Via> {
        Some(self.0)
    }
}
