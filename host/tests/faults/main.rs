//! Sorts over several GPUs of which a call fails in the middle, by a driver that fails as it is
//! told: there is one error, nothing is left allocated, nothing is freed in another context or
//! while work is on its way, and the input is as it was.

use std::ffi::{CStr, c_char, c_int, c_long};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use cust::event::{Event, EventFlags};
use cust::memory::LockedBuffer;
use host::Error;
use host::error::failed;
use host::gpu::devices::parts::share;
use host::gpu::devices::{Devices, DevicesSort, Parts};
use host::gpu::large::LargeSort;
use host::gpu::module::embedded_texts;
use host::gpu::streamed::StreamedSort;
use host::gpu::{Order, Payload};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};

/// `CUDA_ERROR_LAUNCH_FAILED`.
const CODE: c_int = 719;
const KEYS: usize = 30_000;

/// The driver's own functions.
struct Fake(Library);

impl Fake {
    /// Compiles the driver into a folder and loads it under the name of the real one, by which it
    /// is then found.
    fn load(folder: &Path) -> Self {
        let file = folder.join("libcuda.so.1");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/driver.c");
        let mut cc = Command::new("cc");
        cc.args(["-O1", "-shared", "-fPIC", "-w", "-pthread", "-Wl,-soname,libcuda.so.1", "-o"]);
        let output = cc.args([&file, &source]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // SAFETY: the library has no initialisers.
        Fake(unsafe { Library::open(Some(&file), RTLD_NOW | RTLD_GLOBAL) }.unwrap())
    }

    /// Calls a function without arguments.
    fn get<T>(&self, name: &str) -> T {
        // SAFETY: every such function of the driver has no arguments, and callers name its type.
        unsafe { self.0.get::<unsafe extern "C" fn() -> T>(name.as_bytes()).unwrap()() }
    }

    /// The next call `at` fails, or, of 0, none; with a GPU that is `lost`, all calls on it from
    /// there on.
    fn reset(&self, at: c_long, lost: Option<usize>) {
        let lost = lost.map_or(-1, |gpu| gpu as c_int);
        // SAFETY: the driver declares it so.
        unsafe {
            let reset = self.0.get::<unsafe extern "C" fn(c_long, c_int, c_int)>(b"fake_reset");
            reset.unwrap()(at, CODE, lost);
        }
    }

    fn text(&self, name: &str) -> Option<&'static str> {
        let text: *const c_char = self.get(name);
        // SAFETY: null, or a literal of the driver.
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_str().unwrap())
    }

    /// Fails each call of `sort` in turn, alone, and as the first of many on a GPU that is lost.
    fn sweep(&self, what: &str, sort: impl Fn() -> Result<(), Error>) {
        // Kernels stay loaded, and some state is made once.
        self.reset(0, None);
        sort().unwrap();
        let live: c_long = self.get("fake_live");
        self.reset(0, None);
        sort().unwrap();
        let calls: c_long = self.get("fake_calls");
        assert!(calls > 30, "{what}: {calls} calls");
        for at in 1..=calls {
            for lost in [None, Some(0), Some(1), Some(2)] {
                self.reset(at, lost);
                let sorted = sort();
                let call = self.text("fake_failed_call");
                let case = format!("{what}, call {at} of {calls}, {call:?}, lost {lost:?}");
                assert_eq!(self.text("fake_violation"), None, "{case}");
                assert_eq!(self.get::<c_long>("fake_live"), live, "{case}");
                // A GPU may be lost when nothing is left to do there; where threads take turns, one
                // sort makes fewer calls than another.
                let ended = lost.is_some() || self.get::<c_long>("fake_calls") < at;
                assert!(ended || call.is_some(), "{case}");
                if call.is_some_and(|call| !call.starts_with("cuMemFree")) {
                    let error = sorted.expect_err(&case).to_string();
                    let gpu: c_int = self.get("fake_failed_gpu");
                    let name = format!("GPU {gpu} (Fake): ");
                    // Pinned memory is no GPU's.
                    let named = error.matches("(Fake)").count() == 1 && error.starts_with(&name);
                    let pinned = call == Some("cuMemAllocHost_v2");
                    assert!((named || pinned) && !error.contains('\n'), "{case}: {error}");
                }
                self.get::<()>("fake_forget_streams");
            }
        }
        println!("{what}: {calls} calls");
    }
}

