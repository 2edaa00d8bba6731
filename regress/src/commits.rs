//! The commits that a history walks: first parents from the checkout's `HEAD` back.

use std::path::Path;

use anyhow::{Result, bail};
use serde::Serialize;

use crate::git::{git, resolve};

/// Commits that are walked back where nothing says how many.
const BACK: usize = 30;

/// A commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Commit {
    /// Its hash.
    pub id: String,
    /// When it was committed: seconds since 1970-01-01 00:00 UTC.
    pub unix_time_s: i64,
    /// The day of that: `2026-11-22`.
    pub day: String,
    /// The first line of its message.
    pub subject: String,
}

impl Commit {
    /// As much of the hash as people read.
    pub fn short(&self) -> &str {
        short(&self.id)
    }
}

/// As much of a commit's hash as people read.
pub fn short(id: &str) -> &str {
    id.get(..10).unwrap_or(id)
}

/// The commits in order, the oldest first: from `since`, a revision that is one of them or
/// a day, or else from the oldest that is `measured`, and at least the last few.
pub fn walk(since: Option<&str>, measured: &dyn Fn(&str) -> bool) -> Result<Vec<Commit>> {
    let format = "--format=%H%x1f%ct%x1f%cs%x1f%s";
    let here = Path::new(".");
    let text = git(here, &["log", "--first-parent", "--reverse", format, "HEAD"])?;
    let mut commits: Vec<Commit> = text.lines().filter_map(commit).collect();
    let from = match since {
        None => {
            let oldest = commits.iter().position(|commit| measured(&commit.id));
            let last = commits.len().saturating_sub(BACK);
            oldest.map_or(last, |oldest| oldest.min(last))
        }
        Some(day) if is_day(day) => {
            let Some(from) = commits.iter().position(|commit| commit.day.as_str() >= day) else {
                bail!("--since: there is no commit since {day}; the last is of an earlier day");
            };
            from
        }
        Some(revision) => {
            let Ok(id) = resolve(here, revision) else {
                bail!("--since: `{revision}` is neither a revision nor a day like 2026-11-01");
            };
            let Some(from) = commits.iter().position(|commit| commit.id == id) else {
                bail!(
                    "--since: `{revision}` is not among the first parents of HEAD; name one that \
                     `git log --first-parent` shows"
                );
            };
            from
        }
    };
    Ok(commits.split_off(from))
}

fn commit(line: &str) -> Option<Commit> {
    let mut parts = line.splitn(4, '\x1f');
    Some(Commit {
        id: parts.next()?.to_owned(),
        unix_time_s: parts.next()?.parse().ok()?,
        day: parts.next()?.to_owned(),
        subject: parts.next()?.to_owned(),
    })
}

/// True if a text has the form of a day. One that no calendar has sorts among the others.
fn is_day(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(index, byte)| match index {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_told_from_a_revision() {
        assert!(is_day("2026-11-22"));
        for text in ["HEAD~10", "2026-11-2", "2026/11/22", "abcdefabcd", "2026-11-22x"] {
            assert!(!is_day(text), "{text}");
        }
    }

    #[test]
    fn a_subject_may_hold_anything() {
        let commit = commit("abc\x1f12\x1f2026-11-22\x1fSay: \x1f <b>").unwrap();
        assert_eq!((commit.unix_time_s, commit.subject.as_str()), (12, "Say: \x1f <b>"));
    }
}
