//! A sort in the emulator: the launches that a host makes, with every pass's result compared with
//! an oracle's.

use crate::alone::{Arrays, Kernel};
use crate::case::{Emulated, patient};
use cuda_std::emu::{Buffer, Options, launch};
use cuda_std::ext::Global;
use gpu_kernels::buckets::BUCKET_BITS;
use gpu_kernels::control::{self, Ranking, Step};
use gpu_kernels::histogram::{self, Histogram};
use gpu_kernels::key::{Bits, Key, RADIX};
use gpu_kernels::local_sort::LocalSort;
use gpu_kernels::onesweep;
use gpu_kernels::policy::Shape;
use gpu_kernels::tile::{self, Pass, look};
use sort_cases::Case;
use std::cell::Cell;

/// A histogram and a pass, and how a sort launches them.
#[derive(Clone, Copy)]
pub struct Kernels<K> {
    pub histogram: Kernel<Histogram<K>>,
    pub pass: Kernel<Pass<K>>,
    /// True if the pass is of keys with values.
    pub paired: bool,
    /// Which other tiles a tile of a pass looks at.
    pub look: u32,
    /// Tiles in a launch of a pass.
    pub portion: usize,
    /// True if blocks wait as long as it takes.
    pub patient: bool,
}

/// Kernels of a shape, with [`histogram`]s in so many copies.
macro_rules! kernels {
    ($name:ident $paired:literal $look:ident) => {
        pub fn $name<const THREADS: usize, const ITEMS: usize, const COPIES: usize>() -> Self {
            let run =
                onesweep::onesweep::<K, THREADS, ITEMS, $paired, { !$paired }, { look::$look }>;
            let shape = Shape::new(THREADS, ITEMS, 1);
            let shared_bytes = tile::shared_bytes::<K>(shape, $paired, look::$look);
            Kernels {
                histogram: histogram::<K, COPIES>(),
                pass: Kernel::of_shape(run, shape, shared_bytes),
                paired: $paired,
                look: look::$look,
                portion: usize::MAX,
                patient: false,
            }
        }
    };
}

/// A histogram in blocks of the fewest threads that a digit takes.
pub fn histogram<K: Key, const COPIES: usize>() -> Kernel<Histogram<K>> {
    let shared_bytes = K::DIGITS * RADIX * COPIES * 4;
    Kernel::of_shape(histogram::histogram::<K, COPIES>, Shape::new(RADIX, 1, 1), shared_bytes)
}

impl<K: Key> Kernels<K> {
    kernels! { of_keys false BACK }
    kernels! { of_pairs true BACK }
    kernels! { of_keys_in_portions false BACK_IN_PORTION }
    kernels! { of_pairs_in_portions true BACK_IN_PORTION }
    kernels! { of_keys_in_a_wave false ALL_GATHER }
    kernels! { of_pairs_in_a_wave true ALL_GATHER }

    /// Of a small shape.
    pub fn small(paired: bool) -> Self {
        match paired {
            true => Self::of_pairs::<128, 3, 1>(),
            false => Self::of_keys::<128, 2, 2>(),
        }
    }

    fn is_single_wave(&self) -> bool {
        self.look == look::ALL_GATHER
    }
}

/// The words that are zero between sorts that look back, of keys of so many digits.
const ZERO: [fn(usize) -> std::ops::Range<usize>; 2] = [
    |_| control::ARRIVALS..control::LOCALLY,
    |positions| control::BINS..control::starts(positions, 0),
];

/// Kernels, with the words that the launches of a sort share.
pub struct Sorter<K> {
    kernels: Kernels<K>,
    case: Case,
    order_mask: K,
    bits: Bits,
    pub control: Buffer<u32>,
    tiles: usize,
    /// Blocks of the histogram.
    pub blocks: u32,
    /// Most keys of a top digit that a block holds, as a histogram is told.
    pub held: u32,
    /// True if a shortcut follows a histogram.
    pub suggests: bool,
}

