//! `cargo xtask bench`.

use anyhow::Result;
use std::ffi::OsString;
use std::process::ExitCode;

pub fn run(arguments: Vec<OsString>) -> Result<ExitCode> {
    crate::setup::or_without_kernels();
    crate::cargo::pass_on(&["bench"], arguments)
}
