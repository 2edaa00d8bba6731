//! Files that commands write. A file is replaced by a whole one or not at all: the new one
//! is written beside it and renamed over it. Its permissions stay, and a symbolic link goes
//! on naming what it named.
//!
//! A file is opened when the work starts, so that one that cannot be written is reported
//! before anything is measured, and touched when there is something to put there. A pipe, a
//! device or this process's own standard output is written to as it is.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tempfile::{Builder, NamedTempFile};

/// Permissions of a new file, of which the process's mask takes its part.
const NEW: u32 = 0o666;

/// Links to follow before a path counts as a circle.
const MOST_LINKS: usize = 40;

/// Says a line on standard error, as `eprintln` does. Where that is closed nobody is left
/// to tell, and what was being done goes on.
#[macro_export]
macro_rules! tell {
    ($($line:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), $($line)*);
    }};
}

/// A file that is to be written.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    target: Target,
    /// Text that goes before what is added next.
    pending: String,
}

#[derive(Debug)]
enum Target {
    /// Takes what comes: a pipe, or a new file that has replaced the old one.
    Stream(File),
    /// A file that is replaced, or made.
    File(PathBuf),
}

impl Output {
    /// Opens `path` for writing; what it holds stays.
    pub fn open(path: &Path) -> Result<Self> {
        let target = target(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path: path.to_owned(), target, pending: String::new() })
    }

    /// Opens those of `paths` that are given.
    pub fn open_all<const N: usize>(paths: [Option<&Path>; N]) -> Result<[Option<Self>; N]> {
        let mut outputs = [const { None }; N];
        for (index, path) in paths.into_iter().enumerate() {
            let Some(path) = path else { continue };
            let output = Self::open(path)?;
            let mut before = outputs[..index].iter().flatten();
            if before.any(|other: &Self| other.is_same(&output)) {
                bail!("{} is named for two outputs; give each its own file", path.display());
            }
            outputs[index] = Some(output);
        }
        Ok(outputs)
    }

    fn is_same(&self, other: &Self) -> bool {
        match (&self.target, &other.target) {
            (Target::File(one), Target::File(other)) => one == other,
            _ => false,
        }
    }

    /// Writes `text`, which is all there is.
    pub fn write(mut self, text: &str) -> Result<()> {
        self.add(text)
    }

    /// Adds `text`, which alone replaces nothing: it waits for what is added next.
    pub fn hold(&mut self, text: &str) -> Result<()> {
        if matches!(self.target, Target::Stream(_)) {
            return self.add(text);
        }
        self.pending += text;
        Ok(())
    }

    /// Adds `text`, in one call to the system. The first replaces what the file held.
    pub fn add(&mut self, text: &str) -> Result<()> {
        let text = std::mem::take(&mut self.pending) + text;
        let added = match &mut self.target {
            Target::Stream(file) => file.write_all(text.as_bytes()),
            Target::File(path) => {
                let replaced = put(path, text.as_bytes());
                replaced.map(|file| self.target = Target::Stream(file))
            }
        };
        added.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// A value as JSON of several lines, as it is written to files and printed.
pub fn json(value: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string_pretty(value).context("cannot write JSON")? + "\n")
}

/// Replaces the file `path` by one that holds `contents`, and makes the folders above it.
pub fn replace(path: &Path, contents: &[u8]) -> Result<()> {
    let replaced =
        path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| match target(path)? {
            Target::Stream(mut file) => file.write_all(contents),
            Target::File(path) => put(&path, contents).map(drop),
        });
    replaced.with_context(|| format!("cannot write {}", path.display()))
}

/// Refuses the file `path`, if there is one, that may not be written to or that [`put`] made
/// for one who still writes: what that adds later would be lost with the file.
fn require_free(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(file) => match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(io::Error::other(
                "something else is writing it; name another file, or wait until that has ended",
            )),
            // A file system without locks tells nobody apart.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
        },
    }
}

