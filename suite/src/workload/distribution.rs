//! How keys are spread: the names, and what each stands for.

use crate::names::named;

named! {
    /// How the keys of an input are spread. The names in kebab case are those of command
    /// lines and records.
    ///
    /// The AND-entropy levels are those of Thearling and Smith (1992: "An improved
    /// supercomputer sorting benchmark"), as CUB's own benchmarks have them: a key is the
    /// bitwise AND of k uniform draws, so that each of its bits is set with probability
    /// 2^-k, and the level is named by the entropy of a bit. Entropy 1.000 is `uniform`,
    /// 0.000 is `constant`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Distribution as "distribution" {
        /// Uniform over all bit patterns of the type.
        Uniform = "uniform",
        /// Uniform over the values 0..=1,000,000: 20 bits.
        Classic = "classic",
        /// The AND of 2 draws: a bit holds 0.811 bits of entropy.
        Entropy811 = "entropy-0.811",
        /// The AND of 3 draws: a bit holds 0.544 bits of entropy.
        Entropy544 = "entropy-0.544",
        /// The AND of 4 draws: a bit holds 0.337 bits of entropy.
        Entropy337 = "entropy-0.337",
        /// The AND of 5 draws: a bit holds 0.201 bits of entropy.
        Entropy201 = "entropy-0.201",
        /// One key, drawn from the seed, in every place: entropy 0.000.
        Constant = "constant",
        /// Ascending from the least to nearly the greatest key in even steps.
        Sorted = "sorted",
        /// The sorted input backwards.
        Reversed = "reversed",
        /// The sorted input after n / 100 exchanges of two random places.
        NearlySorted = "nearly-sorted",
        /// Ascending to the middle, then descending as it came.
        OrganPipe = "organ-pipe",
        /// Sixteen keys, drawn from the seed, equally often.
        FewDistinct = "few-distinct",
        /// 2^20 keys, drawn from the seed, the k-th with a frequency of 1 / k (exponent 1).
        Zipf = "zipf",
        /// Half uniform; half the edges of the type. Of floats: NaN, infinities, zeros, least
        /// and greatest numbers and subnormals, of both signs. Of integers: the ends and the
        /// middle.
        Special = "special",
        /// One key but for one in the middle that differs in every digit: against look-back,
        /// each tile counts one digit, and no place can be skipped.
        OneDigit = "one-digit",
        /// In every pass, each 4096 keys share a digit that their neighbours do not have:
        /// against look-back, each tile counts zero of nearly every digit.
        DigitATile = "digit-a-tile",
    }
}

impl Distribution {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_everywhere_and_read_back() {
        for distribution in Distribution::ALL {
            let read: Distribution = format!(" {distribution} ").parse().unwrap();
            assert_eq!(read, distribution);
        }
        let error = "even".parse::<Distribution>().unwrap_err().to_string();
        let start =
            "distribution `even` is not known here; there are uniform, classic, entropy-0.811,";
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
