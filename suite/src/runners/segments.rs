//! Cases of many segments of one length, all sorted by one call: one array on the device, cut
//! into as many segments as the level says; the last ones are shorter, or empty, if they do not
//! divide. Each result is compared with that of the host.

use cust::event::Event;
use cust::memory::{AsyncCopyDestination, DeviceBuffer};
use cust::stream::Stream;

use crate::engines::GPU;
use crate::error::Error;
use crate::key::Key;
use crate::memory;
use crate::runner::{Runner, Times};
use crate::runners::gpu::{download, sorter, timed};
use crate::threads;
use crate::verify::compare_each;
use host::error::failed;
use host::gpu::segments::LONGEST_IN_A_BLOCK;
use host::gpu::stream::{stream, timer};
use host::gpu::transfer::upload;
use host::gpu::{Order, SegmentSort, Workspace};

fn length(n: usize, level: usize) -> usize {
    n.div_ceil(level).max(1)
}

/// Where each of `level` segments of `n` keys begins, and the last ends.
pub(crate) fn offsets(n: usize, level: usize) -> Vec<u32> {
    (0..=level).map(|i| (i * length(n, level)).min(n) as u32).collect()
}

/// The keys with each of `level` segments sorted.
pub(crate) fn sorted<K: Key>(keys: &[K], level: usize) -> Result<Vec<K>, Error> {
    let mut sorted = memory::copied(keys)?;
    threads::each(sorted.chunks_mut(length(keys.len(), level)), <[K]>::sort_unstable);
    Ok(sorted)
}

/// A sort of segments on the GPU.
pub struct Segments<K: Key> {
    sort: SegmentSort<K>,
    source: DeviceBuffer<K>,
    keys: DeviceBuffer<K>,
    offsets: DeviceBuffer<u32>,
    workspace: Workspace,
    stream: Stream,
    events: (Event, Event),
    sorted: Vec<K>,
    level: usize,
    /// True if some are so long that the host starts their sorts, for which it waits.
    by_host: bool,
}

impl<K: Key> Segments<K> {
    /// `keys` on the device, in `level` segments.
    pub fn new(keys: &[K], level: usize) -> Result<Self, Error> {
        let sorter = sorter()?;
        sorter.device().enter()?;
        let device = sorter.device().clone();
        let sort = SegmentSort::new(device, keys.len(), level, Order::ascending())?;
        Ok(Self {
            workspace: sort.workspace()?,
            sort,
            source: upload(keys)?,
            keys: upload(keys)?,
            offsets: upload(&offsets(keys.len(), level))?,
            stream: stream()?,
            events: (timer()?, timer()?),
            sorted: sorted(keys, level)?,
            level,
            by_host: length(keys.len(), level) > LONGEST_IN_A_BLOCK,
        })
    }
}

impl<K: Key> Runner for Segments<K> {
    fn once(&mut self) -> Result<Times, Error> {
        let Self { sort, source, keys, offsets, workspace, stream, events, by_host, .. } = self;
        sorter()?.device().enter()?;
        // SAFETY: both live as long as this, which waits for the stream below.
        unsafe { keys.async_copy_from(&*source, stream) }.map_err(failed("restoring the input"))?;
        let times = timed(events, stream, "sorting segments", || {
            sort.enqueue(keys, offsets, workspace, stream)?;
            match by_host {
                true => sort.finish(keys, offsets, workspace, stream),
                false => Ok(()),
            }
        })?;
        let (engine, level) = (GPU, self.level);
        let compared = compare_each(&self.sorted, &download(&self.keys)?);
        compared.map_err(|difference| Error::WrongResult { engine, level, difference })?;
        Ok(times)
    }

    fn temporary_bytes(&self) -> Option<u64> {
        Some(self.sort.workspace_bytes())
    }
}
