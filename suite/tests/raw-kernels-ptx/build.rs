//! Compiles the kernels. Without a kernel compiler the text is empty, and the test says so.

use cuda_builder::{CudaBuilder, CudaBuilderError, Lint};
use std::path::PathBuf;
use std::{env, fs, process};

fn main() {
    let ptx = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("raw_kernels.ptx");
    // Some kernels print or take functions of floats, by calls of functions.
    let mut kernels = CudaBuilder::new("../../../examples/raw-kernels").lint(Lint::Allow);
    if env::var_os("CARGO_FEATURE_HALF").is_some() {
        kernels = kernels.build_args(&["--features", "half"]);
    }
    let written = match kernels.copy_to(&ptx).build() {
        Err(CudaBuilderError::NoCompiler { .. }) => {
            fs::write(&ptx, "").map_err(|error| format!("cannot write {}: {error}", ptx.display()))
        }
        other => other.map(drop).map_err(|error| error.to_string()),
    };
    if let Err(error) = written {
        eprintln!("{error}");
        process::exit(1);
    }
}
