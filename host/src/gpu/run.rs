//! The runs of a prepared sort, by the payload and the place of the keys: the checks before
//! anything is launched, and the launches.

use cuda_std::ext::Word;
use cuda_std::ext::memory::Global;
use cust::memory::{DeviceCopy, DeviceSlice};
use cust::stream::Stream;
use gpu_kernels::control;
use gpu_kernels::gather::NumericCodes;

use super::checks::{address, check_apart, check_lengths, check_payload};
use super::key::GpuKey;
use super::launch::{self, Addresses, Launch, Workplace};
use super::sort::{Payload, Sort};
use super::stream::copy;
use super::workspace::{Cleared, Workspace};
use crate::error::Error;

/// Addresses of a run's input and output, of the keys and of the values if there are any; and of
/// the caller's second buffers, that of values where there are any.
#[derive(Clone, Copy)]
pub(super) struct Arguments {
    pub(super) keys: (u64, u64),
    pub(super) values: Option<(u64, u64)>,
    pub(super) second: Option<(u64, u64)>,
}

impl<K: GpuKey> Sort<K> {
    /// Sorts `input` into `output`; `input` is unchanged.
    ///
    /// # Errors
    /// Slices of different lengths or that overlap, more keys than prepared for, too small a
    /// workspace, a sort prepared with a payload. Nothing is launched then.
    pub fn keys(
        &self,
        input: &DeviceSlice<K>,
        output: &mut DeviceSlice<K>,
        workspace: &mut Workspace,
        stream: &Stream,
    ) -> Result<(), Error> {
        let n = self.check_two(Payload::None, input, output)?;
        let keys = (address(input), address(output));
        // SAFETY: checked to be of n keys and apart; borrowed until the launches are on the
        // stream, which orders them.
        unsafe { self.run(n, Arguments { keys, values: None, second: None }, workspace, stream) }
    }

    /// Sorts `keys` in place. Errors as in [`keys`](Self::keys).
    pub fn keys_in_place(
        &self,
        keys: &mut DeviceSlice<K>,
        workspace: &mut Workspace,
        stream: &Stream,
    ) -> Result<(), Error> {
        let n = self.check_one(Payload::None, keys)?;
        let keys = (address(keys), address(keys));
        // SAFETY: one buffer of n keys, borrowed until the launches are on the stream.
        unsafe { self.run(n, Arguments { keys, values: None, second: None }, workspace, stream) }
    }

    /// Sorts `keys` in place, with `other` as the second buffer, whose content is undefined
    /// afterwards. Errors as in [`keys`](Self::keys).
    pub fn keys_ping_pong(
        &self,
        keys: &mut DeviceSlice<K>,
        other: &mut DeviceSlice<K>,
        workspace: &mut Workspace,
        stream: &Stream,
    ) -> Result<(), Error> {
        let n = self.check_two(Payload::None, keys, other)?;
        let keys = (address(keys), address(keys));
        let second = Some((address(other), 0));
        // SAFETY: checked to be of n keys and apart; borrowed until the launches are on the
        // stream.
        unsafe { self.run(n, Arguments { keys, values: None, second }, workspace, stream) }
    }

    /// Sorts keys with values. Errors as in [`keys`](Self::keys), and for values of another width
    /// than prepared for.
    pub fn pairs<V: DeviceCopy>(
        &self,
        (keys, values): (&DeviceSlice<K>, &DeviceSlice<V>),
        (keys_out, values_out): (&mut DeviceSlice<K>, &mut DeviceSlice<V>),
        workspace: &mut Workspace,
        stream: &Stream,
    ) -> Result<(), Error> {
        let n = self.check_two(Payload::Value(size_of::<V>()), keys, keys_out)?;
        check_lengths(keys.len(), values.len())?;
        check_apart(values, values_out)?;
        let keys = (address(keys), address(keys_out));
        let values = Some((address(values), address(values_out)));
        // SAFETY: as in `keys`, and the values likewise.
        unsafe { self.run(n, Arguments { keys, values, second: None }, workspace, stream) }
    }

    /// Sorts keys with values in place. Errors as in [`pairs`](Self::pairs).
    pub fn pairs_in_place<V: DeviceCopy>(
        &self,
        keys: &mut DeviceSlice<K>,
        values: &mut DeviceSlice<V>,
        workspace: &mut Workspace,
        stream: &Stream,
    ) -> Result<(), Error> {
        let n = self.check_one(Payload::Value(size_of::<V>()), keys)?;
        check_lengths(keys.len(), values.len())?;
        let keys = (address(keys), address(keys));
        let values = Some((address(values), address(values)));
        // SAFETY: as in `keys_in_place`, and the values likewise.
        unsafe { self.run(n, Arguments { keys, values, second: None }, workspace, stream) }
    }

