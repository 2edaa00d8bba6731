//! A slowdown that is planted in an engine, to learn whether it is noticed.
//!
//! A search for regressions is trusted once it has found some that are known. So an
//! engine can be made to take longer by a part of its own time: after each sort it
//! measures how long that took, and then sorts copies of the array's first keys until the
//! part is spent. That is work like its own, done by its calling thread within the timed
//! interval; the result stays what it was, and is verified.

use std::fmt;
use std::str::FromStr;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::error::Error;
use crate::key::Key;

/// Keys that are sorted at a time: well under a microsecond, the most by which the time is
/// exceeded.
const AGAIN: usize = 32;

/// Which engine is slowed down, and by how much.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slowdown {
    /// Name of the engine: `cpu-std`.
    pub engine: String,
    /// By how many percent of each sort's time.
    pub percent: f64,
}

impl FromStr for Slowdown {
    type Err = String;

    /// Reads `cpu-std=5%`.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').and_then(|(engine, percent)| {
            let percent: f64 = percent.trim_end_matches('%').trim().parse().ok()?;
            let sensible = !engine.is_empty() && (0.0..=1000.0).contains(&percent);
            sensible.then(|| Self { engine: engine.to_owned(), percent })
        });
        parts.ok_or_else(|| "not an engine and a percentage; write it like cpu-std=5%".to_owned())
    }
}

impl fmt::Display for Slowdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}%", self.engine, self.percent)
    }
}

/// An engine that takes longer than it needs.
pub struct Slowed<K> {
    engine: Box<dyn Engine<K>>,
    percent: f64,
    again: Vec<K>,
}

impl<K: Key> Slowed<K> {
    /// `engine`, slowed down by a percentage.
    pub fn new(engine: Box<dyn Engine<K>>, percent: f64) -> Self {
        Self { engine, percent, again: Vec::with_capacity(AGAIN) }
    }
}

impl<K: Key> Engine<K> for Slowed<K> {
    fn name(&self) -> &'static str {
        self.engine.name()
    }

    fn scratch_bytes(&self, n: usize, level: usize) -> u64 {
        self.engine.scratch_bytes(n, level)
    }

    fn prepare(&mut self, n: usize, level: usize) -> Result<(), Error> {
        self.engine.prepare(n, level)
    }

    fn sort(&mut self, keys: &mut [K]) -> Result<(), Error> {
        let begin = Instant::now();
        self.engine.sort(keys)?;
        let until = begin.elapsed().mul_f64(1.0 + self.percent / 100.0);
        while begin.elapsed() < until {
            self.again.clear();
            // In reverse, or there would be nothing to sort.
            self.again.extend(keys.iter().take(AGAIN).rev());
            self.again.sort_unstable();
            std::hint::black_box(&self.again);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn a_slowdown_is_read_as_it_is_written() {
        let slowdown: Slowdown = "cpu-std=7.5%".parse().unwrap();
        assert_eq!(slowdown.to_string().parse(), Ok(slowdown.clone()));
        assert_eq!((slowdown.engine.as_str(), slowdown.percent), ("cpu-std", 7.5));
        for wrong in ["cpu-std", "=5%", "cpu-std=", "cpu-std=-1%", "cpu-std=NaN"] {
            let error = wrong.parse::<Slowdown>().unwrap_err();
            assert!(error.contains("cpu-std=5%"), "{wrong}: {error}");
        }
    }

    /// An engine that tells how many nanoseconds it took.
    struct Told(Arc<AtomicU64>);

    impl Engine<u32> for Told {
        fn name(&self) -> &'static str {
            "told"
        }

        fn sort(&mut self, keys: &mut [u32]) -> Result<(), Error> {
            let begin = Instant::now();
            keys.sort_unstable();
            let took = begin.elapsed().as_nanos() as u64;
            self.0.store(took, Ordering::Relaxed);
            Ok(())
        }
    }

    /// Compares with what this very sort took, which no noise changes.
    #[test]
    fn a_slowed_engine_sorts_and_takes_longer() {
        let keys: Vec<u32> = (0..20_000u32).map(|i| i.wrapping_mul(2_654_435_761)).collect();
        let mut sorted = keys.clone();
        sorted.sort_unstable();
        let took = Arc::new(AtomicU64::new(0));
        let mut engine = Slowed::new(Box::new(Told(took.clone())), 900.0);
        engine.prepare(keys.len(), 1).unwrap();
        let mut work = keys.clone();
        let begin = Instant::now();
        engine.sort(&mut work).unwrap();
        let all = begin.elapsed().as_nanos() as f64;
        assert_eq!(work, sorted);
        let alone = took.load(Ordering::Relaxed) as f64;
        assert!(alone > 0.0 && all > 9.9 * alone, "{all} and {alone}");
    }
}
