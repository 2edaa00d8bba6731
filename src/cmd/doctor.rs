//! `cudamark doctor`: what this machine cannot do, why, and what to type.
//!
//! The exit code is 0 if benchmarks can run on a GPU, 3 if only those of the CPU can, 1 if
//! none can.

use std::process::ExitCode;

use clap::Args;
use cudamark::doctor::Report;
use cudamark::tell;

use super::classic::print;

/// Say what benchmarks can run on this machine, and what keeps the others from it.
///
/// Each finding is one sentence, with the remedy where something is amiss.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Print the findings as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> ExitCode {
    let report = Report::here();
    let text = if options.json { report.json() } else { report.text() };
    if let Err(error) = print(&text) {
        tell!("cudamark: {error:#}");
    }
    ExitCode::from(report.exit_code)
}
