//! Git, asked so that its answer is about this repository and nothing in that is changed.
//!
//! A hook tells the git that it starts which index and repository to use, and those would
//! be taken for every question asked below it: such variables are removed. No hook of the
//! user runs. A commit is checked out with an index of its own into a folder of its own,
//! of which the repository knows nothing: no worktree is registered, `export-ignore` means
//! nothing, and whatever ends this process leaves the repository as it was.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use suite::environment::hexadecimal;

use crate::tell;

/// Begin the names of variables of git that are the user's and no hook's.
const USERS: [&str; 7] = [
    "GIT_CEILING_DIRECTORIES",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_KEY_",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_VALUE_",
];

/// Settings under which git runs nothing of the user's and leaves no file out.
const SETTINGS: [&str; 6] = [
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.sparseCheckout=false",
];

/// Removes what a hook of git sets from the environment of a process.
pub(crate) fn outside_hooks(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let text = name.as_bytes();
        let is_users = |start: &&str| text.starts_with(start.as_bytes());
        if text.starts_with(b"GIT_") && !USERS.iter().any(is_users) {
            command.env_remove(name);
        }
    }
    command
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new("git");
    outside_hooks(&mut command)
        // `status` would write the index anew.
        .env("GIT_OPTIONAL_LOCKS", "0")
        .args(SETTINGS)
        .current_dir(folder);
    command
}

/// Output of git, without the end of its last line.
fn said(command: &mut Command) -> Result<OsString> {
    let output = command.output().context("cannot run git")?;
    if !output.status.success() {
        bail!("git: {}", reason(&String::from_utf8_lossy(&output.stderr)));
    }
    let mut text = output.stdout;
    if text.ends_with(b"\n") {
        text.pop();
    }
    Ok(OsString::from_vec(text))
}

/// All that git says of a failure, in one line: its last lines are often the remedy.
fn reason(said: &str) -> String {
    let lines = said.lines().map(|line| {
        let line = line.trim();
        let marks = ["fatal: ", "error: ", "hint: "];
        let mark = marks.iter().find_map(|mark| line.strip_prefix(mark));
        mark.unwrap_or(line)
    });
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty() && *line != "hint:").collect();
    match lines.is_empty() {
        true => "no reason given".to_owned(),
        false => lines.join(" "),
    }
}

pub(crate) fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let said = said(command(folder).args(arguments))?;
    Ok(said.to_string_lossy().into_owned())
}

pub(crate) fn resolve(folder: &Path, revision: &str) -> Result<String> {
    let commit = format!("{revision}^{{commit}}");
    let arguments = ["rev-parse", "--verify", "--end-of-options", &commit];
    let resolved = git(folder, &arguments);
    if resolved.is_err() {
        let shallow = git(folder, &["rev-parse", "--is-shallow-repository"])?;
        if shallow == "true" {
            bail!(
                "`{revision}` is no revision that this shallow clone has; `git fetch --unshallow` \
                 gets them all"
            );
        }
    }
    resolved.with_context(|| format!("`{revision}` is no revision; name a commit, branch or tag"))
}

/// The repository around the working folder.
#[derive(Debug)]
pub(crate) struct Repository {
    folder: PathBuf,
    /// The top of its worktree; a bare one has none.
    pub(crate) top: Option<PathBuf>,
    /// The working folder, from the top.
    pub(crate) prefix: PathBuf,
}

impl Repository {
    /// The repository around the working folder.
    pub(crate) fn here() -> Result<Self> {
        let here = Path::new(".");
        let ask = |what| said(command(here).args(["rev-parse", what]));
        let folder = ask("--absolute-git-dir")?.into();
        if ask("--is-bare-repository")? == "true" {
            return Ok(Self { folder, top: None, prefix: PathBuf::new() });
        }
        Ok(Self {
            folder,
            top: Some(ask("--show-toplevel")?.into()),
            prefix: ask("--show-prefix")?.into(),
        })
    }

    pub(crate) fn worktree(&self) -> Result<&Path> {
        let top = self.top.as_deref();
        top.context("this repository is bare, and has no worktree; name a revision with --head")
    }

    /// The commit of the worktree, with `-dirty` after it where that has changes; none
    /// before the first commit.
    pub(crate) fn described(&self) -> Option<String> {
        let top = self.top.as_deref()?;
        let commit = git(top, &["rev-parse", "--verify", "--quiet", "HEAD"]).ok()?;
        let changes = git(top, &["status", "--porcelain"]).ok()?;
        let mark = if changes.is_empty() { "" } else { "-dirty" };
        Some(commit + mark)
    }

    /// Puts the files of `commit`, and those of its submodules that are here, in the empty
    /// folder `to`.
    pub(crate) fn check_out(&self, commit: &str, to: &Path) -> Result<()> {
        check_out(&self.folder, self.top.as_deref(), commit, to)
    }

