//! What can go wrong in the suite, one variant a cause; each message is one line.

use std::path::PathBuf;

use super::name::{Name, NameError};
use crate::engine::Unavailable;
use crate::peers::PeerError;
use crate::workload::UnknownDistribution;

/// An error of the suite.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An engine or the machine failed; or a result was wrong.
    #[error(transparent)]
    Host(#[from] crate::Error),

    /// A peer failed; or its result was wrong.
    #[error(transparent)]
    Peer(#[from] PeerError),

    /// A text that is not the name of a cell.
    #[error(transparent)]
    Name(#[from] NameError),

    /// A distribution that there is not.
    #[error(transparent)]
    Distribution(#[from] UnknownDistribution),

    /// What went wrong in one cell.
    #[error("{cell}: {cause}")]
    Cell {
        /// The cell.
        cell: Box<Name>,
        /// What went wrong.
        cause: Box<Error>,
    },

    /// A word where one of a few was to be.
    #[error("{what} `{given}` is not known here; there are {known}")]
    Unknown {
        /// What the word is for: `engine of classic`.
        what: String,
        /// The word.
        given: String,
        /// The words there are.
        known: String,
    },

    /// A setting that cannot be read.
    #[error("{setting}: `{given}`: {reason}")]
    Setting {
        /// The variable or option.
        setting: &'static str,
        /// What it holds.
        given: String,
        /// Why that is wrong, and what to write.
        reason: String,
    },

    /// Results of another kind than keys that are wrong.
    #[error("wrong result: {0}")]
    WrongResult(String),

    /// Launches that wait for the device, so that what the device takes cannot be timed
    /// apart from what the host does.
    #[error(
        "launches wait for the device, so that what is timed would be the host's launching: {remedy}"
    )]
    Gate {
        /// What makes them wait, and what to do.
        remedy: String,
    },

    /// What a check of the emulator has found.
    #[error("the emulator found: {0}")]
    Finding(String),

    /// More than an engine is measured with, and why.
    #[error("{0}; choose a smaller n")]
    TooLarge(String),

    /// A file that cannot be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },

    /// A records file with a line that is none.
    #[error("{}:{line}: {reason}; the file is damaged or of another version: move it away", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// This error, of one cell.
    pub fn of(self, cell: &Name) -> Self {
        Self::Cell {
            cell: Box::new(cell.clone()),
            cause: Box::new(self),
        }
    }

    /// What the machine lacks, or why this is not measured, if that is what the error
    /// says.
    pub fn lacks(&self) -> Option<&str> {
        match self {
            Self::Host(crate::Error::Unavailable(missing)) => Some(&missing.reason),
            Self::Peer(PeerError::Skipped { reason, .. }) | Self::TooLarge(reason) => Some(reason),
            Self::Cell { cause, .. } => cause.lacks(),
            _ => None,
        }
    }

    /// Whether it says that what was asked for is skipped, and nothing is wrong.
    pub fn is_unavailable(&self) -> bool {
        self.lacks().is_some()
    }
}

impl From<Unavailable> for Error {
    fn from(unavailable: Unavailable) -> Self {
        Self::Host(unavailable.into())
    }
}

/// The error for a word that is none of `known`.
pub(super) fn unknown(what: &str, given: &str, known: &[&str]) -> Error {
    Error::Unknown {
        what: what.to_owned(),
        given: given.to_owned(),
        known: known.join(", "),
    }
}
