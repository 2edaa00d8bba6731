//! Files that are written at the end of long work, and opened at its start: a file
//! that cannot be written is reported before anything is measured. And words to the user,
//! which end no work if there is nobody to hear them.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Says a line on standard error, as `eprintln` does. Where that is closed nobody is left
/// to tell, and what was being done goes on.
#[macro_export]
macro_rules! tell {
    ($($line:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), $($line)*);
    }};
}

/// A file that is open for writing and keeps what it held until then.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    file: File,
    /// Whether it was made by `open` and has not been written yet.
    empty: bool,
}

impl Output {
    /// Opens `path` for writing; what it holds stays until [`write`](Self::write).
    pub fn open(path: &Path) -> Result<Self> {
        let existed = path.exists();
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            empty: !existed,
        })
    }

    /// Replaces what the file holds with `text`.
    pub fn write(mut self, text: &str) -> Result<()> {
        self.replace(text)
            .with_context(|| format!("cannot write {}", self.path.display()))?;
        self.empty = false;
        Ok(())
    }

    fn replace(&mut self, text: &str) -> io::Result<()> {
        // What is no regular file (a pipe, a device) has nothing to cut off.
        if self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
        }
        self.file.write_all(text.as_bytes())
    }
}

impl Drop for Output {
    /// Leaves no empty file behind when the work came to nothing.
    fn drop(&mut self) {
        if self.empty {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
