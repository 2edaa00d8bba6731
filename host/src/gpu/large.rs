//! Sorts arrays in host memory that are larger than GPU memory.
//!
//! The array is cut into equal runs, each as long as a lane of a GPU holds. Each run goes to a
//! lane, is sorted there, and comes back to a second array in host memory. Then the result is cut
//! into as many equal pieces. A binary search over the sorted runs finds the keys of each run that
//! belong to a piece ([`cuts`]). A lane receives these one after the other, sorts them again, and
//! sends them to their place. GPU memory is so much faster than the link that a merge instead
//! would save nothing.
//!
//! So every key crosses the link twice in each direction, however many runs there are. A lane is a
//! thread, a stream, and memory of a GPU: one lane of a GPU uploads while another sorts and a
//! third downloads. A lane takes the next run when it has finished one, so a slower GPU or link
//! gets fewer.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use cust::context::CurrentContext;
use cust::memory::DeviceBuffer;
use cust::stream::Stream;

use super::checks::check_lengths;
use super::devices::borders::cuts;
use super::devices::named_among;
use super::devices::parts::{blank, share};
use super::merger::check_count;
use super::stream::stream;
use super::transfer::Staging;
use super::{Device, GpuKey, Order, Payload, Sort, Workspace};
use crate::error::{Error, NoGpu};
use crate::memory;

/// Of the free memory of a GPU, this share is left free: one part of so many.
const LEFT_FREE: u64 = 16;

/// A prepared sort of exactly so many keys in host memory, in ascending order, floating-point
/// numbers in their total order. It can run any number of times. Host memory must hold the keys
/// twice.
///
/// It uses most of each GPU's free memory, and two pinned pieces of host memory for each lane.
///
/// ```
/// use host::gpu::Device;
/// use host::gpu::large::LargeSort;
///
/// # fn main() -> Result<(), host::Error> {
/// let Ok(device) = Device::open() else {
///     return Ok(());
/// };
/// let mut keys: Vec<u32> = (0..1 << 20).map(|i: u32| i.wrapping_mul(2_654_435_761)).collect();
/// // At most 4 MB of GPU memory, which is too little for the array and a second buffer.
/// let mut sort = LargeSort::within(&[device], keys.len(), 2, 4 << 20)?;
/// sort.sort(&mut keys)?;
/// assert!(keys.is_sorted());
/// # Ok(())
/// # }
/// ```
pub struct LargeSort<K: GpuKey> {
    lanes: Vec<Lane<K>>,
    /// The sorted runs, one behind the other.
    sorted: Vec<K>,
    /// Runs, and pieces of the result.
    runs: usize,
}

/// A thread's share of a GPU.
struct Lane<K: GpuKey> {
    device: Arc<Device>,
    keys: DeviceBuffer<K>,
    /// Second buffer of the sort.
    other: DeviceBuffer<K>,
    workspace: Workspace,
    staging: Staging<K>,
    stream: Stream,
    sort: Sort<K>,
}

/// Keys in host memory, and where they go once they are sorted together.
struct Job<'a, K> {
    from: Vec<&'a [K]>,
    to: &'a mut [K],
}

impl<K: GpuKey> LargeSort<K> {
    /// Prepares a sort of `n` keys over `devices`, with this number of `lanes` on each, in most of
    /// its free memory.
    ///
    /// # Errors
    /// No device; too little host memory for a second array, found before it is allocated; too
    /// little GPU memory for a few keys; whatever the driver reports.
    pub fn new(devices: &[Arc<Device>], n: usize, lanes: usize) -> Result<Self, Error> {
        Self::within(devices, n, lanes, u64::MAX)
    }

