//! A sort in the emulator: the launches that a host makes, with every pass's result
//! held against an oracle.

use crate::case::Case;
use cuda_std::emu::{Buffer, Options, launch};
use cuda_std::memory::Global;
use gpu_kernels::control::{self, Ranking, Step};
use gpu_kernels::histogram::{self, Histogram};
use gpu_kernels::key::{Key, RADIX};
use gpu_kernels::onesweep::{self, Pass};
use gpu_kernels::policy;
use std::cell::Cell;

/// Parameters: the input, the control words, `n`, tiles, flip, options.
type HistogramKernel<K> = unsafe fn(Global<K>, Global<u32>, u32, u32, K, u32);

/// Parameters: the input, the output, the scratch buffer, the control words, `n`,
/// place, flip.
type PassKernel<K> = unsafe fn(Global<K>, Global<K>, Global<K>, Global<u32>, u32, u32, K);

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
            histogram_shared: policy::histogram_shared_bytes(K::PLACES, COPIES),
            histogram: |input, control, n, tiles, flip, options| {
                let arg = Histogram {
                    input,
                    control,
                    n,
                    tiles,
                    flip,
                    options,
                };
                unsafe { histogram::histogram::<K, COPIES>(arg) }
            },
            pass_threads: THREADS as u32,
            pass_shared: onesweep::shared_bytes::<K>(THREADS, ITEMS),
            pass: |input, output, scratch, control, n, place, flip| {
                let arg = Pass {
                    input,
                    output,
                    scratch,
                    control,
                    n,
                    place,
                    flip,
                };
                unsafe { onesweep::onesweep::<K, THREADS, ITEMS>(arg) }
            },
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
        for bin in 0..K::PLACES * RADIX {
            control.write(control::BINS + bin, 0);
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
        }
    }

    /// The schedule of a launch, which begins with the counter and the bins at zero.
    fn options(&self, kernel: &str, grid: u32, block: u32) -> Options {
        let words = self.control.global();
        self.case
            .options(grid, block)
            .named(kernel)
            .expect_zero(words, control::ARRIVALS..control::ARRIVALS + 1)
            .expect_zero(words, control::BINS..control::BINS + K::PLACES * RADIX)
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
        let mut what = 0;
        if self.case.in_place {
            what |= histogram::IN_PLACE;
        }
        if self.case.atomics {
            what |= histogram::ALLOW_ATOMICS;
        }
        // SAFETY: the buffer has as many keys.
        let (keys, control) = (
            unsafe { input.global().offset(skip) },
            self.control.global(),
        );
        let (n, tiles) = ((input.len() - skip) as u32, self.tiles as u32);
        let options = self.options("histogram", self.blocks, threads);
        launch(self.blocks, threads, shared, &options, || unsafe {
            histogram(keys, control, n, tiles, self.flip, what)
        })
        .map_err(fails)?;
        self.check_starts(&input.to_vec()[skip..])
    }

    fn check_starts(&self, keys: &[K]) -> Result<(), String> {
        for place in 0..K::PLACES {
            let mut counts = [0; RADIX];
            for key in keys {
                counts[digit(*key, place, self.flip)] += 1;
            }
            let mut start = 0;
            for (digit, count) in counts.into_iter().enumerate() {
                let word = control::starts(K::PLACES) + place * RADIX + digit;
                let found = self.control.read(word);
                if found != start {
                    return Err(format!(
                        "place {place} digit {digit} starts at {found}, not {start}"
                    ));
                }
                start += count;
            }
        }
        Ok(())
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
        let grid = keys.len().div_ceil(tile) as u32;
        let (from, to, other) = (input.global(), output.global(), scratch.global());
        let (control, n) = (self.control.global(), keys.len() as u32);
        let mut expected = keys.to_vec();
        let mut stable = true;
        for place in 0..K::PLACES {
            let options = self.options("onesweep", grid, threads);
            launch(grid, threads, shared, &options, || unsafe {
                pass(from, to, other, control, n, place as u32, self.flip)
            })
            .map_err(|finding| format!("place {place}: {finding}"))?;
            expected.sort_by_key(|&key| digit(key, place, self.flip));
            let step = self.step(place)?;
            if step.runs() {
                stable &= step.ranking() == Ranking::Ballots;
                let target = match step.target() {
                    control::Buffer::Output => output,
                    _ => &scratch,
                };
                let found = target.to_vec();
                let right = if stable {
                    found == expected
                } else {
                    is_sorted_so_far(&found, place, self.flip) && same_keys(&found, &expected)
                };
                if !right {
                    return Err(format!(
                        "place {place} ({step:?}) is not sorted as it should be"
                    ));
                }
                // What comes next starts from the order that there is.
                expected = found;
            }
        }
        let sorted = output.to_vec();
        if !self.case.in_place && input.to_vec() != keys {
            return Err("the input has changed".to_owned());
        }
        Ok(sorted)
    }
}

fn digit<K: Key>(key: K, place: usize, flip: K) -> usize {
    ((key ^ flip) >> (8 * place as u32)).to_u64() as usize % RADIX
}

/// Whether `keys` are in order by their digits up to `place`.
fn is_sorted_so_far<K: Key>(keys: &[K], place: usize, flip: K) -> bool {
    let high = K::BITS - 8 * (place as u32 + 1);
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
