//! Kernels by themselves: what each is given, and what it has to make of it.

use crate::case::Emulated;
use cuda_std::emu::{Buffer, Options, launch};
use cuda_std::word::Word;
use gpu_kernels::block::Block;
use gpu_kernels::control;
use gpu_kernels::entry::Entry;
use gpu_kernels::gather::{Gather, NumericCodes};
use gpu_kernels::key::{Bits, Key};
use gpu_kernels::merge::Merge;
use gpu_kernels::policy::Shape;
use gpu_kernels::verify::{self, Verify, VerifyValues};
use sort_cases::{Case, Kind};

/// How a kernel is launched.
#[derive(Clone, Copy, Default)]
pub struct Geometry {
    pub threads: usize,
    /// Keys of a block.
    pub tile: usize,
    pub shared_bytes: usize,
    /// Whether a host launches it before the kernel before it has ended.
    pub early: bool,
}

impl Geometry {
    /// As hosts launch it.
    pub fn of<A>(entry: &Entry<A>) -> Self {
        Geometry {
            threads: entry.shape.threads,
            tile: entry.shape.tile(),
            shared_bytes: entry.shared_bytes,
            early: false,
        }
    }

    /// Of a shape that takes so many bytes of shared memory.
    pub const fn of_shape(shape: Shape, shared_bytes: usize) -> Self {
        Geometry { threads: shape.threads, tile: shape.tile(), shared_bytes, early: false }
    }
}

/// Runs `kernel` in so many blocks under the case's schedule.
pub fn run(
    case: &Case,
    name: &str,
    grid: usize,
    geometry: Geometry,
    kernel: impl Fn(),
) -> Result<(), String> {
    let (grid, block) = (grid as u32, geometry.threads as u32);
    let options = Options { early: geometry.early, ..case.options(grid, block).named(name) };
    launch(grid, block, geometry.shared_bytes, &options, kernel)
        .map(|_| ())
        .map_err(|finding| finding.to_string())
}

/// The first keys of the case, no more than a block takes, sorted in one block; by a
/// kernel of pairs, with indices or with values of the case's choice.
pub fn sorts_in_a_block<K: Key>(
    case: &Case,
    kernel: unsafe fn(Block<K>),
    geometry: Geometry,
    paired: bool,
) -> Result<(), String> {
    let mut keys = case.words::<K>();
    keys.truncate(geometry.tile);
    let n = keys.len();
    let indexed = case.seed.is_multiple_of(2);
    let values: Vec<u32> = if indexed { (0..n as u32).collect() } else { case.some_words(n, 3) };
    let order_mask: K = case.order_mask();
    let begin = case.bits.0 % K::BITS;
    let bits = Bits {
        begin,
        // All of them where the case has all of its own.
        end: begin + 1 + (case.bits.1 - 1) % (K::BITS - begin),
    };
    let (input, output) = buffers("keys", Buffer::from_slice(&keys));
    let (input_values, output_values) = buffers(
        "values",
        if indexed { Buffer::uninitialised(n) } else { Buffer::from_slice(&values) },
    );
    let (output, output_values) =
        if case.in_place { (&input, &input_values) } else { (&output, &output_values) };
    let arg = Block {
        input: input.global(),
        output: output.global(),
        input_values: input_values.global(),
        output_values: output_values.global(),
        n: n as u32,
        order_mask,
        bits,
        options: match (paired, bits.end - bits.begin == K::BITS) {
            (true, _) if indexed => control::INDEX,
            (false, true) if indexed => control::ALLOW_ATOMICS,
            _ => 0,
        },
    };
    run(case, "block", 1, geometry, || unsafe { kernel(arg) })?;
    let rank =
        |key: K| ((key ^ order_mask) << (K::BITS - bits.end)) >> (K::BITS - bits.end + begin);
    let mut expected: Vec<(K, u32)> = keys.into_iter().zip(values).collect();
    expected.sort_by_key(|&(key, _)| rank(key));
    let (keys, values): (Vec<K>, Vec<u32>) = expected.into_iter().unzip();
    if output.to_vec() != keys {
        return Err("the output is not the sorted input".to_owned());
    }
    if paired && output_values.to_vec() != values {
        return Err("the values are not their keys'".to_owned());
    }
    Ok(())
}

/// `input` under its name, and an output of its length.
fn buffers<T: Word>(name: &'static str, input: Buffer<T>) -> (Buffer<T>, Buffer<T>) {
    let output = Buffer::uninitialised(input.len()).named("output");
    (input.named(name), output)
}

pub fn merges<K: Key>(
    case: &Case,
    kernel: unsafe fn(Merge<K>),
    geometry: Geometry,
) -> Result<(), String> {
    let order_mask: K = case.order_mask();
    let key = case.key_of::<K>();
    let magnitude = match key.is_float() {
        true => !K::default() >> 1,
        false => K::default(),
    };
    let rank = |word: &K| {
        let rank = key.rank(word.to_u128());
        if case.descending { !rank } else { rank }
    };
    let a_len = (case.seed >> 8) as usize % (case.n + 1);
    let b_len = case.n - a_len;
    let sorted = |len, stream| {
        let mut keys = case.some_words::<K>(len, stream);
        keys.sort_by_key(rank);
        keys
    };
    let (a, b) = (sorted(a_len, 1), sorted(b_len, 2));
    let merged = Buffer::uninitialised(case.n).named("output");
    let (from_a, from_b) = (Buffer::from_slice(&a).named("a"), Buffer::from_slice(&b).named("b"));
    let (first, second, output) = (from_a.global(), from_b.global(), merged.global());
    let grid = case.n.div_ceil(geometry.tile);
    run(case, "merge", grid, geometry, || unsafe {
        let (a_len, b_len) = (a_len as u32, b_len as u32);
        kernel(Merge { a: first, a_len, b: second, b_len, output, order_mask, magnitude })
    })?;
    let mut expected = [a, b].concat();
    expected.sort_by_key(rank);
    if merged.to_vec() == expected {
        Ok(())
    } else {
        Err(format!("{a_len} and {b_len} keys merged wrongly"))
    }
}

