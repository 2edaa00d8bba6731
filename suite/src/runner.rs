//! The trait of runners: engines made ready for one case.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Sorts dropped at the start of a turn, at least.
pub const WARM_UP_SORTS: usize = 2;
/// Seconds that the dropped sorts take together, at least.
pub const WARM_UP_S: f64 = 5e-3;
/// Sorts dropped at the start of a turn, at most.
const WARM_UP_MOST: usize = 1000;

/// An engine, made ready, and the input that it is to sort.
pub trait Runner {
    /// Restores the input, sorts it, which alone is timed, and verifies the result.
    fn once(&mut self) -> Result<Times, Error>;

    /// The mean times of `sorts` sorts, 1 or more, each of fresh input and verified.
    fn sample(&mut self, sorts: u32) -> Result<Times, Error> {
        Times::mean_of(sorts, &mut || self.once())
    }

    /// Sorts until the engine is warm, then `count` times; returns the times of each.
    /// Results that are not verified here are so by [`verified_sort`](Self::verified_sort)
    /// after the last turn.
    fn turn(&mut self, count: usize) -> Result<Vec<Times>, Error> {
        (0..count).map(|_| self.sample(1)).collect()
    }

    /// Sorts once more, over a result overwritten before, and verifies it.
    fn verified_sort(&mut self) -> Result<(), Error> {
        self.sample(1).map(drop)
    }

    /// Bytes of device memory that a sort works in beside its input and output.
    fn temporary_bytes(&self) -> Option<u64> {
        None
    }
}

/// Clock that a time is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// The host's monotonic clock, around the call.
    Host,
    /// The device's, by events: one before all streams' work, one after.
    Device,
}

/// Times of one sort, by the clocks that saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Times {
    /// Seconds by the host's clock.
    pub host_s: Option<f64>,
    /// Seconds by the device's, over all its streams.
    pub device_s: Option<f64>,
    /// Busy times of all streams over the time in which any was busy.
    pub overlap: Option<f64>,
}

impl Times {
    /// Times by the host's clock alone.
    pub fn of_host(seconds: f64) -> Self {
        Self { host_s: Some(seconds), ..Self::default() }
    }

    /// Times by the device's clock alone.
    pub fn of_device(seconds: f64) -> Self {
        Self { device_s: Some(seconds), ..Self::default() }
    }

    /// The mean of what `take` returns `count` times.
    pub fn mean_of(
        count: u32,
        take: &mut dyn FnMut() -> Result<Self, Error>,
    ) -> Result<Self, Error> {
        let mut sum = take()?;
        for _ in 1..count {
            let next = take()?;
            let add = |a: Option<f64>, b: Option<f64>| a.zip(b).map(|(a, b)| a + b);
            sum = Self {
                host_s: add(sum.host_s, next.host_s),
                device_s: add(sum.device_s, next.device_s),
                overlap: add(sum.overlap, next.overlap),
            };
        }
        let mean = |sum: Option<f64>| sum.map(|sum| sum / f64::from(count.max(1)));
        Ok(Self {
            host_s: mean(sum.host_s),
            device_s: mean(sum.device_s),
            overlap: mean(sum.overlap),
        })
    }
}

/// Sorts to drop before those that count, of an engine that took these `seconds` for its
/// first ones.
pub fn warm_ups(seconds: impl IntoIterator<Item = f64>) -> usize {
    let shortest = seconds.into_iter().fold(f64::INFINITY, f64::min);
    let enough = (WARM_UP_S / shortest).ceil() as usize;
    enough.clamp(WARM_UP_SORTS, WARM_UP_MOST)
}

/// The times of `count` sorts in a row. `known` sorts are dropped before them, once it is known
/// how many suffice.
///
/// # Errors
/// Those of `sort`.
pub fn warm_turn(
    known: &mut Option<usize>,
    count: usize,
    mut sort: impl FnMut() -> Result<Times, Error>,
) -> Result<Vec<Times>, Error> {
    let mut sorts = |count: usize| (0..count).map(|_| sort()).collect::<Result<Vec<_>, Error>>();
    let dropped = match *known {
        Some(dropped) => dropped,
        None => {
            let first = sorts(WARM_UP_SORTS + 1)?;
            *known.insert(warm_ups(first.iter().filter_map(|times| times.device_s)))
        }
    };
    sorts(dropped)?;
    sorts(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_of_all_and_of_clocks_that_saw_all() {
        let mut turns = [(1.0, Some(4.0)), (3.0, Some(2.0)), (5.0, None)].into_iter();
        let mut take = || {
            let (host, device) = turns.next().unwrap();
            Ok(Times { device_s: device, ..Times::of_host(host) })
        };
        let two = Times::mean_of(2, &mut take).unwrap();
        assert_eq!((two.host_s, two.device_s), (Some(2.0), Some(3.0)));
        let one = Times::mean_of(1, &mut take).unwrap();
        assert_eq!((one.host_s, one.device_s, one.overlap), (Some(5.0), None, None));
    }

    #[test]
    fn short_sorts_are_dropped_until_the_clocks_are_up() {
        assert_eq!(warm_ups([1.0, 2.0]), WARM_UP_SORTS);
        assert_eq!(warm_ups([1e-3, 1e-2]), 5);
        assert_eq!(warm_ups([1e-9]), WARM_UP_MOST);
    }
}
