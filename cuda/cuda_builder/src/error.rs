//! Errors, each with its remedy.

use crate::lint::Violation;
use std::fmt;
use std::path::{Path, PathBuf};

/// The reason why there is no PTX. `Debug` writes what `Display` does, because a build script
/// most often ends in `.build().unwrap()`.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum CudaBuilderError {
    /// Nothing on this machine can compile kernels. A build script may go on without kernels then.
    #[error(
        "no kernel compiler found; run `rustup toolchain install {} --component rust-src`, or \
         `cargo xtask setup` in a checkout of cudamark ({})",
        release, looked.join("; ")
    )]
    NoCompiler {
        /// The release that the crate pins by `toolchain` in `[package.metadata.cuda_builder]`, or
        /// one that serves.
        release: String,
        /// Each place that was looked at, and why it does not serve.
        looked: Vec<String>,
    },

    /// `CUDA_BUILDER_RUSTC` names something that cannot compile kernels.
    #[error(
        "CUDA_BUILDER_RUSTC={value} cannot be used: {reason}; name another compiler or unset the variable"
    )]
    UnusableCompiler {
        /// The variable's value.
        value: String,
        /// The reason.
        reason: String,
    },

    /// `cargo metadata` said no.
    #[error("cannot read {}: {message}", manifest.display())]
    Metadata {
        /// The `Cargo.toml` asked about.
        manifest: PathBuf,
        /// Cargo's own words.
        message: String,
    },

    /// The crate uses something that only cargo can do.
    #[error("crate `{krate}` cannot be built for the device: {reason}")]
    Unsupported {
        /// The crate.
        krate: String,
        /// The feature it uses, and the remedy.
        reason: String,
    },

    /// The builder has no such option: its compiler is rustc and not NVIDIA's.
    #[error("CudaBuilder::{option} cannot be followed: {reason}")]
    Option {
        /// The method and its argument.
        option: String,
        /// The reason, and what to do instead.
        reason: &'static str,
    },

    /// The compiler refused the source.
    #[error("cannot compile `{krate}` for {target}:\n{message}")]
    Compile {
        /// The crate.
        krate: String,
        /// The architecture, or `the host` for a procedural macro.
        target: String,
        /// The compiler's own words.
        message: String,
    },

    /// The launch bounds in the PTX make no sense.
    #[error("{0}")]
    LaunchBounds(String),

    /// The PTX has what kernels must not have.
    #[error("{} in {}{}", counted(violations.len()), ptx.display(), listed(violations))]
    Lint {
        /// The PTX that the line numbers are of.
        ptx: PathBuf,
        /// All violations.
        violations: Vec<Violation>,
    },

    /// A file or a process could not be used.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The action, as a verb.
        action: &'static str,
        /// The file or program.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl fmt::Debug for CudaBuilderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl CudaBuilderError {
    /// For `map_err`: `action` on `path` failed.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

fn counted(violations: usize) -> String {
    match violations {
        1 => "1 lint violation".to_owned(),
        n => format!("{n} lint violations"),
    }
}

/// One line each, indented, below the line that introduces them.
fn listed(violations: &[Violation]) -> String {
    violations.iter().map(|violation| format!("\n  {violation}")).collect()
}
