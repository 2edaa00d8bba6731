//! Threads, of which a system may not give as many as are asked for.
//!
//! rayon starts its global pool when that is first used, and panics where it cannot. So it
//! is started here, with the threads that there are, before any engine starts its own: an
//! engine that finds none left says so, and results can be verified in any case.
//!
//! Loops other than an engine's own go through [`each`] and [`find_first`], which rayon is
//! instantiated for once: pipelines for each loop and each type of key are slow to compile.

use std::convert::Infallible;
use std::env;
use std::fs;
use std::io;
use std::ops::Range;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, Once};
use std::thread;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use rayon::prelude::*;
use rayon::{ThreadBuilder, ThreadPool, ThreadPoolBuilder};

use crate::environment;
use crate::error::Error;
use host::error::Bytes;

/// Address space that a thread takes: its stack, and what else is mapped when it starts.
const THREAD_BYTES: u64 = (2 << 20) + (256 << 10);

/// Memory mappings that a thread takes: two stacks, each with its guard, and part of a heap.
const THREAD_MAPPINGS: u64 = 5;

/// Memory mappings that the kernel still gives this process. A thread that is refused one
/// when it starts ends the process.
fn mappings_left() -> Option<u64> {
    let most = fs::read_to_string("/proc/sys/vm/max_map_count").ok()?;
    let most: u64 = most.trim().parse().ok()?;
    let taken = fs::read_to_string("/proc/self/maps").ok()?.lines().count();
    Some(most.saturating_sub(taken as u64))
}

/// Starts the pool that generates inputs and verifies results, with a thread a core, or as
/// many as the system gives, or else the calling thread alone. Later calls do nothing.
pub fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let asked_for = env::var("RAYON_NUM_THREADS").ok();
        let asked_for = asked_for.and_then(|text| text.parse().ok());
        let asked_for = asked_for.filter(|&count| count > 0).unwrap_or(usize::MAX);
        let mut waiting = waiting(asked_for.min(environment::cores()));
        let pool = ThreadPoolBuilder::new();
        let started = match waiting.len() {
            0 => pool.num_threads(1).use_current_thread().build_global(),
            count => pool
                .num_threads(count)
                .spawn_handler(|worker| {
                    // As many wait as there are workers.
                    let sent = waiting.pop().map(|thread| thread.send(worker));
                    match sent {
                        Some(Ok(())) => Ok(()),
                        _ => Err(io::ErrorKind::WouldBlock.into()),
                    }
                })
                .build_global(),
        };
        // A pool that was started elsewhere serves as well.
        drop(started);
    });
}

/// Up to `count` threads that wait to be handed what they run.
fn waiting(count: usize) -> Vec<SyncSender<ThreadBuilder>> {
    let start = || {
        let (sender, receiver) = sync_channel::<ThreadBuilder>(1);
        let run = move || {
            if let Ok(worker) = receiver.recv() {
                worker.run();
            }
        };
        thread::Builder::new().spawn(run).ok().map(|_| sender)
    };
    let fit = host::memory::mappable().map_or(u64::MAX, |room| room.bytes / (2 * THREAD_BYTES));
    let fit = fit.min(mappings_left().unwrap_or(u64::MAX) / (2 * THREAD_MAPPINGS));
    let count = count.min(usize::try_from(fit).unwrap_or(usize::MAX));
    (0..count).map_while(|_| start()).collect()
}

/// Elements that a thread takes at a time.
pub(crate) const BLOCK: usize = 1 << 16;

/// Has the threads of the current pool call `work` with each of `items`. A thread takes the
/// next one as soon as it is done with the one before.
pub(crate) fn each<T: Send>(
    items: impl ExactSizeIterator<Item = T> + Send,
    work: impl Fn(T) + Sync,
) {
    let Ok(()) = try_each(items, |item| -> Result<(), Infallible> {
        work(item);
        Ok(())
    });
}