    /// The same, with at most `bytes` of the memory of each device.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn within(
        devices: &[Arc<Device>],
        n: usize,
        lanes: usize,
        bytes: u64,
    ) -> Result<Self, Error> {
        let lanes = lanes.max(1);
        let all = devices.len() * lanes;
        let pinned = all as u64 * Staging::<K>::bytes(n.min(u32::MAX as usize));
        let needed = memory::bytes_of::<K>(n).saturating_add(pinned);
        memory::require(n, needed)?;
        if devices.is_empty() {
            return Err(NoGpu("an empty list of GPUs; name one or more".to_owned()).into());
        }
        let mut capacity = n.min(u32::MAX as usize).max(1);
        for device in devices {
            let room = room(devices, device)?.min(bytes) / lanes as u64;
            let held = held::<K>(device, capacity, room);
            capacity = held.map_err(|error| named_among(devices, device, error))?;
        }
        let runs = n.div_ceil(capacity).max(1).next_multiple_of(all);
        let longest = n.div_ceil(runs).max(1);
        check_count(longest)?;
        let mut sort = LargeSort { lanes: Vec::new(), sorted: Vec::new(), runs };
        for device in devices.iter().flat_map(|device| vec![device; lanes]) {
            let lane = Lane::new(device, longest);
            sort.lanes.push(lane.map_err(|error| named_among(devices, device, error))?);
        }
        let reserved = sort.sorted.try_reserve_exact(n);
        reserved.map_err(|_| Error::Refused { n, needed })?;
        sort.sorted.resize(n, K::default());
        Ok(sort)
    }

    /// Number of keys of a sort.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Returns true if a sort has no keys.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Number of runs into which the array is cut.
    pub fn runs(&self) -> usize {
        self.runs
    }

    /// Sorts `keys`. Returns when they are sorted.
    ///
    /// # Errors
    /// Another number of keys than prepared for; a failure of a device, with its name if there are
    /// several: then all work has ended, and `keys` holds the same keys in any order.
    pub fn sort(&mut self, keys: &mut [K]) -> Result<(), Error> {
        check_lengths(keys.len(), self.len())?;
        let (n, count) = (keys.len(), self.runs);
        let LargeSort { lanes, sorted, .. } = self;
        let runs = (0..count).map(|run| vec![&keys[share(n, count, run)]]);
        run(lanes, jobs(runs.collect(), sorted))?;
        let done = run(lanes, jobs(pieces(sorted, count), keys));
        done.inspect_err(|_| keys.copy_from_slice(sorted))
    }
}

impl<K: GpuKey> Drop for LargeSort<K> {
    fn drop(&mut self) {
        for lane in self.lanes.drain(..) {
            // A context that cannot be entered has lost its memory already.
            let _ = lane.device.enter();
            drop(lane);
        }
    }
}

impl<K: GpuKey> Lane<K> {
    /// Room for `capacity` keys on `device`.
    fn new(device: &Arc<Device>, capacity: usize) -> Result<Self, Error> {
        let sort = sort_of(device, capacity)?;
        device.enter()?;
        Ok(Lane {
            device: Arc::clone(device),
            keys: blank(capacity)?,
            other: blank(capacity)?,
            workspace: sort.ping_pong_workspace()?,
            staging: Staging::new(capacity)?,
            stream: stream()?,
            sort,
        })
    }

    /// Does a job. All of its work has ended on return.
    fn run(&mut self, job: Job<K>) -> Result<(), Error> {
        self.device.enter()?;
        // After an error, no copy goes on in memory that is then used again, or freed.
        self.run_entered(job).inspect_err(|_| {
            let _ = CurrentContext::synchronize();
        })
    }

    fn run_entered(&mut self, Job { from, to }: Job<K>) -> Result<(), Error> {
        let Lane { keys, other, workspace, staging, stream, sort, .. } = self;
        let mut end = 0;
        for part in from {
            let begin = end;
            end += part.len();
            staging.upload(part, &keys.index(begin..end), stream)?;
        }
        let (mut keys, mut other) = (keys.index(..end), other.index(..end));
        sort.keys_ping_pong(&mut keys, &mut other, workspace, stream)?;
        staging.download(&keys, to, stream)
    }
}

