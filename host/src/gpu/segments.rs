//! Sorts of many segments of one array, each by itself.

mod whole;

use std::ops::Range;
use std::sync::Arc;

use cuda_std::ext::memory::Global;
use cust::memory::{CopyDestination, DeviceCopy, DeviceSlice};
use cust::stream::Stream;
use gpu_kernels::control;
use gpu_kernels::policy::segments::{BLOCKS, MOST, SHORT};
use gpu_kernels::segments::{self, Classes, HEAD, Segments, WRONG, list_begin};

use self::whole::WholeSorts;
use super::checks::{address, check_apart, check_lengths, check_payload};
use super::dispatch::{self, SegmentKernels};
use super::key::{GpuKey, Order};
use super::module::Kernel;
use super::run::Arguments;
use super::sort::{Payload, Sort};
use super::workspace::{Cleared, Workspace};
use super::{Device, stream};
use crate::error::{Error, failed};

/// Most keys of a segment that kernels sort.
pub const LONGEST_IN_A_BLOCK: usize = MOST[BLOCKS - 1];

/// A sort of many segments, ready to be run any number of times.
///
/// Segment `i` is all keys from `offsets[i]` up to `offsets[i + 1]`, and may be empty; keys
/// outside of all segments stay as they are. Stable in every order. A run has two parts: a call
/// that puts launches on a stream, and [`Enqueued::finish`], which waits for them and says whether
/// the offsets are right.
///
/// Time, of keys of 4 or 8 bytes alone, and of keys of 4 bytes with values of 4 bytes or indices,
/// sorted by all their bits: one read and one write of each key and value. A warp sorts up to 256
/// keys by a bitonic network, a block up to [`LONGEST_IN_A_BLOCK`] by bins or radix rounds in
/// shared memory. Longer segments are sorted one after the other, each as by a [`Sort`], for which
/// the host waits.
///
/// All others, and where a GPU has too little shared memory for these kernels: the check of the
/// offsets, for which the host waits; a [`Sort`] of all keys with their indices; one of these by
/// the number of the segment that each is in, which takes one read and one write for each byte
/// that the count of segments has; and a read at random places for each key and value. The
/// lengths of segments make no difference.
///
/// ```
/// use cust::memory::{CopyDestination, DeviceBuffer};
/// use cust::stream::{Stream, StreamFlags};
/// use host::gpu::{Device, Order, Payload, SegmentSort};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let Ok(device) = Device::open() else {
///     return Ok(());
/// };
/// device.enter()?;
/// let sort = SegmentSort::new(device, 5, 2, Payload::Index, Order::ascending())?;
/// let mut workspace = sort.workspace()?;
/// // Waits for the copies below, which a stream that is `NON_BLOCKING` does not.
/// let stream = Stream::new(StreamFlags::DEFAULT, None)?;
///
/// let keys = DeviceBuffer::from_slice(&[3i16, 1, 2, 9, 7])?;
/// let offsets = DeviceBuffer::from_slice(&[0, 3, 5])?;
/// let mut sorted = DeviceBuffer::zeroed(5)?;
/// let mut indices = DeviceBuffer::zeroed(5)?;
/// sort.indices(&keys, &mut sorted, &mut indices, &offsets, &mut workspace, &stream)?.finish()?;
/// assert_eq!(sorted.as_host_vec()?, [1, 2, 3, 7, 9]);
/// assert_eq!(indices.as_host_vec()?, [1, 2, 0, 1, 0]);
/// # Ok(())
/// # }
/// ```
pub struct SegmentSort<K: GpuKey> {
    device: Arc<Device>,
    n: usize,
    count: usize,
    payload: Payload,
    order: Order,
    classes: Kernel<Classes>,
    way: Way<K>,
}

/// How segments are sorted.
enum Way<K: GpuKey> {
    /// Each by kernels of segments.
    Kernels(SegmentKernels<K::Word>),
    /// All together.
    WholeSorts(Box<WholeSorts<K>>),
}

