//! `cargo xtask ptx`: what becomes of the kernels.

use crate::cargo;
use crate::ptxas::{self, Usage};
use anyhow::{Context, Result, bail};
use cuda_builder::ptx::entries;
use cuda_builder::{CudaBuilder, NvvmArch};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// The architectures that the host crate builds the kernels for.
const BUILT: [NvvmArch; 2] = [NvvmArch::Compute75, NvvmArch::Compute90];

#[derive(clap::Args)]
pub struct Arguments {
    /// Show only kernels with this in their name
    kernel: Option<String>,
    /// Chips to assemble for, such as sm_80: each gets every PTX that it can run
    #[arg(long = "arch", value_name = "CHIP")]
    chips: Vec<NvvmArch>,
    /// Fail if a kernel spills, has a stack frame or uses local memory
    #[arg(long)]
    check: bool,
}

/// One built PTX file.
struct Ptx {
    arch: NvvmArch,
    path: PathBuf,
    /// Bytes of text of each kernel, by name.
    kernels: BTreeMap<String, usize>,
}

pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let chips = match arguments.chips.is_empty() {
        true => BUILT.to_vec(),
        false => arguments.chips,
    };
    let shown = arguments.kernel.unwrap_or_default();
    let files = BUILT
        .into_iter()
        .map(|arch| build(arch, &shown))
        .collect::<Result<Vec<Ptx>>>()?;
    let Some(ptxas) = ptxas::find()? else {
        show_sizes(&files);
        if arguments.check {
            bail!("cannot check: {}", ptxas::HOW_TO_GET);
        }
        println!("{}", ptxas::HOW_TO_GET);
        return Ok(ExitCode::SUCCESS);
    };
    let mut in_memory = Vec::new();
    println!(
        "{:32} {:>6} {:>7} {:>9} {:>9} {:>6} {:>13} {:>7}",
        "kernel", "PTX", "on", "PTX bytes", "registers", "stack", "spill st/ld", "shared"
    );
    for chip in chips {
        for file in files.iter().filter(|file| file.arch <= chip) {
            let usages = ptxas::assemble(&ptxas, &file.path, &chip.to_string())?;
            for (kernel, size) in &file.kernels {
                let usage = usages
                    .get(kernel)
                    .with_context(|| format!("ptxas says nothing of kernel `{kernel}`"))?;
                show(kernel, file.arch, chip, *size, usage);
                if usage.uses_local_memory() {
                    in_memory.push(format!("{kernel} ({} on {chip})", file.arch));
                }
            }
        }
    }
    if arguments.check && !in_memory.is_empty() {
        bail!("spills or local memory in {}", in_memory.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds for one architecture, and keeps the kernels whose names have `shown` in
/// them.
fn build(arch: NvvmArch, shown: &str) -> Result<Ptx> {
    let build = CudaBuilder::new(cargo::kernels())
        .arch(arch)
        .build_with_info()?;
    for warning in &build.warnings {
        eprintln!("warning: {warning}");
    }
    let path = build.ptx;
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let all: BTreeMap<String, usize> = entries(&text)
        .iter()
        .map(|entry| (entry.name.to_owned(), entry.text.len()))
        .collect();
    let known: Vec<String> = all.keys().cloned().collect();
    let kernels: BTreeMap<String, usize> = all
        .into_iter()
        .filter(|(name, _)| name.contains(shown))
        .collect();
    if known.is_empty() {
        bail!("gpu-kernels has no kernels");
    }
    if kernels.is_empty() {
        bail!(
            "no kernel has `{shown}` in its name; there are {}",
            known.join(", ")
        );
    }
    Ok(Ptx {
        arch,
        path,
        kernels,
    })
}

fn show(kernel: &str, ptx: NvvmArch, chip: NvvmArch, size: usize, usage: &Usage) {
    let spills = format!("{}/{}", usage.spill_stores, usage.spill_loads);
    println!(
        "{kernel:32} {:>6} {:>7} {size:>9} {:>9} {:>6} {spills:>13} {:>7}",
        ptx.to_string(),
        chip.to_string(),
        usage.registers,
        usage.stack,
        usage.shared
    );
}

/// Where there is no assembler, this is all there is to show.
fn show_sizes(files: &[Ptx]) {
    println!("{:32} {:>6} {:>9}", "kernel", "PTX", "PTX bytes");
    for file in files {
        for (kernel, size) in &file.kernels {
            println!("{kernel:32} {:>6} {size:>9}", file.arch.to_string());
        }
    }
}
