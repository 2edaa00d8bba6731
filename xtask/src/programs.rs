//! Running programs.

use anyhow::{Context, Result, bail};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Instant;

/// A command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = [name].into_iter().chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

/// Afterwards, says how long it took.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = shown(command);
    println!("running: {line}");
    let begin = Instant::now();
    let status = command.status().with_context(|| format!("cannot run `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed: {status}");
    }
    println!("took {} s", begin.elapsed().as_secs());
    Ok(())
}

/// Runs a command; a failure is an error with all that it printed.
pub(crate) fn output(command: &mut Command) -> Result<Output> {
    let line = shown(command);
    let output = command.output().with_context(|| format!("cannot run `{line}`"))?;
    if !output.status.success() {
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        bail!("`{line}` failed: {}: {}", output.status, printed.trim());
    }
    Ok(output)
}

/// The standard output of a command that has to succeed.
pub(crate) fn text(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

pub(crate) fn write_script(path: &Path, text: &str) -> Result<()> {
    let executable = std::fs::Permissions::from_mode(0o755);
    let written =
        std::fs::write(path, text).and_then(|()| std::fs::set_permissions(path, executable));
    written.with_context(|| format!("cannot write {}", path.display()))
}
