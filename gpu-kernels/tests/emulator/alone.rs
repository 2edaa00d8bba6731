//! Kernels by themselves: what each is given, and what it has to make of it.

use crate::case::Emulated;
use cuda_std::emu::{Buffer, MemoryModel, Options, Stats, launch};
use cuda_std::ext::Word;
use gpu_kernels::block::Block;
use gpu_kernels::control;
use gpu_kernels::entry::Entry;
use gpu_kernels::gather::{Gather, NumericCodes};
use gpu_kernels::key::{Bits, Key};
use gpu_kernels::merge::Merge;
use gpu_kernels::policy::Shape;
use gpu_kernels::ranks::Ranks;
use gpu_kernels::tile::{Buffers, WholeSort};
use gpu_kernels::verify::{self, Verify, VerifyValues};
use sort_cases::{Case, KeyType, Kind};

/// A kernel, and how it is launched.
#[derive(Clone, Copy)]
pub struct Kernel<A> {
    pub run: unsafe fn(A),
    pub threads: usize,
    /// Keys of a block.
    pub tile: usize,
    pub shared_bytes: usize,
    /// True if a host launches it before the kernel before it has ended.
    pub early: bool,
}

impl<A: Copy> Kernel<A> {
    /// As hosts launch it.
    pub fn of(entry: &Entry<A>, run: unsafe fn(A)) -> Self {
        Self::of_shape(run, entry.shape, entry.shared_bytes)
    }

    pub fn of_shape(run: unsafe fn(A), shape: Shape, shared_bytes: usize) -> Self {
        Kernel { run, threads: shape.threads, tile: shape.tile(), shared_bytes, early: false }
    }

    pub fn early(self) -> Self {
        Kernel { early: true, ..self }
    }

    /// Launches so many blocks under the case's schedule.
    pub fn launch(&self, case: &Case, name: &str, grid: usize, arg: A) -> Result<(), String> {
        let options = case.options(grid as u32, self.threads as u32).named(name);
        self.launch_as(&Options { early: self.early, ..options }, grid, arg).map(|_| ())
    }

    /// Launches so many blocks with these options.
    pub fn launch_as(&self, options: &Options, grid: usize, arg: A) -> Result<Stats, String> {
        let Kernel { run, threads, shared_bytes, .. } = *self;
        launch(grid as u32, threads as u32, shared_bytes, options, || unsafe { run(arg) })
            .map_err(|finding| finding.to_string())
    }
}

/// Compares what a sort has made of keys, and of their values if any are `found`, with the stable
/// order by `rank`.
pub fn check_sorted<K: Key, R: Ord>(
    (keys, values): (&[K], &[u32]),
    rank: impl Fn(K) -> R,
    sorted: &[K],
    found: Option<&[u32]>,
) -> Result<(), String> {
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by_key(|&i| rank(keys[i]));
    if !order.iter().map(|&i| &keys[i]).eq(sorted) {
        return Err("the output is not the sorted input".to_owned());
    }
    match found {
        Some(found) if !order.iter().map(|&i| &values[i]).eq(found) => {
            Err("the values are not their keys'".to_owned())
        }
        _ => Ok(()),
    }
}

/// The arrays of a sort: of its keys, or of its values.
pub struct Arrays<T> {
    pub input: Buffer<T>,
    apart: Buffer<T>,
    pub scratch: Buffer<T>,
    in_place: bool,
}

impl<T: Word> Arrays<T> {
    pub fn of_keys(input: Buffer<T>, in_place: bool) -> Self {
        Self::named(input, in_place, ["input", "output", "scratch"])
    }

    pub fn of_values(input: Buffer<T>, in_place: bool) -> Self {
        Self::named(input, in_place, ["input values", "output values", "scratch values"])
    }

