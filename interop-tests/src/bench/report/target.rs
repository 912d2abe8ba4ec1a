//! What manx must reach: the figures that were set before it was measured, beside what came out.

use crate::bench::results::{Figure, Results};
use crate::bench::statistics::ratio;

/// Daemons that are no peers but floors, and manx itself.
pub(super) const NOT_PEERS: [&str; 4] = ["manx", "relay", "raw", "raw-nexthop"];

/// What a figure is held against.
#[derive(Clone, Copy, Debug)]
enum Against {
    /// The same figure of this daemon.
    Daemon(&'static str),
    /// The least of any peer's.
    BestPeer,
    /// Of FRR's two, the less.
    Frr,
    /// manx's own, in another case.
    OwnCase(&'static str),
    /// Nothing: a value in the figure's own unit.
    Absolute,
}

/// One target.
#[derive(Clone, Copy, Debug)]
struct Target {
    scenario: &'static str,
    case: &'static str,
    phase: &'static str,
    figure: Figure,
    against: Against,
    at_most: f64,
}

/// A target and how manx stands to it.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    /// `rr 300 × 4`.
    pub(super) what: String,
    /// `wall ≤ 0.3 × bird`.
    pub(super) target: String,
    /// `0.21`; empty: not measured.
    pub(super) value: String,
    /// `None`: not measured.
    pub(super) is_met: Option<bool>,
}

/// All targets.
pub(super) fn verdicts(results: &Results) -> Vec<Verdict> {
    targets().iter().map(|target| target.verdict(results)).collect()
}

fn targets() -> Vec<Target> {
    use Against::{Absolute, BestPeer, Daemon, Frr, OwnCase};
    use Figure::{Bytes, Cpu, Memory, More, Wall};
    let mut all = Vec::new();
    let mut add = |scenario, case, phase, figure, against, at_most| {
        all.push(Target { scenario, case, phase, figure, against, at_most });
    };
    add("full-table", "1M", "", Wall, Daemon("bird"), 0.6);
    add("full-table", "1M", "", Cpu, Daemon("bird"), 0.9);
    add("full-table", "1M", "", Memory, Daemon("bird"), 1.0);
    for case in ["100 × 4", "300 × 4", "1000 × 4", "100k → 50"] {
        add("rr", case, "", Wall, Daemon("bird"), 0.3);
        add("rr", case, "", Wall, BestPeer, 0.5);
        add("rr", case, "", Cpu, Frr, 1.0);
        add("rr", case, "", Memory, Daemon("bird"), 1.3);
    }
    for (scenario, case, phase) in
        [("multi-feed", "10 × 100k", ""), ("flap", "200k", "down"), ("flap", "200k", "up")]
    {
        add(scenario, case, phase, Wall, BestPeer, 1.0);
        add(scenario, case, phase, Cpu, BestPeer, 1.0);
        add(scenario, case, phase, Wall, Daemon("bird"), 0.5);
    }
    add("rr-churn", "300 clients", "single", More("p99"), Daemon("relay"), 1.2);
    add("rr-churn", "20 clients", "single", Wall, Absolute, 0.000_11);
    for case in ["100k", "500k"] {
        add("fib", case, "", Wall, Daemon("raw"), 1.15);
        add("fib", case, "", Wall, Daemon("bird"), 0.55);
    }
    add("slow-peer", "one does not", "", Wall, OwnCase("all read"), 1.05);
    add("reload", "300 × 100k", "unchanged", Bytes, Absolute, 0.0);
    add("reload", "300 × 100k", "unchanged", Wall, Absolute, 0.05);
    add("reload", "300 × 100k", "one filter", Wall, Absolute, 1.0);
    add("reload", "300 × 100k", "one filter", More("bytes to others"), Absolute, 0.0);
    add("restart", "100k", "", More("kernel routes lost"), Absolute, 0.0);
    add("startup", "300", "", Wall, Absolute, 0.12);
    add("startup", "1000", "", Wall, Absolute, 0.12);
    add("idle", "100 peers", "", Memory, Absolute, 15.0 * 1024.0);
    add("idle", "100 peers", "", More("percent"), Absolute, 0.1);
    all
}

impl Target {
    fn verdict(&self, results: &Results) -> Verdict {
        let what = [self.scenario, self.case, self.phase].join(" ").trim_end().to_owned();
        let value = self.value(results);
        let shown = match self.against {
            Against::Absolute => value.map(|value| show(self.figure, value)),
            _ => value.map(|value| format!("{value:.2}")),
        };
        Verdict {
            what,
            target: self.words(),
            value: shown.unwrap_or_default(),
            is_met: value.map(|value| value <= self.at_most),
        }
    }

