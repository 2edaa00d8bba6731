//! A sort, prepared: what it is of, in which order, and with which kernels.

use std::sync::Arc;

use cuda_std::memory::Global;
use cuda_std::word::Word;
use cust::memory::{DeviceCopy, DeviceSlice};
use cust::stream::Stream;
use gpu_kernels::block::Block;
use gpu_kernels::control;
use gpu_kernels::entry::Entries;
use gpu_kernels::fused::Fused;
use gpu_kernels::gather::NumericCodes;
use gpu_kernels::key::Bits;
use gpu_kernels::local_sort::LocalSort;
use gpu_kernels::policy::Shape;
use gpu_kernels::tile::Pass;

use super::Device;
use super::checks::{address, check_apart, check_lengths};
use super::dispatch::{self, Kind, Passes};
use super::key::{GpuKey, Order};
use super::launch::{self, Addresses, Launch, Workplace};
use super::module::{Kernel, Resources};
use super::sweep::Family;
use super::workspace::{Cleared, Workspace};
use crate::error::Error;

/// What goes with each key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Nothing.
    None,
    /// A value of 4, 8 or 16 bytes.
    Value(usize),
    /// The key's index in the input, made by the sort: an argsort.
    Index,
}

/// A sort of up to so many keys, ready to be run any number of times.
///
/// Stable in every order. It is asynchronous: each run puts launches on the
/// caller's stream and returns, and may be captured in a CUDA graph, which then has the
/// workspace to itself. Until that stream has run, no slice of a run may be read, written
/// or freed by other work, nor its workspace be given to a run on another stream. It
/// allocates nothing: what it needs beside its arguments is a [`Workspace`], whose size is
/// asked first.
///
/// Most keys: what the GPU's memory holds, past 2^32; 2^32 - 1 in numeric order, with
/// indices, and with values that are not of 4 bytes.
///
/// Time: one read of the keys, and one read and one write of keys and values for
/// each byte of the bits sorted by; digits in which all keys agree are skipped. Keys that
/// are at most a tile for each multiprocessor need no read beforehand.
/// From 2^11 to 2^18 keys of 4 or 8 bytes alone are sorted in one launch, without a second
/// buffer: a pass by the top digit, or by splitters where that is uneven, then each bucket
/// within a multiprocessor.
/// Very many keys of 4 or 8 bytes that are evenly spread take four reads and three writes
/// in all: what is below their upper 16 bits is sorted bucket by bucket, within a
/// multiprocessor.
/// Least-significant-digit passes after Onesweep (Adinets and Merrill 2022), buckets
/// after Stehle and Jacobsen (2017).
pub struct Sort<K: GpuKey> {
    pub(super) device: Arc<Device>,
    pub(super) capacity: u64,
    pub(super) payload: Payload,
    order: Order,
    bits: Bits,
    pub(super) kernels: Kernels<K::Word>,
}

/// The kernels of a sort, loaded.
pub(super) struct Kernels<W> {
    pub(super) block: Option<Kernel<Block<W>>>,
    /// One launch of many blocks, which leaves nothing to a block or to passes.
    pub(super) fused: Option<Kernel<Fused<W>>>,
    pub(super) passes: Passes<W>,
    coder: Option<Kernel<NumericCodes<W>>>,
    gather_values: Option<Gatherer>,
}

/// [`launch::gather`] of elements of some width.
type Gatherer = unsafe fn(&Device, (u64, u64, u64), u64, &Stream) -> Result<(), Error>;

/// The gather of elements of `width` bytes, its kernel loaded.
fn gatherer(device: &Device, width: usize) -> Result<Gatherer, Error> {
    fn of<T: Entries>(device: &Device) -> Result<Gatherer, Error> {
        dispatch::gatherer::<T>(device)?;
        Ok(launch::gather::<T>)
    }
    match width {
        4 => of::<u32>(device),
        8 => of::<u64>(device),
        _ => of::<u128>(device),
    }
}

