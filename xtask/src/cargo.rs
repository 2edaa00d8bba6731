//! Running cargo in this workspace.

use crate::programs;
use anyhow::{Context, Result, bail};
use cargo_metadata::{Artifact, Message, Metadata, Package};
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// A variable of the environment and its value.
pub(crate) type Variable = (String, OsString);

pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

pub(crate) fn kernels() -> PathBuf {
    root().join("gpu-kernels")
}

/// A call of cargo, in the root of the workspace.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).args(arguments);
    cargo
}

/// Runs cargo with `arguments` behind `first`; its exit status becomes ours.
pub(crate) fn pass_on(
    first: &[&str],
    arguments: &[OsString],
    variables: &[Variable],
) -> Result<ExitCode> {
    let mut cargo = command(first);
    cargo.args(arguments).envs(variables.iter().cloned());
    let status = cargo.status().context("cannot run cargo")?;
    // Killed by a signal, it has none; any failure will do then.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

/// True if cargo's `arguments` choose no target, package or other action: they are
/// filters, and options that do not matter here.
pub(crate) fn chooses_nothing(arguments: &[OsString]) -> bool {
    const OTHERS: [&str; 6] = ["-v", "-q", "--verbose", "--quiet", "--locked", "--offline"];
    let of_cargo = arguments.iter().take_while(|argument| *argument != "--");
    let mut of_cargo = of_cargo.map(|argument| argument.to_string_lossy());
    of_cargo.all(|argument| !argument.starts_with('-') || OTHERS.contains(&&*argument))
}

fn metadata() -> Result<Metadata> {
    let mut cargo = command(&["metadata", "--no-deps", "--offline", "--format-version=1"]);
    let output = programs::output(&mut cargo)?;
    serde_json::from_slice(&output.stdout).context("cannot read cargo's metadata")
}

/// Cargo's target folder, wherever the user has put it.
pub(crate) fn target_directory() -> Result<PathBuf> {
    Ok(metadata()?.target_directory.into())
}

pub(crate) fn packages() -> Result<Vec<Package>> {
    Ok(metadata()?.packages)
}

/// The results of a build.
#[derive(Default)]
pub(crate) struct Built {
    pub(crate) executables: Vec<(PathBuf, Artifact)>,
    /// Folders in which build scripts left files, by the names of the packages' folders.
    pub(crate) out_dirs: Vec<(String, PathBuf)>,
}

/// Builds by a call of cargo.
pub(crate) fn build(mut cargo: Command) -> Result<Built> {
    let line = programs::shown(&cargo);
    cargo.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let output = cargo.output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("{line} failed");
    }
    let mut built = Built::default();
    for message in Message::parse_stream(&*output.stdout) {
        let message = message.context("cannot read what cargo says it has built")?;
        match message {
            Message::CompilerArtifact(artifact) => {
                let path = artifact.executable.clone();
                built.executables.extend(path.map(|path| (path.into(), artifact)));
            }
            Message::BuildScriptExecuted(script) => {
                // `path+file:///../host#0.1.0`, or with the name behind the `#`.
                let id = script.package_id.repr;
                let folder = id.split('#').next().unwrap_or_default();
                let name = folder.rsplit('/').next().unwrap_or_default().to_owned();
                built.out_dirs.push((name, script.out_dir.into()));
            }
            _ => {}
        }
    }
    Ok(built)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_every_folder_no_build_script_looks_for_cuda() {
        let elsewhere = tempfile::tempdir().unwrap();
        let mut cargo = command(&["tree", "--package=host", "--invert=find_cuda_helper"]);
        cargo.current_dir(elsewhere.path()).args(["--depth=0", "--manifest-path"]);
        let output = programs::output(cargo.arg(root().join("Cargo.toml"))).unwrap();
        let shown = String::from_utf8_lossy(&output.stdout);
        // A package of the registry has no path.
        let ours = root().join("cuda/find_cuda_helper");
        let ours = format!("find_cuda_helper v0.2.0 ({})", ours.display());
        assert_eq!(shown.lines().next(), Some(ours.as_str()));
    }
}
