//! One run of `make bench`: what was chosen, in which order, and when not to begin at all.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::driver::{Driver, all};
use super::ground;
use super::report;
use super::results::{Environment, Outcome, Results, Scenario, busy_seconds, load};
use super::scenario::{Entry, SCENARIOS, cases};
use crate::assert::pause;
use crate::{interrupt, topology};

/// More than this, and figures say little.
const LOAD_MAX: f64 = 0.5;
/// Processors that others use; more, and the load average will not fade.
const BUSY_MAX: f64 = 0.25;
/// How long the load average of a build takes to fade.
const FADE_MAX: Duration = Duration::from_secs(240);
const LOOK: Duration = Duration::from_secs(2);

/// What was chosen.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Scenarios by name; empty: all.
    pub scenarios: Vec<String>,
    /// Daemons by name; empty: all.
    pub daemons: Vec<String>,
    /// Runs of each cell.
    pub runs: usize,
    /// How long one phase may take.
    pub limit: Duration,
    /// Begin whatever the load is.
    pub force: bool,
    /// Percent of the sizes.
    pub percent: u32,
    /// Only write the document from what is kept.
    pub report_only: bool,
    /// The project's directory.
    pub project: PathBuf,
}

impl Choice {
    /// From the environment: `SCENARIO`, `DAEMONS`, `RUNS`, `LIMIT` (seconds), `FORCE`, `SIZE` (percent),
    /// `REPORT=only`.
    ///
    /// # Errors
    /// A number that is none, a name that nothing has.
    pub fn from_environment(
        project: &Path,
        value: impl Fn(&str) -> Option<String>,
        known: &[&str],
    ) -> Result<Self> {
        let value = |name: &str| value(name).filter(|text| !text.is_empty());
        let list = |name: &str| -> Vec<String> {
            let text = value(name).unwrap_or_default();
            text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
        };
        let number = |name: &str, otherwise: u32| -> Result<u32> {
            let text = value(name);
            text.map_or(Ok(otherwise), |text| {
                text.parse().with_context(|| format!("{name}={text}: a number"))
            })
        };
        let (scenarios, daemons) = (list("SCENARIO"), list("DAEMONS"));
        for (chosen, known) in [(&scenarios, &SCENARIOS[..]), (&daemons, known)] {
            for name in chosen {
                ensure!(known.contains(&&**name), "{name}: choose from {}", known.join(", "));
            }
        }
        Ok(Self {
            scenarios,
            daemons,
            runs: usize::try_from(number("RUNS", 3)?)?.max(1),
            limit: Duration::from_secs(number("LIMIT", 60)?.into()),
            force: value("FORCE").is_some_and(|text| text != "0"),
            percent: number("SIZE", 100)?.clamp(1, 100),
            report_only: value("REPORT").as_deref() == Some("only"),
            project: project.to_owned(),
        })
    }

    /// Whether what comes out belongs in the document: all daemons, full sizes.
    fn is_for_the_document(&self) -> bool {
        self.daemons.is_empty() && self.percent == 100
    }

    fn has_scenario(&self, name: &str) -> bool {
        self.scenarios.is_empty() || self.scenarios.iter().any(|chosen| chosen == name)
    }

    fn has_daemon(&self, name: &str) -> bool {
        self.daemons.is_empty() || self.daemons.iter().any(|chosen| chosen == name)
    }
}

/// The order of the daemons in one run of one case: each time another one begins, so that none always has the
/// machine as another left it.
#[must_use]
pub fn order(daemons: usize, run: usize, case: usize) -> Vec<usize> {
    (0..daemons).map(|place| (place + run + case) % daemons.max(1)).collect()
}

/// Runs what was chosen, writes `target/bench/results.json`, and the document when the choice is whole.
///
/// # Errors
/// Not root, too much load, a file that cannot be written. That a daemon fails is a result.
pub fn run(choice: &Choice, program: &Path) -> Result<()> {
    let kept = choice.project.join("docs/performance/results.json");
    if choice.report_only {
        return report::write(&Results::read(&kept)?, &choice.project);
    }
    ensure!(nix::unistd::geteuid().is_root(), "network namespaces need root");
    interrupt::install()?;
    if !choice.force {
        await_quiet()?;
    }
    topology::sweep()?;
    ground::raise_file_limit()?;
    let mut drivers = all(program);
    drivers.retain(|driver| choice.has_daemon(driver.name()));
    let mut environment = Environment::now();
    for driver in &drivers {
        let version = driver.version().with_context(|| format!("{} is not installed", driver.name()))?;
        environment.versions.insert(driver.name().to_owned(), version);
    }
    let latest = choice.project.join("target/bench/results.json");
    let mut results = if choice.is_for_the_document() { Results::read(&kept)? } else { Results::default() };
    for name in SCENARIOS.into_iter().filter(|name| choice.has_scenario(name)) {
        let scenario = run_scenario(name, choice, &drivers, &environment)?;
        results.scenarios.insert(name.to_owned(), scenario);
        results.write(&latest)?;
        if choice.is_for_the_document() {
            results.write(&kept)?;
            report::write(&results, &choice.project)?;
        }
    }
    say(&report::summary(&results));
    say(&format!("figures: {}", latest.display()));
    Ok(())
}

