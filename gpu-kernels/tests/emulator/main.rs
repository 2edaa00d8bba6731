//! Every kernel, in the emulator, under many schedules.
//!
//! A case draws the keys, the schedule, the memory model and what the kernel is
//! told; every launch runs with all checks. Results are held against a naive
//! oracle. The shapes are small ones, so that a few hundred keys are several tiles,
//! and the shapes that the devices run, on fewer cases. A failure is shrunk by
//! proptest and prints what to run to see it again.

mod case;
mod sorter;

use case::{Case, for_all};
use cuda_std::emu::{Buffer, launch};
use cuda_std::memory::Global;
use gpu_kernels::key::Key;
use gpu_kernels::merge::{self, Merge};
use gpu_kernels::policy::{self, Shape};
use gpu_kernels::{entries, onesweep, verify};
use sorter::{Kernels, Sorter};

/// Different cases of each test. Together at least 10,000.
mod cases {
    pub const SORT_U8: u32 = 1600;
    pub const SORT_U16: u32 = 600;
    pub const SORT_U32: u32 = 300;
    pub const SORT_WIDE: u32 = 60;
    pub const HISTOGRAM: u32 = 600;
    pub const MERGE: u32 = 3400;
    pub const MERGE_OTHERS: u32 = 1000;
    pub const VERIFY: u32 = 2400;
    pub const ENTRIES: u32 = 6;
    const _: () = assert!(
        SORT_U8 + SORT_U16 + SORT_U32 + 2 * SORT_WIDE + HISTOGRAM + MERGE + MERGE_OTHERS + VERIFY
            >= 10_000
    );
}

/// Two sorts one after the other with the same control words: the second finds
/// what the first has left there.
fn sorts<K: Key>(case: &Case, kernels: Kernels<K>) -> Result<(), String> {
    let sorter = Sorter::new(case, kernels);
    let rounds = 1 + case.seed % 2;
    for stream in 0..rounds {
        let keys = case.some_keys::<K>(case.n, stream);
        let mut expected = keys.clone();
        let flip: K = case.flip();
        expected.sort_by_key(|&key| key ^ flip);
        if sorter.sort(&keys)? != expected {
            return Err("the output is not the sorted input".to_owned());
        }
    }
    Ok(())
}

#[test]
fn sort_u8() {
    for_all("sort_u8", cases::SORT_U8, (256, 800), |case| {
        sorts(case, Kernels::<u8>::of::<128, 2, 1>())
    });
}

#[test]
fn sort_u16() {
    for_all("sort_u16", cases::SORT_U16, (384, 1200), |case| {
        sorts(case, Kernels::<u16>::of::<128, 3, 2>())
    });
}

#[test]
fn sort_u32() {
    for_all("sort_u32", cases::SORT_U32, (480, 1500), |case| {
        sorts(case, Kernels::<u32>::of::<160, 3, 2>())
    });
}

#[test]
fn sort_u64() {
    for_all("sort_u64", cases::SORT_WIDE, (256, 600), |case| {
        sorts(case, Kernels::<u64>::of::<128, 2, 1>())
    });
}

#[test]
fn sort_u128() {
    for_all("sort_u128", cases::SORT_WIDE, (256, 600), |case| {
        sorts(case, Kernels::<u128>::of::<128, 2, 1>())
    });
}

/// The histogram alone, of keys that begin anywhere, over more than a turn of its
/// blocks.
#[test]
fn histogram() {
    for_all("histogram", cases::HISTOGRAM, (4, 6000), |case| {
        let keys = Buffer::from_slice(&case.keys::<u32>()).named("keys");
        let skip = (case.seed as usize % 4).min(case.n - 1);
        Sorter::new(case, Kernels::<u32>::of::<128, 1, 4>()).histogram(&keys, skip)?;
        let keys = Buffer::from_slice(&case.keys::<u8>()).named("keys");
        let skip = (case.seed as usize % 16).min(case.n - 1);
        Sorter::new(case, Kernels::<u8>::of::<128, 1, 4>()).histogram(&keys, skip)
    });
}

/// A merge kernel's parameters: the runs and their lengths, the output, the order.
type MergeKernel<K> = unsafe fn(Global<K>, u32, Global<K>, u32, Global<K>, K);

fn merges<K: Key>(
    case: &Case,
    kernel: MergeKernel<K>,
    tile: usize,
    threads: usize,
    shared: usize,
) -> Result<(), String> {
    let flip: K = case.flip();
    let a_len = (case.seed >> 8) as usize % (case.n + 1);
    let b_len = case.n - a_len;
    let run = |len, stream| {
        let mut run = case.some_keys::<K>(len, stream);
        run.sort_by_key(|&key| key ^ flip);
        run
    };
    let (a, b) = (run(a_len, 1), run(b_len, 2));
    let merged = Buffer::uninitialised(case.n).named("output");
    let (from_a, from_b) = (
        Buffer::from_slice(&a).named("a"),
        Buffer::from_slice(&b).named("b"),
    );
    let (first, second, output) = (from_a.global(), from_b.global(), merged.global());
    let grid = case.n.div_ceil(tile) as u32;
    let options = case.options(grid, threads as u32).named("merge");
    launch(grid, threads as u32, shared, &options, || unsafe {
        kernel(first, a_len as u32, second, b_len as u32, output, flip)
    })
    .map_err(|finding| finding.to_string())?;
    let mut expected = [a, b].concat();
    expected.sort_by_key(|&key| key ^ flip);
    if merged.to_vec() == expected {
        Ok(())
    } else {
        Err(format!("{a_len} and {b_len} keys merged wrongly"))
    }
}

