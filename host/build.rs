//! Compiles the kernels to PTX, for a portable baseline and for what gains by more,
//! and lists the texts for `src/gpu/kernels.rs`. Without a kernel compiler the list
//! is empty, and the program says so when it is asked for a GPU.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use cuda_builder::{CudaBuilder, CudaBuilderError, NvvmArch};

/// Newest first, each with the compute capability from which on it runs.
const ARCHITECTURES: [(NvvmArch, (u32, u32)); 2] =
    [(NvvmArch::Compute90, (9, 0)), (NvvmArch::Compute75, (7, 5))];

fn main() {
    if let Err(message) = build() {
        eprintln!("{message}");
        std::process::exit(1);
    }
}

fn build() -> Result<(), String> {
    let out = env::var("OUT_DIR").map_err(|error| format!("OUT_DIR: {error}"))?;
    let mut list = String::from("&[\n");
    for (arch, (major, minor)) in ARCHITECTURES {
        let copy = Path::new(&out).join(format!("kernels_{major}{minor}.ptx"));
        let mut builder = CudaBuilder::new("../gpu-kernels").arch(arch).copy_to(&copy);
        if env::var_os("CARGO_FEATURE_TUNE").is_some() {
            builder = builder.rustc_arg("--cfg=sweep");
        }
        match builder.build() {
            Ok(_) => writeln!(
                list,
                "Ptx {{ capability: ({major}, {minor}), text: include_str!({copy:?}) }},"
            )
            .map_err(|error| error.to_string())?,
            Err(error @ CudaBuilderError::NoCompiler { .. }) => {
                println!("cargo:warning=building without GPU kernels: {error}");
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    list.push_str("]\n");
    fs::write(Path::new(&out).join("embedded_ptx.rs"), list)
        .map_err(|error| format!("{out}/embedded_ptx.rs: {error}"))
}