/// Sorts an array over the devices, alone or with values, and gathers it.
fn over_devices(devices: &Arc<Devices>, payload: Payload) -> Result<(), Error> {
    let keys: Vec<u32> = (0..KEYS as u32).rev().collect();
    let input = Parts::upload(devices, &keys)?;
    let mut output = Parts::blank(devices, KEYS)?;
    let values = Parts::upload(devices, &keys)?;
    let mut values_out = Parts::blank(devices, KEYS)?;
    let mut sort = DevicesSort::new(devices, &input.lengths(), payload, Order::ascending())?;
    let sorted = match payload {
        Payload::None => sort.keys(&input, &mut output),
        _ => sort.pairs((&input, &values), (&mut output, &mut values_out)),
    };
    for part in [&input, &values] {
        let there = part.parts().iter().flat_map(|part| {
            let keys = part.as_device_ptr().as_raw() as *const u32;
            // SAFETY: this driver's memory is the host's, and all work has ended.
            unsafe { std::slice::from_raw_parts(keys, part.len()) }
        });
        assert!(there.eq(&keys), "the input has changed");
    }
    sorted?;
    let gathered = output.gather(1)?;
    devices.all()[1].enter()?;
    drop(gathered);
    Ok(())
}

/// Streams an array through two GPUs in pieces.
fn streamed(devices: &Arc<Devices>) -> Result<(), Error> {
    const PIECE: usize = 100_000;
    let devices = devices.first(2).unwrap();
    let mut sort = StreamedSort::<u32>::over(&devices, 6 * PIECE)?;
    sort.begin()?;
    let mut slots = Vec::new();
    for index in 0..2 {
        sort.enter(index)?;
        let buffer = LockedBuffer::new(&0u32, PIECE).map_err(failed("allocating pinned memory"));
        let buffer = buffer.map_err(|error| devices.name_error(index, error))?;
        let event = Event::new(EventFlags::DISABLE_TIMING).map_err(failed("creating an event"));
        slots.push((buffer, event.map_err(|error| devices.name_error(index, error))?));
    }
    let piece = |sort: &mut StreamedSort<u32>, (buffer, event): &mut Slot, index, is_push| {
        // SAFETY: pinned, and the sort is dropped before it, which waits for all copies.
        unsafe {
            match is_push {
                true => sort.push(index, buffer, event),
                false => sort.pull(index, buffer, event),
            }
        }
    };
    let mut all = || {
        for is_push in [true, false] {
            for (index, slot) in [0, 1].repeat(3).into_iter().map(|index| (index, index)) {
                piece(&mut sort, &mut slots[slot], index, is_push)?;
            }
        }
        sort.begin()
    };
    let done = all();
    drop(sort);
    done
}

type Slot = (LockedBuffer<u32>, Event);

/// Sorts an array in runs, after an error of which it has the same keys.
fn in_runs(devices: &Arc<Devices>) -> Result<(), Error> {
    let all = &devices.all()[..3];
    let mut sort = LargeSort::within(all, KEYS, 1, 2 * KEYS as u64)?;
    // Kernels do nothing: each run is in order from the first, and all have the same keys.
    let runs = (0..sort.runs()).map(|run| share(KEYS, sort.runs(), run).len() as u32);
    let mut keys: Vec<u32> = runs.flat_map(|length| 0..length).collect();
    let mut before = keys.clone();
    let done = sort.sort(&mut keys);
    for all in [&mut before, &mut keys] {
        all.sort_unstable();
    }
    assert!(keys == before, "keys are lost");
    done
}

#[test]
fn a_call_that_fails_is_one_error_and_leaves_nothing_behind() {
    if embedded_texts().next().is_none() {
        eprintln!("skipped: built without kernels");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::load(folder.path());
    let devices = Devices::open_all().unwrap();
    let three = devices.first(3).unwrap();
    assert_eq!((devices.all().len(), devices.all()[1].name.as_str()), (4, "Fake"));
    fake.sweep("keys", || over_devices(&three, Payload::None));
    fake.sweep("pairs", || over_devices(&three, Payload::Value(4)));
    fake.sweep("keys over two GPUs", || over_devices(&devices.first(2).unwrap(), Payload::None));
    // So many keys are exchanged by bucket.
    let lengths = [1 << 25; 3];
    fake.sweep("room for buckets", || {
        DevicesSort::<u32>::new(&three, &lengths, Payload::None, Order::ascending()).map(drop)
    });
    fake.sweep("streamed", || streamed(&devices));
    fake.sweep("in runs", || in_runs(&devices));
}
