//! A sort of keys that arrive from host memory in pieces and return there in pieces.
//!
//! The link to the host is slower than any sort, so the least time is that of the two copies;
//! everything else overlaps with them. The array is cut into a few runs, each three quarters of
//! the rest. A run is sorted while the next ones arrive, and the last one is so short that its
//! sort hardly shows. Then the runs are merged from the last to the first, each with all runs
//! after it. Merges are lazy: the first keys of a merge need only the first keys of its two
//! inputs. So the first piece of the result leaves after one short merge for each run, and the
//! rest is merged while pieces leave.
//!
//! A key of run `i` is merged `i + 1` times. Each run is a quarter as long as the one before, so
//! three keys take four reads and writes in all.
//!
//! Two GPUs have two links to the host. Each takes half of the keys and merges them from both
//! ends. Then the first GPU merges the first keys of both halves, up to the middle of the result,
//! and reads the other half over the link between the GPUs. The second GPU merges the last keys,
//! down to the middle.

use std::ops::Range;
use std::sync::Arc;

use cust::context::CurrentContext;
use cust::event::Event;
use cust::memory::{AsyncCopyDestination, DeviceBuffer};
use cust::stream::Stream;
use gpu_kernels::merge::Merge;

use super::checks::check_lengths;
use super::devices::parts::{blank, share};
use super::devices::{Devices, Link, named};
use super::merger::{Run, check_count, merge};
use super::module::Kernel;
use super::stream::{event_on, record, stream, wait_for, wait_on};
use super::{Device, GpuKey, Order, Payload, Sort, Workspace, dispatch};
use crate::error::{Error, failed};

/// Most runs.
const RUNS_MAX: usize = 5;
/// Keys that one more run is not worth.
const RUN_MIN: usize = 1 << 18;
/// Keys that an inner merge makes at least: as many as keep the device busy for some microseconds.
const MERGED_MIN: usize = 1 << 17;

/// A prepared sort of exactly so many keys in ascending order, floating-point numbers in their
/// total order, on one GPU or two. It can run any number of times.
///
/// [`push`](Self::push) all keys of each GPU in order, then [`pull`](Self::pull) all keys of each
/// GPU's half of the result. Each call puts a copy and the work that follows it on streams, and
/// returns. A sort needs two and a third times the keys' memory on one GPU, and three and a third
/// times on two, beside the control words of the runs' sorts.
pub struct StreamedSort<K: GpuKey> {
    n: usize,
    lanes: Vec<Lane<K>>,
}

/// An end of an array, from which it is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    First,
    Last,
}

/// A GPU's share.
struct Lane<K: GpuKey> {
    device: Arc<Device>,
    /// The runs, as they came and sorted.
    keys: DeviceBuffer<K>,
    /// Second buffer of the runs' sorts; the merge of them all.
    other: DeviceBuffer<K>,
    /// The merges of all runs but the first.
    _between: DeviceBuffer<K>,
    /// Of two lanes, the half of the result.
    half: DeviceBuffer<K>,
    runs: Vec<SortedRun<K>>,
    merge: Kernel<Merge<K::Word>>,
    uploads: Stream,
    /// Merges from the first key on, and from the last one back.
    merges: [Stream; 2],
    /// Of two lanes, the merges of both.
    last_merges: Stream,
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
    /// The merge: of the last run, itself.
    merged: Run,
    /// Keys of the merge, from either end, that are there when its stream has run.
    made: [usize; 2],
}

impl<K: GpuKey> StreamedSort<K> {
    /// Prepares a sort of `n` keys on `device`.
    ///
    /// # Errors
    /// Too little GPU memory, found before any is allocated; more keys than can be merged; kernels
    /// that do not load.
    pub fn new(device: &Arc<Device>, n: usize) -> Result<Self, Error> {
        Ok(StreamedSort { n, lanes: vec![Lane::new(device, n, 0)?] })
    }

    /// Returns true if [`over`](Self::over) takes these GPUs.
    pub fn goes_over(devices: &Devices) -> bool {
        let count = devices.all().len();
        count == 1 || count == 2 && devices.link(0, 1) != Link::Staged
    }

