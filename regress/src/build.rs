//! Builds, and what runs of them.
//!
//! The sources of the user are not touched: a revision, or a copy of the worktree, is put
//! in a folder of its own outside of every repository and built there, always the same
//! folder, so that sources that do not differ make executables that do not. A build is kept
//! by all that it depends on (`identity`), so that a second comparison of the same builds
//! builds nothing. A lock is held meanwhile: comparisons that share a target folder build
//! one after the other. The executable is where cargo says that it is.
//!
//! The process that runs is of a copy that nobody else writes to, hashed before its first process and
//! again after the last. Only a script, which may look for files beside itself, runs where
//! it is.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cargo_metadata::Message;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::Serialize;
use suite::environment::COMMIT_VARIABLE;

use crate::git::{Repository, outside_hooks, resolve};
use crate::{digest, identity, tell};

/// Stands for the sources as they are, changes and all.
pub const WORKTREE: &str = "worktree";

/// Environment variable that tells a build command where its executable is to be.
pub const EXECUTABLE: &str = "CUDAMARK_EXECUTABLE";

/// How often a wait looks whether it is over.
const LOOK: Duration = Duration::from_millis(20);

/// An executable that measures.
#[derive(Clone, Debug, Serialize)]
pub struct Build {
    /// Its name for the user: a revision, a file.
    pub name: String,
    /// The file that runs.
    #[serde(skip)]
    pub executable: PathBuf,
    /// The hash of that.
    pub executable_sha256: String,
    /// The commit that it was built from.
    pub commit: Option<String>,
    /// A hash of all that the build depended on, where it was built here.
    pub identity: Option<String>,
    /// The commit as records name it: `-dirty` follows where the sources differed.
    #[serde(skip)]
    described: Option<String>,
    /// The copy that runs. It has no name, and goes with the last process that has it open.
    #[serde(skip)]
    _copy: Option<Arc<File>>,
}

impl Build {
    /// An executable that is there, to be copied below `builds`.
    fn of_executable(path: &Path, builds: &Path) -> Result<Self> {
        let shown = path.display();
        // A pipe is not opened: that waits for a writer.
        if fs::metadata(path).is_ok_and(|meta| !meta.is_file()) {
            bail!("{shown} is no file, and cannot be run");
        }
        let mut start = Vec::new();
        File::open(path)
            .and_then(|file| file.take(2).read_to_end(&mut start))
            .with_context(|| format!("cannot read {shown}"))?;
        let (executable, copy) = match &start[..] {
            b"#!" => (fs::canonicalize(path)?, None),
            _ => {
                let copy = private_copy(path, builds);
                let copy = copy.with_context(|| format!("cannot copy {shown}"))?;
                (own_file(&copy), Some(Arc::new(copy)))
            }
        };
        Ok(Self {
            name: shown.to_string(),
            executable_sha256: digest::of_file(&executable)?,
            executable,
            commit: None,
            identity: None,
            described: None,
            _copy: copy,
        })
    }

    /// A process of it that is yet to be started.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        outside_hooks(&mut command);
        if let Some(commit) = &self.described {
            // Its sources are gone, so it cannot ask git.
            command.env(COMMIT_VARIABLE, commit);
        }
        command
    }

    /// An error if it is not what it was before its first process.
    pub fn require_unchanged(&self) -> Result<()> {
        if digest::of_file(&self.executable)? != self.executable_sha256 {
            bail!(
                "the executable of {} changed while it was measured, so nothing can be said of \
                 it; compare again",
                self.name
            );
        }
        Ok(())
    }
}

/// A copy of an executable, open to be read, that nobody else can find.
fn private_copy(path: &Path, folder: &Path) -> io::Result<File> {
    let mut copy = tempfile::tempfile_in(folder)?;
    io::copy(&mut File::open(path)?, &mut copy)?;
    copy.set_permissions(Permissions::from_mode(0o500))?;
    // A file that is open to be written does not run.
    File::open(own_file(&copy))
}