/// As [`each`]; a thread whose work fails takes no more, and one of the errors is returned.
pub(crate) fn try_each<T: Send, E: Send>(
    items: impl ExactSizeIterator<Item = T> + Send,
    work: impl Fn(T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let count = items.len();
    let (items, failed) = (Mutex::new(items), Mutex::new(None));
    on_all(count, &|| {
        loop {
            let next = items.lock().expect("no iterator panics").next();
            let Some(item) = next else { break };
            if let Err(error) = work(item) {
                *failed.lock().expect("nothing panics here") = Some(error);
                break;
            }
        }
    });
    failed.into_inner().expect("nothing panics here").map_or(Ok(()), Err)
}

/// Has the threads of the current pool, `most` at the most, call `work` at the same time.
fn on_all(most: usize, work: &(dyn Fn() + Sync)) {
    start();
    let count = most.min(rayon::current_num_threads());
    (0..count).into_par_iter().with_max_len(1).for_each(|_| work());
}

/// The least of `count` indices that `find`, which is given some of them at a time, finds.
pub(crate) fn find_first(
    count: usize,
    find: &(dyn Fn(Range<usize>) -> Option<usize> + Sync),
) -> Option<usize> {
    start();
    let blocks = (0..count.div_ceil(BLOCK)).into_par_iter();
    blocks.find_map_first(|block| find(block * BLOCK..count.min((block + 1) * BLOCK)))
}

/// Does `work` on the threads of `pool`.
pub(crate) fn install(pool: &ThreadPool, work: &mut (dyn FnMut() + Send)) {
    pool.install(work);
}

/// Cores that the calling thread may run on, in ascending order.
pub fn allowed_cores() -> nix::Result<Vec<usize>> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|&core| allowed.is_set(core) == Ok(true)).collect())
}

/// Has the calling thread, and those that it starts from now on, run on these cores alone.
pub fn bind(cores: &[usize]) -> nix::Result<()> {
    let mut set = CpuSet::new();
    cores.iter().try_for_each(|&core| set.set(core))?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

/// Cores of which each thread of some has one to itself, or none where there are too few.
pub(crate) struct Cores(Vec<usize>);

impl Cores {
    /// Cores for so many threads, of those that this process may run on.
    pub(crate) fn for_threads(count: usize) -> Self {
        let mut cores = allowed_cores().unwrap_or_default();
        cores.truncate(count);
        Cores(if cores.len() < count { Vec::new() } else { cores })
    }

    /// Keeps the calling thread on the core of thread `index`. A system that refuses leaves it
    /// where it runs.
    pub(crate) fn bind(&self, index: usize) {
        if let Some(&core) = self.0.get(index) {
            let _ = bind(&[core]);
        }
    }

    /// The same until the returned value is dropped.
    pub(crate) fn bind_for_now(&self, index: usize) -> impl Drop {
        let before = allowed_cores().unwrap_or_default();
        self.bind(index);
        Bound(before)
    }
}

/// The cores on which a thread may run again.
struct Bound(Vec<usize>);

impl Drop for Bound {
    fn drop(&mut self) {
        let _ = bind(&self.0);
    }
}

/// A pool of `level` threads for an engine.
pub fn pool(engine: &'static str, level: usize) -> Result<ThreadPool, Error> {
    if level == 0 {
        return Err(Error::LevelZero);
    }
    // Above its limit rayon would take fewer threads without a word.
    let limit = rayon::max_num_threads();
    if level > limit {
        return Err(Error::LevelTooHigh { engine, level, limit });
    }
    start();
    let failed = |reason| Error::Threads { engine, level, reason };
    let needed = (level as u64).saturating_mul(THREAD_BYTES).saturating_add(host::memory::RESERVE);
    if let Some(room) = host::memory::mappable().filter(|room| room.bytes < needed) {
        return Err(failed(format!(
            "they need {} of {} and {} is available",
            Bytes(needed),
            room.what,
            Bytes(room.bytes)
        )));
    }
    let needed = (level as u64).saturating_mul(THREAD_MAPPINGS);
    if let Some(left) = mappings_left().filter(|&left| left < needed) {
        return Err(failed(format!(
            "they need {needed} memory mappings and {left} are available (vm.max_map_count)"
        )));
    }
    let pool = ThreadPoolBuilder::new().num_threads(level).build();
    pool.map_err(|error| failed(error.to_string()))
}
