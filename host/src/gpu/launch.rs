//! The launches of one sort, on addresses: what [`run`](super::run) has checked.

use cuda_std::ext::Word;
use cuda_std::ext::memory::Global;
use cust::stream::Stream;
use gpu_kernels::block::Block;
use gpu_kernels::bucket_starts::{self, BucketStarts};
use gpu_kernels::buckets::BucketCounts;
use gpu_kernels::control;
use gpu_kernels::entry::Entries;
use gpu_kernels::fused::{self, Fused};
use gpu_kernels::gather::Gather;
use gpu_kernels::histogram::Histogram;
use gpu_kernels::key::{Bits, RADIX};
use gpu_kernels::local_sort::LocalSort;
use gpu_kernels::policy::partition::RANGE;
use gpu_kernels::tile::{Buffers, Pass, WholeSort};
use gpu_kernels::top_pass::TopPass;

use super::Device;
use super::dispatch::{self, BucketSort, Passes, RangeSort, TopSort};
use super::module::Kernel;
use super::stream::copy;
use crate::error::Error;

/// Addresses of input, output and scratch.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    pub input: u64,
    pub output: u64,
    pub scratch: u64,
}

impl Addresses {
    fn buffers<T: Word>(self) -> Buffers<T> {
        Buffers {
            input: Global::on_device(self.input),
            output: Global::on_device(self.output),
            scratch: Global::on_device(self.scratch),
        }
    }
}

/// A sort's arguments.
pub struct Launch<'a, W> {
    pub keys: Addresses,
    /// Values of 4 bytes, if there are any.
    pub values: Option<Addresses>,
    pub n: u64,
    pub order_mask: W,
    pub bits: Bits,
    /// Options of `gpu_kernels::control`, but for `IN_PLACE`.
    pub options: u32,
    /// False to leave buckets as the passes have made them.
    pub locally: bool,
    pub stream: &'a Stream,
}

/// Memory that a sort by passes works in.
#[derive(Clone, Copy)]
pub struct Workplace {
    /// The control words.
    pub control: u64,
    /// Where buckets begin, if they may be sorted locally.
    pub starts: u64,
    pub multiprocessors: u32,
}

