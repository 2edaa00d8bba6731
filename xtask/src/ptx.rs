//! `cargo xtask ptx`: the machine code of the kernels, and a check of it.

use crate::kernels::{self, BUILT};
use crate::ptxas::{self, Usage};
use crate::sass::{self, Counts};
use anyhow::{Context, Result, bail};
use cuda_builder::NvvmArch;
use cuda_builder::ptx::{Entry, entries};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Show only kernels with this in their name
    kernel: Option<String>,
    /// Chips to assemble for, such as sm_80: each gets every PTX that it can run
    #[arg(long = "arch", value_name = "CHIP")]
    chips: Vec<NvvmArch>,
    /// Fail if a kernel spills, has a stack frame or uses local memory on a chip that can
    /// launch it, or if its code has more or fewer votes and barriers than its source
    #[arg(long)]
    check: bool,
}

/// One built PTX file.
struct Ptx {
    arch: NvvmArch,
    path: PathBuf,
    kernels: BTreeMap<String, Source>,
}

/// The PTX of a kernel.
struct Source {
    /// Bytes of its text.
    size: usize,
    /// Votes and barriers that it states.
    stated: Option<Counts>,
    /// Bytes of shared memory that a launch takes, if it states them.
    shared_bytes: usize,
}

/// Bytes of shared memory that a block may have: "Technical Specifications per Compute
/// Capability" of NVIDIA's programming guide.
fn most_shared_bytes(chip: NvvmArch) -> usize {
    let kb = match chip.capability() {
        75 => 64,
        80 | 87 => 163,
        86 | 88 | 89 | 120 | 121 => 99,
        _ => 227,
    };
    kb << 10
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode> {
    let chips = match arguments.chips.is_empty() {
        true => BUILT.to_vec(),
        false => arguments.chips,
    };
    let shown = arguments.kernel.unwrap_or_default();
    kernels::compile()?;
    let files = BUILT.into_iter().map(|arch| build(arch, &shown)).collect::<Result<Vec<Ptx>>>()?;
    let Some(ptxas) = ptxas::find()? else {
        show_sizes(&files);
        return without(ptxas::HOW_TO_GET, arguments.check);
    };
    let nvdisasm = sass::find(&ptxas)?;
    let of = |chip| {
        let runs = files.iter().filter(move |file| file.arch <= chip);
        runs.map(move |file| (chip, file))
    };
    let tasks: Vec<(NvvmArch, &Ptx)> = chips.iter().copied().flat_map(of).collect();
    // The assembler has one thread and most of the time.
    let assembled = tasks
        .par_iter()
        .map(|(chip, file)| assemble(file, *chip, &ptxas, nvdisasm.as_deref()))
        .collect::<Result<Vec<_>>>()?;
    let mut faults = Vec::new();
    println!("{HEAD}");
    for ((chip, file), assembled) in tasks.into_iter().zip(assembled) {
        for (kernel, source) in &file.kernels {
            let code = assembled
                .get(kernel)
                .with_context(|| format!("ptxas says nothing of kernel `{kernel}`"))?;
            show(kernel, file.arch, chip, source.size, code);
            let fault = code.fault(source, chip);
            faults.extend(fault.map(|fault| format!("{kernel} ({} on {chip}) {fault}", file.arch)));
        }
    }
    for chip in chips.iter().filter(|&&chip| chip < sass::CHECKED_FROM) {
        if arguments.check {
            println!("votes and barriers are not checked on {chip}: see xtask/src/sass.rs");
        }
    }
    if nvdisasm.is_none() {
        return without(sass::HOW_TO_GET, arguments.check);
    }
    if arguments.check && !faults.is_empty() {
        bail!("{}", faults.join("; "));
    }
    Ok(ExitCode::SUCCESS)
}

/// A tool is missing, which a check cannot do without.
fn without(how_to_get: &str, check: bool) -> Result<ExitCode> {
    if check {
        bail!("cannot check: {how_to_get}");
    }
    println!("{how_to_get}");
    Ok(ExitCode::SUCCESS)
}

/// Builds for one architecture, and keeps the kernels whose names have `shown` in
/// them.
fn build(arch: NvvmArch, shown: &str) -> Result<Ptx> {
    let build = kernels::builder(arch).build_with_info()?;
    for warning in &build.warnings {
        eprintln!("warning: {warning}");
    }
    let path = build.ptx;
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let synchronisation = stated(&text, SYNCHRONISATION)?;
    let shared_bytes = stated(&text, SHARED_BYTES)?;
    let counts = |&[votes, barriers]: &[usize; 2]| Counts { votes, barriers };
    let source = |entry: &Entry| Source {
        size: entry.text.len(),
        stated: synchronisation.get(entry.name).map(counts),
        shared_bytes: shared_bytes.get(entry.name).map_or(0, |&[bytes]| bytes),
    };
    let all: BTreeMap<String, Source> =
        entries(&text).iter().map(|entry| (entry.name.to_owned(), source(entry))).collect();
    let known: Vec<String> = all.keys().cloned().collect();
    let kernels: BTreeMap<String, Source> =
        all.into_iter().filter(|(name, _)| name.contains(shown)).collect();
    if known.is_empty() {
        bail!("gpu-kernels has no kernels");
    }
    if kernels.is_empty() {
        bail!("no kernel has `{shown}` in its name; there are {}", known.join(", "));
    }
    Ok(Ptx { arch, path, kernels })
}

/// Statements of kernels on themselves in their PTX: votes and barriers, and the bytes of
/// shared memory of a launch.
const SYNCHRONISATION: &str = "// .synchronisation ";
const SHARED_BYTES: &str = "// .shared_bytes ";

/// The numbers of each kernel's statement that begins with `mark`.
fn stated<const N: usize>(ptx: &str, mark: &str) -> Result<BTreeMap<String, [usize; N]>> {
    let lines = ptx.lines().filter_map(|line| line.trim().strip_prefix(mark));
    let read = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next()?.to_owned();
        let numbers = words.map(str::parse).collect::<Result<Vec<usize>, _>>().ok()?;
        Some((name, numbers.try_into().ok()?))
    };
    let about = |line| format!("`{mark}{line}` is no name followed by numbers ({N} of them)");
    lines.map(|line| read(line).with_context(|| about(line))).collect()
}

