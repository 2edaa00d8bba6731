//! Tasks of this workspace beside building: one file a subcommand.

mod bench;
mod budget;
mod bundle;
mod cargo;
mod chart;
mod docs;
mod figures;
mod glibc;
mod kernels;
mod mutate_sync;
mod new_kernel;
mod programs;
mod ptx;
mod ptxas;
mod sass;
mod setup;
#[expect(unreachable_pub, reason = "the suite's own file")]
#[path = "../../suite/src/variables.rs"]
mod variables;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// Tasks of the cudamark workspace.
#[derive(Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// See to it that there is a compiler for the kernels
    Setup,
    /// Set up, then `cargo bench` with the remaining arguments
    #[command(disable_help_flag = true)]
    Bench(Remaining),
    /// Set up, then `cargo test --workspace` with the remaining arguments
    #[command(disable_help_flag = true)]
    Test(Remaining),
    /// Build the kernels and show what becomes of them on each chip
    Ptx(ptx::Arguments),
    /// Compare the bytes of the kernels and of the command with gpu-kernels/budget.json
    Budget,
    /// Weaken each synchronisation of the kernels in turn, and see the tests fail
    MutateSync(mutate_sync::Arguments),
    /// Write the records' figures, and charts, into README.md and docs/
    Docs(docs::Arguments),
    /// Make a workspace for a kernel of one's own: the kernel, a test in the emulator, a benchmark
    NewKernel(new_kernel::Arguments),
    /// Pack the command, the benchmarks and the tests for a machine without Rust
    Bundle,
}

#[derive(clap::Args)]
struct Remaining {
    /// Handed to cargo as they are
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    variables::misspelt().for_each(|line| eprintln!("warning: {line}"));
    run(arguments.task).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Setup => setup::run().map(|()| ExitCode::SUCCESS),
        Task::Bench(_) => bench::run(remaining_arguments()),
        Task::Test(_) => test(&remaining_arguments()),
        Task::Ptx(arguments) => ptx::run(arguments),
        Task::Budget => budget::run().map(|()| ExitCode::SUCCESS),
        Task::MutateSync(arguments) => mutate_sync::run(arguments),
        Task::Docs(arguments) => docs::run(arguments),
        Task::NewKernel(arguments) => new_kernel::run(&arguments).map(|()| ExitCode::SUCCESS),
        Task::Bundle => bundle::run().map(|()| ExitCode::SUCCESS),
    }
}

/// Packages that build in seconds: their tests show that a machine works, before all others
/// are built, which takes minutes.
const TESTED_FIRST: [&str; 2] = ["cuda_std", "sort-cases"];

fn test(arguments: &[OsString]) -> Result<ExitCode> {
    if !cargo::chooses_nothing(arguments) {
        setup::with_kernels()?;
        return cargo::pass_on(&["test", "--workspace"], arguments, &[]);
    }
    let first = TESTED_FIRST.map(|package| ["--package", package]).concat();
    let status = cargo::pass_on(&[&["test"], &first[..]].concat(), arguments, &[])?;
    if status != ExitCode::SUCCESS {
        return Ok(status);
    }
    setup::with_kernels()?;
    cargo::pass_on(&[&["test"], &tested_last()[..]].concat(), arguments, &[])
}

/// Cargo's options for all packages that are tested after the first.
fn tested_last() -> Vec<&'static str> {
    let first = TESTED_FIRST.iter().flat_map(|package| ["--exclude", package]);
    ["--workspace"].into_iter().chain(first).collect()
}

/// The arguments behind the name of the task. Not those that clap has parsed: it
/// takes a `--` at their beginning for its own, and it is cargo's.
fn remaining_arguments() -> Vec<OsString> {
    std::env::args_os().skip(2).collect()
}
