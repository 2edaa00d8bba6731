//! Cases on the GPU whose keys lie in its memory, on one stream.
//!
//! [`Resident`] times one sort by two events on an idle stream, as peers are timed, so
//! that what the host takes to launch is part of it. Warm, a dropped sort precedes the
//! timed one, so that the cache holds of input and output what fits; cold, something
//! else as large as two caches has been written in between. [`Graph`] leaves the host
//! out: the sorts are one CUDA graph, launched at once.

use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Instant;

use cust::context::CurrentContext;
use cust::device::DeviceAttribute;
use cust::event::Event;
use cust::memory::{CopyDestination, DeviceBuffer, DeviceSlice};
use cust::stream::Stream;
use cust::sys;

use crate::engines::GPU;
use crate::error::Error;
use crate::error::Unavailable;
use crate::key::Key;
use crate::memory::{self, POISON};
use crate::runner::{Runner, Times, warm_turn};
use crate::verify::Keys;
use host::error::{check, failed};
use host::gpu::stream::{between, record, stream, timer};
use host::gpu::transfer::upload;
use host::gpu::{self, Device, GpuSorter, Order, Payload, Sort, Workspace};

/// Keys of the device, on the host.
pub(crate) fn download<K: Key>(slice: &DeviceSlice<K>) -> Result<Vec<K>, Error> {
    let mut keys = memory::buffer(slice.len())?;
    let copied = slice.copy_to(&mut keys[..]);
    copied.map_err(failed("copying keys from the GPU"))?;
    Ok(keys)
}

/// Bytes of a cache whose size the driver does not say.
const CACHE_BYTES: u64 = 128 << 20;

pub(crate) fn sorter() -> Result<&'static GpuSorter, Unavailable> {
    static SORTER: OnceLock<GpuSorter> = OnceLock::new();
    let device = Device::open()?;
    Ok(SORTER.get_or_init(|| GpuSorter::new(device)))
}

/// Times the work that `work` puts on `stream`, by both clocks.
pub(crate) fn timed(
    (start, end): &(Event, Event),
    stream: &Stream,
    action: &'static str,
    work: impl FnOnce() -> Result<(), host::Error>,
) -> Result<Times, host::Error> {
    let idle = stream.synchronize();
    idle.map_err(failed("overwriting the last result"))?;
    let begun = Instant::now();
    record(start, stream)?;
    work()?;
    record(end, stream)?;
    end.synchronize().map_err(failed(action))?;
    let host = begun.elapsed().as_secs_f64();
    Ok(Times { device_s: Some(between(start, end)?), ..Times::of_host(host) })
}

/// Verifies, on the host, that what lies in `result` is `input`, sorted.
pub(crate) fn check_result<K: Key>(
    input: &Keys<K>,
    result: &DeviceSlice<K>,
    level: usize,
) -> Result<(), Error> {
    input.check(&download(result)?, GPU, level)
}

/// Fills `buffer` so that what it holds after a sort is that sort's.
pub(crate) fn poison<K: Key>(buffer: &DeviceSlice<K>, stream: &Stream) -> Result<(), host::Error> {
    let bytes = buffer.len() * size_of::<K>();
    let address = buffer.as_device_ptr().as_raw();
    // SAFETY: the memory is that of the slice; work that follows is on the same stream.
    let status = unsafe { sys::cuMemsetD8Async(address, POISON, bytes, stream.as_inner()) };
    check(status, "overwriting the last result")
}

/// Keys, alone or with values, sorted out of place.
pub struct Resident<K: Key> {
    resident: gpu::Resident<'static, K>,
    /// Of a cold case: the buffer that is written before each sort.
    other: Option<DeviceBuffer<u8>>,
    /// Sorts dropped at the start of a turn, once they are known.
    warm_ups: Option<usize>,
    /// The input and its order, if results are verified on the host.
    on_host: Option<(Rc<Keys<K>>, Order)>,
}

impl<K: Key> Resident<K> {
    /// `input` on the device, with indices or alone.
    pub fn new(
        input: Rc<Keys<K>>,
        payload: Payload,
        cold: bool,
        order: Order,
    ) -> Result<Self, Error> {
        let sorter = sorter()?;
        sorter.device().enter()?;
        let resident = gpu::Resident::new(sorter, input.keys(), payload, order.clone())?;
        let bytes = 2 * cache_bytes().unwrap_or(CACHE_BYTES);
        let other =
            || DeviceBuffer::zeroed(bytes as usize).map_err(failed("allocating GPU memory"));
        let on_host = (!order.is_total(K::TYPE)).then_some((input, order));
        Ok(Self { resident, other: cold.then(other).transpose()?, warm_ups: None, on_host })
    }

    /// Verifies the result of the last sort.
    fn verify(&self) -> Result<(), Error> {
        let Some((input, order)) = &self.on_host else { return Ok(self.resident.verify()?) };
        let (keys, values) = self.resident.result();
        let values = values.map(download).transpose()?;
        let rank = order.rank(K::TYPE)?;
        input.check_by(&download(keys)?, values.as_deref(), |key| rank(key.to_word()))
    }
}

impl<K: Key> Runner for Resident<K> {
    fn once(&mut self) -> Result<Times, Error> {
        match &mut self.other {
            None => {
                self.resident.sample()?;
                self.resident.poison()?;
            }
            Some(other) => {
                self.resident.poison()?;
                let written = other.set_8(POISON).and_then(|()| CurrentContext::synchronize());
                written.map_err(failed("emptying the cache"))?;
            }
        }
        let start = Instant::now();
        let device = self.resident.sample()?;
        let host = start.elapsed();
        self.verify()?;
        Ok(Times { device_s: Some(device.as_secs_f64()), ..Times::of_host(host.as_secs_f64()) })
    }

