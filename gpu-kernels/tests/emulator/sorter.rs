//! A sort in the emulator: the launches that a host makes, with every pass's result
//! held against an oracle.

use crate::case::Case;
use cuda_std::emu::{Buffer, Options, launch};
use gpu_kernels::control::{self, Ranking, Step};
use gpu_kernels::histogram::{self, Histogram};
use gpu_kernels::key::{Bits, Key, RADIX};
use gpu_kernels::onesweep::{self, Buffers, Pass};
use std::cell::Cell;

/// A histogram kernel.
type HistogramKernel<K> = unsafe fn(Histogram<K>);

/// A pass kernel.
type PassKernel<K> = unsafe fn(Pass<K>);

/// A histogram and a pass, and how they are launched.
#[derive(Clone, Copy)]
pub struct Kernels<K> {
    /// Keys in a tile.
    pub tile: usize,
    pub histogram_threads: u32,
    pub histogram_shared: usize,
    pub histogram: HistogramKernel<K>,
    pub pass_threads: u32,
    pub pass_shared: usize,
    pub pass: PassKernel<K>,
}

impl<K: Key> Kernels<K> {
    /// Kernels of any shape. Histogram blocks have the fewest threads that a place
    /// takes.
    pub fn of<const THREADS: usize, const ITEMS: usize, const COPIES: usize>() -> Self {
        Kernels {
            tile: THREADS * ITEMS,
            histogram_threads: RADIX as u32,
            histogram_shared: K::PLACES * RADIX * COPIES * 4,
            histogram: histogram::histogram::<K, COPIES>,
            pass_threads: THREADS as u32,
            pass_shared: onesweep::shared_bytes::<K>(THREADS, ITEMS, false),
            pass: onesweep::onesweep::<K, THREADS, ITEMS, false, true, false>,
        }
    }

    /// The same for keys with values.
    pub fn of_pairs<const THREADS: usize, const ITEMS: usize, const COPIES: usize>() -> Self {
        Kernels {
            pass_shared: onesweep::shared_bytes::<K>(THREADS, ITEMS, true),
            pass: onesweep::onesweep::<K, THREADS, ITEMS, true, false, false>,
            ..Self::of::<THREADS, ITEMS, COPIES>()
        }
    }

    /// The same for sorts in portions.
    pub fn of_portions<const THREADS: usize, const ITEMS: usize, const COPIES: usize>() -> Self {
        Kernels {
            pass: onesweep::onesweep::<K, THREADS, ITEMS, false, true, true>,
            ..Self::of::<THREADS, ITEMS, COPIES>()
        }
    }
}

/// Kernels, with the words that the launches of a sort share.
pub struct Sorter<K> {
    kernels: Kernels<K>,
    case: Case,
    flip: K,
    control: Buffer<u32>,
    tiles: usize,
    /// Blocks of the histogram.
    blocks: u32,
    /// What is sorted by.
    bits: Bits,
    /// Whether the kernels are of keys with values.
    paired: bool,
    /// Tiles in a launch of a pass.
    portion: usize,
}

fn fails(finding: impl std::fmt::Display) -> String {
    finding.to_string()
}

impl<K: Key> Sorter<K> {
    /// For sorts of the case. The control words hold anything but where zeros are
    /// asked for.
    pub fn new(case: &Case, kernels: Kernels<K>) -> Self {
        let tiles = case.n.div_ceil(kernels.tile);
        let words = control::words(K::PLACES, tiles);
        let control = Buffer::from_slice(&vec![0xfeed_5eed; words]).named("control");
        control.write(control::ARRIVALS, 0);
        for word in control::BINS..control::starts(K::PLACES, 0) {
            control.write(word, 0);
        }
        let case = Case {
            // A key of one place takes one pass, which cannot end where it began.
            in_place: case.in_place && K::PLACES > 1,
            ..*case
        };
        Sorter {
            kernels,
            case,
            flip: case.flip(),
            control,
            tiles,
            blocks: 1 + (case.seed % 3) as u32,
            bits: Bits {
                begin: 0,
                end: K::BITS,
            },
            paired: false,
            portion: usize::MAX,
        }
    }

    /// With values, sorted by `bits`, in portions of so many tiles.
    pub fn with(self, paired: bool, bits: Bits, portion: usize) -> Self {
        let places_even = bits.places().is_multiple_of(2);
        let whole = bits.begin == 0 && bits.end == K::BITS;
        let case = Case {
            in_place: self.case.in_place && places_even,
            atomics: self.case.atomics && !paired && whole,
            ..self.case
        };
        Sorter {
            case,
            paired,
            bits,
            portion,
            ..self
        }
    }

    /// The options that kernels are told.
    fn what(&self) -> u32 {
        let mut what = 0;
        if self.case.in_place {
            what |= control::IN_PLACE;
        }
        if self.case.atomics {
            what |= control::ALLOW_ATOMICS;
        }
        if self.paired {
            what |= control::INDEX;
        }
        what
    }

    /// The schedule of a launch, which begins with the counter and the bins at zero.
    fn options(&self, kernel: &str, grid: u32, block: u32) -> Options {
        let words = self.control.global();
        self.case
            .options(grid, block)
            .named(kernel)
            .expect_zero(words, control::ARRIVALS..control::ARRIVALS + 1)
            .expect_zero(words, control::BINS..control::starts(K::PLACES, 0))
    }

