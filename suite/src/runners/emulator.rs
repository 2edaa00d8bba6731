//! Cases of the sort kernels in the emulator: what each check costs, and so how many
//! keys a second a test affords.
//!
//! The engines of these cases are no rivals. They are one sort, a histogram and a pass
//! a digit in a shape that large inputs take on the GPU, under four levels of
//! checking, each of which holds the one before it:
//!
//! | engine | what is checked | order |
//! |---|---|---|
//! | `bounds` | bounds and alignment, which always are | in order |
//! | `written` | and that what is read was written | in order |
//! | `races` | and that accesses of several threads are ordered or atomic | in order |
//! | `random` | the same | random, the same in every run, with stale reads |
//!
//! The clock runs over the launches of one sort. Buffers are made before it, anew for
//! each sort: in memory of the sort before, all is written. The result is read by a
//! launch as well, after the clock has stopped, so that a key which no kernel has
//! written is a finding and no panic; then it is verified as all results are.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use cuda_std::emu::{self, Buffer, Checks, Options, launch};
use gpu_kernels::control;
use gpu_kernels::entries;
use gpu_kernels::entry::Entry;
use gpu_kernels::histogram::Histogram;
use gpu_kernels::key::{Bits, Key as Word};
use gpu_kernels::tile::{Buffers, Pass};

use crate::case::Case;
use crate::engines::{BOUNDS, RACES, RANDOM, WRITTEN};
use crate::error::{Error, unknown};
use crate::group::Group;
use crate::key::Key;
use crate::memory;
use crate::runner::{Runner, Times};
use crate::verify::Keys;

/// Most keys of a case: at 10 to 25 microseconds a key, a minute or two a sort.
const MOST: usize = 1 << 22;
/// Bytes of memory that a byte of keys takes, with what is remembered of who accessed
/// it: 19 where races are looked for, as measured.
const SHADOW: u64 = 24;
/// Blocks and threads of the histogram.
const HISTOGRAM: (u32, u32) = (2, 256);

/// How the engine called `name` runs a launch.
fn options(name: &str) -> Option<Options> {
    Some(match name {
        BOUNDS => Options::unchecked(),
        WRITTEN => Options { checks: Checks::Written, ..Options::in_order() },
        RACES => Options::in_order(),
        // Nothing beside order and memory is left to chance, so that what they cost is
        // what differs.
        RANDOM => {
            Options { resident: 4, impatience: 0, shuffle_blocks: false, ..Options::random(1) }
        }
        _ => return None,
    })
}

/// An entry point, and the function of it that runs here.
type Emulable<A> = (Entry<A>, unsafe fn(A));

/// The kernels of one width of keys.
#[derive(Clone, Copy)]
struct Kernels<W> {
    histogram: Emulable<Histogram<W>>,
    pass: Emulable<Pass<W>>,
}

macro_rules! kernels {
    ($histogram:ident, $pass:ident) => {
        Kernels {
            histogram: (entries::$histogram::ENTRY, entries::$histogram::run),
            pass: (entries::$pass::ENTRY, entries::$pass::run),
        }
    };
}

const OF_4_BYTES: Kernels<u32> = kernels!(histogram_small_u32, onesweep_keys_baseline_u32);
const OF_8_BYTES: Kernels<u64> = kernels!(histogram_small_u64, onesweep_keys_u64);

/// The runner of a case, whose input `keys` makes.
pub fn build<K: Key>(
    name: &Case,
    keys: impl FnOnce() -> Result<Rc<Keys<K>>, Error>,
) -> Result<Box<dyn Runner>, Error> {
    let names = Group::Emulator.engines();
    let engine = names.iter().find(|known| **known == name.engine);
    let found = engine.and_then(|engine| Some((*engine, options(engine)?)));
    let (engine, options) = found.ok_or_else(|| unknown("engine", &name.engine, &names))?;
    if name.level != 1 {
        return Err(Error::LevelTooHigh { engine, level: name.level, limit: 1 });
    }
    if name.n > MOST {
        return Err(Error::TooLarge(format!(
            "{} keys: the emulator is measured with at most {MOST}, which take it up to two \
             minutes a sort",
            name.n
        )));
    }
    // Input, output and scratch.
    let bytes = memory::bytes_of::<K>(name.n).saturating_mul(3 * SHADOW);
    memory::require(name.n, bytes)?;
    let input = keys()?;
    Ok(match size_of::<K>() {
        4 => Box::new(Emulated { kernels: OF_4_BYTES, engine, options, input }),
        8 => Box::new(Emulated { kernels: OF_8_BYTES, engine, options, input }),
        _ => return Err(unknown("type of the emulator", K::NAME, &["u32", "u64"])),
    })
}