impl<K: Key> Sorter<K> {
    /// For sorts of the case. The control words hold anything but where zeros are asked for.
    pub fn new(case: &Case, kernels: Kernels<K>) -> Self {
        let tiles = case.n.div_ceil(kernels.pass.tile);
        let words = if kernels.is_single_wave() {
            control::words_of_single_wave(tiles)
        } else {
            control::words(K::DIGITS, tiles)
        };
        let control = Buffer::from_slice(&vec![0xfeed_5eed; words]).named("control");
        let zero = if kernels.is_single_wave() {
            [0..0, control::DIFFERING..words]
        } else {
            ZERO.map(|words| words(K::DIGITS))
        };
        for word in zero.into_iter().flatten() {
            control.write(word, 0);
        }
        let (begin, end) = if case.key.bits == K::BITS { case.bits } else { (0, K::BITS) };
        let bits = Bits { begin, end };
        let case = Case {
            // An odd number of passes cannot end where it began.
            in_place: case.in_place && bits.digits().is_multiple_of(2),
            ..*case
        };
        Sorter {
            kernels,
            case,
            order_mask: case.order_mask(),
            bits,
            control,
            tiles,
            blocks: 1 + (case.seed % 3) as u32,
            held: 0,
            suggests: false,
        }
    }

    /// The option of launches behind the plan that some of them have.
    pub fn planned(&self) -> u32 {
        if (self.case.seed / 2).is_multiple_of(2) { control::PLANNED } else { 0 }
    }

    /// The options that kernels are told.
    fn what(&self, indexed: bool) -> u32 {
        let whole = self.bits.end - self.bits.begin == K::BITS;
        let mut what = 0;
        if self.case.in_place {
            what |= control::IN_PLACE;
        }
        if !self.case.match_ranking && !self.kernels.paired && whole {
            what |= control::ALLOW_ATOMICS;
        }
        if self.case.encodes() {
            what |= control::ENCODE;
        }
        if indexed {
            what |= control::INDEX;
        }
        what
    }

    /// The schedule of a launch, which begins with the words at zero that have to be.
    fn options(&self, kernel: &str, grid: u32, block: u32) -> Options {
        let options = self.case.options(grid, block);
        let options = if self.kernels.patient { patient(options) } else { options };
        let options = options.named(kernel);
        if self.kernels.is_single_wave() {
            return options;
        }
        let words = self.control.global();
        ZERO.into_iter().fold(options, |options, zero| options.expect_zero(words, zero(K::DIGITS)))
    }

    /// Before a pass of a single wave: no row has the pass's mark, and before the first one
    /// nothing has been said of digits.
    fn check_rows(&self, position: u32) -> Result<(), String> {
        let mark = control::row_mark(position, self.bits.digits());
        let rows = control::ROWS..control::words_of_single_wave(self.tiles);
        let halves = rows.flat_map(|word| {
            let word = self.control.read(word);
            [word & 0xffff, word >> 16]
        });
        if halves.into_iter().any(|half| half & !control::ROW_COUNT == mark) {
            return Err("a row has the mark of the pass to come".to_owned());
        }
        let mut said = control::DIFFERING..control::ROWS;
        if position == 0 && said.any(|word| self.control.read(word) != 0) {
            return Err("positions are said to differ before the first pass".to_owned());
        }
        Ok(())
    }

    /// Counts and plans the keys from number `skip` on, wherever that is aligned, and compares
    /// the starts with the oracle's.
    pub fn histogram(&self, input: &Buffer<K>, skip: usize) -> Result<(), String> {
        self.plan(input, skip, false)
    }

    /// The same of a sort's launch.
    pub fn plan(&self, input: &Buffer<K>, skip: usize, indexed: bool) -> Result<(), String> {
        self.count(&self.kernels.histogram, self.counted(input, skip, indexed))?;
        self.check_starts(&input.to_vec()[skip..], 0)
    }

    /// The arguments of a histogram.
    pub fn counted(&self, input: &Buffer<K>, skip: usize, indexed: bool) -> Histogram<K> {
        Histogram {
            // SAFETY: the buffer has as many keys.
            input: unsafe { input.global().offset(skip) },
            control: self.control.global(),
            n: (input.len() - skip) as u64,
            tiles: self.tiles as u32,
            order_mask: self.order_mask,
            bits: self.bits,
            options: self.what(indexed) | if self.suggests { control::SUGGEST } else { 0 },
            held: self.held,
            top_bits: 0,
        }
    }

    /// Runs what comes first in a sort.
    pub fn count<A: Copy>(&self, kernel: &Kernel<A>, arg: A) -> Result<(), String> {
        let options = self.options("histogram", self.blocks, kernel.threads as u32);
        kernel.launch_as(&options, self.blocks as usize, arg).map(|_| ())
    }

