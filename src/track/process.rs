//! One process of an executable: `cudamark sample`, and the records that it wrote.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use suite::Name;
use suite::lines::Sample;
use suite::records::Contents;

use super::build::Build;
use super::store::Figures;

/// Runs `build sample` with `arguments`, which choose cells and samples, and has it
/// write its records to the file `records`.
///
/// # Errors
/// It cannot be run, fails, or wrote what are no records.
pub fn sample(build: &Build, arguments: &[String], records: &Path) -> Result<Contents> {
    let records_to = [OsStr::new("--json"), records.as_os_str()];
    ended(build, build.command().arg("sample").args(arguments).args(records_to))?;
    Ok(Contents::read(records)?)
}

/// The cells that `build sample` would sample with `arguments`.
///
/// # Errors
/// It cannot be run, fails, or lists what are no cells.
pub fn list(build: &Build, arguments: &[String]) -> Result<Vec<Name>> {
    let listed = ended(build, build.command().arg("sample").args(arguments).arg("--list"))?;
    let names = listed.lines().map(|line| Ok(line.parse()?));
    names.collect()
}

/// Runs a build's `sample` to its end; returns what it printed.
fn ended(build: &Build, command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output();
    let shown = &build.name;
    let output = output.with_context(|| format!("cannot run {shown}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().next_back().unwrap_or("no reason given");
        if last.contains("unrecognized subcommand") {
            bail!("{shown} has no `cudamark sample`: take a later revision");
        }
        bail!("{shown} sample ended with {}: {last}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The hash of the PTX that the process ran, where it says.
pub fn ptx(contents: &Contents) -> Option<String> {
    let line = contents.environments.values().next()?;
    line.environment.ptx_sha256.clone()
}

/// What the process measured, cell by cell.
pub fn cells(contents: &Contents) -> BTreeMap<Name, Figures> {
    let cells = contents.cells.iter();
    cells.map(|(name, samples)| (name.clone(), figures(samples))).collect()
}

fn figures(samples: &[Sample]) -> Figures {
    let slowed = |sample: &&Sample| !sample.slowdowns.is_empty();
    Figures {
        seconds: samples.iter().map(|sample| sample.seconds).collect(),
        sm_cycles: samples.iter().map(|sample| sample.sm_cycles).collect(),
        slowed_down: samples.iter().filter(slowed).count(),
    }
}
