//! Streams, and the memory operations that are put on them.

use std::ptr::null_mut;

use cust::event::{Event, EventFlags};
use cust::stream::{Stream, StreamFlags, StreamWaitEventFlags};
use cust::sys;

use crate::error::{Error, check, failed};

/// A stream that waits for no other.
pub fn stream() -> Result<Stream, Error> {
    Stream::new(StreamFlags::NON_BLOCKING, None).map_err(failed("creating a stream"))
}

/// An event that streams wait for.
pub fn event() -> Result<Event, Error> {
    Event::new(EventFlags::DISABLE_TIMING).map_err(failed("creating an event"))
}

/// An event that is timed.
pub fn timer() -> Result<Event, Error> {
    Event::new(EventFlags::DEFAULT).map_err(failed("creating an event"))
}

/// Has `event` happen when what is on `stream` now has run.
pub fn record(event: &Event, stream: &Stream) -> Result<(), Error> {
    event.record(stream).map_err(failed("recording an event"))
}

/// Seconds between two timers that have come to pass.
pub fn between(start: &Event, end: &Event) -> Result<f64, Error> {
    let elapsed = end.elapsed_time_f32(start);
    let milliseconds = elapsed.map_err(failed("reading the time between events"))?;
    Ok(f64::from(milliseconds) / 1e3)
}

/// An event that happens when what is on `stream` now has run.
pub(super) fn event_on(stream: &Stream) -> Result<Event, Error> {
    let event = event()?;
    record(&event, stream)?;
    Ok(event)
}

/// Holds `stream` until an event has happened, which may be of another GPU.
pub(super) fn wait_on(stream: &Stream, event: Event) -> Result<(), Error> {
    let waits = stream.wait_event(event, StreamWaitEventFlags::DEFAULT);
    waits.map_err(failed("waiting for a stream"))
}

/// Holds `stream` until what is on `earlier` now has run.
pub fn wait_for(stream: &Stream, earlier: &Stream) -> Result<(), Error> {
    wait_on(stream, event_on(earlier)?)
}

/// The capture, if work on the stream is put into a graph instead of run: a number that no other
/// capture has.
pub(super) fn capture(stream: &Stream) -> Result<Option<u64>, Error> {
    let none = sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE;
    let (mut status, mut id) = (none, 0);
    // SAFETY: the stream is live, and the status an out-parameter.
    let found = unsafe { sys::cuStreamIsCapturing(stream.as_inner(), &mut status) };
    check(found, "asking a stream for its capture")?;
    if status == none {
        return Ok(None);
    }
    let (graph, nodes, count) = (null_mut(), null_mut(), null_mut());
    // SAFETY: the stream is live, status and number are out-parameters, and the others optional.
    let found = unsafe {
        let stream = stream.as_inner();
        sys::cuStreamGetCaptureInfo_v2(stream, &mut status, &mut id, graph, nodes, count)
    };
    check(found, "asking a capture for its number")?;
    Ok(Some(id))
}

/// Copies `bytes` within the device, if there are any.
///
/// # Safety
/// Both ranges are live and apart.
pub(super) unsafe fn copy(from: u64, to: u64, bytes: u64, stream: &Stream) -> Result<(), Error> {
    if bytes == 0 {
        return Ok(());
    }
    // SAFETY: the caller's contract.
    let status = unsafe { sys::cuMemcpyDtoDAsync_v2(to, from, bytes as usize, stream.as_inner()) };
    check(status, "copying on the GPU")
}

/// Sets `bytes` to `value`, if there are any.
///
/// # Safety
/// The range is live, and nothing else uses it until the stream has run.
pub(super) unsafe fn fill(
    address: u64,
    value: u8,
    bytes: u64,
    stream: &Stream,
) -> Result<(), Error> {
    if bytes == 0 {
        return Ok(());
    }
    // SAFETY: the caller's contract.
    let status = unsafe { sys::cuMemsetD8Async(address, value, bytes as usize, stream.as_inner()) };
    check(status, "clearing GPU memory")
}