    /// Prepares a sort of `n` keys over one GPU, or two with peer access.
    ///
    /// # Errors
    /// As in [`new`](Self::new), with the name of the GPU; other GPUs.
    pub fn over(devices: &Devices, n: usize) -> Result<Self, Error> {
        let all = devices.all();
        if !Self::goes_over(devices) {
            let reason = "it takes one GPU, or two that reach each other's memory";
            return Err(Error::gpu("preparing a sort from host memory", reason));
        }
        check_count(n)?;
        // After an error, it frees the lanes that there are, each in its context.
        let mut sort = StreamedSort { n, lanes: Vec::new() };
        for (index, device) in all.iter().enumerate() {
            let len = share(n, all.len(), index).len();
            let half = if all.len() == 1 { 0 } else { len };
            let lane = Lane::new(device, len, half);
            sort.lanes.push(lane.map_err(|error| devices.name_error(index, error))?);
        }
        Ok(sort)
    }

    /// Number of keys of a sort.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Returns true if a sort has no keys.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// The keys of each GPU, of the input and of the result.
    pub fn shares(&self) -> Vec<Range<usize>> {
        (0..self.lanes.len()).map(|index| share(self.n, self.lanes.len(), index)).collect()
    }

    /// Returns true if this GPU's part of the result leaves from the last key back.
    pub fn is_backward(&self, index: usize) -> bool {
        index > 0
    }

    /// Makes GPU `index` current for the calling thread.
    ///
    /// # Errors
    /// Failures that the driver reports.
    pub fn enter(&self, index: usize) -> Result<(), Error> {
        self.lanes[index].device.enter()
    }

    /// Prepares for the next sort, whatever the outcome of the last one.
    ///
    /// # Errors
    /// Failures that the driver reports, including those of the last sort.
    pub fn begin(&mut self) -> Result<(), Error> {
        let count = self.lanes.len();
        let mut lanes = self.lanes.iter_mut();
        lanes.try_for_each(|lane| lane.begin().map_err(|error| lane.named(count, error)))
    }

    /// Copies the next keys of GPU `index` there, where each run is sorted once it has come.
    ///
    /// # Errors
    /// More keys than its share; failures that the driver reports.
    ///
    /// # Safety
    /// `pinned` is page-locked, and stays as it is until the event `copied` of that GPU has
    /// happened.
    pub unsafe fn push(&mut self, index: usize, pinned: &[K], copied: &Event) -> Result<(), Error> {
        let count = self.lanes.len();
        let lane = &mut self.lanes[index];
        // SAFETY: the caller's contract.
        unsafe { lane.push(pinned, copied) }.map_err(|error| lane.named(count, error))
    }

    /// Copies the next keys of the result from GPU `index`: from the first on, or back from the
    /// last one.
    ///
    /// # Errors
    /// Keys that were not all pushed, or more than its share; failures that the driver reports.
    ///
    /// # Safety
    /// `pinned` is page-locked, and is left alone until the event `copied` of that GPU has
    /// happened.
    pub unsafe fn pull(
        &mut self,
        index: usize,
        pinned: &mut [K],
        copied: &Event,
    ) -> Result<(), Error> {
        for lane in &self.lanes {
            check_lengths(lane.pushed, lane.keys.len())?;
        }
        let (len, done) = (self.lanes[index].keys.len(), self.lanes[index].pulled);
        let taken = done + pinned.len();
        if taken > len {
            check_lengths(taken, len)?;
        }
        let count = self.lanes.len();
        match count {
            1 => {
                self.lanes[0].device.enter()?;
                self.lanes[0].merge(End::First, 0, taken, false)?;
            }
            _ => self.merge_lanes(index, done, taken)?,
        }
        let range = if index == 0 { done..taken } else { len - taken..len - done };
        let lane = &mut self.lanes[index];
        // SAFETY: the caller's contract.
        unsafe { lane.pull(range, self.n != len, pinned, copied) }
            .map_err(|error| lane.named(count, error))?;
        lane.pulled = taken;
        Ok(())
    }

