//! The name of a case: one word that a file name, a filter and a table can hold, and
//! Criterion's name of its benchmark.
//!
//! ```text
//! group/type-distribution-n/engine/level         classic/i32-classic-50000000/cpu-std/4
//! group/type-distribution/engine/level/n         pairs/u32+u32-nearly-sorted/gpu/1/1048576
//! ```
//!
//! The first form is that of groups whose question is what a higher level changes
//! ([`Group::asks_for_levels`]), the second that of the others, which ask it of n. Either
//! way the name has three parts: a *chart*, which is one group of Criterion's with a page
//! of its own, a *curve* in it, and the *point* on its x axis.
//!
//! The type has no hyphen and `n` is a number, so the distribution is what lies
//! between, hyphens and all. Names outlive the program that wrote them: one is read
//! by its grammar alone, whether or not this version has such a group or engine. Records
//! of earlier versions hold `group/engine/type-distribution-n/level`, the
//! [former](Case::former) form, which is read as well.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::CaseError;
use crate::group::Group;

/// The name of a case. `FromStr` reads what `Display` writes, and the former form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Case {
    /// The question that it is part of: `classic`.
    pub group: String,
    /// Engine: `cpu-std`.
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

impl Case {
    /// The case of an engine on an input, of a type, a distribution and n, at a level.
    pub fn new(
        group: &str,
        engine: &str,
        (kind, distribution, n): (&str, &str, usize),
        level: usize,
    ) -> Self {
        let [group, engine, kind, distribution] =
            [group, engine, kind, distribution].map(str::to_owned);
        Self { group, engine, kind, distribution, n, level }
    }

    /// The classic workload at `n` keys.
    pub fn classic(engine: &str, n: usize, level: usize) -> Self {
        Self::new(Group::Classic.name(), engine, ("i32", "classic", n), level)
    }

    /// The input: `i32-classic-50000000`.
    pub fn input(&self) -> String {
        format!("{}-{}-{}", self.kind, self.distribution, self.n)
    }

    /// The chart: `classic/i32-classic-50000000`, `cpu/u32-uniform`.
    pub fn chart(&self) -> String {
        match self.is_over_levels() {
            true => format!("{}/{}", self.group, self.input()),
            false => format!("{}/{}-{}", self.group, self.kind, self.distribution),
        }
    }

    /// The curve within the chart: `cpu-std`, `cpu-std/4`.
    pub fn curve(&self) -> String {
        match self.is_over_levels() {
            true => self.engine.clone(),
            false => format!("{}/{}", self.engine, self.level),
        }
    }

    /// The point on the curve: the level, or n.
    pub fn point(&self) -> usize {
        match self.is_over_levels() {
            true => self.level,
            false => self.n,
        }
    }

    /// True if the chart is over levels, and not over n.
    pub fn is_over_levels(&self) -> bool {
        // Of a group that this version has not, either form would do.
        self.group.parse().map_or(true, Group::asks_for_levels)
    }

    /// True of an engine that works alike at every level of the group, and has one.
    pub fn ignores_level(&self) -> bool {
        self.group.parse().is_ok_and(|group: Group| group.ignores_level(&self.engine))
    }

    /// The form that names had before: `classic/cpu-std/i32-classic-50000000/4`. Every
    /// version reads it.
    pub fn former(&self) -> String {
        format!("{}/{}/{}/{}", self.group, self.engine, self.input(), self.level)
    }

    /// True if an expression matches the name, in either form.
    pub fn is_matched(&self, matches: impl Fn(&str) -> bool) -> bool {
        matches(&self.to_string()) || matches(&self.former())
    }

    /// The same case at another level.
    pub fn at_level(&self, level: usize) -> Self {
        Self { level, ..self.clone() }
    }

    /// The same case of another engine.
    pub fn of_engine(&self, engine: &str) -> Self {
        Self { engine: engine.to_owned(), ..self.clone() }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.chart(), self.curve(), self.point())
    }
}

impl FromStr for Case {
    type Err = CaseError;

    fn from_str(text: &str) -> Result<Self, CaseError> {
        let wrong = |reason| CaseError { text: text.to_owned(), reason };
        let parts: Vec<&str> = text.split('/').collect();
        let (group, input, engine, level) = match parts[..] {
            [group, spread, engine, level, n] => (group, format!("{spread}-{n}"), engine, level),
            // The former form, unless its second part is an input too.
            [group, engine, input, level] if is_input(input) && !is_input(engine) => {
                (group, input.to_owned(), engine, level)
            }
            [group, input, engine, level] => (group, input.to_owned(), engine, level),
            _ => return Err(wrong("it has neither four parts nor five")),
        };
        let (kind, rest) = input.split_once('-').ok_or(wrong("its input has no `-`"))?;
        let (distribution, n) =
            rest.rsplit_once('-').ok_or(wrong("its input lacks type, distribution or n"))?;
        if [group, engine, kind, distribution].iter().any(|word| !is_word(word)) {
            return Err(wrong("a part is empty or has a character that names have not"));
        }
        let n = number(n).ok_or(wrong("its number of elements is no number"))?;
        let level = number(level).filter(|&level| level > 0);
        let level = level.ok_or(wrong("its level is no number of 1 or more"))?;
        Ok(Self::new(group, engine, (kind, distribution, n), level))
    }
}