/// The keys that go to each of as many equal parts of `to`.
fn jobs<'a, K>(from: Vec<Vec<&'a [K]>>, to: &'a mut [K]) -> Vec<Job<'a, K>> {
    let (n, count, mut rest) = (to.len(), from.len(), to);
    let mut jobs = Vec::new();
    for (index, from) in from.into_iter().enumerate() {
        let (to, behind) = rest.split_at_mut(share(n, count, index).len());
        rest = behind;
        if !to.is_empty() {
            jobs.push(Job { from, to });
        }
    }
    jobs
}

/// For each of `count` equal pieces of the result, its keys in each of as many `sorted` runs.
fn pieces<K: GpuKey>(sorted: &[K], count: usize) -> Vec<Vec<&[K]>> {
    let n = sorted.len();
    let runs: Vec<&[K]> = (0..count).map(|run| &sorted[share(n, count, run)]).collect();
    let ranks = (0..=count).map(|piece| match piece == count {
        true => n as u64,
        false => share(n, count, piece).start as u64,
    });
    let cuts = cuts(&runs, ranks.collect());
    let piece = |two: &[Vec<u32>]| {
        let ends = two[0].iter().zip(&two[1]);
        let parts = runs.iter().zip(ends);
        parts.map(|(run, (&begin, &end))| &run[begin as usize..end as usize]).collect()
    };
    cuts.windows(2).map(piece).collect()
}

/// Has the lanes do the jobs, each in a thread of its own. All work has ended on return.
fn run<K: GpuKey>(lanes: &mut [Lane<K>], jobs: Vec<Job<K>>) -> Result<(), Error> {
    let devices: Vec<Arc<Device>> = lanes.iter().map(|lane| Arc::clone(&lane.device)).collect();
    let work = |lane: &mut Lane<K>, job: Job<K>| {
        lane.run(job).map_err(|error| named_among(&devices, &lane.device, error))
    };
    in_turn(lanes, jobs, work)
}

/// Has a thread for each worker do one job after the other. Returns the first worker's error of
/// those that failed; after one, no other job begins.
fn in_turn<W: Send, J: Send>(
    workers: &mut [W],
    jobs: Vec<J>,
    work: impl Fn(&mut W, J) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let jobs = &Mutex::new(jobs.into_iter());
    let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
    let end = || jobs.lock().unwrap_or_else(PoisonError::into_inner).by_ref().for_each(drop);
    let (next, end, work) = (&next, &end, &work);
    let all = move |worker: &mut W| {
        std::iter::from_fn(next).try_for_each(|job| work(worker, job)).inspect_err(|_| end())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = workers
            .iter_mut()
            .map(|worker| thread::Builder::new().spawn_scoped(scope, move || all(worker)))
            .collect();
        let count = threads.len();
        let joined = threads.into_iter().map(|started| match started.map(|thread| thread.join()) {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(reason) => Err(Error::Threads { count, reason: reason.to_string() }),
        });
        // All have ended before the first error is returned.
        joined.collect::<Vec<_>>().into_iter().collect()
    })
}

/// The sort of a lane.
fn sort_of<K: GpuKey>(device: &Arc<Device>, capacity: usize) -> Result<Sort<K>, Error> {
    Sort::new(Arc::clone(device), capacity, Payload::None, Order::ascending())
}

/// Bytes of a GPU's memory that a sort may take, where it is one of `devices`. One that was opened
/// several times has so many shares.
fn room(devices: &[Arc<Device>], device: &Device) -> Result<u64, Error> {
    let opened = devices.iter().filter(|other| other.index == device.index).count() as u64;
    let (free, _) = device.memory().map_err(|error| named_among(devices, device, error))?;
    Ok((free - free / LEFT_FREE) / opened)
}

