//! Merges of sorted parts, one on each device, into equal parts of one sorted array.

use std::sync::Arc;

use cuda_std::ext::memory::Global;
use cust::memory::{DeviceBuffer, DeviceSlice, LockedBuffer};
use cust::stream::Stream;
use gpu_kernels::merge::Merge;
use gpu_kernels::ranks::Ranks;

use super::borders::Borders;
use super::exchange::Exchange;
use super::parts::{self, blank, share};
use super::{Devices, Each, Parts};
use crate::error::{Error, failed};
use crate::gpu::checks::{address, check_lengths};
use crate::gpu::dispatch;
use crate::gpu::key::magnitude;
use crate::gpu::merger::{Run, check_count};
use crate::gpu::module::Kernel;
use crate::gpu::stream::{event_on, stream, wait_on};
use crate::gpu::{GpuKey, Order};

/// Bytes of keys and values that a device exchanges at a time: long enough for the copy engines
/// to run at full speed, and so short that merges begin early.
const PIECE_BYTES: usize = 32 << 20;
/// Most pieces of a device. Each takes some ten microseconds of the host.
const PIECES_MAX: usize = 16;
/// Most keys of a bucket, in the widest tile: what a device may receive more than its part of the
/// result.
pub(super) const SPARE: usize = 2 * 9216;

/// A prepared merge of sorted parts, which can run any number of times. It merges keys of 4 or 8
/// bytes, alone or with values of 4 bytes. Among equal keys, those of an earlier device come first.
///
/// The parts are cut at the borders of the result's parts, and into pieces in between. Copy engines
/// send each piece to its device, which merges the received runs of a piece while the next ones
/// arrive. The time depends little on the distribution. Each key crosses the links at most once,
/// and is read and written once in each round of merging; the rounds are the base-2 logarithm of
/// the number of devices, rounded up.
pub struct DevicesMerge<K: GpuKey> {
    pub(super) devices: Arc<Devices>,
    pub(super) order: Order,
    pub(super) paired: bool,
    pub(super) lanes: Each<Lane<K>>,
    /// Pieces in which each part of the result is exchanged.
    pub(super) pieces: usize,
    /// Known bits of the borders' keys, which all devices read.
    lows: LockedBuffer<K>,
}

/// A device's share of the work.
pub(super) struct Lane<K: GpuKey> {
    /// The length of its sorted part.
    pub length: usize,
    /// Counts and merges.
    pub stream: Stream,
    /// Sends to each device.
    pub copies: Vec<Stream>,
    /// Its own keys, where a sort has room for them, and behind them those of other devices.
    room: Room<K>,
    /// Keys that the room has of its own.
    own: usize,
    /// A piece between two rounds of merging.
    pub between: Room<K>,
    pub merge: Kernel<Merge<K::Word>>,
    rank: Kernel<Ranks<K::Word>>,
    /// Counts of its keys below the candidates for borders.
    counts: LockedBuffer<u32>,
}

/// Memory for keys, and for values if there are any.
pub(super) struct Room<K: GpuKey> {
    keys: DeviceBuffer<K>,
    values: DeviceBuffer<u32>,
}

impl<K: GpuKey> Room<K> {
    /// Room for `len` of them on device `index`, which is entered.
    ///
    /// # Errors
    /// Too little GPU memory.
    pub fn new(devices: &Devices, index: usize, len: usize, paired: bool) -> Result<Self, Error> {
        let needed = (len * width::<K>(paired)) as u64;
        let (available, _) = devices.all()[index].memory()?;
        if needed > available {
            return Err(Error::gpu_memory(len, needed, available));
        }
        Ok(Room { keys: blank(len)?, values: blank(if paired { len } else { 0 })? })
    }

    pub fn run(&self) -> Run {
        let (keys, values) = (address(&self.keys), address(&self.values));
        Run { keys, values, len: self.keys.len() }
    }

    pub fn bytes(&self) -> u64 {
        (self.keys.len() * size_of::<K>() + self.values.len() * size_of::<u32>()) as u64
    }
}

impl<K: GpuKey> Lane<K> {
    /// Room for its own keys.
    pub fn own(&self) -> Run {
        Run { len: self.own, ..self.room.run() }
    }

    /// Room for keys of other devices: for the longer of its parts, sorted and of the result, and
    /// for [`SPARE`] more.
    pub fn received(&self) -> Run {
        let all = self.room.run();
        all.part::<K>(self.own, all.len - self.own)
    }
}