impl<K: GpuKey> SegmentSort<K> {
    /// A sort of `count` segments of `n` keys on `device`.
    ///
    /// # Errors
    /// Bits that the keys do not have; values of another width than 4, 8 or 16 bytes; more keys
    /// or segments than 32 bits count; kernels that do not load.
    pub fn new(
        device: Arc<Device>,
        n: usize,
        count: usize,
        payload: Payload,
        order: Order,
    ) -> Result<Self, Error> {
        let limit = u64::from(u32::MAX);
        if let Some(n) = [n, count].into_iter().find(|&n| n as u64 >= limit) {
            return Err(Error::TooMany { n, limit });
        }
        order.sorted_bits(K::TYPE)?;
        device.enter()?;
        let kernels = match payload {
            _ if !order.is_total(K::TYPE) => None,
            Payload::None => SegmentKernels::of(&device, false)?,
            Payload::Index | Payload::Value(4) => SegmentKernels::of(&device, true)?,
            Payload::Value(_) => None,
        };
        let whole = || WholeSorts::new(device.clone(), (n, count), payload, order.clone());
        let way = match kernels {
            Some(kernels) => Way::Kernels(kernels),
            None => Way::WholeSorts(Box::new(whole()?)),
        };
        let classes = dispatch::segment_classes(&device)?;
        Ok(SegmentSort { device, n, count, payload, order, classes, way })
    }

    /// Bytes of GPU memory that a run needs beside its arguments: four for every 140 keys or so
    /// where kernels of segments sort, with which longer segments allocate what a [`Sort`] of the
    /// longest takes; else eight a key, a value or four more, a second copy of the keys, and the
    /// [`workspace_bytes`](Sort::workspace_bytes) of a sort with indices.
    pub fn workspace_bytes(&self) -> u64 {
        match &self.way {
            Way::Kernels(_) => 4 * segments::words(self.n) as u64,
            Way::WholeSorts(sorts) => sorts.workspace_bytes(),
        }
    }

    /// True if kernels of segments sort, and false if whole sorts do, for which the host waits in
    /// the middle.
    pub fn by_kernels(&self) -> bool {
        matches!(self.way, Way::Kernels(_))
    }

    /// The first control word's place in a workspace, in words.
    fn control(&self) -> usize {
        match &self.way {
            Way::Kernels(_) => 0,
            Way::WholeSorts(sorts) => sorts.control() as usize / 4,
        }
    }

    /// Allocates what a run needs.
    ///
    /// # Errors
    /// Too little GPU memory.
    pub fn workspace(&self) -> Result<Workspace, Error> {
        Workspace::allocate(self.n, self.workspace_bytes(), self.device.memory()?.0)
    }

