//! Which cases are meant: names, or regular expressions over names.

use std::str::FromStr;

use anyhow::{Result, anyhow, bail};
use regex::Regex;
use suite::Case;

/// Cells that were chosen; none stands for all.
#[derive(Clone, Debug)]
pub struct Selection(Vec<Item>);

/// A name, or an expression.
#[derive(Clone, Debug)]
pub enum Item {
    /// The case of this name.
    Case(Case),
    /// All whose names match.
    Matching(Regex),
}

impl FromStr for Item {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Ok(name) = text.parse() {
            return Ok(Self::Case(name));
        }
        if text.trim().is_empty() {
            bail!("`{text}` would take every case; name one, or end the list before it");
        }
        let regex = Regex::new(text).map_err(|error| {
            let said = error.to_string();
            let last = said.lines().last().unwrap_or_default().trim();
            anyhow!("`{text}` is no regular expression: {last}")
        });
        regex.map(Self::Matching)
    }
}

impl Item {
    /// The cases that are meant among `planned`; one that is named need not be there.
    pub fn among(&self, planned: &[Case]) -> Vec<Case> {
        match self {
            Self::Case(named) => vec![named.clone()],
            Self::Matching(_) => planned.iter().filter(|name| self.takes(name)).cloned().collect(),
        }
    }

    fn takes(&self, name: &Case) -> bool {
        match self {
            Self::Case(named) => named == name,
            Self::Matching(regex) => name.is_matched(|name| regex.is_match(name)),
        }
    }
}

impl Selection {
    /// By the texts of a command line.
    pub fn new(items: &[String]) -> Result<Self> {
        items.iter().map(|text| text.parse()).collect::<Result<_>>().map(Self)
    }

    /// True if the case is meant.
    pub fn takes(&self, name: &Case) -> bool {
        self.0.is_empty() || self.0.iter().any(|item| item.takes(name))
    }

    /// True if `names` have something of all that is meant.
    pub fn is_covered<'a>(&self, names: impl Iterator<Item = &'a Case> + Clone) -> bool {
        let mut items = self.0.iter();
        items.all(|item| names.clone().any(|name| item.takes(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact_and_expressions_match() {
        let name = |text: &str| -> Case { text.parse().unwrap() };
        let two = [name("cpu/u32-uniform/cpu-std/1/10"), name("cpu/u32-uniform/cpu-std/12/10")];
        let selection = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            Selection::new(&texts)
        };
        let exact = selection(&["cpu/u32-uniform/cpu-std/1/10"]).unwrap();
        assert!(exact.takes(&two[0]) && !exact.takes(&two[1]));
        let both = selection(&["/12$", "10/1$"]).unwrap();
        assert!(both.takes(&two[0]) && both.takes(&two[1]));
        assert!(both.is_covered(two.iter()) && !both.is_covered(two[..1].iter()));
        let former = selection(&["^cpu/cpu-std/u32-uniform-10/1$"]).unwrap();
        assert!(former.takes(&two[0]) && !former.takes(&two[1]));
        assert!(selection(&[]).unwrap().takes(&two[0]));
        let error = selection(&["cpu/("]).unwrap_err().to_string();
        assert_eq!(error, "`cpu/(` is no regular expression: error: unclosed group");
        for empty in ["", " "] {
            let error = selection(&["/12$", empty]).unwrap_err().to_string();
            assert!(error.contains("would take every case"), "{error}");
        }
    }
}
