//! The engine `gpu-split`: one array, cut over streams of the GPU at a concurrency level.
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

use host::error::failed;
use host::gpu::merger::{check_count, merge_runs};
use host::gpu::stream::{stream, wait_for};
use host::gpu::transfer::Staging;
use host::gpu::{Device, Order, Payload, Sort, Workspace};

use crate::engine::Engine;
use crate::engines::GPU_SPLIT;
use crate::error::{Error, Unavailable};
use crate::gpu_engine::check_level;
use crate::key::Key;
use crate::threads;

/// The engine on the GPU of [`Device::open`].
pub fn open<K: Key>() -> Result<Box<dyn Engine<K>>, Unavailable> {
    Ok(Box::new(Split::new(Device::open()?)))
}

/// The engine on one GPU.
pub struct Split<K: Key> {
    device: Arc<Device>,
    prepared: Option<Prepared<K>>,
}

/// A GPU made ready to sort up to `n` keys from and to host memory at one level.
pub(crate) struct Prepared<K: Key> {
    n: usize,
    level: usize,
    device: Arc<Device>,
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
}

impl<K: Key> Engine<K> for Split<K> {
    fn name(&self) -> &'static str {
        GPU_SPLIT
    }

    fn scratch_bytes(&self, n: usize, level: usize) -> u64 {
        staging_bytes::<K>(n, level)
    }

    fn prepare(&mut self, n: usize, level: usize) -> Result<(), Error> {
        check_level(GPU_SPLIT, level)?;
        // The buffers of an earlier level go first: their memory may be needed.
        self.prepared = None;
        self.prepared = Some(Prepared::new(Arc::clone(&self.device), n, level)?);
        Ok(())
    }

    fn sort(&mut self, keys: &mut [K]) -> Result<(), Error> {
        let n = keys.len();
        let prepared = self.prepared.as_mut().filter(|ready| n <= ready.n);
        let Some(ready) = prepared else {
            return Err(Error::NotPrepared {
                engine: GPU_SPLIT,
                n,
                prepared: self.prepared.as_ref().map_or(0, |ready| ready.n),
            });
        };
        if n == 0 {
            return Ok(());
        }
        let result = ready.sort_on_device(keys)?;
        ready.download(&result, keys)
    }
}

/// Pinned memory of a GPU that sorts `n` keys at a level.
pub(crate) fn staging_bytes<K: Key>(n: usize, level: usize) -> u64 {
    let level = level.max(1);
    level as u64 * Staging::<K>::bytes(n.div_ceil(level))
}

impl<K: Key> Prepared<K> {
    /// Room for `n` keys in `level` chunks on `device`.
    ///
    /// # Errors
    /// Too little GPU memory for two buffers of `n` keys and what the chunks' sorts need beside
    /// them, found before any of it is allocated; more keys in several chunks than are merged.
    pub(crate) fn new(device: Arc<Device>, n: usize, level: usize) -> Result<Self, Error> {
        let chunk = n.div_ceil(level).max(1);
        let count = n.div_ceil(chunk).max(1);
        if count > 1 {
            check_count(n)?;
        }
        device.enter()?;
        let order = Order::ascending();
        let sort = Sort::<K>::new(device.clone(), chunk, Payload::None, order)?;
        let needed = 2 * (n * size_of::<K>()) as u64 + count as u64 * sort.ping_pong_bytes();
        let (available, _) = device.memory()?;
        if needed > available {
            return Err(host::Error::gpu_memory(n, needed, available).into());
        }
        let threads = threads::pool(GPU_SPLIT, count)?;
        let buffer = || {
            // SAFETY: uploads write what the sorts read.
            unsafe { DeviceBuffer::uninitialized(n) }.map_err(failed("allocating GPU memory"))
        };
        let lane =
            |_| Ok(Lane { staging: Staging::new(chunk)?, workspace: sort.ping_pong_workspace()? });
        Ok(Prepared {
            n,
            level,
            threads,
            keys: buffer()?,
            other: buffer()?,
            lanes: (0..count).map(lane).collect::<Result<_, Error>>()?,
            streams: (0..count).map(|_| stream()).collect::<Result<_, host::Error>>()?,
            sort,
            device,
        })
    }

    /// Copies `keys` to the GPU and sorts them there. The result is the returned part of this
    /// value's memory, which has it when the first stream has run.
    pub(crate) fn sort_on_device(&mut self, keys: &[K]) -> Result<DeviceSlice<K>, Error> {
        let n = keys.len();
        let chunk = n.div_ceil(self.level).max(1);
        let (there, other) = (self.keys.index(..n), self.other.index(..n));
        let (device, sort, streams) = (&self.device, &self.sort, &self.streams);
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
        Ok(if in_keys { there } else { other })
    }

    /// Waits for the first stream.
    pub(crate) fn wait(&self) -> Result<(), Error> {
        Ok(self.streams[0].synchronize().map_err(failed("sorting"))?)
    }

    /// Copies `result` of this GPU to `keys`, when the first stream has run.
    pub(crate) fn download(
        &mut self,
        result: &DeviceSlice<K>,
        keys: &mut [K],
    ) -> Result<(), Error> {
        self.device.enter()?;
        let (streams, lanes, device) = (&self.streams, &mut self.lanes, &self.device);
        for stream in &streams[1..] {
            wait_for(stream, &streams[0])?;
        }
        let chunk = keys.len().div_ceil(self.level).max(1);
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
