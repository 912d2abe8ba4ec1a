//! The one binary: parses the command line and hands over.

use std::process::ExitCode;

use manx::dispatch::{Mode, parse};

fn main() -> ExitCode {
    match parse(std::env::args_os()) {
        Ok(Mode::Daemon(options)) => manx::daemon::main(&options),
        Ok(Mode::Ctl(options)) => manx::ctl::main(&options),
        Err(error) => {
            // clap's own exit codes: 0 for --help and --version, 2 for wrong usage.
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
    }
}
