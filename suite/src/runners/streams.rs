//! Cases of many streams at once, on keys that lie on the device: one array cut over
//! them, or an array for each.
//!
//! The timed interval begins with an event on the first stream, for which all others
//! wait (the fork), and ends with one on it after it has waited for all others (the
//! join), so that it spans whatever any stream does. The first stream is held back by a
//! gate until the host has launched everything: what is timed is the device, and not
//! how fast one thread of the host can launch. A launch that waits for the device, as all
//! do under `CUDA_LAUNCH_BLOCKING` and some under a profiler or at a kernel's first use,
//! waits until the gate gives way. Such a run is not timed: it is made again a few times,
//! and then refused. The time by the host's clock is of a second run, without the gate,
//! from the first launch until the result is there.
//!
//! Each stream's own work lies between two events of its own. The sum of these
//! intervals over the length of their union is the *overlap*: 1 says that the streams
//! ran one after the other, whatever their number.

use std::env;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use cust::event::Event;
use cust::memory::{CopyDestination, DeviceBuffer, DeviceSlice};
use cust::stream::Stream;

use crate::error::Error;
use crate::key::Key;
use crate::runner::{Runner, Times};
use crate::runners::gpu::{check_result, poison, sorter};
use crate::verify::Keys;
use host::error::failed;
use host::gpu::merger::merge_runs;
use host::gpu::stream::{between, record, stream, timer, wait_for};
use host::gpu::transfer::upload;
use host::gpu::{Device, Order, Payload, Sort, Workspace, checks};

/// Longest time for which the gate holds the streams. Launching everything takes less.
const GATE: Duration = Duration::from_millis(100);
/// Runs after which a case is refused whose gate held in none of them.
const GATED_RUNS: usize = 4;

/// Streams between a fork and a join, and what times them.
pub(super) struct Streams {
    streams: Vec<Stream>,
    spans: Vec<(Event, Event)>,
    start: Event,
    end: Event,
}

impl Streams {
    fn new(count: usize) -> Result<Self, host::Error> {
        let span = |_| Ok((timer()?, timer()?));
        Ok(Self {
            streams: (0..count).map(|_| stream()).collect::<Result<_, _>>()?,
            spans: (0..count).map(span).collect::<Result<_, host::Error>>()?,
            start: timer()?,
            end: timer()?,
        })
    }

    /// Forks, has `launch` put its work on each stream, and joins by `join`.
    fn put(
        &self,
        mut launch: impl FnMut(usize, &Stream) -> Result<(), host::Error>,
        join: impl FnOnce(&[Stream]) -> Result<(), host::Error>,
    ) -> Result<(), host::Error> {
        let first = &self.streams[0];
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
        record(&self.end, first)
    }

    /// Waits until all that was put there is done.
    pub(super) fn wait(&self) -> Result<(), host::Error> {
        self.end.synchronize().map_err(failed("sorting"))
    }

