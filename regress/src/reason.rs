//! The reason of a verdict, as a code: docs/REGRESSION.md says what to do about each.

use std::fmt;

use serde::Serialize;

use crate::stats::{Estimate, Verdict};

/// The reason of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The interval excludes no change, and the change exceeds the noise floor.
    AboveNoiseFloor,
    /// A change as large as the wanted one is ruled out.
    ChangeRuledOut,
    /// Fewer rounds than an interval takes.
    TooFewRounds,
    /// The interval holds no change and the wanted one.
    WideInterval,
    /// The interval excludes no change, but processes of one build differ as much.
    WithinNoiseFloor,
    /// The verdict in cycles of the GPU's multiprocessors is another one.
    CyclesDisagree,
}

impl Reason {
    /// The reason of an estimate's verdict.
    pub fn of(estimate: &Estimate) -> Self {
        match (estimate.verdict, estimate.interval.zip(estimate.floor)) {
            (Verdict::Slower | Verdict::Faster, _) => Self::AboveNoiseFloor,
            (Verdict::Same, _) => Self::ChangeRuledOut,
            (Verdict::Unsure, None) => Self::TooFewRounds,
            (Verdict::Unsure, Some(([low, high], _))) if low > 1.0 || high < 1.0 => {
                Self::WithinNoiseFloor
            }
            (Verdict::Unsure, Some(_)) => Self::WideInterval,
        }
    }

    /// Its meaning, and the remedy.
    pub fn advice(self) -> &'static str {
        match self {
            Self::AboveNoiseFloor => {
                "a change that noise does not explain; look for its commit with `cudamark history`"
            }
            Self::ChangeRuledOut => {
                "no change as large as --detect; to see a smaller one, lower --detect and raise \
                 --budget"
            }
            Self::TooFewRounds => {
                "the time was over before an interval could be given; raise --budget, or name \
                 fewer cases"
            }
            Self::WideInterval => {
                "neither a change nor its absence is shown; raise --budget, name fewer cases, or \
                 raise --detect"
            }
            Self::WithinNoiseFloor => {
                "a change no larger than between processes of one build; quieten the machine, or \
                 choose other --cores"
            }
            Self::CyclesDisagree => {
                "seconds and cycles say different things, as when the GPU's clock changes; fix its \
                 clock, or wait until it is cool"
            }
        }
    }
}

/// Its code.
impl fmt::Display for Reason {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        self.serialize(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = include_str!("../../docs/REGRESSION.md");

    #[test]
    fn each_verdict_has_a_reason_that_is_documented() {
        let estimate = |verdict, interval: Option<[f64; 2]>| {
            let floor = interval.map(|_| 1.1);
            Estimate { verdict, ratio: None, interval, floor, rounds: 9 }
        };
        for (verdict, interval, code) in [
            (Verdict::Slower, Some([1.2, 1.3]), "above-noise-floor"),
            (Verdict::Faster, Some([0.7, 0.8]), "above-noise-floor"),
            (Verdict::Same, Some([0.99, 1.01]), "change-ruled-out"),
            (Verdict::Unsure, None, "too-few-rounds"),
            (Verdict::Unsure, Some([0.9, 1.2]), "wide-interval"),
            (Verdict::Unsure, Some([1.01, 1.09]), "within-noise-floor"),
            (Verdict::Unsure, Some([0.91, 0.99]), "within-noise-floor"),
        ] {
            assert_eq!(Reason::of(&estimate(verdict, interval)).to_string(), code, "{interval:?}");
            assert!(DOCUMENT.contains(&format!("| `{code}` |")), "docs/REGRESSION.md lacks {code}");
        }
        assert!(DOCUMENT.contains(&format!("| `{}` |", Reason::CyclesDisagree)));
    }
}
