//! docs/performance.md: how it was measured, the targets, and a table with plots for each scenario.

use std::fmt::Write as _;

use super::chart::{self, Bar, Line, Panel};
use super::target::{NOT_PEERS, verdicts};
use super::{bytes, kibibytes, more, seconds};
use crate::bench::results::{Figure, Outcome, Results, Row, Scenario};
use crate::bench::scenario::SCENARIOS;
use crate::bench::statistics::ratio;

const HEAD: &str = "\
# Performance

Written by `make bench`; do not edit. Every figure is the median of the runs, with the least and the most of them
in brackets. All daemons of a table were measured in one run on one machine, taking turns: each run of a cell has
fresh network namespaces and a fresh process.

## How it is measured

- The daemon has a network namespace of its own; all its peers live in another one, in one process with one
  thread around epoll that writes UPDATEs which were encoded before. Both are on the same machine and share its
  processors, so a daemon with several threads competes with the generator.
- *wall*: from the first byte sent, when all sessions are established and quiet, until the last receiver holds the
  wanted result. *CPU*: processor time of all the daemon's processes in that time. *memory*: their peak resident
  memory (VmHWM), summed. *received*: bytes of UPDATEs at all receivers.
- The result is compared prefix by prefix and attribute by attribute at every receiver, with the clock stopped. A
  daemon whose result is wrong has no figure.
- `relay` copies every UPDATE to every other session without looking inside, in one thread: what it takes is the
  generator's, the sockets' and the kernel's share, and about the least that a daemon can take here. `raw` writes kernel routes
  without BGP, 512 requests per send; `raw-nexthop` does so through one nexthop object.
- No daemon logs to a disk; graceful restart is off but in `restart`; all wait to be dialed. FRR is measured as
  it comes and with `coalesce-time 0` (`frr-0`), because by default a timer is most of its wall time. FRR is
  zebra and bgpd, both counted.
- BIRD, FRR, OpenBGPD and GoBGP are Debian's packages.

";

/// A scenario that began under more load than our own former ones leave behind.
const BUSY: f64 = 2.5;

/// What is drawn.
const SHOWN: [Shown; 3] =
    [("wall", Figure::Wall, seconds), ("CPU", Figure::Cpu, seconds), ("memory", Figure::Memory, kibibytes)];

/// Its title, what it is, how its values are written.
type Shown = (&'static str, Figure, fn(f64) -> String);

/// The document.
pub(super) fn render(results: &Results) -> String {
    let mut text = HEAD.to_owned();
    render_targets(&mut text, results);
    for name in SCENARIOS {
        if let Some(scenario) = results.scenarios.get(name) {
            render_scenario(&mut text, name, scenario);
        }
    }
    text
}

/// The plots by name.
pub(super) fn plots(results: &Results) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for name in SCENARIOS {
        let Some(scenario) = results.scenarios.get(name) else { continue };
        if name == "scale" {
            for (word, figure, show) in SHOWN {
                let routes = lines(scenario, figure, |case| case.strip_suffix(" routes"));
                let title = format!("{word} by size of the table, one receiver");
                all.push((format!("scale-routes-{word}"), chart::lines(&title, "routes", &routes, show)));
                let peers = lines(scenario, figure, |case| {
                    let (_, count) = case.split_once(" → ")?;
                    count.split(' ').next()
                });
                let title = format!("{word} by number of receivers, 2,000 routes");
                all.push((format!("scale-peers-{word}"), chart::lines(&title, "receivers", &peers, show)));
            }
        } else {
            all.push((name.to_owned(), chart::bars(&panels(scenario))));
        }
    }
    all
}

fn render_targets(text: &mut String, results: &Results) {
    *text += "## Targets\n\n| scenario | target | manx | |\n|---|---|---|---|\n";
    for verdict in verdicts(results) {
        let met = match verdict.is_met {
            Some(true) => "met",
            Some(false) => "**not met**",
            None => "not measured",
        };
        let _ = writeln!(text, "| {} | {} | {} | {met} |", verdict.what, verdict.target, verdict.value);
    }
    *text += "\n";
}

