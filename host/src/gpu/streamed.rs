//! A sort of keys that come from host memory in pieces and go back there in pieces.
//!
//! The link to the host is slower than any sort, so the least time is that of the two copies. All
//! else hides behind them. The array is a few runs, each three quarters of what is left: a run is
//! sorted while the next ones are on their way, and the last is so short that its sort hardly
//! shows. The runs are then merged from the last to the first, each with all behind it, and
//! lazily: the first keys of a merge take no more than the first keys of its two inputs. So the
//! first piece of the result leaves after one short merge a run, and the rest is merged while
//! pieces leave.
//!
//! A key of run `i` is merged `i + 1` times; as runs are quarters of quarters, that is four reads
//! and writes for three keys in all.

use std::ops::Range;
use std::sync::Arc;

use cust::context::CurrentContext;
use cust::event::Event;
use cust::memory::{AsyncCopyDestination, DeviceBuffer};
use cust::stream::Stream;
use gpu_kernels::merge::Merge;

use super::checks::check_lengths;
use super::merger::{Run, check_count, merge};
use super::module::Kernel;
use super::stream::{stream, wait_for};
use super::{Device, GpuKey, Order, Payload, Sort, Workspace, dispatch};
use crate::error::{Error, failed};

/// Most runs.
const RUNS_MAX: usize = 5;
/// Keys that one more run is not worth.
const RUN_MIN: usize = 1 << 18;
/// Keys that an inner merge makes at least: as many as keep the device busy for some microseconds.
const MERGED_MIN: usize = 1 << 17;

/// A sort of exactly so many keys in ascending order, floating-point numbers in their total order,
/// ready to be run any number of times.
///
/// [`push`](Self::push) all keys in order, then [`pull`](Self::pull) all keys of the result: each
/// call puts a copy and what follows from it on streams, and returns. Takes two and a third times
/// the keys' memory on the device, beside the control words of the runs' sorts.
pub struct StreamedSort<K: GpuKey> {
    device: Arc<Device>,
    /// The runs, as they came and sorted.
    keys: DeviceBuffer<K>,
    /// Second buffer of the runs' sorts; the result of the merges.
    other: DeviceBuffer<K>,
    /// The merges of all runs but the first.
    _between: DeviceBuffer<K>,
    runs: Vec<SortedRun<K>>,
    merge: Kernel<Merge<K::Word>>,
    uploads: Stream,
    merges: Stream,
    downloads: Stream,
    pushed: usize,
    pulled: usize,
}

/// A run, and the merge of it with all behind it.
struct SortedRun<K: GpuKey> {
    range: Range<usize>,
    sort: Sort<K>,
    workspace: Workspace,
    stream: Stream,
    /// The merge: the last run itself, or what is written of it so far.
    merged: Run,
    /// Keys of the merge that are there once the stream of merges has run.
    done: usize,
}

impl<K: GpuKey> StreamedSort<K> {
    /// A sort of `n` keys on `device`.
    ///
    /// # Errors
    /// Too little GPU memory, found before any is allocated; more keys than are merged; kernels
    /// that do not load.
    pub fn new(device: Arc<Device>, n: usize) -> Result<Self, Error> {
        let ranges = runs(n);
        if ranges.len() > 1 {
            check_count(n)?;
        }
        device.enter()?;
        let sort = |range: &Range<usize>| {
            Sort::<K>::new(Arc::clone(&device), range.len(), Payload::None, Order::ascending())
        };
        let sorts = ranges.iter().map(sort).collect::<Result<Vec<_>, _>>()?;
        let between: usize = inner(&ranges).map(|range| n - range.start).sum();
        let words: u64 = sorts.iter().map(Sort::ping_pong_bytes).sum();
        let needed = ((2 * n + between) * size_of::<K>()) as u64 + words;
        let (available, _) = device.memory()?;
        if needed > available {
            let what = "GPU memory".to_owned();
            return Err(Error::Memory { n, what, needed, available });
        }
        let room = |len| {
            // SAFETY: every pattern of bits is a key.
            unsafe { DeviceBuffer::uninitialized(len) }.map_err(failed("allocating GPU memory"))
        };
        let (keys, other, between) = (room(n)?, room(n)?, room(between)?);
        let mut taken = 0;
        let last = ranges.len() - 1;
        let run = |(index, (range, sort)): (usize, (Range<usize>, Sort<K>))| {
            let len = n - range.start;
            let merged = match index {
                _ if index == last => Run::of(&keys.index(range.clone())),
                0 => Run::of(&other),
                _ => {
                    taken += len;
                    Run::of(&between.index(taken - len..taken))
                }
            };
            let (workspace, stream) = (sort.ping_pong_workspace()?, stream()?);
            Ok(SortedRun { range, sort, workspace, stream, merged, done: 0 })
        };
        let runs = ranges.into_iter().zip(sorts).enumerate().map(run).collect::<Result<_, Error>>();
        Ok(StreamedSort {
            runs: runs?,
            merge: dispatch::merger::<K::Word>(&device, false)?,
            keys,
            other,
            _between: between,
            uploads: stream()?,
            merges: stream()?,
            downloads: stream()?,
            pushed: 0,
            pulled: n,
            device,
        })
    }

    /// Keys of a sort.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns true if a sort has no keys.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Enters the device, and makes ready for a sort, whatever became of the last one.
    ///
    /// # Errors
    /// Failures that the driver reports, of the last sort as well.
    pub fn begin(&mut self) -> Result<(), Error> {
        self.device.enter()?;
        if self.pushed > 0 && self.pulled < self.len() {
            CurrentContext::synchronize().map_err(failed("ending a sort"))?;
        }
        (self.pushed, self.pulled) = (0, 0);
        self.runs.iter_mut().for_each(|run| run.done = 0);
        Ok(())
    }

