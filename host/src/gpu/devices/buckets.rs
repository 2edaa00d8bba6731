//! The exchange of buckets between devices, and their local sorts: what is left of a sort when
//! the keys of each device stand in the order of their upper 16 bits.
//!
//! Evenly spread keys are not merged. Each device sorts its part up to its local sorts; the host
//! reads where the devices have each bucket begin, and cuts the result where its parts do. Copy
//! engines send whole buckets, in pieces in the order of keys, and the receiver sorts those of a
//! piece ([`gathered_sort`]) while the next piece is on its way: the links work beside
//! the local sorts. A bucket in which a part begins or ends goes to both devices, each of which
//! sorts it apart and keeps its share.

use std::ops::Range;
use std::sync::Arc;

use cuda_std::ext::memory::Global;
use cust::memory::{DeviceBuffer, LockedBuffer};
use cust::stream::Stream;
use cust::sys;
use gpu_kernels::buckets::BUCKETS;
use gpu_kernels::control;
use gpu_kernels::gathered_sort::{GatheredSort, MOST_DEVICES, TABLE};

use super::Each;
use super::merge::{DevicesMerge, Room, SPARE};
use super::parts::share;
use crate::error::{Error, check, failed};
use crate::gpu::checks::address;
use crate::gpu::dispatch;
use crate::gpu::launch::Workplace;
use crate::gpu::merger::Run;
use crate::gpu::module::Kernel;
use crate::gpu::stream::{event_on, wait_on};
use crate::gpu::{Device, GpuKey, stream};

/// Exchanges buckets, any number of times.
pub(super) struct BucketExchange<K: GpuKey> {
    lanes: Each<Lane<K>>,
    /// Where each device has each bucket begin, and the last end, as the host reads it.
    tables: LockedBuffer<u32>,
    /// The sums of all tables.
    totals: Vec<u32>,
    /// For each device, whether its keys stand by bucket.
    flags: LockedBuffer<u32>,
    /// Most keys of a bucket.
    tile: usize,
    /// Pieces in which a device receives.
    pieces: usize,
}

struct Lane<K: GpuKey> {
    kernel: Kernel<GatheredSort<K::Word>>,
    /// Blocks that the device holds.
    blocks: u32,
    /// All tables, what places are more than starts, and the counters of buckets.
    plan: DeviceBuffer<u32>,
    /// The last two, on the host.
    words: LockedBuffer<u32>,
    /// The buckets in which the part begins and ends.
    edges: Room<K>,
}

/// The buckets of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Buckets {
    /// The ranks of its keys.
    keys: Range<usize>,
    /// All buckets that have any of them.
    all: Range<usize>,
    /// Those of which it has all keys.
    whole: Range<usize>,
}

impl<K: GpuKey> BucketExchange<K> {
    /// An exchange between the devices of a merge, if buckets of so many keys are sorted so.
    ///
    /// # Errors
    /// Too little GPU memory; kernels that do not load.
    pub fn new(merge: &DevicesMerge<K>) -> Result<Option<Self>, Error> {
        let count = merge.lanes.len();
        if !(2..=MOST_DEVICES).contains(&count) {
            return Ok(None);
        }
        let (pieces, n) = (merge.pieces, merge.len() as u64);
        let kernel =
            |_, device: &Arc<Device>| dispatch::gathered::<K::Word>(device, merge.paired, n);
        let kernels: Option<Vec<_>> = merge.devices.on_each(kernel)?.into_iter().collect();
        let Some(kernels) = kernels else {
            return Ok(None);
        };
        let tiles = kernels.iter().map(|(kernel, _)| kernel.shape().tile());
        let tile = tiles.min().unwrap_or(usize::MAX);
        let lane = |index: usize, _: &Arc<Device>| {
            let (kernel, blocks) = kernels[index];
            // SAFETY: all of it is copied to before it is read.
            let plan = unsafe { DeviceBuffer::uninitialized(count * TABLE + words(count, pieces)) };
            Ok(Lane {
                kernel,
                blocks,
                plan: plan.map_err(failed("allocating GPU memory"))?,
                words: pinned(words(count, pieces))?,
                edges: Room::new(&merge.devices, index, SPARE, merge.paired)?,
            })
        };
        let lanes = Each::new(&merge.devices, lane)?;
        let (tables, flags) = (pinned(count * TABLE)?, pinned(count)?);
        let totals = vec![0; TABLE];
        Ok(Some(BucketExchange { lanes, tables, totals, flags, tile, pieces }))
    }

