//! Sorts of one array over several devices.

use std::sync::Arc;

use cuda_std::memory::Global;
use cust::memory::{DeviceBuffer, LockedBuffer};
use cust::stream::Stream;
use gpu_kernels::merge::Merge;
use gpu_kernels::ranks::Ranks;

use super::borders::Borders;
use super::exchange::Exchange;
use super::parts::{self, blank, share};
use super::{Devices, Parts};
use crate::error::{Error, failed};
use crate::gpu::checks::{address, check_lengths};
use crate::gpu::dispatch;
use crate::gpu::key::magnitude;
use crate::gpu::merger::{Run, check_count};
use crate::gpu::module::Kernel;
use crate::gpu::run::Arguments;
use crate::gpu::stream::stream;
use crate::gpu::{GpuKey, Order, Payload, Sort, Workspace};

/// Bytes of keys and values that a device exchanges at a time: long enough for the copy engines
/// to run at full speed, and so short that merges begin early.
const PIECE_BYTES: usize = 32 << 20;
/// Most pieces of a device. Each takes some ten microseconds of the host.
const PIECES_MAX: usize = 16;

/// A sort of one array over several devices, ready to be run any number of times: of keys of 4 or
/// 8 bytes, alone or with values of 4 bytes, from the parts of the input to equal parts of the
/// result. It is stable: equal keys keep their order in the whole array.
///
/// Each device sorts its part; the parts are cut where the result's begin, and in pieces between;
/// copy engines send each piece to its device, which merges what it has received of it while the
/// next ones are on their way. The time depends little on how keys are spread: at most one read
/// and one write of each key over the links, and one read and one write a round of merging, of
/// which there are as many as doublings lead from one device to all.
///
/// The input stays as it is, whatever happens. On each device a run takes the input's part, its
/// part of the result, and [`workspace_bytes`](Self::workspace_bytes): twice that and a little.
pub struct DevicesSort<K: GpuKey> {
    pub(super) devices: Arc<Devices>,
    pub(super) order: Order,
    pub(super) paired: bool,
    pub(super) lanes: Vec<Lane<K>>,
    /// Pieces in which each part of the result is exchanged.
    pub(super) pieces: usize,
    /// Known bits of the borders' keys, which all devices read.
    lows: LockedBuffer<K>,
}

/// A device's share of the work.
pub(super) struct Lane<K: GpuKey> {
    /// The length of its part of the input.
    length: usize,
    /// Sorts, counts and merges.
    pub stream: Stream,
    /// Sends to each device.
    pub copies: Vec<Stream>,
    sort: Sort<K>,
    workspace: Workspace,
    /// Its part of the input, sorted; of one device the output has it.
    pub sorted: Room<K>,
    /// Second buffer of the sort, and then keys of other devices.
    pub received: Room<K>,
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
    fn new(len: usize, paired: bool) -> Result<Self, Error> {
        Ok(Room { keys: blank(len)?, values: blank(if paired { len } else { 0 })? })
    }

    pub fn run(&self) -> Run {
        let (keys, values) = (address(&self.keys), address(&self.values));
        Run { keys, values, len: self.keys.len() }
    }
}

impl<K: GpuKey> DevicesSort<K> {
    /// A sort over `devices` of as many keys as `lengths` says for each part of the input.
    ///
    /// # Errors
    /// Keys of another width than 4 or 8 bytes; an order of some bits, or by value; values that
    /// are not of 4 bytes; more keys of a device than 32 bits count; too little GPU memory. What
    /// one device lacks is said with its name.
    pub fn new(
        devices: &Arc<Devices>,
        lengths: &[usize],
        payload: Payload,
        order: Order,
    ) -> Result<Self, Error> {
        let (sort, otherwise) = ("a sort over several GPUs", "on one");
        order.require_total(K::TYPE, sort, otherwise)?;
        if !matches!(K::TYPE.bits, 32 | 64) {
            return Err(Error::KeyWidth { sort, key: K::TYPE.name, otherwise });
        }
        let paired = match payload {
            Payload::None => false,
            Payload::Value(4) => true,
            other => return Err(Error::DevicesPayload { payload: format!("{other:?}") }),
        };
        let count = devices.all().len();
        parts::check_count(lengths.len(), count)?;
        let n: usize = lengths.iter().sum();
        let longest = n.div_ceil(count);
        lengths.iter().chain([&longest]).try_for_each(|&length| check_count(length))?;
        let bytes = longest * width::<K>(paired);
        let pieces = if count > 1 { (bytes / PIECE_BYTES).clamp(1, PIECES_MAX) } else { 1 };
        let lanes = devices.on_each(|index, _| {
            Lane::new(devices, (index, lengths[index]), n, pieces, (payload, order.clone()))
        })?;
        let lows = LockedBuffer::new(&K::default(), count * pieces);
        Ok(DevicesSort {
            devices: Arc::clone(devices),
            order,
            paired,
            lanes,
            pieces,
            lows: lows.map_err(failed("allocating pinned memory"))?,
        })
    }

