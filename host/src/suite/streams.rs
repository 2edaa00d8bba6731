//! Cells of many streams at once, on keys that lie on the device: one array cut over
//! them, or an array for each.
//!
//! The timed interval begins with an event on the first stream, for which all others
//! wait (the fork), and ends with one on it after it has waited for all others (the
//! join), so that it spans whatever any stream does. The first stream is held back by a
//! gate until the host has launched everything: what is timed is the device, and not
//! how fast one thread of the host can launch. The time by the host's clock is of a
//! second run, without the gate, from the first launch until the result is there.
//!
//! Each stream's own work lies between two events of its own. The sum of these
//! intervals over the length of their union is the *overlap*: 1 says that the streams
//! ran one after the other, whatever their number.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cust::event::Event;
use cust::memory::{CopyDestination, DeviceBuffer, DeviceSlice};
use cust::stream::Stream;

use super::cell::{Cell, Times};
use super::error::Error;
use super::gpu_cells::{between, event, judge, record, sorter, spoil};
use super::inputs::Keys;
use crate::gpu::device::failed;
use crate::gpu::merger::{merge_runs, wait_for};
use crate::gpu::sorter::stream;
use crate::gpu::transfer::upload;
use crate::gpu::{Device, Order, Payload, Sort, Workspace, check};
use crate::key::Key;

/// Longest time for which the gate holds the streams. Launching everything takes less;
/// should the driver wait for room in a queue, this is what it waits.
const GATE: Duration = Duration::from_millis(100);

/// Streams between a fork and a join, and what times them.
struct Streams {
    streams: Vec<Stream>,
    spans: Vec<(Event, Event)>,
    start: Event,
    end: Event,
}

impl Streams {
    fn new(count: usize) -> Result<Self, crate::Error> {
        let span = |_| Ok((event()?, event()?));
        Ok(Self {
            streams: (0..count).map(|_| stream()).collect::<Result<_, _>>()?,
            spans: (0..count).map(span).collect::<Result<_, crate::Error>>()?,
            start: event()?,
            end: event()?,
        })
    }

    /// Forks, has `launch` put its work on each stream, joins by `join`, and waits.
    /// With the gate, the times are the device's; without it, the host's.
    fn run(
        &self,
        gated: bool,
        mut launch: impl FnMut(usize, &Stream) -> Result<(), crate::Error>,
        join: impl FnOnce(&[Stream]) -> Result<(), crate::Error>,
    ) -> Result<Times, crate::Error> {
        let first = &self.streams[0];
        let gate = Gate::new();
        if gated {
            gate.hold(first)?;
        }
        let begun = Instant::now();
        record(&self.start, first)?;
        for other in &self.streams[1..] {
            wait_for(other, first)?;
        }
        for (index, (stream, (from, to))) in self.streams.iter().zip(&self.spans).enumerate() {
            record(from, stream)?;
            launch(index, stream)?;
            record(to, stream)?;
        }
        join(&self.streams)?;
        record(&self.end, first)?;
        gate.open();
        self.end.synchronize().map_err(failed("sorting"))?;
        let host = begun.elapsed();
        if !gated {
            return Ok(Times::of_host(host.as_secs_f64()));
        }
        Ok(Times {
            device_s: Some(between(&self.start, &self.end)?),
            overlap: self.overlap()?,
            host_s: None,
        })
    }

    /// The overlap of the streams in the last run; none of one stream.
    fn overlap(&self) -> Result<Option<f64>, crate::Error> {
        if self.streams.len() < 2 {
            return Ok(None);
        }
        let span = |(from, to): &(Event, Event)| {
            Ok((between(&self.start, from)?, between(&self.start, to)?))
        };
        let spans: Vec<(f64, f64)> =
            (self.spans.iter().map(span)).collect::<Result<_, crate::Error>>()?;
        Ok(overlap(spans))
    }
}

/// The sum of intervals over the length of their union; none if they have no length.
fn overlap(mut spans: Vec<(f64, f64)>) -> Option<f64> {
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut sum, mut union, mut reached) = (0.0, 0.0, f64::NEG_INFINITY);
    for (from, to) in spans {
        sum += to - from;
        union += (to - from.max(reached)).max(0.0);
        reached = reached.max(to);
    }
    (union > 0.0).then(|| sum / union)
}