    /// Counts and plans the keys from number `skip` on, wherever that is aligned, and
    /// compares the starts with the oracle's.
    pub fn histogram(&self, input: &Buffer<K>, skip: usize) -> Result<(), String> {
        let Kernels {
            histogram,
            histogram_threads: threads,
            histogram_shared: shared,
            ..
        } = self.kernels;
        // SAFETY: the buffer has as many keys.
        let keys = unsafe { input.global().offset(skip) };
        let control = self.control.global();
        let arg = Histogram {
            input: keys,
            control,
            n: (input.len() - skip) as u64,
            tiles: self.tiles as u32,
            flip: self.flip,
            bits: self.bits,
            options: self.what(),
        };
        let options = self.options("histogram", self.blocks, threads);
        launch(self.blocks, threads, shared, &options, || unsafe {
            histogram(arg)
        })
        .map_err(fails)?;
        self.check_starts(&input.to_vec()[skip..])
    }

    fn check_starts(&self, keys: &[K]) -> Result<(), String> {
        for place in 0..self.bits.places() {
            let mut counts = [0; RADIX];
            for key in keys {
                counts[self.digit(*key, place)] += 1;
            }
            let mut start = 0;
            for (digit, count) in counts.into_iter().enumerate() {
                let word = control::starts(K::PLACES, 0) + 2 * (place as usize * RADIX + digit);
                let found = [self.control.read(word), self.control.read(word + 1)];
                if found != [start, 0] {
                    return Err(format!(
                        "place {place} digit {digit} starts at {found:?}, not {start}"
                    ));
                }
                start += count;
            }
        }
        Ok(())
    }

    fn digit(&self, key: K, place: u32) -> usize {
        let (shift, mask) = self.bits.place(place);
        key.digit(shift, mask, self.flip.digit(shift, mask, 0)) as usize
    }

    /// What the plan says of a place, read as kernels read it.
    fn step(&self, place: usize) -> Result<Step, String> {
        let step = Cell::new(Step::SKIPPED);
        let words = self.control.global();
        launch(1, 1, 0, &Options::in_order(), || unsafe {
            step.set(Step::read(words, place))
        })
        .map_err(fails)?;
        Ok(step.get())
    }

    /// Sorts `keys`, as two buffers or in place. Every pass is compared with a
    /// stable sort by its digit; or, from the first pass on that ranks by atomics,
    /// with what such a pass promises: the same keys, in order as far as the digits
    /// so far make one.
    pub fn sort(&self, keys: &[K]) -> Result<Vec<K>, String> {
        let Kernels {
            tile,
            pass,
            pass_threads: threads,
            pass_shared: shared,
            ..
        } = self.kernels;
        let input = Buffer::from_slice(keys).named("input");
        let output = Buffer::uninitialised(keys.len()).named("output");
        let scratch = Buffer::uninitialised(keys.len()).named("scratch");
        let output = if self.case.in_place { &input } else { &output };
        self.histogram(&input, 0)?;
        let tiles = keys.len().div_ceil(tile);
        let (from, to, other) = (input.global(), output.global(), scratch.global());
        let indices = || Buffer::<u32>::uninitialised(keys.len());
        let (index, index_scratch) = (indices().named("index"), indices().named("second index"));
        let control = self.control.global();
        let mut expected: Vec<(K, u32)> = keys.iter().copied().zip(0..).collect();
        let mut stable = true;
        for place in 0..self.bits.places() {
            let (shift, mask) = self.bits.place(place);
            let mut arg = Pass {
                keys: Buffers {
                    input: from,
                    output: to,
                    scratch: other,
                },
                values: Buffers {
                    input: index.global(),
                    output: index.global(),
                    scratch: index_scratch.global(),
                },
                control,
                n: keys.len() as u64,
                place,
                shift,
                mask,
                flip: self.flip,
                portion: 0,
                first_tile: 0,
                options: self.what(),
            };
            for first in (0..tiles).step_by(self.portion.min(tiles)) {
                let grid = self.portion.min(tiles - first) as u32;
                arg.first_tile = first as u32;
                let options = self.options("onesweep", grid, threads);
                launch(grid, threads, shared, &options, || unsafe { pass(arg) })
                    .map_err(|finding| format!("place {place}: {finding}"))?;
                arg.portion += 1;
            }
            expected.sort_by_key(|&(key, _)| self.digit(key, place));
            let step = self.step(place as usize)?;
            if step.runs() {
                stable &= step.ranking() == Ranking::Ballots;
                let (target, values) = match step.target() {
                    control::Buffer::Output => (output, &index),
                    _ => (&scratch, &index_scratch),
                };
                let found = target.to_vec();
                let keys_expected: Vec<K> = expected.iter().map(|&(key, _)| key).collect();
                let right = if stable {
                    found == keys_expected
                } else {
                    is_sorted_so_far(&found, place, self.flip) && same_keys(&found, &keys_expected)
                };
                if !right {
                    return Err(format!(
                        "place {place} ({step:?}) is not sorted as it should be"
                    ));
                }
                if self.paired {
                    let order: Vec<u32> = expected.iter().map(|&(_, index)| index).collect();
                    if values.to_vec() != order {
                        return Err(format!(
                            "place {place} ({step:?}): values are not their keys'"
                        ));
                    }
                } else {
                    // What comes next starts from the order that there is.
                    expected = found.into_iter().zip(0..).collect();
                }
            }
        }
        let sorted = output.to_vec();
        if !self.case.in_place && input.to_vec() != keys {
            return Err("the input has changed".to_owned());
        }
        Ok(sorted)
    }
}

/// Whether `keys` are in order by their digits up to `place`, of keys sorted by all
/// their bits.
fn is_sorted_so_far<K: Key>(keys: &[K], place: u32, flip: K) -> bool {
    let high = K::BITS - 8 * (place + 1);
    keys.is_sorted_by_key(|&key| (key ^ flip) << high)
}

fn same_keys<K: Key>(a: &[K], b: &[K]) -> bool {
    let sorted = |keys: &[K]| {
        let mut keys = keys.to_vec();
        keys.sort();
        keys
    };
    sorted(a) == sorted(b)
}