    /// Bytes of GPU memory that a run takes beside input and output, on all devices.
    pub fn workspace_bytes(&self) -> u64 {
        let each = |lane: &Lane<K>| {
            let rooms = [&lane.sorted, &lane.received, &lane.between];
            let bytes = rooms.map(|room| room.run().len * width::<K>(self.paired));
            lane.workspace.bytes() + bytes.iter().sum::<usize>() as u64
        };
        self.lanes.iter().map(each).sum()
    }

    /// Sorts the keys of `input` into `output`, whose parts are equal as those of [`Parts::blank`]
    /// are. Returns when they are there.
    ///
    /// # Errors
    /// Other lengths than prepared for; a sort prepared with values. A failure of a device, with
    /// its name: then all work has ended, and the output has any content.
    pub fn keys(&mut self, input: &Parts<K>, output: &mut Parts<K>) -> Result<(), Error> {
        self.check_payload(false)?;
        self.check(input, output)?;
        let values = vec![0; self.lanes.len()];
        self.run((input.addresses(), values.clone()), (output.addresses(), values))
    }

    /// Sorts keys with values. The values of an argsort are the indices of the keys. Errors as
    /// [`keys`](Self::keys).
    pub fn pairs(
        &mut self,
        (keys, values): (&Parts<K>, &Parts<u32>),
        (keys_out, values_out): (&mut Parts<K>, &mut Parts<u32>),
    ) -> Result<(), Error> {
        self.check_payload(true)?;
        self.check(keys, keys_out)?;
        self.check(values, values_out)?;
        let addresses =
            |keys: &Parts<K>, values: &Parts<u32>| (keys.addresses(), values.addresses());
        self.run(addresses(keys, values), addresses(keys_out, values_out))
    }

    fn check_payload(&self, paired: bool) -> Result<(), Error> {
        let name = |paired: bool| if paired { "values of 4 bytes" } else { "nothing" }.to_owned();
        match paired == self.paired {
            true => Ok(()),
            false => Err(Error::Payload { prepared: name(self.paired), given: name(paired) }),
        }
    }

    fn check<T: GpuKey>(&self, input: &Parts<T>, output: &Parts<T>) -> Result<(), Error> {
        let n: usize = self.lanes.iter().map(|lane| lane.length).sum();
        let count = self.lanes.len();
        parts::check_count(input.parts().len(), count)?;
        parts::check_count(output.parts().len(), count)?;
        for (index, lane) in self.lanes.iter().enumerate() {
            check_lengths(input.parts()[index].len(), lane.length)?;
            check_lengths(share(n, count, index).len(), output.parts()[index].len())?;
        }
        Ok(())
    }

    /// Sorts from addresses of keys and values to addresses, a device each, of live memory that is
    /// as long as was checked.
    fn run(
        &mut self,
        (keys, values): (Vec<u64>, Vec<u64>),
        (keys_out, values_out): (Vec<u64>, Vec<u64>),
    ) -> Result<(), Error> {
        let output = |index: usize| (keys_out[index], values_out[index]);
        let sorted = self.sort_parts(|index| (keys[index], values[index]), output);
        let done = sorted.and_then(|()| {
            if self.lanes.len() == 1 {
                return self.wait();
            }
            let cuts = self.cuts()?;
            Exchange::of(self, &cuts).run(output)?;
            self.wait()
        });
        done.inspect_err(|_| self.devices.settle())
    }

