//! What people read: a line per run while it runs, and docs/performance.md with its plots.

mod chart;
mod document;
mod target;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::results::{Figure, Outcome, Results};
use super::stage::Measure;

/// Writes docs/performance.md and its plots.
///
/// # Errors
/// A file cannot be written.
pub fn write(results: &Results, project: &Path) -> Result<()> {
    let directory = project.join("docs/performance");
    fs::create_dir_all(&directory)?;
    for (name, text) in document::plots(results) {
        let path = directory.join(format!("{name}.svg"));
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    let path = project.join("docs/performance.md");
    fs::write(&path, document::render(results)).with_context(|| path.display().to_string())
}

/// One phase of one run, in a line.
#[must_use]
pub fn line(phase: &str, measure: &Measure) -> String {
    let mut text = String::new();
    if !phase.is_empty() {
        let _ = write!(text, "{phase}: ");
    }
    let _ = write!(
        text,
        "{} wall, {} CPU ({} at rest), {}, {} in {} UPDATEs, generator {} CPU",
        seconds(measure.wall),
        seconds(measure.cpu),
        seconds(measure.cpu_settled),
        kibibytes(Figure::Memory.of(measure)),
        bytes(Figure::Bytes.of(measure)),
        measure.messages,
        seconds(measure.generator_cpu),
    );
    for (name, value) in &measure.more {
        let _ = write!(text, ", {name} {}", more(name, *value));
    }
    text
}

/// Wall clock and ratio to BIRD of everything, for the terminal.
#[must_use]
pub fn summary(results: &Results) -> String {
    let mut text = String::new();
    for (name, scenario) in &results.scenarios {
        for (case, phase) in scenario.phases() {
            let _ = writeln!(text, "\n{name} {case} {phase}");
            for row in scenario.rows.iter().filter(|row| row.case == case && row.phase == phase) {
                let _ = match &row.outcome {
                    Outcome::Measured(measures) => writeln!(
                        text,
                        "  {:<12} {:>10} wall {:>10} CPU {:>10}",
                        row.daemon,
                        seconds(Figure::Wall.median(measures)),
                        seconds(Figure::Cpu.median(measures)),
                        kibibytes(Figure::Memory.median(measures)),
                    ),
                    Outcome::Cannot(reason) | Outcome::Failed(reason) => {
                        writeln!(text, "  {:<12} {reason}", row.daemon)
                    }
                };
            }
        }
    }
    text
}

fn seconds(value: f64) -> String {
    match value {
        value if value >= 10.0 => format!("{value:.1} s"),
        value if value >= 1.0 => format!("{value:.2} s"),
        value if value >= 0.01 => format!("{:.0} ms", value * 1e3),
        value => format!("{:.2} ms", value * 1e3),
    }
}

fn kibibytes(value: f64) -> String {
    if value >= 10_240.0 {
        format!("{:.0} MiB", value / 1024.0)
    } else {
        format!("{:.1} MiB", value / 1024.0)
    }
}

fn bytes(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{:.1} MB", value / 1e6),
        value if value >= 1e3 => format!("{:.1} kB", value / 1e3),
        value => format!("{value:.0} B"),
    }
}

/// A figure of one scenario: delays by name, else a plain number.
fn more(name: &str, value: f64) -> String {
    match name {
        "p99" | "last p50" | "last p99" | "received" => seconds(value),
        "percent" => format!("{value:.3} %"),
        _ => format!("{value:.0}"),
    }
}
