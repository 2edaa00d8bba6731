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
use cust::stream::Stream;
use rayon::ThreadPool;
use rayon::prelude::*;

use host::error::NoGpu;
use host::error::failed;
use host::gpu::merger::{check_count, merge_runs};
use host::gpu::stream::{stream, wait_for};
use host::gpu::transfer::Staging;
use host::gpu::{Device, Order, Payload, Sort, Workspace};

use crate::engine::Engine;
use crate::engines::GPU;
use crate::error::{Error, Unavailable};
use crate::key::Key;
use crate::threads;

/// The engine on the GPU of [`Device::open`].
pub fn open<K: Key>() -> Result<Box<dyn Engine<K>>, Unavailable> {
    Ok(Box::new(Split::new(Device::open()?)))
}

impl From<NoGpu> for Unavailable {
    fn from(missing: NoGpu) -> Self {
        Self { engine: GPU, reason: missing.0 }
    }
}

impl From<NoGpu> for Error {
    fn from(missing: NoGpu) -> Self {
        Self::Unavailable(missing.into())
    }
}

/// Most streams, and host threads, that a level is given.
const LEVEL_MAX: usize = 1024;

/// The engine.
pub struct Split<K: Key> {
    device: Arc<Device>,
    prepared: Option<Prepared<K>>,
}

/// State for sorts of up to `n` keys at one level.
struct Prepared<K: Key> {
    n: usize,
    level: usize,
    threads: ThreadPool,
    keys: DeviceBuffer<K>,
    other: DeviceBuffer<K>,
    lanes: Vec<Lane<K>>,
    streams: Vec<Stream>,
    sort: Sort<K>,
}

/// Buffers of one chunk.
struct Lane<K: Key> {
    staging: Staging<K>,
    workspace: Workspace,
}

impl<K: Key> Split<K> {
    /// The engine on `device`.
    pub fn new(device: Arc<Device>) -> Self {
        Split { device, prepared: None }
    }

    /// Too little GPU memory for two buffers of `n` keys and what the chunks' sorts
    /// need beside them is found before any of it is allocated.
    fn check_memory(&self, n: usize, sort: &Sort<K>, chunks: usize) -> Result<(), Error> {
        let needed = 2 * (n * size_of::<K>()) as u64 + chunks as u64 * sort.ping_pong_bytes();
        let (available, _) = self.device.memory()?;
        if needed > available {
            return Err(host::Error::Memory {
                n,
                what: "GPU memory".to_owned(),
                needed,
                available,
            }
            .into());
        }
        Ok(())
    }
}

impl<K: Key> Engine<K> for Split<K> {
    fn name(&self) -> &'static str {
        GPU
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
            return Err(Error::LevelTooHigh { engine: GPU, level, limit: LEVEL_MAX });
        }
        let chunk = n.div_ceil(level).max(1);
        let count = n.div_ceil(chunk).max(1);
        if count > 1 {
            check_count(n)?;
        }
        // The buffers of an earlier level go first: their memory may be needed.
        self.prepared = None;
        self.device.enter()?;
        let order = Order::ascending();
        let sort = Sort::new(self.device.clone(), chunk, Payload::None, order)?;
        self.check_memory(n, &sort, count)?;
        let threads = threads::pool(GPU, count)?;
        let buffer = || {
            // SAFETY: uploads write what the sorts read.
            unsafe { DeviceBuffer::uninitialized(n) }.map_err(failed("allocating GPU memory"))
        };
        let lane =
            |_| Ok(Lane { staging: Staging::new(chunk)?, workspace: sort.ping_pong_workspace()? });
        self.prepared = Some(Prepared {
            n,
            level,
            threads,
            keys: buffer()?,
            other: buffer()?,
            lanes: (0..count).map(lane).collect::<Result<_, Error>>()?,
            streams: (0..count).map(|_| stream()).collect::<Result<_, host::Error>>()?,
            sort,
        });
        Ok(())
    }

    fn sort(&mut self, keys: &mut [K]) -> Result<(), Error> {
        let n = keys.len();
        let prepared = self.prepared.as_mut().filter(|ready| n <= ready.n);
        let Some(ready) = prepared else {
            return Err(Error::NotPrepared {
                engine: GPU,
                n,
                prepared: self.prepared.as_ref().map_or(0, |ready| ready.n),
            });
        };
        if n == 0 {
            return Ok(());
        }
        ready.sort(&self.device, keys)
    }
}

impl<K: Key> Prepared<K> {
    fn sort(&mut self, device: &Device, keys: &mut [K]) -> Result<(), Error> {
        let n = keys.len();
        let chunk = n.div_ceil(self.level);
        let (there, other) = (self.keys.index(..n), self.other.index(..n));
        let (sort, streams) = (&self.sort, &self.streams);
        let lanes = &mut self.lanes;

        self.threads.install(|| {
            let chunks = keys.par_chunks(chunk).zip(lanes.par_iter_mut()).with_max_len(1);
            chunks.enumerate().try_for_each(|(i, (keys, lane))| {
                device.enter()?;
                let mut here = there.index(i * chunk..i * chunk + keys.len());
                let mut scratch = other.index(i * chunk..i * chunk + keys.len());
                lane.staging.upload(keys, &here, &streams[i])?;
                sort.keys_ping_pong(&mut here, &mut scratch, &mut lane.workspace, &streams[i])
            })
        })?;
        // SAFETY: the buffers are apart; the streams have all the work there is.
        let in_keys = unsafe { merge_runs(device, &there, &other, chunk, streams)? };
        let result: &DeviceSlice<K> = if in_keys { &there } else { &other };
        for stream in &streams[1..] {
            wait_for(stream, &streams[0])?;
        }
        self.threads.install(|| {
            let chunks = keys.par_chunks_mut(chunk).zip(lanes.par_iter_mut()).with_max_len(1);
            chunks.enumerate().try_for_each(|(i, (keys, lane))| {
                device.enter()?;
                let there = result.index(i * chunk..i * chunk + keys.len());
                lane.staging.download(&there, keys, &streams[i])
            })
        })?;
        Ok(())
    }
}
