//! Samples: an engine timed on fresh input, every result verified.
//!
//! One sample is: copy the input into the work buffer; start the clock; sort; stop
//! the clock; verify the work buffer. Only the sort lies between the two readings of
//! the (monotonic) clock. A result that is wrong ends the measurement with an error,
//! so that a time exists only for work that was done.
//!
//! What is reported is the median of the samples with an interval for the median of
//! the distribution they come from. The interval is the distribution-free one: the
//! number of samples below the true median is binomial with p = 1/2 whatever the
//! distribution, so the k-th smallest and the k-th largest of S samples enclose the
//! median with probability 1 - 2 P(B(S, 1/2) < k), exactly, with nothing assumed but
//! that samples are independent. k is the largest for which that is at least 95 %.
//! Below six samples none is: then it is the least and the greatest sample, and the
//! confidence that goes with them is stated.

use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::engine::Engine;
use crate::error::Error;
use crate::key::Key;
use crate::memory;
use crate::verify::Verifier;

/// Confidence that an interval has where there are samples enough.
const CONFIDENCE: f64 = 0.95;
/// Keys copied by one task.
const BLOCK: usize = 1 << 18;

/// An error if sorting `n` keys on `engine` at any of `levels` would take more
/// host memory than there is: the input, the work buffer and the engine's own.
/// To be asked before the input is generated.
pub fn require_memory<K: Key>(
    engine: &dyn Engine<K>,
    n: usize,
    levels: &[usize],
) -> Result<(), Error> {
    let scratch = levels.iter().map(|&level| engine.scratch_bytes(n, level));
    let buffers = memory::bytes_of::<K>(n).saturating_mul(2);
    memory::require(n, buffers.saturating_add(scratch.max().unwrap_or(0)))
}

/// An engine, the input it is to sort, and a buffer to sort it in.
pub struct Measurement<'a, K: Key> {
    engine: &'a mut dyn Engine<K>,
    verifier: &'a Verifier<'a, K>,
    work: Vec<K>,
    level: usize,
}

impl<'a, K: Key> Measurement<'a, K> {
    /// Prepares `engine` to sort the verifier's input at `level`.
    ///
    /// # Errors
    /// Those of [`Engine::prepare`]; too little memory.
    pub fn new(
        engine: &'a mut dyn Engine<K>,
        verifier: &'a Verifier<'a, K>,
        level: usize,
    ) -> Result<Self, Error> {
        let n = verifier.input().len();
        // Before the engine finds out whether there is room for what it takes itself.
        let work = memory::filled(K::least(), n)?;
        engine.prepare(n, level)?;
        Ok(Self { engine, verifier, work, level })
    }

    /// One verified sample: how long the engine took to sort the input.
    ///
    /// # Errors
    /// Those of [`Engine::sort`]; a wrong result.
    pub fn sample(&mut self) -> Result<Duration, Error> {
        verified_sort(&mut *self.engine, self.verifier, &mut self.work, self.level)
    }

    /// `count` samples, after one more that is verified and dropped: the first call
    /// carries start-up. `taken` is told how many there are after each.
    ///
    /// # Errors
    /// As for [`sample`](Self::sample): one wrong result and there are no samples.
    pub fn samples(
        &mut self,
        count: usize,
        mut taken: impl FnMut(usize),
    ) -> Result<Samples, Error> {
        self.sample()?;
        let mut seconds = Vec::with_capacity(count);
        for _ in 0..count {
            seconds.push(self.sample()?.as_secs_f64());
            taken(seconds.len());
        }
        Ok(Samples { engine: self.engine.name(), level: self.level, seconds })
    }
}

/// Copies the verifier's input into `work`, has `engine`, prepared for `level`, sort it
/// there, and verifies it: returns how long the sort took.
///
/// # Errors
/// Those of [`Engine::sort`]; a wrong result.
pub fn verified_sort<K: Key>(
    engine: &mut dyn Engine<K>,
    verifier: &Verifier<'_, K>,
    work: &mut [K],
    level: usize,
) -> Result<Duration, Error> {
    let fresh = work.par_chunks_mut(BLOCK).zip(verifier.input().par_chunks(BLOCK));
    fresh.for_each(|(work, input)| work.copy_from_slice(input));
    let start = Instant::now();
    engine.sort(work)?;
    let elapsed = start.elapsed();
    let check = verifier.check(work);
    check.map_err(|difference| Error::WrongResult { engine: engine.name(), level, difference })?;
    Ok(elapsed)
}

/// The times of one engine at one level. Each belongs to a verified result.
#[derive(Clone, Debug)]
pub struct Samples {
    /// Name of the engine.
    pub engine: &'static str,
    /// Concurrency level.
    pub level: usize,
    /// Seconds, in the order in which they were taken.
    pub seconds: Vec<f64>,
}

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

