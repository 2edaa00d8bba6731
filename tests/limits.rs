//! The command where the machine gives less than is asked for: memory, threads, a driver.
//! Each is refused or skipped in one line, and nothing panics or is killed.
//!
//! A test whose fault cannot be made here shows as ignored.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, ExitCode, Output};

use tempfile::TempDir;

use common::{contains, cudamark, is_refused, lacks, program, said, tests};

/// Exit code where the machine lacks the engine.
const LACKS: i32 = 3;

fn main() -> ExitCode {
    let root = fs::metadata("/proc/self").is_ok_and(|about| about.uid() == 0);
    let no_user = lacks("setpriv").or_else(|| (!root).then(|| "not root".to_owned()));
    let no_map = mappings().is_none_or(|most| most >= 1 << 20);
    let no_map = no_map.then(|| "no number of mappings below 2^20".to_owned());
    let no_gpu = host::gpu::Device::open().err().map(|missing| missing.to_string());
    common::run([
        (
            tests![
                an_address_space_that_is_too_small_is_named,
                any_limit_of_memory_is_kept_to_or_refused_in_one_line,
                a_file_size_limit_is_an_error,
            ],
            None,
        ),
        (tests![more_threads_than_the_system_maps_are_refused_in_one_line], no_map),
        (tests![any_limit_of_threads_is_kept_to_or_refused_in_one_line], no_user),
        (tests![a_machine_has_one_id_on_all_cores_and_on_one], lacks("taskset")),
        (tests![auto_takes_the_gpu], no_gpu),
        (
            tests![
                a_stub_of_the_driver_is_skipped_by_every_command,
                a_code_of_the_driver_is_named_with_its_remedy,
            ],
            lacks("cc"),
        ),
    ])
}

/// Runs `classic` at a limit that the shell sets by `ulimit`.
fn limited(limit: &str, arguments: &[&str]) -> Output {
    let script = format!("ulimit {limit} && exec \"$0\" classic --samples 1 \"$@\"");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).arg(program()).args(arguments).output().unwrap()
}

fn an_address_space_that_is_too_small_is_named() {
    for (limit, what) in [("-v", "address space (ulimit -v)"), ("-d", "data memory (ulimit -d)")] {
        for engine in ["cpu-std", "cpu-rayon", "cpu-radix"] {
            let arguments = ["--n", "50000000", "--engine", engine];
            let output = limited(&format!("{limit} 400000"), &arguments);
            assert!(is_refused(&output), "{limit}: {engine}");
            contains(&said(&output, 1), &[&format!("of {what}"), "smaller n"]);
        }
    }
}

fn any_limit_of_memory_is_kept_to_or_refused_in_one_line() {
    let limits = (60_000..1_200_000).step_by(60_000);
    let outcomes: Vec<bool> = ["cpu-std", "cpu-radix"]
        .into_iter()
        .flat_map(|engine| limits.clone().map(move |limit| (engine, limit)))
        .map(|(engine, limit)| {
            let arguments = ["--n", "1000000", "--levels", "1,128", "--engine", engine];
            is_refused(&limited(&format!("-v {limit}"), &arguments))
        })
        .collect();
    assert!(outcomes.contains(&true) && outcomes.contains(&false), "{outcomes:?}");
}

/// As a user of whom nothing else runs: root is held to no limit of threads.
fn any_limit_of_threads_is_kept_to_or_refused_in_one_line() {
    // A copy of the program that every user can run.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("cudamark");
    fs::copy(program(), &copy).unwrap();
    for path in [folder.path(), &copy] {
        fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    for threads in [1, 2, 3, 4, 8, 64, 127, 128, 129, 130, 131, 140, 300] {
        let output = Command::new("setpriv")
            .args(["--reuid=54321", "--regid=54321", "--clear-groups", "prlimit"])
            .arg(format!("--nproc={threads}"))
            .arg(&copy)
            .args(["classic", "--levels", "1,128", "--engine", "cpu-std"])
            .args(["--n", "20000", "--samples", "1"])
            .output()
            .unwrap();
        let refused = is_refused(&output);
        match threads {
            ..=128 => contains(&said(&output, 1), &["could not start 128 threads"]),
            300 => assert!(!refused, "{}", said(&output, 1)),
            // Some are taken by what the program starts beside them.
            _ => {}
        }
    }
}

/// Number of mappings that the system gives a process.
fn mappings() -> Option<u64> {
    fs::read_to_string("/proc/sys/vm/max_map_count").ok()?.trim().parse().ok()
}

fn more_threads_than_the_system_maps_are_refused_in_one_line() {
    let most = mappings().unwrap().to_string();
    let small = ["--n", "1000", "--engine", "cpu-std", "--levels"];
    let output = limited("-v unlimited", &[&small[..], &[&most]].concat());
    assert!(is_refused(&output));
    contains(&said(&output, 1), &["could not start"]);
    // Inputs and results need no more threads than there are cores.
    let mut command = cudamark(&["classic", "--samples", "1"]);
    said(&command.args(small).arg("1").env("RAYON_NUM_THREADS", most).output().unwrap(), 0);
}

fn a_file_size_limit_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.json").display().to_string();
    let small = ["--n", "1000", "--levels", "1", "--engine", "cpu-std", "--json", &file];
    let output = limited("-f 0", &small);
    assert!(is_refused(&output));
    contains(&said(&output, 1), &["File too large"]);
}

