//! Options by which a command sorts the keys of a file.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use clap::builder::PossibleValuesParser;
use suite::registry;
use suite::workload::KeyFile;

/// A file of keys in place of drawn ones.
#[derive(Args, Debug, Default)]
pub(crate) struct Keys {
    /// Sort the keys of this file, one of NumPy's .npy or, with --type, of raw little-endian keys.
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,

    /// Type of the keys in a raw file.
    #[arg(
        id = "type", long = "type", value_name = "TYPE", requires = "keys",
        value_parser = PossibleValuesParser::new(registry::key_types())
    )]
    kind: Option<String>,
}

impl Keys {
    /// The file, if one is asked for.
    pub(crate) fn open(&self) -> Result<Option<KeyFile>> {
        let open = |path: &PathBuf| registry::key_file(path, self.kind.as_deref());
        Ok(self.keys.as_ref().map(open).transpose()?)
    }
}