    /// Sorts the segments of `input` into `output`. Keys outside of all segments are copied.
    ///
    /// Puts on `stream` what checks the offsets and, where kernels of segments sort, sorts all of
    /// up to [`LONGEST_IN_A_BLOCK`] keys. [`Enqueued::finish`] does the rest.
    ///
    /// # Errors
    /// Other numbers of keys or offsets than prepared for; slices that overlap; too small a
    /// workspace; a sort prepared with a payload. Nothing is launched then.
    pub fn keys<'a>(
        &'a self,
        input: &'a DeviceSlice<K>,
        output: &'a mut DeviceSlice<K>,
        offsets: &'a DeviceSlice<u32>,
        workspace: &'a mut Workspace,
        stream: &'a Stream,
    ) -> Result<Enqueued<'a, K>, Error> {
        check_payload(self.payload, Payload::None)?;
        let keys = self.check_two(input, output)?;
        let arguments = Arguments { keys, values: None, second: None };
        // SAFETY: two slices of `n` keys, apart, borrowed as long as the rest is to be done.
        unsafe { self.enqueue(arguments, offsets, workspace, stream) }
    }

    /// Sorts the segments of `keys` in place. Errors as [`keys`](Self::keys).
    pub fn keys_in_place<'a>(
        &'a self,
        keys: &'a mut DeviceSlice<K>,
        offsets: &'a DeviceSlice<u32>,
        workspace: &'a mut Workspace,
        stream: &'a Stream,
    ) -> Result<Enqueued<'a, K>, Error> {
        check_payload(self.payload, Payload::None)?;
        self.check_length(keys)?;
        let keys = (address(keys), address(keys));
        let arguments = Arguments { keys, values: None, second: None };
        // SAFETY: one slice of `n` keys, borrowed as long as the rest is to be done.
        unsafe { self.enqueue(arguments, offsets, workspace, stream) }
    }

    /// Sorts keys with values. Those outside of all segments are copied. Errors as
    /// [`keys`](Self::keys); values of another width than prepared for.
    pub fn pairs<'a, V: DeviceCopy>(
        &'a self,
        (keys, values): (&'a DeviceSlice<K>, &'a DeviceSlice<V>),
        (keys_out, values_out): (&'a mut DeviceSlice<K>, &'a mut DeviceSlice<V>),
        offsets: &'a DeviceSlice<u32>,
        workspace: &'a mut Workspace,
        stream: &'a Stream,
    ) -> Result<Enqueued<'a, K>, Error> {
        check_payload(self.payload, Payload::Value(size_of::<V>()))?;
        check_lengths(keys.len(), values.len())?;
        check_apart(values, values_out)?;
        let keys = self.check_two(keys, keys_out)?;
        let values = Some((address(values), address(values_out)));
        // SAFETY: as in `keys`, and the values likewise.
        unsafe {
            self.enqueue(Arguments { keys, values, second: None }, offsets, workspace, stream)
        }
    }

    /// Sorts keys with values in place. Errors as [`pairs`](Self::pairs).
    pub fn pairs_in_place<'a, V: DeviceCopy>(
        &'a self,
        keys: &'a mut DeviceSlice<K>,
        values: &'a mut DeviceSlice<V>,
        offsets: &'a DeviceSlice<u32>,
        workspace: &'a mut Workspace,
        stream: &'a Stream,
    ) -> Result<Enqueued<'a, K>, Error> {
        check_payload(self.payload, Payload::Value(size_of::<V>()))?;
        self.check_length(keys)?;
        check_lengths(keys.len(), values.len())?;
        let keys = (address(keys), address(keys));
        let values = Some((address(values), address(values)));
        // SAFETY: as in `keys_in_place`, and the values likewise.
        unsafe {
            self.enqueue(Arguments { keys, values, second: None }, offsets, workspace, stream)
        }
    }

    /// Sorts the segments of `input` into `output`, and tells for each key which index it had in
    /// its segment. Keys outside of all segments are copied, and have no index written. Errors as
    /// [`keys`](Self::keys).
    pub fn indices<'a>(
        &'a self,
        input: &'a DeviceSlice<K>,
        output: &'a mut DeviceSlice<K>,
        indices: &'a mut DeviceSlice<u32>,
        offsets: &'a DeviceSlice<u32>,
        workspace: &'a mut Workspace,
        stream: &'a Stream,
    ) -> Result<Enqueued<'a, K>, Error> {
        check_payload(self.payload, Payload::Index)?;
        let keys = self.check_two(input, output)?;
        check_lengths(input.len(), indices.len())?;
        let values = Some((address(indices), address(indices)));
        // SAFETY: as in `keys`; the indices are only written.
        unsafe {
            self.enqueue(Arguments { keys, values, second: None }, offsets, workspace, stream)
        }
    }

    fn check_length(&self, keys: &DeviceSlice<K>) -> Result<(), Error> {
        match keys.len() == self.n {
            true => Ok(()),
            false => Err(Error::Capacity { n: keys.len(), capacity: self.n }),
        }
    }

    /// The addresses of two slices of `n` keys that are apart.
    fn check_two(
        &self,
        input: &DeviceSlice<K>,
        output: &DeviceSlice<K>,
    ) -> Result<(u64, u64), Error> {
        self.check_length(input)?;
        check_apart(input, output)?;
        Ok((address(input), address(output)))
    }

    /// # Safety
    /// The addresses are of live memory of `n` elements each, input and output of each kind one
    /// or apart, and borrowed for as long.
    unsafe fn enqueue<'a>(
        &'a self,
        arguments: Arguments,
        offsets: &'a DeviceSlice<u32>,
        workspace: &'a mut Workspace,
        stream: &'a Stream,
    ) -> Result<Enqueued<'a, K>, Error> {
        if offsets.len() != self.count + 1 {
            return Err(Error::OffsetCount { given: offsets.len(), segments: self.count });
        }
        let needed = self.workspace_bytes();
        if workspace.bytes() < needed {
            return Err(Error::Workspace { needed, given: workspace.bytes() });
        }
        let mut head = 0;
        if self.count > 0 {
            self.device.enter()?;
            // SAFETY: the slices and the workspace are as long as was checked, and borrowed until
            // the launches are on the stream, which orders them.
            head = unsafe { self.launch(arguments, offsets, workspace, stream)? };
        }
        Ok(Enqueued { sort: self, arguments, offsets, workspace, stream, head })
    }

    /// The index of a head that is clear, and of the one that the sort will clear.
    ///
    /// # Safety
    /// The control words begin at `base`, and nothing else uses them until the stream has run.
    unsafe fn heads(
        &self,
        base: u64,
        workspace: &mut Workspace,
        stream: &Stream,
    ) -> Result<(usize, usize), Error> {
        let (head, next) = match workspace.known.cleared() {
            Cleared::Head { next: 1 } => (1, 0),
            _ => (0, 1),
        };
        let clear = |next| match self.way {
            Way::Kernels(_) => Cleared::Head { next },
            // Their heads lie elsewhere, and their sorts have words where others have heads.
            Way::WholeSorts(_) => Cleared::Nothing,
        };
        if !workspace.covers(clear(head), clear(next), stream)? {
            let head = base + 4 * (HEAD * head) as u64;
            // SAFETY: the caller's contract.
            unsafe { stream::fill(head, 0, 4 * HEAD as u64, stream)? };
        }
        Ok((head, next))
    }

    fn options(&self) -> u32 {
        let encode = if K::TYPE.is_float() { control::ENCODE } else { 0 };
        encode | if self.payload == Payload::Index { control::INDEX } else { 0 }
    }

    /// Returns the index of the head.
    ///
    /// # Safety
    /// As [`enqueue`](Self::enqueue), and all lengths are right.
    unsafe fn launch(
        &self,
        Arguments { keys, values, .. }: Arguments,
        offsets: &DeviceSlice<u32>,
        workspace: &mut Workspace,
        stream: &Stream,
    ) -> Result<usize, Error> {
        let base = workspace.memory.as_device_ptr().as_raw() + 4 * self.control() as u64;
        // SAFETY: the caller's contract.
        let (index, next) = unsafe { self.heads(base, workspace, stream)? };
        let word = |index: usize| Global::on_device(base + 4 * index as u64);
        let (head, next, control) = (word(index * HEAD), word(next * HEAD), word(0));
        let offsets = Global::on_device(address(offsets));
        let (count, n) = (self.count as u32, self.n as u32);
        let classes = Classes { offsets, count, n, head, control };
        // SAFETY: the caller's contract.
        unsafe {
            self.classes.launch(stream, self.classes.blocks(self.count as u64) as u32, &classes)?;
        }
        let Way::Kernels(SegmentKernels { in_warps, lists }) = &self.way else {
            return Ok(index);
        };
        // Kernels of keys alone have no use for the values'.
        let values = values.unwrap_or((base, base));
        let mut arguments = Segments {
            keys: Global::on_device(keys.0),
            output: Global::on_device(keys.1),
            values: Global::on_device(values.0),
            output_values: Global::on_device(values.1),
            offsets,
            count,
            n,
            head,
            next,
            control,
            order_mask: self.order.order_mask::<K>(),
            options: self.options(),
            list: 0,
        };
        // SAFETY: the caller's contract; what begins early waits for its predecessor.
        unsafe {
            let blocks = count.div_ceil(in_warps.shape().threads as u32);
            in_warps.launch_early(stream, blocks, &arguments)?;
            // The first kernel sees to all lists up to that of its own size.
            for ((kernel, held), list) in lists.iter().zip([0, SHORT, SHORT + 1]) {
                arguments.list = list as u32;
                let most = segments::list_words(list, self.n) as u32;
                if most > 0 {
                    kernel.launch_early(stream, most.min(*held), &arguments)?;
                }
            }
        }
        Ok(index)
    }
}

