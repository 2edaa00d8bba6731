//! A workspace for a kernel of one's own: a copy of `examples/your-kernel` by another name, with
//! paths to this checkout and the versions of its lock file.

use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::{fs, path};

use crate::cargo::root;

/// The files of the workspace, in `examples/your-kernel`.
const FILES: [&str; 8] = [
    ".cargo/config.toml",
    ".cargo/instrumented",
    ".gitignore",
    "Cargo.toml",
    "bench/Cargo.toml",
    "bench/benches/device.rs",
    "src/lib.rs",
    "tests/emulator.rs",
];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder to make; its name is the package's
    folder: PathBuf,
}

/// Makes the workspace.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let folder = &path::absolute(&arguments.folder)?;
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    require_package_name(name)?;
    ensure!(!folder.exists(), "{} is there already; name a new folder", folder.display());
    let root = root();
    for file in FILES {
        let from = root.join("examples/your-kernel").join(file);
        let to = folder.join(file);
        fs::create_dir_all(to.parent().unwrap_or(folder))
            .with_context(|| format!("cannot make {}", folder.display()))?;
        // With the permissions: one is a program.
        fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        let text = fs::read_to_string(&to)?;
        let written = fs::write(&to, renamed(&text, name, root));
        written.with_context(|| format!("cannot write {}", to.display()))?;
    }
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    println!("made {}; there:", folder.display());
    println!("  cargo test                run the kernel in the emulator, without a GPU");
    println!("  cargo bench -p bench      measure it on the GPU, or in the emulator");
    Ok(())
}

fn renamed(text: &str, name: &str, root: &Path) -> String {
    let checkout = format!("{}/cuda/", root.display());
    text.replace("../../../cuda/", &checkout)
        .replace("../../cuda/", &checkout)
        .replace("your-kernel", name)
        .replace("your_kernel", &name.replace('-', "_"))
}

/// Refuses a name that cargo does not take, or that a dependency has.
fn require_package_name(name: &str) -> Result<()> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(is_word) || !name.starts_with(char::is_alphabetic) {
        bail!("`{name}` is no package's name: letters, digits, - and _, a letter first");
    }
    let others = ["bench", "cuda_std", "cuda_builder", "cuda_driver", "criterion", "cust", "core"];
    ensure!(!others.contains(&name), "`{name}` is the name of a crate that it uses; take another");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cargo_refuses_are_refused() {
        for name in ["", "2fast", "my kernel", "cust", "a/b"] {
            let error = require_package_name(name).unwrap_err().to_string();
            assert!(error.contains(&format!("`{name}`")), "{error}");
        }
        require_package_name("my-kernel_2").unwrap();
    }
}