    /// Compares the starts of the digits from `lowest` on with the oracle's.
    pub fn check_starts(&self, keys: &[K], lowest: u32) -> Result<(), String> {
        for position in lowest..self.bits.digits() {
            let mut counts = [0; RADIX];
            for &key in keys {
                counts[self.digit(self.case.code(key), position)] += 1;
            }
            let mut start = 0;
            for (digit, count) in counts.into_iter().enumerate() {
                let word = control::starts(K::DIGITS, 0) + 2 * (position as usize * RADIX + digit);
                let found = [self.control.read(word), self.control.read(word + 1)];
                if found != [start, 0] {
                    return Err(format!(
                        "position {position} digit {digit} starts at {found:?}, not {start}"
                    ));
                }
                start += count;
            }
        }
        Ok(())
    }

    fn digit(&self, code: K, position: u32) -> usize {
        let (shift, mask) = self.bits.digit(position);
        code.digit(shift, mask, self.order_mask.digit(shift, mask, 0)) as usize
    }

    /// The step that the plan has for a digit, read as kernels read it.
    fn step(&self, position: u32) -> Result<Step, String> {
        let step = Cell::new(Step::SKIPPED);
        let words = self.control.global();
        launch(1, 1, 0, &Options::in_order(), || unsafe {
            step.set(Step::read(words, position as usize))
        })
        .map_err(|finding| finding.to_string())?;
        Ok(step.get())
    }

    /// Sorts `keys`, as two buffers or in place, with `values` or, where there are none and the
    /// kernels are of pairs, with indices. Every pass is checked.
    pub fn sort(&self, keys: &[K], values: Option<&[u32]>) -> Result<(Vec<K>, Vec<u32>), String> {
        let plan = |input: &_, indexed, _| self.plan(input, 0, indexed);
        self.sort_around(keys, values, plan, |_| Ok(()))
    }

    /// The same with launches of the caller's before the passes and after them.
    pub fn sort_around(
        &self,
        keys: &[K],
        values: Option<&[u32]>,
        plan: impl Fn(&Buffer<K>, bool, Pass<K>) -> Result<(), String>,
        after: impl Fn(Pass<K>) -> Result<(), String>,
    ) -> Result<(Vec<K>, Vec<u32>), String> {
        let of_keys = Arrays::of_keys(Buffer::from_slice(keys), self.case.in_place);
        let blank = || Buffer::uninitialised(keys.len());
        let given = values.map_or_else(blank, Buffer::from_slice);
        let of_values = Arrays::of_values(given, self.case.in_place);
        let indexed = self.kernels.paired && values.is_none();
        let mut arg = Pass {
            keys: of_keys.buffers(),
            values: of_values.buffers(),
            control: self.control.global(),
            n: keys.len() as u64,
            position: 0,
            shift: 0,
            mask: 0,
            order_mask: self.order_mask,
            bits: self.bits,
            portion: 0,
            first_tile: 0,
            options: self.what(indexed) | self.planned(),
        };
        if !self.kernels.is_single_wave() {
            plan(&of_keys.input, indexed, arg)?;
        } else if self.bits.digits() == 1 {
            // As the host does.
            let words = control::DIFFERING..control::words_of_single_wave(self.tiles);
            words.for_each(|word| self.control.write(word, 0));
        }
        let mut oracle = Oracle::new(self, keys, values);
        for position in 0..self.bits.digits() {
            (arg.position, (arg.shift, arg.mask)) = (position, self.bits.digit(position));
            self.pass(arg).map_err(|finding| format!("position {position}: {finding}"))?;
            let step = self.step(position)?;
            if step.runs() {
                let found = match step.target() {
                    control::Buffer::Output => (of_keys.output(), of_values.output()),
                    _ => (&of_keys.scratch, &of_values.scratch),
                };
                oracle
                    .check(position, step, found)
                    .map_err(|error| format!("position {position} ({step:?}): {error}"))?;
            }
        }
        after(arg)?;
        if !self.case.in_place && of_keys.input.to_vec() != keys {
            return Err("the input has changed".to_owned());
        }
        let values = if self.kernels.paired { of_values.output().to_vec() } else { Vec::new() };
        Ok((of_keys.output().to_vec(), values))
    }

