//! What a cell is when it is open.

use crate::error::Error;

/// An open cell: an engine, made ready, and the input that it is to sort.
pub trait Cell {
    /// Sorts the input `sorts` times, restoring it before each and verifying the
    /// result of each, outside the timed interval; returns the mean times of one.
    /// `sorts` is 1 or more.
    ///
    /// # Errors
    /// What the engine reports; a wrong result.
    fn sample(&mut self, sorts: u32) -> Result<Times, Error>;

    /// Sorts until the engine is warm, then `count` times; returns the times of each.
    /// [`verified_sort`](Self::verified_sort) judges the results of all turns where
    /// [`sample`](Self::sample) does not do it here.
    ///
    /// # Errors
    /// As for [`sample`](Self::sample).
    fn turn(&mut self, count: usize) -> Result<Vec<Times>, Error> {
        (0..count).map(|_| self.sample(1)).collect()
    }

    /// Sorts once more, over a result overwritten before, and verifies it.
    ///
    /// # Errors
    /// As for [`sample`](Self::sample).
    fn verified_sort(&mut self) -> Result<(), Error> {
        self.sample(1).map(drop)
    }

    /// Bytes of device memory that a sort works in beside its input and output.
    fn temporary_bytes(&self) -> Option<u64> {
        None
    }
}

/// How long one sort took, by whichever clocks saw it.
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

    /// The mean of what `take` returns `count` times.
    ///
    /// # Errors
    /// The first that `take` returns.
    pub fn mean_of(
        count: u32,
        mut take: impl FnMut() -> Result<Self, Error>,
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
}