    fn named(input: Buffer<T>, in_place: bool, names: [&'static str; 3]) -> Self {
        let [apart, scratch] = [1, 2].map(|i| Buffer::uninitialised(input.len()).named(names[i]));
        Arrays { input: input.named(names[0]), apart, scratch, in_place }
    }

    pub fn output(&self) -> &Buffer<T> {
        if self.in_place { &self.input } else { &self.apart }
    }

    pub fn buffers(&self) -> Buffers<T> {
        Buffers {
            input: self.input.global(),
            output: self.output().global(),
            scratch: self.scratch.global(),
        }
    }
}

/// A sort of all bits of keys by kernels of their own: what it is given, and what it has to make
/// of it.
pub struct Whole<'a, K> {
    case: &'a Case,
    keys: &'a [K],
    /// With values, which may be indices.
    paired: bool,
    drawn: Vec<u32>,
    of_keys: Arrays<K>,
    of_values: Arrays<u32>,
}

impl<'a, K: Key> Whole<'a, K> {
    pub fn new(case: &'a Case, keys: &'a [K], paired: bool) -> Self {
        let n = keys.len();
        let drawn = match indexed(case, paired) {
            true => (0..n as u32).collect(),
            false => case.some_words(n, 3),
        };
        let values = Buffer::from_slice(&drawn[..if paired { n } else { 0 }]);
        let of_keys = Arrays::of_keys(Buffer::from_slice(keys), case.in_place);
        let of_values = Arrays::of_values(values, case.in_place);
        Whole { case, keys, paired, drawn, of_keys, of_values }
    }

    pub fn arg(&self, control: &Buffer<u32>) -> WholeSort<K> {
        let options = [
            (self.case.encodes(), control::ENCODE),
            (self.case.in_place, control::IN_PLACE),
            (indexed(self.case, self.paired), control::INDEX),
        ];
        WholeSort {
            keys: self.of_keys.buffers(),
            values: self.of_values.buffers(),
            control: control.global(),
            n: self.keys.len() as u32,
            order_mask: self.case.order_mask(),
            options: options.iter().filter(|(is, _)| *is).map(|(_, option)| option).sum(),
        }
    }

    /// Compares the output with the sorted keys, and the input with what it was.
    pub fn check(&self) -> Result<(), String> {
        let Whole { case, keys, paired, drawn, of_keys, of_values } = self;
        let found = paired.then(|| of_values.output().to_vec());
        let rank = |key| case.rank(key);
        check_sorted((keys, drawn), rank, &of_keys.output().to_vec(), found.as_deref())?;
        let values = &drawn[..of_values.input.len()];
        if !case.in_place && (of_keys.input.to_vec() != *keys || of_values.input.to_vec() != values)
        {
            return Err("the input has changed".to_owned());
        }
        Ok(())
    }
}

/// Returns true if the values of a sort with any are indices, which it may make by itself.
fn indexed(case: &Case, paired: bool) -> bool {
    paired && case.seed.is_multiple_of(3)
}

/// A schedule of this number in which all of so many blocks are on the device.
pub fn roomy(seed: u64, blocks: usize, threads: usize) -> Options {
    let memory = [MemoryModel::StaleReads, MemoryModel::StoreBuffers];
    Options {
        resident: blocks as u32,
        impatience: 0,
        memory: memory[seed as usize % 2],
        ..Options::any(seed, blocks as u32, threads as u32)
    }
}

/// Uniform keys of 64 bits, in place or not.
pub fn uniform(seed: u64, n: usize) -> Case {
    Case { in_place: seed.is_multiple_of(2), ..Case::uniform(KeyType::U64, n, seed) }
}

/// The first keys of the case, no more than a block takes, sorted in one block; by a kernel of
/// pairs, with indices or with values of the case's choice.
pub fn sorts_in_a_block<K: Key>(
    case: &Case,
    kernel: Kernel<Block<K>>,
    paired: bool,
) -> Result<(), String> {
    let mut keys = case.words::<K>();
    keys.truncate(kernel.tile);
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
    kernel.launch(case, "block", 1, arg)?;
    let rank =
        |key: K| ((key ^ order_mask) << (K::BITS - bits.end)) >> (K::BITS - bits.end + begin);
    let found = paired.then(|| output_values.to_vec());
    check_sorted((&keys, &values), rank, &output.to_vec(), found.as_deref())
}