    /// The launches of one pass.
    fn pass(&self, mut arg: Pass<K>) -> Result<(), String> {
        let Kernels { portion, pass, .. } = self.kernels;
        if self.kernels.is_single_wave() {
            self.check_rows(arg.position)?;
        }
        (arg.portion, arg.first_tile) = (0, 0);
        for first in (0..self.tiles).step_by(portion.min(self.tiles)) {
            let grid = portion.min(self.tiles - first);
            arg.first_tile = first as u32;
            let options = Options {
                // As the host launches it.
                early: !(self.kernels.is_single_wave() && arg.position == 0),
                ..self.options("onesweep", grid as u32, pass.threads as u32)
            };
            pass.launch_as(&options, grid, arg)?;
            arg.portion += 1;
        }
        Ok(())
    }
}

/// A local sort behind the last pass of a sort: of the output, or of keys on their way to it.
pub fn behind<K: Key>(pass: Pass<K>, starts: Global<u32>, on_their_way: bool) -> LocalSort<K> {
    let from_scratch = on_their_way && pass.options & control::IN_PLACE != 0;
    let (keys, values) = match from_scratch {
        true => (pass.keys.scratch, pass.values.scratch),
        false => (pass.keys.output, pass.values.output),
    };
    LocalSort {
        keys,
        output: pass.keys.output,
        values,
        output_values: pass.values.output,
        control: pass.control,
        starts,
        n: pass.n as u32,
        order_mask: pass.order_mask,
        options: pass.options,
    }
}

/// The expected result of each pass: a stable sort by its digit; or, from the first pass on that
/// ranks by atomics, the same keys in order as far as the digits so far make one.
struct Oracle<'a, K> {
    sorter: &'a Sorter<K>,
    /// Keys in code, with their values.
    expected: Vec<(K, u32)>,
    stable: bool,
}

impl<'a, K: Key> Oracle<'a, K> {
    fn new(sorter: &'a Sorter<K>, keys: &[K], values: Option<&[u32]>) -> Self {
        let value = |i: usize| values.map_or(i as u32, |values| values[i]);
        let code = |(i, &key)| (sorter.case.code(key), value(i));
        Oracle { sorter, expected: keys.iter().enumerate().map(code).collect(), stable: true }
    }

    fn check(
        &mut self,
        position: u32,
        step: Step,
        (keys, values): (&Buffer<K>, &Buffer<u32>),
    ) -> Result<(), String> {
        let sorter = self.sorter;
        self.expected.sort_by_key(|&(code, _)| sorter.digit(code, position));
        self.stable &= step.ranking() == Ranking::Match;
        let mut found = keys.to_vec();
        if step.last() {
            found.iter_mut().for_each(|key| *key = sorter.case.code(*key));
        }
        let expected: Vec<K> = self.expected.iter().map(|&(code, _)| code).collect();
        let right = if self.stable {
            found == expected
        } else {
            is_sorted_so_far(&found, position, step, sorter.order_mask)
                && same_keys(&found, &expected)
        };
        if !right {
            return Err("not sorted as it should be".to_owned());
        }
        if sorter.kernels.paired {
            let order: Vec<u32> = self.expected.iter().map(|&(_, value)| value).collect();
            if values.to_vec() != order {
                return Err("values are not their keys'".to_owned());
            }
        } else {
            // The next pass starts from this order.
            self.expected = found.into_iter().zip(0..).collect();
        }
        Ok(())
    }
}

/// Returns true if `codes` are in order by their digits up to `position`, from the least that the
/// plan sorts by, of keys sorted by all their bits.
fn is_sorted_so_far<K: Key>(codes: &[K], position: u32, step: Step, order_mask: K) -> bool {
    let high = K::BITS - 8 * (position + 1);
    let low = match (step.is_upper(), step.first()) {
        (false, _) => 0,
        (true, true) => 8 * position,
        (true, false) => K::BITS - BUCKET_BITS,
    };
    codes.is_sorted_by_key(|&code| ((code ^ order_mask) << high) >> (high + low))
}

fn same_keys<K: Key>(a: &[K], b: &[K]) -> bool {
    let sorted = |keys: &[K]| {
        let mut keys = keys.to_vec();
        keys.sort();
        keys
    };
    sorted(a) == sorted(b)
}