/// True if `text` has the form `type-distribution-n`.
fn is_input(text: &str) -> bool {
    let parts = text.split_once('-').and_then(|(_, rest)| rest.rsplit_once('-'));
    parts.is_some_and(|(_, n)| number(n).is_some())
}

/// Letters and digits of ASCII, and what joins them.
fn is_word(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '_' | '.' | '@');
    !text.is_empty() && text.chars().all(fits)
}

/// A number as `Display` writes it, so that no two texts name one case.
fn number(text: &str) -> Option<usize> {
    let number: usize = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

impl From<Case> for String {
    fn from(name: Case) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for Case {
    type Error = CaseError;

    fn try_from(text: String) -> Result<Self, CaseError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_as_they_were() {
        for text in [
            "classic/i32-classic-50000000/cpu-std/4",
            "pairs/u32+u32-nearly-sorted/gpu/1/1048576",
            "device/f32-and-entropy-0.544/cub/1/1024",
            "transfer/i32-classic-0/pinned-in/128",
            "classics/i32-classic-5/cpu-std/4",
        ] {
            let name: Case = text.parse().unwrap();
            assert_eq!(name.to_string(), text);
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Case>(&json).unwrap(), name);
        }
    }

    #[test]
    fn every_name_that_can_be_made_can_be_read_in_both_forms() {
        for group in ["classic", "device-cold", "tomorrow"] {
            for (kind, distribution) in [("u32", "uniform"), ("u64+u32", "few-distinct")] {
                for n in [0, 1, 1 << 20, usize::MAX] {
                    let name = Case::new(group, "cpu-std", (kind, distribution, n), 128);
                    assert_eq!(name.to_string().parse(), Ok(name.clone()));
                    assert_eq!(name.former().parse(), Ok(name));
                }
            }
        }
    }

    #[test]
    fn the_former_form_is_read_and_matched() {
        for (former, text) in [
            ("classic/cpu-std/i32-classic-50000000/4", "classic/i32-classic-50000000/cpu-std/4"),
            (
                "pairs/gpu/u32+u32-nearly-sorted-1048576/1",
                "pairs/u32+u32-nearly-sorted/gpu/1/1048576",
            ),
        ] {
            let name: Case = former.parse().unwrap();
            assert_eq!((name.to_string(), name.former()), (text.into(), former.into()));
            assert!(name.is_matched(|name| name == text));
            assert!(name.is_matched(|name| name == former));
            assert!(!name.is_matched(|name| name.is_empty()));
        }
    }

    #[test]
    fn hyphens_belong_to_the_distribution() {
        let name: Case = "cpu/u64-organ-pipe/cpu-radix/2/7".parse().unwrap();
        assert_eq!((name.kind.as_str(), name.distribution.as_str()), ("u64", "organ-pipe"));
        assert_eq!((name.n, name.level), (7, 2));
        assert_eq!(name.input(), "u64-organ-pipe-7");
    }

    #[test]
    fn what_is_no_name_says_why() {
        for (text, reason) in [
            ("", "four parts nor five"),
            ("classic/i32-classic-5/cpu-std", "four parts nor five"),
            ("classic/i32/cpu-std/4", "no `-`"),
            ("classic/i32-classic/cpu-std/4", "type, distribution or n"),
            ("classic/i32-classic-many/cpu-std/4", "no number"),
            ("classic/i32-classic-07/cpu-std/4", "no number"),
            ("classic/i32-classic-7/cpu-std/0", "level"),
            ("classic/i32-classic-7/cpu-std/four", "level"),
            ("classic/i32-classic-7//4", "empty"),
            ("classic/i32-classic-7/cpu std/4", "character"),
            ("classic/i32--7/cpu-std/4", "empty"),
            ("cpu/u32-uniform/cpu-std/4/many", "no number"),
            ("cpu/u32-uniform/cpu-std/0/7", "level"),
            ("cpu/u32/cpu-std/1/7", "type, distribution or n"),
        ] {
            let error = text.parse::<Case>().unwrap_err();
            assert!(error.reason.contains(reason), "{text}: {error}");
            assert!(error.to_string().contains(&format!("`{text}`")));
        }
    }
}
