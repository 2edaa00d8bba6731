//! The GPU engine: one array, cut over streams at a concurrency level.
//!
//! At level c the array is cut into c chunks of ceil(n / c) keys. Each chunk has a
//! host thread and a stream of its own: the thread stages the chunk into pinned
//! memory piece by piece, and on the stream the pieces are copied to the device and
//! the chunk is sorted there, while other chunks are still on their way. Then the
//! runs are merged pairwise on the device, and the result comes back the same way,
//! each thread taking a chunk of it.
//!
//! A higher level stages faster, because more threads do it, and hides more of the
//! sorting behind the copies; it pays for that in rounds of merging and in sorts
//! too small to fill the device.

use std::sync::Arc;

use cust::memory::{DeviceBuffer, DeviceSlice};
use cust::stream::{Stream, StreamFlags};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::device::failed;
use super::merger::{merge_runs, wait_for};
use super::sorter::Control;
use super::transfer::Staging;
use super::{Device, GpuSorter, NAME};
use crate::engine::Engine;
use crate::error::Error;
use crate::key::Key;
use crate::record;

/// Most streams, and host threads, that a level is given.
const LEVEL_MAX: usize = 1024;

/// The engine.
pub struct Split<K: Key> {
    sorter: GpuSorter,
    prepared: Option<Prepared<K>>,
}

/// What is ready for sorts of up to `n` keys at one level.
struct Prepared<K: Key> {
    n: usize,
    level: usize,
    threads: ThreadPool,
    keys: DeviceBuffer<K>,
    other: DeviceBuffer<K>,
    lanes: Vec<Lane<K>>,
    streams: Vec<Stream>,
}

/// What one chunk has for itself, beside its stream.
struct Lane<K: Key> {
    staging: Staging<K>,
    control: Control,
}

impl<K: Key> Split<K> {
    /// The engine on `device`.
    pub fn new(device: Arc<Device>) -> Self {
        Split {
            sorter: GpuSorter::new(device),
            prepared: None,
        }
    }

    fn check_memory(&self, n: usize, chunk: usize, lanes: usize) -> Result<(), Error> {
        let control = Control::bytes(&self.sorter, chunk);
        let needed = 2 * (n * size_of::<K>()) as u64 + lanes as u64 * control;
        let (available, _) = self.sorter.device().memory()?;
        if needed > available {
            return Err(Error::Memory {
                n,
                what: "GPU memory",
                needed,
                available,
            });
        }
        Ok(())
    }
}

impl<K: Key> Engine<K> for Split<K> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn scratch_bytes(&self, n: usize, level: usize) -> u64 {
        let level = level.max(1);
        level as u64 * Staging::<K>::bytes(n.div_ceil(level))
    }

    fn prepare(&mut self, n: usize, level: usize) -> Result<(), Error> {
        if level == 0 {
            return Err(Error::LevelZero);
        }
        if level > LEVEL_MAX {
            return Err(Error::LevelTooHigh {
                engine: NAME,
                level,
                limit: LEVEL_MAX,
            });
        }
        // What an earlier level made ready goes first: its memory may be needed.
        self.prepared = None;
        let device = self.sorter.device();
        device.enter()?;
        let chunk = n.div_ceil(level).max(1);
        let count = n.div_ceil(chunk).max(1);
        self.check_memory(n, chunk, count)?;
        let pool = ThreadPoolBuilder::new().num_threads(count).build();
        let threads = pool.map_err(|error| Error::Threads {
            engine: NAME,
            level,
            reason: error.to_string(),
        })?;
        let buffer = || {
            // SAFETY: uploads write what the sorts read.
            unsafe { DeviceBuffer::uninitialized(n) }.map_err(failed("allocating GPU memory"))
        };
        let lane = |_| {
            Ok(Lane {
                staging: Staging::new(chunk)?,
                control: Control::new(&self.sorter, chunk)?,
            })
        };
        let stream =
            |_| Stream::new(StreamFlags::NON_BLOCKING, None).map_err(failed("creating a stream"));
        self.prepared = Some(Prepared {
            n,
            level,
            threads,
            keys: buffer()?,
            other: buffer()?,
            lanes: (0..count).map(lane).collect::<Result<_, Error>>()?,
            streams: (0..count).map(stream).collect::<Result<_, Error>>()?,
        });
        Ok(())
    }

    fn sort(&mut self, keys: &mut [K]) -> Result<(), Error> {
        let n = keys.len();
        let prepared = self.prepared.as_mut().filter(|ready| n <= ready.n);
        let Some(ready) = prepared else {
            return Err(Error::NotPrepared {
                engine: NAME,
                n,
                prepared: self.prepared.as_ref().map_or(0, |ready| ready.n),
            });
        };
        if n == 0 {
            return Ok(());
        }
        ready.sort(&self.sorter, keys)
    }

    fn gpu(&self) -> Option<record::Gpu> {
        self.sorter.device().describe().ok()
    }
}

impl<K: Key> Prepared<K> {
    fn sort(&mut self, sorter: &GpuSorter, keys: &mut [K]) -> Result<(), Error> {
        let device = sorter.device();
        let n = keys.len();
        let chunk = n.div_ceil(self.level);
        let (there, other) = (self.keys.index(..n), self.other.index(..n));
        let streams = &self.streams;
        let lanes = &mut self.lanes;

        self.threads.install(|| {
            let chunks = keys
                .par_chunks(chunk)
                .zip(lanes.par_iter_mut())
                .with_max_len(1);
            chunks.enumerate().try_for_each(|(i, (keys, lane))| {
                device.enter()?;
                let here = there.index(i * chunk..i * chunk + keys.len());
                let scratch = other.index(i * chunk..i * chunk + keys.len());
                lane.staging.upload(keys, &here, &streams[i])?;
                // SAFETY: the chunks and the lanes are apart, and this sort's alone
                // until it returns.
                unsafe { sorter.launch(&here, &here, &scratch, &lane.control, &streams[i]) }
            })
        })?;
        // SAFETY: the buffers are apart; the streams have all the work there is.
        let in_keys = unsafe { merge_runs(device, &there, &other, chunk, streams)? };
        let result: &DeviceSlice<K> = if in_keys { &there } else { &other };
        for stream in &streams[1..] {
            wait_for(stream, &streams[0])?;
        }
        self.threads.install(|| {
            let chunks = keys
                .par_chunks_mut(chunk)
                .zip(lanes.par_iter_mut())
                .with_max_len(1);
            chunks.enumerate().try_for_each(|(i, (keys, lane))| {
                device.enter()?;
                let there = result.index(i * chunk..i * chunk + keys.len());
                lane.staging.download(&there, keys, &streams[i])
            })
        })
    }
}
