//! SHA-256, in hexadecimal digits.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use suite::environment::hexadecimal;

pub(crate) fn of_file(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(of(bytes, 64))
}

pub(crate) fn of(bytes: impl AsRef<[u8]>, digits: usize) -> String {
    hexadecimal(&Sha256::digest(bytes))[..digits].to_owned()
}
