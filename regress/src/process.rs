//! One process of an executable: `cudamark sample`, and the records that it wrote.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use suite::Case;
use suite::records::Contents;

use crate::build::Build;
use crate::schema::Figures;

/// Figures of a process.
pub(crate) struct Sampled {
    /// Hash of its kernels' PTX.
    pub(crate) ptx_sha256: Option<String>,
    pub(crate) cases: BTreeMap<Case, Figures>,
}

/// Runs `build sample` with `arguments`, which choose cases and samples, and has it
/// write its records to the file `records`.
pub(crate) fn sample(build: &Build, arguments: &[String], records: &Path) -> Result<Sampled> {
    if let Some(folder) = records.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let records_to = [OsStr::new("--json"), records.as_os_str()];
    ended(build, build.command().arg("sample").args(arguments).args(records_to))?;
    let contents = Contents::read(records)?;
    if contents.cases.is_empty() {
        bail!("{} sampled nothing: it is no `cudamark`, or of another version", build.name);
    }
    let environment = contents.environments.values().next();
    let cases = contents.cases.iter();
    Ok(Sampled {
        ptx_sha256: environment.and_then(|line| line.environment.ptx_sha256.clone()),
        cases: cases.map(|(name, samples)| (name.clone(), Figures::of(samples))).collect(),
    })
}

/// The cases that `build sample` would sample with `arguments`.
pub fn list(build: &Build, arguments: &[String]) -> Result<Vec<Case>> {
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