    /// Puts the files of the worktree in the empty folder `to`, changes and all: those that
    /// git tracks or would add, submodules' too. Leaves out what is below `without`.
    /// Returns a hash of their names and contents.
    pub(crate) fn copy_worktree(&self, to: &Path, without: &Path) -> Result<String> {
        let mut hash = Sha256::new();
        copy_files(self.worktree()?, to, without, &mut hash)?;
        Ok(hexadecimal(&hash.finalize()))
    }
}

fn check_out(repository: &Path, top: Option<&Path>, commit: &str, to: &Path) -> Result<()> {
    let index = tempfile::tempdir().context("cannot make a temporary folder")?;
    let run = |arguments: &[&str]| {
        let mut command = command(to);
        command
            .env("GIT_DIR", repository)
            .env("GIT_WORK_TREE", to)
            .env("GIT_INDEX_FILE", index.path().join("index"))
            .args(arguments);
        said(&mut command)
    };
    run(&["read-tree", commit])?;
    run(&["checkout-index", "--all", "--force"])?;
    let listed = run(&["ls-files", "--stage", "-z"])?;
    for entry in listed.as_bytes().split(|&byte| byte == 0) {
        // Of a submodule: its mode, its commit, a stage, a tab, its path.
        let Some(entry) = entry.strip_prefix(b"160000 ") else {
            continue;
        };
        let mut parts = entry.splitn(2, |&byte| byte == b'\t');
        let (commit, path) = (parts.next().unwrap_or(&[]), parts.next().unwrap_or(&[]));
        let commit =
            String::from_utf8_lossy(commit.split(|&byte| byte == b' ').next().unwrap_or(&[]));
        let path = Path::new(OsStr::from_bytes(path));
        if let Err(error) = check_out_submodule(top, path, &commit, to) {
            let path = path.display();
            tell(&format!("the submodule {path} is empty in the build of {commit}: {error:#}"));
        }
    }
    Ok(())
}

fn check_out_submodule(top: Option<&Path>, path: &Path, commit: &str, to: &Path) -> Result<()> {
    let from = top.map(|top| top.join(path));
    let from = from
        .filter(|from| from.join(".git").exists())
        .context("it is not here; `git submodule update --init --recursive` gets it")?;
    let repository = said(command(&from).args(["rev-parse", "--absolute-git-dir"]))?;
    let to = to.join(path);
    fs::create_dir_all(&to)?;
    check_out(Path::new(&repository), Some(&from), commit, &to)
}

fn copy_files(top: &Path, to: &Path, without: &Path, hash: &mut Sha256) -> Result<()> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listed = said(command(top).args(arguments))?;
    let mut paths: Vec<&[u8]> = listed.as_bytes().split(|&byte| byte == 0).collect();
    // A file with a conflict is listed once for each side.
    paths.sort_unstable();
    paths.dedup();
    for path in paths {
        let path = Path::new(OsStr::from_bytes(path));
        let (from, to) = (top.join(path), to.join(path));
        if path == Path::new("") || from.starts_with(without) {
            continue;
        }
        copy_file(&from, &to, without, hash)
            .with_context(|| format!("cannot copy {}", from.display()))?;
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path, without: &Path, hash: &mut Sha256) -> Result<()> {
    let meta = match fs::symlink_metadata(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        meta => meta?,
    };
    if meta.is_dir() {
        // Another repository: a submodule, or one that git was not told of.
        return match from.join(".git").exists() {
            true => copy_files(from, to, without, hash),
            false => Ok(()),
        };
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    let (kind, contents) = if meta.is_symlink() {
        let link = fs::read_link(from)?;
        symlink(&link, to)?;
        ("link", link.into_os_string().into_vec())
    } else if meta.is_file() {
        let contents = fs::read(from)?;
        fs::write(to, &contents)?;
        fs::set_permissions(to, meta.permissions())?;
        let is_program = meta.permissions().mode() & 0o111 != 0;
        (if is_program { "program" } else { "file" }, contents)
    } else {
        return Ok(());
    };
    for part in [to.as_os_str().as_bytes(), kind.as_bytes(), &contents] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_reason_is_one_line_with_its_remedy() {
        let said = "fatal: detected dubious ownership in repository at '/x'\n\
                    To add an exception for this directory, call:\n\n\
                    \tgit config --global --add safe.directory /x\n";
        assert_eq!(
            reason(said),
            "detected dubious ownership in repository at '/x' To add an exception for this \
             directory, call: git config --global --add safe.directory /x"
        );
        assert_eq!(reason("hint: one\nhint:\nhint: two\n"), "one two");
        assert_eq!(reason("\n"), "no reason given");
    }
}
