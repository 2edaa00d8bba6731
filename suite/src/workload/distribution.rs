//! How keys are spread: the names, and what each stands for.

use std::fmt::{self, Display};
use std::str::FromStr;

use clap::ValueEnum;
use serde::Serialize;

/// How the keys of an input are spread. The names in kebab case are those of command
/// lines and records.
///
/// The AND-entropy levels are those of Thearling and Smith (1992: "An improved
/// supercomputer sorting benchmark"), as CUB's own benchmarks have them: a key is the
/// bitwise AND of k uniform draws, so that each of its bits is set with probability
/// 2^-k, and the level is named by the entropy of a bit. Entropy 1.000 is `uniform`,
/// 0.000 is `constant`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// Uniform over all bit patterns of the type.
    Uniform,
    /// Uniform over the values 0..=1,000,000: 20 bits.
    Classic,
    /// The AND of 2 draws: a bit holds 0.811 bits of entropy.
    #[serde(rename = "entropy-0.811")]
    #[value(name = "entropy-0.811")]
    Entropy811,
    /// The AND of 3 draws: a bit holds 0.544 bits of entropy.
    #[serde(rename = "entropy-0.544")]
    #[value(name = "entropy-0.544")]
    Entropy544,
    /// The AND of 4 draws: a bit holds 0.337 bits of entropy.
    #[serde(rename = "entropy-0.337")]
    #[value(name = "entropy-0.337")]
    Entropy337,
    /// The AND of 5 draws: a bit holds 0.201 bits of entropy.
    #[serde(rename = "entropy-0.201")]
    #[value(name = "entropy-0.201")]
    Entropy201,
    /// One key, drawn from the seed, in every place: entropy 0.000.
    Constant,
    /// Ascending from the least to nearly the greatest key in even steps.
    Sorted,
    /// The sorted input backwards.
    Reversed,
    /// The sorted input after n / 100 exchanges of two random places.
    NearlySorted,
    /// Ascending to the middle, then descending as it came.
    OrganPipe,
    /// Sixteen keys, drawn from the seed, equally often.
    FewDistinct,
    /// 2^20 keys, drawn from the seed, the k-th with a frequency of 1 / k (exponent 1).
    Zipf,
    /// Half uniform; half the edges of the type. Of floats: NaN, infinities, zeros, least
    /// and greatest numbers and subnormals, of both signs. Of integers: the ends and the
    /// middle.
    Special,
    /// One key but for one in the middle that differs in every digit: against look-back,
    /// each tile counts one digit, and no place can be skipped.
    OneDigit,
    /// In every pass, each 4096 keys share a digit that their neighbours do not have:
    /// against look-back, each tile counts zero of nearly every digit.
    DigitATile,
}

impl Distribution {
    /// All there are, in the order in which they are shown.
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// Draws whose AND is a key, of an AND-entropy level; 1 of uniform keys.
    pub(super) fn ands(self) -> Option<u64> {
        match self {
            Self::Uniform => Some(1),
            Self::Entropy811 => Some(2),
            Self::Entropy544 => Some(3),
            Self::Entropy337 => Some(4),
            Self::Entropy201 => Some(5),
            _ => None,
        }
    }
}

impl Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // None is hidden, so each has a name.
        self.to_possible_value().map_or(Ok(()), |value| f.pad(value.get_name()))
    }
}

/// A name that is not one of a distribution.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no distribution is called `{name}`; there are {}", list())]
pub struct UnknownDistribution {
    /// The name given.
    pub name: String,
}

fn list() -> String {
    let names: Vec<String> = Distribution::all().iter().map(ToString::to_string).collect();
    names.join(", ")
}

impl FromStr for Distribution {
    type Err = UnknownDistribution;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let name = name.trim();
        <Self as ValueEnum>::from_str(name, false)
            .map_err(|_| UnknownDistribution { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_everywhere_and_read_back() {
        for distribution in Distribution::all() {
            let name = distribution.to_string();
            assert_eq!(serde_json::to_value(distribution).unwrap(), name.as_str());
            assert_eq!(format!(" {name} ").parse(), Ok(*distribution));
        }
        let error = "even".parse::<Distribution>().unwrap_err().to_string();
        let start = "no distribution is called `even`; there are uniform, classic, entropy-0.811,";
        assert!(error.starts_with(start), "{error}");
    }

    #[test]
    fn levels_are_named_by_the_entropy_of_a_bit() {
        for (distribution, name) in [
            (Distribution::Uniform, 1.0),
            (Distribution::Entropy811, 0.811),
            (Distribution::Entropy544, 0.544),
            (Distribution::Entropy337, 0.337),
            (Distribution::Entropy201, 0.201),
        ] {
            let set = 0.5f64.powi(distribution.ands().unwrap() as i32);
            let entropy = -set * set.log2() - (1.0 - set) * (1.0 - set).log2();
            assert!((entropy - name).abs() < 0.0005, "{distribution}: {entropy}");
        }
    }
}