    fn value(&self, results: &Results) -> Option<f64> {
        let of = |case: &str, daemon: &str| {
            let measures = results.measures(self.scenario, case, self.phase, daemon)?;
            Some(self.figure.median(measures)).filter(|value| value.is_finite())
        };
        let ours = of(self.case, "manx")?;
        let best = |is_one: &dyn Fn(&str) -> bool| {
            let rows = &results.scenarios.get(self.scenario)?.rows;
            let names = rows.iter().map(|row| &*row.daemon).filter(|name| is_one(name));
            names.filter_map(|name| of(self.case, name)).reduce(f64::min)
        };
        match self.against {
            Against::Absolute => Some(ours),
            Against::Daemon(name) => ratio(ours, of(self.case, name)?),
            Against::BestPeer => ratio(ours, best(&|name| !NOT_PEERS.contains(&name))?),
            Against::Frr => ratio(ours, best(&|name| name.starts_with("frr"))?),
            Against::OwnCase(case) => ratio(ours, of(case, "manx")?),
        }
    }

    fn words(&self) -> String {
        let Self { figure, at_most, .. } = self;
        let name = match figure {
            Figure::Wall => "wall",
            Figure::Cpu => "CPU",
            Figure::Memory => "memory",
            Figure::Bytes => "bytes",
            Figure::More(name) => name,
        };
        match self.against {
            Against::Absolute => format!("{name} ≤ {}", show(*figure, *at_most)),
            Against::Daemon(daemon) => format!("{name} ≤ {at_most} × {daemon}"),
            Against::BestPeer => format!("{name} ≤ {at_most} × the best peer"),
            Against::Frr => format!("{name} ≤ {at_most} × FRR's better"),
            Against::OwnCase(case) => format!("{name} ≤ {at_most} × “{case}”"),
        }
    }
}

fn show(figure: Figure, value: f64) -> String {
    match figure {
        Figure::Wall | Figure::Cpu => super::seconds(value),
        Figure::Memory => super::kibibytes(value),
        Figure::Bytes => super::bytes(value),
        Figure::More(name) => super::more(name, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::{Environment, Outcome, Scenario};
    use crate::bench::stage::Measure;

    fn results(walls: &[(&str, f64)]) -> Results {
        let environment = Environment::default();
        let mut scenario = Scenario { environment, limit: 60, percent: 100, rows: Vec::new() };
        for (daemon, wall) in walls {
            let measure = Measure { wall: *wall, cpu: 1.0, memory_kib: 1024, ..Measure::default() };
            scenario.note("100 × 4", daemon, "", Outcome::Measured(vec![measure]));
        }
        let mut results = Results::default();
        results.scenarios.insert("rr".to_owned(), scenario);
        results
    }

    fn of_rr(results: &Results) -> Vec<(String, Option<bool>)> {
        let ours = verdicts(results).into_iter().filter(|verdict| verdict.what == "rr 100 × 4");
        ours.map(|verdict| (verdict.value, verdict.is_met)).collect()
    }

    #[test]
    fn ratios_to_bird_and_to_the_best() {
        let results = results(&[("manx", 1.0), ("bird", 4.0), ("frr", 1.5), ("relay", 0.1)]);
        let found = of_rr(&results);
        assert_eq!(found[0], ("0.25".to_owned(), Some(true)));
        assert_eq!(found[1], ("0.67".to_owned(), Some(false)), "the relay is no peer");
        assert_eq!(found[2], ("1.00".to_owned(), Some(true)));
    }

    #[test]
    fn what_was_not_measured_is_neither_met_nor_missed() {
        let found = of_rr(&results(&[("manx", 1.0)]));
        assert!(found.iter().all(|(value, is_met)| value.is_empty() && is_met.is_none()), "{found:?}");
    }
}