/// `input` under its name, and an output of its length.
fn buffers<T: Word>(name: &'static str, input: Buffer<T>) -> (Buffer<T>, Buffer<T>) {
    let output = Buffer::uninitialised(input.len()).named("output");
    (input.named(name), output)
}

/// The bits that the encoding of the case's keys complements where the highest is set.
fn magnitude<K: Key>(case: &Case) -> K {
    match case.key_of::<K>().is_float() {
        true => !K::default() >> 1,
        false => K::default(),
    }
}

/// The word by which the case's keys ascend as unsigned integers.
fn ordered<K: Key>(case: &Case, key: K) -> K {
    key ^ (key.sign() & magnitude(case)) ^ case.order_mask()
}

/// Two runs of the case's keys, by a kernel of pairs with values of their own. The first keys of
/// the output are merged where no more of the runs is there than that takes.
pub fn merges<K: Key>(case: &Case, kernel: Kernel<Merge<K>>, paired: bool) -> Result<(), String> {
    let a_len = (case.seed >> 8) as usize % (case.n + 1);
    let b_len = case.n - a_len;
    let sorted = |len, stream| {
        let mut keys = case.some_words::<K>(len, stream);
        keys.sort_by_key(|&key| ordered(case, key));
        keys
    };
    let (a, b) = (sorted(a_len, 1), sorted(b_len, 2));
    let values = case.some_words::<u32>(if paired { case.n } else { 0 }, 3);
    let (a_values, b_values) = values.split_at(a_len.min(values.len()));
    let output_values = Buffer::uninitialised(values.len()).named("output values");
    let output = Buffer::uninitialised(case.n).named("output");
    let cut = (case.seed >> 24) as usize % (case.n + 1);
    for (first, end) in [(0, cut), (cut, case.n)] {
        let (a, b) = (&a[..a_len.min(end)], &b[..b_len.min(end)]);
        let (from_a, from_b) = (Buffer::from_slice(a).named("a"), Buffer::from_slice(b).named("b"));
        let of_a = Buffer::from_slice(a_values).named("values of a");
        let of_b = Buffer::from_slice(b_values).named("values of b");
        let arg = Merge {
            a: from_a.global(),
            a_len: a_len as u32,
            b: from_b.global(),
            b_len: b_len as u32,
            output: output.global(),
            first: first as u32,
            end: end as u32,
            a_values: of_a.global(),
            b_values: of_b.global(),
            output_values: output_values.global(),
            order_mask: case.order_mask(),
            magnitude: magnitude(case),
        };
        kernel.launch(case, "merge", (end - first).div_ceil(kernel.tile), arg)?;
    }
    let keys = [a, b].concat();
    let found = paired.then(|| output_values.to_vec());
    let rank = |key: K| ordered(case, key);
    check_sorted((&keys, &values), rank, &output.to_vec(), found.as_deref())
        .map_err(|wrong| format!("{a_len} and {b_len} keys: {wrong}"))
}

/// Candidates for the highest bits, for some bits below them, and for the lowest, of a few of the
/// case's keys.
pub fn ranks<K: Key>(case: &Case, grid: usize, kernel: Kernel<Ranks<K>>) -> Result<(), String> {
    let mut keys = case.words::<K>();
    keys.sort_by_key(|&key| ordered(case, key));
    let bits = 1 + (case.seed % 7) as u32;
    for shift in [K::BITS - bits, (K::BITS - bits) / 2, 0] {
        let low = |word: K| match bits + shift {
            all if all == K::BITS => K::default(),
            below => word >> below << below,
        };
        let lows: Vec<K> = (0..3)
            .map(|i| low(ordered(case, keys[(case.seed as usize >> 8) * i % keys.len()])))
            .collect();
        let (array, low_words) = (Buffer::from_slice(&keys), Buffer::from_slice(&lows));
        let ranks = Buffer::<u32>::uninitialised(lows.len() << bits);
        let arg = Ranks {
            keys: array.global(),
            n: keys.len() as u32,
            lows: low_words.global(),
            count: lows.len() as u32,
            bits,
            shift,
            order_mask: case.order_mask(),
            magnitude: magnitude(case),
            ranks: ranks.global(),
        };
        kernel.launch(case, "ranks", grid, arg)?;
        let candidates = lows.iter().flat_map(|&low| {
            (0..1u64 << bits).map(move |candidate| low | K::from_u64(candidate) << shift)
        });
        let below = |word: K| keys.iter().filter(|&&key| ordered(case, key) < word).count() as u32;
        if !candidates.map(below).eq(ranks.to_vec()) {
            return Err(format!("wrong ranks of {bits} bits from {shift} on"));
        }
    }
    Ok(())
}