/// [`merges`], in a shape of choice.
fn merges_in<K: Key, const THREADS: usize, const ITEMS: usize>(case: &Case) -> Result<(), String> {
    let kernel: MergeKernel<K> = |a, a_len, b, b_len, output, flip| {
        let arg = Merge {
            a,
            a_len,
            b,
            b_len,
            output,
            flip,
        };
        unsafe { merge::merge::<K, THREADS, ITEMS>(arg) }
    };
    let shared = merge::shared_bytes::<K>(THREADS, ITEMS);
    merges(case, kernel, THREADS * ITEMS, THREADS, shared)
}

#[test]
fn merge_u32() {
    for_all(
        "merge_u32",
        cases::MERGE,
        (192, 1000),
        merges_in::<u32, 64, 3>,
    );
}

#[test]
fn merge_u8_and_u128() {
    for_all(
        "merge_u8_and_u128",
        cases::MERGE_OTHERS,
        (64, 300),
        |case| {
            merges_in::<u8, 32, 2>(case)?;
            merges_in::<u128, 32, 2>(case)
        },
    );
}

fn verifies<K: Key>(
    case: &Case,
    kernel: unsafe fn(Global<K>, u32, K, Global<u64>),
    grid: u32,
    threads: u32,
) -> Result<(), String> {
    let keys = case.keys::<K>();
    let flip: K = case.flip();
    let (array, result) = (
        Buffer::from_slice(&keys),
        Buffer::<u64>::zeroed(verify::WORDS),
    );
    let (input, output) = (array.global(), result.global());
    let options = case.options(grid, threads).named("verify");
    launch(grid, threads, 0, &options, || unsafe {
        kernel(input, keys.len() as u32, flip, output)
    })
    .map_err(|finding| finding.to_string())?;
    let disordered = keys
        .windows(2)
        .filter(|pair| pair[0] ^ flip > pair[1] ^ flip)
        .count();
    let hash = keys
        .iter()
        .fold(0u64, |sum, &key| sum.wrapping_add(verify::hash(key)));
    let found = [result.read(verify::DISORDERED), result.read(verify::HASH)];
    if found == [disordered as u64, hash] {
        Ok(())
    } else {
        Err(format!("found {found:?}, not {disordered} and {hash}"))
    }
}

#[test]
fn verify_kernel() {
    for_all("verify_kernel", cases::VERIFY, (64, 700), |case| {
        let (grid, threads) = (
            1 + (case.seed % 4) as u32,
            32 + 32 * (case.seed / 4 % 3) as u32,
        );
        verifies(case, verify::verify::<u32>, grid, threads)?;
        verifies(case, verify::verify::<u64>, grid, threads)
    });
}

/// The entry points, as devices run them. In order and with patience: to count a
/// tile of this size from the input, a thread a digit, takes too long.
#[test]
fn entry_points() {
    let (small, large) = (policy::ONESWEEP_SMALL, policy::ONESWEEP_LARGE);
    let pass_shared =
        |shape: policy::Shape| onesweep::shared_bytes::<u32>(shape.threads, shape.items);
    let shared = |copies| policy::histogram_shared_bytes(4, copies);
    let for_small = Kernels {
        tile: small.tile(),
        histogram_threads: policy::HISTOGRAM_THREADS as u32,
        histogram_shared: shared(policy::HISTOGRAM_COPIES_SMALL),
        histogram: entries::histogram_small_u32,
        pass_threads: small.threads as u32,
        pass_shared: pass_shared(small),
        pass: entries::onesweep_small_u32,
    };
    let for_large = Kernels {
        tile: large.tile(),
        histogram_shared: shared(policy::HISTOGRAM_COPIES_LARGE),
        histogram: entries::histogram_large_u32,
        pass_threads: large.threads as u32,
        pass_shared: pass_shared(large),
        pass: entries::onesweep_large_u32,
        ..for_small
    };
    let sizes = (small.tile(), 2 * large.tile() + 5);
    for_all("entry_points", cases::ENTRIES, sizes, |case| {
        let case = Case {
            patient: true,
            ..*case
        };
        sorts(&case, for_small)?;
        sorts(&case, for_large)?;
        let Shape { threads, items, .. } = policy::MERGE;
        let shared = merge::shared_bytes::<u32>(threads, items);
        merges(&case, entries::merge_u32, threads * items, threads, shared)?;
        verifies(&case, entries::verify_u32, 2, policy::VERIFY.threads as u32)
    });
}
