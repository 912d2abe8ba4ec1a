//! What was measured, as it is kept: one entry per scenario with the machine's state when it was taken, so that
//! a run of one scenario replaces that scenario and no other.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::stage::Measure;
use super::statistics::{median, spread};
use crate::host::output;

/// All scenarios by name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Results {
    /// Those that have been run.
    pub scenarios: BTreeMap<String, Scenario>,
}

/// One scenario, all daemons in one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Scenario {
    /// On what, and when.
    pub environment: Environment,
    /// Seconds that a phase may take.
    pub limit: u64,
    /// Percent of the sizes; 100 unless the harness itself was tried.
    pub percent: u32,
    /// What came out.
    pub rows: Vec<Row>,
}

/// A machine at a moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Environment {
    /// `2026-11-21 07:00 UTC`.
    pub date: String,
    /// `uname -sr`.
    pub kernel: String,
    /// Its model and how many there are.
    pub cpu: String,
    /// The load averages at the start.
    pub load: String,
    /// The commit that manx was built from.
    pub commit: String,
    /// The daemons by name.
    pub versions: BTreeMap<String, String>,
}

/// One phase of a case with one daemon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The case.
    pub case: String,
    /// The phase; "": there is one.
    pub phase: String,
    /// The daemon.
    pub daemon: String,
    /// What came out.
    pub outcome: Outcome,
}

/// What came out of all runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every run.
    Measured(Vec<Measure>),
    /// The daemon cannot do this.
    Cannot(String),
    /// It failed, was wrong, or took too long.
    Failed(String),
}

impl Results {
    /// Those kept in a file; none, if there is no such file.
    ///
    /// # Errors
    /// The file is of another kind.
    pub fn read(path: &Path) -> Result<Self> {
        let Ok(text) = fs::read_to_string(path) else { return Ok(Self::default()) };
        serde_json::from_str(&text).with_context(|| format!("{}: remove it", path.display()))
    }

    /// Keeps them.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let text = serde_json::to_string_pretty(self)?;
        fs::write(path, text + "\n").with_context(|| path.display().to_string())
    }

    /// The runs of one daemon in one phase.
    #[must_use]
    pub fn measures(&self, scenario: &str, case: &str, phase: &str, daemon: &str) -> Option<&[Measure]> {
        self.scenarios.get(scenario)?.measures(case, phase, daemon)
    }
}

impl Scenario {
    /// The runs of one daemon in one phase.
    #[must_use]
    pub fn measures(&self, case: &str, phase: &str, daemon: &str) -> Option<&[Measure]> {
        let row =
            self.rows.iter().find(|row| (&*row.case, &*row.phase, &*row.daemon) == (case, phase, daemon))?;
        match &row.outcome {
            Outcome::Measured(measures) => Some(measures),
            Outcome::Cannot(_) | Outcome::Failed(_) => None,
        }
    }

    /// Cases and phases, each once, in the order they were run.
    #[must_use]
    pub fn phases(&self) -> Vec<(&str, &str)> {
        let mut found = Vec::new();
        for row in &self.rows {
            let one = (&*row.case, &*row.phase);
            if !found.contains(&one) {
                found.push(one);
            }
        }
        found
    }

    /// Takes in what one run of a case gave. A daemon that failed once has failed.
    pub fn note(&mut self, case: &str, daemon: &str, phase: &str, outcome: Outcome) {
        let is_it = |row: &&mut Row| (&*row.case, &*row.phase, &*row.daemon) == (case, phase, daemon);
        let Some(row) = self.rows.iter_mut().find(is_it) else {
            let (case, phase, daemon) = (case.to_owned(), phase.to_owned(), daemon.to_owned());
            self.rows.push(Row { case, phase, daemon, outcome });
            return;
        };
        match (&mut row.outcome, outcome) {
            (Outcome::Measured(all), Outcome::Measured(more)) => all.extend(more),
            (Outcome::Measured(_), other) => row.outcome = other,
            (Outcome::Cannot(_) | Outcome::Failed(_), _) => {}
        }
    }

