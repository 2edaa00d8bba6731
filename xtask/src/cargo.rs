//! Running cargo in this workspace.

use anyhow::{Context, Result, bail};
use cargo_metadata::{Message, Metadata, Package};
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

pub use cargo_metadata::Artifact;

/// The root of the workspace.
pub fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// The kernel crate.
pub fn kernels() -> PathBuf {
    root().join("gpu-kernels")
}

fn command() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// Runs cargo with `arguments` behind `first`; its exit status becomes ours.
pub fn pass_on(first: &[&str], arguments: Vec<OsString>) -> Result<ExitCode> {
    pass_on_with(first, arguments, Vec::new())
}

/// [`pass_on`] with these environment variables set.
pub fn pass_on_with(
    first: &[&str],
    arguments: Vec<OsString>,
    variables: Vec<(&'static str, OsString)>,
) -> Result<ExitCode> {
    let status = command()
        .args(first)
        .args(arguments)
        .envs(variables)
        .status()
        .context("cannot run cargo")?;
    // Killed by a signal, it has none; any failure will do then.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

fn metadata() -> Result<Metadata> {
    let output = command()
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cargo metadata failed");
    }
    serde_json::from_slice(&output.stdout).context("cannot read cargo's metadata")
}

/// Cargo's target folder, wherever the user has put it.
pub fn target_directory() -> Result<PathBuf> {
    Ok(metadata()?.target_directory.into())
}

/// The packages of the workspace.
pub fn packages() -> Result<Vec<Package>> {
    Ok(metadata()?.packages)
}

/// Builds with these environment variables set, and returns what is executable of it.
pub fn executables(
    arguments: &[&str],
    variables: &[(String, OsString)],
) -> Result<Vec<(PathBuf, Artifact)>> {
    let mut cargo = command();
    cargo.envs(variables.iter().cloned());
    executables_of(cargo, arguments)
}

/// [`executables`] of another workspace, built into `target`.
pub fn executables_in(
    workspace: &Path,
    target: &Path,
    arguments: &[&str],
) -> Result<Vec<(PathBuf, Artifact)>> {
    let mut cargo = command();
    cargo.current_dir(workspace);
    cargo.env("CARGO_TARGET_DIR", target);
    executables_of(cargo, arguments)
}

fn executables_of(mut cargo: Command, arguments: &[&str]) -> Result<Vec<(PathBuf, Artifact)>> {
    let output = cargo
        .args(arguments)
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cargo {} failed", arguments.join(" "));
    }
    let mut found = Vec::new();
    for message in Message::parse_stream(&*output.stdout) {
        let message = message.context("cannot read what cargo says it has built")?;
        if let Message::CompilerArtifact(artifact) = message
            && let Some(executable) = &artifact.executable
        {
            found.push((executable.clone().into(), artifact));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_every_folder_no_build_script_looks_for_cuda() {
        let elsewhere = tempfile::tempdir().unwrap();
        let output = command()
            .current_dir(elsewhere.path())
            .args(["tree", "--package=host", "--invert=find_cuda_helper"])
            .args(["--depth=0", "--manifest-path"])
            .arg(root().join("Cargo.toml"))
            .output()
            .unwrap();
        let shown = String::from_utf8_lossy(&output.stdout);
        // A package of the registry has no path.
        let ours = root().join("cuda/find_cuda_helper");
        let ours = format!("find_cuda_helper v0.2.0 ({})", ours.display());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(shown.lines().next(), Some(ours.as_str()), "{said}");
    }
}