pub fn verifies<K: Key>(
    case: &Case,
    kernel: unsafe fn(Verify<K>),
    (grid, geometry): (usize, Geometry),
) -> Result<(), String> {
    let keys = case.words::<K>();
    let order_mask: K = case.order_mask();
    // Even cases are of floating-point numbers, in total order.
    let encodes = case.seed.is_multiple_of(2);
    let options = if encodes { control::ENCODE } else { 0 };
    let rank = |key: K| if encodes { key.encode() } else { key } ^ order_mask;
    let (array, result) = (Buffer::from_slice(&keys), Buffer::<u64>::zeroed(verify::WORDS));
    let (input, output) = (array.global(), result.global());
    run(case, "verify", grid, geometry, || unsafe {
        kernel(Verify { keys: input, n: keys.len() as u64, order_mask, options, result: output })
    })?;
    let disordered = keys.windows(2).filter(|pair| rank(pair[0]) > rank(pair[1])).count();
    let hash = keys.iter().fold(0u64, |sum, &key| sum.wrapping_add(verify::hash(key)));
    let found = [result.read(verify::DISORDERED), result.read(verify::HASH)];
    if found == [disordered as u64, hash] {
        Ok(())
    } else {
        Err(format!("found {found:?}, not {disordered} and {hash}"))
    }
}

/// Indices beside sorted keys, as they should be or with a few exchanged or lost.
pub fn verifies_values<K: Key>(
    case: &Case,
    kernel: unsafe fn(VerifyValues<K>),
    (grid, geometry): (usize, Geometry),
) -> Result<(), String> {
    let input = case.words::<K>();
    let n = input.len();
    let mut values: Vec<u32> = (0..n as u32).collect();
    values.sort_by_key(|&i| input[i as usize]);
    let keys: Vec<K> = values.iter().map(|&i| input[i as usize]).collect();
    for fault in 0..case.seed as usize % 4 {
        let at = (fault * 7919 + (case.seed / 4) as usize % n) % n;
        if at + 1 < n {
            values.swap(at, at + 1);
        } else {
            values[at] = n as u32 + fault as u32;
        }
    }
    let of = |value: u32| input.get(value as usize).copied();
    let foreign = (0..n).filter(|&i| of(values[i]) != Some(keys[i])).count();
    let unstable = (1..n).filter(|&i| keys[i - 1] == keys[i] && values[i - 1] >= values[i]).count();
    let result = Buffer::<u64>::zeroed(verify::WORDS);
    let (input, keys) = (Buffer::from_slice(&input), Buffer::from_slice(&keys));
    let values = Buffer::from_slice(&values);
    let (from, sorted) = (input.global(), keys.global());
    let (indices, output) = (values.global(), result.global());
    run(case, "verify_values", grid, geometry, || unsafe {
        kernel(VerifyValues {
            input: from,
            keys: sorted,
            values: indices,
            n: n as u64,
            result: output,
        })
    })?;
    let found = [result.read(verify::FOREIGN), result.read(verify::UNSTABLE)];
    if found == [foreign as u64, unstable as u64] {
        Ok(())
    } else {
        Err(format!("found {found:?}, not {foreign} and {unstable}"))
    }
}

/// Fetches the elements backwards.
pub fn gathers<T: Key>(
    case: &Case,
    kernel: unsafe fn(Gather<T>),
    (grid, geometry): (usize, Geometry),
) -> Result<(), String> {
    let elements = case.words::<T>();
    let places: Vec<u32> = (0..elements.len() as u32).rev().collect();
    let (input, index) = (Buffer::from_slice(&elements), Buffer::from_slice(&places));
    let output = Buffer::uninitialised(elements.len());
    let (from, at, to) = (input.global(), index.global(), output.global());
    run(case, "gather", grid, geometry, || unsafe {
        kernel(Gather { input: from, index: at, output: to, n: elements.len() as u64 })
    })?;
    if output.to_vec().iter().eq(elements.iter().rev()) {
        Ok(())
    } else {
        Err("gathered otherwise than the index says".to_owned())
    }
}

/// The codes of the case's floating-point numbers ascend with their values.
pub fn codes<K: Key>(
    case: &Case,
    kernel: unsafe fn(NumericCodes<K>),
    (grid, geometry): (usize, Geometry),
) -> Result<(), String> {
    let Kind::Float { infinity } = case.key.kind else {
        return Err(format!("{} has no infinity", case.key.name));
    };
    let keys = case.words::<K>();
    let (input, output) = (Buffer::from_slice(&keys), Buffer::uninitialised(keys.len()));
    let (from, to) = (input.global(), output.global());
    run(case, "codes", grid, geometry, || unsafe {
        kernel(NumericCodes {
            keys: from,
            codes: to,
            n: keys.len() as u64,
            infinity: K::from_u128(infinity),
        })
    })?;
    let rank = |code: K| code.to_u128() ^ case.key.sign();
    let mut pairs: Vec<(u128, u128)> = keys
        .iter()
        .zip(output.to_vec())
        .map(|(key, code)| (case.key.numeric_rank(key.to_u128()), rank(code)))
        .collect();
    pairs.sort();
    for two in pairs.windows(2) {
        let ((value, code), (next_value, next_code)) = (two[0], two[1]);
        if (value < next_value) != (code < next_code) {
            return Err(format!("codes {code:#x} and {next_code:#x} of unlike order"));
        }
    }
    Ok(())
}
