//! The command where the machine gives less than is asked for: memory, threads, a driver.
//! Each is refused or skipped in one line, and nothing panics or is killed.
//!
//! A test whose fault cannot be made here shows as ignored.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::{env, io};

use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

/// Code of a run that was refused, and of one whose engine the machine lacks.
const REFUSED: i32 = 1;
const LACKS: i32 = 3;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let (compiler, user) = (starts("cc"), is_root() && starts("setpriv"));
    let test = |name: &str, run: fn() -> Result<(), Failed>, possible: bool| {
        Trial::test(name, run).with_ignored_flag(!possible)
    };
    let tests = vec![
        test(
            "an_address_space_that_is_too_small_is_named",
            an_address_space_that_is_too_small_is_named,
            true,
        ),
        test(
            "any_limit_of_memory_is_kept_to_or_refused_in_one_line",
            any_limit_of_memory_is_kept_to_or_refused_in_one_line,
            true,
        ),
        test(
            "any_limit_of_threads_is_kept_to_or_refused_in_one_line",
            any_limit_of_threads_is_kept_to_or_refused_in_one_line,
            user,
        ),
        test(
            "more_threads_than_the_system_maps_are_refused_in_one_line",
            more_threads_than_the_system_maps_are_refused_in_one_line,
            mappings().is_some_and(|most| most < 1 << 20),
        ),
        test("a_file_size_limit_is_an_error", a_file_size_limit_is_an_error, true),
        test(
            "a_machine_has_one_id_whatever_a_process_may_use",
            a_machine_has_one_id_whatever_a_process_may_use,
            starts("taskset"),
        ),
        test(
            "a_stub_of_the_driver_is_skipped_by_every_command",
            a_stub_of_the_driver_is_skipped_by_every_command,
            compiler,
        ),
        test(
            "a_code_of_the_driver_is_named_with_its_remedy",
            a_code_of_the_driver_is_named_with_its_remedy,
            compiler,
        ),
    ];
    libtest_mimic::run(&arguments, tests).exit_code()
}

fn starts(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|about| about.uid() == 0)
}

/// The program. A bundle says where it is; else it is where cargo built it.
fn program() -> PathBuf {
    let built = env!("CARGO_BIN_EXE_cudamark").to_owned();
    env::var("CARGO_BIN_EXE_cudamark").unwrap_or(built).into()
}

/// Runs `classic` at a limit that the shell sets by `ulimit`.
fn limited(limit: &str, arguments: &[&str]) -> io::Result<Output> {
    let script = format!("ulimit {limit} && exec \"$0\" classic --samples 1 \"$@\"");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).arg(program());
    shell.args(arguments).output()
}

/// That a run was done, or refused in one line without a panic; returns what it said.
fn done_or_refused(what: &str, output: &Output) -> Result<String, Failed> {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let about = format!("{what}: {}: {said}", output.status);
    let refused = match output.status.code() {
        Some(0) => return Ok(said),
        Some(REFUSED) => said.lines().filter(|line| line.starts_with("cudamark: ")).count(),
        _ => return Err(about.into()),
    };
    match refused == 1 && !said.contains("panicked") {
        true => Ok(said),
        false => Err(about.into()),
    }
}

fn an_address_space_that_is_too_small_is_named() -> Result<(), Failed> {
    for (limit, what) in [("-v", "address space (ulimit -v)"), ("-d", "data memory (ulimit -d)")] {
        for engine in ["cpu-std", "cpu-rayon", "cpu-radix"] {
            let arguments = ["--n", "50000000", "--engine", engine];
            let output = limited(&format!("{limit} 400000"), &arguments)?;
            let said = done_or_refused(engine, &output)?;
            let named = said.contains(&format!("of {what}")) && said.contains("smaller n");
            if !named || output.status.code() != Some(REFUSED) {
                return Err(format!("{limit}: {engine}: {said}").into());
            }
        }
    }
    Ok(())
}

fn any_limit_of_memory_is_kept_to_or_refused_in_one_line() -> Result<(), Failed> {
    let mut codes = Vec::new();
    for engine in ["cpu-std", "cpu-radix"] {
        for limit in (60_000..1_200_000).step_by(40_000) {
            let arguments = ["--n", "4000000", "--levels", "1,128", "--engine", engine];
            let output = limited(&format!("-v {limit}"), &arguments)?;
            done_or_refused(&format!("{engine} at {limit}"), &output)?;
            codes.push(output.status.code());
        }
    }
    match codes.contains(&Some(0)) && codes.contains(&Some(REFUSED)) {
        true => Ok(()),
        false => Err(format!("no limit tells: {codes:?}").into()),
    }
}

/// A copy of the program that every user can run.
fn copy() -> io::Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))?;
    let copy = folder.path().join("cudamark");
    fs::copy(program(), &copy)?;
    fs::set_permissions(&copy, PermissionsExt::from_mode(0o755))?;
    Ok((folder, copy))
}

