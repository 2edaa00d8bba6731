//! `cargo xtask bench`.
//!
//! Criterion owns what follows `--`, and cargo the rest; settings of the suite are
//! environment variables to both. Here they are options too: `--tier quick` is
//! `CUDAMARK_TIER=quick`. What a setting may hold is said by who reads it.

use anyhow::{Result, bail};
use std::ffi::OsString;
use std::process::ExitCode;

/// Options, and the variables that they set.
const SETTINGS: [(&str, &str); 8] = [
    ("--tier", "CUDAMARK_TIER"),
    ("--n", "CUDAMARK_N"),
    ("--types", "CUDAMARK_TYPES"),
    ("--distributions", "CUDAMARK_DISTRIBUTIONS"),
    ("--levels", "CUDAMARK_LEVELS"),
    ("--engines", "CUDAMARK_ENGINES"),
    ("--seed", "CUDAMARK_SEED"),
    ("--resume", "CUDAMARK_RESUME"),
];

/// A variable and its value.
type Variable = (&'static str, OsString);

pub fn run(arguments: Vec<OsString>) -> Result<ExitCode> {
    let (variables, arguments) = split(arguments)?;
    crate::setup::or_without_kernels();
    crate::cargo::pass_on_with(&["bench"], arguments, variables)
}

/// The settings among `arguments`, and the others. What follows `--` is left alone.
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
        let Some((_, variable)) = SETTINGS.iter().find(|(known, _)| *known == option) else {
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
        variables.push((*variable, value));
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
        let expected = [
            ("CUDAMARK_TIER", "quick"),
            ("CUDAMARK_LEVELS", "1,2"),
            ("CUDAMARK_RESUME", "1"),
        ];
        assert_eq!(
            variables,
            expected.map(|(name, value)| (name, value.into()))
        );
        assert_eq!(others, words("--bench cpu -- --tier x filter"));
    }

    #[test]
    fn a_setting_without_a_value_is_named() {
        let error = split(words("--bench cpu --engines")).unwrap_err();
        assert!(error.to_string().contains("--engines VALUE"), "{error}");
    }
}
