//! Compiles the kernels to PTX, for a portable baseline and for what gains by more, side by side,
//! and lists the texts, packed, for `src/gpu/kernels.rs`. Without a kernel compiler the list is
//! empty, and the program says so when it is asked for a GPU.

use std::io::Write;
use std::path::PathBuf;
use std::{env, fs, io, thread};

use cuda_builder::{CudaBuilder, CudaBuilderError, Lint, NvvmArch};
use lzma_rust2::{LzipOptions, LzipWriter};
use sha2::{Digest, Sha256};

/// Newest first, each with the compute capability from which on it runs.
const ARCHITECTURES: [(NvvmArch, (u32, u32)); 2] =
    [(NvvmArch::Compute90, (9, 0)), (NvvmArch::Compute75, (7, 5))];

/// A text, and the file that is embedded of it.
struct Compiled {
    text: Vec<u8>,
    packed: PathBuf,
}

fn main() {
    if let Err(message) = build() {
        eprintln!("{message}");
        std::process::exit(1);
    }
}

fn build() -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let builds = ARCHITECTURES.map(|(arch, (major, minor))| {
        let packed = out.join(format!("kernels_{major}{minor}.ptx.lz"));
        thread::spawn(move || compile(arch, packed))
    });
    let mut list = Vec::new();
    let mut hash = Sha256::new();
    for (build, (_, capability)) in builds.into_iter().zip(ARCHITECTURES) {
        let built = build.join().map_err(|_| "a build of the kernels panicked")?;
        if let Some(Compiled { text, packed }) = built? {
            hash.update(text);
            list.push(format!("Ptx::new({capability:?}, include_bytes!({packed:?}))"));
        }
    }
    let hash = hash.finalize();
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = format!(
        "const SHA256: &str = {hash:?};\nstatic EMBEDDED: [Ptx; {}] = [{}];\n",
        list.len(),
        list.join(", ")
    );
    let path = out.join("embedded_ptx.rs");
    fs::write(&path, list).map_err(|error| format!("{}: {error}", path.display()))
}

/// Compiles and packs; none without a compiler.
fn compile(arch: NvvmArch, packed: PathBuf) -> Result<Option<Compiled>, String> {
    let mut builder = CudaBuilder::new("../gpu-kernels").arch(arch).lint(Lint::Deny);
    if env::var_os("CARGO_FEATURE_TUNE").is_some() {
        builder = builder.rustc_arg("--cfg=sweep");
    }
    let ptx = match builder.build() {
        Ok(ptx) => ptx,
        Err(error @ CudaBuilderError::NoCompiler { .. }) => {
            println!("cargo:warning=building without GPU kernels: {error}");
            return Ok(None);
        }
        Err(error) => return Err(error.to_string()),
    };
    let read_and_pack = || {
        let text = fs::read(&ptx)?;
        // Twice as fast as the default, and 2 % larger.
        let mut encoder = LzipWriter::new(Vec::new(), LzipOptions::with_preset(2));
        encoder.write_all(&text)?;
        fs::write(&packed, encoder.finish()?)?;
        Ok::<_, io::Error>(text)
    };
    let text = read_and_pack().map_err(|error| format!("{}: {error}", packed.display()))?;
    Ok(Some(Compiled { text, packed }))
}