/// As a user of whom nothing else runs: root is held to no limit of threads.
fn any_limit_of_threads_is_kept_to_or_refused_in_one_line() -> Result<(), Failed> {
    let (_folder, copy) = copy()?;
    let user = ["--reuid=54321", "--regid=54321", "--clear-groups", "prlimit"];
    for threads in [1, 2, 3, 4, 8, 64, 127, 128, 129, 130, 131, 140, 300] {
        let output = Command::new("setpriv")
            .args(user)
            .arg(format!("--nproc={threads}"))
            .arg(&copy)
            .args(["classic", "--levels", "1,128", "--engine", "cpu-std"])
            .args(["--n", "20000", "--samples", "1"])
            .output()?;
        let said = done_or_refused(&threads.to_string(), &output)?;
        let refused = output.status.code() == Some(REFUSED);
        let expected = match threads {
            ..=128 => refused && said.contains("could not start 128 threads"),
            300 => !refused,
            _ => true,
        };
        if !expected {
            return Err(format!("{threads} threads: {said}").into());
        }
    }
    Ok(())
}

/// What `vm.max_map_count` gives a process.
fn mappings() -> Option<u64> {
    fs::read_to_string("/proc/sys/vm/max_map_count").ok()?.trim().parse().ok()
}

fn more_threads_than_the_system_maps_are_refused_in_one_line() -> Result<(), Failed> {
    let level = mappings().unwrap_or_default().to_string();
    let arguments = ["--n", "1000", "--engine", "cpu-std", "--levels"];
    let output = limited("-v unlimited", &[&arguments[..], &[&level]].concat())?;
    let said = done_or_refused("level", &output)?;
    if !said.contains("could not start") || output.status.code() != Some(REFUSED) {
        return Err(said.into());
    }
    // Inputs and results need no more threads than there are cores.
    let output = Command::new(program())
        .args(["classic", "--levels", "1", "--samples", "1", "--engine", "cpu-std", "--n", "1000"])
        .env("RAYON_NUM_THREADS", level)
        .output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
    }
}

fn a_file_size_limit_is_an_error() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("results.json");
    let path = file.to_str().ok_or("a path that is no text")?;
    let arguments = ["--n", "1000", "--levels", "1", "--engine", "cpu-std", "--json", path];
    let output = limited("-f 0", &arguments)?;
    let said = done_or_refused("ulimit -f", &output)?;
    match said.contains("File too large") && output.status.code() == Some(REFUSED) {
        true => Ok(()),
        false => Err(format!("{}: {said}", output.status).into()),
    }
}

fn a_machine_has_one_id_whatever_a_process_may_use() -> Result<(), Failed> {
    let id = |before: &[&str]| -> Result<serde_json::Value, Failed> {
        let folder = tempfile::tempdir()?;
        let json = folder.path().join("samples.jsonl");
        let words = before.iter().copied().map(str::to_owned);
        let mut words: Vec<String> = words.collect();
        words.push(program().display().to_string());
        let output = Command::new(&words[0])
            .args(&words[1..])
            .args([
                "sample",
                "--cells",
                "cpu/cpu-std/u32-uniform-1000/1",
                "--samples",
                "1",
                "--json",
            ])
            .arg(&json)
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        let text = fs::read_to_string(&json)?;
        let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap_or("{}"))?;
        Ok(line["machine_id"].clone())
    };
    let here = serde_json::Value::from(suite::environment::Environment::here(None).machine_id());
    for (what, found) in [("all cores", id(&[])?), ("one core", id(&["taskset", "-c", "0"])?)] {
        if found != here {
            return Err(format!("{what}: {found} and not {here}").into());
        }
    }
    Ok(())
}