fn render_scenario(text: &mut String, name: &str, scenario: &Scenario) {
    let environment = &scenario.environment;
    let _ = writeln!(text, "## {name}\n\n{}\n", about(name));
    let images: Vec<String> = if name == "scale" {
        let by = |what: &'static str| SHOWN.iter().map(move |(word, ..)| format!("scale-{what}-{word}"));
        by("routes").chain(by("peers")).collect()
    } else {
        vec![name.to_owned()]
    };
    for image in images {
        let _ = writeln!(text, "![{image}](performance/{image}.svg)\n");
    }
    for (case, phase) in scenario.phases() {
        let rows = || scenario.rows.iter().filter(|row| row.case == case && row.phase == phase);
        let title = [case, phase].join(" ");
        let _ = writeln!(text, "**{}**\n", title.trim_end());
        if rows().any(|row| matches!(row.outcome, Outcome::Measured(_))) {
            *text += "| | wall | CPU | memory | received | × best peer | × BIRD | × floor |\n\
                      |---|---|---|---|---|---|---|---|\n";
        } else {
            *text += "| | |\n|---|---|\n";
        }
        for row in rows() {
            render_row(text, scenario, row);
        }
        *text += "\n";
    }
    let load = environment.load.split(',').next().and_then(|word| word.parse::<f64>().ok());
    if load.is_some_and(|load| load > BUSY) {
        *text += "**Taken on a busy machine: these figures say little.**\n\n";
    }
    let versions: Vec<&str> = environment.versions.values().map(String::as_str).collect();
    let _ = writeln!(
        text,
        "{} · {} · {} · load at the start {} · commit {} · at most {} s per phase · {}\n",
        environment.date,
        environment.kernel,
        environment.cpu,
        environment.load,
        environment.commit,
        scenario.limit,
        versions.join(", ")
    );
}

fn render_row(text: &mut String, scenario: &Scenario, row: &Row) {
    let measures = match &row.outcome {
        Outcome::Measured(measures) => measures,
        Outcome::Cannot(reason) | Outcome::Failed(reason) => {
            let _ = writeln!(text, "| {} | {} |", row.daemon, reason.replace('|', "/"));
            return;
        }
    };
    let (least, most) = Figure::Wall.spread(measures);
    let wall = Figure::Wall.median(measures);
    let of = |daemon: &str| {
        scenario.measures(&row.case, &row.phase, daemon).map(|measures| Figure::Wall.median(measures))
    };
    let best = scenario
        .rows
        .iter()
        .filter(|other| (&other.case, &other.phase) == (&row.case, &row.phase))
        .filter(|other| !NOT_PEERS.contains(&&*other.daemon))
        .filter_map(|other| of(&other.daemon))
        .reduce(f64::min);
    let floor = of("relay").or_else(|| of("raw"));
    let shown = |base: Option<f64>| base.and_then(|base| ratio(wall, base)).map_or(String::new(), times);
    let extra: Vec<String> = measures
        .first()
        .into_iter()
        .flat_map(|measure| measure.more.keys())
        .map(|name| {
            let values: Vec<f64> =
                measures.iter().filter_map(|measure| measure.more.get(name).copied()).collect();
            format!("{name} {}", more(name, crate::bench::statistics::median(&values)))
        })
        .collect();
    let extra = if extra.is_empty() { String::new() } else { format!("<br>{}", extra.join(", ")) };
    let _ = writeln!(
        text,
        "| {} | {} ({}–{}){extra} | {} | {} | {} | {} | {} | {} |",
        row.daemon,
        seconds(wall),
        seconds(least),
        seconds(most),
        seconds(Figure::Cpu.median(measures)),
        kibibytes(Figure::Memory.median(measures)),
        bytes(Figure::Bytes.median(measures)),
        shown(best),
        shown(of("bird")),
        shown(floor),
    );
}

fn times(ratio: f64) -> String {
    match ratio {
        ratio if ratio >= 10.0 => format!("{ratio:.0}"),
        ratio if ratio >= 0.1 => format!("{ratio:.2}"),
        ratio => format!("{ratio:.3}"),
    }
}

fn panels(scenario: &Scenario) -> Vec<(String, Vec<Panel>)> {
    let mut rows = Vec::new();
    for (case, phase) in scenario.phases() {
        let measured = || {
            let here = scenario.rows.iter().filter(|row| row.case == case && row.phase == phase);
            here.filter_map(|row| Some((&row.daemon, scenario.measures(case, phase, &row.daemon)?)))
        };
        if measured().next().is_none() {
            continue;
        }
        let panel = |(title, figure, show): Shown| Panel {
            title: title.to_owned(),
            bars: measured()
                .map(|(daemon, measures)| {
                    let value = figure.median(measures);
                    Bar { name: daemon.clone(), value, shown: show(value) }
                })
                .collect(),
        };
        let title = [case, phase].join(" ").trim_end().to_owned();
        rows.push((title, SHOWN.into_iter().map(panel).collect()));
    }
    rows
}