impl Samples {
    /// The median in seconds; of two middle samples, their mean.
    ///
    /// # Panics
    /// If there are no samples.
    pub fn median(&self) -> f64 {
        median(&self.seconds)
    }

    /// The interval for the median that is described at the head of this module.
    ///
    /// # Panics
    /// If there are no samples.
    pub fn interval(&self) -> Interval {
        interval(&self.seconds)
    }
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
    use crate::cpu::Std;
    use crate::verify::Difference;
    use crate::workload::Workload;

    /// Sorts, then spoils the result of one call.
    struct Planted {
        calls: usize,
        spoiled_call: usize,
        spoil: fn(&mut [u32]),
    }

    impl Engine<u32> for Planted {
        fn name(&self) -> &'static str {
            "planted"
        }

        fn scratch_bytes(&self, _n: usize, _level: usize) -> u64 {
            0
        }

        fn prepare(&mut self, _n: usize, _level: usize) -> Result<(), Error> {
            Ok(())
        }

        fn sort(&mut self, keys: &mut [u32]) -> Result<(), Error> {
            keys.sort_unstable();
            if self.calls == self.spoiled_call {
                (self.spoil)(keys);
            }
            self.calls += 1;
            Ok(())
        }
    }

    fn measure_planted(spoiled_call: usize, spoil: fn(&mut [u32])) -> Result<Samples, Error> {
        let input: Vec<u32> = Workload::classic(10_000, 1).generate().unwrap();
        let verifier = Verifier::new(&input);
        let mut engine = Planted { calls: 0, spoiled_call, spoil };
        let mut measurement = Measurement::new(&mut engine, &verifier, 4)?;
        measurement.samples(3, |_| ())
    }

    #[test]
    fn a_wrong_result_in_any_sample_fails_and_says_how() {
        for call in 0..4 {
            let error = measure_planted(call, |keys| keys.swap(17, 9_000)).unwrap_err();
            let message = error.to_string();
            assert!(
                message.starts_with("planted: wrong result at level 4: out of order: key "),
                "{message}"
            );
            assert!(message.contains(" at index 17, then "), "{message}");
        }
        // The call after the last is never made.
        measure_planted(4, |keys| keys.swap(17, 9_000)).unwrap();
    }

    #[test]
    fn a_lost_key_fails_even_in_order() {
        let error = measure_planted(2, |keys| keys[0] = keys[1]).unwrap_err();
        let Error::WrongResult { difference: Difference::Keys { index, .. }, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(index, 0);
    }

    #[test]
    fn unsorted_input_is_not_a_result() {
        let untouched = |keys: &mut [u32]| {
            keys.copy_from_slice(&Workload::classic(10_000, 1).generate::<u32>().unwrap())
        };
        assert!(matches!(
            measure_planted(0, untouched),
            Err(Error::WrongResult { difference: Difference::Order { .. }, .. })
        ));
    }

    #[test]
    fn samples_are_counted_and_each_sorts_fresh_input() {
        let input: Vec<u32> = Workload::classic(100_000, 1).generate().unwrap();
        let before = input.clone();
        let verifier = Verifier::new(&input);
        let mut engine = Std::default();
        let mut told = Vec::new();
        let mut measurement = Measurement::new(&mut engine, &verifier, 2).unwrap();
        let samples = measurement.samples(5, |taken| told.push(taken)).unwrap();
        assert_eq!(told, [1, 2, 3, 4, 5]);
        assert_eq!(samples.seconds.len(), 5);
        assert!(samples.seconds.iter().all(|&seconds| seconds > 0.0));
        assert_eq!((samples.engine, samples.level), ("cpu-std", 2));
        assert_eq!(input, before);
    }

    #[test]
    fn nothing_is_sorted_to_nothing() {
        let verifier = Verifier::new(&[]);
        let mut engine = Std::<u32>::default();
        let mut measurement = Measurement::new(&mut engine, &verifier, 8).unwrap();
        assert_eq!(measurement.samples(2, |_| ()).unwrap().seconds.len(), 2);
    }

    #[test]
    fn memory_is_asked_for_before_it_is_taken() {
        let engine = Std::<u32>::default();
        let n = usize::MAX / 16;
        let message = require_memory(&engine, n, &[1, 2]).unwrap_err().to_string();
        assert!(message.starts_with(&format!("n = {n} needs 13.8 EB of memory")), "{message}");
        require_memory(&engine, 1000, &[1, 2]).unwrap();
    }

    fn of(seconds: &[f64]) -> Samples {
        Samples { engine: "none", level: 1, seconds: seconds.to_vec() }
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(of(&[3.0]).median(), 3.0);
        assert_eq!(of(&[3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(of(&[4.0, 1.0, 2.0, 8.0]).median(), 3.0);
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
        let interval = of(&ascending).interval();
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
