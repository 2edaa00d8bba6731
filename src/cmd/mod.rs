//! The subcommands, one file each.

pub(crate) mod calibrate;
pub(crate) mod classic;
pub(crate) mod compare;
pub(crate) mod devices;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod history;
mod keys;
pub(crate) mod peers;
pub(crate) mod rank;
pub(crate) mod report;
pub(crate) mod sample;
pub(crate) mod tune;
mod verdicts;

use suite::workload::sizes::sizes;

/// A number of elements.
fn number(text: &str) -> Result<usize, String> {
    match sizes(text)?[..] {
        [n] => Ok(n),
        _ => Err("one number, not a range; write it like 1000000 or 2^29".to_owned()),
    }
}

/// Each of `items`, where it first stands.
fn once_each<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut each = Vec::new();
    for item in items {
        if !each.contains(&item) {
            each.push(item);
        }
    }
    each
}

/// Options as a command line gives them, or what clap says of it.
#[cfg(test)]
fn parsed<T: clap::Args>(line: &str) -> Result<T, String> {
    let words = ["command"].into_iter().chain(line.split_whitespace());
    let matches = T::augment_args(clap::Command::new("command")).try_get_matches_from(words);
    matches.and_then(|found| T::from_arg_matches(&found)).map_err(|error| error.to_string())
}
