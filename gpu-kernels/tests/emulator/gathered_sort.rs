//! Sorts of buckets whose keys several devices have, whose arrays stand in any order.

use crate::alone::{Kernel, check_sorted};
use crate::bucket_sort::{bucket_of, in_bucket};
use crate::case::{Emulated, TYPES, draws};
use crate::cases;
use cuda_std::emu::Buffer;
use gpu_kernels::buckets::BUCKETS;
use gpu_kernels::control;
use gpu_kernels::gathered_sort::{self, GatheredSort, TABLE};
use gpu_kernels::key::Key;
use gpu_kernels::policy::Shape;
use sort_cases::Case;

/// The keys of a device, by bucket.
struct Part<K> {
    keys: Vec<K>,
    values: Vec<u32>,
    starts: Vec<u32>,
}

impl<K: Key> Part<K> {
    fn of(mut held: Vec<(K, u32)>, bucket: impl Fn(K) -> usize) -> Self {
        held.sort_by_key(|&(key, _)| bucket(key));
        let mut starts = vec![0; TABLE];
        for &(key, _) in &held {
            starts[bucket(key) + 1] += 1;
        }
        for i in 0..BUCKETS {
            starts[i + 1] += starts[i];
        }
        let (keys, values) = held.into_iter().unzip();
        Part { keys, values, starts }
    }

    /// The keys and values of some buckets.
    fn range(&self, buckets: (usize, usize)) -> impl Iterator<Item = (K, u32)> {
        let range = self.starts[buckets.0] as usize..self.starts[buckets.1] as usize;
        range.map(|i| (self.keys[i], self.values[i]))
    }
}

/// Buckets that have keys: blocks look at all of their range.
const SOME: usize = 48;

/// Sorts a range of the buckets, of one to four devices, some of which may have no keys.
pub fn sorts_gathered<K: Key>(
    case: &Case,
    kernel: Kernel<GatheredSort<K>>,
    paired: bool,
) -> Result<(), String> {
    let order_mask: K = case.order_mask();
    let lowest = (case.seed >> 16) as usize % (BUCKETS - SOME);
    let drawn = case.words::<K>().into_iter();
    let keys: Vec<K> = drawn
        .map(|key| in_bucket((lowest + bucket_of(key) % SOME) as u64, key) ^ order_mask)
        .map(|coded| case.code(coded))
        .collect();
    let values: Vec<u32> = case.some_words(keys.len(), 2);
    let count = 1 + case.seed as usize % 4;
    let mut dealt = vec![Vec::new(); count];
    for (index, (&key, &value)) in keys.iter().zip(&values).enumerate() {
        dealt[(value as usize ^ index) % count].push((case.code(key), value));
    }
    let bucket = |coded: K| bucket_of(coded ^ order_mask);
    let parts: Vec<Part<K>> = dealt.into_iter().map(|held| Part::of(held, bucket)).collect();
    let of_bucket = |i: usize| parts.iter().map(|part| part.starts[i]).sum::<u32>();
    if (0..BUCKETS).any(|i| (of_bucket(i + 1) - of_bucket(i)) as usize > kernel.tile) {
        // Such keys are not gathered by bucket.
        return Ok(());
    }
    let of_seed = |shift: u32| (case.seed >> shift) as usize % (SOME / 3);
    let buckets = (lowest + of_seed(32), lowest + SOME - of_seed(40));

    // The last device's first.
    let mut bases = vec![0; count];
    let (mut all, mut all_values) = (Vec::new(), Vec::new());
    for (device, part) in parts.iter().enumerate().rev() {
        bases[device] = (all.len() as u32).wrapping_sub(part.starts[buckets.0]);
        let range: Vec<(K, u32)> = part.range(buckets).collect();
        all.extend(range.iter().map(|&(key, _)| key));
        all_values.extend(range.iter().map(|&(_, value)| value));
    }
    let tables: Vec<u32> = parts.iter().flat_map(|part| part.starts.clone()).collect();
    let held = Buffer::from_slice(&all).named("keys");
    let held_values = Buffer::from_slice(&all_values).named("values");
    let output = Buffer::<K>::uninitialised(all.len()).named("output");
    let output_values = Buffer::<u32>::uninitialised(all.len()).named("output values");
    let (tables, bases) = (Buffer::from_slice(&tables), Buffer::from_slice(&bases));
    let next = Buffer::from_slice(&[buckets.0 as u32]).named("next");
    let arg = GatheredSort {
        keys: held.global(),
        output: output.global(),
        values: held_values.global(),
        output_values: output_values.global(),
        starts: tables.global(),
        bases: bases.global(),
        count: count as u32,
        next: next.global(),
        end: buckets.1 as u32,
        first_key: of_bucket(buckets.0),
        order_mask,
        options: if case.encodes() { control::ENCODE } else { 0 },
    };
    kernel.launch(case, "gathered_sort", 1 + (case.seed >> 8) as usize % 3, arg)?;
    let given = parts.iter().flat_map(|part| part.range(buckets));
    let (keys, values): (Vec<K>, Vec<u32>) =
        given.map(|(key, value)| (case.code(key), value)).unzip();
    let found = paired.then(|| output_values.to_vec());
    check_sorted((&keys, &values), |key| case.rank(key), &output.to_vec(), found.as_deref())
}

fn sorts_small<K: Key, const PAIRED: bool>(case: &Case) -> Result<(), String> {
    let shape = Shape::new(128, 2, 1);
    let run = gathered_sort::gathered_sort::<K, 128, 2, PAIRED>;
    let bytes = gathered_sort::shared_bytes::<K>(shape, PAIRED);
    sorts_gathered(case, Kernel::of_shape(run, shape, bytes), PAIRED)
}

#[test]
fn gathered_sort_alone() {
    for key in TYPES {
        draws("gathered_sort_alone", cases::LOCAL, (128, 700)).of(key, |case| {
            match (key.bits, case.seed.is_multiple_of(2)) {
                (32, true) => sorts_small::<u32, true>(case),
                (32, false) => sorts_small::<u32, false>(case),
                _ => sorts_small::<u64, false>(case),
            }
        });
    }
}
