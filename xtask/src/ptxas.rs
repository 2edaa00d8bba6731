//! NVIDIA's assembler: finding it, and reading what it says of each kernel.

use crate::{cargo, programs};
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use which::which;

/// Names an assembler explicitly.
const VARIABLE: &str = "CUDAMARK_PTXAS";

/// How to get one without installing CUDA.
pub(crate) const HOW_TO_GET: &str =
    "no ptxas found; get one by: python3 -m pip install --target target/tools nvidia-cuda-nvcc";

/// Resources of one kernel on one chip. Sizes in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) registers: u32,
    /// Static shared memory; what a launch asks for comes on top.
    pub(crate) shared: u32,
    /// Local memory of a thread: arrays, and what is spilled.
    pub(crate) stack: u32,
    pub(crate) spill_stores: u32,
    pub(crate) spill_loads: u32,
}

impl Usage {
    /// True if anything of a thread lies in memory instead of registers.
    pub(crate) fn uses_local_memory(&self) -> bool {
        self.stack > 0 || self.spill_stores > 0 || self.spill_loads > 0
    }
}

/// The assembler: the variable's, the PATH's, a CUDA installation's, or one that
/// pip has put into `target/tools`.
pub(crate) fn find() -> Result<Option<PathBuf>> {
    find_tool("ptxas", VARIABLE, None)
}

/// A tool of CUDA's: the one that `variable` names, one `beside` another tool, the
/// PATH's, a CUDA installation's, or one that pip has put into `target/tools`.
pub(crate) fn find_tool(
    name: &str,
    variable: &str,
    beside: Option<&Path>,
) -> Result<Option<PathBuf>> {
    if let Some(explicit) = env::var_os(variable).filter(|value| !value.is_empty()) {
        let Ok(path) = which(&explicit) else {
            let value = explicit.display();
            bail!("{variable}={value} is not a program; name a {name} or unset the variable");
        };
        return Ok(Some(path));
    }
    let neighbour = beside.map(|tool| tool.with_file_name(name));
    let mut nearest = neighbour.into_iter().chain([name.into()]);
    if let Some(found) = nearest.find_map(|tool| which(tool).ok()) {
        return Ok(Some(found));
    }
    let homes = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(env::var_os);
    let mut candidates: Vec<PathBuf> = homes.map(PathBuf::from).collect();
    candidates.push(PathBuf::from("/usr/local/cuda"));
    // The wheels of different versions have different folders there.
    let wheels = cargo::target_directory()?.join("tools/nvidia");
    if let Ok(entries) = wheels.read_dir() {
        candidates.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
    }
    Ok(candidates.into_iter().find_map(|folder| which(folder.join("bin").join(name)).ok()))
}

/// Assembles a PTX file for a chip (`sm_90`) into `cubin`. Returns the usage of each kernel.
pub(crate) fn assemble(
    ptxas: &Path,
    ptx: &Path,
    chip: &str,
    cubin: &Path,
) -> Result<BTreeMap<String, Usage>> {
    let mut command = Command::new(ptxas);
    command.arg(format!("-arch={chip}")).arg("-v").arg(ptx).arg("-o").arg(cubin);
    let output = programs::output(&mut command)?;
    Ok(usages(&String::from_utf8_lossy(&[output.stdout, output.stderr].concat())))
}

/// Reads what `ptxas -v` prints: a line that names the kernel, then lines with
/// numbers in front of what they count.
fn usages(messages: &str) -> BTreeMap<String, Usage> {
    let mut found: BTreeMap<String, Usage> = BTreeMap::new();
    let mut kernel = None;
    for line in messages.lines() {
        if let Some((_, behind)) = line.split_once("Compiling entry function '") {
            kernel = behind.split('\'').next().map(str::to_owned);
            continue;
        }
        let Some(kernel) = &kernel else {
            continue;
        };
        let usage = found.entry(kernel.clone()).or_default();
        let count = |what: &str| {
            let before = &line[..line.find(what)?];
            before.split([' ', ',']).next_back()?.parse::<u32>().ok()
        };
        let set = |field: &mut u32, what: &str| *field = count(what).unwrap_or(0).max(*field);
        set(&mut usage.registers, " registers");
        set(&mut usage.shared, " bytes smem");
        set(&mut usage.stack, " bytes stack frame");
        set(&mut usage.stack, " bytes cumulative stack size");
        set(&mut usage.stack, " bytes lmem");
        set(&mut usage.spill_stores, " bytes spill stores");
        set(&mut usage.spill_loads, " bytes spill loads");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As ptxas 13.5 prints it, for a kernel that keeps to its registers and one
    /// that does not.
    const MESSAGES: &str = "\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'verify_u32' for 'sm_90'
ptxas info    : Function properties for verify_u32
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 25 registers, used 1 barriers, 1024 bytes smem
ptxas info    : Compile time = 7.014 ms
ptxas info    : Compiling entry function 'sort' for 'sm_90'
ptxas info    : Function properties for sort
    120 bytes stack frame, 224 bytes spill stores, 184 bytes spill loads
ptxas info    : Used 64 registers, used 1 barriers, 120 bytes cumulative stack size
";

    #[test]
    fn messages_are_read() {
        let found = usages(MESSAGES);
        assert_eq!(found.len(), 2);
        let verify = Usage { registers: 25, shared: 1024, ..Usage::default() };
        assert_eq!(found["verify_u32"], verify);
        assert!(!verify.uses_local_memory());
        let sort =
            Usage { registers: 64, shared: 0, stack: 120, spill_stores: 224, spill_loads: 184 };
        assert_eq!(found["sort"], sort);
        assert!(sort.uses_local_memory());
    }
}
