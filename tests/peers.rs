//! What `cudamark peers` says and how it ends where nothing can be measured.

use std::env;
use std::process::{Command, Output};

/// The command's exit code and what it wrote, where the driver, if there is one, shows
/// no GPU.
fn cudamark(arguments: &[&str]) -> Output {
    let built = env!("CARGO_BIN_EXE_cudamark").to_owned();
    let program = env::var("CARGO_BIN_EXE_cudamark").unwrap_or(built);
    let mut command = Command::new(program);
    command.args(arguments).env("CUDA_VISIBLE_DEVICES", "");
    command.output().unwrap()
}

#[test]
fn without_a_gpu_nothing_is_measured_and_the_exit_code_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("peers.json");
    let output = cudamark(&["peers", "--sizes", "1000", "--json", json.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.starts_with("cudamark: gpu: skipped: "), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(output.stdout.is_empty());
    assert!(!json.exists(), "no report of nothing");
}

#[test]
fn a_wrong_command_line_is_told_apart_from_a_missing_gpu() {
    let output = cudamark(&["peers", "--sizes", "2^64"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("'2^64'"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