    /// Sorts keys with values in place, with the `other` buffers as second ones, whose content is
    /// undefined afterwards. Errors as in [`pairs`](Self::pairs).
    pub fn pairs_ping_pong<V: DeviceCopy>(
        &self,
        (keys, values): (&mut DeviceSlice<K>, &mut DeviceSlice<V>),
        (other_keys, other_values): (&mut DeviceSlice<K>, &mut DeviceSlice<V>),
        workspace: &mut Workspace,
        stream: &Stream,
    ) -> Result<(), Error> {
        let n = self.check_two(Payload::Value(size_of::<V>()), keys, other_keys)?;
        check_lengths(keys.len(), values.len())?;
        check_apart(values, other_values)?;
        let keys = (address(keys), address(keys));
        let values = Some((address(values), address(values)));
        let second = Some((address(other_keys), address(other_values)));
        // SAFETY: as in `keys_ping_pong`, and the values likewise.
        unsafe { self.run(n, Arguments { keys, values, second }, workspace, stream) }
    }

    /// Sorts `input` into `output`, and writes the index in `input` of each sorted key. Errors as
    /// in [`keys`](Self::keys).
    pub fn indices(
        &self,
        input: &DeviceSlice<K>,
        output: &mut DeviceSlice<K>,
        indices: &mut DeviceSlice<u32>,
        workspace: &mut Workspace,
        stream: &Stream,
    ) -> Result<(), Error> {
        let n = self.check_two(Payload::Index, input, output)?;
        check_lengths(input.len(), indices.len())?;
        let keys = (address(input), address(output));
        let values = Some((address(indices), address(indices)));
        // SAFETY: as in `keys`; the indices are only written.
        unsafe { self.run(n, Arguments { keys, values, second: None }, workspace, stream) }
    }

    /// Sorts `n` keys, no more than prepared for.
    ///
    /// # Safety
    /// The addresses are of live memory of `n` elements each, input and output of each kind one
    /// or apart, the second buffers apart from both, and no other work uses them or the workspace
    /// until the stream has run.
    pub(super) unsafe fn run(
        &self,
        n: u64,
        arguments: Arguments,
        workspace: &mut Workspace,
        stream: &Stream,
    ) -> Result<(), Error> {
        // SAFETY: the caller's contract.
        unsafe { self.run_locally(n, arguments, workspace, stream, true) }
    }

    /// Sorts each bucket of the output locally, if the plan of a run that was not to do it leaves
    /// that to do.
    ///
    /// # Safety
    /// As [`run`](Self::run); the same arguments were given to
    /// [`run_locally`](Self::run_locally) on this stream.
    pub(super) unsafe fn local(
        &self,
        n: u64,
        arguments: Arguments,
        workspace: &Workspace,
        stream: &Stream,
    ) -> Result<(), Error> {
        let Some(buckets) = &self.kernels.passes.buckets else {
            return Ok(());
        };
        let at = |(input, output)| Addresses { input, output, scratch: output };
        let launch = Launch {
            keys: at(arguments.keys),
            values: arguments.values.map(at),
            n,
            order_mask: self.order.order_mask::<K>(),
            bits: self.bits,
            options: self.options(false),
            locally: true,
            stream,
        };
        // SAFETY: the caller's contract.
        unsafe { launch.local(buckets, self.workplace(workspace)) }
    }

    /// The control words and the starts of buckets in a workspace.
    pub(super) fn workplace(&self, workspace: &Workspace) -> Workplace {
        let base = workspace.memory.as_device_ptr().as_raw();
        let starts = base + self.layout().at.buckets;
        Workplace { control: base, starts, multiprocessors: self.device.multiprocessors }
    }