/// One array, sorted by kernels in the emulator. `W` is the word of the width of `K`.
struct Emulated<K, W> {
    kernels: Kernels<W>,
    engine: &'static str,
    options: Options,
    input: Rc<Keys<K>>,
}

/// The device memory of one sort.
struct Memory<W> {
    input: Buffer<W>,
    output: Buffer<W>,
    scratch: Buffer<W>,
    control: Buffer<u32>,
}

impl<K: Key, W: Word> Emulated<K, W> {
    fn tiles(&self) -> usize {
        let n = self.input.keys().len();
        n.div_ceil(self.kernels.pass.0.shape.tile())
    }

    fn memory(&self) -> Memory<W> {
        let keys = self.input.keys().iter();
        let words: Vec<W> = keys.map(|key| W::from_u128(key.to_word())).collect();
        Memory {
            input: Buffer::from_slice(&words).named("input"),
            output: Buffer::uninitialised(words.len()).named("output"),
            scratch: Buffer::uninitialised(words.len()).named("scratch"),
            control: Buffer::zeroed(control::words(W::DIGITS, self.tiles())).named("control"),
        }
    }

    /// The option of the kernels, and what makes the order of these keys: what turns the
    /// least of them, as passes see it, into 0.
    fn order(&self) -> (u32, W) {
        let least = W::from_u128(K::least().to_word());
        match K::TYPE.is_float() {
            true => (control::ENCODE, least.encode()),
            false => (0, least),
        }
    }

    /// All launches of a sort.
    fn sort(&self, memory: &Memory<W>) -> Result<(), emu::Finding> {
        let (counts, histogram) = self.kernels.histogram;
        let (entry, pass) = self.kernels.pass;
        let n = self.input.keys().len() as u64;
        let tiles = self.tiles() as u32;
        let control = memory.control.global();
        let (what, order_mask) = self.order();
        let bits = Bits { begin: 0, end: W::BITS };
        let named = |kernel: &str| self.options.clone().named(kernel);
        let counted = Histogram {
            input: memory.input.global(),
            control,
            n,
            tiles,
            order_mask,
            bits,
            options: what,
            held: 0,
            top_bits: 0,
        };
        let (blocks, threads) = HISTOGRAM;
        let shared = counts.shared_bytes;
        // SAFETY: the buffers are of n keys and of all control words, as kernels want
        // them; an access beyond them would be a finding.
        launch(blocks, threads, shared, &named("histogram"), || unsafe {
            histogram(counted);
        })?;
        let (threads, shared) = (entry.shape.threads as u32, entry.shared_bytes);
        let options = named("onesweep");
        for position in 0..bits.digits() {
            let (shift, mask) = bits.digit(position);
            let passed = Pass {
                keys: Buffers {
                    input: memory.input.global(),
                    output: memory.output.global(),
                    scratch: memory.scratch.global(),
                },
                // There are none: nothing reads or writes them.
                values: Buffers { input: control, output: control, scratch: control },
                control,
                n,
                position,
                shift,
                mask,
                order_mask,
                bits,
                portion: 0,
                first_tile: 0,
                options: what,
            };
            // SAFETY: as above.
            launch(tiles, threads, shared, &options, || unsafe {
                pass(passed);
            })?;
        }
        Ok(())
    }

    /// The sorted keys, read as a kernel reads them.
    fn result(&self, memory: &Memory<W>) -> Result<Vec<K>, emu::Finding> {
        let keys = RefCell::new(Vec::with_capacity(memory.output.len()));
        let options = Options { checks: Checks::Written, ..Options::in_order() };
        let output = memory.output.global();
        launch(1, 1, 0, &options.named("reading the result"), || {
            let mut keys = keys.borrow_mut();
            for index in 0..memory.output.len() {
                // SAFETY: it is below the buffer's length.
                keys.push(K::from_word(unsafe { output.get(index) }.to_u128()));
            }
        })?;
        Ok(keys.into_inner())
    }
}