    /// Has each device sort its part.
    fn sort_parts(
        &mut self,
        input: impl Fn(usize) -> (u64, u64),
        output: impl Fn(usize) -> (u64, u64),
    ) -> Result<(), Error> {
        let alone = self.lanes.len() == 1;
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            let (from, room, other) = (input(index), lane.sorted.run(), lane.received.run());
            let to = if alone { output(index) } else { (room.keys, room.values) };
            let arguments = Arguments {
                keys: (from.0, to.0),
                values: self.paired.then_some((from.1, to.1)),
                second: (!alone).then_some((other.keys, other.values)),
            };
            let Lane { sort, workspace, stream, length, .. } = lane;
            self.devices.on(index, |_| {
                // SAFETY: input and output are as long as was checked, the rooms no shorter, and
                // all are apart; nothing uses them before the end of the run.
                unsafe { sort.run(*length as u64, arguments, workspace, stream) }
            })?;
        }
        Ok(())
    }

    /// For each piece of the result in order, and its end, the keys of each sorted part before it.
    fn cuts(&mut self) -> Result<Vec<Vec<u32>>, Error> {
        let lengths: Vec<u32> = self.lanes.iter().map(|lane| lane.length as u32).collect();
        let n: usize = self.lanes.iter().map(|lane| lane.length).sum();
        let (count, pieces) = (self.lanes.len(), self.pieces);
        let begins = (0..count).flat_map(|index| {
            let part = share(n, count, index);
            (0..pieces)
                .map(move |piece| (part.start + share(part.len(), pieces, piece).start) as u64)
        });
        let mut borders = Borders::new(begins.skip(1).collect(), &lengths, K::TYPE.bits);
        while let Some((bits, shift)) = borders.round() {
            self.count(borders.lows(), (bits, shift))?;
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
    fn count(&mut self, lows: &[u128], (bits, shift): (u32, u32)) -> Result<(), Error> {
        for (to, &low) in self.lows.as_mut_slice().iter_mut().zip(lows) {
            *to = K::from_word(low);
        }
        // Pinned memory has one address on the host and on all devices.
        let pinned = self.lows.as_slice().as_ptr() as u64;
        for (index, lane) in self.lanes.iter().enumerate() {
            let ranks = Ranks {
                keys: Global::on_device(lane.sorted.run().keys),
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

    /// Waits for every device.
    fn wait(&self) -> Result<(), Error> {
        let wait =
            |index: usize, _: &_| self.lanes[index].stream.synchronize().map_err(failed("sorting"));
        self.devices.on_each(wait).map(drop)
    }
}

impl<K: GpuKey> Lane<K> {
    /// Allocates on the device of this index, which is entered.
    fn new(
        devices: &Arc<Devices>,
        (index, length): (usize, usize),
        n: usize,
        pieces: usize,
        (payload, order): (Payload, Order),
    ) -> Result<Self, Error> {
        let device = &devices.all()[index];
        let count = devices.all().len();
        let paired = payload != Payload::None;
        let sort = Sort::new(Arc::clone(device), length.max(1), payload, order)?;
        let alone = count == 1;
        let part = share(n, count, index).len();
        let sorted = if alone { 0 } else { length };
        let received = if alone { 0 } else { length.max(part) };
        let between = if count > 2 { part.div_ceil(pieces) } else { 0 };
        let needed = ((sorted + received + between) * width::<K>(paired)) as u64;
        let (available, _) = device.memory()?;
        if needed > available {
            let what = "GPU memory".to_owned();
            return Err(Error::Memory { n, what, needed, available });
        }
        let counts = if alone { 1 } else { Borders::candidates(count * pieces) };
        let counts = LockedBuffer::new(&0, counts);
        Ok(Lane {
            length,
            stream: stream()?,
            copies: (0..count).map(|_| stream()).collect::<Result<_, _>>()?,
            workspace: if alone { sort.workspace()? } else { sort.ping_pong_workspace()? },
            sort,
            sorted: Room::new(sorted, paired)?,
            received: Room::new(received, paired)?,
            between: Room::new(between, paired)?,
            merge: dispatch::merger(device, paired)?,
            rank: dispatch::ranker(device)?,
            counts: counts.map_err(failed("allocating pinned memory"))?,
        })
    }
}

impl<K: GpuKey> Drop for DevicesSort<K> {
    fn drop(&mut self) {
        for (device, lane) in self.devices.all().iter().zip(self.lanes.drain(..)) {
            // A context that cannot be entered has lost its memory already.
            let _ = device.enter();
            drop(lane);
        }
    }
}

/// Bytes of a key, with its value if it is paired.
fn width<K: GpuKey>(paired: bool) -> usize {
    size_of::<K>() + if paired { size_of::<u32>() } else { 0 }
}
