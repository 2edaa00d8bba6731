//! `cargo xtask budget`: sizes that grow only together with a number in the repository.
//!
//! Each kernel is instantiated for many types and shapes, so a line of source can cost
//! megabytes and seconds of everybody's build. Measured is a release build: the texts that the
//! build script of `host` embeds, and the command.

use crate::{cargo, kernels, programs};
use anyhow::{Context, Result, bail};
use cuda_builder::ptx;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The file of budgets, in the repository.
const FILE: &str = "gpu-kernels/budget.json";

/// Figures by name, as in `sm_90 packed bytes`.
type Figures = BTreeMap<String, u64>;

/// The most that each figure may be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    /// Of the command's build.
    build: Figures,
    /// Of `cargo xtask bundle`.
    bundle: Figures,
}

/// Measures a build, and fails if a figure is over its budget.
pub(crate) fn run() -> Result<()> {
    let measured = measure()?;
    check(&measured, &read()?.build)
}

/// Fails if a bundle of so many bytes is over its budget.
pub(crate) fn check_bundle(bytes: u64) -> Result<()> {
    check(&Figures::from([("bytes".to_owned(), bytes)]), &read()?.bundle)
}

fn read() -> Result<Budget> {
    let text = fs::read(cargo::root().join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
    serde_json::from_slice(&text).with_context(|| FILE.to_owned())
}

/// Shows figures beside their budgets. The error names all that are over, and those that
/// only one of both has.
fn check(measured: &Figures, budget: &Figures) -> Result<()> {
    let mut faults = Vec::new();
    for (name, now) in measured {
        let Some(most) = budget.get(name) else {
            faults.push(format!("{name}: {now}, and no budget; add one to {FILE}"));
            continue;
        };
        println!("{name:22} {now:>12} of {most:>12}: {:>3} %", 100 * now / most.max(&1));
        if now > most {
            faults.push(format!(
                "{name}: {now}, over the budget of {most}; make it smaller, or raise the number \
                 in {FILE}"
            ));
        }
    }
    let unknown = budget.keys().filter(|&name| !measured.contains_key(name));
    faults.extend(unknown.map(|name| format!("{FILE}: nothing is called `{name}`")));
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(())
}

/// The figures of the command's build, which shares its crates with the benchmarks.
fn measure() -> Result<Figures> {
    let arguments = ["build", "--release", "--bin=cudamark"];
    let built = cargo::build(cargo::command(&arguments))?;
    let out = built.out_dirs.iter().find(|(package, _)| *package == "host");
    let (_, out) = out.context("cargo ran no build script of `host`")?;
    let mut figures = Figures::new();
    for arch in kernels::BUILT {
        let text = kernels::builder(arch).build()?;
        let packed = out.join(format!("kernels_{}.ptx.lz", arch.capability()));
        figures.extend(of_ptx(&arch.to_string(), &text, &packed)?);
    }
    let command = built.executables.iter().find(|(_, artifact)| artifact.target.is_bin());
    let (command, _) = command.context("cargo built no command")?;
    figures.insert("cudamark stripped bytes".to_owned(), stripped_bytes(command)?);
    Ok(figures)
}

/// The figures of a PTX file, and of what is embedded of it.
fn of_ptx(arch: &str, text: &Path, packed: &Path) -> Result<Figures> {
    let unreadable = |path: &Path| format!("cannot read {}", path.display());
    let text = fs::read_to_string(text).with_context(|| unreadable(text))?;
    let packed = packed.metadata().with_context(|| unreadable(packed))?.len();
    Ok(Figures::from([
        (format!("{arch} entry points"), ptx::entries(&text).len() as u64),
        (format!("{arch} bytes"), text.len() as u64),
        (format!("{arch} packed bytes"), packed),
    ]))
}

/// The size of a program without its symbols, by the binutils that every linker comes with.
fn stripped_bytes(program: &Path) -> Result<u64> {
    let stripped = tempfile::NamedTempFile::new().context("cannot make a temporary file")?;
    let mut strip = Command::new("strip");
    programs::output(strip.arg("-o").arg(stripped.path()).arg(program))?;
    Ok(stripped.path().metadata().context("cannot see the stripped command")?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures<const N: usize>(figures: [(&str, u64); N]) -> Figures {
        figures.map(|(name, value)| (name.to_owned(), value)).into()
    }

    #[test]
    fn a_figure_over_its_budget_is_named_with_both_numbers_and_the_file() {
        let budget = figures([("sm_90 bytes", 100), ("sm_75 bytes", 100)]);
        check(&figures([("sm_90 bytes", 100), ("sm_75 bytes", 1)]), &budget).unwrap();
        let measured = figures([("sm_90 bytes", 101), ("sm_75 bytes", 100)]);
        let error = check(&measured, &budget).unwrap_err().to_string();
        for part in ["sm_90 bytes: 101", "budget of 100", "gpu-kernels/budget.json"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains("sm_75"), "{error}");
    }

    #[test]
    fn a_figure_without_a_budget_and_a_budget_without_a_figure_are_errors() {
        let error = check(&figures([("new", 1)]), &figures([("old", 1)])).unwrap_err().to_string();
        assert!(error.contains("new: 1, and no budget"), "{error}");
        assert!(error.contains("nothing is called `old`"), "{error}");
    }

    #[test]
    fn the_budget_in_the_repository_names_what_is_measured() {
        let budget = read().unwrap();
        let of_arch = |arch: cuda_builder::NvvmArch| {
            ["bytes", "entry points", "packed bytes"].map(|what| format!("{arch} {what}"))
        };
        let mut names: Vec<String> = kernels::BUILT.into_iter().flat_map(of_arch).collect();
        names.insert(0, "cudamark stripped bytes".to_owned());
        assert_eq!(budget.build.into_keys().collect::<Vec<_>>(), names);
        assert_eq!(budget.bundle.into_keys().collect::<Vec<_>>(), ["bytes"]);
    }

    #[test]
    fn a_text_is_measured_with_what_is_embedded_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let [path, packed] =
            ["kernels.ptx", "kernels_90.ptx.lz"].map(|name| folder.path().join(name));
        let text = ".visible .entry a()\n{\n\tret;\n}\n.visible .entry b()\n{\n\tret;\n}\n";
        fs::write(&path, text).unwrap();
        let error = of_ptx("sm_90", &path, &packed).unwrap_err().to_string();
        assert!(error.contains("kernels_90.ptx.lz"), "{error}");
        fs::write(&packed, [0; 17]).unwrap();
        let bytes = text.len() as u64;
        let expected =
            [("sm_90 entry points", 2), ("sm_90 bytes", bytes), ("sm_90 packed bytes", 17)];
        assert_eq!(of_ptx("sm_90", &path, &packed).unwrap(), figures(expected));
    }

    #[test]
    fn symbols_do_not_count() {
        let program = std::env::current_exe().unwrap();
        let bytes = program.metadata().unwrap().len();
        assert!(stripped_bytes(&program).unwrap() < bytes);
    }
}