impl<K: GpuKey> DevicesMerge<K> {
    /// A merge over `devices` of sorted parts of these `lengths`, `paired` with values or not.
    ///
    /// # Errors
    /// Keys of another width than 4 or 8 bytes; an order of some bits, or by value; more keys of a
    /// device than 32 bits count; too little GPU memory. The message names the device.
    pub fn new(
        devices: &Arc<Devices>,
        lengths: &[usize],
        paired: bool,
        order: Order,
    ) -> Result<Self, Error> {
        Self::with_rooms(devices, lengths, paired, order, false)
    }

    /// The same, and with room for the parts that each device `sorts` first.
    pub(super) fn with_rooms(
        devices: &Arc<Devices>,
        lengths: &[usize],
        paired: bool,
        order: Order,
        sorts: bool,
    ) -> Result<Self, Error> {
        let (sort, otherwise) = ("a sort over several GPUs", "on one");
        order.require_total(K::TYPE, sort, otherwise)?;
        if !matches!(K::TYPE.bits, 32 | 64) {
            return Err(Error::KeyWidth { sort, key: K::TYPE.name, otherwise });
        }
        let count = devices.all().len();
        parts::check_count(lengths.len(), count)?;
        let n: usize = lengths.iter().sum();
        let longest = n.div_ceil(count);
        lengths.iter().chain([&longest]).try_for_each(|&length| check_count(length))?;
        let bytes = longest * width::<K>(paired);
        let pieces = (bytes / PIECE_BYTES).clamp(1, PIECES_MAX);
        let lanes = Each::new(devices, |index, device| {
            let part = share(n, count, index).len();
            // One device has nothing to receive.
            let received = if count > 1 { lengths[index].max(part) + SPARE } else { 0 };
            let own = if count > 1 && sorts { lengths[index] } else { 0 };
            let between = if count > 2 { part.div_ceil(pieces) } else { 0 };
            let counts = LockedBuffer::new(&0, Borders::candidates(count * pieces));
            Ok(Lane {
                length: lengths[index],
                stream: stream()?,
                copies: (0..count).map(|_| stream()).collect::<Result<_, _>>()?,
                room: Room::new(devices, index, own + received, paired)?,
                own,
                between: Room::new(devices, index, between, paired)?,
                merge: dispatch::merger(device, paired)?,
                rank: dispatch::ranker(device)?,
                counts: counts.map_err(failed("allocating pinned memory"))?,
            })
        })?;
        let lows = LockedBuffer::new(&K::default(), count * pieces);
        let lows = lows.map_err(failed("allocating pinned memory"))?;
        Ok(DevicesMerge { devices: Arc::clone(devices), order, paired, lanes, pieces, lows })
    }

    /// Keys of all parts.
    pub fn len(&self) -> usize {
        self.lanes.iter().map(|lane| lane.length).sum()
    }