    /// Whether a daemon is not to be asked again.
    #[must_use]
    pub fn is_out(&self, case: &str, daemon: &str) -> bool {
        let of = |row: &&Row| row.case == case && row.daemon == daemon;
        self.rows.iter().filter(of).any(|row| !matches!(row.outcome, Outcome::Measured(_)))
    }
}

/// A figure of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Seconds.
    Wall,
    /// Processor seconds.
    Cpu,
    /// KiB.
    Memory,
    /// UPDATE bytes received.
    Bytes,
    /// One of [`Measure::more`].
    More(&'static str),
}

impl Figure {
    /// Its value in one run.
    #[must_use]
    pub fn of(self, measure: &Measure) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "far below 2⁵³")]
        match self {
            Self::Wall => measure.wall,
            Self::Cpu => measure.cpu,
            Self::Memory => measure.memory_kib as f64,
            Self::Bytes => measure.bytes as f64,
            Self::More(name) => measure.more.get(name).copied().unwrap_or(f64::NAN),
        }
    }

    /// The median over the runs.
    #[must_use]
    pub fn median(self, measures: &[Measure]) -> f64 {
        median(&self.all(measures))
    }

    /// The least and the most.
    #[must_use]
    pub fn spread(self, measures: &[Measure]) -> (f64, f64) {
        spread(&self.all(measures))
    }

    fn all(self, measures: &[Measure]) -> Vec<f64> {
        measures.iter().map(|measure| self.of(measure)).collect()
    }
}

impl Environment {
    /// This machine, now.
    #[must_use]
    pub fn now() -> Self {
        let said = |argv: &[&str]| {
            let (program, arguments) = argv.split_first().unwrap_or((&"", &[]));
            let mut command = std::process::Command::new(program);
            output(command.args(arguments), None).unwrap_or_default().trim().to_owned()
        };
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let models: Vec<&str> =
            info.lines().filter_map(|line| line.strip_prefix("model name")?.split(": ").nth(1)).collect();
        Self {
            date: said(&["date", "-u", "+%Y-%m-%d %H:%M UTC"]),
            kernel: said(&["uname", "-sr"]),
            cpu: format!("{} × {}", models.len(), models.first().unwrap_or(&"unknown")),
            load: load().map(|load| format!("{load:.2}")).join(", "),
            commit: said(&["git", "rev-parse", "--short", "HEAD"]),
            versions: BTreeMap::new(),
        }
    }
}

/// The load averages over 1, 5 and 15 minutes.
#[must_use]
pub fn load() -> [f64; 3] {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut words = text.split_whitespace().map(|word| word.parse().unwrap_or(0.0));
    std::array::from_fn(|_| words.next().unwrap_or(0.0))
}

/// Seconds that all processors together have worked since the machine's start, to the hundredth.
#[must_use]
pub fn busy_seconds() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    // cpu user nice system idle iowait irq softirq steal …
    let first = text.lines().next().unwrap_or_default().split_whitespace().skip(1).take(8);
    let ticks = first.enumerate().filter(|(field, _)| ![3, 4].contains(field));
    ticks.filter_map(|(_, word)| word.parse::<f64>().ok()).sum::<f64>() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(wall: f64) -> Outcome {
        Outcome::Measured(vec![Measure { wall, ..Measure::default() }])
    }

    #[test]
    fn a_machine_that_tests_has_worked() {
        assert!(busy_seconds() > 0.0);
    }

    #[test]
    fn runs_gather_and_one_failure_fails_them_all() {
        let environment = Environment::default();
        let mut scenario = Scenario { environment, limit: 60, percent: 100, rows: Vec::new() };
        for wall in [3.0, 1.0, 2.0] {
            scenario.note("1M", "manx", "", measured(wall));
        }
        let measures = scenario.measures("1M", "", "manx").unwrap();
        assert_eq!((Figure::Wall.median(measures), Figure::Wall.spread(measures)), (2.0, (1.0, 3.0)));
        assert!(!scenario.is_out("1M", "manx"));
        scenario.note("1M", "manx", "", Outcome::Failed("gave up".to_owned()));
        scenario.note("1M", "manx", "", measured(1.0));
        assert!(scenario.is_out("1M", "manx") && scenario.measures("1M", "", "manx").is_none());
        assert_eq!(scenario.phases(), [("1M", "")]);
    }
}
