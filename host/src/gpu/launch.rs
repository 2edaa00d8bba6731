//! The launches of one sort, on addresses: what [`sort`](super::sort) has checked.

use std::ffi::c_void;

use cust::stream::Stream;
use cust::sys;
use gpu_kernels::key::Bits;
use gpu_kernels::{bucket_starts, control};

use super::device::check;
use super::kernels::{Kernel, argument};
use super::select::{Locally, Passes};
use crate::error::Error;

/// Addresses of input, output and scratch.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    pub input: u64,
    pub output: u64,
    pub scratch: u64,
}

/// A sort's arguments, as the kernels take them.
pub struct Launch<'a> {
    /// Bytes of a key.
    pub width: usize,
    pub keys: Addresses,
    /// Values of 4 bytes, if there are any.
    pub values: Option<Addresses>,
    pub n: u64,
    pub flip: u128,
    pub bits: Bits,
    /// Options of `gpu_kernels::control`, but for `IN_PLACE`.
    pub options: u32,
    pub stream: &'a Stream,
}

impl Launch<'_> {
    fn options(&self) -> u32 {
        if self.keys.input == self.keys.output {
            self.options | control::IN_PLACE
        } else {
            self.options
        }
    }

    /// Sorts in one block.
    ///
    /// # Safety
    /// The addresses are of live device memory of `n` elements each; input and
    /// output are one or apart; nothing else uses them until the stream has run.
    /// The block holds `n` keys.
    pub unsafe fn block(&self, kernel: Kernel) -> Result<(), Error> {
        let n = self.n as u32;
        let options = self.options();
        let values = self.values.unwrap_or(self.keys);
        let mut arguments = [
            argument(&self.keys.input),
            argument(&self.keys.output),
            argument(&values.input),
            argument(&values.output),
            argument(&n),
            argument(&self.flip),
            argument(&self.bits.begin),
            argument(&self.bits.end),
            argument(&options),
        ];
        // SAFETY: the caller's contract; the arguments are the kernel's.
        unsafe { kernel.launch(self.stream, 1, &mut arguments) }
    }

    /// Sorts by passes, with the control words at `control` and, where buckets may be
    /// sorted locally, their starts at `buckets`.
    ///
    /// # Safety
    /// As [`block`](Self::block), the scratch apart from both others; `control` has
    /// words for the tiles of `n` keys, whose counters and bins are zero, and `buckets`
    /// one for each bucket and one more.
    pub unsafe fn passes(
        &self,
        passes: &Passes,
        control: u64,
        buckets: u64,
        multiprocessors: u32,
    ) -> Result<(), Error> {
        let tiles = self.n.div_ceil(u64::from(passes.onesweep.tile));
        let locally = passes.locally.filter(|locally| self.n >= locally.from);
        // SAFETY: the caller's contract.
        unsafe {
            let (counts, tiles) = (passes.histogram, tiles as u32);
            match &locally {
                // The first pass makes the plan.
                _ if passes.few => {}
                Some(locally) => {
                    self.by_bucket(locally, control, buckets, tiles, multiprocessors)?;
                    self.histogram(counts, control, tiles, multiprocessors, true)?
                }
                None => self.histogram(counts, control, tiles, multiprocessors, false)?,
            }
        }
        for place in 0..self.bits.places() {
            let mut first_tile = 0;
            let mut portion = 0u32;
            while first_tile < tiles {
                let count = (tiles - first_tile).min(passes.portion);
                let part = (portion, first_tile as u32, count as u32);
                // SAFETY: the caller's contract.
                let early = !(passes.few && place == 0);
                unsafe { self.pass(passes.onesweep, early, control, place, part)? };
                first_tile += count;
                portion += 1;
            }
        }
        if let Some(locally) = &locally {
            // SAFETY: the caller's contract.
            unsafe { self.locally(locally, control, buckets)? };
        }
        Ok(())
    }

    /// Counts buckets, and decides whether these are sorted locally.
    ///
    /// # Safety
    /// As [`passes`](Self::passes).
    unsafe fn by_bucket(
        &self,
        locally: &Locally,
        control: u64,
        buckets: u64,
        tiles: u32,
        multiprocessors: u32,
    ) -> Result<(), Error> {
        let options = self.options();
        let tallies = self.keys.scratch;
        let mut arguments = self.counted(&control, &tiles).to_vec();
        arguments.extend([argument(&options), argument(&tallies)]);
        let (n, capacity) = (self.n as u32, locally.sort.tile);
        let mut starts = [
            argument(&tallies),
            argument(&multiprocessors),
            argument(&control),
            argument(&buckets),
            argument(&n),
            argument(&capacity),
        ];
        // SAFETY: the caller's contract; the arguments are the kernels', and the second
        // waits for its predecessor. There are enough keys for the scratch buffer to
        // hold a tally of each block.
        unsafe {
            let histogram = &locally.histogram;
            histogram.launch(self.stream, multiprocessors, &mut arguments)?;
            let blocks = bucket_starts::BLOCKS as u32;
            locally
                .starts
                .launch_early(self.stream, blocks, &mut starts)
        }
    }

    /// Sorts buckets locally, if that has been decided.
    ///
    /// # Safety
    /// As [`passes`](Self::passes), which are on the stream.
    unsafe fn locally(&self, locally: &Locally, control: u64, buckets: u64) -> Result<(), Error> {
        let options = self.options();
        let values = self.values.map_or(self.keys.output, |values| values.output);
        let mut arguments = [
            argument(&self.keys.output),
            argument(&values),
            argument(&control),
            argument(&buckets),
            argument(&self.flip),
            argument(&options),
        ];
        let Locally { sort, blocks, .. } = locally;
        // SAFETY: the caller's contract; the arguments are the kernel's, and it waits
        // for its predecessor.
        unsafe { sort.launch_early(self.stream, *blocks, &mut arguments) }
    }

    /// Counts digits; or, behind a count of buckets, only if that was in vain.
    ///
    /// # Safety
    /// As [`passes`](Self::passes).
    unsafe fn histogram(
        &self,
        kernel: Kernel,
        control: u64,
        tiles: u32,
        multiprocessors: u32,
        only_again: bool,
    ) -> Result<(), Error> {
        let mut options = self.options();
        if only_again {
            options |= control::ONLY_AGAIN;
        }
        let blocks = self.n.div_ceil(u64::from(kernel.tile));
        let blocks = blocks.min(u64::from(multiprocessors)) as u32;
        let mut arguments = self.counted(&control, &tiles).to_vec();
        arguments.extend([
            argument(&self.bits.begin),
            argument(&self.bits.end),
            argument(&options),
        ]);
        // SAFETY: the caller's contract; the arguments are the kernel's, which waits for its
        // predecessor where it has one.
        unsafe {
            if only_again {
                kernel.launch_early(self.stream, blocks, &mut arguments)
            } else {
                kernel.launch(self.stream, blocks, &mut arguments)
            }
        }
    }

    /// The first arguments of what counts.
    fn counted(&self, control: &u64, tiles: &u32) -> [*mut c_void; 5] {
        [
            argument(&self.keys.input),
            argument(control),
            argument(&self.n),
            argument(tiles),
            argument(&self.flip),
        ]
    }

    /// One portion, `(number, first tile, tiles)`, of the pass over a place; `early` if it
    /// may begin while what comes before it on the stream ends.
    ///
    /// # Safety
    /// As [`passes`](Self::passes); the histogram and what comes before this pass
    /// are on the stream.
    unsafe fn pass(
        &self,
        kernel: Kernel,
        early: bool,
        control: u64,
        place: u32,
        (portion, first_tile, tiles): (u32, u32, u32),
    ) -> Result<(), Error> {
        let options = self.options();
        let (shift, mask) = self.bits.place(place);
        let keys = &self.keys;
        let mut arguments = vec![
            argument(&keys.input),
            argument(&keys.output),
            argument(&keys.scratch),
        ];
        if let Some(values) = &self.values {
            arguments.extend([
                argument(&values.input),
                argument(&values.output),
                argument(&values.scratch),
            ]);
        }
        arguments.extend([
            argument(&control),
            argument(&self.n),
            argument(&place),
            argument(&shift),
            argument(&mask),
            argument(&self.flip),
            argument(&portion),
            argument(&first_tile),
            argument(&options),
            argument(&self.bits.begin),
            argument(&self.bits.end),
        ]);
        // SAFETY: the caller's contract; the arguments are the kernel's, and it waits
        // for its predecessor.
        unsafe {
            if early {
                kernel.launch_early(self.stream, tiles, &mut arguments)
            } else {
                kernel.launch(self.stream, tiles, &mut arguments)
            }
        }
    }
}