    /// Returns true if no part has a key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of GPU memory that a run takes beside input and output, on all devices.
    pub fn workspace_bytes(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.room.bytes() + lane.between.bytes()).sum()
    }

    /// Merges keys alone from sorted slices, one in the memory of each device, into `output`, whose
    /// parts must be equal, as from [`Parts::blank`]. Returns when they are merged.
    ///
    /// Nothing else may use the slices meanwhile. They are unchanged.
    ///
    /// # Errors
    /// Other lengths than prepared for; a merge prepared with values. A failure of a device, with
    /// its name: then all work has ended, and the content of the output is undefined.
    pub fn keys(&mut self, sorted: &[&DeviceSlice<K>], output: &mut Parts<K>) -> Result<(), Error> {
        self.check_payload(false)?;
        let lengths: Vec<usize> = sorted.iter().map(|part| part.len()).collect();
        self.check(&lengths, output)?;
        let sorted: Vec<Run> = sorted.iter().map(|part| Run::of(part)).collect();
        self.run(&sorted, &output.runs(None)).inspect_err(|_| self.devices.settle())
    }

    /// Checks that the payload is as prepared.
    pub(super) fn check_payload(&self, paired: bool) -> Result<(), Error> {
        let name = |paired: bool| if paired { "values of 4 bytes" } else { "nothing" }.to_owned();
        match paired == self.paired {
            true => Ok(()),
            false => Err(Error::Payload { prepared: name(self.paired), given: name(paired) }),
        }
    }

    /// Checks the lengths of the input's parts and of the output's.
    pub(super) fn check<T: GpuKey>(
        &self,
        lengths: &[usize],
        output: &Parts<T>,
    ) -> Result<(), Error> {
        let (n, count) = (self.len(), self.lanes.len());
        parts::check_count(lengths.len(), count)?;
        parts::check_count(output.parts().len(), count)?;
        for (index, lane) in self.lanes.iter().enumerate() {
            check_lengths(lengths[index], lane.length)?;
            check_lengths(share(n, count, index).len(), output.parts()[index].len())?;
        }
        Ok(())
    }

    /// Merges live memory that is as long as was checked, and that the lanes' streams have sorted
    /// when they come to it.
    pub(super) fn run(&mut self, sorted: &[Run], output: &[Run]) -> Result<(), Error> {
        let cuts = self.cuts(sorted)?;
        Exchange { merge: self, sorted, cuts: &cuts }.run(output)?;
        self.wait()
    }

    /// For each piece of the result in order, and its end, the keys of each sorted part before it.
    /// All parts are sorted on return.
    fn cuts(&mut self, sorted: &[Run]) -> Result<Vec<Vec<u32>>, Error> {
        let lengths: Vec<u32> = self.lanes.iter().map(|lane| lane.length as u32).collect();
        let (n, count, pieces) = (self.len(), self.lanes.len(), self.pieces);
        let begins = (0..count).flat_map(|index| {
            let part = share(n, count, index);
            (0..pieces)
                .map(move |piece| (part.start + share(part.len(), pieces, piece).start) as u64)
        });
        let mut borders = Borders::new(begins.skip(1).collect(), &lengths, K::TYPE.bits);
        self.wait()?;
        while let Some(round) = borders.round() {
            self.count(sorted, borders.lows(), round)?;
            let counts: Vec<&[u32]> =
                self.lanes.iter().map(|lane| lane.counts.as_slice()).collect();
            borders.narrow(&counts);
        }
        let mut cuts = vec![vec![0; count]];
        cuts.extend(borders.positions());
        cuts.push(lengths);
        Ok(cuts)
    }

    /// Has each device count its keys below the candidates of a round, and waits.
    fn count(
        &mut self,
        sorted: &[Run],
        lows: &[u128],
        (bits, shift): (u32, u32),
    ) -> Result<(), Error> {
        for (to, &low) in self.lows.as_mut_slice().iter_mut().zip(lows) {
            *to = K::from_word(low);
        }
        // Pinned memory has one address on the host and on all devices.
        let pinned = self.lows.as_slice().as_ptr() as u64;
        for (index, lane) in self.lanes.iter().enumerate() {
            let ranks = Ranks {
                keys: Global::on_device(sorted[index].keys),
                n: lane.length as u32,
                lows: Global::on_device(pinned),
                count: lows.len() as u32,
                bits,
                shift,
                order_mask: self.order.order_mask::<K>(),
                magnitude: magnitude::<K>(),
                ranks: Global::on_device(lane.counts.as_slice().as_ptr() as u64),
            };
            let threads = lane.rank.shape().threads;
            let blocks = (lows.len() << bits).div_ceil(threads) as u32;
            self.devices.on(index, |_| {
                // SAFETY: the keys are sorted on this stream; counts and words are pinned, as
                // long as the candidates of all pieces take, and left alone until the wait below.
                unsafe { lane.rank.launch(&lane.stream, blocks, &ranks) }
            })?;
        }
        self.wait()
    }

    /// Has device `from` send a run of its own to as much `room` of device `to`, where a stream
    /// then waits for it.
    ///
    /// # Safety
    /// Both live until all streams have run, and no other work conflicts.
    pub(super) unsafe fn send(
        &self,
        (from, sent): (usize, Run),
        (to, room): (usize, Run),
        waiting: &Stream,
    ) -> Result<(), Error> {
        let stream = &self.lanes[from].copies[to];
        let arrived = self.devices.on(from, |_| {
            // SAFETY: the caller's contract.
            unsafe {
                let bytes = (sent.len * size_of::<K>()) as u64;
                self.devices.copy((from, sent.keys), (to, room.keys), bytes, stream)?;
                if self.paired {
                    let bytes = (sent.len * size_of::<u32>()) as u64;
                    self.devices.copy((from, sent.values), (to, room.values), bytes, stream)?;
                }
            }
            event_on(stream)
        })?;
        self.devices.on(to, |_| wait_on(waiting, arrived))
    }

    /// Waits for every device.
    pub(super) fn wait(&self) -> Result<(), Error> {
        let wait =
            |index: usize, _: &_| self.lanes[index].stream.synchronize().map_err(failed("sorting"));
        self.devices.on_each(wait).map(drop)
    }
}

/// Bytes of a key, with its value if it is paired.
fn width<K: GpuKey>(paired: bool) -> usize {
    size_of::<K>() + if paired { size_of::<u32>() } else { 0 }
}
