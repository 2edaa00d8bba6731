//! The name of a cell: what was measured, in one word that a file name, a filter and
//! a table can hold.
//!
//! ```text
//! group/engine/type-distribution-n/level
//! classic/cpu-std/i32-classic-50000000/4
//! pairs/gpu/u32+u32-nearly-sorted-1048576/1
//! ```
//!
//! The type has no hyphen and `n` is a number, so the distribution is what lies
//! between, hyphens and all. Names outlive the program that wrote them: one is read
//! by its grammar alone, whether or not this version has such a group or engine.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a cell. `Display` and `FromStr` are inverse to each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Name {
    /// The question that it is part of: `classic`.
    pub group: String,
    /// Who sorts: `cpu-std`.
    pub engine: String,
    /// Type of the elements: `u32`, of pairs `u32+u32`.
    pub kind: String,
    /// How they are spread: `nearly-sorted`.
    pub distribution: String,
    /// Number of elements; in the group `batch`, of each array.
    pub n: usize,
    /// Concurrency level.
    pub level: usize,
}

/// A text that is not the name of a cell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not the name of a cell: {reason}; write group/engine/type-distribution-n/level, \
     like classic/cpu-std/i32-classic-50000000/4"
)]
pub struct NameError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Name {
    /// The part between engine and level: `i32-classic-50000000`.
    pub fn input(&self) -> String {
        format!("{}-{}-{}", self.kind, self.distribution, self.n)
    }

    /// The same cell at another level.
    pub fn at_level(&self, level: usize) -> Self {
        Self {
            level,
            ..self.clone()
        }
    }

    /// The same cell of another engine.
    pub fn of_engine(&self, engine: &str) -> Self {
        Self {
            engine: engine.to_owned(),
            ..self.clone()
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            group,
            engine,
            kind,
            distribution,
            n,
            level,
        } = self;
        write!(f, "{group}/{engine}/{kind}-{distribution}-{n}/{level}")
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = |reason| NameError {
            text: text.to_owned(),
            reason,
        };
        let parts: Vec<&str> = text.split('/').collect();
        let [group, engine, input, level] = parts[..] else {
            return Err(wrong("it has not four parts"));
        };
        let (kind, rest) = input.split_once('-').ok_or(wrong("its input has no `-`"))?;
        let (distribution, n) = rest
            .rsplit_once('-')
            .ok_or(wrong("its input has no number of elements"))?;
        if [group, engine, kind, distribution]
            .iter()
            .any(|word| !is_word(word))
        {
            return Err(wrong(
                "a part is empty or has a character that names have not",
            ));
        }
        Ok(Self {
            group: group.to_owned(),
            engine: engine.to_owned(),
            kind: kind.to_owned(),
            distribution: distribution.to_owned(),
            n: number(n).ok_or(wrong("its number of elements is no number"))?,
            level: number(level)
                .filter(|&level| level > 0)
                .ok_or(wrong("its level is no number of 1 or more"))?,
        })
    }
}

/// Letters and digits of ASCII, and what joins them.
fn is_word(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '_' | '.');
    !text.is_empty() && text.chars().all(fits)
}

/// A number as `Display` writes it, so that no two texts name one cell.
fn number(text: &str) -> Option<usize> {
    let number: usize = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_as_they_were() {
        for text in [
            "classic/cpu-std/i32-classic-50000000/4",
            "pairs/gpu/u32+u32-nearly-sorted-1048576/1",
            "device/cub/f32-and-entropy-0.544-1024/1",
            "transfer/pinned-in/i32-classic-0/128",
        ] {
            let name: Name = text.parse().unwrap();
            assert_eq!(name.to_string(), text);
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Name>(&json).unwrap(), name);
        }
    }

    #[test]
    fn every_name_that_can_be_made_can_be_read() {
        for group in ["classic", "device-cold"] {
            for (kind, distribution) in [("u32", "uniform"), ("u64+u32", "few-distinct")] {
                for n in [0, 1, 1 << 20, usize::MAX] {
                    let name = Name {
                        group: group.to_owned(),
                        engine: "cpu-std".to_owned(),
                        kind: kind.to_owned(),
                        distribution: distribution.to_owned(),
                        n,
                        level: 128,
                    };
                    assert_eq!(name.to_string().parse::<Name>(), Ok(name));
                }
            }
        }
    }

    #[test]
    fn hyphens_belong_to_the_distribution() {
        let name: Name = "cpu/cpu-radix/u64-organ-pipe-7/2".parse().unwrap();
        assert_eq!(
            (name.kind.as_str(), name.distribution.as_str()),
            ("u64", "organ-pipe")
        );
        assert_eq!((name.n, name.level), (7, 2));
        assert_eq!(name.input(), "u64-organ-pipe-7");
    }

    #[test]
    fn what_is_no_name_says_why() {
        for (text, reason) in [
            ("", "four parts"),
            ("classic/cpu-std/i32-classic-5", "four parts"),
            ("classic/cpu-std/i32/4", "no `-`"),
            ("classic/cpu-std/i32-classic/4", "number of elements"),
            ("classic/cpu-std/i32-classic-many/4", "no number"),
            ("classic/cpu-std/i32-classic-07/4", "no number"),
            ("classic/cpu-std/i32-classic-7/0", "level"),
            ("classic/cpu-std/i32-classic-7/four", "level"),
            ("classic//i32-classic-7/4", "empty"),
            ("classic/cpu std/i32-classic-7/4", "character"),
            ("classic/cpu-std/i32--7/4", "empty"),
        ] {
            let error = text.parse::<Name>().unwrap_err();
            assert!(error.reason.contains(reason), "{text}: {error}");
            assert!(error.to_string().contains(&format!("`{text}`")));
        }
    }
}