/// The path of an open file, in this process and those that it starts.
fn own_file(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// Where builds are kept, and copies of executables while they run.
#[derive(Debug)]
pub struct Builds {
    /// Cargo's target folder for builds.
    folder: PathBuf,
}

impl Builds {
    /// Those in `folder`, which is made if it is not there.
    pub fn new(folder: &Path) -> Result<Self> {
        let made = fs::create_dir_all(folder).and_then(|()| fs::canonicalize(folder));
        let shown = folder.display();
        Ok(Self { folder: made.with_context(|| format!("cannot make the folder {shown}"))? })
    }

    /// An executable that is there.
    pub fn executable(&self, path: &Path) -> Result<Build> {
        Build::of_executable(path, &self.folder)
    }

    /// This program, whatever has become of its file since it was started.
    pub fn this_program(&self) -> Result<Build> {
        self.executable(Path::new("/proc/self/exe"))
    }

    /// Builds `revision`, or the sources as they are.
    pub fn revision(&self, revision: &str, interrupted: &AtomicBool) -> Result<Build> {
        let repository = Repository::here()?;
        let commit = match revision {
            WORKTREE => None,
            _ => Some(resolve(Path::new("."), revision)?),
        };
        let configs = identity::configs_above(repository.top.as_deref().unwrap_or(Path::new("/")));
        let site = Site::new(&repository, &self.folder, interrupted)?;
        site.keep(revision, commit, "", &configs, |sources, part| {
            let built = site.cargo(sources, &configs)?;
            fs::copy(&built, part).with_context(|| format!("cannot keep {}", built.display()))?;
            Ok(())
        })
    }

    /// Builds `commit` by a command of the shell, run where its files are, that puts an
    /// executable where [`EXECUTABLE`] says.
    pub fn by_command(
        &self,
        command: &str,
        commit: &str,
        interrupted: &AtomicBool,
    ) -> Result<Build> {
        let repository = Repository::here()?;
        let site = Site::new(&repository, &self.folder, interrupted)?;
        site.keep(commit, Some(commit.to_owned()), command, &[], |sources, part| {
            let mut shell = Command::new("sh");
            shell.args(["-c", command]).env(EXECUTABLE, part);
            shell.env(COMMIT_VARIABLE, commit).current_dir(sources);
            let output = site.ended(shell.stdout(Stdio::null()))?;
            if !output.status.success() {
                bail!("`{command}` ended with {}", output.status);
            }
            if !part.is_file() {
                bail!("`{command}` has put no executable where {EXECUTABLE} says");
            }
            Ok(())
        })
    }
}

/// A note on builds with these names, which are one and the same.
pub fn same_executable(names: &[&str]) -> String {
    let (last, others) = names.split_last().unwrap_or((&"", &[]));
    format!(
        "{} and {last} are the same executable: what differs between them is noise",
        others.join(", ")
    )
}

/// The place where a build is made. Others wait until it is dropped.
struct Site<'a> {
    repository: &'a Repository,
    interrupted: &'a AtomicBool,
    builds: &'a Path,
    sources: PathBuf,
    _lock: File,
}

