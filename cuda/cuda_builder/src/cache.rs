//! The folder of all build results, each named by the hash of its sources.
//!
//! An entry is a folder that is complete as soon as it has its name: it is filled under
//! a temporary name and then renamed, so builds may run at once, in threads or in
//! processes, and a build that is killed leaves nothing half done in the way. If two
//! builds make one entry, that of the first to finish stays.

use crate::CudaBuilderError;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Hashes fields, each with its length, so that no two lists of fields are alike.
#[derive(Default)]
pub(crate) struct Key(Sha256);

impl Key {
    pub(crate) fn field(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds every file of a folder, by its path from there and its contents.
    pub(crate) fn folder(&mut self, folder: &Path) -> Result<&mut Self, CudaBuilderError> {
        let mut names: Vec<PathBuf> = fs::read_dir(folder)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
            .map_err(CudaBuilderError::io("read", folder))?;
        names.sort();
        self.field((names.len() as u64).to_le_bytes());
        for path in names {
            let name = path.file_name().unwrap_or_default();
            self.field(name.as_encoded_bytes());
            if path.is_dir() {
                self.folder(&path)?;
            } else {
                let contents = fs::read(&path).map_err(CudaBuilderError::io("read", &path))?;
                self.field(contents);
            }
        }
        Ok(self)
    }

    /// 32 hexadecimal digits.
    pub(crate) fn finish(&mut self) -> String {
        let digest = std::mem::take(&mut self.0).finalize();
        digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The folder of all entries.
#[derive(Clone, Debug)]
pub(crate) struct Cache(PathBuf);

impl Cache {
    pub(crate) fn open(folder: PathBuf) -> Result<Self, CudaBuilderError> {
        fs::create_dir_all(&folder).map_err(CudaBuilderError::io("create", &folder))?;
        let folder =
            std::path::absolute(&folder).map_err(CudaBuilderError::io("locate", &folder))?;
        Ok(Self(folder))
    }

    /// The path of the entry of this name, which may not be there yet.
    pub(crate) fn entry(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes an entry: `fill` writes into the folder it is given.
    pub(crate) fn make(
        &self,
        name: &str,
        fill: impl FnOnce(&Path) -> Result<(), CudaBuilderError>,
    ) -> Result<PathBuf, CudaBuilderError> {
        let temporary = tempfile::Builder::new()
            .prefix("unfinished-")
            .tempdir_in(&self.0)
            .map_err(CudaBuilderError::io("create a folder in", &self.0))?;
        fill(temporary.path())?;
        let entry = self.entry(name);
        match fs::rename(temporary.path(), &entry) {
            Ok(()) => {
                // The folder has left: there is nothing to remove.
                let _ = temporary.keep();
            }
            // Another build was faster, and made the same.
            Err(_) if entry.is_dir() => {}
            Err(error) => return Err(CudaBuilderError::io("create", &entry)(error)),
        }
        Ok(entry)
    }

    /// Waits for the lock of this name. It lasts until the file is dropped.
    pub(crate) fn lock(&self, name: &str) -> Result<fs::File, CudaBuilderError> {
        let path = self.0.join(format!("{name}.lock"));
        let file = fs::File::create(&path).map_err(CudaBuilderError::io("create", &path))?;
        file.lock().map_err(CudaBuilderError::io("lock", &path))?;
        Ok(file)
    }
}

/// Writes a file, whole or not at all. A file that has these contents is left alone, so
/// that its dependents are not built again.
pub(crate) fn write_if_changed(path: &Path, contents: &[u8]) -> Result<(), CudaBuilderError> {
    if fs::read(path).is_ok_and(|present| present == contents) {
        return Ok(());
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Temporary files are private to the user; build results are not.
    let mode = fs::Permissions::from_mode(0o644);
    let temporary = tempfile::Builder::new().permissions(mode).tempfile_in(folder);
    let written = temporary.and_then(|mut file| {
        file.write_all(contents)?;
        file.persist(path).map_err(|error| error.error)
    });
    written.map(drop).map_err(CudaBuilderError::io("write", path))
}
