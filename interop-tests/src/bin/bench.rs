//! `make bench`; see [`interop_tests::bench`]. Its settings are environment variables, as `make` passes them.

use std::env;
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use interop_tests::bench::driver::all;
use interop_tests::bench::relay;
use interop_tests::bench::run::{Choice, run};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((first, rest)) if first == relay::ARGUMENT => run_relay(rest),
        _ => bench(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<()> {
    let program = env::current_exe()?;
    let drivers = all(&program);
    let known: Vec<&str> = drivers.iter().map(|driver| driver.name()).collect();
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the project's directory")?;
    let choice = Choice::from_environment(project, |name| env::var(name).ok(), &known)?;
    run(&choice, &program)
}

/// Address, AS, and the clients that are sent nothing.
fn run_relay(arguments: &[String]) -> Result<()> {
    let [address, asn, silent @ ..] = arguments else { anyhow::bail!("relay ADDRESS AS [SILENT…]") };
    let silent: Vec<Ipv4Addr> = silent.iter().map(|word| word.parse()).collect::<Result<_, _>>()?;
    relay::run(address.parse()?, asn.parse()?, &silent)
}
