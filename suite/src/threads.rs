//! Threads, of which a system may not give as many as are asked for.
//!
//! rayon starts its global pool when that is first used, and panics where it cannot. So it
//! is started here, with the threads that there are, before any engine starts its own: an
//! engine that finds none left says so, and results can be verified in any case.

use std::env;
use std::io;
use std::sync::Once;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use rayon::{ThreadBuilder, ThreadPool, ThreadPoolBuilder};

use crate::error::Error;
use crate::memory;
use crate::record;
use host::error::Bytes;

/// Address space that a thread takes: its stack, and what else is mapped when it starts.
const THREAD_BYTES: u64 = (2 << 20) + (256 << 10);

/// Lets all threads allocate from one heap where a limit counts memory that is mapped and
/// never touched. By default glibc maps 64 MiB for a thread that allocates, up to eight times
/// the cores, and a thread that then finds no room ends the process.
///
/// For the start of `main`: glibc settles it when a second thread allocates.
pub fn share_heap_if_limited() {
    #[cfg(target_env = "gnu")]
    if memory::mappable().is_some() {
        // SAFETY: sets an option of the allocator, and takes no pointer.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    }
}

/// Starts the pool that generates inputs and verifies results, with a thread a core, or as
/// many as the system gives, or else the calling thread alone. Later calls do nothing.
pub fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let asked_for = env::var("RAYON_NUM_THREADS").ok();
        let asked_for = asked_for.and_then(|text| text.parse().ok());
        let wanted = asked_for.filter(|&count| count > 0);
        let mut waiting = waiting(wanted.unwrap_or_else(record::cores));
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
    let fit = memory::mappable().map_or(u64::MAX, |room| room.bytes / (2 * THREAD_BYTES));
    let count = count.min(usize::try_from(fit).unwrap_or(usize::MAX));
    (0..count).map_while(|_| start()).collect()
}

/// A pool of `level` threads for an engine.
///
/// # Errors
/// A level of 0, or beyond rayon; threads that the system does not give.
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
    let needed = (level as u64).saturating_mul(THREAD_BYTES).saturating_add(memory::RESERVE);
    if let Some(room) = memory::mappable().filter(|room| room.bytes < needed) {
        return Err(failed(format!(
            "they need {} of {} and {} is available",
            Bytes(needed),
            room.what,
            Bytes(room.bytes)
        )));
    }
    let pool = ThreadPoolBuilder::new().num_threads(level).build();
    pool.map_err(|error| failed(error.to_string()))
}
