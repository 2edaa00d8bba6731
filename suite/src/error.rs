//! What can go wrong in the suite, one variant a cause; each message is one line.

use std::path::PathBuf;

use host::error::NoGpu;

use crate::engine::Unavailable;
use crate::name::{Name, NameError};
use crate::peers::PeerError;
use crate::verify::Difference;
use crate::workload::UnknownDistribution;

/// An error of the suite.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A sort on the GPU failed, or memory is short.
    #[error(transparent)]
    Host(#[from] host::Error),

    /// A concurrency level of zero was asked for.
    #[error("level 0: no thread or stream would do the work; give levels of 1 or more")]
    LevelZero,

    /// A level above what the engine can start.
    #[error("{engine}: level {level} is more than the {limit} it can run; choose a lower level")]
    LevelTooHigh {
        /// Engine that refused.
        engine: &'static str,
        /// Level asked for.
        level: usize,
        /// Highest level the engine takes.
        limit: usize,
    },

    /// A text that is not a list of levels.
    #[error("levels `{text}`: `{item}` is not a whole number of 1 or more; write them like 1,2,4")]
    Levels {
        /// The whole list as given.
        text: String,
        /// The item that could not be read.
        item: String,
    },

    /// No engine has this name.
    #[error("unknown engine `{name}`; known engines: {known}")]
    UnknownEngine {
        /// Name asked for.
        name: String,
        /// Names that exist, separated by commas.
        known: String,
    },

    /// The engine exists, but cannot run on this machine.
    #[error("{}: not available on this machine: {}; choose another engine, or see `cudamark doctor`", .0.engine, .0.reason)]
    Unavailable(Unavailable),

    /// The threads of a level could not be started.
    #[error("{engine}: could not start {level} threads: {reason}; choose a lower level")]
    Threads {
        /// Engine that wanted them.
        engine: &'static str,
        /// Level asked for, a thread each.
        level: usize,
        /// The system's message.
        reason: String,
    },

    /// `sort` was handed more than `prepare` made room for.
    #[error(
        "{engine}: asked to sort {n} elements, prepared for {prepared}; call prepare({n}, level) first"
    )]
    NotPrepared {
        /// Engine that refused.
        engine: &'static str,
        /// Elements handed to `sort`.
        n: usize,
        /// Elements that `prepare` made room for.
        prepared: usize,
    },

    /// A result that is not the sorted input. Its timing must not be used.
    #[error("{engine}: wrong result at level {level}: {difference}")]
    WrongResult {
        /// Engine that produced it.
        engine: &'static str,
        /// Concurrency level it ran at.
        level: usize,
        /// What differs from the sorted input.
        difference: Difference,
    },

    /// A peer failed; or its result was wrong.
    #[error(transparent)]
    Peer(Box<PeerError>),

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
    Wrong(String),

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
        Self::Cell { cell: Box::new(cell.clone()), cause: Box::new(self) }
    }

    /// What the machine lacks, or why this is not measured, if that is what the error
    /// says.
    pub fn lacks(&self) -> Option<&str> {
        match self {
            Self::Unavailable(missing) => Some(&missing.reason),
            Self::Peer(error) => match &**error {
                PeerError::Skipped { reason, .. } => Some(reason),
                _ => None,
            },
            Self::TooLarge(reason) => Some(reason),
            Self::Cell { cause, .. } => cause.lacks(),
            _ => None,
        }
    }

    /// Whether it says that what was asked for is skipped, and nothing is wrong.
    pub fn is_unavailable(&self) -> bool {
        self.lacks().is_some()
    }
}

impl From<PeerError> for Error {
    fn from(error: PeerError) -> Self {
        Self::Peer(Box::new(error))
    }
}

impl From<Unavailable> for Error {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

impl From<NoGpu> for Error {
    fn from(missing: NoGpu) -> Self {
        Self::Unavailable(missing.into())
    }
}

/// The error for a word that is none of `known`.
pub(crate) fn unknown(what: &str, given: &str, known: &[&str]) -> Error {
    Error::Unknown { what: what.to_owned(), given: given.to_owned(), known: known.join(", ") }
}
