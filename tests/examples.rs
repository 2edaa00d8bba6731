//! The examples, and every command of docs/TUTORIAL.md, as a newcomer runs them.
//!
//! Examples are those that cargo builds beside the tests. Commands of the tutorial run as they
//! stand, but that cargo builds in the profile of the tests, which has everything already; what
//! they write goes to a folder of the test's. Outside of cargo, as in a bundle, all show as
//! ignored.

mod common;

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use common::{contains, executable, program, said, tests, text};
use cuda_builder::{CudaBuilder, find_compiler};

const TUTORIAL: &str = include_str!("../docs/TUTORIAL.md");
/// The repository.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// The workspace of kernels in Rust-CUDA's style.
const RAW_KERNELS: &str = "examples/raw-kernels";

fn main() -> ExitCode {
    let tests = tests![
        the_race_of_the_first_kernel_is_found_and_the_mended_one_passes,
        a_new_kernel_is_tested_measured_and_compiled,
        kernels_of_raw_pointers_are_checked,
        operations_that_the_emulator_cannot_see_are_refused,
        every_command_of_the_tutorial_succeeds,
    ];
    let lacks = env::var_os("CARGO").is_none().then(|| "no cargo runs this".to_owned());
    common::run([(tests, lacks)])
}

/// The example called `name`.
fn example(name: &str) -> Command {
    let test = env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap().join("examples");
    let path = folder.join(name);
    assert!(path.is_file(), "no {}; run `cargo build --examples` first", path.display());
    Command::new(path)
}

fn the_race_of_the_first_kernel_is_found_and_the_mended_one_passes() {
    let output = example("first_kernel").output().unwrap();
    said(&output, 0);
    let stdout = text(&output.stdout);
    assert!(stdout.starts_with("data race in kernel `racing`: "), "{stdout}");
    contains(&stdout, &["`numbers`", "at examples/first_kernel.rs:", "CUDA_EMULATOR='seed=7"]);
    assert!(stdout.ends_with("no finding, in 100 random schedules\n"), "{stdout}");
}

/// Cargo in a workspace whose compiler's wrapper has accesses call the emulator. It leaves our
/// environment, which names another workspace.
fn cargo(folder: &Path, arguments: &[&str]) -> Output {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("raw-kernels");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap());
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_") || name == "RUSTFLAGS" {
            cargo.env_remove(name);
        }
    }
    cargo.current_dir(folder).env("CARGO_TARGET_DIR", target).env("CRITERION_HOME", folder);
    cargo.args(arguments).output().unwrap()
}

const EMULATOR_TESTS: [&str; 6] = ["test", "--locked", "--test", "emulator", "--features", "half"];

/// The steps of a newcomer: the workspace is made, its test runs, its kernel is measured, and
/// compiles for a device if there is a compiler.
fn a_new_kernel_is_tested_measured_and_compiled() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = folder.path().join("my-kernel");
    let made = ["xtask", "new-kernel", kernel.to_str().unwrap()];
    let mut xtask = Command::new(env::var_os("CARGO").unwrap());
    said(&xtask.current_dir(ROOT).args(made).output().unwrap(), 0);
    let again = xtask.output().unwrap();
    said(&again, 1);
    contains(&text(&again.stderr), &["my-kernel is there already"]);

    let tested = cargo(&kernel, &["test", "--test", "emulator"]);
    said(&tested, 0);
    contains(&text(&tested.stdout), &["test every_schedule_scales ... ok"]);
    let measured = cargo(&kernel, &["bench", "-p", "bench", "--profile", "dev"]);
    said(&measured, 0);
    let stdout = text(&measured.stdout);
    let place = if stdout.contains("no GPU: ") { "emulator" } else { "device" };
    contains(&stdout, &[&format!("scale/{place}"), "time: ", "thrpt: ", "elem/s"]);
    let estimates = kernel.join(format!("scale/{place}/new/estimates.json"));
    assert!(estimates.is_file(), "{}", estimates.display());
    if find_compiler(&kernel).is_ok() {
        let ptx = CudaBuilder::new(&kernel).build().unwrap();
        contains(&fs::read_to_string(ptx).unwrap(), &[".entry scale(", ".maxntid 256"]);
    }
}

fn kernels_of_raw_pointers_are_checked() {
    let output = cargo(&Path::new(ROOT).join(RAW_KERNELS), &EMULATOR_TESTS);
    said(&output, 0);
    contains(&text(&output.stdout), &["test result: ok. 18 passed; 0 failed; 0 ignored"]);
}

