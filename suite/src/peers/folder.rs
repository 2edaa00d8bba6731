//! The folder for the files that inputs reach peers by: on the memory file system where
//! there is one with room enough, for a disk would be waited for.

use crate::error::Error;
use std::env;
use std::path::{Path, PathBuf};

use host::error::Bytes;
use tempfile::TempDir;

/// File system in memory.
const MEMORY: &str = "/dev/shm";
/// Bytes that a file system keeps free beside what is written there.
const SPARE: u64 = 64 << 20;

/// A folder for an input of `bytes` bytes and one result: see `folder`.
pub(crate) fn input_folder(bytes: u64) -> Result<TempDir, Error> {
    folder(&[Path::new(MEMORY), &env::temp_dir()], bytes)
}

/// A new folder, gone with its owner, on the first of these file systems that has room
/// for an input of `bytes` bytes and one result.
fn folder(places: &[&Path], bytes: u64) -> Result<TempDir, Error> {
    let needed = bytes.saturating_mul(2).saturating_add(SPARE);
    let mut tried = Vec::new();
    for place in places {
        let available = available(place);
        if available >= needed
            && let Ok(folder) = tempfile::Builder::new().prefix("cudamark-").tempdir_in(place)
        {
            return Ok(folder);
        }
        tried.push(format!("{} has {}", place.display(), Bytes(available)));
    }
    Err(Error::File {
        path: PathBuf::from(places.last().unwrap_or(&Path::new(MEMORY))),
        reason: format!(
            "inputs and results need {} and {}; set TMPDIR to a folder with more, or choose a \
             smaller n",
            Bytes(needed),
            tried.join(", ")
        ),
    })
}

/// Bytes free for this user on the file system of `place`; 0 where there is none.
fn available(place: &Path) -> u64 {
    let about = nix::sys::statvfs::statvfs(place);
    about.map_or(0, |about| about.blocks_available().saturating_mul(about.fragment_size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_without_room_is_passed_over() {
        let good = tempfile::tempdir().unwrap();
        let none = Path::new("/no/such/folder");
        let folder = folder(&[none, good.path()], 1000).unwrap();
        assert!(folder.path().starts_with(good.path()));
    }

    #[test]
    fn no_room_anywhere_names_the_figures() {
        let error = folder(&[Path::new("/no/such/folder")], 1 << 60).unwrap_err();
        let message = error.to_string();
        let expected = "/no/such/folder: inputs and results need 2.3 EB and \
                        /no/such/folder has 0 bytes; set TMPDIR";
        assert!(message.starts_with(expected), "{message}");
    }
}
