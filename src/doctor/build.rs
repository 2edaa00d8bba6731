//! The needs of builds: `cargo bench`, `compare` and `history` build, and CUB is compiled.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use cuda_builder::CompilerSearch;
use suite::peers::programs::Tools;

use super::{Look, Machine, Note, Warning, amiss, amiss_by};

/// A description of a program, or the reason why it does not run.
type Tool = Result<String, String>;

pub(super) fn findings(machine: &Machine) -> Vec<(&'static str, Look)> {
    let mut found = Vec::new();
    if !machine.checkout {
        let finding =
            "the checkout that this program was built in is not here, so nothing is built";
        let remedy = "clone the repository to build, or to compare commits";
        found.push(("checkout", amiss(Note, finding, remedy)));
    }
    if let Some(compiler) = machine.kernel_compiler.clone() {
        let setup = "`cargo xtask setup` finds or installs one";
        let look = compiler.or_else(|reason| amiss_by(Warning, &reason, setup));
        found.push(("kernel-compiler", look));
    }
    let state = if machine.checkout { Warning } else { Note };
    let dubious = machine.git.as_ref().is_err_and(|reason| reason.contains("dubious ownership"));
    let git = match dubious {
        true => {
            concat!("`git config --global --add safe.directory ", env!("CARGO_MANIFEST_DIR"), "`")
        }
        false => "`sudo apt-get install git`; records name the commit by CUDAMARK_COMMIT too",
    };
    let rustup = "install rustup from https://rustup.rs, then `rustup show`";
    let tools = [
        ("cargo", &machine.cargo, state, rustup),
        ("git", &machine.git, state, git),
        ("linker", &machine.linker, state, "`sudo apt-get install gcc libc6-dev`"),
        ("nvcc", &machine.nvcc, Note, "install NVIDIA's CUDA toolkit, or set NVCC=PATH"),
    ];
    found.extend(tools.map(|(name, tool, state, remedy)| {
        (name, tool.clone().or_else(|reason| amiss(state, reason, remedy)))
    }));
    found
}

/// The compiler of the kernels. One that only may serve is an error too.
pub(super) fn kernel_compiler(root: &Path) -> Tool {
    let pinned = cuda_builder::pinned_toolchain(root.join("gpu-kernels"));
    let found = pinned.and_then(|pinned| CompilerSearch::from_env(pinned).find());
    let found = found.map_err(|error| error.to_string())?;
    found.warning.clone().map_or_else(|| Ok(found.to_string()), Err)
}

pub(super) fn git(folder: &Path, is_checkout: bool) -> Tool {
    let version = run("git", &["--version"], folder)?;
    if is_checkout {
        run("git", &["rev-parse", "--verify", "HEAD"], folder)?;
    }
    Ok(version)
}

pub(super) fn nvcc() -> Tool {
    let found = Tools::find().map_err(|error| error.to_string()).and_then(|tools| tools.nvcc);
    match found {
        Ok(path) => Ok(format!("CUB is compiled by {}", path.display())),
        Err(reason) => Err(format!("CUB is not measured: {reason}")),
    }
}

/// The first line that a program prints; in one line, why it fails.
pub(super) fn run(program: &str, arguments: &[&str], folder: &Path) -> Tool {
    let mut command = Command::new(program);
    // A look installs nothing.
    command.args(arguments).current_dir(folder).env("RUSTUP_AUTO_INSTALL", "0");
    let output = command.output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!("{program} is not on the path"),
        _ => format!("{program} does not run: {error}"),
    })?;
    let first = |text: &[u8]| {
        let text = String::from_utf8_lossy(text).into_owned();
        let line = text.lines().map(str::trim).find(|line| !line.is_empty());
        line.map(str::to_owned)
    };
    match output.status.success() {
        true => Ok(first(&output.stdout).unwrap_or_else(|| program.to_owned())),
        false => {
            let said = first(&output.stderr).unwrap_or_else(|| output.status.to_string());
            Err(format!("`{program} {}` fails: {said}", arguments.join(" ")))
        }
    }
}

/// Links an empty program as rustc does.
pub(super) fn link() -> Tool {
    let target = format!("CARGO_TARGET_{}_UNKNOWN_LINUX_GNU_LINKER", env::consts::ARCH);
    let linker = env::var(target.to_uppercase()).unwrap_or_else(|_| "cc".to_owned());
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let source = folder.path().join("empty.c");
    fs::write(&source, "int main(void) { return 0; }\n")
        .map_err(|error| format!("no temporary file: {error}"))?;
    run(&linker, &["empty.c", "-o", "empty"], folder.path())?;
    Ok(format!("{linker} links"))
}