/// Holds a stream back until it is opened, and no longer than [`GATE`].
struct Gate(Arc<AtomicBool>);

impl Gate {
    fn new() -> Self {
        Self(Arc::default())
    }

    fn hold(&self, stream: &Stream) -> Result<(), crate::Error> {
        let opened = Arc::clone(&self.0);
        let wait = move || {
            let begun = Instant::now();
            while !opened.load(Ordering::Acquire) && begun.elapsed() < GATE {
                std::hint::spin_loop();
            }
        };
        let held = stream.add_callback(Box::new(wait));
        held.map_err(failed("holding a stream"))
    }

    fn open(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Drop for Gate {
    /// An error on the way must not leave the device waiting.
    fn drop(&mut self) {
        self.open();
    }
}

/// The mean times of `sorts` runs of `once` by the host's clock, without the gate, and
/// of as many by the device's, behind it.
fn by_both_clocks(
    sorts: u32,
    mut once: impl FnMut(bool) -> Result<Times, Error>,
) -> Result<Times, Error> {
    Times::mean_of(sorts, || {
        let host = once(false)?;
        Ok(Times {
            host_s: host.host_s,
            ..once(true)?
        })
    })
}

/// One array, cut into chunks that are sorted each on its stream and then merged.
pub struct Split<K: Key> {
    device: Arc<Device>,
    input: Rc<Keys<K>>,
    source: DeviceBuffer<K>,
    source_hash: u64,
    keys: DeviceBuffer<K>,
    other: DeviceBuffer<K>,
    workspaces: Vec<Workspace>,
    streams: Streams,
    sort: Sort<K>,
    chunk: usize,
    level: usize,
}

impl<K: Key> Split<K> {
    /// `input` on the device, to be cut into `level` chunks.
    ///
    /// # Errors
    /// No GPU; too little memory.
    pub fn new(input: Rc<Keys<K>>, level: usize) -> Result<Self, Error> {
        let sorter = sorter()?;
        let device = Arc::clone(sorter.device());
        device.enter()?;
        let n = input.keys().len();
        let chunk = n.div_ceil(level).max(1);
        let count = n.div_ceil(chunk).max(1);
        let sort = sorter.prepare::<K>(chunk, Payload::None, Order::ascending())?;
        let streams = Streams::new(count)?;
        let source = upload(input.keys())?;
        let about = check::keys(&device, &source, &Order::ascending(), &streams.streams[0])?;
        Ok(Self {
            source_hash: about.hash,
            source,
            keys: upload(input.keys())?,
            other: upload(input.keys())?,
            workspaces: (0..count)
                .map(|_| sort.ping_pong_workspace())
                .collect::<Result<_, _>>()?,
            streams,
            device,
            input,
            sort,
            chunk,
            level,
        })
    }

    fn once(&mut self, gated: bool) -> Result<Times, Error> {
        self.device.enter()?;
        if self.input.keys().is_empty() {
            return Ok(Times::of_host(0.0));
        }
        let restored = self.keys.copy_from(&self.source);
        restored.map_err(failed("restoring the input"))?;
        spoil(&self.other, &self.streams.streams[0])?;
        wait()?;
        let (keys, other): (&DeviceSlice<K>, &DeviceSlice<K>) = (&self.keys, &self.other);
        let (n, chunk) = (keys.len(), self.chunk);
        let mut in_keys = true;
        let (sort, workspaces) = (&self.sort, &mut self.workspaces);
        let times = self.streams.run(
            gated,
            |index, stream| {
                let range = index * chunk..((index + 1) * chunk).min(n);
                let mut here = keys.index(range.clone());
                let mut scratch = other.index(range);
                sort.keys_ping_pong(&mut here, &mut scratch, &mut workspaces[index], stream)
            },
            |streams| {
                // SAFETY: the buffers are apart; the streams have all the work there is.
                in_keys = unsafe { merge_runs(&self.device, keys, other, chunk, streams)? };
                Ok(())
            },
        )?;
        wait()?;
        self.verify(if in_keys { keys } else { other })?;
        Ok(times)
    }

    /// Judges a result on the device; where one is wrong, the host says what differs.
    fn verify(&self, result: &DeviceSlice<K>) -> Result<(), Error> {
        let order = Order::ascending();
        let found = check::keys(&self.device, result, &order, &self.streams.streams[0])?;
        found.judge(self.source_hash).or_else(|wrong| {
            judge(&self.input, result, self.level)?;
            Err(wrong.into())
        })
    }
}

impl<K: Key> Cell for Split<K> {
    fn sample(&mut self, sorts: u32) -> Result<Times, Error> {
        by_both_clocks(sorts, |gated| self.once(gated))
    }
}

/// An array for each stream, all sorted at the same time.
pub struct Batch<K: Key> {
    device: Arc<Device>,
    inputs: Rc<Vec<Keys<K>>>,
    lanes: Vec<Lane<K>>,
    streams: Streams,
    sort: Sort<K>,
}

/// What one array has for itself, beside its stream.
struct Lane<K: Key> {
    source: DeviceBuffer<K>,
    output: DeviceBuffer<K>,
    workspace: Workspace,
}

impl<K: Key> Batch<K> {
    /// All of `inputs` on the device.
    ///
    /// # Errors
    /// No GPU; too little memory.
    pub fn new(inputs: Rc<Vec<Keys<K>>>) -> Result<Self, Error> {
        let sorter = sorter()?;
        let device = Arc::clone(sorter.device());
        device.enter()?;
        let longest = inputs.iter().map(|input| input.keys().len()).max();
        let sort = sorter.prepare::<K>(longest.unwrap_or(0), Payload::None, Order::ascending())?;
        let lane = |input: &Keys<K>| {
            Ok(Lane {
                source: upload(input.keys())?,
                output: upload(input.keys())?,
                workspace: sort.workspace()?,
            })
        };
        Ok(Self {
            lanes: inputs
                .iter()
                .map(lane)
                .collect::<Result<_, crate::Error>>()?,
            streams: Streams::new(inputs.len())?,
            device,
            inputs,
            sort,
        })
    }

    fn once(&mut self, gated: bool) -> Result<Times, Error> {
        self.device.enter()?;
        for (lane, stream) in self.lanes.iter().zip(&self.streams.streams) {
            spoil(&lane.output, stream)?;
        }
        wait()?;
        let (sort, lanes) = (&self.sort, &mut self.lanes);
        let times = self.streams.run(
            gated,
            |index, stream| {
                let Lane {
                    source,
                    output,
                    workspace,
                } = &mut lanes[index];
                sort.keys(source, output, workspace, stream)
            },
            |streams| {
                let (first, others) = streams.split_at(1);
                others
                    .iter()
                    .try_for_each(|other| wait_for(&first[0], other))
            },
        )?;
        for (lane, input) in self.lanes.iter().zip(&*self.inputs) {
            judge(input, &lane.output, self.inputs.len())?;
        }
        Ok(times)
    }
}

impl<K: Key> Cell for Batch<K> {
    fn sample(&mut self, sorts: u32) -> Result<Times, Error> {
        by_both_clocks(sorts, |gated| self.once(gated))
    }
}

/// Waits until the device has nothing to do.
fn wait() -> Result<(), crate::Error> {
    let idle = cust::context::CurrentContext::synchronize();
    idle.map_err(failed("waiting for the GPU"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_is_one_in_turn_and_the_number_of_streams_at_once() {
        assert_eq!(overlap(vec![(0.0, 1.0), (1.0, 3.0), (4.0, 5.0)]), Some(1.0));
        assert_eq!(overlap(vec![(1.0, 3.0); 4]), Some(4.0));
        assert_eq!(overlap(vec![(2.0, 4.0), (0.0, 3.0)]), Some(1.25));
        assert_eq!(
            overlap(vec![(0.0, 9.0), (1.0, 2.0), (3.0, 4.0)]),
            Some(11.0 / 9.0)
        );
        assert_eq!(overlap(vec![]), None);
        assert_eq!(overlap(vec![(1.0, 1.0)]), None);
    }
}
