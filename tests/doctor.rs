//! `cudamark doctor` from outside, on machines that are faked: a driver's libraries made by
//! the C compiler, interpreters and tools that are scripts, an environment.

mod common;

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use common::{answer, lacks, program, said, tests, text};

/// NVML of an old driver with a GPU that has every trouble.
const NVML: &str = include_str!("common/nvml.c");

fn main() -> ExitCode {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("gpu-kernels/Cargo.toml").is_file();
    let no_checkout = (!checkout).then(|| "the checkout is not here".to_owned());
    let no_build = no_checkout.or_else(|| lacks("cargo"));
    let no_driver = host::driver::open().is_ok().then(|| "a driver works here".to_owned());
    let one_core = thread::available_parallelism().unwrap().get() == 1;
    let one_core = one_core.then(|| "one core".to_owned());
    common::run([
        (
            tests![
                both_forms_say_what_can_run,
                missing_and_broken_tools_are_named,
                a_python_that_is_none_is_named,
            ],
            None,
        ),
        (tests![a_kernel_compiler_that_is_not_there_is_named], no_build),
        (tests![a_container_without_gpu_is_told_how_to_get_one], no_driver),
        (
            tests![
                a_stub_driver_is_named_by_its_file,
                each_trouble_of_a_gpu_is_read_from_the_driver,
            ],
            lacks("cc"),
        ),
        (tests![every_python_has_its_libraries_or_the_reason], lacks("python3")),
        (tests![cores_that_may_not_be_used_are_counted], lacks("taskset").or(one_core)),
    ])
}

/// A folder of programs that are its whole path, and of libraries.
struct Machine {
    folder: TempDir,
    command: Command,
}

impl Machine {
    fn new() -> Self {
        Self::started_by(&[])
    }

    fn started_by(words: &[&str]) -> Self {
        let program = program().display().to_string();
        let words = [words, &[program.as_str(), "doctor"]].concat();
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        for variable in ["CUDAMARK_PYTHON", "NVCC", "CUDA_HOME", "CUDA_PATH", "container"] {
            command.env_remove(variable);
        }
        command.env("CUDA_VISIBLE_DEVICES", "");
        command.env("PATH", folder.path());
        Self { folder, command }
    }

    /// Adds a program that is a script of the shell.
    fn program(&self, name: &str, script: &str) {
        common::executable(&self.folder.path().join(name), &format!("#!/bin/sh\n{script}\n"));
    }

    /// Adds a driver that does as the variables say.
    fn fake_driver(&mut self, variables: &[(&str, &str)]) {
        common::fake_driver(self.folder.path());
        self.command.env("LD_LIBRARY_PATH", self.folder.path()).envs(variables.iter().copied());
    }

    /// The printed text of the command, which finds that the CPU can run.
    fn says(&mut self) -> String {
        let output = self.command.output().unwrap();
        said(&output, 3);
        text(&output.stdout)
    }

    /// The findings on what is amiss, by name: state, sentence and remedy in one text.
    fn amiss(&mut self) -> Vec<(String, String)> {
        self.command.arg("--json");
        let report: Value = serde_json::from_str(&self.says()).unwrap();
        assert_eq!(report["can_run"], "cpu");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let findings = report["findings"].as_array().unwrap().iter();
        let amiss = findings.filter(|finding| finding["state"] != "ok");
        let parts = ["state", "finding", "remedy"];
        let words = |finding: &Value| parts.map(|part| text(&finding[part])).join(" | ");
        amiss.map(|finding| (text(&finding["name"]), words(finding))).collect()
    }

    /// Asserts that there is a finding of each name with these parts.
    #[track_caller]
    fn finds(&mut self, expected: &[(&str, &[&str])]) {
        let found = self.amiss();
        for (name, parts) in expected {
            let fits = |words: &str| parts.iter().all(|part| words.contains(part));
            let met = found.iter().any(|(one, words)| one == name && fits(words));
            assert!(met, "{name}: {parts:?}: {found:#?}");
        }
    }
}

fn both_forms_say_what_can_run() {
    let text = Machine::new().says();
    assert!(text.contains("remedy: "), "{text}");
    assert!(text.ends_with("run on the CPU; those of a GPU are skipped.\n"), "{text}");
    let found = Machine::new().amiss();
    assert!(found.iter().any(|(_, words)| words.starts_with("fault | ")), "{found:#?}");
    let named = |name: &str| text.contains(&format!(" {name} "));
    assert!(["cores", "governor", "memory", "noise"].into_iter().all(named), "{text}");
    assert!(!named("sort-cpu"), "{text}");
}

