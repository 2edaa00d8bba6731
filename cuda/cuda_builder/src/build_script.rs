//! The build scripts of crates from registries.
//!
//! One is compiled for the host, in the cache like all crates, and run once. Of what it prints, only
//! the `cfg` values count: a script that links something, or writes sources, is refused.

use crate::CudaBuilderError;
use crate::arch::DEVICE;
use crate::compiler::command;
use crate::crates::Crate;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The `cfg` values of the device.
const DEVICE_CFG: [&str; 6] = [
    "target_os=\"cuda\"",
    "target_arch=\"nvptx64\"",
    "target_vendor=\"nvidia\"",
    "target_endian=\"little\"",
    "target_pointer_width=\"64\"",
    "panic=\"immediate-abort\"",
];

/// The name of the script's `cfg` values in its entry, one a line.
const CFGS: &str = "cfgs.txt";

/// Sets the variables that cargo sets for a package.
pub(crate) fn set_package(command: &mut Command, krate: &Crate) {
    let version = &krate.version;
    command
        .env("CARGO_PKG_NAME", &krate.package)
        .env("CARGO_PKG_VERSION", version.to_string())
        .env("CARGO_PKG_VERSION_MAJOR", version.major.to_string())
        .env("CARGO_PKG_VERSION_MINOR", version.minor.to_string())
        .env("CARGO_PKG_VERSION_PATCH", version.patch.to_string())
        .env("CARGO_PKG_VERSION_PRE", version.pre.as_str());
}

/// Runs the script whose program is in `folder`, and keeps what it sets there.
pub(crate) fn run(krate: &Crate, folder: &Path, rustc: &Path) -> Result<(), CudaBuilderError> {
    let program = folder.join(&krate.name);
    let out = tempfile::tempdir().map_err(CudaBuilderError::io("create a folder in", folder))?;
    let mut script = command(&program);
    set_package(&mut script, krate);
    script
        .current_dir(krate.source_folder())
        .env("CARGO_MANIFEST_DIR", krate.source_folder())
        .env("OUT_DIR", out.path())
        .env("RUSTC", rustc)
        .env("TARGET", DEVICE)
        .env("HOST", std::env::consts::ARCH)
        .envs([("PROFILE", "release"), ("OPT_LEVEL", "3"), ("DEBUG", "false"), ("NUM_JOBS", "1")])
        .envs([("CARGO_CFG_TARGET_ENV", ""), ("CARGO_CFG_TARGET_FAMILY", "")])
        .env("CARGO_CFG_TARGET_FEATURE", "");
    for cfg in DEVICE_CFG {
        let (name, value) = cfg.split_once('=').unwrap_or((cfg, ""));
        let name = format!("CARGO_CFG_{}", name.to_uppercase());
        script.env(name, value.trim_matches('"'));
    }
    for feature in &krate.features {
        script.env(format!("CARGO_FEATURE_{}", feature.to_uppercase().replace('-', "_")), "1");
    }
    let output = script.output().map_err(CudaBuilderError::io("run", &program))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(krate.unsupported(format!("its build script fails: {}", stderr.trim())));
    }
    let mut set = String::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some(line) = line.strip_prefix("cargo:") else { continue };
        let (directive, value) = line.trim_start_matches(':').split_once('=').unwrap_or((line, ""));
        match directive {
            "rustc-cfg" => set.extend([value, "\n"]),
            "rustc-link-lib" | "rustc-link-search" | "rustc-link-arg" => {
                let reason =
                    format!("its build script asks for `{line}`; only cfg values are followed");
                return Err(krate.unsupported(reason));
            }
            _ => {}
        }
    }
    let path = folder.join(CFGS);
    fs::write(&path, set).map_err(CudaBuilderError::io("write", &path))
}

/// The `cfg` values that the script of an entry has set.
pub(crate) fn cfgs(entry: &Path) -> Result<Vec<String>, CudaBuilderError> {
    let path = entry.join(CFGS);
    let text = fs::read_to_string(&path).map_err(CudaBuilderError::io("read", &path))?;
    Ok(text.lines().map(str::to_owned).collect())
}
