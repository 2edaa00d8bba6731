//! What builds need: `cargo bench`, `compare` and `history` build, and CUB is compiled.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use cuda_builder::CompilerSearch;
use suite::peers::programs::Tools;

use super::{Finding, State};

/// What a program is, or why it does not run.
type Tool = Result<String, String>;

/// What was seen.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Whether the checkout that the program was built in is here.
    pub checkout: bool,
    /// The compiler of the kernels; not looked for without a checkout, or cargo.
    pub kernel_compiler: Option<Result<(String, Option<String>), String>>,
    /// cargo.
    pub cargo: Tool,
    /// git, asked of the checkout.
    pub git: Tool,
    /// The linker, as rustc calls it.
    pub linker: Tool,
    /// nvcc.
    pub nvcc: Tool,
}

impl Facts {
    /// Those of this machine.
    pub fn gather() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let checkout = root.join("gpu-kernels/Cargo.toml").is_file();
        let inside = if checkout { root } else { Path::new(".") };
        let cargo = run("cargo", &["--version"], inside);
        let search = || {
            let pinned = cuda_builder::pinned_toolchain(root.join("gpu-kernels"));
            let found = pinned.and_then(|pinned| CompilerSearch::from_env(pinned).find());
            let found = found.map(|found| (found.to_string(), found.warning));
            found.map_err(|error| error.to_string())
        };
        let version = || run("git", &["--version"], inside);
        let head = |_| run("git", &["rev-parse", "--verify", "HEAD"], inside);
        Self {
            checkout,
            kernel_compiler: (checkout && cargo.is_ok()).then(search),
            git: match checkout {
                true => version().and_then(|named| head(()).map(|_| named)),
                false => version(),
            },
            linker: link(),
            nvcc: match Tools::find() {
                Ok(tools) => tools.nvcc.map(|path: PathBuf| path.display().to_string()),
                Err(error) => Err(error.to_string()),
            },
            cargo,
        }
    }

    /// The findings.
    pub fn findings(&self) -> Vec<Finding> {
        let setup = "`cargo xtask setup` finds or installs one";
        let mut found = Vec::new();
        if !self.checkout {
            found.push(Finding::amiss(
                State::Note,
                "checkout",
                "the checkout that this program was built in is not here, so nothing is built",
                "clone the repository to build, or to compare commits",
            ));
        }
        found.extend(self.kernel_compiler.as_ref().map(|compiler| match compiler {
            Ok((named, None)) => Finding::ok("kernel-compiler", named),
            Ok((_, Some(warning))) => {
                Finding::amiss(State::Warning, "kernel-compiler", warning, setup)
            }
            Err(reason) => Finding::of_reason(State::Warning, "kernel-compiler", reason, setup),
        }));
        let tool = |name, tool: &Tool, remedy: &str| match tool {
            Ok(named) => Finding::ok(name, named),
            Err(reason) => {
                let state = if self.checkout { State::Warning } else { State::Note };
                Finding::amiss(state, name, reason, remedy)
            }
        };
        let dubious = self.git.as_ref().is_err_and(|reason| reason.contains("dubious ownership"));
        let git = match dubious {
            true => concat!(
                "`git config --global --add safe.directory ",
                env!("CARGO_MANIFEST_DIR"),
                "`"
            ),
            false => "`sudo apt-get install git`; records name the commit by CUDAMARK_COMMIT too",
        };
        found.extend([
            tool("cargo", &self.cargo, "install rustup from https://rustup.rs, then `rustup show`"),
            tool("git", &self.git, git),
            tool("linker", &self.linker, "`sudo apt-get install gcc libc6-dev`"),
        ]);
        found.push(match &self.nvcc {
            Ok(path) => Finding::ok("nvcc", format!("CUB is compiled by {path}")),
            Err(reason) => Finding::amiss(
                State::Note,
                "nvcc",
                format!("CUB is not measured: {reason}"),
                "install NVIDIA's CUDA toolkit, or set NVCC=PATH",
            ),
        });
        found
    }
}

