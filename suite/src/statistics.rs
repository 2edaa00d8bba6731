//! The median of samples, and an interval for it.
//!
//! The interval for the median of the distribution that samples come from is the
//! distribution-free one: the number of samples below the true median is binomial with
//! p = 1/2, so the k-th smallest and the k-th largest of S samples enclose the median with
//! probability 1 - 2 P(B(S, 1/2) < k), exactly, if samples are independent. k is the largest
//! for which that is at least 95 %. Below six samples none is: then it is the least and the
//! greatest sample, with their confidence.

use crate::lines::Sample;

/// Confidence that an interval has where there are samples enough.
const CONFIDENCE: f64 = 0.95;

/// An interval in seconds that holds the true median with some confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end, in seconds.
    pub low: f64,
    /// Upper end, in seconds.
    pub high: f64,
    /// Probability that an interval made this way holds the median, from 0 to 1.
    pub confidence: f64,
}

/// The median of `samples`; of two middle ones, their mean.
///
/// # Panics
/// If there are no samples.
pub fn median(samples: &[f64]) -> f64 {
    let sorted = sorted(samples);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

/// The median of the seconds of `samples`.
///
/// # Panics
/// If there are no samples.
pub fn median_of(samples: &[Sample]) -> f64 {
    let seconds: Vec<f64> = samples.iter().map(|sample| sample.seconds).collect();
    median(&seconds)
}

/// The interval for the median of what `samples` come from.
///
/// # Panics
/// If there are no samples.
pub fn interval(samples: &[f64]) -> Interval {
    let sorted = sorted(samples);
    let (from_end, confidence) = order_statistic(sorted.len());
    Interval { low: sorted[from_end], high: sorted[sorted.len() - 1 - from_end], confidence }
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// How many samples of `count` to leave out at either end of the interval, and the
/// confidence of what is left.
fn order_statistic(count: usize) -> (usize, f64) {
    // P(B = i), from P(B = i - 1): as logarithms, for 2^-count soon underflows.
    let mut log_probability = -(count as f64) * std::f64::consts::LN_2;
    let mut tail = log_probability.exp();
    let mut best = (0, (1.0 - 2.0 * tail).max(0.0));
    for left_out in 1..count.div_ceil(2) {
        log_probability += ((count - left_out + 1) as f64 / left_out as f64).ln();
        tail += log_probability.exp();
        let confidence = 1.0 - 2.0 * tail;
        if confidence < CONFIDENCE {
            break;
        }
        best = (left_out, confidence);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0]), 3.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 8.0]), 3.0);
    }

    #[test]
    fn intervals_are_those_of_the_binomial_tables() {
        // Samples left out at either end for 95 %, from tables of the sign test.
        for (count, left_out) in
            [(6, 0), (8, 0), (9, 1), (11, 1), (12, 2), (20, 5), (25, 7), (100, 39)]
        {
            let (found, confidence) = order_statistic(count);
            assert_eq!(found, left_out, "{count} samples");
            assert!(confidence >= 0.95, "{count} samples: {confidence}");
        }
        assert_eq!(order_statistic(6).1, 1.0 - 2.0 / 64.0);
        let ascending: Vec<f64> = (1..=9).map(f64::from).collect();
        let interval = interval(&ascending);
        assert_eq!((interval.low, interval.high), (2.0, 8.0));
        assert!((interval.confidence - (1.0 - 20.0 / 512.0)).abs() < 1e-12);
    }

    #[test]
    fn few_samples_say_how_little_they_show() {
        assert_eq!(order_statistic(1), (0, 0.0));
        let (left_out, confidence) = order_statistic(5);
        assert_eq!(left_out, 0);
        assert!((confidence - 0.9375).abs() < 1e-12);
    }

    #[test]
    fn thousands_of_samples_do_not_underflow() {
        let (left_out, confidence) = order_statistic(5_000);
        // The normal approximation: half of them less 1.96 standard deviations.
        assert!(left_out.abs_diff(2_430) < 4, "{left_out}");
        assert!((0.95..0.96).contains(&confidence));
    }
}