/// A sort of segments that is on a stream, and to be finished.
#[must_use = "`finish` sorts the rest, and says whether the offsets are right"]
pub struct Enqueued<'a, K: GpuKey> {
    sort: &'a SegmentSort<K>,
    arguments: Arguments,
    offsets: &'a DeviceSlice<u32>,
    workspace: &'a mut Workspace,
    stream: &'a Stream,
    /// The index of the head.
    head: usize,
}

impl<K: GpuKey> Enqueued<'_, K> {
    /// Waits for the stream, sorts what is left, and waits for that.
    ///
    /// # Errors
    /// A segment that ends before it begins or behind the last key: then nothing is written.
    /// Too little GPU memory; failures that the driver reports.
    pub fn finish(self) -> Result<(), Error> {
        let Enqueued { sort, arguments, offsets, workspace, stream, head } = self;
        let wait = || stream.synchronize().map_err(failed("sorting segments"));
        wait()?;
        let head = match sort.count {
            0 => vec![0; HEAD],
            _ => words(workspace, sort.control() + head * HEAD, HEAD)?,
        };
        let borders = |range: Range<usize>| {
            let mut borders = vec![0; range.len()];
            let copied = offsets.index(range).copy_to(&mut borders);
            copied.map_err(failed("copying offsets from the GPU"))?;
            Ok::<Vec<u32>, Error>(borders)
        };
        if head[WRONG] != 0 {
            return Err(wrong_offsets(&borders(0..offsets.len())?, sort.n));
        }
        let (left, keys) = (head[segments::COUNTS + BLOCKS] as usize, arguments.keys);
        // All segments are in it.
        let range = || -> Result<Range<u64>, Error> {
            match sort.count {
                0 => Ok(0..0),
                last => Ok(borders(0..1)?[0].into()..borders(last..last + 1)?[0].into()),
            }
        };
        if keys.0 != keys.1 {
            // SAFETY: all are of `n` elements, apart, and borrowed.
            unsafe { sort.copy_outside(range()?, arguments, stream)? };
        }
        match &sort.way {
            Way::Kernels(_) if left == 0 => wait(),
            Way::Kernels(_) => {
                let borders = borders(0..offsets.len())?;
                let range = |&segment: &u32| {
                    let segment = segment as usize;
                    u64::from(borders[segment])..u64::from(borders[segment + 1])
                };
                let list = words(workspace, list_begin(BLOCKS, sort.n), left)?;
                let ranges: Vec<Range<u64>> = list.iter().map(range).collect();
                // SAFETY: the slices are borrowed, and the ranges have been found to be theirs.
                let workspace = unsafe { sort.longer(&ranges, arguments, stream)? };
                wait().map(|()| drop(workspace))
            }
            Way::WholeSorts(sorts) => {
                let offsets = (address(offsets), sort.count as u32);
                // SAFETY: the slices are borrowed, as long as was checked, and the offsets have
                // been found to be those of segments.
                unsafe { sorts.run(range()?, offsets, arguments, workspace, stream)? };
                wait()
            }
        }
    }
}

