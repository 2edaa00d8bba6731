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

/// Sorts copies of the first of `keys` until the time since `begin` is a percentage longer.
pub(crate) fn spend<K: Key>(percent: f64, begin: Instant, keys: &[K]) {
    let until = begin.elapsed().mul_f64(1.0 + percent / 100.0);
    let mut again: Vec<K> = Vec::with_capacity(AGAIN);
    while begin.elapsed() < until {
        again.clear();
        // In reverse, or there would be nothing to sort.
        again.extend(keys.iter().take(AGAIN).rev());
        again.sort_unstable();
        std::hint::black_box(&again);
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::engine::Engine;
    use crate::error::Error;
    use crate::runner::Runner;
    use crate::runners::host::Sorted;
    use crate::verify::Keys;

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
        let (n, input) = (keys.len(), Rc::new(Keys::new(keys)));
        let took = Arc::new(AtomicU64::new(0));
        let sorted = Sorted::new(Box::new(Told(took.clone())), n, 1, || Ok(input)).unwrap();
        let all = sorted.slowed(Some(900.0)).once().unwrap().host_s.unwrap() * 1e9;
        let alone = took.load(Ordering::Relaxed) as f64;
        assert!(alone > 0.0 && all > 9.9 * alone, "{all} and {alone}");
    }
}