fn a_machine_has_one_id_on_all_cores_and_on_one() {
    let here = suite::environment::Environment::here(None).machine_id();
    let program = program().display().to_string();
    for before in [&[][..], &["taskset", "-c", "0"]] {
        let words = [before, &[program.as_str(), "sample", "--samples", "1", "--json"]].concat();
        let folder = tempfile::tempdir().unwrap();
        let json = folder.path().join("samples.jsonl");
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(&json).args(["--cells", "cpu/cpu-std/u32-uniform-1000/1"]);
        said(&command.output().unwrap(), 0);
        let lines = common::json_lines(&fs::read_to_string(&json).unwrap());
        assert_eq!(lines[0]["machine_id"], here, "{before:?}");
    }
}

const SMALL: [&str; 7] = ["classic", "--n", "5000", "--levels", "2", "--samples", "1"];
const SMALL_ON_GPU: [&str; 9] =
    ["classic", "--n", "5000", "--levels", "2", "--samples", "1", "--engine", "gpu"];

fn auto_takes_the_gpu() {
    contains(&said(&cudamark(&SMALL).output().unwrap(), 0), &["engine: gpu (auto)"]);
}

/// Text of kernels of which one is called as that which verifies.
const KERNELS: &str = ".version 8.0\n.target sm_90\n.visible .entry verify_u32()\n{\n\tret;\n}\n";

/// A folder with a driver whose calls can be made to fail, and such kernels.
fn fake_driver() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    common::fake_driver(folder.path());
    fs::write(folder.path().join("kernels.ptx"), KERNELS).unwrap();
    folder
}

/// Runs the command with that driver, of which calls that begin with `at` return `code`.
fn with_driver(folder: &Path, at: &str, code: u32, arguments: &[&str]) -> Output {
    cudamark(arguments)
        .env("LD_LIBRARY_PATH", folder)
        .env("CUDAMARK_PTX", folder.join("kernels.ptx"))
        .env("CARGO_TARGET_DIR", folder)
        .envs([("FAKE_AT", at), ("FAKE_CODE", &code.to_string())])
        .current_dir(folder)
        .output()
        .unwrap()
}

/// Asserts that `classic` begins with one line on the GPU with all `parts`, and goes on.
#[track_caller]
fn skips_the_gpu(output: &Output, parts: &[&str]) {
    let said = said(output, 0);
    let first = said.lines().next().unwrap_or_default();
    assert!(first.starts_with("gpu: skipped: "), "{said}");
    assert!(first.ends_with("; cpu-radix is taken instead"), "{said}");
    contains(first, parts);
}

fn a_stub_of_the_driver_is_skipped_by_every_command() {
    let folder = fake_driver();
    let run = |arguments: &[&str]| with_driver(folder.path(), "cu", 34, arguments);
    let stub = "libcuda.so.1 is the CUDA toolkit's stub library";
    skips_the_gpu(&run(&SMALL), &[stub, "LD_LIBRARY_PATH"]);
    for (arguments, code, part) in [
        (&SMALL_ON_GPU[..], LACKS, stub),
        (&["peers", "--sizes", "1000"], LACKS, stub),
        (&["sample", "--cells", "device/gpu/u32-uniform-1000/1"], LACKS, stub),
        (&["sample", "--cells", "cpu/cpu-std/u32-uniform-1000/1"], 0, ""),
        (&["rank", "cpu-std", "cpu-radix"], 1, "has no case of the engine `cpu-std`"),
    ] {
        contains(&said(&run(arguments), code), &[part]);
    }
}

fn a_code_of_the_driver_is_named_with_its_remedy() {
    let folder = fake_driver();
    for (at, code, named, remedy) in [
        ("cuInit", 100, "100", "--gpus all"),
        ("cuInit", 803, "803", "restart the machine"),
        ("cuDevicePrimaryCtxRetain", 46, "46", "nvidia-smi -c 0"),
        ("cuDevicePrimaryCtxRetain", 2, "2", "out of GPU memory"),
        ("cuModuleLoadData", 221, "221", "libnvidia-ptxjitcompiler.so.1"),
        ("cuModuleLoadData", 222, "", "update the NVIDIA driver"),
        ("cuModuleLoadData", 223, "223", "CUDA_DISABLE_PTX_JIT"),
        ("cuModuleLoadData", 226, "226", "Xid"),
        ("cuModuleLoadData", 40_000, "", "CUDA error 40000"),
    ] {
        skips_the_gpu(&with_driver(folder.path(), at, code, &SMALL), &[named, remedy]);
        said(&with_driver(folder.path(), at, code, &SMALL_ON_GPU), LACKS);
    }
}
