//! The reason of a verdict, as a code: docs/REGRESSION.md says what to do about each.

use crate::stats::{Estimate, Verdict};

/// The reason of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
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
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::AboveNoiseFloor,
        Self::ChangeRuledOut,
        Self::TooFewRounds,
        Self::WideInterval,
        Self::WithinNoiseFloor,
        Self::CyclesDisagree,
    ];

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

    /// The code.
    pub fn code(self) -> &'static str {
        match self {
            Self::AboveNoiseFloor => "above-noise-floor",
            Self::ChangeRuledOut => "change-ruled-out",
            Self::TooFewRounds => "too-few-rounds",
            Self::WideInterval => "wide-interval",
            Self::WithinNoiseFloor => "within-noise-floor",
            Self::CyclesDisagree => "cycles-disagree",
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

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = include_str!("../../docs/REGRESSION.md");

    fn estimate(verdict: Verdict, interval: Option<[f64; 2]>) -> Estimate {
        Estimate { verdict, ratio: Some(1.0), interval, floor: interval.map(|_| 1.1), rounds: 9 }
    }

    #[test]
    fn each_verdict_has_the_reason_that_its_figures_give() {
        for (verdict, interval, reason) in [
            (Verdict::Slower, Some([1.2, 1.3]), Reason::AboveNoiseFloor),
            (Verdict::Faster, Some([0.7, 0.8]), Reason::AboveNoiseFloor),
            (Verdict::Same, Some([0.99, 1.01]), Reason::ChangeRuledOut),
            (Verdict::Unsure, None, Reason::TooFewRounds),
            (Verdict::Unsure, Some([0.9, 1.2]), Reason::WideInterval),
            (Verdict::Unsure, Some([1.01, 1.09]), Reason::WithinNoiseFloor),
            (Verdict::Unsure, Some([0.91, 0.99]), Reason::WithinNoiseFloor),
        ] {
            assert_eq!(Reason::of(&estimate(verdict, interval)), reason, "{interval:?}");
        }
    }

    #[test]
    fn every_code_is_written_as_it_is_documented() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.code());
            let row = format!("| `{}` |", reason.code());
            assert!(DOCUMENT.contains(&row), "docs/REGRESSION.md lacks {row}");
        }
    }
}