impl<K: GpuKey> Sort<K> {
    /// A sort of up to `capacity` keys on `device`: checks that it can be, and loads
    /// its kernels.
    ///
    /// # Errors
    /// Bits that the keys do not have; values of another width than 4, 8 or 16
    /// bytes; more keys than indices count; kernels that do not load.
    pub fn new(
        device: Arc<Device>,
        capacity: usize,
        payload: Payload,
        order: Order,
    ) -> Result<Self, Error> {
        let layout = K::LAYOUT;
        let bits = order.sorted_bits(layout)?;
        if let Payload::Value(width) = payload
            && !matches!(width, 4 | 8 | 16)
        {
            return Err(Error::ValueWidth { width });
        }
        let capacity = capacity as u64;
        let indexed =
            order.is_numeric(layout) || !matches!(payload, Payload::None | Payload::Value(4));
        if indexed && capacity > u64::from(u32::MAX) {
            return Err(Error::TooMany { n: capacity as usize, limit: u64::from(u32::MAX) });
        }
        device.enter()?;
        let paired = indexed || payload != Payload::None;
        let numeric = order.is_numeric(layout);
        let gathered = match payload {
            Payload::Value(width) if numeric || width != 4 => Some(width),
            _ => None,
        };
        let coder = numeric.then(|| dispatch::coder(&device)).transpose()?;
        if numeric {
            dispatch::gatherer::<K::Word>(&device)?;
        }
        let gather_values = gathered.map(|width| gatherer(&device, width));
        let kind = kind(paired, &order);
        let fused = dispatch::fused(&device, kind, capacity)?;
        let kernels = Kernels {
            block: match fused {
                Some(_) => None,
                None => dispatch::block(&device, paired, capacity)?,
            },
            fused,
            passes: Passes::of(&device, kind, bits, capacity)?,
            coder,
            gather_values: gather_values.transpose()?,
        };
        Ok(Sort { device, capacity, payload, order, bits, kernels })
    }

    /// The same by this pass, whatever the number of keys.
    pub(super) fn by_pass(mut self, pass: Kernel<Pass<K::Word>>, single_wave: bool) -> Self {
        (self.kernels.block, self.kernels.fused) = (None, None);
        self.kernels.passes = self.kernels.passes.by(pass, single_wave);
        self
    }

    /// The same in one launch of many blocks.
    ///
    /// # Errors
    /// A GPU that does not hold them all at once.
    pub(super) fn by_fused(mut self, kernel: Kernel<Fused<K::Word>>) -> Result<Self, Error> {
        if !dispatch::holds_fused(&self.device, &kernel, self.capacity)? {
            return Err(Error::Gpu {
                action: "choosing a kernel",
                reason: format!("its blocks for {} keys do not fit at once", self.capacity),
            });
        }
        (self.kernels.block, self.kernels.fused) = (None, Some(kernel));
        Ok(self)
    }

    /// The same by this local sort of buckets.
    pub(super) fn by_local(mut self, sort: Kernel<LocalSort<K::Word>>) -> Result<Self, Error> {
        (self.kernels.block, self.kernels.fused) = (None, None);
        let buckets = self.kernels.passes.buckets;
        let buckets = buckets.map(|buckets| buckets.by(&self.device, sort));
        self.kernels.passes.buckets = buckets.transpose()?;
        Ok(self)
    }

    /// What makes a sort of so many keys what it is: the block that does it all, the local
    /// sort or the pass, and what it takes.
    pub(super) fn in_use(&self) -> Result<(Family, Shape, Resources), Error> {
        let passes = &self.kernels.passes;
        if let Some(fused) = &self.kernels.fused {
            return Ok((Family::Fused, fused.shape(), fused.resources()?));
        }
        Ok(match (self.kernels.block, &passes.buckets) {
            (Some(block), _) => (Family::Passes, block.shape(), block.resources()?),
            (None, Some(buckets)) => {
                let sort = buckets.sort;
                (Family::LocalSort, sort.shape(), sort.resources()?)
            }
            (None, None) => {
                let family = match passes.single_wave {
                    true => Family::SingleWave,
                    false => Family::Passes,
                };
                (family, passes.pass.shape(), passes.pass.resources()?)
            }
        })
    }

    /// Whether buckets may be sorted locally.
    pub(super) fn sorts_buckets(&self) -> bool {
        self.kernels.passes.buckets.is_some()
    }

    /// Keys it is prepared for.
    pub fn capacity(&self) -> usize {
        self.capacity as usize
    }

    pub(super) fn numeric(&self) -> bool {
        self.kernels.coder.is_some()
    }

    /// Bytes of a value that is gathered at the end, 0 if none is.
    pub(super) fn gathered_width(&self) -> u64 {
        match self.payload {
            Payload::Value(width) if self.kernels.gather_values.is_some() => width as u64,
            _ => 0,
        }
    }