/// Sets `output[i]` to `input[index[i]]` for `n` elements.
///
/// # Safety
/// The addresses are of live device memory of `n` elements each, the output apart
/// from both others; the indices are below `n`.
pub unsafe fn gather(
    kernel: Kernel,
    input: u64,
    index: u64,
    output: u64,
    n: u64,
    stream: &Stream,
) -> Result<(), Error> {
    let mut arguments = [
        argument(&input),
        argument(&index),
        argument(&output),
        argument(&n),
    ];
    // SAFETY: the caller's contract; the arguments are the kernel's.
    unsafe { kernel.launch(stream, elementwise(kernel, n), &mut arguments) }
}

/// Writes the codes of numeric order of `n` keys.
///
/// # Safety
/// As [`gather`]; `infinity` has the bits of the keys' type.
pub unsafe fn code(
    kernel: Kernel,
    keys: u64,
    codes: u64,
    n: u64,
    infinity: u128,
    stream: &Stream,
) -> Result<(), Error> {
    let mut arguments = [
        argument(&keys),
        argument(&codes),
        argument(&n),
        argument(&infinity),
    ];
    // SAFETY: the caller's contract; the arguments are the kernel's.
    unsafe { kernel.launch(stream, elementwise(kernel, n), &mut arguments) }
}

/// Blocks of a kernel that strides over its elements.
fn elementwise(kernel: Kernel, n: u64) -> u32 {
    n.div_ceil(u64::from(kernel.tile)).min(1 << 16) as u32
}

/// Copies `bytes` within the device.
///
/// # Safety
/// Both ranges are live and apart.
pub unsafe fn copy(from: u64, to: u64, bytes: u64, stream: &Stream) -> Result<(), Error> {
    // SAFETY: the caller's contract.
    let status = unsafe { sys::cuMemcpyDtoDAsync_v2(to, from, bytes as usize, stream.as_inner()) };
    check(status, "copying on the GPU")
}

/// Whether what is put on the stream is captured in a graph instead of run.
pub fn is_captured(stream: &Stream) -> Result<bool, Error> {
    let none = sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE;
    let mut status = none;
    // SAFETY: the stream is live, and the status an out-parameter.
    let found = unsafe { sys::cuStreamIsCapturing(stream.as_inner(), &mut status) };
    check(found, "asking a stream for its capture")?;
    Ok(status != none)
}

/// Sets `bytes` to `value`.
///
/// # Safety
/// The range is live, and nothing else uses it until the stream has run.
pub unsafe fn fill(address: u64, value: u8, bytes: u64, stream: &Stream) -> Result<(), Error> {
    // SAFETY: the caller's contract.
    let status = unsafe { sys::cuMemsetD8Async(address, value, bytes as usize, stream.as_inner()) };
    check(status, "clearing GPU memory")
}