fn operations_that_the_emulator_cannot_see_are_refused() {
    let copy = tempfile::tempdir().unwrap();
    for name in [
        "Cargo.toml",
        "Cargo.lock",
        "src/lib.rs",
        "tests/emulator.rs",
        "tests/oracle/mod.rs",
        ".cargo/config.toml",
        ".cargo/instrumented",
    ] {
        let to = copy.path().join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(Path::new(ROOT).join(RAW_KERNELS).join(name), to).unwrap();
    }
    let replace = |file: &str, old: &str, new: &str| {
        let path = copy.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{file} without {old}");
        fs::write(path, text.replace(old, new)).unwrap();
    };
    replace("Cargo.toml", "../../cuda/", &format!("{ROOT}/cuda/"));
    replace("Cargo.toml", "name = \"raw-kernels\"", "name = \"unseen-kernels\"");
    replace("Cargo.lock", "name = \"raw-kernels\"", "name = \"unseen-kernels\"");
    replace("tests/oracle/mod.rs", "../../../../cuda/", &format!("{ROOT}/cuda/"));
    let seen = "mid::atomic_fetch_max_u32_device(greatest, Ordering::Relaxed, sum)";
    let unseen = "AtomicU32::from_ptr(greatest).fetch_max(sum, Ordering::Relaxed)";
    replace("src/lib.rs", seen, unseen);
    let output = cargo(copy.path(), &EMULATOR_TESTS);
    let errors = text(&output.stderr);
    assert!(!output.status.success(), "{errors}");
    contains(&errors, &["error: the emulator cannot see fetch_min and fetch_max", "atomic::mid"]);
}

/// The commands of the tutorial, in order.
fn commands() -> Vec<&'static str> {
    let mut commands = Vec::new();
    let mut is_console = false;
    for line in TUTORIAL.lines() {
        match line.strip_prefix("```") {
            Some(kind) => is_console = kind == "console",
            None if is_console => {
                commands.push(line.strip_prefix("$ ").expect("a command begins with `$ `"));
            }
            None => {}
        }
    }
    commands
}

/// A folder that stands for a clone: what commands write below `target` goes there.
fn stand_in() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    symlink(Path::new(ROOT).join("records"), folder.path().join("records")).unwrap();
    // Cargo has its target folder, and benchmarks that one.
    let runner = folder.path().join("runner.sh");
    let target = folder.path().join("target");
    let script = format!(
        "#!/bin/sh\ncase $1 in */xtask) ;; *) export CARGO_TARGET_DIR='{}' ;; esac\nexec \"$@\"\n",
        target.display()
    );
    executable(&runner, &script);
    (folder, runner)
}

fn every_command_of_the_tutorial_succeeds() {
    let commands = commands();
    assert!(commands.len() >= 8, "{commands:?}");
    let (folder, runner) = stand_in();
    for line in commands {
        let command = match line.split_once(' ') {
            // A browser is not run, but what it opens is there.
            Some(("xdg-open", file)) => {
                assert!(folder.path().join(file).is_file(), "{line}");
                continue;
            }
            _ => {
                // As `cargo xtask test` builds: with other features all would be compiled again.
                let alike = "--workspace --exclude cuda_std --exclude sort-cases --profile dev";
                let built =
                    line.replace("cargo xtask bench", &format!("cargo xtask bench {alike}"));
                built.replace("cargo run --release --", &format!("'{}'", program().display()))
            }
        };
        // Cargo takes the clone, everything else the stand-in.
        let of_cargo = command.starts_with("cargo ");
        let mut shell = Command::new("bash");
        shell
            .args(["-c", &command])
            .current_dir(if of_cargo { Path::new(ROOT) } else { folder.path() })
            .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", &runner)
            .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", &runner)
            .envs([("CUDAMARK_TIER", "quick"), ("CUDAMARK_N", "1000"), ("CUDAMARK_LEVELS", "1,2")])
            .env_remove("CRITERION_HOME");
        let output = shell.output().unwrap();
        assert!(
            output.status.success(),
            "{line}\n{}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
        assert!(!output.stdout.is_empty(), "{line}");
    }
    let page = folder.path().join("target/h200/index.html");
    contains(&fs::read_to_string(page).unwrap(), &["H200"]);
}
