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

use crate::paths;

/// What stands for the sources as they are, changes and all.
pub const WORKTREE: &str = "worktree";

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
    let target = fs::canonicalize(paths::target())
        .context("cannot find cargo's target folder")?
        .join("cudamark/builds");
    let sources = git(Path::new("."), &["rev-parse", "--show-toplevel"])?;
    let sources = Path::new(&sources);
    if revision == WORKTREE {
        let executable = cargo(sources, &target)?;
        return Ok(Build {
            executable,
            commit: None,
        });
    }
    let commit = git(
        sources,
        &[
            "rev-parse",
            "--verify",
            "--end-of-options",
            &format!("{revision}^{{commit}}"),
        ],
    )
    .with_context(|| format!("`{revision}` is no revision; name a commit, branch or tag"))?;
    let kept = target.join(format!("cudamark-{commit}"));
    if !kept.exists() {
        let worktree = Worktree::new(sources, &commit, target.join("sources").join(&commit))?;
        let built =
            cargo(&worktree.path, &target).with_context(|| format!("cannot build {revision}"))?;
        // A copy that is cut short must not be taken for the build.
        let part = kept.with_extension("part");
        fs::copy(&built, &part)
            .and_then(|_| fs::rename(&part, &kept))
            .with_context(|| format!("cannot keep {}", kept.display()))?;
    }
    Ok(Build {
        executable: kept,
        commit: Some(commit),
    })
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
fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
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