    /// Bytes of GPU memory on all devices.
    pub fn bytes(&self) -> u64 {
        let lane = |lane: &Lane<K>| 4 * lane.plan.len() as u64 + lane.edges.bytes();
        self.lanes.iter().map(lane).sum()
    }

    /// Puts the exchange and the local sorts on the streams, if the keys of all devices stand by
    /// bucket in the lanes' own rooms: with the control words and starts of their sorts at
    /// `places`. Returns whether it does. `options` are those of the sorts.
    pub fn run(
        &mut self,
        merge: &DevicesMerge<K>,
        places: &[Workplace],
        output: &[Run],
        options: u32,
    ) -> Result<bool, Error> {
        self.read(merge, places)?;
        // Without buckets there are no starts.
        if self.flags.contains(&0) {
            return Ok(false);
        }
        self.add_up();
        let Some(ranges) = self.ranges(merge) else {
            return Ok(false);
        };
        let mut received = Vec::new();
        for (index, range) in ranges.iter().enumerate() {
            let bases = self.bases(merge, index, range);
            self.upload(merge, index, range, &bases)?;
            received.push(bases);
        }
        let arrival = |piece| Arrival { exchange: self, merge, output, options, piece };
        for piece in 0..self.pieces {
            for (to, range) in ranges.iter().enumerate() {
                arrival(piece).run(to, range, &received[to])?;
            }
        }
        for (to, lane) in merge.lanes.iter().enumerate() {
            merge.devices.on(to, |_| wait_on(&lane.stream, event_on(&lane.copies[to])?))?;
        }
        Ok(true)
    }

    /// Reads the tables and flags of all devices.
    fn read(&mut self, merge: &DevicesMerge<K>, places: &[Workplace]) -> Result<(), Error> {
        for (index, place) in places.iter().enumerate() {
            let table = self.tables[index * TABLE..].as_ptr() as u64;
            let flag = self.flags[index..].as_ptr() as u64;
            let locally = place.control + 4 * control::LOCALLY as u64;
            let stream = &merge.lanes[index].stream;
            merge.devices.on(index, |_| {
                // SAFETY: pinned memory as long as a table, and as a word; the words of a live
                // workspace, written on this stream.
                unsafe {
                    copy_any(place.starts, table, TABLE, stream)?;
                    copy_any(locally, flag, 1, stream)
                }
            })?;
        }
        merge.wait()
    }

    /// Adds the tables up.
    fn add_up(&mut self) {
        self.totals.fill(0);
        for table in self.tables.chunks(TABLE) {
            for (total, start) in self.totals.iter_mut().zip(table) {
                *total += start;
            }
        }
    }

    /// Keys of all devices before a bucket.
    fn before(&self, bucket: usize) -> usize {
        self.totals[bucket] as usize
    }

    /// The buckets of each device, if they are for this.
    fn ranges(&self, merge: &DevicesMerge<K>) -> Option<Vec<Buckets>> {
        let sizes = self.totals.windows(2).map(|two| two[1] - two[0]);
        let largest = sizes.max().unwrap_or_default();
        if largest as usize > self.tile {
            return None;
        }
        let count = self.lanes.len();
        let range = |index| range(share(merge.len(), count, index), |bucket| self.before(bucket));
        (0..count).map(range).collect()
    }

    /// For each device, what places of its keys in the room of device `to` are more than its
    /// starts, wrapping: its own lie first, the others' behind.
    fn bases(&self, merge: &DevicesMerge<K>, to: usize, range: &Buckets) -> Vec<u32> {
        let mut end = merge.lanes[to].own().len as u32;
        let tables = self.tables.chunks(TABLE).enumerate();
        let base = |(from, table): (usize, &[u32])| {
            if from == to {
                return 0;
            }
            let (first, last) = (table[range.all.start], table[range.all.end]);
            let base = end.wrapping_sub(first);
            end += last - first;
            base
        };
        tables.map(base).collect()
    }

    /// Puts the plan of device `to` on its streams.
    fn upload(
        &mut self,
        merge: &DevicesMerge<K>,
        to: usize,
        range: &Buckets,
        bases: &[u32],
    ) -> Result<(), Error> {
        let (tables, count) = (self.tables.as_ptr() as u64, self.pieces);
        let pieces = (0..count).map(|piece| piece_of(&range.whole, piece, count).start);
        let (lane, of_merge, count) = (&mut self.lanes[to], &merge.lanes[to], bases.len());
        let edges = [range.all.start, range.whole.end];
        let counters = pieces.chain(edges).map(|bucket| bucket as u32);
        for (word, value) in lane.words.iter_mut().zip(bases.iter().copied().chain(counters)) {
            *word = value;
        }
        let (plan, words) = (address(&lane.plan), &lane.words);
        merge.devices.on(to, |_| {
            let stream = &of_merge.stream;
            // SAFETY: pinned memory that is left alone until the run has ended; the plan is as
            // long as both together.
            unsafe {
                copy_any(tables, plan, count * TABLE, stream)?;
                let behind = plan + 4 * (count * TABLE) as u64;
                copy_any(words.as_ptr() as u64, behind, words.len(), stream)?;
            }
            wait_on(&of_merge.copies[to], event_on(stream)?)
        })
    }
}

