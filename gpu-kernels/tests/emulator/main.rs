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
use gpu_kernels::block::{self, Block};
use gpu_kernels::key::{Bits, Key};
use gpu_kernels::merge::{self, Merge};
use gpu_kernels::onesweep::{self, Buffers};
use gpu_kernels::policy::{self, Shape};
use gpu_kernels::{control, entries, gather, verify};
use sorter::{Kernels, Sorter};

/// Different cases of each test. Together at least 10,000.
mod cases {
    pub const SORT_U8: u32 = 1600;
    pub const SORT_U16: u32 = 600;
    pub const SORT_U32: u32 = 300;
    pub const SORT_WIDE: u32 = 60;
    pub const PAIRS: u32 = 300;
    pub const BITS: u32 = 200;
    pub const PORTIONS: u32 = 400;
    pub const BLOCK: u32 = 500;
    pub const GATHER: u32 = 400;
    pub const HISTOGRAM: u32 = 600;
    pub const MERGE: u32 = 3400;
    pub const MERGE_OTHERS: u32 = 1000;
    pub const VERIFY: u32 = 2400;
    pub const VALUES: u32 = 300;
    pub const ENTRIES: u32 = 6;
    const _: () = assert!(
        SORT_U8 + SORT_U16 + SORT_U32 + 2 * SORT_WIDE + HISTOGRAM + MERGE + MERGE_OTHERS + VERIFY
            >= 10_000
    );
}

/// Two sorts one after the other with the same control words: the second finds
/// what the first has left there.
fn sorts<K: Key>(case: &Case, kernels: Kernels<K>) -> Result<(), String> {
    sorts_with(case, Sorter::new(case, kernels), all_bits::<K>())
}

fn all_bits<K: Key>() -> Bits {
    Bits {
        begin: 0,
        end: K::BITS,
    }
}