    /// Sorts in a row, by events alone: those of peers are timed so, too.
    fn turn(&mut self, count: usize) -> Result<Vec<Times>, Error> {
        let Self { resident, warm_ups, .. } = self;
        warm_turn(warm_ups, count, || Ok(Times::of_device(resident.sample()?.as_secs_f64())))
    }

    fn verified_sort(&mut self) -> Result<(), Error> {
        self.resident.poison()?;
        self.resident.sample()?;
        self.verify()
    }

    fn temporary_bytes(&self) -> Option<u64> {
        Some(self.resident.workspace_bytes())
    }
}

/// Bytes of the last-level cache of the GPU that was opened, if the driver says.
pub fn cache_bytes() -> Option<u64> {
    let device = cust::device::Device::get_device(0).ok()?;
    let bytes = device.get_attribute(DeviceAttribute::L2CacheSize).ok()?;
    u64::try_from(bytes).ok().filter(|&bytes| bytes > 0)
}

const GRAPH_SORTS: usize = 16;

/// Few keys, sorted many times by one launch of a graph, each time to another output.
pub struct Graph<K: Key> {
    input: Rc<Keys<K>>,
    // Declared in this order: the graph goes before what it refers to.
    graph: Captured,
    outputs: Vec<DeviceBuffer<K>>,
    _source: DeviceBuffer<K>,
    _workspace: Workspace,
    _sort: Sort<K>,
    stream: Stream,
    events: (Event, Event),
}

impl<K: Key> Graph<K> {
    /// `input` on the device, and the graph.
    pub fn new(input: Rc<Keys<K>>) -> Result<Self, Error> {
        let sorter = sorter()?;
        sorter.device().enter()?;
        let n = input.keys().len();
        let sort = sorter.prepare::<K>(n, Payload::None, Order::ascending())?;
        let mut workspace = sort.workspace()?;
        let source = upload(input.keys())?;
        let mut outputs = Vec::new();
        for _ in 0..GRAPH_SORTS {
            outputs.push(upload(input.keys())?);
        }
        let stream = stream()?;
        let graph = Captured::of(&stream, || {
            let mut each = outputs.iter_mut();
            each.try_for_each(|output| sort.keys(&source, output, &mut workspace, &stream))
        })?;
        Ok(Self {
            input,
            graph,
            outputs,
            _source: source,
            _workspace: workspace,
            _sort: sort,
            stream,
            events: (timer()?, timer()?),
        })
    }
}

impl<K: Key> Runner for Graph<K> {
    fn once(&mut self) -> Result<Times, Error> {
        sorter()?.device().enter()?;
        // SAFETY: what the graph refers to lives as long as this value.
        unsafe { self.graph.launch(&self.stream)? };
        for output in &self.outputs {
            poison(output, &self.stream)?;
        }
        // SAFETY: as above.
        let launch = || unsafe { self.graph.launch(&self.stream) };
        let all = timed(&self.events, &self.stream, "sorting", launch)?;
        for output in &self.outputs {
            check_result(&self.input, output, 1)?;
        }
        let each = |seconds: f64| seconds / GRAPH_SORTS as f64;
        Ok(Times { host_s: all.host_s.map(each), device_s: all.device_s.map(each), ..all })
    }

    fn sample(&mut self, sorts: u32) -> Result<Times, Error> {
        // A sample of `sorts` sorts, in whole graphs.
        Times::mean_of(sorts.div_ceil(GRAPH_SORTS as u32), &mut || self.once())
    }
}

/// A graph, captured from a stream and made ready to be launched.
pub struct Captured {
    graph: sys::CUgraph,
    executable: sys::CUgraphExec,
}

impl Captured {
    /// A graph of the work that `work` puts on `stream`.
    pub fn of(
        stream: &Stream,
        work: impl FnOnce() -> Result<(), host::Error>,
    ) -> Result<Self, host::Error> {
        const CAPTURING: &str = "capturing a graph";
        let mut captured = Self { graph: std::ptr::null_mut(), executable: std::ptr::null_mut() };
        // SAFETY: the stream is live, and the graph an out-parameter; every capture that
        // begins is ended.
        let worked = unsafe {
            let mode = sys::CUstreamCaptureMode_enum::CU_STREAM_CAPTURE_MODE_RELAXED;
            check(sys::cuStreamBeginCapture_v2(stream.as_inner(), mode), CAPTURING)?;
            let worked = work();
            let ended = sys::cuStreamEndCapture(stream.as_inner(), &mut captured.graph);
            worked.and(check(ended, CAPTURING))
        };
        worked?;
        let (no_node, no_log) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the graph was captured above; the executable is an out-parameter.
        let made = unsafe {
            let Self { graph, executable } = &mut captured;
            sys::cuGraphInstantiate_v2(executable, *graph, no_node, no_log, 0)
        };
        check(made, "instantiating a graph")?;
        Ok(captured)
    }

    /// Launches the graph.
    ///
    /// # Safety
    /// Buffers of the graph are live until the launch has run.
    pub unsafe fn launch(&self, stream: &Stream) -> Result<(), host::Error> {
        // SAFETY: the caller's contract; the executable is this value's own.
        let status = unsafe { sys::cuGraphLaunch(self.executable, stream.as_inner()) };
        check(status, "launching a graph")
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        // SAFETY: both are this value's own, or null where one could not be made.
        unsafe {
            if !self.executable.is_null() {
                sys::cuGraphExecDestroy(self.executable);
            }
            if !self.graph.is_null() {
                sys::cuGraphDestroy(self.graph);
            }
        }
    }
}
