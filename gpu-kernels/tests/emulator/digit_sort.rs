//! Sorts by a pass over the top digit, and each digit locally: the local sort alone, and all of it.

use crate::alone::{Kernel, check_sorted};
use crate::case::{Emulated, TYPES, both_ways, draws};
use crate::cases;
use crate::sorter::{Kernels, Sorter, behind};
use cuda_std::emu::Buffer;
use gpu_kernels::control;
use gpu_kernels::digit_sort;
use gpu_kernels::key::{DIGIT_BITS, Key, RADIX};
use gpu_kernels::local_sort::LocalSort;
use gpu_kernels::policy::Shape;
use sort_cases::{Case, KeyType, Payload};

/// A local sort by words `W` in a small shape.
fn local<K: Key, W: Key, const ITEMS: usize, const PAIRED: bool>() -> Kernel<LocalSort<K>> {
    let shape = Shape::new(128, ITEMS, 1);
    let run = digit_sort::by_rounds::<K, W, 128, ITEMS, PAIRED>;
    Kernel::of_shape(run, shape, digit_sort::shared_bytes::<W>(shape)).early()
}

/// A local sort of pairs by bins in a small shape.
fn by_bins<const ITEMS: usize>() -> Kernel<LocalSort<u32>> {
    let shape = Shape::new(128, ITEMS, 1);
    let run = digit_sort::pairs_by_bins::<u32, u64, 128, ITEMS>;
    Kernel::of_shape(run, shape, digit_sort::shared_bytes_of_bins::<u32, u64>(shape)).early()
}

/// Blocks of the local sort alone: as many digits have keys.
const DIGITS: usize = 4;

/// The bits of `rank` below the top digit, with that digit.
fn in_digit<K: Key>(digit: usize, rank: K) -> K {
    let lower = !K::from_u64(0) >> DIGIT_BITS;
    K::from_u64(digit as u64) << (K::BITS - DIGIT_BITS) | rank & lower
}

/// Ranks by digit. The last digit has as many as the block just holds. Of some cases of wide keys
/// no two differ in what the first rounds are by.
fn ranks_by_digit<K: Key>(case: &Case, tile: usize) -> Vec<Vec<K>> {
    let mut digits = vec![Vec::new(); DIGITS];
    for rank in case.words::<K>() {
        let digit = rank.digit(K::BITS - DIGIT_BITS, RADIX as u32 - 1, 0) as usize % (DIGITS - 1);
        if digits[digit].len() < tile {
            digits[digit].push(in_digit(digit, rank));
        }
    }
    let fills = case.some_words::<K>(tile, 5).into_iter();
    digits[DIGITS - 1].extend(fills.map(|rank| in_digit(DIGITS - 1, rank)));
    if K::BITS > 32 && (case.seed >> 12).is_multiple_of(3) {
        let kept = !K::from_u64(0) >> 32;
        for (digit, ranks) in digits.iter_mut().enumerate() {
            ranks.iter_mut().for_each(|rank| *rank = in_digit(digit, *rank & kept));
        }
    }
    digits
}

/// The local sort of keys that stand by top digit already.
pub fn sorts_digits<K: Key>(
    case: &Case,
    kernel: Kernel<LocalSort<K>>,
    paired: bool,
) -> Result<(), String> {
    let order_mask: K = case.order_mask();
    let digits = ranks_by_digit::<K>(case, kernel.tile);
    let control = Buffer::from_slice(&vec![0; control::table(K::DIGITS)]).named("control");
    control.write(control::LOCALLY, 1);
    let mut start = 0;
    for digit in 0..RADIX {
        let word = control::starts(K::DIGITS, 0) + 2 * ((K::DIGITS - 1) * RADIX + digit);
        control.write(word, start as u32);
        start += digits.get(digit).map_or(0, Vec::len);
    }
    let coded: Vec<K> = digits.into_iter().flatten().map(|rank| rank ^ order_mask).collect();
    let keys: Vec<K> = coded.iter().map(|&coded| case.code(coded)).collect();
    let values: Vec<u32> = case.some_words(keys.len(), 2);
    let held = Buffer::from_slice(&coded).named("keys");
    let held_values = Buffer::from_slice(&values).named("values");
    let output = Buffer::uninitialised(keys.len()).named("output");
    let output_values = Buffer::uninitialised(keys.len()).named("output values");
    let (output, output_values) =
        if case.in_place { (&held, &held_values) } else { (&output, &output_values) };
    let arg = LocalSort {
        keys: held.global(),
        output: output.global(),
        values: held_values.global(),
        output_values: output_values.global(),
        control: control.global(),
        starts: control.global(),
        n: keys.len() as u32,
        order_mask,
        options: if case.encodes() { control::ENCODE } else { 0 },
    };
    kernel.launch(case, "sort_digit", DIGITS, arg)?;
    let found = paired.then(|| output_values.to_vec());
    check_sorted((&keys, &values), |key| case.rank(key), &output.to_vec(), found.as_deref())
}

#[test]
fn digit_sort_alone() {
    for key in TYPES {
        draws("digit_sort_alone", cases::LOCAL, (128, 700)).of(key, |case| {
            match (key.bits, case.seed % 4) {
                (32, 0) => sorts_digits(case, local::<u32, u64, 2, true>(), true),
                (32, 2) => sorts_digits(case, by_bins::<5>(), true),
                (32, _) => sorts_digits(case, local::<u32, u32, 3, false>(), false),
                _ => sorts_digits(case, local::<u64, u64, 2, false>(), false),
            }
        });
    }
}