    /// The overlap of the streams in the last run; none of one stream.
    fn overlap(&self) -> Result<Option<f64>, host::Error> {
        if self.streams.len() < 2 {
            return Ok(None);
        }
        let span = |(from, to): &(Event, Event)| {
            Ok((between(&self.start, from)?, between(&self.start, to)?))
        };
        let spans: Vec<(f64, f64)> =
            (self.spans.iter().map(span)).collect::<Result<_, host::Error>>()?;
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

/// Work of one GPU over its streams, which can be put there again and again.
pub(super) trait Work {
    fn streams(&self) -> &Streams;

    /// Puts it there. Its device is entered.
    fn put(&mut self) -> Result<(), host::Error>;
}

/// Puts the work there, and waits. With the gate, the times are the device's, and none if the
/// gate did not hold; without it, the host's.
fn run(work: &mut impl Work, gated: bool) -> Result<Option<Times>, host::Error> {
    let gate = Gate::default();
    if gated {
        gate.hold(work.streams())?;
    }
    let begun = Instant::now();
    work.put()?;
    let held = gate.open();
    let streams = work.streams();
    streams.wait()?;
    let host = begun.elapsed();
    if !gated {
        return Ok(Some(Times::of_host(host.as_secs_f64())));
    }
    if !held {
        return Ok(None);
    }
    Ok(Some(Times {
        device_s: Some(between(&streams.start, &streams.end)?),
        overlap: streams.overlap()?,
        host_s: None,
    }))
}

/// Holds streams back until it is opened, and no longer than [`GATE`].
#[derive(Clone, Default)]
pub(super) struct Gate(Arc<AtomicU8>);

/// The gate's state to begin with; the one that leaves it first decides.
const SHUT: u8 = 0;
/// All was launched, and the gate was opened.
const OPENED: u8 = 1;
/// The gate gave way before.
const EXPIRED: u8 = 2;

impl Gate {
    /// Holds what is put on streams of the entered device from now on.
    pub(super) fn hold(&self, streams: &Streams) -> Result<(), host::Error> {
        let gate = self.clone();
        let held = streams.streams[0].add_callback(Box::new(move || gate.wait(GATE)));
        held.map_err(failed("holding a stream"))
    }

    /// Returns once the gate is open, or has been shut for `limit`.
    fn wait(&self, limit: Duration) {
        let begun = Instant::now();
        while self.0.load(Ordering::Acquire) == SHUT {
            if begun.elapsed() >= limit {
                self.leave_shut(EXPIRED);
            }
            std::hint::spin_loop();
        }
    }

    /// Opens the gate; returns false if it had given way before.
    pub(super) fn open(&self) -> bool {
        self.leave_shut(OPENED)
    }

    fn leave_shut(&self, to: u8) -> bool {
        let left = self.0.compare_exchange(SHUT, to, Ordering::AcqRel, Ordering::Acquire);
        left.is_ok()
    }
}

impl Drop for Gate {
    /// An error on the way must not leave the device waiting.
    fn drop(&mut self) {
        self.open();
    }
}

/// The times of a run of `once` by the host's clock, without the gate, and of another by the
/// device's, behind it.
fn by_both_clocks(
    mut once: impl FnMut(bool) -> Result<Option<Times>, Error>,
) -> Result<Times, Error> {
    let host = once(false)?.and_then(|times| times.host_s);
    let gated = until_held(|| once(true))?;
    Ok(Times { host_s: host, ..gated })
}

/// The times of the first of a few gated runs whose gate held.
pub(super) fn until_held(
    run: impl FnMut() -> Result<Option<Times>, Error>,
) -> Result<Times, Error> {
    until_held_where(run, env::var("CUDA_LAUNCH_BLOCKING").ok().as_deref())
}

/// The same where `CUDA_LAUNCH_BLOCKING` is `blocking`.
fn until_held_where(
    mut run: impl FnMut() -> Result<Option<Times>, Error>,
    blocking: Option<&str>,
) -> Result<Times, Error> {
    for _ in 0..GATED_RUNS {
        if let Some(times) = run()? {
            return Ok(times);
        }
    }
    Err(Error::Gate {
        remedy: match blocking {
            Some(value) if value != "0" => {
                format!("CUDA_LAUNCH_BLOCKING is {value}: unset it")
            }
            _ => "end the profiler or debugger that makes them wait (CUDA_LAUNCH_BLOCKING is not \
                  set), or choose a lower level"
                .to_owned(),
        },
    })
}

/// One array, cut into chunks that are sorted each on its stream and then merged.
pub struct Split<K: Key> {
    input: Rc<Keys<K>>,
    chunks: Chunks<K>,
    level: usize,
}

/// Keys of one device in chunks, each with a stream.
pub(super) struct Chunks<K: Key> {
    device: Arc<Device>,
    source: DeviceBuffer<K>,
    /// The hash of its keys.
    pub(super) source_hash: u64,
    keys: DeviceBuffer<K>,
    other: DeviceBuffer<K>,
    workspaces: Vec<Workspace>,
    streams: Streams,
    sort: Sort<K>,
    chunk: usize,
    /// True if the last result is in `keys`, and not in `other`.
    in_keys: bool,
}

impl<K: Key> Chunks<K> {
    /// `keys` on the device, to be cut into `level` chunks.
    pub(super) fn new(device: &Arc<Device>, keys: &[K], level: usize) -> Result<Self, host::Error> {
        device.enter()?;
        let chunk = keys.len().div_ceil(level).max(1);
        let count = keys.len().div_ceil(chunk).max(1);
        let sort = Sort::<K>::new(Arc::clone(device), chunk, Payload::None, Order::ascending())?;
        let streams = Streams::new(count)?;
        let source = upload(keys)?;
        let about = checks::keys(device, &source, &Order::ascending(), &streams.streams[0])?;
        Ok(Self {
            source_hash: about.hash,
            source,
            keys: upload(keys)?,
            other: upload(keys)?,
            workspaces: (0..count).map(|_| sort.ping_pong_workspace()).collect::<Result<_, _>>()?,
            streams,
            device: Arc::clone(device),
            sort,
            chunk,
            in_keys: true,
        })
    }

    /// Puts the keys back as they were.
    pub(super) fn restore(&mut self) -> Result<(), host::Error> {
        self.device.enter()?;
        if self.source.is_empty() {
            return Ok(());
        }
        let restored = self.keys.copy_from(&self.source);
        restored.map_err(failed("restoring the input"))?;
        poison(&self.other, &self.streams.streams[0])?;
        wait()
    }

    /// The sorted keys, when the streams have run.
    pub(super) fn result(&self) -> &DeviceSlice<K> {
        if self.in_keys { &self.keys } else { &self.other }
    }
}

impl<K: Key> Work for Chunks<K> {
    fn streams(&self) -> &Streams {
        &self.streams
    }

    fn put(&mut self) -> Result<(), host::Error> {
        let Self { device, keys, other, workspaces, streams, sort, chunk, in_keys, .. } = self;
        let (keys, other): (&DeviceSlice<K>, &DeviceSlice<K>) = (keys, other);
        let (n, chunk) = (keys.len(), *chunk);
        if n == 0 {
            return Ok(());
        }
        streams.put(
            |index, stream| {
                let range = index * chunk..((index + 1) * chunk).min(n);
                let mut here = keys.index(range.clone());
                let mut scratch = other.index(range);
                sort.keys_ping_pong(&mut here, &mut scratch, &mut workspaces[index], stream)
            },
            |streams| {
                // SAFETY: the buffers are apart; the streams have all the work there is.
                *in_keys = unsafe { merge_runs(device, keys, other, chunk, streams)? };
                Ok(())
            },
        )
    }
}

impl<K: Key> Split<K> {
    /// `input` on the device, to be cut into `level` chunks.
    pub fn new(input: Rc<Keys<K>>, level: usize) -> Result<Self, Error> {
        let chunks = Chunks::new(sorter()?.device(), input.keys(), level)?;
        Ok(Self { input, chunks, level })
    }

    fn run(&mut self, gated: bool) -> Result<Option<Times>, Error> {
        if self.input.keys().is_empty() {
            return Ok(Some(Times::of_host(0.0)));
        }
        self.chunks.restore()?;
        let times = run(&mut self.chunks, gated)?;
        wait()?;
        self.verify()?;
        Ok(times)
    }

    /// Verifies the result on the device; where it is wrong, the host says what differs.
    fn verify(&self) -> Result<(), Error> {
        let Chunks { device, streams, source_hash, .. } = &self.chunks;
        let (order, result) = (Order::ascending(), self.chunks.result());
        let found = checks::keys(device, result, &order, &streams.streams[0])?;
        found.check(*source_hash).or_else(|wrong| {
            check_result(&self.input, result, self.level)?;
            Err(wrong.into())
        })
    }
}

impl<K: Key> Runner for Split<K> {
    fn once(&mut self) -> Result<Times, Error> {
        by_both_clocks(|gated| self.run(gated))
    }
}

/// An array for each stream, all sorted at the same time.
pub struct Batch<K: Key> {
    arrays: Arrays<K>,
}

/// Arrays of one device, each with a stream.
pub(super) struct Arrays<K: Key> {
    device: Arc<Device>,
    inputs: Rc<Vec<Keys<K>>>,
    lanes: Vec<Lane<K>>,
    streams: Streams,
    sort: Sort<K>,
}

struct Lane<K: Key> {
    /// The place of its array among the inputs.
    input: usize,
    source: DeviceBuffer<K>,
    output: DeviceBuffer<K>,
    workspace: Workspace,
}

impl<K: Key> Arrays<K> {
    /// Those of `inputs` on the device whose places are `taken`: one or more.
    pub(super) fn new(
        device: &Arc<Device>,
        inputs: &Rc<Vec<Keys<K>>>,
        taken: impl Iterator<Item = usize>,
    ) -> Result<Self, host::Error> {
        device.enter()?;
        let longest = inputs.iter().map(|input| input.keys().len()).max().unwrap_or(0);
        let sort = Sort::<K>::new(Arc::clone(device), longest, Payload::None, Order::ascending())?;
        let lane = |input: usize| {
            let keys = inputs[input].keys();
            let (source, output) = (upload(keys)?, upload(keys)?);
            Ok(Lane { input, source, output, workspace: sort.workspace()? })
        };
        let lanes = taken.map(lane).collect::<Result<Vec<_>, host::Error>>()?;
        Ok(Self {
            streams: Streams::new(lanes.len())?,
            lanes,
            device: Arc::clone(device),
            inputs: Rc::clone(inputs),
            sort,
        })
    }

    /// Overwrites the last results.
    pub(super) fn clear(&mut self) -> Result<(), host::Error> {
        self.device.enter()?;
        for (lane, stream) in self.lanes.iter().zip(&self.streams.streams) {
            poison(&lane.output, stream)?;
        }
        wait()
    }

    /// Verifies every array, on the host.
    pub(super) fn verify(&self) -> Result<(), Error> {
        self.device.enter()?;
        let mut lanes = self.lanes.iter();
        lanes.try_for_each(|Lane { input, output, .. }| {
            check_result(&self.inputs[*input], output, self.inputs.len())
        })
    }
}

impl<K: Key> Work for Arrays<K> {
    fn streams(&self) -> &Streams {
        &self.streams
    }

    fn put(&mut self) -> Result<(), host::Error> {
        let Self { lanes, streams, sort, .. } = self;
        streams.put(
            |index, stream| {
                let Lane { source, output, workspace, .. } = &mut lanes[index];
                sort.keys(source, output, workspace, stream)
            },
            |streams| {
                let (first, others) = streams.split_at(1);
                others.iter().try_for_each(|other| wait_for(&first[0], other))
            },
        )
    }
}

impl<K: Key> Batch<K> {
    /// All of `inputs` on the device.
    pub fn new(inputs: Rc<Vec<Keys<K>>>) -> Result<Self, Error> {
        let arrays = Arrays::new(sorter()?.device(), &inputs, 0..inputs.len())?;
        Ok(Self { arrays })
    }

    fn run(&mut self, gated: bool) -> Result<Option<Times>, Error> {
        self.arrays.clear()?;
        let times = run(&mut self.arrays, gated)?;
        self.arrays.verify()?;
        Ok(times)
    }
}

impl<K: Key> Runner for Batch<K> {
    fn once(&mut self) -> Result<Times, Error> {
        by_both_clocks(|gated| self.run(gated))
    }
}

/// Waits until the device has nothing to do.
fn wait() -> Result<(), host::Error> {
    let idle = cust::context::CurrentContext::synchronize();
    idle.map_err(failed("waiting for the GPU"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Launches on a device that is a thread: the gate is the first work of its stream.
    /// A launch that waits for the device returns when the gate has let it through.
    fn launched_behind_a_gate(limit: Duration, launches_wait: bool) -> bool {
        let gate = Gate::default();
        let stream = gate.clone();
        std::thread::scope(|scope| {
            let device = scope.spawn(move || stream.wait(limit));
            if launches_wait {
                device.join().unwrap();
            }
            gate.open()
        })
    }

    #[test]
    fn a_gate_holds_unless_a_launch_waits_for_the_device() {
        let long = Duration::from_secs(3600);
        assert!(launched_behind_a_gate(long, false));
        assert!(!launched_behind_a_gate(Duration::from_millis(1), true));
    }

    #[test]
    fn a_gate_that_gave_way_is_not_opened_and_one_opened_does_not_give_way() {
        let gate = Gate::default();
        gate.wait(Duration::ZERO);
        assert!(!gate.open());
        let gate = Gate::default();
        assert!(gate.open());
        gate.wait(Duration::ZERO);
        assert_eq!(gate.0.load(Ordering::Acquire), OPENED);
    }

    #[test]
    fn a_run_whose_gate_gave_way_is_made_again_and_does_not_count() {
        let mut runs = 0;
        let times = until_held_where(
            || {
                runs += 1;
                Ok((runs == GATED_RUNS).then(|| Times::of_host(7.0)))
            },
            None,
        );
        assert_eq!(times.unwrap().host_s, Some(7.0));
        assert_eq!(runs, GATED_RUNS);
    }

    #[test]
    fn a_gate_that_never_holds_is_refused_with_the_cause() {
        let refused = |blocking| {
            let mut runs = 0;
            let never = || {
                runs += 1;
                Ok(None)
            };
            let error = until_held_where(never, blocking).unwrap_err().to_string();
            assert_eq!(runs, GATED_RUNS);
            error
        };
        let set = refused(Some("1"));
        assert!(set.contains("CUDA_LAUNCH_BLOCKING is 1: unset it"), "{set}");
        for unset in [None, Some("0")] {
            let error = refused(unset);
            assert!(error.contains("profiler"), "{error}");
        }
    }

    #[test]
    fn the_gates_own_times_are_by_the_device_and_the_others_by_the_host() {
        let times = by_both_clocks(|gated| {
            Ok(Some(match gated {
                true => Times { device_s: Some(1.0), ..Times::default() },
                false => Times::of_host(3.0),
            }))
        });
        let times = times.unwrap();
        assert_eq!((times.host_s, times.device_s), (Some(3.0), Some(1.0)));
    }

    #[test]
    fn overlap_is_one_in_turn_and_the_number_of_streams_at_once() {
        assert_eq!(overlap(vec![(0.0, 1.0), (1.0, 3.0), (4.0, 5.0)]), Some(1.0));
        assert_eq!(overlap(vec![(1.0, 3.0); 4]), Some(4.0));
        assert_eq!(overlap(vec![(2.0, 4.0), (0.0, 3.0)]), Some(1.25));
        assert_eq!(overlap(vec![(0.0, 9.0), (1.0, 2.0), (3.0, 4.0)]), Some(11.0 / 9.0));
        assert_eq!(overlap(vec![]), None);
        assert_eq!(overlap(vec![(1.0, 1.0)]), None);
    }
}