/// A piece, on its way to each device.
struct Arrival<'a, K: GpuKey> {
    exchange: &'a BucketExchange<K>,
    merge: &'a DevicesMerge<K>,
    output: &'a [Run],
    options: u32,
    piece: usize,
}

impl<K: GpuKey> Arrival<'_, K> {
    /// Has the other devices send device `to` their keys of the piece, and sorts its buckets. Two
    /// streams take turns, so that the end of a piece and the begin of the next are sorted beside
    /// each other.
    fn run(&self, to: usize, range: &Buckets, bases: &[u32]) -> Result<(), Error> {
        let lane = &self.merge.lanes[to];
        let stream = if self.piece.is_multiple_of(2) { &lane.stream } else { &lane.copies[to] };
        let pieces = self.exchange.pieces;
        let buckets = piece_of(&range.whole, self.piece, pieces);
        let first = self.piece == 0;
        let last = self.piece + 1 == pieces;
        let sent = if first { range.all.start } else { buckets.start }..if last {
            range.all.end
        } else {
            buckets.end
        };
        let room = lane.own();
        for (from, table) in self.exchange.tables.chunks(TABLE).enumerate() {
            let (begin, end) = (table[sent.start], table[sent.end]);
            if from == to || begin == end {
                continue;
            }
            let len = (end - begin) as usize;
            let source = self.merge.lanes[from].own().part::<K>(begin as usize, len);
            let place = begin.wrapping_add(bases[from]) as usize;
            // SAFETY: the sender has sorted its own keys and leaves them; the receiver's room has
            // a place for each key of each device behind its own, which nothing else uses now.
            unsafe {
                let target = room.part::<K>(place, len);
                self.merge.send((from, source), (to, target), stream)?;
            }
        }
        let output = self.output[to];
        self.merge.devices.on(to, |_| {
            self.sort(to, buckets, self.piece, (output, range.keys.start), stream)?;
            if first && range.whole.start > range.all.start {
                let before = self.exchange.before(range.all.start);
                let skipped = range.keys.start - before;
                let len = self.exchange.before(range.whole.start) - range.keys.start;
                let buckets = range.all.start..range.whole.start;
                self.edge((to, 0), (buckets, before), (skipped, len), output, stream)?;
            }
            if last && range.all.end > range.whole.end {
                let before = self.exchange.before(range.whole.end);
                let len = range.keys.end - before;
                let target = output.part::<K>(before - range.keys.start, len);
                let buckets = range.whole.end..range.all.end;
                self.edge((to, 1), (buckets, before), (0, len), target, stream)?;
            }
            Ok(())
        })
    }

    /// Sorts a bucket apart, and copies `len` of its keys from one on to where `target` begins.
    fn edge(
        &self,
        (to, which): (usize, usize),
        (buckets, before): (Range<usize>, usize),
        (skipped, len): (usize, usize),
        target: Run,
        stream: &Stream,
    ) -> Result<(), Error> {
        let half = SPARE / 2;
        let apart = self.exchange.lanes[to].edges.run().part::<K>(which * half, half);
        self.sort(to, buckets, self.exchange.pieces + which, (apart, before), stream)?;
        let kept = apart.part::<K>(skipped, len);
        let (keys, values) = ((len * size_of::<K>()) as u64, (len * size_of::<u32>()) as u64);
        // SAFETY: the bucket has these keys, and the target room for them.
        unsafe {
            stream::copy(kept.keys, target.keys, keys, stream)?;
            if self.merge.paired {
                stream::copy(kept.values, target.values, values, stream)?;
            }
        }
        Ok(())
    }

    /// Sorts buckets of device `to`, which is entered, by the counter of this number, to where
    /// `output` begins if so many keys are `before` the first of it.
    fn sort(
        &self,
        to: usize,
        buckets: Range<usize>,
        counter: usize,
        (output, before): (Run, usize),
        stream: &Stream,
    ) -> Result<(), Error> {
        if buckets.is_empty() {
            return Ok(());
        }
        let (lane, room) = (&self.exchange.lanes[to], self.merge.lanes[to].own());
        let count = self.exchange.lanes.len();
        let plan = address(&lane.plan);
        let bases = plan + 4 * (count * TABLE) as u64;
        let sort = GatheredSort {
            keys: Global::on_device(room.keys),
            output: Global::on_device(output.keys),
            values: Global::on_device(room.values),
            output_values: Global::on_device(output.values),
            starts: Global::on_device(plan),
            bases: Global::on_device(bases),
            count: count as u32,
            next: Global::on_device(bases + 4 * (count + counter) as u64),
            end: buckets.end as u32,
            first_key: before as u32,
            order_mask: self.merge.order.order_mask::<K>(),
            options: self.options,
        };
        let blocks = lane.blocks.min(buckets.len() as u32);
        // SAFETY: the room has the keys of these buckets where the plan says, none of which is
        // larger than a block's tile; the output has room for them, and is apart.
        unsafe { lane.kernel.launch(stream, blocks, &sort) }
    }
}