/// A driver whose calls succeed but those whose names begin with `FAKE_AT`, which return
/// `FAKE_CODE`.
const FAKE: &str = r#"
#include <stdlib.h>
#include <string.h>
static int at(const char *name) {
    const char *where = getenv("FAKE_AT");
    return where && !strncmp(where, name, strlen(where)) ? atoi(getenv("FAKE_CODE")) : 0;
}
#define F(name, arguments, body) \
    int name arguments { int fault = at(#name); if (fault) return fault; body; return 0; }
F(cuInit, (unsigned flags), )
F(cuDriverGetVersion, (int *version), *version = 13000)
F(cuDeviceGetCount, (int *count), *count = 1)
F(cuDeviceGet, (int *device, int index), *device = index)
F(cuDeviceGetName, (char *name, int length, int device), strncpy(name, "Fake GPU", length))
F(cuDeviceGetAttribute, (int *value, int which, int device), *value = which == 75 ? 9 : 0)
F(cuDevicePrimaryCtxRetain, (void **context, int device), *context = (void *)1)
F(cuDevicePrimaryCtxSetFlags_v2, (int device, unsigned flags), )
F(cuDevicePrimaryCtxRelease_v2, (int device), )
F(cuCtxSetCurrent, (void *context), )
F(cuCtxCreate_v2, (void **context, unsigned flags, int device), *context = (void *)1)
F(cuModuleLoadData, (void **module, const void *text), )
F(cuModuleLoadDataEx, (void **module, const void *text, unsigned n, void *o, void *v), )
F(cuGetErrorName, (int code, const char **name), return 1)
F(cuGetErrorString, (int code, const char **text), return 1)
"#;

/// Text of kernels of which one is called as that which verifies.
const KERNELS: &str = ".version 8.0\n.target sm_90\n.visible .entry verify_u32()\n{\n\tret;\n}\n";

/// A folder with such a driver and such kernels.
fn fake_driver() -> Result<TempDir, Failed> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    fs::write(path("fake.c"), FAKE)?;
    fs::write(path("kernels.ptx"), KERNELS)?;
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-w", "-o"])
        .args([path("libcuda.so.1"), path("fake.c")])
        .output()?;
    match built.status.success() {
        true => Ok(folder),
        false => Err(String::from_utf8_lossy(&built.stderr).into_owned().into()),
    }
}

/// Runs the command with that driver, of which calls that begin with `at` return `code`.
fn with_driver(folder: &Path, at: &str, code: u32, arguments: &[&str]) -> io::Result<Output> {
    Command::new(program())
        .args(arguments)
        .env("LD_LIBRARY_PATH", folder)
        .env("CUDAMARK_PTX", folder.join("kernels.ptx"))
        .env("CARGO_TARGET_DIR", folder)
        .envs([("FAKE_AT", at), ("FAKE_CODE", &code.to_string())])
        .current_dir(folder)
        .output()
}

const SMALL: [&str; 7] = ["classic", "--n", "5000", "--levels", "2", "--samples", "1"];

fn a_stub_of_the_driver_is_skipped_by_every_command() -> Result<(), Failed> {
    let folder = fake_driver()?;
    let run = |arguments: &[&str]| with_driver(folder.path(), "cu", 34, arguments);
    let output = run(&SMALL)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let first = said.lines().next().unwrap_or_default();
    let skipped = first.starts_with("gpu: skipped: ")
        && first.contains("libcuda.so.1 is the CUDA toolkit's stub library")
        && first.contains("LD_LIBRARY_PATH")
        && first.ends_with("; cpu-radix is taken instead");
    if !skipped || output.status.code() != Some(0) {
        return Err(said.into());
    }
    let gpu = [&SMALL[..], &["--engine", "gpu"]].concat();
    for arguments in [
        &gpu[..],
        &["peers", "--sizes", "1000"],
        &["sample", "--cells", "device/gpu/u32-uniform-1000/1"],
        &["sample", "--cells", "cpu/cpu-std/u32-uniform-1000/1"],
        &["rank", "cpu-std", "cpu-radix"],
    ] {
        let output = run(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = output.status.code();
        let on_gpu = arguments[0] == "peers" || arguments.concat().contains("gpu");
        let told = said.contains("stub library") || !on_gpu;
        if !told || said.contains("panicked") || !matches!(code, Some(0 | REFUSED | LACKS)) {
            return Err(format!("{arguments:?}: {code:?}: {said}").into());
        }
    }
    Ok(())
}

fn a_code_of_the_driver_is_named_with_its_remedy() -> Result<(), Failed> {
    let folder = fake_driver()?;
    for (at, code, remedy) in [
        ("cuInit", 100, "--gpus all"),
        ("cuInit", 803, "restart the machine"),
        ("cuDevicePrimaryCtxRetain", 46, "nvidia-smi -c 0"),
        ("cuDevicePrimaryCtxRetain", 2, "out of GPU memory"),
        ("cuModuleLoadData", 221, "libnvidia-ptxjitcompiler.so.1"),
        ("cuModuleLoadData", 222, "update the NVIDIA driver"),
        ("cuModuleLoadData", 223, "CUDA_DISABLE_PTX_JIT"),
        ("cuModuleLoadData", 226, "Xid"),
        ("cuModuleLoadData", 40_000, "CUDA error 40000"),
    ] {
        let about = |said: &str| Failed::from(format!("{at} returns {code}: {said}"));
        let output = with_driver(folder.path(), at, code, &SMALL)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let first = said.lines().next().unwrap_or_default();
        let named = code == 222 || first.contains(&code.to_string());
        let skipped = first.starts_with("gpu: skipped: ") && first.contains("is taken instead");
        if !(named && skipped && first.contains(remedy)) || output.status.code() != Some(0) {
            return Err(about(&said));
        }
        let gpu = [&SMALL[..], &["--engine", "gpu"]].concat();
        let output = with_driver(folder.path(), at, code, &gpu)?;
        if output.status.code() != Some(LACKS) {
            return Err(about(&String::from_utf8_lossy(&output.stderr)));
        }
    }
    Ok(())
}
