//! Builds of a revision, in a git worktree of its own.
//!
//! The sources of the user are not touched: a revision is checked out in a temporary
//! folder, built there, and its executable kept by its commit, so that a second
//! comparison with the same commit builds nothing. All worktrees share one target folder,
//! in which cargo builds again what differs. The worktree is removed however the build
//! ends; Ctrl-C ends cargo, which is a build that failed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::comparison::hex;
use crate::paths;

/// What stands for the sources as they are, changes and all.
pub const WORKTREE: &str = "worktree";

/// Environment variable that tells a build command where its executable is to be.
pub const EXECUTABLE: &str = "CUDAMARK_EXECUTABLE";

/// An executable that measures.
#[derive(Clone, Debug)]
pub struct Build {
    /// Where it is.
    pub executable: PathBuf,
    /// The commit that it was built from.
    pub commit: Option<String>,
}

/// Builds `revision`, or the sources as they are.
///
/// # Errors
/// A revision that git does not know; a build that fails.
pub fn build(revision: &str) -> Result<Build> {
    let place = Place::here()?;
    if revision == WORKTREE {
        let executable = cargo(&place.sources, &place.builds)?;
        return Ok(Build {
            executable,
            commit: None,
        });
    }
    let commit = resolve(&place.sources, revision)?;
    let name = format!("cudamark-{commit}");
    place.keep(&commit, &name, |worktree, part| {
        let built =
            cargo(worktree, &place.builds).with_context(|| format!("cannot build {revision}"))?;
        fs::copy(&built, part).with_context(|| format!("cannot keep {}", built.display()))?;
        Ok(())
    })
}

/// Builds `commit` by a command of the shell, run in its worktree, that puts an executable
/// where [`EXECUTABLE`] says.
///
/// # Errors
/// No such commit; a command that fails, or puts nothing there.
pub fn build_by(command: &str, commit: &str) -> Result<Build> {
    let name = format!("cudamark-{commit}-{}", &hex(&Sha256::digest(command))[..8]);
    Place::here()?.keep(commit, &name, |worktree, part| {
        let status = Command::new("sh")
            .args(["-c", command])
            .env(EXECUTABLE, part)
            .current_dir(worktree)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .context("cannot run sh")?;
        if !status.success() {
            bail!("`{command}` ended with {status}");
        }
        if !part.is_file() {
            bail!("`{command}` has put no executable where {EXECUTABLE} says");
        }
        Ok(())
    })
}

/// The sources, and where builds of them are kept.
struct Place {
    sources: PathBuf,
    builds: PathBuf,
}

impl Place {
    fn here() -> Result<Self> {
        let target = paths::target();
        let target = fs::create_dir_all(&target)
            .and_then(|()| fs::canonicalize(&target))
            .with_context(|| format!("cannot find cargo's target folder {}", target.display()))?;
        let sources = git(Path::new("."), &["rev-parse", "--show-toplevel"])?;
        Ok(Self {
            sources: sources.into(),
            builds: target.join("cudamark/builds"),
        })
    }

    /// The build of that name, made in a worktree of `commit` if it is not there yet.
    fn keep(
        &self,
        commit: &str,
        name: &str,
        make: impl FnOnce(&Path, &Path) -> Result<()>,
    ) -> Result<Build> {
        let kept = self.builds.join(name);
        if !kept.exists() {
            let worktree = self.builds.join("sources").join(commit);
            let worktree = Worktree::new(&self.sources, commit, worktree)?;
            // What is cut short must not be taken for the build.
            let part = kept.with_extension("part");
            make(&worktree.path, &part)?;
            fs::rename(&part, &kept).with_context(|| format!("cannot keep {}", kept.display()))?;
        }
        Ok(Build {
            executable: kept,
            commit: Some(commit.to_owned()),
        })
    }
}

/// The commit that `revision` names.
///
/// # Errors
/// It names none.
pub fn resolve(folder: &Path, revision: &str) -> Result<String> {
    let commit = format!("{revision}^{{commit}}");
    git(
        folder,
        &["rev-parse", "--verify", "--end-of-options", &commit],
    )
    .with_context(|| format!("`{revision}` is no revision; name a commit, branch or tag"))
}

/// A git worktree that is removed when it is dropped.
struct Worktree<'a> {
    sources: &'a Path,
    path: PathBuf,
}

impl<'a> Worktree<'a> {
    fn new(sources: &'a Path, commit: &str, path: PathBuf) -> Result<Self> {
        // What a killed process left there goes first: `Drop` would have removed it.
        let worktree = Self { sources, path };
        worktree.remove();
        let place = worktree.path.display().to_string();
        git(
            sources,
            &["worktree", "add", "--detach", "--force", &place, commit],
        )?;
        Ok(worktree)
    }

    fn remove(&self) {
        if self.path.exists() {
            let place = self.path.display().to_string();
            let _ = git(self.sources, &["worktree", "remove", "--force", &place]);
            let _ = fs::remove_dir_all(&self.path);
            let _ = git(self.sources, &["worktree", "prune"]);
        }
    }
}

impl Drop for Worktree<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Builds the command from `sources`; returns where cargo put it.
fn cargo(sources: &Path, target: &Path) -> Result<PathBuf> {
    let status = Command::new("cargo")
        .args([
            "build",
            "--release",
            "--locked",
            "-p",
            "cudamark",
            "--bin",
            "cudamark",
        ])
        .arg("--target-dir")
        .arg(target)
        .current_dir(sources)
        .stdout(Stdio::null())
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("cargo build ended with {status}");
    }
    Ok(target.join("release/cudamark"))
}

/// What git says in `folder`, without the end of the line.
pub(super) fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .output()
        .context("cannot run git")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "git: {}",
            said.lines().next_back().unwrap_or("no reason given")
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
