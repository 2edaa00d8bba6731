//! Builds the kernel crate in a folder: `cargo run -p cuda_builder --example build_ptx FOLDER`.

use cuda_builder::{CudaBuilder, CudaBuilderError};

fn main() -> Result<(), CudaBuilderError> {
    for folder in std::env::args_os().skip(1) {
        let build = CudaBuilder::new(folder).build_with_info()?;
        build.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
        println!("{}", build.ptx.display());
    }
    Ok(())
}