/// A line for each daemon over the cases that `place` knows, `10k` as 10,000.
fn lines(scenario: &Scenario, figure: Figure, place: impl Fn(&str) -> Option<&str>) -> Vec<Line> {
    let mut all: Vec<Line> = Vec::new();
    for row in &scenario.rows {
        let Some(x) = place(&row.case).and_then(number) else { continue };
        let Some(measures) = scenario.measures(&row.case, &row.phase, &row.daemon) else { continue };
        let point = (x, figure.median(measures));
        match all.iter_mut().find(|line| line.name == row.daemon) {
            Some(line) => line.points.push(point),
            None => all.push(Line { name: row.daemon.clone(), points: vec![point] }),
        }
    }
    all
}

fn number(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(['k', 'M']);
    let unit = match text.strip_prefix(digits) {
        Some("k") => 1e3,
        Some("M") => 1e6,
        _ => 1.0,
    };
    Some(digits.parse::<f64>().ok()? * unit)
}

fn about(name: &str) -> &'static str {
    match name {
        "full-table" => {
            "A million eBGP prefixes (/23 and /24, about six to a set of attributes) from one peer, on to another."
        }
        "multi-feed" => {
            "Ten eBGP peers send the same 100,000 prefixes at once, each with the shortest path to a tenth of \
             them; one receiver must end up with the best of each."
        }
        "rr" => {
            "A route reflector: every client has four /26 of its own and gets all others'; and one client with \
             100,000 prefixes to 50 others."
        }
        "rr-churn" => {
            "A reflector whose clients hold four blocks each. *burst*: a fifth of them replace one block at once. \
             *single*: one route changes, 100 times in a row; wall is the median delay over all clients and \
             changes, *last* is the delay at the last client."
        }
        "flap" => {
            "200,000 prefixes are withdrawn and announced again; *by session*: the feeder's connection ends and \
             comes back."
        }
        "fib" => "Prefixes of one eBGP peer into the kernel's table, until a dump shows all of them.",
        "slow-peer" => {
            "A reflector gets 100,000 prefixes four times with other attributes; 50 clients wait for the last, \
             and in the second case one more never reads."
        }
        "reload" => {
            "A reflector with 100,000 prefixes and 300 clients. *unchanged*: it is told to read the same \
             configuration again; wall is when it was last seen busy. *one filter*: the filter of one client \
             takes away 1,024 prefixes."
        }
        "restart" => {
            "Killed with 100,000 routes in the kernel and started again, its peers being helpers (RFC 4724); \
             one prefix in a hundred is not announced again. wall: from the start until the receiver and the \
             kernel are right."
        }
        "startup" => {
            "From the start of the process until the last of the sessions that all dial at once is up."
        }
        "idle" => "A full mesh of 100 iBGP peers in which nothing happens, watched for ten seconds.",
        "scale" => "The cost by the size of the table, and by the number of receivers.",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::Environment;
    use crate::bench::stage::Measure;

    fn results() -> Results {
        let environment = Environment::default();
        let mut scenario = Scenario { environment, limit: 60, percent: 100, rows: Vec::new() };
        for (daemon, wall) in [("manx", 0.5), ("bird", 1.0), ("frr", 2.0), ("relay", 0.25)] {
            let measure = Measure { wall, cpu: 1.0, memory_kib: 2048, ..Measure::default() };
            scenario.note("1M", daemon, "", Outcome::Measured(vec![measure]));
        }
        scenario.note("1M", "gobgp", "", Outcome::Failed("gave up".to_owned()));
        let mut results = Results::default();
        results.scenarios.insert("full-table".to_owned(), scenario);
        results
    }

    #[test]
    fn a_table_with_ratios_and_reasons() {
        let text = render(&results());
        let row = text.lines().find(|line| line.starts_with("| manx |")).unwrap();
        assert_eq!(row, "| manx | 500 ms (500 ms–500 ms) | 1.00 s | 2.0 MiB | 0 B | 0.50 | 0.50 | 2.00 |");
        assert!(text.contains("| gobgp | gave up |"));
        assert!(text.contains("| full-table 1M | wall ≤ 0.6 × bird | 0.50 | met |"));
        assert!(text.contains("![full-table](performance/full-table.svg)"));
    }

    #[test]
    fn plots_leave_out_who_has_no_figure() {
        let all = plots(&results());
        assert_eq!(all.len(), 1);
        assert!(all[0].1.contains(">manx<") && !all[0].1.contains(">gobgp<"));
    }

    #[test]
    fn sizes_are_numbers() {
        assert_eq!(
            [number("10k"), number("2M"), number("500"), number("x")],
            [Some(1e4), Some(2e6), Some(500.0), None]
        );
    }

    #[test]
    fn every_scenario_is_described() {
        assert!(SCENARIOS.into_iter().all(|name| !about(name).is_empty()));
    }
}