/// About the most keys, up to `most`, that a lane holds in `room` bytes of GPU memory.
///
/// # Errors
/// Not one key.
fn held<K: GpuKey>(device: &Arc<Device>, most: usize, room: u64) -> Result<usize, Error> {
    let own = |capacity| Ok(sort_of::<K>(device, capacity)?.ping_pong_bytes());
    fitting(most, 2 * size_of::<K>() as u64, room, own)
}

/// About the most keys, up to `most`, of `both` bytes each that have `room` beside the sort's
/// `own`: which is small, and mostly grows with the keys, by steps.
fn fitting(
    most: usize,
    both: u64,
    room: u64,
    own: impl Fn(usize) -> Result<u64, Error>,
) -> Result<usize, Error> {
    let mut capacity = (most as u64).min(room / both).max(1);
    loop {
        let needed = both * capacity + own(capacity as usize)?;
        if needed <= room {
            return Ok(capacity as usize);
        }
        if capacity == 1 {
            return Err(Error::gpu_memory(1, needed, room));
        }
        // Fewer keys may take a much smaller part of the sort's own.
        capacity -= (needed - room).div_ceil(both).min(capacity / 2);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn pieces_of_sorted_runs_sort_into_the_result() {
        for (n, count, most) in
            [(0, 4, 9), (3, 7, 9), (1000, 1, 5), (1000, 8, 5), (999, 6, 1 << 20)]
        {
            let keys: Vec<i32> = (0..n).map(|i: i32| i.wrapping_mul(7919) % most - 3).collect();
            let mut sorted = keys.clone();
            for run in 0..count {
                sorted[share(keys.len(), count, run)].sort_unstable();
            }
            let mut result = vec![0; keys.len()];
            for Job { from, to } in jobs(pieces(&sorted, count), &mut result) {
                to.copy_from_slice(&from.concat());
                to.sort_unstable();
            }
            let mut expected = keys;
            expected.sort_unstable();
            assert_eq!(result, expected, "{n} keys in {count} runs");
        }
    }

    #[test]
    fn keys_of_a_lane_leave_room_for_the_sorts_own() {
        let own = |capacity: usize| {
            let steps = [(1000, 0), (10_000, 700), (100_000, 60_000)];
            let step = steps.iter().find(|(most, _)| capacity <= *most);
            Ok(step.map_or(500_000, |(_, own)| *own) + capacity as u64 / 50)
        };
        for room in [9, 100, 8000, 9000, 70_000, 100_000, 1_000_000, 10_000_000] {
            let held = fitting(usize::MAX, 8, room, own).unwrap() as u64;
            let needed = 8 * held + own(held as usize).unwrap();
            assert!(needed <= room && held >= (room / 8 / 4).max(1), "{held} keys in {room}");
        }
        assert_eq!(fitting(50, 8, 10_000, own).unwrap(), 50);
        let none = fitting(50, 8, 7, own).unwrap_err().to_string();
        assert!(none.starts_with("n = 1 needs 8 bytes of GPU memory and 7 bytes is"), "{none}");
    }

    #[test]
    fn each_job_is_done_once_by_any_number_of_workers() {
        for workers in 1..4 {
            let mut done = vec![0; 100];
            let jobs = done.iter_mut().collect();
            in_turn(&mut vec![0; workers], jobs, |_, job| {
                *job += 1;
                Ok(())
            })
            .unwrap();
            assert_eq!(done, [1; 100]);
        }
    }

    #[test]
    fn after_a_failure_no_job_begins_and_the_first_workers_error_is_returned() {
        let begun = AtomicUsize::new(0);
        let failed = in_turn(&mut [0, 1], (0..100_000).collect(), |worker, _| {
            begun.fetch_add(1, Ordering::Relaxed);
            Err(Error::gpu("sorting", format!("worker {worker}")))
        });
        let error = failed.unwrap_err().to_string();
        assert!(error.contains("sorting: worker "), "{error}");
        assert!(begun.into_inner() <= 2);
    }
}