/// Lets the load average of our own build fade; refuses when somebody else is at work.
fn await_quiet() -> Result<()> {
    let begin = Instant::now();
    let mut is_said = false;
    loop {
        let [minute, ..] = load();
        if minute <= LOAD_MAX {
            return Ok(());
        }
        let before = busy_seconds();
        pause(LOOK);
        let busy = (busy_seconds() - before) / LOOK.as_secs_f64();
        ensure!(!interrupt::requested(), "interrupted");
        if busy > BUSY_MAX || begin.elapsed() > FADE_MAX {
            bail!(
                "the load average is {minute:.2}, more than {LOAD_MAX}, and others use {:.0} % of a processor: \
                 figures would mean little. Wait for a quiet machine, or set FORCE=1",
                (busy * 100.0).max(0.0)
            );
        }
        if !is_said {
            say(&format!("waiting for the load average to fade from {minute:.2} to {LOAD_MAX} …"));
            is_said = true;
        }
    }
}

fn run_scenario(
    name: &str,
    choice: &Choice,
    drivers: &[Box<dyn Driver>],
    environment: &Environment,
) -> Result<Scenario> {
    let limit = choice.limit;
    let environment = Environment { load: Environment::now().load, ..environment.clone() };
    let mut scenario =
        Scenario { environment, limit: limit.as_secs(), percent: choice.percent, rows: Vec::new() };
    let entries = cases(name, choice.percent);
    for run in 0..choice.runs {
        for (number, entry) in entries.iter().enumerate() {
            for driver in order(drivers.len(), run, number).into_iter().filter_map(|index| drivers.get(index))
            {
                if !scenario.is_out(&entry.name, driver.name()) {
                    run_cell(&mut scenario, entry, driver.as_ref(), run, limit);
                }
                ensure!(!interrupt::requested(), "interrupted");
            }
        }
    }
    sort(&mut scenario, &entries, drivers);
    Ok(scenario)
}

fn run_cell(scenario: &mut Scenario, entry: &Entry, driver: &dyn Driver, run: usize, limit: Duration) {
    let daemon = driver.name();
    if let Some(reason) = entry.case.cannot(driver) {
        return scenario.note(&entry.name, daemon, "", Outcome::Cannot(reason.to_owned()));
    }
    let title = format!("{} {} · {daemon} · run {}", entry.scenario, entry.name, run + 1);
    match entry.case.run(driver, limit) {
        Ok(phases) => {
            for (phase, measure) in phases {
                say(&format!("{title}: {}", report::line(phase, &measure)));
                scenario.note(&entry.name, daemon, phase, Outcome::Measured(vec![measure]));
            }
        }
        Err(error) => {
            // What was measured before it failed says nothing any more.
            scenario.rows.retain(|row| row.case != entry.name || row.daemon != daemon);
            let text = format!("{error:#}");
            let first = text.lines().next().unwrap_or_default().to_owned();
            say(&format!("{title}: {text}"));
            scenario.note(&entry.name, daemon, "", Outcome::Failed(first));
        }
    }
}

/// In the order of cases and daemons, whatever the order was they were run in.
fn sort(scenario: &mut Scenario, entries: &[Entry], drivers: &[Box<dyn Driver>]) {
    scenario.rows.sort_by_key(|row| {
        let case = entries.iter().position(|entry| entry.name == row.case);
        let daemon = drivers.iter().position(|driver| driver.name() == row.daemon);
        (case, daemon)
    });
}

fn say(text: &str) {
    // Nobody reads along when standard output is gone; the results are in the file.
    let _ = writeln!(io::stdout(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(variables: &[(&str, &str)]) -> Result<Choice> {
        let value =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Choice::from_environment(Path::new("/nowhere"), value, &["manx", "bird"])
    }

    #[test]
    fn everything_is_the_default() {
        let all = choice(&[("SCENARIO", "")]).unwrap();
        assert!(SCENARIOS.iter().all(|name| all.has_scenario(name)) && all.is_for_the_document());
        assert_eq!((all.runs, all.limit, all.force), (3, Duration::from_secs(60), false));
    }

    #[test]
    fn selections() {
        let some = choice(&[("SCENARIO", "rr,flap"), ("DAEMONS", "manx, bird"), ("RUNS", "1")]).unwrap();
        assert!(some.has_scenario("rr") && !some.has_scenario("fib") && !some.is_for_the_document());
        assert!(some.has_daemon("bird") && !some.has_daemon("frr"));
        assert!(choice(&[("SCENARIO", "rrr")]).unwrap_err().to_string().contains("rr-churn"));
        assert!(choice(&[("RUNS", "x")]).is_err());
    }

    #[test]
    fn every_daemon_begins_in_turn() {
        assert_eq!(order(3, 0, 0), [0, 1, 2]);
        assert_eq!(order(3, 1, 0), [1, 2, 0]);
        assert_eq!(order(3, 1, 1), [2, 0, 1]);
        assert!(order(0, 1, 1).is_empty());
        let firsts: std::collections::BTreeSet<usize> = (0..3).map(|run| order(3, run, 5)[0]).collect();
        assert_eq!(firsts.len(), 3);
    }

    #[test]
    fn every_scenario_has_cases() {
        for name in SCENARIOS {
            let entries = cases(name, 100);
            assert!(!entries.is_empty() && entries.iter().all(|entry| entry.scenario == name), "{name}");
        }
        assert!(cases("nonsense", 100).is_empty());
        let of = |percent| cases("scale", percent).iter().map(|entry| entry.case.clients()).max();
        assert_eq!((of(100), of(10)), (Some(2_001), Some(201)));
        assert!(
            cases("scale", 100).iter().any(|entry| entry.name == "2k → 1 peer" && entry.case.clients() == 2)
        );
    }
}