    /// Whether 4-byte values or indices pass along with the keys.
    pub(super) fn paired(&self) -> bool {
        self.numeric() || self.payload != Payload::None
    }

    /// Sorts `input` into `output` and leaves `input` as it is.
    ///
    /// # Errors
    /// Slices of unequal length or that overlap, more keys than prepared for, too
    /// small a workspace; a sort prepared with a payload. Nothing is launched then.
    pub fn keys(
        &self,
        input: &DeviceSlice<K>,
        output: &mut DeviceSlice<K>,
        workspace: &mut Workspace,
        stream: &Stream,
    ) -> Result<(), Error> {
        self.check_payload(Payload::None)?;
        let n = self.check_apart(input, output)?;
        // SAFETY: checked to be of n keys and apart; borrowed until the launches are
        // on the stream, which orders them.
        unsafe { self.run(n, (address(input), address(output)), None, None, workspace, stream) }
    }

    /// Sorts `keys` where they lie. Errors as [`keys`](Self::keys).
    pub fn keys_in_place(
        &self,
        keys: &mut DeviceSlice<K>,
        workspace: &mut Workspace,
        stream: &Stream,
    ) -> Result<(), Error> {
        self.check_payload(Payload::None)?;
        let n = self.check_count(keys.len())?;
        let keys = address(keys);
        // SAFETY: one buffer of n keys, borrowed until the launches are on the stream.
        unsafe { self.run(n, (keys, keys), None, None, workspace, stream) }
    }

    /// Sorts `keys` where they lie, with `other` as the second buffer, which ends
    /// with any content. Errors as [`keys`](Self::keys).
    pub fn keys_ping_pong(
        &self,
        keys: &mut DeviceSlice<K>,
        other: &mut DeviceSlice<K>,
        workspace: &mut Workspace,
        stream: &Stream,
    ) -> Result<(), Error> {
        self.check_payload(Payload::None)?;
        let n = self.check_apart(keys, other)?;
        let keys = address(keys);
        let second = Second { keys: address(other), values: 0 };
        // SAFETY: checked to be of n keys and apart; borrowed until the launches are
        // on the stream.
        unsafe { self.run(n, (keys, keys), None, Some(second), workspace, stream) }
    }

    /// Sorts keys with values. Errors as [`keys`](Self::keys); values of another
    /// width than prepared for.
    pub fn pairs<V: DeviceCopy>(
        &self,
        (keys, values): (&DeviceSlice<K>, &DeviceSlice<V>),
        (keys_out, values_out): (&mut DeviceSlice<K>, &mut DeviceSlice<V>),
        workspace: &mut Workspace,
        stream: &Stream,
    ) -> Result<(), Error> {
        self.check_payload(Payload::Value(size_of::<V>()))?;
        let n = self.check_apart(keys, keys_out)?;
        check_lengths(keys.len(), values.len())?;
        check_apart(values, values_out)?;
        let values = Some((address(values), address(values_out)));
        // SAFETY: as in `keys`, and the values likewise.
        unsafe { self.run(n, (address(keys), address(keys_out)), values, None, workspace, stream) }
    }

    /// Sorts keys with values where they lie. Errors as [`pairs`](Self::pairs).
    pub fn pairs_in_place<V: DeviceCopy>(
        &self,
        keys: &mut DeviceSlice<K>,
        values: &mut DeviceSlice<V>,
        workspace: &mut Workspace,
        stream: &Stream,
    ) -> Result<(), Error> {
        self.check_payload(Payload::Value(size_of::<V>()))?;
        let n = self.check_count(keys.len())?;
        check_lengths(keys.len(), values.len())?;
        let (keys, values) = (address(keys), address(values));
        let values = Some((values, values));
        // SAFETY: as in `keys_in_place`, and the values likewise.
        unsafe { self.run(n, (keys, keys), values, None, workspace, stream) }
    }

