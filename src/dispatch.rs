//! Command line → what to do, as a pure function. Knows neither files nor sockets.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Where manx.toml stands unless `--config` says otherwise.
pub const DEFAULT_CONFIG: &str = "/etc/manx/manx.toml";

/// What the process is to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Mode {
    /// The node agent.
    Daemon(DaemonOptions),
    /// A command against the running agent.
    Ctl(CtlOptions),
}

/// `manx daemon`.
#[derive(Debug, PartialEq, Eq)]
pub struct DaemonOptions {
    /// `--config`; absent means [`DEFAULT_CONFIG`], which may be missing.
    pub config: Option<PathBuf>,
    /// `--log-format`.
    pub log_format: LogFormat,
}

/// Every other verb.
#[derive(Debug, PartialEq, Eq)]
pub struct CtlOptions {
    /// As for the daemon: it names the socket.
    pub config: Option<PathBuf>,
    /// What is asked.
    pub verb: Verb,
}

/// How the daemon writes its log to stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object per line.
    Json,
}

/// How a read verb prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    #[default]
    Table,
    /// A table with more columns.
    Wide,
    /// The documented schema.
    Json,
}

/// A verb of the command line.
#[derive(Debug, PartialEq, Eq, Subcommand)]
pub enum Verb {
    /// The node in one screen: sync, sessions, routes, problems of the manifests
    Status(Output),
    /// BGP sessions; with a name, everything about one
    Peers {
        /// A peer's name, e.g. bgppeer/tor
        name: Option<String>,
        /// How to print
        #[command(flatten)]
        output: Output,
    },
    /// The BGP table: every path, which one is used, and why the others are not
    Routes {
        /// A prefix (exact) or an address (longest match)
        prefix: Option<String>,
        /// What this peer sent us
        #[arg(long, value_name = "PEER", conflicts_with = "advertised")]
        received: Option<String>,
        /// What we sent this peer
        #[arg(long, value_name = "PEER")]
        advertised: Option<String>,
        /// How to print
        #[command(flatten)]
        output: Output,
    },
    /// Kernel routes: wanted, installed, and what stands in the way
    Fib(Output),
    /// BGPFilters: which rule decides how many routes; `manx policy test` tests them
    #[command(args_conflicts_with_subcommands = true)]
    Policy {
        /// What to do
        #[command(subcommand)]
        command: Option<PolicyVerb>,
        /// How to print
        #[command(flatten)]
        output: Output,
    },
    /// Print the version
    Version,
    /// Print a completion script
    Completions {
        /// For this shell
        shell: clap_complete::Shell,
    },
}

/// `manx policy …`.
#[derive(Debug, PartialEq, Eq, Subcommand)]
pub enum PolicyVerb {
    /// Run the BGPFilterTests of manifests; with --live, say what filters would change on this node
    Test {
        /// Manifests with BGPFilters, BGPSets and BGPFilterTests: files, or directories with all below them
        #[arg(value_name = "FILE|DIR", required_unless_present = "live", conflicts_with = "live")]
        manifests: Vec<PathBuf>,
        /// Against the routes of the running daemon, changing nothing
        #[arg(long, requires = "filename")]
        live: bool,
        /// With --live: manifests with the BGPFilters and BGPSets to try
        #[arg(short = 'f', long, value_name = "FILE|DIR", requires = "live")]
        filename: Vec<PathBuf>,
        /// With --live: print at most so many routes for each peer and direction; -o json prints all
        #[arg(long, default_value_t = 10, requires = "live")]
        limit: usize,
        /// How to print
        #[command(flatten)]
        output: Output,
    },
}

/// `-o` of every read verb.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args)]
pub struct Output {
    /// How to print
    #[arg(short = 'o', long = "output", value_enum, default_value_t)]
    pub format: OutputFormat,
}

/// The grammar.
#[derive(Debug, Parser)]
#[command(name = "manx", version, about = "Native BGP routing daemon for Calico-style underlay networks")]
pub struct CommandLine {
    /// Configuration file [default: /etc/manx/manx.toml]
    #[arg(long, global = true, value_name = "FILE", env = "MANX_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the node agent in the foreground
    Daemon {
        /// How to write the log
        #[arg(long, value_enum, default_value_t)]
        log_format: LogFormat,
    },
    #[command(flatten)]
    Ctl(Verb),
}

/// Reads the command line.
///
/// # Errors
/// Wrong usage, or `--help` and `--version`, as clap words them.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Mode, clap::Error> {
    let CommandLine { config, command } = CommandLine::try_parse_from(arguments)?;
    Ok(match command {
        Command::Daemon { log_format } => Mode::Daemon(DaemonOptions { config, log_format }),
        Command::Ctl(verb) => Mode::Ctl(CtlOptions { config, verb }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(words: &[&str]) -> Result<Mode, clap::Error> {
        parse(std::iter::once("manx").chain(words.iter().copied()).map(OsString::from))
    }

    #[test]
    fn daemon_takes_config_before_or_after_the_verb() {
        let expected = DaemonOptions { config: Some("/x.toml".into()), log_format: LogFormat::Json };
        let after = mode(&["daemon", "--config", "/x.toml", "--log-format", "json"]);
        assert_eq!(after.unwrap(), Mode::Daemon(expected));
        assert!(
            matches!(mode(&["--config", "/x.toml", "daemon"]), Ok(Mode::Daemon(o)) if o.config.is_some())
        );
    }

    #[test]
    fn read_verbs_take_an_output_format() {
        let json = Output { format: OutputFormat::Json };
        let expected = CtlOptions { config: None, verb: Verb::Fib(json) };
        assert_eq!(mode(&["fib", "-o", "json"]).unwrap(), Mode::Ctl(expected));
    }

    #[test]
    fn policy_is_shown_tested_and_tried() {
        let verb = |words: &[&str]| match mode(words) {
            Ok(Mode::Ctl(options)) => options.verb,
            other => panic!("{other:?}"),
        };
        let json = Output { format: OutputFormat::Json };
        assert_eq!(verb(&["policy", "-o", "json"]), Verb::Policy { command: None, output: json });
        let test = |verb| match verb {
            Verb::Policy { command: Some(PolicyVerb::Test { manifests, live, filename, .. }), .. } => {
                (manifests, live, filename)
            }
            other => panic!("{other:?}"),
        };
        let file = || vec![PathBuf::from("a.yaml")];
        assert_eq!(test(verb(&["policy", "test", "a.yaml"])), (file(), false, vec![]));
        assert_eq!(test(verb(&["policy", "test", "--live", "-f", "a.yaml"])), (vec![], true, file()));
    }

    #[test]
    fn wrong_usage_exits_with_2() {
        for words in [
            &["nonsense"][..],
            &[],
            &["routes", "--received", "a", "--advertised", "b"],
            &["policy", "test"],
            &["policy", "test", "--live"],
            &["policy", "test", "--live", "a.yaml"],
            &["policy", "test", "-f", "a.yaml"],
        ] {
            assert_eq!(mode(words).unwrap_err().exit_code(), 2, "{words:?}");
        }
        assert_eq!(mode(&["--help"]).unwrap_err().exit_code(), 0);
    }
}