fn sorts_with<K: Key>(case: &Case, sorter: Sorter<K>, bits: Bits) -> Result<(), String> {
    let rounds = 1 + case.seed % 2;
    for stream in 0..rounds {
        let keys = case.some_keys::<K>(case.n, stream);
        let mut expected = keys.clone();
        let flip: K = case.flip();
        let unsorted = K::BITS - (bits.end - bits.begin);
        expected.sort_by_key(|&key| ((key ^ flip) << (K::BITS - bits.end)) >> unsorted);
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

#[test]
fn sort_pairs() {
    for_all("sort_pairs", cases::PAIRS, (256, 900), |case| {
        let sorter = Sorter::new(case, Kernels::<u16>::of_pairs::<128, 3, 2>());
        let bits = all_bits::<u16>();
        sorts_with(case, sorter.with(true, bits, usize::MAX), bits)
    });
}

#[test]
fn sort_bit_ranges() {
    for_all("sort_bit_ranges", cases::BITS, (256, 700), |case| {
        let begin = (case.seed >> 16) as u32 % 31;
        let end = begin + 1 + (case.seed >> 24) as u32 % (32 - begin);
        let bits = Bits { begin, end };
        let paired = case.seed.is_multiple_of(2);
        let kernels = if paired {
            Kernels::<u32>::of_pairs::<128, 3, 2>()
        } else {
            Kernels::<u32>::of::<128, 3, 2>()
        };
        let sorter = Sorter::new(case, kernels).with(paired, bits, usize::MAX);
        sorts_with(case, sorter, bits)
    });
}

/// A few tiles a launch, as sorts of very many keys are cut.
#[test]
fn sort_portions() {
    for_all("sort_portions", cases::PORTIONS, (256, 1500), |case| {
        let bits = all_bits::<u16>();
        let portion = 1 + (case.seed >> 16) as usize % 3;
        let sorter = Sorter::new(case, Kernels::<u16>::of_portions::<128, 2, 2>());
        sorts_with(case, sorter.with(false, bits, portion), bits)
    });
}

/// A sort in one block, with the values' indices or without.
fn sorts_in_a_block<K: Key, const PAIRED: bool>(case: &Case) -> Result<(), String> {
    const THREADS: usize = 128;
    const ITEMS: usize = 4;
    let keys = case.keys::<K>();
    let flip: K = case.flip();
    let bits = all_bits::<K>();
    let input = Buffer::from_slice(&keys).named("input");
    let output = Buffer::uninitialised(keys.len()).named("output");
    let index = Buffer::<u32>::uninitialised(keys.len()).named("index");
    let output = if case.in_place { &input } else { &output };
    let arg = Block {
        keys: Buffers {
            input: input.global(),
            output: output.global(),
            scratch: output.global(),
        },
        values: Buffers {
            input: index.global(),
            output: index.global(),
            scratch: index.global(),
        },
        n: keys.len() as u32,
        flip,
        bits,
        options: control::INDEX,
    };
    let shared = block::shared_bytes::<K>(THREADS, ITEMS);
    let options = case.options(1, THREADS as u32).named("block");
    launch(1, THREADS as u32, shared, &options, || unsafe {
        block::sort_block::<K, THREADS, ITEMS, PAIRED>(arg)
    })
    .map_err(|finding| finding.to_string())?;
    let mut expected: Vec<(K, u32)> = keys.into_iter().zip(0..).collect();
    expected.sort_by_key(|&(key, _)| key ^ flip);
    let (keys, indices): (Vec<K>, Vec<u32>) = expected.into_iter().unzip();
    if output.to_vec() != keys {
        return Err("the output is not the sorted input".to_owned());
    }
    if PAIRED && index.to_vec() != indices {
        return Err("the values are not their keys'".to_owned());
    }
    Ok(())
}

#[test]
fn sort_in_a_block() {
    for_all("sort_in_a_block", cases::BLOCK, (64, 512), |case| {
        sorts_in_a_block::<u8, false>(case)?;
        sorts_in_a_block::<u16, true>(case)
    });
}

#[test]
fn gather_and_codes() {
    for_all("gather_and_codes", cases::GATHER, (64, 600), |case| {
        let keys = case.keys::<u32>();
        let n = keys.len();
        let places: Vec<u32> = (0..n as u32).rev().collect();
        let (input, index) = (Buffer::from_slice(&keys), Buffer::from_slice(&places));
        let (output, codes) = (Buffer::uninitialised(n), Buffer::uninitialised(n));
        let (from, at, to) = (input.global(), index.global(), output.global());
        let code = codes.global();
        launch(2, 64, 0, &case.options(2, 64).named("gather"), || unsafe {
            gather::gather(from, at, to, n as u64)
        })
        .map_err(|finding| finding.to_string())?;
        let infinity = f32::INFINITY.to_bits();
        launch(3, 32, 0, &case.options(3, 32).named("codes"), || unsafe {
            gather::numeric_codes(from, code, n as u64, infinity)
        })
        .map_err(|finding| finding.to_string())?;
        if !output.to_vec().iter().eq(keys.iter().rev()) {
            return Err("gathered otherwise than the index says".to_owned());
        }
        let value = |bits: u32| f32::from_bits(bits);
        let coded = codes.to_vec();
        for i in 1..n {
            let (a, b) = (value(keys[i - 1]), value(keys[i]));
            let expected = match (a.is_nan(), b.is_nan()) {
                (false, false) => a.partial_cmp(&b),
                (a, b) => Some(a.cmp(&b)),
            };
            let flipped = |code: u32| code ^ (1 << 31);
            if Some(flipped(coded[i - 1]).cmp(&flipped(coded[i]))) != expected {
                return Err(format!("codes of {a} and {b} are out of order"));
            }
        }
        Ok(())
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
    kernel: unsafe fn(Global<K>, u64, K, u32, Global<u64>),
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
        kernel(input, keys.len() as u64, flip, 0, output)
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

/// Indices beside sorted keys, as they should be or with a few exchanged or lost.
fn verifies_values<K: Key>(
    case: &Case,
    kernel: unsafe fn(Global<K>, Global<K>, Global<u32>, u64, Global<u64>),
    grid: u32,
    threads: u32,
) -> Result<(), String> {
    let input = case.keys::<K>();
    let n = input.len();
    let mut values: Vec<u32> = (0..n as u32).collect();
    values.sort_by_key(|&i| input[i as usize]);
    let keys: Vec<K> = values.iter().map(|&i| input[i as usize]).collect();
    for fault in 0..case.seed as usize % 4 {
        let at = (fault * 7919 + case.seed as usize / 4) % n.max(1);
        if at + 1 < n {
            values.swap(at, at + 1);
        } else if n > 0 {
            values[at] = n as u32 + fault as u32;
        }
    }
    let of = |value: u32| input.get(value as usize).copied();
    let foreign = (0..n).filter(|&i| of(values[i]) != Some(keys[i])).count();
    let unstable = (1..n)
        .filter(|&i| keys[i - 1] == keys[i] && values[i - 1] >= values[i])
        .count();
    let result = Buffer::<u64>::zeroed(verify::WORDS);
    let (input, keys) = (Buffer::from_slice(&input), Buffer::from_slice(&keys));
    let values = Buffer::from_slice(&values);
    let (a, b, c, d) = (
        input.global(),
        keys.global(),
        values.global(),
        result.global(),
    );
    let options = case.options(grid, threads).named("verify_values");
    launch(grid, threads, 0, &options, || unsafe {
        kernel(a, b, c, n as u64, d)
    })
    .map_err(|finding| finding.to_string())?;
    let found = [result.read(verify::FOREIGN), result.read(verify::UNSTABLE)];
    if found == [foreign as u64, unstable as u64] {
        Ok(())
    } else {
        Err(format!("found {found:?}, not {foreign} and {unstable}"))
    }
}

#[test]
fn verify_values_kernel() {
    for_all("verify_values_kernel", cases::VALUES, (64, 700), |case| {
        let (grid, threads) = (1 + (case.seed % 3) as u32, 64);
        verifies_values(case, verify::verify_values::<u8>, grid, threads)?;
        verifies_values(case, verify::verify_values::<u32>, grid, threads)?;
        verifies_values(case, verify::verify_values::<u128>, grid, threads)
    });
}

/// The entry points, as devices run them. In order and with patience: to count a
/// tile of this size from the input, a thread a digit, takes too long.
#[test]
fn entry_points() {
    use policy::onesweep::{KEYS_U32, KEYS_U32_FEW, PAIRS_U32_FEW};
    let pass_shared =
        |shape: Shape| onesweep::shared_bytes::<u32>(shape.threads, shape.items, false);
    let shared = |bytes| policy::histogram_shared_bytes(4, bytes);
    let few = Kernels {
        tile: KEYS_U32_FEW.tile(),
        histogram_threads: policy::HISTOGRAM_THREADS as u32,
        histogram_shared: shared(policy::HISTOGRAM_BYTES_SMALL),
        histogram: |a| unsafe {
            let Bits { begin, end } = a.bits;
            entries::histogram_small_u32(
                a.input, a.control, a.n, a.tiles, a.flip, begin, end, a.options,
            )
        },
        pass_threads: KEYS_U32_FEW.threads as u32,
        pass_shared: pass_shared(KEYS_U32_FEW),
        pass: |a| unsafe {
            let Buffers {
                input,
                output,
                scratch,
            } = a.keys;
            entries::onesweep_keys_few_u32(
                input,
                output,
                scratch,
                a.control,
                a.n,
                a.place,
                a.shift,
                a.mask,
                a.flip,
                a.portion,
                a.first_tile,
                a.options,
            )
        },
    };
    let many = Kernels {
        tile: KEYS_U32.tile(),
        histogram_shared: shared(policy::HISTOGRAM_BYTES_LARGE),
        histogram: |a| unsafe {
            let Bits { begin, end } = a.bits;
            entries::histogram_large_u32(
                a.input, a.control, a.n, a.tiles, a.flip, begin, end, a.options,
            )
        },
        pass_threads: KEYS_U32.threads as u32,
        pass_shared: pass_shared(KEYS_U32),
        pass: |a| unsafe {
            let Buffers {
                input,
                output,
                scratch,
            } = a.keys;
            entries::onesweep_keys_u32(
                input,
                output,
                scratch,
                a.control,
                a.n,
                a.place,
                a.shift,
                a.mask,
                a.flip,
                a.portion,
                a.first_tile,
                a.options,
            )
        },
        ..few
    };
    let pairs = Kernels {
        tile: PAIRS_U32_FEW.tile(),
        pass_threads: PAIRS_U32_FEW.threads as u32,
        pass_shared: onesweep::shared_bytes::<u32>(
            PAIRS_U32_FEW.threads,
            PAIRS_U32_FEW.items,
            true,
        ),
        pass: |a| unsafe {
            let (keys, values) = (a.keys, a.values);
            entries::onesweep_pairs_few_u32(
                keys.input,
                keys.output,
                keys.scratch,
                values.input,
                values.output,
                values.scratch,
                a.control,
                a.n,
                a.place,
                a.shift,
                a.mask,
                a.flip,
                a.portion,
                a.first_tile,
                a.options,
            )
        },
        ..few
    };
    let sizes = (KEYS_U32_FEW.tile(), 2 * KEYS_U32.tile() + 5);
    for_all("entry_points", cases::ENTRIES, sizes, |case| {
        let case = Case {
            patient: true,
            ..*case
        };
        sorts(&case, few)?;
        sorts(&case, many)?;
        let bits = all_bits::<u32>();
        let sorter = Sorter::new(&case, pairs).with(true, bits, usize::MAX);
        sorts_with(&case, sorter, bits)?;
        let Shape { threads, items, .. } = policy::MERGE;
        let shared = merge::shared_bytes::<u32>(threads, items);
        merges(&case, entries::merge_u32, threads * items, threads, shared)?;
        let threads = policy::VERIFY.threads as u32;
        verifies(&case, entries::verify_u32, 2, threads)?;
        verifies_values(&case, entries::verify_values_u32, 2, threads)
    });
}