/// The first line that a program prints; why it does not, in one line.
fn run(program: &str, arguments: &[&str], folder: &Path) -> Tool {
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
fn link() -> Tool {
    let target = format!("CARGO_TARGET_{}_UNKNOWN_LINUX_GNU_LINKER", env::consts::ARCH);
    let linker = env::var(target.to_uppercase()).unwrap_or_else(|_| "cc".to_owned());
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let source = folder.path().join("empty.c");
    fs::write(&source, "int main(void) { return 0; }\n")
        .map_err(|error| format!("no temporary file: {error}"))?;
    run(&linker, &["empty.c", "-o", "empty"], folder.path())?;
    Ok(format!("{linker} links"))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A machine that has everything.
    pub fn complete() -> Facts {
        let named = |name: &str| Ok(name.to_owned());
        Facts {
            checkout: true,
            kernel_compiler: Some(Ok(("rustc 1.96.0 at /usr/bin/rustc".to_owned(), None))),
            cargo: named("cargo 1.95.0"),
            git: named("git version 2.39"),
            linker: named("cc links"),
            nvcc: named("/usr/local/cuda/bin/nvcc"),
        }
    }

    /// What is amiss: state, name, remedy.
    fn amiss(facts: &Facts) -> Vec<(State, &'static str, String)> {
        let found = facts.findings().into_iter();
        let found = found.filter(|finding| finding.state != State::Ok);
        let remedy = |finding: Finding| (finding.state, finding.name, finding.remedy.unwrap());
        found.map(remedy).collect()
    }

    #[test]
    fn each_cause_has_its_finding() {
        assert_eq!(amiss(&complete()), []);
        let lacks = |text: &str| Err(text.to_owned());
        let compiler = |found| Facts { kernel_compiler: Some(found), ..complete() };
        let newer = Some("kernels are tested with rustc 1.96.0".to_owned());
        let none = "no kernel compiler found; run `cargo xtask setup` (/usr/bin/rustc: old)";
        let foreign = "`git rev-parse` fails: fatal: detected dubious ownership in repository";
        for (facts, state, name, remedy) in [
            (compiler(Err(none.to_owned())), State::Warning, "kernel-compiler", "run `cargo xtask"),
            (compiler(Ok((String::new(), newer))), State::Warning, "kernel-compiler", "setup"),
            (Facts { cargo: lacks("none"), ..complete() }, State::Warning, "cargo", "rustup.rs"),
            (Facts { git: lacks("none"), ..complete() }, State::Warning, "git", "install git"),
            (Facts { git: lacks(foreign), ..complete() }, State::Warning, "git", "safe.directory"),
            (Facts { linker: lacks("none"), ..complete() }, State::Warning, "linker", "libc6-dev"),
            (Facts { nvcc: lacks("none"), ..complete() }, State::Note, "nvcc", "NVCC=PATH"),
        ] {
            let found = amiss(&facts);
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!((found[0].0, found[0].1), (state, name));
            assert!(found[0].2.contains(remedy), "{found:?}");
        }
        let bundle = Facts {
            checkout: false,
            kernel_compiler: None,
            cargo: lacks("cargo is not on the path"),
            ..complete()
        };
        let found = amiss(&bundle);
        let names: Vec<_> = found.iter().map(|(state, name, _)| (*state, *name)).collect();
        assert_eq!(names, [(State::Note, "checkout"), (State::Note, "cargo")]);
    }

    #[test]
    fn a_program_that_is_missing_or_fails_says_so() {
        let here = Path::new(".");
        let missing = run("cudamark-no-such-program", &[], here).unwrap_err();
        assert_eq!(missing, "cudamark-no-such-program is not on the path");
        let fails = run("sh", &["-c", "echo; echo why >&2; exit 3"], here).unwrap_err();
        assert!(fails.ends_with("fails: why"), "{fails}");
        let silent = run("sh", &["-c", "exit 3"], here).unwrap_err();
        assert!(silent.ends_with("fails: exit status: 3"), "{silent}");
        assert_eq!(run("sh", &["-c", "echo; echo one; echo two"], here).unwrap(), "one");
    }
}
