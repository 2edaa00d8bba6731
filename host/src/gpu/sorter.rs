//! Sorts device memory, or a slice of the host, with the radix kernels.

use std::marker::PhantomData;
use std::sync::Arc;

use cust::memory::{CopyDestination, DeviceBuffer, DeviceSlice};
use cust::stream::{Stream, StreamFlags};
use gpu_kernels::{control, histogram};

use super::Device;
use super::device::failed;
use super::kernels::{Kernel, argument};
use crate::error::Error;
use crate::key::Key;

/// Keys from which on the large tiles pay: enough of them for every
/// multiprocessor several times over.
const LARGE_FROM: usize = 1 << 22;

/// Sorts on one GPU: stable, ascending, by least-significant-digit radix passes.
///
/// A sort of `n` keys reads and writes each of them once a byte of the key, and
/// reads them once more to begin with. It runs on the caller's stream; nothing is
/// allocated by it.
///
/// ```
/// use host::gpu::{Device, GpuSorter};
///
/// # fn main() -> Result<(), host::Error> {
/// match Device::open() {
///     Ok(device) => {
///         let mut keys = vec![3, 1, 2];
///         GpuSorter::new(device).sort_slice(&mut keys)?;
///         assert_eq!(keys, [1, 2, 3]);
///     }
///     Err(skipped) => println!("{skipped}"),
/// }
/// # Ok(())
/// # }
/// ```
pub struct GpuSorter {
    device: Arc<Device>,
}

/// What a sort needs beside its keys: a second buffer of as many keys, and the
/// words through which its launches agree (`gpu_kernels::control`).
pub struct Workspace<K: Key> {
    capacity: usize,
    scratch: DeviceBuffer<K>,
    control: Control,
}

impl<K: Key> Workspace<K> {
    /// The second buffer, for a caller that merges what it has sorted.
    pub fn scratch(&self) -> &DeviceSlice<K> {
        &self.scratch
    }
}

/// The control words of one sort at a time.
pub struct Control {
    words: DeviceBuffer<u32>,
    tiles: usize,
}

impl Control {
    /// Words for sorts of up to `n` keys.
    pub fn new(sorter: &GpuSorter, n: usize) -> Result<Self, Error> {
        let tiles = n.div_ceil(sorter.pass(n).tile as usize);
        let words = control::words(size_of::<u32>(), tiles);
        Ok(Control {
            words: DeviceBuffer::zeroed(words).map_err(failed("allocating control words"))?,
            tiles,
        })
    }

    /// Bytes of the words for sorts of up to `n` keys.
    pub fn bytes(sorter: &GpuSorter, n: usize) -> u64 {
        let tiles = n.div_ceil(sorter.pass(n).tile as usize);
        4 * control::words(size_of::<u32>(), tiles) as u64
    }
}

impl GpuSorter {
    /// A sorter on `device`.
    pub fn new(device: Arc<Device>) -> Self {
        GpuSorter { device }
    }

    /// The GPU it sorts on.
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// Allocates what sorts of up to `n` keys need.
    ///
    /// # Errors
    /// More keys than a sort takes; too little GPU memory.
    pub fn workspace<K: Key>(&self, n: usize) -> Result<Workspace<K>, Error> {
        self.device.enter()?;
        self.check_size(n)?;
        let needed = (n * size_of::<K>()) as u64 + Control::bytes(self, n);
        let (available, _) = self.device.memory()?;
        if needed > available {
            return Err(Error::Memory {
                n,
                what: "GPU memory",
                needed,
                available,
            });
        }
        Ok(Workspace {
            capacity: n,
            // SAFETY: a sort writes the scratch buffer before it reads it.
            scratch: unsafe { DeviceBuffer::uninitialized(n) }
                .map_err(failed("allocating a second buffer"))?,
            control: Control::new(self, n)?,
        })
    }

    /// Sorts `keys` where they lie, on `stream`, and returns at once: the result is
    /// there when the stream has run.
    ///
    /// # Errors
    /// A workspace too small for the keys; whatever the driver reports. Nothing is
    /// launched then.
    pub fn sort<K: Key>(
        &self,
        keys: &mut DeviceSlice<K>,
        workspace: &mut Workspace<K>,
        stream: &Stream,
    ) -> Result<(), Error> {
        let n = keys.len();
        if n > workspace.capacity {
            return Err(Error::Workspace {
                n,
                capacity: workspace.capacity,
            });
        }
        let scratch = workspace.scratch.index(..n);
        // SAFETY: the buffers are apart, of n keys each, and borrowed for this call;
        // the driver keeps work on them in order on the stream.
        unsafe { self.launch(keys, keys, &scratch, &workspace.control, stream) }
    }

    /// Sorts `input` into `output`, and leaves `input` as it is.
    ///
    /// # Errors
    /// As [`sort`](Self::sort); slices of unequal length.
    pub fn sort_into<K: Key>(
        &self,
        input: &DeviceSlice<K>,
        output: &mut DeviceSlice<K>,
        workspace: &mut Workspace<K>,
        stream: &Stream,
    ) -> Result<(), Error> {
        let n = input.len();
        if n != output.len() {
            return Err(Error::Lengths {
                input: n,
                output: output.len(),
            });
        }
        if n > workspace.capacity {
            return Err(Error::Workspace {
                n,
                capacity: workspace.capacity,
            });
        }
        let scratch = workspace.scratch.index(..n);
        // SAFETY: as in `sort`; a shared and a unique borrow do not overlap.
        unsafe { self.launch(input, output, &scratch, &workspace.control, stream) }
    }

