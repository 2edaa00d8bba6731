//! Sorts of segments, in the shapes that devices run: of lengths about the bounds of each class,
//! with keys outside all segments, and with offsets that are wrong.

use std::any::Any;

use crate::alone::Kernel;
use crate::case::Emulated;
use cuda_std::emu::Buffer;
use gpu_kernels::control;
use gpu_kernels::gather::SegmentNumbers;
use gpu_kernels::key::Key;
use gpu_kernels::local_bins;
use gpu_kernels::policy::segments::{
    BLOCKS, LIST, MOST, SHORT, SHORT_U64, U32, WARP_MOST, WARPS_U64,
};
use gpu_kernels::segment_warps::{self, segments_in_warps};
use gpu_kernels::segments::{
    self, Classes, HEAD, Segments, WRONG, list_begin, long_segments, segment_classes,
    short_segments,
};
use sort_cases::Case;

/// The kernels of a sort.
#[derive(Clone, Copy)]
pub struct SegmentSorts<K> {
    pub paired: bool,
    pub classes: Kernel<Classes>,
    pub in_warps: Kernel<Segments<K>>,
    pub short: Kernel<Segments<K>>,
    pub long: [Kernel<Segments<K>>; BLOCKS - SHORT],
}

/// Lengths about which a sort changes.
const LENGTHS: [usize; 14] =
    [0, 1, 8, 16, 32, 64, 128, WARP_MOST, 300, 640, 1152, 2176, 4352, MOST[BLOCKS - 1]];

macro_rules! long {
    ($K:ident, $W:ident, $PAIRED:ident, $($class:literal),*) => {
        [$(Kernel::of_shape(
            long_segments::<
                $K, $W, { U32[$class].threads }, { U32[$class].items }, $PAIRED,
            >,
            U32[$class],
            local_bins::shared_bytes::<$W>(U32[$class], $PAIRED),
        )),*]
    };
}

impl<K: Key> SegmentSorts<K> {
    /// Of keys alone.
    pub fn of_keys() -> Self {
        Self::new::<K, false>()
    }

    /// Of keys alone, or if `paired`, of keys of 4 bytes with values.
    pub fn of(paired: bool) -> Self {
        if !paired {
            return Self::of_keys();
        }
        let pairs: &dyn Any = &SegmentSorts::<u32>::new::<u64, true>();
        *pairs.downcast_ref().expect("keys of 4 bytes")
    }

    fn new<W: Key, const PAIRED: bool>() -> Self {
        SegmentSorts {
            paired: PAIRED,
            classes: Kernel::of_shape(segment_classes, LIST, 0),
            in_warps: Kernel::of_shape(
                segments_in_warps::<K, W, { WARPS_U64.threads }, { WARPS_U64.items }, PAIRED>,
                WARPS_U64,
                segment_warps::shared_bytes::<K>(WARPS_U64, PAIRED),
            ),
            short: Kernel::of_shape(
                short_segments::<K, W, { SHORT_U64.threads }, PAIRED>,
                SHORT_U64,
                local_bins::shared_bytes::<W>(SHORT_U64, PAIRED),
            ),
            long: long!(K, W, PAIRED, 0, 1),
        }
    }

