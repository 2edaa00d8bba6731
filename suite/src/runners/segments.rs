//! Cases of many segments, all sorted by one call: one array on the device, cut into as many
//! segments as the level says. Each result is compared with that of the host.
//!
//! In `segments` they have one length; the last ones are shorter, or empty, if they do not divide.
//! In `ragged`, each has a weight in 1..=2^32, uniformly drawn from the case's seed, and segment i
//! ends at n times the sum of the weights up to its own over the sum of all, rounded down. So all
//! keys are in segments, lengths are uniform from 0 to twice the mean, scaled to have the sum n, and
//! of more segments than keys most are empty.

use std::iter;

use cust::event::Event;
use cust::memory::{DeviceBuffer, DeviceCopy};
use cust::stream::Stream;

use crate::engines::GPU;
use crate::error::{Difference, Error};
use crate::key::Key;
use crate::memory;
use crate::runner::{Runner, Times, warm_turn};
use crate::runners::gpu::{download, poison, sorter, timed};
use crate::threads;
use crate::verify::compare_each;
use crate::workload::{draw, seed_of_values};
use host::gpu::resident::indices;
use host::gpu::segments::{Enqueued, LONGEST_IN_A_BLOCK};
use host::gpu::stream::{stream, timer};
use host::gpu::transfer::upload;
use host::gpu::{Order, Payload, SegmentSort, Workspace};

/// The segments that an array is cut into.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// How many there are.
    pub count: usize,
    /// The seed that their lengths are drawn from; of one length, none.
    pub seed: Option<u64>,
}

impl Cut {
    /// Where each segment of `n` keys begins, and the last ends.
    ///
    /// # Errors
    /// More of them than memory has room for.
    pub(crate) fn offsets(self, n: usize) -> Result<Vec<u32>, Error> {
        memory::require(self.count, memory::bytes_of::<u32>(self.count))?;
        let Some(seed) = self.seed.map(seed_of_values) else {
            let length = n.div_ceil(self.count).max(1);
            return Ok((0..=self.count).map(|i| (i * length).min(n) as u32).collect());
        };
        let weights = (0..self.count as u64).map(|i| u128::from(draw(seed, i) >> 32) + 1);
        let total: u128 = weights.clone().sum();
        let ends = weights.scan(0, |sum, weight| {
            *sum += weight;
            Some((n as u128 * *sum / total) as u32)
        });
        Ok(iter::once(0).chain(ends).collect())
    }

    /// Keys and their indices, with each segment sorted, stably.
    pub(crate) fn sorted<K: Key>(self, keys: &[K]) -> Result<Sorted<K>, Error> {
        let (n, offsets) = (keys.len(), self.offsets(keys.len())?);
        let mut pairs = memory::collect(n, |i| (keys[i], i as u32))?;
        let mut rest = &mut pairs[..];
        let segments = offsets.windows(2).map(|bounds| {
            let length = (bounds[1] - bounds[0]) as usize;
            rest.split_off_mut(..length).expect("offsets end with the keys")
        });
        threads::each(segments, <[_]>::sort_unstable);
        let values = memory::collect(n, |i| pairs[i].1)?;
        Ok(Sorted { keys: memory::collect(n, |i| pairs[i].0)?, values })
    }
}

/// The expected result of a sort of segments.
pub(crate) struct Sorted<K> {
    pub(crate) keys: Vec<K>,
    /// The indices of keys.
    pub(crate) values: Vec<u32>,
}

impl<K: Key> Sorted<K> {
    /// Compares it with a result, of keys alone or with their indices.
    pub(crate) fn check(&self, keys: &[K], values: Option<&[u32]>) -> Result<(), Difference> {
        compare_each(&self.keys, keys)?;
        let Some(values) = values else { return Ok(()) };
        let differs = |&i: &usize| values[i] != self.values[i];
        match threads::find_first(values.len(), &|mut range| range.find(differs)) {
            None => Ok(()),
            Some(index) => {
                Err(Difference::Value { index, expected: self.values[index], found: values[index] })
            }
        }
    }
}

/// A sort of segments on the GPU, out of place, as peers sort them.
pub struct Segments<K: Key> {
    sort: SegmentSort<K>,
    keys: Array<K>,
    /// The indices of keys, where they are moved.
    values: Option<Array<u32>>,
    offsets: DeviceBuffer<u32>,
    workspace: Workspace,
    stream: Stream,
    events: (Event, Event),
    sorted: Sorted<K>,
    level: usize,
    /// True if some are so long that the host starts their sorts, for which it waits, or if it
    /// waits for the check of offsets.
    by_host: bool,
    /// Sorts dropped at the start of a turn, once they are known.
    warm_ups: Option<usize>,
}

/// An array, and where it goes.
struct Array<T: DeviceCopy> {
    input: DeviceBuffer<T>,
    output: DeviceBuffer<T>,
}

impl<T: DeviceCopy> Array<T> {
    fn new(elements: &[T]) -> Result<Self, Error> {
        Ok(Array { input: upload(elements)?, output: upload(elements)? })
    }
}