impl<K: GpuKey> SegmentSort<K> {
    /// Copies the keys that are not in `range`, and values that are moved.
    ///
    /// # Safety
    /// The addresses are of `n` elements each, apart where values are moved, and no other work
    /// uses them until the stream has run.
    unsafe fn copy_outside(
        &self,
        Range { start, end }: Range<u64>,
        Arguments { keys, values, .. }: Arguments,
        stream: &Stream,
    ) -> Result<(), Error> {
        let values = match self.payload {
            Payload::Value(width) => values.map(|values| (values, width)),
            _ => None,
        };
        for ((from, to), width) in [(keys, size_of::<K>())].into_iter().chain(values) {
            for outside in [0..start, end..self.n as u64] {
                let begin = outside.start * width as u64;
                let bytes = (outside.end - outside.start) * width as u64;
                // SAFETY: the caller's contract.
                unsafe { stream::copy(from + begin, to + begin, bytes, stream)? };
            }
        }
        Ok(())
    }

    /// Puts on `stream` sorts of ranges of arrays, one after the other, and returns the workspace
    /// that they have.
    ///
    /// # Safety
    /// The arrays are that long, values of 4 bytes, and no other work uses them until the stream
    /// has run.
    unsafe fn longer(
        &self,
        ranges: &[Range<u64>],
        Arguments { keys, values, .. }: Arguments,
        stream: &Stream,
    ) -> Result<Workspace, Error> {
        let length = |range: &Range<u64>| range.end - range.start;
        let longest = ranges.iter().map(length).max().unwrap_or_default() as usize;
        let (device, order) = (self.device.clone(), self.order.clone());
        let sort = Sort::<K>::new(device, longest, self.payload, order)?;
        let mut workspace = sort.workspace()?;
        for range in ranges {
            let start = range.start;
            let keys = (place::<K>(keys.0, start), place::<K>(keys.1, start));
            let values =
                values.map(|(from, to)| (place::<u32>(from, start), place::<u32>(to, start)));
            let arguments = Arguments { keys, values, second: None };
            // SAFETY: the caller's contract.
            unsafe { sort.run(length(range), arguments, &mut workspace, stream)? };
        }
        Ok(workspace)
    }
}