pub fn verifies<K: Key>(case: &Case, grid: usize, kernel: Kernel<Verify<K>>) -> Result<(), String> {
    let keys = case.words::<K>();
    let order_mask: K = case.order_mask();
    // Even cases are of floating-point numbers, in total order.
    let encodes = case.seed.is_multiple_of(2);
    let options = if encodes { control::ENCODE } else { 0 };
    let rank = |key: K| if encodes { key.encode() } else { key } ^ order_mask;
    let (array, result) = (Buffer::from_slice(&keys), Buffer::<u64>::zeroed(verify::WORDS));
    let n = keys.len() as u64;
    let arg = Verify { keys: array.global(), n, order_mask, options, result: result.global() };
    kernel.launch(case, "verify", grid, arg)?;
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
    grid: usize,
    kernel: Kernel<VerifyValues<K>>,
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
    let arg = VerifyValues {
        input: input.global(),
        keys: keys.global(),
        values: values.global(),
        n: n as u64,
        result: result.global(),
    };
    kernel.launch(case, "verify_values", grid, arg)?;
    let found = [result.read(verify::FOREIGN), result.read(verify::UNSTABLE)];
    if found == [foreign as u64, unstable as u64] {
        Ok(())
    } else {
        Err(format!("found {found:?}, not {foreign} and {unstable}"))
    }
}

/// Fetches the elements backwards.
pub fn gathers<T: Key>(case: &Case, grid: usize, kernel: Kernel<Gather<T>>) -> Result<(), String> {
    let elements = case.words::<T>();
    let index: Vec<u32> = (0..elements.len() as u32).rev().collect();
    let gathered = gather(case, grid, kernel, &elements, &index)?;
    if gathered.iter().eq(elements.iter().rev()) {
        Ok(())
    } else {
        Err("gathered otherwise than the index says".to_owned())
    }
}

/// The elements that `index` names.
pub fn gather<T: Word>(
    case: &Case,
    grid: usize,
    kernel: Kernel<Gather<T>>,
    elements: &[T],
    index: &[u32],
) -> Result<Vec<T>, String> {
    let (input, index) = (Buffer::from_slice(elements), Buffer::from_slice(index));
    let output = Buffer::uninitialised(elements.len());
    let arg = Gather {
        input: input.global(),
        index: index.global(),
        output: output.global(),
        n: elements.len() as u64,
    };
    kernel.launch(case, "gather", grid, arg)?;
    Ok(output.to_vec())
}

/// The codes of floating-point keys.
pub fn code<K: Key>(
    case: &Case,
    grid: usize,
    kernel: Kernel<NumericCodes<K>>,
    keys: &[K],
) -> Result<Vec<K>, String> {
    let Kind::Float { infinity } = case.key.kind else {
        return Err(format!("{} has no infinity", case.key.name));
    };
    let (input, output) = (Buffer::from_slice(keys), Buffer::uninitialised(keys.len()));
    let arg = NumericCodes {
        keys: input.global(),
        codes: output.global(),
        n: keys.len() as u64,
        infinity: K::from_u128(infinity),
    };
    kernel.launch(case, "numeric_codes", grid, arg)?;
    Ok(output.to_vec())
}

/// The codes of the case's floating-point numbers ascend with their values.
pub fn codes<K: Key>(
    case: &Case,
    grid: usize,
    kernel: Kernel<NumericCodes<K>>,
) -> Result<(), String> {
    let keys = case.words::<K>();
    let codes = code(case, grid, kernel, &keys)?;
    let rank = |code: K| code.to_u128() ^ case.key.sign();
    let mut pairs: Vec<(u128, u128)> = keys
        .iter()
        .zip(codes)
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