impl<W: Entries> Launch<'_, W> {
    fn options(&self) -> u32 {
        if self.keys.input == self.keys.output {
            self.options | control::IN_PLACE
        } else {
            self.options
        }
    }

    /// Values' buffers; where there are none, those of keys, which nothing reads then.
    fn values(&self) -> Buffers<u32> {
        self.values.unwrap_or(self.keys).buffers()
    }

    /// Sorts in one block.
    ///
    /// # Safety
    /// The addresses are of live device memory of `n` elements each; input and output are one or
    /// apart; nothing else uses them until the stream has run. The block holds `n` keys.
    pub unsafe fn block(&self, kernel: Kernel<Block<W>>) -> Result<(), Error> {
        let (keys, values) = (self.keys.buffers(), self.values());
        let block = Block {
            input: keys.input,
            output: keys.output,
            input_values: values.input,
            output_values: values.output,
            n: self.n as u32,
            order_mask: self.order_mask,
            bits: self.bits,
            options: self.options(),
        };
        // SAFETY: the caller's contract.
        unsafe { kernel.launch(self.stream, 1, &block) }
    }

    /// Sorts in one launch of many blocks, with the control words at `control`.
    ///
    /// # Safety
    /// As [`block`](Self::block), the scratch of values apart from all others; there are control
    /// words for as many blocks as sort `n` keys, which are zero or as such a sort has left them,
    /// and the kernel's blocks take `n` keys.
    pub unsafe fn fused(&self, kernel: Kernel<Fused<W>>, control: u64) -> Result<(), Error> {
        let (keys, values) = (self.keys.buffers(), self.values());
        let fused = Fused {
            input: keys.input,
            output: keys.output,
            input_values: values.input,
            output_values: values.output,
            indices: values.scratch,
            control: Global::on_device(control),
            n: self.n as u32,
            order_mask: self.order_mask,
            options: self.options(),
        };
        let blocks = fused::blocks(self.n as usize, kernel.shape().threads);
        // SAFETY: the caller's contract.
        unsafe { kernel.launch(self.stream, blocks as u32, &fused) }
    }

    /// The arguments of a launch that sorts all by itself or with one more.
    fn whole(&self, control: u64) -> WholeSort<W> {
        WholeSort {
            keys: self.keys.buffers(),
            values: self.values(),
            control: Global::on_device(control),
            n: self.n as u32,
            order_mask: self.order_mask,
            options: self.options(),
        }
    }

    /// Sorts in two launches, with the control words at `control`.
    ///
    /// # Safety
    /// As [`block`](Self::block), the scratch apart from all others; there are as many control
    /// words as such a sort takes, which are zero or as one has left them, and the GPU holds a
    /// tile of each block.
    pub unsafe fn ranges(&self, sort: &RangeSort<W>, control: u64) -> Result<(), Error> {
        let partition = self.whole(control);
        let (tiles, ranges) = (sort.partition.blocks(self.n), RANGE.threads);
        // SAFETY: the caller's contract; what begins early waits for its predecessor.
        unsafe {
            sort.partition.launch(self.stream, tiles as u32, &partition)?;
            sort.sort_ranges.launch_early(self.stream, ranges as u32, &partition)
        }
    }

    /// Sorts by passes.
    ///
    /// # Safety
    /// As [`block`](Self::block), the scratch apart from both others; the control words are those
    /// for the tiles of `n` keys, whose counters and bins are zero, and there are starts for each
    /// bucket and one more.
    pub unsafe fn passes(&self, passes: &Passes<W>, at: Workplace) -> Result<(), Error> {
        let tiles = passes.pass.blocks(self.n);
        let mut pass = Pass {
            keys: self.keys.buffers(),
            values: self.values(),
            control: Global::on_device(at.control),
            n: self.n,
            position: 0,
            shift: 0,
            mask: 0,
            order_mask: self.order_mask,
            portion: 0,
            first_tile: 0,
            options: self.options(),
            bits: self.bits,
        };
        let counts = Histogram {
            input: pass.keys.input,
            control: pass.control,
            n: self.n,
            tiles: tiles as u32,
            order_mask: self.order_mask,
            bits: self.bits,
            options: pass.options,
            held: 0,
            top_bits: 0,
        };
        let by_top = passes.by_top.filter(|_| self.locally);
        let by_top = by_top.and_then(|sort| Some((sort, sort.bits(self.n)?)));
        let buckets = passes.buckets.as_ref().filter(|_| by_top.is_none());
        let buckets = buckets.filter(|buckets| self.n >= buckets.from);
        let by_digit = passes.by_digit.filter(|_| by_top.is_none());
        let by_digit = by_digit.filter(|_| self.n >= dispatch::BY_DIGIT_FROM);
        let shortcut = passes.shortcut.filter(|_| self.n >= dispatch::SHORTCUT_FROM);
        let counts = Histogram {
            held: by_digit.map_or(0, |kernel| kernel.shape().tile() as u32),
            options: counts.options | if shortcut.is_some() { control::SUGGEST } else { 0 },
            ..counts
        };
        // SAFETY: the caller's contract; what may begin early waits for its predecessor.
        unsafe {
            match buckets {
                // The first pass makes the plan.
                _ if passes.single_wave => {}
                _ if by_top.is_some() => {}
                Some(buckets) => self.count_buckets(buckets, counts, at, &passes.histogram)?,
                None => {
                    let blocks = passes.histogram.blocks(self.n);
                    let blocks = blocks.min(at.multiprocessors.into()) as u32;
                    passes.histogram.launch(self.stream, blocks, &counts)?;
                }
            }
            if let Some((kernels, top_bits)) = by_top {
                self.by_top(&kernels, Histogram { top_bits, ..counts }, at)?;
                pass.options |= control::PLANNED;
            }
            if let Some(kernel) = shortcut {
                let shortcut = WholeSort { options: pass.options, ..self.whole(at.control) };
                kernel.launch_early(self.stream, at.multiprocessors, &shortcut)?;
            }
            for position in 0..self.bits.digits() {
                (pass.position, pass.portion) = (position, 0);
                (pass.shift, pass.mask) = self.bits.digit(position);
                let mut first_tile = 0;
                while first_tile < tiles {
                    let count = (tiles - first_tile).min(passes.portion);
                    pass.first_tile = first_tile as u32;
                    if passes.single_wave && position == 0 {
                        passes.pass.launch(self.stream, count as u32, &pass)?;
                    } else {
                        passes.pass.launch_early(self.stream, count as u32, &pass)?;
                    }
                    first_tile += count;
                    pass.portion += 1;
                }
            }
            match (buckets, by_digit) {
                (Some(_), _) if !self.locally => Ok(()),
                (Some(buckets), _) => self.local(buckets, at),
                (None, Some(kernel)) => {
                    let in_place = pass.options & control::IN_PLACE != 0;
                    let local = self.local_arguments(at);
                    let local = LocalSort {
                        keys: if in_place { pass.keys.scratch } else { local.keys },
                        values: if in_place { pass.values.scratch } else { local.values },
                        ..local
                    };
                    kernel.launch_early(self.stream, RADIX as u32, &local)
                }
                (None, None) => Ok(()),
            }
        }
    }

    /// Counts top bits, passes over them and sorts what has them in common, unless the plan says
    /// otherwise.
    ///
    /// # Safety
    /// As [`passes`](Self::passes).
    unsafe fn by_top(
        &self,
        kernels: &TopSort<W>,
        counts: Histogram<W>,
        at: Workplace,
    ) -> Result<(), Error> {
        let held = kernels.sort.shape().tile() as u32;
        let blocks = kernels.counts.blocks(self.n).min(at.multiprocessors.into()) as u32;
        let local = self.local_arguments(at);
        let in_place = counts.options & control::IN_PLACE != 0;
        let keys = if in_place { Global::on_device(self.keys.scratch) } else { local.keys };
        let pass = TopPass {
            input: counts.input,
            output: keys,
            control: counts.control,
            n: self.n as u32,
            order_mask: self.order_mask,
            options: counts.options,
            top_bits: counts.top_bits,
        };
        let tiles = kernels.pass.blocks(self.n) as u32;
        // SAFETY: the caller's contract; what may begin early waits for its predecessor.
        unsafe {
            kernels.counts.launch(self.stream, blocks, &Histogram { held, ..counts })?;
            kernels.pass.launch_early(self.stream, tiles, &pass)?;
            let local = LocalSort { keys, options: local.options | control::PLANNED, ..local };
            kernels.sort.launch_early(self.stream, 1 << counts.top_bits, &local)
        }
    }

    fn local_arguments(&self, at: Workplace) -> LocalSort<W> {
        let (keys, values) = (self.keys.buffers(), self.values());
        LocalSort {
            keys: keys.output,
            output: keys.output,
            values: values.output,
            output_values: values.output,
            control: Global::on_device(at.control),
            starts: Global::on_device(at.starts),
            n: self.n as u32,
            order_mask: self.order_mask,
            options: self.options(),
        }
    }

    /// Sorts each bucket of the output locally, if the passes have decided so.
    ///
    /// # Safety
    /// As [`passes`](Self::passes), which has made the buckets.
    pub unsafe fn local(&self, buckets: &BucketSort<W>, at: Workplace) -> Result<(), Error> {
        // SAFETY: the caller's contract.
        unsafe { buckets.sort.launch_early(self.stream, buckets.blocks, &self.local_arguments(at)) }
    }

    /// Counts buckets, and decides whether these are sorted locally; if not, counts digits by
    /// `histogram`, should that be to be done again.
    ///
    /// # Safety
    /// As [`passes`](Self::passes). There are enough keys for the scratch buffer to hold the
    /// bucket counts of each block.
    unsafe fn count_buckets(
        &self,
        buckets: &BucketSort<W>,
        counts: Histogram<W>,
        at: Workplace,
        histogram: &Kernel<Histogram<W>>,
    ) -> Result<(), Error> {
        let bucket_counts = Global::on_device(self.keys.scratch);
        let counted = BucketCounts::of(counts, bucket_counts);
        let starts = BucketStarts {
            bucket_counts,
            count: at.multiprocessors,
            control: counts.control,
            starts: Global::on_device(at.starts),
            n: self.n as u32,
            capacity: buckets.sort.shape().tile() as u32,
        };
        let again = Histogram { options: counts.options | control::ONLY_AGAIN, ..counts };
        let blocks = histogram.blocks(self.n).min(at.multiprocessors.into()) as u32;
        let (stream, count) = (self.stream, bucket_starts::BLOCKS as u32);
        // SAFETY: the caller's contract; the last two wait for their predecessors.
        unsafe {
            buckets.counts.launch(stream, at.multiprocessors, &counted)?;
            buckets.starts.launch_early(stream, count, &starts)?;
            histogram.launch_early(stream, blocks, &again)
        }
    }
}