    /// Sorts segments of the case's keys, no longer than `most` and the longest in `LENGTHS` and
    /// one more: in place or apart, alone, with values or with indices.
    pub fn sorts(&self, case: &Case, most: usize) -> Result<(), String> {
        let offsets = offsets(case, most);
        let keys = case.words::<K>();
        let found = self.run(case, &keys, &offsets)?;
        if found.control[WRONG] != 0 {
            return Err("right offsets were found to be wrong".to_owned());
        }
        let key = case.key_of::<K>();
        let rank = |word: K| match key.rank(word.to_u128()) {
            rank if case.descending => !rank,
            rank => rank,
        };
        let begun = self.begun(case, &keys);
        let given = values(keys.len());
        let (mut expected, mut left) = (begun.clone(), Vec::new());
        for (index, bounds) in offsets.windows(2).enumerate() {
            let (begin, end) = (bounds[0] as usize, bounds[1] as usize);
            if end - begin > MOST[BLOCKS - 1] {
                left.push(index as u32);
                continue;
            }
            let mut order: Vec<usize> = (begin..end).collect();
            order.sort_by_key(|&i| rank(keys[i]));
            for (to, from) in (begin..end).zip(order) {
                expected.keys[to] = keys[from];
                if self.gives_indices(case) {
                    expected.values[to] = (from - begin) as u32;
                } else if self.paired {
                    expected.values[to] = given[from];
                }
            }
        }
        if found.keys != expected.keys || found.values != expected.values {
            return Err(format!("segments of {offsets:?} are not sorted"));
        }
        let count = found.control[segments::COUNTS + BLOCKS] as usize;
        let begin = list_begin(BLOCKS, keys.len());
        let mut listed = found.control[begin..begin + count].to_vec();
        listed.sort();
        match listed == left {
            true => Ok(()),
            false => Err(format!("segments {listed:?} are left to the host, and not {left:?}")),
        }
    }

    /// Leaves all as it is if a segment ends before it begins, or behind the last key.
    pub fn refuses(&self, case: &Case) -> Result<(), String> {
        let mut offsets = offsets(case, 4096);
        let keys = case.words::<K>();
        let at = case.seed as usize % (offsets.len() - 1);
        let behind = keys.len() as u32 + 1;
        match case.seed % 3 {
            // All segments of two blocks.
            0 => offsets = vec![behind; 2 * LIST.tile()],
            1 if offsets[at] > 0 => offsets[at + 1] = offsets[at] - 1,
            _ => offsets[at + 1] = behind,
        }
        let (found, begun) = (self.run(case, &keys, &offsets)?, self.begun(case, &keys));
        let unchanged = found.keys == begun.keys && found.values == begun.values;
        match unchanged && found.control[WRONG] != 0 {
            true => Ok(()),
            false => Err(format!("wrong offsets {offsets:?} were sorted by")),
        }
    }

    /// True if keys are given their indices.
    fn gives_indices(&self, case: &Case) -> bool {
        self.paired && case.seed.is_multiple_of(2)
    }

    /// True if keys are sorted into another array, as those that are given indices are.
    fn goes_apart(&self, case: &Case) -> bool {
        self.gives_indices(case) || case.seed & 2 != 0
    }

    /// The output before the sort.
    fn begun(&self, case: &Case, keys: &[K]) -> Sorted<K> {
        let (n, control) = (keys.len(), Vec::new());
        match self.goes_apart(case) {
            true => Sorted { keys: vec![K::default(); n], values: vec![0; n], control },
            false => Sorted { keys: keys.to_vec(), values: values(n), control },
        }
    }

    fn run(&self, case: &Case, keys: &[K], offsets: &[u32]) -> Result<Sorted<K>, String> {
        let begun = self.begun(case, keys);
        let array = Buffer::from_slice(keys).named("keys");
        let output = Buffer::from_slice(&begun.keys).named("sorted keys");
        let values = Buffer::from_slice(&values(keys.len())).named("values");
        let output_values = Buffer::from_slice(&begun.values).named("sorted values");
        let borders = Buffer::from_slice(offsets).named("offsets");
        // The first head is clear, and a sort before has left the second.
        let mut words = vec![0; segments::words(keys.len())];
        words[HEAD..2 * HEAD].fill(7);
        let control = Buffer::<u32>::from_slice(&words).named("control");
        let (count, n) = (offsets.len() as u32 - 1, keys.len() as u32);
        let (head, control_words) = (control.global(), control.global());
        // SAFETY: the array has so many words.
        let next = unsafe { head.offset(HEAD) };
        let arg = Classes { offsets: borders.global(), count, n, head, control: control_words };
        let grid = (count as usize).div_ceil(LIST.tile());
        self.classes.launch(case, "segment_classes", grid, arg)?;
        let encode = if case.key_of::<K>().is_float() { control::ENCODE } else { 0 };
        let index = if self.gives_indices(case) { control::INDEX } else { 0 };
        let apart = self.goes_apart(case);
        let mut arg = Segments {
            keys: if apart { array.global() } else { output.global() },
            output: output.global(),
            values: if apart { values.global() } else { output_values.global() },
            output_values: output_values.global(),
            offsets: borders.global(),
            count,
            n,
            head,
            next,
            control: control_words,
            order_mask: case.order_mask(),
            options: encode | index,
            list: 0,
        };
        let grid = (count as usize).div_ceil(self.in_warps.threads);
        self.in_warps.early().launch(case, "segments_in_warps", grid, arg)?;
        self.short.early().launch(case, "short_segments", 2, arg)?;
        for (list, kernel) in (SHORT..).zip(self.long) {
            arg.list = list as u32;
            kernel.early().launch(case, "long_segments", 2, arg)?;
        }
        let control = control.to_vec();
        match control[HEAD..2 * HEAD].iter().all(|&word| word == 0) {
            true => Ok(Sorted { keys: output.to_vec(), values: output_values.to_vec(), control }),
            false => Err("the next head is not clear".to_owned()),
        }
    }
}

