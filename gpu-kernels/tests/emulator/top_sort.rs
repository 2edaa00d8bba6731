//! Sorts of keys alone by their top bits: all launches of a sort, in small shapes or one of them in
//! the shape that devices run.

use crate::alone::{Kernel, check_sorted};
use crate::case::{Emulated, both_ways, draws};
use crate::cases;
use crate::sorter::{Kernels, Sorter, behind};
use cuda_std::emu::Buffer;
use gpu_kernels::control;
use gpu_kernels::histogram::{Histogram, least_by_top};
use gpu_kernels::key::{Key, RADIX};
use gpu_kernels::local_bins;
use gpu_kernels::local_sort::LocalSort;
use gpu_kernels::policy::Shape;
use gpu_kernels::tile::Pass;
use gpu_kernels::top_counts;
use gpu_kernels::top_pass::{self, TopPass};
use sort_cases::{Case, Distribution, KeyType, Payload};

/// The kernels of a sort by top bits.
#[derive(Clone, Copy)]
pub struct TopSorts<K> {
    pub counts: Kernel<Histogram<K>>,
    pub pass: Kernel<TopPass<K>>,
    pub local: Kernel<LocalSort<K>>,
}

/// Bits that buckets have in common, of which there are no fewer than digits.
const TOP_BITS: [u32; 2] = [8, 9];

impl<K: Key> TopSorts<K> {
    pub fn small() -> Self {
        let counts = top_counts::histogram_by_top::<K, 2>;
        let shape = Shape::new(1024, 1, 1);
        let (tile, bucket) = (Shape::new(256, 4, 1), Shape::new(128, 5, 1));
        let pass = top_pass::top_pass::<K, 256, 4>;
        let local = local_bins::sort_by_bins::<K, 128, 5>;
        TopSorts {
            counts: Kernel::of_shape(counts, shape, top_counts::shared_bytes(K::DIGITS, 2)),
            pass: Kernel::of_shape(pass, tile, top_pass::shared_bytes::<K>(tile)).early(),
            local: Kernel::of_shape(local, bucket, local_bins::shared_bytes::<K>(bucket, false))
                .early(),
        }
    }

    /// Sorts the keys. Returns whether by top bits.
    pub fn sorts(&self, case: &Case, keys: &[K]) -> Result<bool, String> {
        let bits = (0, K::BITS);
        let case = Case { bits, numeric: false, payload: Payload::None, ..*case };
        // Claims take the place of a row for each digit's worth of them.
        let most = if keys.len() > RADIX { 2 } else { 1 };
        let top_bits = TOP_BITS[case.seed as usize % most];
        let sorter = Sorter::new(&case, Kernels::of_keys::<128, 2, 2>());
        let tops = control::tops(K::DIGITS);
        (0..1 << top_pass::BITS_MAX).for_each(|top| sorter.control.write(tops + top, 0));
        let plan = |input: &Buffer<K>, indexed| {
            let counts = sorter.counted(input, 0, indexed);
            let held = self.local.tile as u32;
            sorter.count(&self.counts, Histogram { held, top_bits, ..counts })?;
            sorter.check_starts(&input.to_vec(), 0)
        };
        let after = |pass: Pass<K>| self.by_top(&case, pass, top_bits);
        let (sorted, _) = sorter.sort_around(keys, None, plan, after)?;
        let rank = |key: K| case.rank(key);
        check_sorted((keys, &[]), rank, &sorted, None)?;
        if (0..1 << top_bits).any(|top| sorter.control.read(tops + top) != 0) {
            return Err("counts of top bits are left".to_owned());
        }
        let by_top = sorter.control.read(control::LOCALLY) != 0;
        let should = self.fits(keys.iter().map(|&key| rank(key)).collect(), top_bits);
        if by_top != should {
            return Err(format!("sorted by top bits: {by_top}, where it should be: {should}"));
        }
        Ok(by_top)
    }

    /// Returns true if blocks hold all buckets, and keys vary in as many digits as pay.
    fn fits(&self, ranks: Vec<K>, top_bits: u32) -> bool {
        let mut counts = vec![0; 1 << top_bits];
        let mut differing = K::from_u64(0);
        for &rank in &ranks {
            counts[(rank >> (K::BITS - top_bits)).to_u64() as usize] += 1;
            differing = differing | rank ^ ranks[0];
        }
        let digit = |position| differing.digit(8 * position, 0xff, 0);
        let varying = (0..K::DIGITS as u32).filter(|&position| digit(position) != 0).count();
        varying >= least_by_top(K::BITS, top_bits)
            && counts.iter().all(|&count| count <= self.local.tile)
    }

    /// The launches behind the passes.
    fn by_top(&self, case: &Case, pass: Pass<K>, top_bits: u32) -> Result<(), String> {
        let local = behind(pass, pass.control, true);
        let n = pass.n as u32;
        let top = TopPass {
            input: pass.keys.input,
            output: local.keys,
            control: pass.control,
            n,
            order_mask: pass.order_mask,
            options: pass.options,
            top_bits,
        };
        self.pass.launch(case, "top_pass", (n as usize).div_ceil(self.pass.tile), top)?;
        self.local.launch(case, "sort_by_bins", 1 << top_bits, local)
    }
}

fn sorts(case: &Case) -> Result<bool, String> {
    match case.key.bits {
        32 => TopSorts::<u32>::small().sorts(case, &case.words()),
        _ => TopSorts::<u64>::small().sorts(case, &case.words()),
    }
}

#[test]
fn top_sort() {
    let draws = draws("top_sort", cases::BUCKET_SORT, (1024, 9000));
    both_ways(draws, 5, sorts);
}

/// Bins with more keys than are put in order there, with and without contention, and few.
#[test]
fn crowded_bins_are_sorted_by_rounds() {
    for key in [KeyType::U32, KeyType::U64] {
        let case = Case::uniform(key, 20_000, 1);
        for kept in [0, 3, 0x3f, 0xfff] {
            let spread = |word: u128, bits: u32| {
                let top = word >> (bits - 10) << (bits - 10);
                let below = (word & kept) * ((1 << (bits - 16)) / 0x1001 + 1);
                top | below
            };
            let sorted = match key.bits {
                32 => {
                    let words = case.words::<u32>().into_iter();
                    let keys: Vec<u32> = words.map(|key| spread(key.into(), 32) as u32).collect();
                    TopSorts::<u32>::small().sorts(&case, &keys)
                }
                _ => {
                    let words = case.words::<u64>().into_iter();
                    let keys: Vec<u64> = words.map(|key| spread(key.into(), 64) as u64).collect();
                    TopSorts::<u64>::small().sorts(&case, &keys)
                }
            };
            assert_eq!(sorted, Ok(kept > 0), "{key:?} {kept:#x}");
        }
    }
}

/// Keys in order, whose tiles have few buckets.
#[test]
fn sorted_keys_are_sorted_by_top_bits() {
    let case = Case { distribution: Distribution::Sorted, ..Case::uniform(KeyType::U32, 9000, 1) };
    assert_eq!(sorts(&case), Ok(true));
    let case = Case { key: KeyType::U64, ..case };
    assert_eq!(sorts(&case), Ok(true));
}