/// The address of element `index` of an array.
fn place<T>(array: u64, index: u64) -> u64 {
    array + index * size_of::<T>() as u64
}

/// So many words of a workspace from word `begin` on.
fn words(workspace: &Workspace, begin: usize, count: usize) -> Result<Vec<u32>, Error> {
    let bytes = workspace.memory.index(4 * begin..4 * (begin + count));
    let mut words = vec![0; 4 * count];
    bytes.copy_to(&mut words).map_err(failed("copying offsets from the GPU"))?;
    let word = |bytes: &[u8]| u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    Ok(words.chunks(4).map(word).collect())
}

/// The error of the first segment that is none of `n` keys.
fn wrong_offsets(offsets: &[u32], n: usize) -> Error {
    let wrong = |pair: &&[u32]| pair[1] < pair[0] || pair[1] as usize > n;
    let mut pairs = offsets.windows(2);
    let index = pairs.position(|pair| wrong(&pair)).unwrap_or_default();
    Error::Offsets { index, begin: offsets[index], end: offsets[index + 1], n }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_segment_with_wrong_offsets_is_named() {
        for (offsets, expected) in [
            (&[0, 4, 3, 2][..], "segment 1 is 4..3 of 10 keys"),
            (&[0, 4, 11, 2], "segment 1 is 4..11 of 10 keys"),
            (&[11, 12], "segment 0 is 11..12 of 10 keys"),
        ] {
            let error = wrong_offsets(offsets, 10).to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
