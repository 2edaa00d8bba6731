//! What can go wrong with a peer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::engine::skip_line;
use crate::error::Error;

/// Why a contender has no figure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// It cannot run on this machine: no failure, and no result either.
    #[error("{}", skip_line(peer, reason))]
    Skipped {
        /// Name of the peer.
        peer: String,
        /// What is missing.
        reason: String,
    },

    /// Its process could not be started.
    #[error("{peer}: cannot start `{program}`: {reason}")]
    Start {
        /// Name of the peer.
        peer: String,
        /// What was to be run.
        program: String,
        /// The system's message.
        reason: String,
    },

    /// Its process ended before it answered.
    #[error("{peer}: ended ({status}) at `{request}`; it last said: {said}")]
    Ended {
        /// Name of the peer.
        peer: String,
        /// What it had been asked.
        request: String,
        /// How it ended.
        status: String,
        /// The last line it wrote to standard error.
        said: String,
    },

    /// It did not answer in time, and was stopped.
    #[error("{peer}: no answer to `{request}` in {} s; stopped", .limit.as_secs_f64())]
    TimedOut {
        /// Name of the peer.
        peer: String,
        /// What it had been asked.
        request: String,
        /// How long it was waited for.
        limit: Duration,
    },

    /// It said what the protocol does not allow.
    #[error("{peer}: answered `{request}` with `{answer}`: {reason}")]
    Protocol {
        /// Name of the peer.
        peer: String,
        /// What it had been asked.
        request: String,
        /// The line it said.
        answer: String,
        /// What is wrong with it.
        reason: String,
    },

    /// It reported an error and goes on.
    #[error("{peer}: `{request}`: {reason}")]
    Refused {
        /// Name of the peer.
        peer: String,
        /// What it had been asked.
        request: String,
        /// What it says.
        reason: String,
    },

    /// It runs on another GPU than ours.
    #[error("{peer}: runs on {theirs}, and ours on {ours}; set CUDA_VISIBLE_DEVICES to one GPU")]
    OtherDevice {
        /// Name of the peer.
        peer: String,
        /// Product name of its GPU.
        theirs: String,
        /// Product name of ours.
        ours: String,
    },

    /// Its result is not the sorted input. Its times must not be used.
    #[error("{peer}: wrong result: {difference}")]
    WrongResult {
        /// Name of the peer.
        peer: String,
        /// What differs from the sorted input.
        difference: String,
    },

    /// A file for it, or of its, cannot be written or read.
    #[error("{}: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's message.
        reason: String,
    },

    /// Ours failed.
    #[error(transparent)]
    Ours(#[from] Error),
}

impl From<host::Error> for PeerError {
    fn from(error: host::Error) -> Self {
        Self::Ours(error.into())
    }
}

impl PeerError {
    /// Whether the peer's process is of no further use.
    pub fn ends_the_peer(&self) -> bool {
        matches!(self, Self::Ended { .. } | Self::TimedOut { .. } | Self::Protocol { .. })
    }

    /// Turns what the system says of a file into an error that names it.
    pub(crate) fn file(path: &Path) -> impl Fn(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::File { path: path.clone(), reason: error.to_string() }
    }
}
