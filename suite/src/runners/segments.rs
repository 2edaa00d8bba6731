//! Cases of many segments of one length, all sorted by one call: one array on the device, cut
//! into as many segments as the level says. Each result is compared with that of the host.

use std::path::Path;
use std::rc::Rc;

use cust::event::Event;
use cust::memory::{AsyncCopyDestination, DeviceBuffer};
use cust::stream::Stream;
use rayon::prelude::*;

use crate::engines::GPU;
use crate::error::{Difference, Error};
use crate::inputs::Keys;
use crate::key::Key;
use crate::memory;
use crate::peers::input as files;
use crate::peers::protocol::Order as PeerOrder;
use crate::runner::{Runner, Times};
use crate::runners::gpu::{download, event, sorter, timed};
use crate::threads;
use host::error::failed;
use host::gpu::stream::stream;
use host::gpu::transfer::upload;
use host::gpu::{Order, SegmentSort, Workspace};

/// An array, and how many segments it is cut into.
pub struct Input<K> {
    keys: Rc<Keys<K>>,
    level: usize,
}

impl<K: Key> Input<K> {
    /// `keys` in `level` segments. The last ones are shorter, or empty, if they do not divide.
    pub fn new(keys: Rc<Keys<K>>, level: usize) -> Self {
        Self { keys, level }
    }

    fn length(&self) -> usize {
        self.keys.keys().len().div_ceil(self.level).max(1)
    }

    fn offsets(&self) -> Vec<u32> {
        let n = self.keys.keys().len();
        (0..=self.level).map(|i| (i * self.length()).min(n) as u32).collect()
    }

    /// The keys with each segment sorted.
    fn sorted(&self) -> Result<Vec<K>, Error> {
        threads::start();
        let mut sorted = memory::collect(self.keys.keys().par_iter().copied())?;
        sorted.par_chunks_mut(self.length()).for_each(<[K]>::sort_unstable);
        Ok(sorted)
    }
}

/// The first key of `found` that is not the one of `sorted`.
fn difference<K: Key>(sorted: &[K], found: &[K]) -> Result<(), Difference> {
    let differs = |&i: &usize| found[i].to_bits() != sorted[i].to_bits();
    match (0..found.len()).into_par_iter().find_first(differs) {
        None => Ok(()),
        Some(index) => Err(Difference::Keys {
            index,
            expected: sorted[index].to_string(),
            found: found[index].to_string(),
        }),
    }
}

impl<K: Key> files::Input for Input<K> {
    fn n(&self) -> usize {
        self.keys.keys().len()
    }

    fn write(&self, folder: &Path) -> Result<(), Error> {
        files::write(&folder.join("keys"), self.keys.keys())?;
        files::write(&folder.join("offsets"), &self.offsets())
    }

    fn check(&self, folder: &Path, _: &[PeerOrder]) -> Result<(), Error> {
        let result = files::read(&folder.join("keys"), self.n())?;
        let checked = difference(&self.sorted()?, &result);
        checked.map_err(|difference| Error::Wrong(difference.to_string()))
    }
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
}

impl<K: Key> Segments<K> {
    /// `input` on the device.
    pub fn new(input: Input<K>) -> Result<Self, Error> {
        let sorter = sorter()?;
        sorter.device().enter()?;
        let keys = input.keys.keys();
        let device = sorter.device().clone();
        let sort = SegmentSort::new(device, keys.len(), input.level, Order::ascending())?;
        Ok(Self {
            workspace: sort.workspace()?,
            sort,
            source: upload(keys)?,
            keys: upload(keys)?,
            offsets: upload(&input.offsets())?,
            stream: stream()?,
            events: (event()?, event()?),
            sorted: input.sorted()?,
            level: input.level,
        })
    }
}

impl<K: Key> Runner for Segments<K> {
    fn once(&mut self) -> Result<Times, Error> {
        let Self { sort, source, keys, offsets, workspace, stream, events, .. } = self;
        sorter()?.device().enter()?;
        // SAFETY: both live as long as this, which waits for the stream below.
        unsafe { keys.async_copy_from(&*source, stream) }.map_err(failed("restoring the input"))?;
        let times = timed(events, stream, "sorting segments", || {
            sort.enqueue(keys, offsets, workspace, stream)
        })?;
        sort.finish(keys, offsets, workspace, stream)?;
        let checked = difference(&self.sorted, &download(&self.keys)?);
        checked.map_err(|difference| Error::WrongResult {
            engine: GPU,
            level: self.level,
            difference,
        })?;
        Ok(times)
    }

    fn temporary_bytes(&self) -> Option<u64> {
        Some(self.sort.workspace_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::input::Input as _;
    use crate::workload::{Distribution, Workload};

    #[test]
    fn segments_of_a_peer_are_each_in_order_and_hold_their_own_keys() {
        let workload = Workload { n: 1001, distribution: Distribution::Uniform, seed: 3 };
        let keys = Keys::new(workload.generate::<u32>().unwrap());
        let input = Input::new(Rc::new(keys), 10);
        assert_eq!(input.offsets()[..3], [0, 101, 202]);
        assert_eq!(input.offsets()[9..], [909, 1001]);
        let folder = tempfile::tempdir().unwrap();
        input.write(folder.path()).unwrap();
        assert!(input.check(folder.path(), &[]).is_err(), "the input itself");
        let mut sorted = input.sorted().unwrap();
        files::write(&folder.path().join("keys"), &sorted).unwrap();
        input.check(folder.path(), &[]).unwrap();
        // A key of another segment.
        sorted.swap(0, 101);
        files::write(&folder.path().join("keys"), &sorted).unwrap();
        assert!(input.check(folder.path(), &[]).is_err());
    }
}