    /// Has lane `index` merge as many keys of both lanes as are `taken`, of which some are `done`.
    fn merge_lanes(&mut self, index: usize, done: usize, taken: usize) -> Result<(), Error> {
        let end = if index == 0 { End::First } else { End::Last };
        let (count, mut halves) = (self.lanes.len(), Vec::new());
        for of in 0..count {
            let lane = &mut self.lanes[of];
            let merged = lane.merge_first(end, taken).map_err(|error| lane.named(count, error))?;
            halves.push(lane.runs[0].merged);
            let lane = &self.lanes[index];
            let waits = lane.device.enter().and_then(|()| wait_on(&lane.last_merges, merged));
            waits.map_err(|error| lane.named(count, error))?;
        }
        let lane = &self.lanes[index];
        // Where the whole result would begin.
        let begin = if index == 0 { 0 } else { self.n - lane.half.len() };
        let result = Run::of(&lane.half).before::<K>(begin, self.n);
        // SAFETY: the stream has waited for as many keys of both as this takes, and writes this
        // lane's half alone; all buffers are apart.
        unsafe { lane.launch(end, [halves[0], halves[1]], result, done..taken, &lane.last_merges) }
            .map_err(|error| lane.named(count, error))
    }
}

impl<K: GpuKey> Lane<K> {
    /// Room for `n` keys on `device`, and for `half` of the result.
    fn new(device: &Arc<Device>, n: usize, half: usize) -> Result<Self, Error> {
        let ranges = runs(n);
        if ranges.len() > 1 {
            check_count(n)?;
        }
        device.enter()?;
        let sort = |range: &Range<usize>| {
            Sort::<K>::new(Arc::clone(device), range.len(), Payload::None, Order::ascending())
        };
        let sorts = ranges.iter().map(sort).collect::<Result<Vec<_>, _>>()?;
        let between: usize = inner(&ranges).map(|range| n - range.start).sum();
        let words: u64 = sorts.iter().map(Sort::ping_pong_bytes).sum();
        let needed = ((2 * n + between + half) * size_of::<K>()) as u64 + words;
        let (available, _) = device.memory()?;
        if needed > available {
            return Err(Error::gpu_memory(n, needed, available));
        }
        let (keys, other, between) = (blank(n)?, blank(n)?, blank(between)?);
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
            Ok(SortedRun { range, sort, workspace, stream, merged, made: [0; 2] })
        };
        let runs = ranges.into_iter().zip(sorts).enumerate().map(run).collect::<Result<_, Error>>();
        Ok(Lane {
            runs: runs?,
            merge: dispatch::merger::<K::Word>(device, false)?,
            keys,
            other,
            _between: between,
            half: blank(half)?,
            uploads: stream()?,
            merges: [stream()?, stream()?],
            last_merges: stream()?,
            downloads: stream()?,
            pushed: 0,
            pulled: 0,
            device: Arc::clone(device),
        })
    }

    /// Waits for what the last sort left: merges that were ahead, or all that an error ended.
    fn begin(&mut self) -> Result<(), Error> {
        self.device.enter()?;
        CurrentContext::synchronize().map_err(failed("ending a sort"))?;
        (self.pushed, self.pulled) = (0, 0);
        self.runs.iter_mut().for_each(|run| run.made = [0; 2]);
        Ok(())
    }

    /// `error` with the name of the device, if it is one of several.
    fn named(&self, count: usize, error: Error) -> Error {
        if count == 1 { error } else { named(&self.device, error) }
    }

    /// [`StreamedSort::push`].
    unsafe fn push(&mut self, pinned: &[K], copied: &Event) -> Result<(), Error> {
        self.device.enter()?;
        let range = self.pushed..self.pushed + pinned.len();
        if range.end > self.keys.len() {
            check_lengths(range.end, self.keys.len())?;
        }
        let mut target = self.keys.index(range.clone());
        // SAFETY: the caller's contract; nothing else writes this part before it is sorted.
        unsafe { target.async_copy_from(pinned, &self.uploads) }
            .map_err(failed("copying keys to the GPU"))?;
        record(copied, &self.uploads)?;
        let has_come =
            |run: &&mut SortedRun<K>| run.range.end > range.start && run.range.end <= range.end;
        for run in self.runs.iter_mut().filter(has_come) {
            wait_for(&run.stream, &self.uploads)?;
            let mut here = self.keys.index(run.range.clone());
            let mut scratch = self.other.index(run.range.clone());
            run.sort.keys_ping_pong(&mut here, &mut scratch, &mut run.workspace, &run.stream)?;
            for merges in &self.merges {
                wait_for(merges, &run.stream)?;
            }
        }
        self.pushed = range.end;
        Ok(())
    }

    /// [`StreamedSort::pull`] of keys that its streams have merged: from this lane's half of the
    /// result, or from the merge of all its runs.
    unsafe fn pull(
        &self,
        range: Range<usize>,
        is_half: bool,
        pinned: &mut [K],
        copied: &Event,
    ) -> Result<(), Error> {
        self.device.enter()?;
        let (merges, result) = match self.runs.len() {
            _ if is_half => (&self.last_merges, &self.half),
            1 => (&self.merges[0], &self.keys),
            _ => (&self.merges[0], &self.other),
        };
        wait_for(&self.downloads, merges)?;
        // SAFETY: the caller's contract; the stream has waited for these keys.
        unsafe { result.index(range).async_copy_to(pinned, &self.downloads) }
            .map_err(failed("copying keys from the GPU"))?;
        record(copied, &self.downloads)
    }

    /// Has as many keys of all runs merged as are `taken` of several lanes, and returns the event
    /// of it.
    fn merge_first(&mut self, end: End, taken: usize) -> Result<Event, Error> {
        self.device.enter()?;
        self.merge(end, 0, taken.min(self.keys.len()), true)?;
        event_on(&self.merges[end as usize])
    }

    /// Has the merge of run `index` and all behind it made as far as `taken` keys from an end. A
    /// merge that `is_inner` makes more than is asked of it, so that it takes few launches.
    fn merge(&mut self, end: End, index: usize, taken: usize, is_inner: bool) -> Result<(), Error> {
        let Some([run, behind]) = self.runs.get(index..index + 2) else {
            return Ok(());
        };
        let (at, other) = (end as usize, 1 - end as usize);
        let (made, len) = (run.made, run.merged.len);
        if taken <= made[at] {
            return Ok(());
        }
        let ahead = if is_inner { (2 * made[at]).max(MERGED_MIN) } else { 0 };
        let taken = taken.max(ahead).min(len);
        let meets_other = taken + made[other] >= len;
        let until = if meets_other { len - made[other] } else { taken };
        let (behind, from_behind) = (behind.merged, until.min(behind.merged.len));
        self.merge(end, index + 1, from_behind, true)?;
        let run = &self.runs[index];
        let inputs = [Run::of(&self.keys.index(run.range.clone())), behind];
        // SAFETY: the stream has waited for all sorts, and has merged as much of what is behind
        // as this takes; the buffers are apart.
        unsafe { self.launch(end, inputs, run.merged, made[at]..until, &self.merges[at])? };
        if meets_other {
            wait_for(&self.merges[at], &self.merges[other])?;
        }
        self.runs[index].made[at] = if meets_other { len } else { until };
        Ok(())
    }

    /// Merges two runs into `output`, from an end: the keys of `range`, counted from there.
    ///
    /// # Safety
    /// As of [`merge`], of as many keys of each run from that end as the range's end.
    unsafe fn launch(
        &self,
        end: End,
        runs: [Run; 2],
        output: Run,
        range: Range<usize>,
        stream: &Stream,
    ) -> Result<(), Error> {
        if range.is_empty() {
            return Ok(());
        }
        let order_mask = Order::ascending().order_mask::<K>();
        let (runs, output, range) = match end {
            End::First => (runs, output, range),
            // Of what the last keys of both make, the last ones.
            End::Last => {
                let runs = runs.map(|run| run.last::<K>(range.end.min(run.len)));
                let len = runs[0].len + runs[1].len;
                (runs, output.last::<K>(len), len - range.end..len - range.start)
            }
        };
        // SAFETY: the caller's contract.
        unsafe { merge::<K>(self.merge, order_mask, runs, output, range, stream) }
    }
}

impl<K: GpuKey> Drop for StreamedSort<K> {
    /// Nothing is freed that a sort still uses which an error has ended.
    fn drop(&mut self) {
        for lane in &self.lanes {
            // A context that cannot be entered has lost its memory already.
            if lane.device.enter().is_ok() {
                let _ = CurrentContext::synchronize();
            }
        }
        for lane in self.lanes.drain(..) {
            let _ = lane.device.enter();
            drop(lane);
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