/// Machine code of a kernel.
struct Code {
    usage: Usage,
    /// Votes and barriers, where there is a disassembler.
    counts: Option<Counts>,
}

impl Code {
    /// The fault that a check finds.
    fn fault(&self, source: &Source, chip: NvvmArch) -> Option<String> {
        let launched = source.shared_bytes <= most_shared_bytes(chip);
        if launched && self.usage.uses_local_memory() {
            return Some("spills or uses local memory".to_owned());
        }
        let counts = self.counts.filter(|_| chip >= sass::CHECKED_FROM)?;
        let Some(stated) = source.stated else {
            return Some(
                "states no votes and barriers: see gpu-kernels/src/synchronisation.rs".to_owned(),
            );
        };
        let Counts { votes, barriers } = counts;
        let has = format!("has {votes} votes and {barriers} barriers");
        (counts != stated)
            .then(|| format!("{has}, its source {} and {}", stated.votes, stated.barriers))
    }
}

fn assemble(
    file: &Ptx,
    chip: NvvmArch,
    ptxas: &Path,
    nvdisasm: Option<&Path>,
) -> Result<BTreeMap<String, Code>> {
    let cubin = tempfile::NamedTempFile::new().context("cannot make a temporary file")?;
    let usages = ptxas::assemble(ptxas, &file.path, &chip.to_string(), cubin.path())?;
    let counts = nvdisasm.map(|nvdisasm| sass::count(nvdisasm, cubin.path())).transpose()?;
    let code = |(kernel, usage): (String, Usage)| {
        let counts = counts.as_ref().and_then(|counts| counts.get(&kernel).copied());
        (kernel, Code { usage, counts })
    };
    Ok(usages.into_iter().map(code).collect())
}