    /// Sorts a slice of the host: there, sorted, and back. Allocates for the call;
    /// returns when the result is in `keys`.
    pub fn sort_slice<K: Key>(&self, keys: &mut [K]) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut workspace = self.workspace(keys.len())?;
        let stream =
            Stream::new(StreamFlags::NON_BLOCKING, None).map_err(failed("creating a stream"))?;
        let mut there =
            DeviceBuffer::from_slice(keys).map_err(failed("copying keys to the GPU"))?;
        self.sort(&mut there, &mut workspace, &stream)?;
        stream.synchronize().map_err(failed("sorting"))?;
        there
            .copy_to(keys)
            .map_err(failed("copying keys from the GPU"))
    }

    /// Launches a sort of `input` into `output`, which may be one.
    ///
    /// # Safety
    /// The three slices have one length; `scratch` overlaps neither of the others;
    /// no other work uses any of them, nor `control`, until the stream has run.
    pub(super) unsafe fn launch<K: Key>(
        &self,
        input: &DeviceSlice<K>,
        output: &DeviceSlice<K>,
        scratch: &DeviceSlice<K>,
        control: &Control,
        stream: &Stream,
    ) -> Result<(), Error> {
        let n = input.len();
        if n == 0 {
            return Ok(());
        }
        self.device.enter()?;
        self.check_size(n)?;
        let pass = self.pass(n);
        let tiles = n.div_ceil(pass.tile as usize) as u32;
        assert!(tiles as usize <= control.tiles, "control words for n keys");
        let sort = Launch {
            input: input.as_device_ptr().as_raw(),
            output: output.as_device_ptr().as_raw(),
            scratch: scratch.as_device_ptr().as_raw(),
            control: control.words.as_device_ptr().as_raw(),
            n: n as u32,
            tiles,
            flip: K::FLIP,
            stream,
            keys: PhantomData::<K>,
        };
        // SAFETY: the caller's contract; the control words suffice for the tiles.
        unsafe {
            sort.histogram(self.histogram(n), self.device.multiprocessors())?;
            for place in 0..size_of::<K>() as u32 {
                sort.pass(pass, place)?;
            }
        }
        Ok(())
    }

    /// The pass kernel for `n` keys.
    fn pass(&self, n: usize) -> Kernel {
        let kernels = self.device.kernels();
        match kernels.onesweep_large {
            Some(large) if n >= LARGE_FROM => large,
            _ => kernels.onesweep_small,
        }
    }

    /// The histogram kernel for `n` keys.
    fn histogram(&self, n: usize) -> Kernel {
        let kernels = self.device.kernels();
        match kernels.histogram_large {
            Some(large) if n >= LARGE_FROM => large,
            _ => kernels.histogram_small,
        }
    }

    fn check_size(&self, n: usize) -> Result<(), Error> {
        if n as u64 >= control::KEYS_MAX {
            return Err(Error::TooMany {
                n,
                limit: control::KEYS_MAX - 1,
            });
        }
        Ok(())
    }
}

/// The arguments of a sort's launches, as the kernels take them.
struct Launch<'a, K> {
    input: u64,
    output: u64,
    scratch: u64,
    control: u64,
    n: u32,
    tiles: u32,
    flip: u32,
    stream: &'a Stream,
    keys: PhantomData<K>,
}

impl<K: Key> Launch<'_, K> {
    /// # Safety
    /// The addresses are of live device memory, as `GpuSorter::launch` asks.
    unsafe fn histogram(&self, kernel: Kernel, multiprocessors: u32) -> Result<(), Error> {
        let in_place = if self.input == self.output {
            histogram::IN_PLACE
        } else {
            0
        };
        let options = in_place | histogram::ALLOW_ATOMICS;
        let blocks = self.n.div_ceil(kernel.tile).min(multiprocessors);
        let mut arguments = [
            argument(&self.input),
            argument(&self.control),
            argument(&self.n),
            argument(&self.tiles),
            argument(&self.flip),
            argument(&options),
        ];
        // SAFETY: the caller's contract; the arguments are the kernel's.
        unsafe { kernel.launch(self.stream, blocks, &mut arguments) }
    }

    /// # Safety
    /// As [`histogram`](Self::histogram), which came before on the stream.
    unsafe fn pass(&self, kernel: Kernel, place: u32) -> Result<(), Error> {
        let mut arguments = [
            argument(&self.input),
            argument(&self.output),
            argument(&self.scratch),
            argument(&self.control),
            argument(&self.n),
            argument(&place),
            argument(&self.flip),
        ];
        // SAFETY: the caller's contract; the arguments are the kernel's.
        unsafe { kernel.launch(self.stream, self.tiles, &mut arguments) }
    }
}