/// Fetches elements of a width by index; its kernel is loaded.
#[derive(Clone, Copy)]
pub struct Gatherer {
    /// Bytes of an element.
    pub width: u64,
    launch: unsafe fn(&Device, [u64; 3], u64, &Stream) -> Result<(), Error>,
}

impl Gatherer {
    pub fn of<T: Entries>(device: &Device) -> Result<Self, Error> {
        dispatch::gatherer::<T>(device)?;
        Ok(Gatherer { width: size_of::<T>() as u64, launch: gather::<T> })
    }

    /// That of values of so many bytes.
    pub fn of_values(device: &Device, width: usize) -> Result<Self, Error> {
        match width {
            4 => Self::of::<u32>(device),
            8 => Self::of::<u64>(device),
            16 => Self::of::<u128>(device),
            _ => Err(Error::ValueWidth { width }),
        }
    }

    /// Sets `to[i]` to `from[index[i]]` for `n` elements, by way of `spare` if `to` is `from`.
    ///
    /// # Safety
    /// The addresses are of live device memory of `n` elements each, but for `to` and `from`
    /// apart from each other; the indices are below `n`.
    pub unsafe fn gather(
        &self,
        device: &Device,
        (from, index, to): (u64, u64, u64),
        spare: u64,
        n: u64,
        stream: &Stream,
    ) -> Result<(), Error> {
        // SAFETY: the caller's contract.
        unsafe {
            if from != to {
                return (self.launch)(device, [from, index, to], n, stream);
            }
            (self.launch)(device, [from, index, spare], n, stream)?;
            copy(spare, to, n * self.width, stream)
        }
    }
}

/// # Safety
/// As [`Gatherer::gather`], the output apart from both others.
unsafe fn gather<T: Entries>(
    device: &Device,
    [input, index, output]: [u64; 3],
    n: u64,
    stream: &Stream,
) -> Result<(), Error> {
    let kernel = dispatch::gatherer::<T>(device)?;
    let gather = Gather {
        input: Global::<T>::on_device(input),
        index: Global::on_device(index),
        output: Global::on_device(output),
        n,
    };
    // SAFETY: the caller's contract.
    unsafe { kernel.launch(stream, elementwise(&kernel, n), &gather) }
}

/// Blocks of a kernel that strides over its elements.
pub fn elementwise<A>(kernel: &Kernel<A>, n: u64) -> u32 {
    kernel.blocks(n).min(1 << 16) as u32
}