/// Words of a plan behind the tables: a base for each device, a counter for each launch.
const fn words(devices: usize, pieces: usize) -> usize {
    devices + pieces + 2
}

/// The buckets of one of so many pieces.
fn piece_of(whole: &Range<usize>, piece: usize, pieces: usize) -> Range<usize> {
    let part = share(whole.len(), pieces, piece);
    whole.start + part.start..whole.start + part.end
}

/// The buckets that have keys of these ranks, where so many keys are `before` each bucket; none if
/// all are of one.
fn range(keys: Range<usize>, before: impl Fn(usize) -> usize) -> Option<Buckets> {
    let least = |holds: &dyn Fn(usize) -> bool| {
        let (mut low, mut high) = (0, BUCKETS);
        while low < high {
            let middle = (low + high) / 2;
            if holds(middle) { high = middle } else { low = middle + 1 }
        }
        low
    };
    let whole_start = least(&|bucket| before(bucket) >= keys.start);
    let all_end = least(&|bucket| before(bucket) >= keys.end);
    let begins = before(whole_start) == keys.start;
    let ends = before(all_end) == keys.end;
    let all_start = if begins { whole_start } else { whole_start - 1 };
    let whole_end = if ends { all_end } else { all_end - 1 };
    let of_one = whole_start > whole_end;
    (!of_one).then_some(Buckets { keys, all: all_start..all_end, whole: whole_start..whole_end })
}

/// Pinned memory for so many words, of zeros.
fn pinned(len: usize) -> Result<LockedBuffer<u32>, Error> {
    LockedBuffer::new(&0, len).map_err(failed("allocating pinned memory"))
}

/// Copies words between memory of a device and of the host.
///
/// # Safety
/// Both ranges are live, and the host's pinned, until the stream has run.
unsafe fn copy_any(from: u64, to: u64, words: usize, stream: &Stream) -> Result<(), Error> {
    // SAFETY: the caller's contract.
    let status = unsafe { sys::cuMemcpyAsync(to, from, 4 * words, stream.as_inner()) };
    check(status, "copying starts of buckets")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Buckets of so many keys from the first on, and no others.
    fn before(sizes: &[usize], bucket: usize) -> usize {
        sizes[..bucket.min(sizes.len())].iter().sum()
    }

    #[test]
    fn ranges_have_all_keys_and_share_the_buckets_they_begin_in() {
        let sizes = [5, 0, 7, 3, 0, 0, 6, 9];
        let n = sizes.iter().sum();
        for count in 1..6 {
            let mut next = 0;
            for index in 0..count {
                let keys = share(n, count, index);
                assert_eq!(keys.start, next);
                next = keys.end;
                let Some(found) = range(keys.clone(), |bucket| before(&sizes, bucket)) else {
                    continue;
                };
                let at = |bucket| before(&sizes, bucket);
                assert!(at(found.all.start) <= keys.start && keys.end <= at(found.all.end));
                assert!(at(found.whole.start) >= keys.start && keys.end >= at(found.whole.end));
                assert!(found.whole.start - found.all.start <= 1);
                assert!(found.all.end - found.whole.end <= 1);
                let covered: Vec<_> =
                    (0..7).flat_map(|piece| piece_of(&found.whole, piece, 7)).collect();
                assert_eq!(covered, found.whole.collect::<Vec<_>>());
            }
            assert_eq!(next, n);
        }
        // All of one bucket.
        assert_eq!(range(6..8, |bucket| before(&sizes, bucket)), None);
    }
}
