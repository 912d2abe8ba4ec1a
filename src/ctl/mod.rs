//! The command line against the running agent: ask for one document, print it. Decides nothing.

mod client;
mod policy;
mod show;
mod table;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::CommandFactory;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::daemon::protocol::{FibDocument, PeersDocument, PolicyDocument, RoutesDocument, StatusDocument};
use crate::daemon::settings_or_exit;
use crate::dispatch::{CommandLine, CtlOptions, Output, OutputFormat, Verb};

/// Refused or not found.
const EXIT_REFUSED: u8 = 1;
/// The agent cannot be reached.
const EXIT_UNREACHABLE: u8 = 3;

/// Runs one verb. Exit codes: 0 done, 1 refused or not found, 2 wrong usage, 3 no agent.
#[must_use]
pub fn main(options: &CtlOptions) -> ExitCode {
    match &options.verb {
        Verb::Version => print(&format!("manx {}\n", crate::VERSION)),
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut CommandLine::command(), "manx", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
        Verb::Status(output) => ask(options, "/v1/status", *output, show::status),
        Verb::Peers { name, output } => {
            let path = with_query("/v1/peers", &[("name", name.as_deref())]);
            let one = name.is_some();
            ask(options, &path, *output, move |peers: &PeersDocument, wide| show::peers(peers, wide, one))
        }
        Verb::Routes { prefix, received, advertised, output } => {
            let query = [
                ("prefix", prefix.as_deref()),
                ("received", received.as_deref()),
                ("advertised", advertised.as_deref()),
            ];
            let path = with_query("/v1/routes", &query);
            ask(options, &path, *output, |routes: &RoutesDocument, wide| show::routes(routes, wide))
        }
        Verb::Policy { command: Some(command), .. } => policy::main(options, command),
        Verb::Policy { command: None, output } => {
            ask(options, "/v1/policy", *output, |rules: &PolicyDocument, _| policy::rules(rules))
        }
        Verb::Fib(output) => ask(options, "/v1/fib", *output, |fib: &FibDocument, _| show::fib(fib)),
    }
}

fn with_query(path: &str, pairs: &[(&str, Option<&str>)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (key, value) in pairs {
        if let Some(value) = value {
            query.append_pair(key, value);
        }
    }
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

fn ask<T: DeserializeOwned + Serialize>(
    options: &CtlOptions,
    path: &str,
    output: Output,
    render: impl Fn(&T, bool) -> String,
) -> ExitCode {
    ask_with(options, path, None, output, render)
}

/// With a body it is a POST.
fn ask_with<T: DeserializeOwned + Serialize>(
    options: &CtlOptions,
    path: &str,
    body: Option<String>,
    output: Output,
    render: impl Fn(&T, bool) -> String,
) -> ExitCode {
    let socket: PathBuf = match settings_or_exit(options.config.as_deref()) {
        Ok(settings) => settings.socket,
        Err(code) => return code,
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(EXIT_REFUSED, &error.to_string()),
    };
    match runtime.block_on(client::ask::<T>(&socket, path, body)) {
        Ok(document) => print_document(&document, output, render),
        Err(error @ (client::Error::Unreachable { .. } | client::Error::Forbidden { .. })) => {
            fail(EXIT_UNREACHABLE, &error.to_string())
        }
        Err(error @ (client::Error::Broken { .. } | client::Error::Refused(_))) => {
            fail(EXIT_REFUSED, &error.to_string())
        }
    }
}

fn print_document<T: Serialize>(
    document: &T,
    output: Output,
    render: impl Fn(&T, bool) -> String,
) -> ExitCode {
    match output.format {
        OutputFormat::Json => match serde_json::to_string_pretty(document) {
            Ok(text) => print(&(text + "\n")),
            Err(error) => fail(EXIT_REFUSED, &error.to_string()),
        },
        OutputFormat::Table => print(&render(document, false)),
        OutputFormat::Wide => print(&render(document, true)),
    }
}

/// The status page: `manx status` and `manx peers` one below the other.
#[must_use]
pub fn overview(status: &StatusDocument, peers: &PeersDocument) -> String {
    format!("{}\n{}", show::status(status, false), show::peers(peers, false, false))
}

/// Writes to stdout; a reader that has gone away (`manx routes | head`) is no error, a full disk is.
fn print(text: &str) -> ExitCode {
    let mut stdout = std::io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            fail(EXIT_REFUSED, &format!("cannot write the answer: {error}"))
        }
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

fn fail(code: u8, message: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "manx: {message}");
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::with_query;

    #[test]
    fn query_values_are_escaped_and_absent_ones_left_out() {
        assert_eq!(with_query("/v1/peers", &[("name", None)]), "/v1/peers");
        assert_eq!(with_query("/p", &[("a", Some("x&y 1")), ("b", None)]), "/p?a=x%26y+1");
    }
}
