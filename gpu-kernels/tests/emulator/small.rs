//! Each kernel by itself, in shapes that make many blocks and tiles of few keys.

use crate::alone::{Kernel, codes, gathers, merges, sorts_in_a_block, verifies, verifies_values};
use crate::case::{Emulated, draws, for_all};
use crate::cases;
use crate::segments::{SegmentSorts, numbers};
use crate::sorter::{Kernels, Sorter};
use cuda_std::emu::Buffer;
use gpu_kernels::block;
use gpu_kernels::gather;
use gpu_kernels::key::Key;
use gpu_kernels::merge;
use gpu_kernels::policy::Shape;
use gpu_kernels::verify;
use sort_cases::{Case, KeyType};

fn small_block<K: Key, const PAIRED: bool>(case: &Case) -> Result<(), String> {
    const SHAPE: Shape = Shape::new(128, 4, 1);
    let run = block::sort_block::<K, { SHAPE.threads }, { SHAPE.items }, PAIRED>;
    let kernel = Kernel::of_shape(run, SHAPE, block::shared_bytes::<K>(SHAPE));
    sorts_in_a_block(case, kernel, PAIRED)
}

#[test]
fn sort_in_a_block() {
    for_all("sort_in_a_block", cases::BLOCK, (64, 512), |case| {
        small_block::<u8, false>(case)?;
        // Keys of two digits show where atomics have lost the order of the first.
        small_block::<u16, false>(case)?;
        small_block::<u16, true>(case)
    });
}

/// Up to 40 tiles that look at each other, of which a block of four warps reads 16 rows at once.
#[test]
fn a_single_wave_in_rounds() {
    let draws = draws("a_single_wave_in_rounds", cases::ROUNDS, (128, 5120));
    draws.of(KeyType::U16, |case| {
        let kernels = match case.seed.is_multiple_of(2) {
            true => Kernels::<u16>::of_keys_in_a_wave::<128, 1, 1>(),
            false => Kernels::of_pairs_in_a_wave::<128, 1, 1>(),
        };
        let mut keys = case.words::<u16>();
        let sorter = Sorter::new(case, kernels);
        sorter.sort(&keys, None)?;
        // With what that has left behind.
        keys.reverse();
        sorter.sort(&keys, None).map(|_| ())
    });
}

#[test]
fn gather_kernel() {
    for_all("gather_kernel", cases::GATHER, (64, 600), |case| {
        gathers(case, 2, strided(64, gather::gather::<u32>))
    });
}

#[test]
fn segment_numbers() {
    for_all("segment_numbers", cases::GATHER, (64, 600), |case| {
        numbers(case, 2, strided(64, gather::number_segments))
    });
}

#[test]
fn numeric_codes() {
    draws("numeric_codes", cases::GATHER, (64, 600))
        .of(KeyType::F32, |case| codes(case, 3, strided(32, gather::numeric_codes::<u32>)));
}

/// A kernel of so many threads a block that moves through all of its input.
pub fn strided<A: Copy>(threads: usize, run: unsafe fn(A)) -> Kernel<A> {
    Kernel::of_shape(run, Shape::new(threads, 1, 1), 0)
}

/// The histogram alone, of keys that begin anywhere, over more than a turn of its blocks.
#[test]
fn histogram() {
    for_all("histogram", cases::HISTOGRAM, (4, 6000), |case| {
        let keys = Buffer::from_slice(&case.words::<u32>()).named("keys");
        let skip = (case.seed as usize % 4).min(case.n - 1);
        Sorter::new(case, Kernels::<u32>::of_keys::<128, 1, 4>()).histogram(&keys, skip)?;
        let keys = Buffer::from_slice(&case.words::<u8>()).named("keys");
        let skip = (case.seed as usize % 16).min(case.n - 1);
        Sorter::new(case, Kernels::<u8>::of_keys::<128, 1, 4>()).histogram(&keys, skip)
    });
}

/// Keys alone, and with values.
fn small_merges<K: Key, const THREADS: usize, const ITEMS: usize>(
    case: &Case,
) -> Result<(), String> {
    let shape = Shape::new(THREADS, ITEMS, 1);
    let kernel =
        |run, paired| Kernel::of_shape(run, shape, merge::shared_bytes::<K>(shape, paired));
    match case.seed.is_multiple_of(2) {
        true => merges(case, kernel(merge::merge::<K, THREADS, ITEMS, false>, false), false),
        false => merges(case, kernel(merge::merge::<K, THREADS, ITEMS, true>, true), true),
    }
}

#[test]
fn merge_u32() {
    let sizes = (192, 1000);
    for_all("merge_u32", cases::MERGE, sizes, small_merges::<u32, 64, 3>);
}

#[test]
fn merge_floats() {
    let count = cases::MERGE_OTHERS / 2;
    draws("merge_floats", count, (192, 700)).of(KeyType::F32, small_merges::<u32, 64, 3>);
    draws("merge_floats", count, (64, 300)).of(KeyType::F64, small_merges::<u64, 32, 2>);
}

#[test]
fn merge_u8_and_u128() {
    let sizes = (64, 300);
    for_all("merge_u8_and_u128", cases::MERGE_OTHERS, sizes, |case| {
        small_merges::<u8, 32, 2>(case)?;
        small_merges::<u128, 32, 2>(case)
    });
}

#[test]
fn verify_kernel() {
    for_all("verify_kernel", cases::VERIFY, (64, 700), |case| {
        let blocks = 1 + (case.seed % 4) as usize;
        let threads = 32 + 32 * (case.seed / 4 % 3) as usize;
        verifies(case, blocks, strided(threads, verify::verify::<u32>))?;
        verifies(case, blocks, strided(threads, verify::verify::<u64>))
    });
}

#[test]
fn verify_values_kernel() {
    for_all("verify_values_kernel", cases::VALUES, (64, 700), |case| {
        let blocks = 1 + (case.seed % 3) as usize;
        verifies_values(case, blocks, strided(64, verify::verify_values::<u8>))?;
        verifies_values(case, blocks, strided(64, verify::verify_values::<u32>))?;
        verifies_values(case, blocks, strided(64, verify::verify_values::<u128>))
    });
}

#[test]
fn segments_with_wrong_offsets_are_left_as_they_are() {
    let sizes = (64, 3000);
    for_all(
        "segments_with_wrong_offsets_are_left_as_they_are",
        cases::WRONG_OFFSETS,
        sizes,
        |case| SegmentSorts::<u32>::of(case.seed % 4 < 2).refuses(case),
    );
}