/// The values of `n` keys.
fn values(n: usize) -> Vec<u32> {
    (0..n as u32).map(|i| i.wrapping_mul(0x9e37_79b9)).collect()
}

/// The result of a sort.
#[derive(Clone)]
struct Sorted<K> {
    keys: Vec<K>,
    values: Vec<u32>,
    control: Vec<u32>,
}

/// The number of the segment that each key is in, and then its own within that.
pub fn numbers(case: &Case, grid: usize, kernel: Kernel<SegmentNumbers>) -> Result<(), String> {
    let offsets = offsets(case, 4096);
    let n = offsets[offsets.len() - 1] - offsets[0];
    let borders = Buffer::from_slice(&offsets).named("offsets");
    let expected = offsets.windows(2).zip(0..).flat_map(|(bounds, number)| {
        let length = bounds[1] - bounds[0];
        (0..length).map(move |within| [number, within])
    });
    for within in 0..2 {
        let given: Vec<u32> = (0..n).collect();
        let numbers = match within {
            0 => Buffer::uninitialised(n as usize),
            _ => Buffer::from_slice(&given),
        };
        let arg = SegmentNumbers {
            offsets: borders.global(),
            count: offsets.len() as u32 - 1,
            n,
            numbers: numbers.global(),
            within,
        };
        kernel.launch(case, "number_segments", grid, arg)?;
        if !expected.clone().map(|both| both[within as usize]).eq(numbers.to_vec()) {
            return Err(format!("wrong numbers of segments of {offsets:?}"));
        }
    }
    Ok(())
}

/// Offsets of segments of the case's keys: of a length near one of [`LENGTHS`], or of all below
/// it, so that a warp's may all be short; or all of one length, so that they may fill its lanes. In
/// one of four cases two blocks make the lists.
fn offsets(case: &Case, most: usize) -> Vec<u32> {
    let mut state = case.seed;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    let lengths = LENGTHS.iter().filter(|&&length| length <= most).count();
    let longest = LENGTHS[draw(lengths)];
    let mut end = draw(case.n.min(20) + 1);
    let alike = draw(3) == 0;
    if alike {
        end -= end % 4;
    }
    let mut offsets = vec![end as u32];
    while end < case.n && offsets.len() < 2000 {
        let length = match draw(2) {
            _ if alike => longest,
            0 => LENGTHS[draw(lengths)].min(longest) + draw(2),
            _ => draw(longest + 2),
        };
        if end + length > case.n {
            break;
        }
        end += length;
        offsets.push(end as u32);
    }
    if offsets.len() == 1 {
        offsets.push(case.n as u32);
    }
    if draw(4) == 0 {
        // Empty ones, so many that another block sees to those behind them.
        let middle = offsets.len() / 2;
        offsets.splice(middle..middle, [offsets[middle]; LIST.tile()]);
    }
    offsets
}