const HEAD: &str = "kernel                              PTX      on PTX bytes registers  stack   \
                    spill st/ld  shared votes barriers";

fn show(kernel: &str, ptx: NvvmArch, chip: NvvmArch, size: usize, code: &Code) {
    let usage = code.usage;
    let spills = format!("{}/{}", usage.spill_stores, usage.spill_loads);
    let counted = |count: fn(Counts) -> usize| {
        let count = code.counts.map(count);
        count.map_or("-".to_owned(), |count| count.to_string())
    };
    println!(
        "{kernel:32} {:>6} {:>7} {size:>9} {:>9} {:>6} {spills:>13} {:>7} {:>5} {:>8}",
        ptx.to_string(),
        chip.to_string(),
        usage.registers,
        usage.stack,
        usage.shared,
        counted(|counts| counts.votes),
        counted(|counts| counts.barriers),
    );
}

/// Where there is no assembler, this is all there is to show.
fn show_sizes(files: &[Ptx]) {
    println!("{:32} {:>6} {:>9}", "kernel", "PTX", "PTX bytes");
    for file in files {
        for (kernel, source) in &file.kernels {
            println!("{kernel:32} {:>6} {:>9}", file.arch.to_string(), source.size);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_or_doubled_vote_or_barrier_is_a_fault() {
        let counts = |votes, barriers| Counts { votes, barriers };
        let code = |counts| Code { usage: Usage::default(), counts: Some(counts) };
        let chip = NvvmArch::Compute90;
        let source = |stated| Source { size: 0, stated, shared_bytes: 0 };
        let stated = &source(Some(counts(192, 4)));
        assert_eq!(code(counts(192, 4)).fault(stated, chip), None);
        for wrong in [counts(191, 4), counts(384, 4), counts(192, 3), counts(192, 5)] {
            let fault = code(wrong).fault(stated, chip).unwrap();
            assert!(fault.ends_with("its source 192 and 4"), "{fault}");
        }
        let fault = code(counts(0, 0)).fault(&source(None), chip).unwrap();
        assert!(fault.contains("states no votes"), "{fault}");
        assert_eq!(code(counts(1, 1)).fault(stated, NvvmArch::Compute75), None);
    }

    #[test]
    fn spilt_registers_are_a_fault_where_the_kernel_can_be_launched() {
        let text = "\t// .shared_bytes sort 101377\n// .synchronisation sort 0 0\n";
        let [shared_bytes] = stated(text, SHARED_BYTES).unwrap()["sort"];
        let source = Source { size: 0, stated: Some(Counts::default()), shared_bytes };
        let code = Code {
            usage: Usage { spill_stores: 4, ..Usage::default() },
            counts: Some(Counts::default()),
        };
        // 99 KB and a byte.
        assert_eq!(code.fault(&source, NvvmArch::Compute120), None);
        let fault = code.fault(&source, NvvmArch::Compute90).unwrap();
        assert_eq!(fault, "spills or uses local memory");
    }

    #[test]
    fn statements_are_read() {
        let text = "x\n\t// .synchronisation sort 193 5\n// .launch_bounds sort 512\n";
        let found: BTreeMap<_, [usize; 2]> = stated(text, SYNCHRONISATION).unwrap();
        assert_eq!(found, BTreeMap::from([("sort".to_owned(), [193, 5])]));
        for line in ["sort 193", "sort 1 x", "sort 1 2 3"] {
            let found = stated::<2>(&format!("{SYNCHRONISATION}{line}"), SYNCHRONISATION);
            let error = found.unwrap_err().to_string();
            assert!(error.contains(line), "{error}");
        }
        assert!(stated::<1>("// .shared_bytes sort many", SHARED_BYTES).is_err());
    }
}