impl<K: Key> Segments<K> {
    /// `keys` on the device, alone or `paired` with their indices, in the segments of `cut`.
    pub fn new(keys: &[K], paired: bool, cut: Cut) -> Result<Self, Error> {
        let sorter = sorter()?;
        sorter.device().enter()?;
        let device = sorter.device().clone();
        let (n, order) = (keys.len(), Order::ascending());
        let payload = if paired { Payload::Value(size_of::<u32>()) } else { Payload::None };
        let sort = SegmentSort::new(device, n, cut.count, payload, order)?;
        let values = if paired { Some(Array::new(&indices(n)?)?) } else { None };
        let offsets = cut.offsets(n)?;
        let is_long = |bounds: &[u32]| (bounds[1] - bounds[0]) as usize > LONGEST_IN_A_BLOCK;
        Ok(Self {
            workspace: sort.workspace()?,
            by_host: !sort.by_kernels() || offsets.windows(2).any(is_long),
            sort,
            keys: Array::new(keys)?,
            values,
            offsets: upload(&offsets)?,
            stream: stream()?,
            events: (timer()?, timer()?),
            sorted: cut.sorted(keys)?,
            level: cut.count,
            warm_ups: None,
        })
    }

    fn sort(&mut self) -> Result<Times, Error> {
        let Self { sort, keys, values, offsets, workspace, stream, events, by_host, .. } = self;
        sorter()?.device().enter()?;
        let mut rest = None;
        let times = timed(events, stream, "sorting segments", || {
            let Array { input, output } = keys;
            let enqueued = match values {
                Some(values) => {
                    let (from, to) =
                        ((&**input, &*values.input), (&mut **output, &mut *values.output));
                    sort.pairs(from, to, offsets, workspace, stream)
                }
                None => sort.keys(input, output, offsets, workspace, stream),
            }?;
            match by_host {
                true => enqueued.finish(),
                false => {
                    rest = Some(enqueued);
                    Ok(())
                }
            }
        })?;
        rest.map_or(Ok(()), Enqueued::finish)?;
        Ok(times)
    }

    /// The times of a sort whose result is verified, over one overwritten before.
    fn verified(&mut self) -> Result<Times, Error> {
        poison(&self.keys.output, &self.stream)?;
        if let Some(values) = &self.values {
            poison(&values.output, &self.stream)?;
        }
        let times = self.sort()?;
        let keys = download(&self.keys.output)?;
        let values = self.values.as_ref().map(|values| download(&values.output)).transpose()?;
        let (engine, level) = (GPU, self.level);
        let checked = self.sorted.check(&keys, values.as_deref());
        checked.map_err(|difference| Error::WrongResult { engine, level, difference })?;
        Ok(times)
    }
}

impl<K: Key> Runner for Segments<K> {
    fn once(&mut self) -> Result<Times, Error> {
        self.sort()?;
        self.verified()
    }

    /// Sorts in a row, by events alone: those of peers are timed so, too.
    fn turn(&mut self, count: usize) -> Result<Vec<Times>, Error> {
        let mut known = self.warm_ups;
        let times = warm_turn(&mut known, count, || self.sort());
        self.warm_ups = known;
        times
    }

    fn verified_sort(&mut self) -> Result<(), Error> {
        self.verified().map(drop)
    }

    fn temporary_bytes(&self) -> Option<u64> {
        Some(self.sort.workspace_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths of `count` segments of `n` keys, drawn from `seed`.
    fn drawn(n: usize, count: usize, seed: u64) -> Vec<u32> {
        let offsets = Cut { count, seed: Some(seed) }.offsets(n).unwrap();
        assert_eq!((offsets.len(), offsets[0], offsets[count]), (count + 1, 0, n as u32));
        offsets.windows(2).map(|bounds| bounds[1] - bounds[0]).collect()
    }

    #[test]
    fn equal_lengths_leave_the_last_segments_shorter_or_empty() {
        for (n, count, expected) in [
            (10, 5, &[0, 2, 4, 6, 8, 10][..]),
            (10, 4, &[0, 3, 6, 9, 10]),
            (2, 4, &[0, 1, 2, 2, 2]),
            (0, 2, &[0, 0, 0]),
        ] {
            assert_eq!(Cut { count, seed: None }.offsets(n).unwrap(), expected);
        }
        let error = Cut { count: usize::MAX, seed: None }.offsets(9).unwrap_err().to_string();
        assert!(error.contains(&usize::MAX.to_string()), "{error}");
    }

    #[test]
    fn drawn_lengths_are_uniform_up_to_twice_the_mean() {
        let lengths = drawn(16 << 20, 1 << 20, 42);
        let counts = (0..34).map(|length| lengths.iter().filter(|&&l| l == length).count());
        let counts: Vec<usize> = counts.collect();
        // The mean is 16: a length of 1 to 31 has 1/32 of the segments, the ends have half of it.
        for length in 1..32 {
            assert!(counts[length].abs_diff(1 << 15) < 1 << 10, "{length}: {counts:?}");
        }
        assert!([0, 32].iter().all(|&length: &usize| counts[length].abs_diff(1 << 14) < 1 << 10));
        assert_eq!(lengths.iter().max(), Some(&32));
    }

    #[test]
    fn drawn_lengths_are_those_of_their_seed_and_cover_all_keys() {
        assert_eq!(drawn(1000, 7, 1), drawn(1000, 7, 1));
        assert_ne!(drawn(1000, 7, 1), drawn(1000, 7, 2));
        for (n, count) in [(0, 1), (0, 9), (1, 9), (9, 1), (100, 1000), (u32::MAX as usize, 3)] {
            drawn(n, count, 42);
        }
        assert!(drawn(100, 1000, 42).iter().filter(|&&length| length == 0).count() >= 900);
    }
}