    /// Sorts keys with values where they lie, with `other` buffers as their second ones,
    /// which end with any content. Errors as [`pairs`](Self::pairs).
    pub fn pairs_ping_pong<V: DeviceCopy>(
        &self,
        (keys, values): (&mut DeviceSlice<K>, &mut DeviceSlice<V>),
        (other_keys, other_values): (&mut DeviceSlice<K>, &mut DeviceSlice<V>),
        workspace: &mut Workspace,
        stream: &Stream,
    ) -> Result<(), Error> {
        self.check_payload(Payload::Value(size_of::<V>()))?;
        let n = self.check_apart(keys, other_keys)?;
        check_lengths(keys.len(), values.len())?;
        check_apart(values, other_values)?;
        let second = Second { keys: address(other_keys), values: address(other_values) };
        let (keys, values) = (address(keys), address(values));
        let values = Some((values, values));
        // SAFETY: as in `keys_ping_pong`, and the values likewise.
        unsafe { self.run(n, (keys, keys), values, Some(second), workspace, stream) }
    }

    /// Sorts `input` into `output`, and tells for each key which index of the
    /// input its key had. Errors as [`keys`](Self::keys).
    pub fn indices(
        &self,
        input: &DeviceSlice<K>,
        output: &mut DeviceSlice<K>,
        indices: &mut DeviceSlice<u32>,
        workspace: &mut Workspace,
        stream: &Stream,
    ) -> Result<(), Error> {
        self.check_payload(Payload::Index)?;
        let n = self.check_apart(input, output)?;
        check_lengths(input.len(), indices.len())?;
        let values = Some((address(indices), address(indices)));
        // SAFETY: as in `keys`; the indices are only written.
        unsafe { self.run(n, (address(input), address(output)), values, None, workspace, stream) }
    }

    /// # Safety
    /// The addresses are of live memory of `n` elements each, input and output of
    /// each kind one or apart, `second` apart from both, and no other work uses them
    /// or the workspace until the stream has run.
    unsafe fn run(
        &self,
        n: u64,
        (input, output): (u64, u64),
        values: Option<(u64, u64)>,
        second: Option<Second>,
        workspace: &mut Workspace,
        stream: &Stream,
    ) -> Result<(), Error> {
        if n == 0 {
            return Ok(());
        }
        self.device.enter()?;
        let layout = self.layout();
        let second = second.filter(|_| self.takes_second());
        let needed = second.map_or(layout.end, |_| layout.values);
        if workspace.bytes() < needed {
            return Err(Error::Workspace { needed, given: workspace.bytes() });
        }
        if self.kernels.block.is_some() && needed > 0 {
            // What a block sorts by index begins where other sorts have control words.
            workspace.cleared = Cleared::Nothing;
        }
        let base = workspace.memory.as_device_ptr().as_raw();
        let width = K::LAYOUT.width as u64;
        // What passes along with the keys: the values themselves, or indices.
        let indices = match (self.payload, values) {
            (Payload::Index, Some((_, output))) => Some(output),
            _ if self.numeric() || self.gathered_width() > 0 => Some(base + layout.index),
            _ => None,
        };
        let passing = match (indices, values) {
            (Some(index), _) => Some((index, index)),
            (None, values) => values,
        };
        let keys = if let Some(coder) = self.kernels.coder {
            let codes = base + layout.codes;
            let coded = NumericCodes {
                keys: Global::on_device(input),
                codes: Global::on_device(codes),
                n,
                infinity: K::Word::from_u128(K::LAYOUT.infinity()),
            };
            // SAFETY: the codes are the workspace's; the caller's contract for the rest.
            unsafe { coder.launch(stream, launch::elementwise(&coder, n), &coded)? };
            (codes, codes)
        } else {
            (input, output)
        };
        let launch = Launch {
            keys: Addresses {
                input: keys.0,
                output: keys.1,
                scratch: second.map_or(base + layout.keys, |second| second.keys),
            },
            values: passing.map(|(input, output)| Addresses {
                input,
                output,
                scratch: second.map_or(base + layout.values, |second| second.values),
            }),
            n,
            order_mask: self.order.order_mask::<K>(),
            bits: self.bits,
            options: self.options(indices.is_some()),
            stream,
        };
        // SAFETY: the parts of the workspace are apart from each other and from the
        // caller's memory, whose contract covers the rest.
        unsafe {
            self.sort(&launch, workspace, base, base + layout.buckets)?;
            if let (Some(_), Some(index)) = (self.kernels.coder, indices) {
                // The codes have been sorted and are no longer needed.
                let (gather, spare) = (launch::gather::<K::Word> as Gatherer, base + layout.codes);
                self.gather((gather, width), (input, index, output), spare, n, stream)?;
            }
            if let (Some(gather), Some(index), Some((from, to))) =
                (self.kernels.gather_values, indices, values)
            {
                let (width, spare) = (self.gathered_width(), base + layout.gathered);
                self.gather((gather, width), (from, index, to), spare, n, stream)?;
            }
        }
        Ok(())
    }