fn missing_and_broken_tools_are_named() {
    let mut machine = Machine::new();
    machine.program("git", "echo 'fatal: detected dubious ownership in repository' >&2; exit 128");
    machine.program("cc", "echo 'ld: cannot find crt1.o' >&2; exit 1");
    machine.finds(&[
        ("cargo", &["cargo is not on the path", "rustup.rs"]),
        ("git", &["fails: fatal: detected dubious ownership"]),
        ("linker", &["fails: ld: cannot find crt1.o", "libc6-dev"]),
        ("python", &["no Python is found", "CUDAMARK_PYTHON=PATH"]),
    ]);
}

fn a_kernel_compiler_that_is_not_there_is_named() {
    let mut machine = Machine::new();
    let path = env::var("PATH").unwrap();
    machine.command.env("PATH", path).env("CUDA_BUILDER_RUSTC", "/no/such/rustc");
    machine.finds(&[("kernel-compiler", &["CUDA_BUILDER_RUSTC=/no/such/rustc cannot"])]);
}

fn a_container_without_gpu_is_told_how_to_get_one() {
    let mut machine = Machine::new();
    machine.command.env("container", "podman");
    machine.finds(&[("driver", &["fault", "podman container was given no GPU", "--gpus all"])]);
}

fn a_stub_driver_is_named_by_its_file() {
    let mut machine = Machine::new();
    machine.fake_driver(&[("FAKE_AT", "cu"), ("FAKE_CODE", "34")]);
    let file = machine.folder.path().join("libcuda.so.1").display().to_string();
    machine.finds(&[("driver", &["fault", &file, "stub library", "LD_LIBRARY_PATH"])]);
}

fn each_trouble_of_a_gpu_is_read_from_the_driver() {
    let mut machine = Machine::new();
    // CUDA_VISIBLE_DEVICES hides the GPU.
    machine.fake_driver(&[("FAKE_NONE", "1")]);
    common::library(&machine.folder.path().join("libnvidia-ml.so.1"), NVML);
    machine.finds(&[
        ("driver", &["driver 450.80.02 (CUDA 11.0) is older", "driver 470 or later"]),
        ("visible-devices", &["CUDA_VISIBLE_DEVICES=`` hides", "unset"]),
        ("mig", &["GPU 0 is cut into instances", "-mig 0"]),
        ("compute-mode", &["fault", "mode Prohibited", "-c DEFAULT"]),
        ("ecc", &["had 5 memory errors"]),
        ("memory-held", &["30.0 GB in use", "nvidia-smi -i 0"]),
        ("slowdown", &["is slowed down by power-cap"]),
    ]);
}

fn a_python_that_is_none_is_named() {
    let mut machine = Machine::new();
    machine.program("python3", "echo hello");
    machine.program("python3.99", "exit 4");
    machine.finds(&[
        ("python", &["warning", "/python3 does not answer", "last said: hello"]),
        ("python", &["note", "/python3.99 does not answer", "exit status: 4"]),
    ]);
    let mut machine = Machine::new();
    machine.command.env("CUDAMARK_PYTHON", "/missing");
    machine.finds(&[("python", &["warning", "/missing does not answer", "names another"])]);
}

fn every_python_has_its_libraries_or_the_reason() {
    let mut machine = Machine::new();
    let here = machine.folder.path().display().to_string();
    let which = ["-c", "import sys; print(sys.executable)"];
    let real = answer(Command::new("python3").args(which));
    for (module, text) in [
        ("numpy", ""),
        ("torch", "print('loading ..')\n__version__ = '2.9.1'"),
        ("cupy", "raise AttributeError(\"attribute '__name__' of .. is not writable\")"),
    ] {
        fs::write(format!("{here}/{module}.py"), text).unwrap();
    }
    machine.program("python3", &format!("PYTHONPATH={here} exec {real} \"$@\""));
    let found = machine.amiss();
    assert!(!found.iter().any(|(name, _)| name == "torch"), "{found:#?}");
    let (_, cupy) = found.iter().find(|(name, _)| name == "cupy").unwrap();
    common::contains(
        cupy,
        &[
            "warning",
            &format!("CuPy does not import in {here}/python3 (Python 3."),
            "AttributeError: attribute '__name__' of .. is not writable",
            "CuPy 14 takes Python 3.10 to 3.14",
        ],
    );
}

fn cores_that_may_not_be_used_are_counted() {
    let mut machine = Machine::started_by(&["/usr/bin/taskset", "-c", "0"]);
    machine.finds(&[("cores", &["1 of ", "taskset -cp"])]);
}