    /// Copies the next keys to the device, where each run is sorted once it is there.
    ///
    /// # Errors
    /// More keys than a sort has; failures that the driver reports.
    ///
    /// # Safety
    /// `pinned` is page-locked, and stays as it is until the event `copied` has happened.
    pub unsafe fn push(&mut self, pinned: &[K], copied: &Event) -> Result<(), Error> {
        let range = self.pushed..self.pushed + pinned.len();
        if range.end > self.len() {
            check_lengths(range.end, self.len())?;
        }
        let mut target = self.keys.index(range.clone());
        // SAFETY: the caller's contract; nothing else writes this part before it is sorted.
        unsafe { target.async_copy_from(pinned, &self.uploads) }
            .map_err(failed("copying keys to the GPU"))?;
        copied.record(&self.uploads).map_err(failed("recording an event"))?;
        let arrived =
            |run: &&mut SortedRun<K>| run.range.end > range.start && run.range.end <= range.end;
        for run in self.runs.iter_mut().filter(arrived) {
            wait_for(&run.stream, &self.uploads)?;
            let mut here = self.keys.index(run.range.clone());
            let mut scratch = self.other.index(run.range.clone());
            let SortedRun { sort, workspace, stream, .. } = run;
            sort.keys_ping_pong(&mut here, &mut scratch, workspace, stream)?;
            wait_for(&self.merges, stream)?;
        }
        self.pushed = range.end;
        Ok(())
    }

    /// Copies the next keys of the result from the device.
    ///
    /// # Errors
    /// Keys that were not pushed yet, or more than a sort has; failures that the driver reports.
    ///
    /// # Safety
    /// `pinned` is page-locked, and is left alone until the event `copied` has happened.
    pub unsafe fn pull(&mut self, pinned: &mut [K], copied: &Event) -> Result<(), Error> {
        let range = self.pulled..self.pulled + pinned.len();
        check_lengths(self.pushed, self.len())?;
        if range.end > self.len() {
            check_lengths(range.end, self.len())?;
        }
        self.merge_until(0, range.end)?;
        wait_for(&self.downloads, &self.merges)?;
        let result = if self.runs.len() == 1 { &self.keys } else { &self.other };
        // SAFETY: the caller's contract; the stream has waited for these keys.
        unsafe { result.index(range.clone()).async_copy_to(pinned, &self.downloads) }
            .map_err(failed("copying keys from the GPU"))?;
        copied.record(&self.downloads).map_err(failed("recording an event"))?;
        self.pulled = range.end;
        Ok(())
    }

    /// Has the first `end` keys merged of run `index` and all behind it.
    fn merge_until(&mut self, index: usize, end: usize) -> Result<(), Error> {
        let Some([run, behind]) = self.runs.get(index..index + 2) else {
            return Ok(());
        };
        let (done, len) = (run.done, run.merged.len);
        if end <= done {
            return Ok(());
        }
        // Inner merges are ahead of what is asked of them: that takes fewer launches.
        let end = if index == 0 { end } else { end.max(2 * done).max(MERGED_MIN).min(len) };
        self.merge_until(index + 1, end.min(behind.merged.len))?;
        let [run, behind] = &self.runs[index..index + 2] else {
            return Ok(());
        };
        let inputs = [Run::of(&self.keys.index(run.range.clone())), behind.merged];
        // SAFETY: the stream has waited for all sorts, and has merged as much of what is behind
        // as this takes; the buffers are apart.
        unsafe {
            let order_mask = Order::ascending().order_mask::<K>();
            merge::<K>(self.merge, order_mask, inputs, run.merged, done..end, &self.merges)?;
        }
        self.runs[index].done = end;
        Ok(())
    }
}

impl<K: GpuKey> Drop for StreamedSort<K> {
    /// Nothing is freed that a sort still uses which an error has ended.
    fn drop(&mut self) {
        // A context that cannot be entered has lost its memory already.
        if self.device.enter().is_ok() {
            let _ = CurrentContext::synchronize();
        }
    }
}

/// The runs of `n` keys: one or more.
fn runs(n: usize) -> Vec<Range<usize>> {
    let (mut runs, mut start) = (Vec::new(), 0);
    while n - start > RUN_MIN && runs.len() + 1 < RUNS_MAX {
        let end = start + (n - start) / 4 * 3;
        runs.push(start..end);
        start = end;
    }
    runs.push(start..n);
    runs
}

/// The runs whose merge lies between: all but the first and the last.
fn inner(runs: &[Range<usize>]) -> impl Iterator<Item = &Range<usize>> {
    let last = runs.len() - 1;
    runs.iter().enumerate().filter(move |&(index, _)| index > 0 && index < last).map(|(_, run)| run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_leave_nothing_out_and_the_last_is_short() {
        for n in [0, 1, RUN_MIN, RUN_MIN + 1, 1_000_003, 50_000_000, 1 << 32] {
            let runs = runs(n);
            assert_eq!((runs[0].start, runs[runs.len() - 1].end), (0, n));
            assert!(runs.windows(2).all(|two| two[0].end == two[1].start));
            assert!(runs[runs.len() - 1].len() <= RUN_MIN.max(n.div_ceil(128)), "{n}: {runs:?}");
            let between: usize = inner(&runs).map(|run| n - run.start).sum();
            assert!(between <= n / 2, "{n}: {runs:?}");
        }
    }
}