    /// # Safety
    /// As [`run`](Self::run), and the addresses of the launch are apart but for
    /// input and output.
    unsafe fn sort(
        &self,
        launch: &Launch<'_, K::Word>,
        workspace: &mut Workspace,
        control: u64,
        buckets: u64,
    ) -> Result<(), Error> {
        // SAFETY: the caller's contract.
        unsafe {
            if let Some(block) = self.kernels.block {
                return launch.block(block);
            }
            if let Some(fused) = self.kernels.fused {
                workspace.clear(self.to_be_clear(), true, launch.stream)?;
                return launch.fused(fused, control);
            }
            // A sort of a single wave by a single digit is the one that does not leave the
            // control words as it needs them.
            let leaves = !(self.kernels.passes.single_wave && launch.bits.digits() == 1);
            workspace.clear(self.to_be_clear(), leaves, launch.stream)?;
            // In place takes an even number of passes, which an odd number of digits
            // may not allow: then the result goes to the second buffer, and from
            // there back.
            let in_place = launch.keys.input == launch.keys.output;
            let at = Workplace {
                control,
                starts: buckets,
                multiprocessors: self.device.multiprocessors(),
            };
            let sort = |launch: &Launch<'_, K::Word>| launch.passes(&self.kernels.passes, at);
            if !(in_place && launch.bits.digits() % 2 == 1) {
                return sort(launch);
            }
            let apart =
                |from: Addresses| Addresses { output: from.scratch, scratch: from.output, ..from };
            let there =
                Launch { keys: apart(launch.keys), values: launch.values.map(apart), ..*launch };
            sort(&there)?;
            let bytes = launch.n * size_of::<K>() as u64;
            launch::copy(there.keys.output, launch.keys.output, bytes, launch.stream)?;
            if let (Some(from), Some(to)) = (there.values, launch.values) {
                launch::copy(from.output, to.output, 4 * launch.n, launch.stream)?;
            }
        }
        Ok(())
    }

    /// Gathers `n` elements of a width into `to`, by way of `spare` if that is also where it
    /// gathers from.
    ///
    /// # Safety
    /// As [`run`](Self::run); `spare` is the workspace's, for as many elements.
    unsafe fn gather(
        &self,
        (gather, width): (Gatherer, u64),
        (from, index, to): (u64, u64, u64),
        spare: u64,
        n: u64,
        stream: &Stream,
    ) -> Result<(), Error> {
        // SAFETY: the caller's contract; the indices are the sort's own.
        unsafe {
            if from != to {
                return gather(&self.device, (from, index, to), n, stream);
            }
            gather(&self.device, (from, index, spare), n, stream)?;
            launch::copy(spare, to, n * width, stream)
        }
    }

    fn options(&self, indexed: bool) -> u32 {
        let mut options = 0;
        if K::LAYOUT.is_float() && !self.numeric() {
            options |= control::ENCODE;
        }
        if self.order.allows_atomics() && !self.paired() {
            options |= control::ALLOW_ATOMICS;
        }
        if indexed {
            options |= control::INDEX;
        }
        options
    }

    fn check_payload(&self, given: Payload) -> Result<(), Error> {
        if given == self.payload {
            return Ok(());
        }
        Err(Error::Payload { prepared: format!("{:?}", self.payload), given: format!("{given:?}") })
    }

    fn check_count(&self, n: usize) -> Result<u64, Error> {
        if n as u64 > self.capacity {
            return Err(Error::Capacity { n, capacity: self.capacity() });
        }
        Ok(n as u64)
    }

    fn check_apart(&self, a: &DeviceSlice<K>, b: &DeviceSlice<K>) -> Result<u64, Error> {
        check_apart(a, b)?;
        self.check_count(a.len())
    }
}

/// Addresses of the caller's second buffers; that of values where there are any.
#[derive(Clone, Copy)]
struct Second {
    keys: u64,
    values: u64,
}

fn kind(paired: bool, order: &Order) -> Kind {
    if paired {
        Kind::Pairs
    } else if order.allows_atomics() {
        Kind::Keys
    } else {
        Kind::MatchedKeys
    }
}