impl<'a> Site<'a> {
    fn new(
        repository: &'a Repository,
        builds: &'a Path,
        interrupted: &'a AtomicBool,
    ) -> Result<Self> {
        let path = builds.join("lock");
        let failed = || format!("cannot lock {}", path.display());
        let lock = File::create(&path).with_context(failed)?;
        let mut is_told = false;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(error).with_context(failed),
                Err(TryLockError::WouldBlock) if interrupted.load(Ordering::Relaxed) => {
                    bail!("interrupted")
                }
                Err(TryLockError::WouldBlock) => {
                    if !is_told {
                        tell(&format!("waiting for another build in {}", builds.display()));
                        is_told = true;
                    }
                    thread::sleep(LOOK);
                }
            }
        }
        // Outside of the repository: cargo reads settings in all folders above, and those of
        // the worktree are not those of a commit.
        let user = fs::metadata("/proc/self").map_or(0, |own| own.uid());
        let of_folder = digest::of(builds.as_os_str().as_encoded_bytes(), 8);
        let sources = std::env::temp_dir().join(format!("cudamark-build-{user}-{of_folder}"));
        Ok(Self { repository, interrupted, builds, sources, _lock: lock })
    }

    /// The build of `revision`, made by `make` unless it is kept.
    fn keep(
        &self,
        revision: &str,
        commit: Option<String>,
        command: &str,
        configs: &[PathBuf],
        make: impl FnOnce(&Path, &Path) -> Result<()>,
    ) -> Result<Build> {
        let failed = || format!("cannot build {revision}");
        let sources = Sources::new(&self.sources)?;
        let (described, content) = match &commit {
            Some(commit) => {
                self.repository.check_out(commit, &sources.0).with_context(failed)?;
                (Some(commit.clone()), commit.clone())
            }
            None => {
                let target = self.builds.parent().and_then(Path::parent);
                let target = target.unwrap_or(self.builds);
                let copied = self.repository.copy_worktree(&sources.0, target);
                (self.repository.described(), copied.with_context(failed)?)
            }
        };
        let around = identity::around(&self.folder_of(&sources.0), configs);
        let prefix = self.repository.prefix.display();
        let named = format!("{content}\n{prefix}\n{command}\n{around}");
        let identity = digest::of(named, 16);
        let folder = self.builds.join("kept");
        let kept = folder.join(format!("{}-{identity}", commit.as_deref().unwrap_or(WORKTREE)));
        if !kept.exists() {
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
            // A file that is cut short must not be taken for the build.
            let part = folder.join("part");
            // It is there where a process was killed.
            let _ = fs::remove_file(&part);
            let made = make(&sources.0, &part).with_context(failed);
            if made.is_err() {
                let _ = fs::remove_file(&part);
            }
            made?;
            File::open(&part)
                .and_then(|file| file.sync_all())
                .and_then(|()| fs::rename(&part, &kept))
                .with_context(|| format!("cannot keep {}", kept.display()))?;
            if commit.is_none() {
                // A worktree is edited and built again and again: the last build is kept.
                remove_others(&folder, &kept);
            }
        }
        let mut build = Build::of_executable(&kept, self.builds)?;
        build.name = revision.to_owned();
        build.commit = commit;
        build.identity = Some(identity);
        build.described = described;
        Ok(build)
    }

    /// Where cargo is run: as far from the top as the user is, or as the revision goes.
    fn folder_of(&self, sources: &Path) -> PathBuf {
        let folder = sources.join(&self.repository.prefix);
        let mut above = folder.ancestors();
        let there = above.find(|folder| folder.is_dir());
        there.unwrap_or(sources).to_owned()
    }

    /// Builds the command from `sources`; returns where cargo says that it is.
    fn cargo(&self, sources: &Path, configs: &[PathBuf]) -> Result<PathBuf> {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--locked", "-p", "cudamark", "--bin", "cudamark"]);
        cargo.arg("--message-format=json-render-diagnostics");
        cargo.arg("--target-dir").arg(self.builds);
        let configs = configs.iter().map(PathBuf::as_path);
        cargo.args(configs.flat_map(|path| [OsStr::new("--config"), path.as_os_str()]));
        cargo.current_dir(self.folder_of(sources));
        let output = self.ended(cargo.stdout(Stdio::piped()))?;
        if !output.status.success() {
            bail!("cargo build ended with {}", output.status);
        }
        for message in Message::parse_stream(&*output.stdout) {
            let message = message.context("cannot read what cargo says it has built")?;
            if let Message::CompilerArtifact(artifact) = message
                && artifact.target.is_bin()
                && artifact.target.name == "cudamark"
                && let Some(executable) = artifact.executable
            {
                return Ok(executable.into());
            }
        }
        bail!("cargo build names no executable `cudamark` of it")
    }

    /// Runs a command to its end, or ends it and all that it has started when a signal asks
    /// for that.
    fn ended(&self, command: &mut Command) -> Result<Output> {
        let shown = command.get_program().to_string_lossy().into_owned();
        // A group of its own: a signal that reaches this process alone is passed on to all.
        let child = outside_hooks(command)
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot run {shown}"))?;
        let group = Pid::from_raw(child.id() as i32);
        let is_over = AtomicBool::new(false);
        let output = thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    if self.interrupted.load(Ordering::Relaxed) {
                        // It may have ended by itself.
                        let _ = killpg(group, Signal::SIGTERM);
                        break;
                    }
                    thread::sleep(LOOK);
                }
            });
            let output = child.wait_with_output();
            is_over.store(true, Ordering::Relaxed);
            output
        });
        if self.interrupted.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        output.with_context(|| format!("cannot run {shown}"))
    }
}

fn remove_others(folder: &Path, kept: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_worktree = entry.file_name().to_string_lossy().starts_with(WORKTREE);
        if is_worktree && entry.path() != kept {
            // One that stays takes room and nothing else.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The folder that sources are built in, which goes when it is dropped.
struct Sources(PathBuf);

impl Sources {
    fn new(path: &Path) -> Result<Self> {
        let removed = match fs::remove_dir_all(path) {
            // Remains of a killed process go first: `Drop` would have removed it.
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => DirBuilder::new().mode(0o700).create(path),
        };
        removed.with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