    /// Runs the sort; unless `locally`, without the local sorts of buckets at its end, which
    /// [`local`](Self::local) does.
    ///
    /// # Safety
    /// As [`run`](Self::run).
    pub(super) unsafe fn run_locally(
        &self,
        n: u64,
        Arguments { keys: (input, output), values, second }: Arguments,
        workspace: &mut Workspace,
        stream: &Stream,
        locally: bool,
    ) -> Result<(), Error> {
        if n == 0 {
            return Ok(());
        }
        self.device.enter()?;
        let layout = self.layout();
        let second = second.filter(|_| self.takes_second());
        let needed = second.map_or(layout.end, |_| layout.at.values);
        if workspace.bytes() < needed {
            return Err(Error::Workspace { needed, given: workspace.bytes() });
        }
        if self.kernels.block.is_some() && needed > 0 {
            // The part that a block sorts by index begins where other sorts have control words.
            workspace.covers(Cleared::Nothing, Cleared::Nothing, stream)?;
        }
        let base = workspace.memory.as_device_ptr().as_raw();
        // The words that pass along with the keys: the values themselves, or indices.
        let indices = match (self.payload, values) {
            (Payload::Index, Some((_, output))) => Some(output),
            _ if !self.takes_second() => Some(base + layout.at.index),
            _ => None,
        };
        let passing = indices.map(|index| (index, index)).or(values);
        let keys = if let Some(coder) = self.kernels.coder {
            let codes = base + layout.at.codes;
            let coded = NumericCodes {
                keys: Global::on_device(input),
                codes: Global::on_device(codes),
                n,
                infinity: K::Word::from_u128(K::TYPE.infinity()),
            };
            // SAFETY: the codes are the workspace's; the caller's contract for the rest.
            unsafe { coder.launch(stream, launch::elementwise(&coder, n), &coded)? };
            (codes, codes)
        } else {
            (input, output)
        };
        let (scratch_keys, scratch_values) =
            second.unwrap_or((base + layout.at.keys, base + layout.at.values));
        let launch = Launch {
            keys: Addresses { input: keys.0, output: keys.1, scratch: scratch_keys },
            values: passing.map(|(input, output)| Addresses {
                input,
                output,
                scratch: scratch_values,
            }),
            n,
            order_mask: self.order.order_mask::<K>(),
            bits: self.bits,
            options: self.options(indices.is_some()),
            locally,
            stream,
        };
        // SAFETY: the parts of the workspace are apart from each other and from the caller's
        // memory, whose contract covers the rest; the indices are the sort's own.
        unsafe {
            self.sort(&launch, workspace)?;
            if let (Some(gatherer), Some(index)) = (self.kernels.gather_keys, indices) {
                // The codes have been sorted and are no longer needed.
                let spare = base + layout.at.codes;
                gatherer.gather(&self.device, (input, index, output), spare, n, stream)?;
            }
            if let (Some(gatherer), Some(index), Some((from, to))) =
                (self.kernels.gather_values, indices, values)
            {
                let spare = base + layout.at.gathered;
                gatherer.gather(&self.device, (from, index, to), spare, n, stream)?;
            }
        }
        Ok(())
    }

    /// # Safety
    /// As [`run`](Self::run), and the addresses of the launch are apart but for input and output.
    unsafe fn sort(
        &self,
        launch: &Launch<'_, K::Word>,
        workspace: &mut Workspace,
    ) -> Result<(), Error> {
        let at = self.workplace(workspace);
        // SAFETY: the caller's contract.
        unsafe {
            if let Some(block) = self.kernels.block {
                return launch.block(block);
            }
            if let Some(fused) = self.kernels.fused {
                workspace.clear(self.to_be_clear(), true, launch.stream)?;
                return launch.fused(fused, at.control);
            }
            if let Some(sort) = &self.kernels.ranges {
                workspace.clear(self.to_be_clear(), true, launch.stream)?;
                return launch.ranges(sort, at.control);
            }
            // A sort of a single wave by a single digit does not leave the control words as it
            // needs them, nor one in portions as a sort by top bits does.
            let passes = &self.kernels.passes;
            let one_digit = passes.single_wave && launch.bits.digits() == 1;
            let leaves = !one_digit && passes.pass.blocks(launch.n) <= passes.portion;
            workspace.clear(self.to_be_clear(), leaves, launch.stream)?;
            let sort = |launch: &Launch<'_, K::Word>| launch.passes(&self.kernels.passes, at);
            // In place takes an even number of passes, which an odd number of digits may not
            // allow: then the result goes to the second buffer, and from there back.
            let in_place = launch.keys.input == launch.keys.output;
            if !(in_place && launch.bits.digits() % 2 == 1) {
                return sort(launch);
            }
            let apart =
                |from: Addresses| Addresses { output: from.scratch, scratch: from.output, ..from };
            let there =
                Launch { keys: apart(launch.keys), values: launch.values.map(apart), ..*launch };
            sort(&there)?;
            let bytes = launch.n * size_of::<K>() as u64;
            copy(there.keys.output, launch.keys.output, bytes, launch.stream)?;
            if let (Some(from), Some(to)) = (there.values, launch.values) {
                copy(from.output, to.output, 4 * launch.n, launch.stream)?;
            }
        }
        Ok(())
    }

    pub(super) fn options(&self, indexed: bool) -> u32 {
        let mut options = 0;
        if K::TYPE.is_float() && !self.numeric() {
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

    /// The number of keys of a slice, which the sort is prepared for with the payload `given`.
    fn check_one(&self, given: Payload, keys: &DeviceSlice<K>) -> Result<u64, Error> {
        check_payload(self.payload, given)?;
        if keys.len() as u64 > self.capacity {
            return Err(Error::Capacity { n: keys.len(), capacity: self.capacity() });
        }
        Ok(keys.len() as u64)
    }

    /// The same of two slices, which are of one length and apart.
    fn check_two(
        &self,
        given: Payload,
        keys: &DeviceSlice<K>,
        other: &DeviceSlice<K>,
    ) -> Result<u64, Error> {
        let n = self.check_one(given, keys)?;
        check_apart(keys, other)?;
        Ok(n)
    }
}