/// Where to write for `path`.
fn target(path: &Path) -> io::Result<Target> {
    match fs::metadata(path) {
        Ok(there) => {
            for own in [io::stdout().as_fd(), io::stderr().as_fd()] {
                if let Some(file) = same_file(own, &there)? {
                    return Ok(Target::Stream(file));
                }
            }
            if !there.is_file() {
                return OpenOptions::new().write(true).open(path).map(Target::Stream);
            }
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    let path = followed(path)?;
    let folder = folder_of(&path);
    let path = match path.file_name() {
        Some(name) if !path.as_os_str().as_bytes().ends_with(b"/") => {
            fs::canonicalize(folder)?.join(name)
        }
        _ => return Err(io::ErrorKind::IsADirectory.into()),
    };
    // A file that may not be written to is not replaced either.
    require_free(&path)?;
    // A file without a name, of which nothing stays however this process ends.
    tempfile::tempfile_in(folder_of(&path)).map_err(|error| {
        let said = format!("no file can be made in its folder: {error}");
        io::Error::new(error.kind(), said)
    })?;
    Ok(Target::File(path))
}

/// `own`, where it is the file `there`: `/dev/stdout` of a process whose output goes to a
/// file.
fn same_file(own: BorrowedFd<'_>, there: &fs::Metadata) -> io::Result<Option<File>> {
    let Ok(file) = own.try_clone_to_owned().map(File::from) else {
        // It is closed.
        return Ok(None);
    };
    let meta = file.metadata()?;
    let is_same = (meta.dev(), meta.ino()) == (there.dev(), there.ino());
    Ok(is_same.then_some(file))
}

/// The target of a chain of symbolic links, which need not exist.
fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            Ok(link) => path = folder_of(&path).join(link),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("its symbolic links lead in a circle"))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Replaces `path` by a new file, once all of `contents` is on the disk. The file is locked
/// until it is closed, and shared with readers.
fn put(path: &Path, contents: &[u8]) -> io::Result<File> {
    let mut new: NamedTempFile =
        Builder::new().permissions(Permissions::from_mode(NEW)).tempfile_in(folder_of(path))?;
    if let Ok(old) = fs::metadata(path) {
        new.as_file().set_permissions(old.permissions())?;
    }
    new.write_all(contents)?;
    new.as_file().sync_all()?;
    let _ = new.as_file().try_lock_shared();
    require_free(path)?;
    // Where it cannot be renamed (a file that is mounted), its contents are not lost.
    new.persist(path).map_err(|failed| {
        let (error, new) = (failed.error, failed.file);
        match new.keep() {
            Ok((_, kept)) => {
                let said = format!("{error}; the new contents are in {}", kept.display());
                io::Error::new(error.kind(), said)
            }
            Err(_) => error,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn nothing_is_touched_until_there_is_something_to_write() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        fs::write(&old, "before").unwrap();
        let mut outputs = [&old, &new].map(|path| Output::open(path).unwrap());
        for output in &mut outputs {
            output.hold("head\n").unwrap();
        }
        assert_eq!(names(folder.path()), ["old"]);
        assert_eq!(fs::read_to_string(&old).unwrap(), "before");
        for output in &mut outputs {
            output.add("1\n").unwrap();
            output.add("2\n").unwrap();
        }
        for path in [old, new] {
            assert_eq!(fs::read_to_string(path).unwrap(), "head\n1\n2\n");
        }
        assert_eq!(names(folder.path()), ["new", "old"]);
    }

    #[test]
    fn the_name_of_a_folder_that_is_not_there_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = Output::open(&folder.path().join("none/")).unwrap_err();
        assert!(format!("{error:#}").ends_with("none/: is a directory"), "{error:#}");
    }

    #[test]
    fn permissions_stay_and_links_name_what_they_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("below")).unwrap();
        fs::write(at("below/file"), "before").unwrap();
        fs::set_permissions(at("below/file"), Permissions::from_mode(0o640)).unwrap();
        symlink("below/file", at("link")).unwrap();
        symlink("below/none", at("dangling")).unwrap();
        symlink("circle", at("circle")).unwrap();
        for link in ["link", "dangling"] {
            replace(&at(link), b"after").unwrap();
            assert!(at(link).is_symlink());
            assert_eq!(fs::read(at(link)).unwrap(), b"after");
        }
        let mode = |name: &str| fs::metadata(at(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("below/file"), 0o640);
        // As any new file.
        fs::write(at("plain"), "").unwrap();
        assert_eq!(mode("below/none"), mode("plain"));
        assert!(replace(&at("circle"), b"").is_err());
        assert!(replace(folder.path(), b"").is_err());
    }

    #[test]
    fn a_file_that_is_being_written_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let [mut first, mut second] = [(); 2].map(|()| Output::open(&path).unwrap());
        first.add("1\n").unwrap();
        for refused in [second.add("lost\n"), Output::open(&path).map(drop)] {
            let error = format!("{:#}", refused.unwrap_err());
            assert!(error.contains("something else is writing it"), "{error}");
        }
        first.add("2\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n2\n");
        drop(first);
        second.add("after\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "after\n");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn one_file_for_two_outputs_is_refused_however_it_is_spelt() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let other = folder.path().join("./file");
        let error = Output::open_all([Some(&*path), None, Some(&*other)]).unwrap_err();
        assert!(error.to_string().contains("its own file"), "{error}");
        let null = Some(Path::new("/dev/null"));
        Output::open_all([null, null]).unwrap();
        assert!(names(folder.path()).is_empty());
    }
}
