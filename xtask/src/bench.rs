//! `cargo xtask bench`.
//!
//! Criterion owns what follows `--`, and cargo the rest; settings of the suite are
//! environment variables to both. Here they are options too: `--tier quick` is
//! `CUDAMARK_TIER=quick`. The suite checks their values.
//!
//! Where no target is chosen, cargo is run once for each benchmark, `classic` first: it
//! would build all of them before it runs one.

use crate::cargo::{self, Variable};
use anyhow::{Result, bail};
use std::ffi::OsString;
use std::process::ExitCode;

/// The variable that names a file.
const KEYS: &str = "CUDAMARK_KEYS";

/// Options, the variables that they set, and what these choose.
pub(crate) const SETTINGS: [(&str, &str, &str); 11] = [
    ("--tier", "CUDAMARK_TIER", "`quick`, `default` or `full`"),
    ("--n", "CUDAMARK_N", "numbers of elements, as in `2^16..2^20:2`; by tier and benchmark"),
    ("--types", "CUDAMARK_TYPES", "types and orders: `u32,u64@0..32`; by tier and benchmark"),
    ("--distributions", "CUDAMARK_DISTRIBUTIONS", "distributions: `uniform,sorted`; likewise"),
    ("--levels", "CUDAMARK_LEVELS", "concurrency levels: `1,2,4`; likewise"),
    ("--engines", "CUDAMARK_ENGINES", "engines: `cpu-std,gpu`; all that can run"),
    (
        "--devices",
        "CUDAMARK_DEVICES",
        "GPUs that `gpu` goes over in `classic`, `split` and `batch`, beside one: `all` or `2`; none",
    ),
    ("--keys", KEYS, "file of keys to sort: NumPy's .npy, or raw with `--type`; drawn keys"),
    ("--type", "CUDAMARK_KEYS_TYPE", "type of the keys in a raw file: `u32`"),
    ("--seed", "CUDAMARK_SEED", "seed of the inputs; 42"),
    ("--resume", "CUDAMARK_RESUME", "goes on with the last run"),
];

pub(crate) fn run(arguments: Vec<OsString>) -> Result<ExitCode> {
    let (variables, arguments) = split(arguments)?;
    crate::setup::with_kernels()?;
    if !cargo::chooses_nothing(&arguments) {
        return cargo::pass_on(&["bench"], &arguments, &variables);
    }
    for name in benchmarks()? {
        let first = ["bench", "--bench", name.as_str()];
        let status = cargo::pass_on(&first, &arguments, &variables)?;
        if status != ExitCode::SUCCESS {
            return Ok(status);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The benchmarks of the suite, `classic` first.
fn benchmarks() -> Result<Vec<String>> {
    let targets = cargo::packages()?.into_iter().flat_map(|package| package.targets);
    let benches = targets.filter(|target| target.is_bench());
    let mut names: Vec<String> = benches.map(|target| target.name).collect();
    names.sort_by_key(|name| name != "classic");
    Ok(names)
}

/// The settings among `arguments`, and the others. All behind `--` is left alone.
fn split(arguments: Vec<OsString>) -> Result<(Vec<Variable>, Vec<OsString>)> {
    let mut variables = Vec::new();
    let mut others = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            others.push(argument);
            others.extend(arguments);
            break;
        }
        let text = argument.to_string_lossy().into_owned();
        let (option, value) = match text.split_once('=') {
            Some((option, value)) => (option, Some(OsString::from(value))),
            None => (text.as_str(), None),
        };
        let Some((_, variable, _)) = SETTINGS.iter().find(|(known, ..)| *known == option) else {
            others.push(argument);
            continue;
        };
        let value = match option {
            "--resume" => Some(OsString::from("1")),
            _ => value.or_else(|| arguments.next()),
        };
        let Some(value) = value else {
            bail!("{option} takes a value, as in `{option} VALUE`");
        };
        // Cargo runs benchmarks in another folder than this.
        let value = match *variable {
            KEYS => std::path::absolute(&value)?.into(),
            _ => value,
        };
        variables.push(((*variable).to_owned(), value));
    }
    Ok((variables, others))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn settings_become_variables_and_the_rest_is_cargos() {
        let line = "--tier quick --bench cpu --levels=1,2 --resume -- --tier x filter";
        let (variables, others) = split(words(line)).unwrap();
        let expected =
            [("CUDAMARK_TIER", "quick"), ("CUDAMARK_LEVELS", "1,2"), ("CUDAMARK_RESUME", "1")];
        assert_eq!(variables, expected.map(|(name, value)| (name.to_owned(), value.into())));
        assert_eq!(others, words("--bench cpu -- --tier x filter"));
    }

    #[test]
    fn the_path_of_keys_is_absolute() {
        let (variables, _) = split(words("--keys own.npy")).unwrap();
        let expected = std::env::current_dir().unwrap().join("own.npy");
        assert_eq!(variables, [("CUDAMARK_KEYS".to_owned(), expected.into())]);
    }

    #[test]
    fn without_a_choice_of_targets_benchmarks_run_one_by_one_and_classic_first() {
        for all in ["", "cpu-std", "-q --offline cpu-std", "-- --bench cpu --list"] {
            assert!(cargo::chooses_nothing(&words(all)), "{all}");
        }
        for some in ["--bench cpu", "--benches", "--no-run", "--help", "-p host"] {
            assert!(!cargo::chooses_nothing(&words(some)), "{some}");
        }
        let names = benchmarks().unwrap();
        assert_eq!(names[0], "classic");
        assert!(names.len() > 6 && names.contains(&"emulator".to_owned()), "{names:?}");
    }

    #[test]
    fn a_setting_without_a_value_is_named() {
        let error = split(words("--bench cpu --engines")).unwrap_err();
        assert!(error.to_string().contains("--engines VALUE"), "{error}");
    }
}