impl<K: Key, W: Word> Runner for Emulated<K, W> {
    fn once(&mut self) -> Result<Times, Error> {
        let memory = self.memory();
        let start = Instant::now();
        let sorted = self.sort(&memory);
        let elapsed = start.elapsed();
        sorted.map_err(found)?;
        let keys = self.result(&memory).map_err(found)?;
        self.input.check(&keys, self.engine, 1)?;
        Ok(Times::of_host(elapsed.as_secs_f64()))
    }
}

/// The error that says, on one line, what a check has found.
fn found(finding: emu::Finding) -> Error {
    let text = finding.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    Error::Finding(lines.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::F32;
    use cuda_std::thread;

    fn emulated<K: Key, W: Word>(kernels: Kernels<W>, engine: &'static str) -> Emulated<K, W> {
        // Two tiles of the greater shape, of all ranks from least to greatest.
        let keys =
            (0..9000u64).map(|i| K::from_rank((i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 7).into()));
        Emulated {
            kernels,
            engine,
            options: options(engine).unwrap(),
            input: Rc::new(Keys::new(keys.collect())),
        }
    }

    #[test]
    fn every_type_is_sorted_under_every_check() {
        for engine in Group::Emulator.engines() {
            let mut of_u32 = emulated::<u32, u32>(OF_4_BYTES, engine);
            let times = of_u32.sample(1).unwrap();
            assert!(times.host_s.unwrap() > 0.0 && times.device_s.is_none());
            emulated::<u64, u64>(OF_8_BYTES, engine).sample(1).unwrap();
        }
        emulated::<i32, u32>(OF_4_BYTES, BOUNDS).sample(1).unwrap();
        emulated::<F32, u32>(OF_4_BYTES, BOUNDS).sample(1).unwrap();
    }

    fn said_of(kernels: Kernels<u32>, engine: &'static str) -> String {
        let mut case = emulated::<u32, u32>(kernels, engine);
        case.sample(1).unwrap_err().to_string()
    }

    /// A pass that moves no key to another place.
    unsafe fn copies(pass: Pass<u32>) {
        let tile = OF_4_BYTES.pass.0.shape.items;
        let thread = thread::block_idx_x() * thread::block_dim_x() + thread::thread_idx_x();
        for index in (0..tile).map(|item| thread as usize * tile + item) {
            if index < pass.n as usize {
                // SAFETY: it is below the length of both.
                unsafe { pass.keys.output.set(index, pass.keys.input.get(index)) }
            }
        }
    }

    /// A pass that reads what the kernels before it have not written.
    unsafe fn reads(pass: Pass<u32>) {
        // SAFETY: there is a key 0.
        unsafe { pass.keys.output.set(0, pass.keys.scratch.get(0)) }
    }

    #[test]
    fn a_kernel_that_is_wrong_fails_by_its_result_or_by_a_finding() {
        let with = |pass| Kernels { pass: (OF_4_BYTES.pass.0, pass), ..OF_4_BYTES };
        let unsorted = said_of(with(copies), BOUNDS);
        assert!(unsorted.contains("bounds: wrong result at level 1: out of order"), "{unsorted}");
        let idle = said_of(with(|_| ()), BOUNDS);
        assert!(idle.contains("kernel `onesweep`: 0 accesses were checked"), "{idle}");
        let early = said_of(with(reads), WRITTEN);
        assert!(early.contains("scratch") && early.contains("kernel `onesweep`"), "{early}");
        for finding in [idle, early] {
            assert!(finding.starts_with("the emulator found: "), "{finding}");
            assert_eq!(finding.lines().count(), 1, "{finding}");
        }
    }

    #[test]
    fn what_the_emulator_is_not_measured_with_is_named() {
        let none = || -> Result<Rc<Keys<u32>>, Error> { panic!("an input was made") };
        let said = |name: &str| build(&name.parse().unwrap(), none).err().unwrap();
        let large = said("emulator/u32-uniform/races/1/4194305");
        assert!(large.is_unavailable(), "{large}");
        assert!(large.to_string().contains("4194305 keys"), "{large}");
        let level = said("emulator/u32-uniform/races/4/1000").to_string();
        assert!(level.starts_with("races: level 4 is more than"), "{level}");
    }
}