/// Sorts `keys` by the histogram, the passes and the local sort. Returns whether locally.
fn sorts_keys<K: Key>(
    case: &Case,
    keys: &[K],
    (kernels, local): (Kernels<K>, Kernel<LocalSort<K>>),
) -> Result<bool, String> {
    let paired = kernels.paired;
    let mut sorter = Sorter::new(case, kernels);
    sorter.held = local.tile as u32;
    let values: Vec<u32> = case.some_words(keys.len(), 2);
    let plan = |input: &_, indexed, _| sorter.plan(input, 0, indexed);
    let after = |pass| local.launch(case, "sort_digit", RADIX, behind(pass, pass.control, true));
    let given = paired && case.payload != Payload::Index;
    let given = given.then_some(values.as_slice());
    let (sorted, order) = sorter.sort_around(keys, given, plan, after)?;
    let rank = |key: K| case.rank(key);
    let indices: Vec<u32> = (0..keys.len() as u32).collect();
    let found = paired.then_some(order.as_slice());
    check_sorted((keys, given.unwrap_or(&indices)), rank, &sorted, found)?;
    let locally = sorter.control.read(control::LOCALLY) != 0;
    let mut counts = [0; RADIX];
    for &key in keys {
        counts[rank(key).digit(K::BITS - DIGIT_BITS, RADIX as u32 - 1, 0) as usize] += 1;
    }
    let differing = keys.iter().fold(K::from_u64(0), |bits, &key| bits | rank(key) ^ rank(keys[0]));
    let digit = |position| differing.digit(8 * position, RADIX as u32 - 1, 0);
    let varying = (0..K::DIGITS as u32).filter(|&position| digit(position) != 0).count();
    let fits = varying >= 4 && counts.iter().all(|&count| count <= local.tile);
    if locally != fits {
        return Err(format!("sorted locally: {locally}, where it should be: {fits}"));
    }
    Ok(locally)
}

fn sorts_u32(case: &Case, keys: &[u32]) -> Result<bool, String> {
    let case = Case { bits: (0, 32), numeric: false, ..*case };
    match case.payload {
        Payload::None => {
            let passes = Kernels::of_keys::<128, 2, 2>();
            sorts_keys(&case, keys, (passes, local::<u32, u32, 1, false>()))
        }
        _ => {
            let local = match case.seed.is_multiple_of(2) {
                true => by_bins::<1>(),
                false => local::<u32, u64, 1, true>(),
            };
            sorts_keys(&case, keys, (Kernels::of_pairs::<128, 3, 1>(), local))
        }
    }
}

fn sorts_u64(case: &Case, keys: &[u64]) -> Result<bool, String> {
    let case = Case { bits: (0, 64), numeric: false, payload: Payload::None, ..*case };
    let passes = Kernels::of_keys::<128, 2, 2>();
    sorts_keys(&case, keys, (passes, local::<u64, u64, 2, false>()))
}

#[test]
fn digit_sort() {
    let draws = draws("digit_sort", cases::BUCKET_SORT, (256, 3000));
    both_ways(draws, 5, |case| match case.key.bits {
        32 => sorts_u32(case, &case.words()),
        _ => sorts_u64(case, &case.words()),
    });
}

/// Keys of one value a digit, which are contended in every round; and of one value below all.
#[test]
fn equal_keys_of_a_digit_are_sorted_locally() {
    let case = Case::uniform(KeyType::U32, 4000, 1);
    let digits: Vec<u32> = case.words::<u32>().iter().map(|&key| key >> 24).collect();
    let keys: Vec<u32> = digits.iter().map(|&digit| digit * 0x0101_0101).collect();
    assert_eq!(sorts_u32(&case, &keys), Ok(true));
    let keys: Vec<u32> = digits.iter().map(|&digit| digit << 24).collect();
    assert_eq!(sorts_u32(&case, &keys), Ok(false));
    let case = Case::uniform(KeyType::U64, 4000, 1);
    let keys = digits.iter().map(|&digit| u64::from(digit) * 0x0101_0101_0101_0101);
    assert_eq!(sorts_u64(&case, &keys.collect::<Vec<u64>>()), Ok(true));
}

/// Pairs of a digit that a block just holds, by bins, and one more. Keys come several times each,
/// in bins that are not crowded.
#[test]
fn a_digit_as_large_as_its_block_is_sorted_by_bins() {
    for more in 0..2 {
        let of_digit = 5 * 128 + more;
        let case = Case { payload: Payload::Value(4), ..Case::uniform(KeyType::U32, 4000, 1) };
        let mut keys = case.words::<u32>();
        for (i, key) in keys.iter_mut().enumerate() {
            let digit = if i < of_digit { 0 } else { 1 + i as u32 % 255 };
            *key = digit << 24 | (i as u32 % 200).wrapping_mul(0x9e37_79b1) >> 8;
        }
        let order = case.some_words::<u32>(keys.len(), 7);
        let mut places: Vec<usize> = (0..keys.len()).collect();
        places.sort_by_key(|&i| order[i]);
        let keys: Vec<u32> = places.iter().map(|&i| keys[i]).collect();
        let kernels = (Kernels::of_pairs::<128, 3, 1>(), by_bins::<5>());
        assert_eq!(sorts_keys(&case, &keys, kernels), Ok(more == 0));
    }
}
