//! Ten thousand prefixes of each family, from BIRD and from GoBGP: the kernel has exactly what is announced.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use interop_tests::uplink;
use interop_tests::{Bird, Family, Gobgp, Lab, Manx, can_run, kernel, table};
use ipnet::IpNet;

const MANY: u32 = 10_000;
/// Generous for the work, which takes less than a second on a small machine; too short for a session that is
/// read only when a timer happens to fire.
const DEADLINE: Duration = Duration::from_secs(15);

fn ensure_kernel_becomes(lab: &Lab, what: &str, wanted: &[IpNet]) -> Result<()> {
    let node = lab.host("node1")?;
    let started = Instant::now();
    for family in Family::ALL {
        let wanted: BTreeSet<IpNet> =
            wanted.iter().copied().filter(|prefix| Family::of(prefix.addr()) == family).collect();
        lab.wait_until(&format!("{what}: {family}"), DEADLINE, || {
            let present = kernel::learned(node, family)?;
            let (missing, surplus) = (wanted.difference(&present), present.difference(&wanted));
            ensure!(
                present == wanted,
                "{} present, {} missing ({:?}…), {} too many ({:?}…)",
                present.len(),
                missing.clone().count(),
                missing.clone().next(),
                surplus.clone().count(),
                surplus.clone().next(),
            );
            Ok(())
        })?;
    }
    let _ = writeln!(std::io::stderr(), "{what}: {:?}", started.elapsed());
    Ok(())
}

#[test]
fn ten_thousand_of_each_family_from_bird() -> Result<()> {
    if !can_run("ten_thousand_of_each_family_from_bird") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let mut bird = Bird::start(lab.host("router")?, uplink::bird())?;
    let manx = Manx::launch(lab.host("node1")?, &uplink::manifests())?;
    let prefixes = table(MANY);
    bird.announce(prefixes.clone())?;
    ensure_kernel_becomes(&lab, "all of BIRD's routes are in the kernel", &prefixes)?;
    for router in uplink::routers() {
        assert_eq!(manx.peer(router)?.accepted, u64::from(MANY));
    }
    let (few, _) = prefixes.split_at(7);
    bird.announce(few.to_vec())?;
    ensure_kernel_becomes(&lab, "all but seven of BIRD's routes are gone", few)
}

#[test]
fn ten_thousand_of_each_family_from_gobgp() -> Result<()> {
    if !can_run("ten_thousand_of_each_family_from_gobgp") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let gobgp = Gobgp::start(lab.host("router")?, uplink::gobgp())?;
    let manx = Manx::launch(lab.host("node1")?, &uplink::manifests())?;
    let prefixes = table(MANY);
    gobgp.announce(&prefixes)?;
    ensure_kernel_becomes(&lab, "all of GoBGP's routes are in the kernel", &prefixes)?;
    for router in uplink::routers() {
        assert_eq!(manx.peer(router)?.accepted, u64::from(MANY));
    }
    gobgp.withdraw_all()?;
    ensure_kernel_becomes(&lab, "GoBGP's routes are gone", &[])
}
