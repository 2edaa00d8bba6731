//! Is this the sorted input? Every timed result is asked.
//!
//! Two facts make a slice the sorted form of an input: it is in order, and it holds
//! the same keys as often. Order is checked between every two neighbours. The keys
//! are compared by a [`Fingerprint`]: their number, and the sum modulo 2^64 of a
//! strong mix of each, which does not depend on their order and so can be taken of
//! the input in one parallel read, before it is sorted, and of the result after.
//!
//! A fingerprint can miss another multiset of as many keys whose mixes happen
//! to have the same sum. The mix is a bijection without structure that a sort's
//! faults would share, so for a fault that touches few copies of a key the chance is
//! 2^-64. Turning 2^k copies of one key into another shifts the sum by a multiple
//! of 2^k, for which it is 2^-(64 - k): one in 10^11 for a hundred million copies.
//! A sum, unlike an exclusive or, is not blind to keys lost or doubled in pairs.
//! It is no defence against keys chosen to collide.
//!
//! A mismatch is then looked into: the input is sorted by the standard library and
//! compared key by key, so that the error says where the result differs and how.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use crate::error::{Difference, Error};
use crate::key::{Key, bytes};
use crate::memory;
use crate::threads::{self, BLOCK};

/// Number of keys and order-independent hash of them: equal for two slices that
/// hold the same keys equally often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Number of keys.
    pub count: u64,
    /// Sum modulo 2^64 of [`mix`] over the raw bits of the keys.
    pub sum: u64,
}

impl Fingerprint {
    /// The fingerprint of `keys`, taken in parallel.
    pub fn of<K: Key>(keys: &[K]) -> Self {
        let sum = AtomicU64::new(0);
        threads::each(keys.chunks(BLOCK), |block| {
            let add = |sum: u64, key: &K| sum.wrapping_add(mix_of(*key));
            sum.fetch_add(block.iter().fold(0, add), Ordering::Relaxed);
        });
        Self { count: keys.len() as u64, sum: sum.into_inner() }
    }
}

/// The mix of one key; of one of 128 bits, whose halves take turns, no bijection.
fn mix_of<K: Key>(key: K) -> u64 {
    let word = key.to_word();
    match K::TYPE.bits > u64::BITS {
        true => mix(word as u64 ^ mix((word >> u64::BITS) as u64)),
        false => mix(word as u64),
    }
}

/// The mix of 64 bits: the 64-bit finaliser of MurmurHash3 (Appleby), after an
/// offset so that a key of zero does not count for nothing.
pub const fn mix(bits: u64) -> u64 {
    let mut z = bits.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    z = (z ^ (z >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    z ^ (z >> 33)
}

/// The keys of an input, and the fingerprint that their sorted form has.
#[derive(Debug)]
pub struct Keys<K> {
    keys: Vec<K>,
    /// Taken when the first result is verified.
    fingerprint: OnceLock<Fingerprint>,
}

impl<K: Key> Keys<K> {
    /// Takes the keys of an input.
    pub fn new(keys: Vec<K>) -> Self {
        Self { keys, fingerprint: OnceLock::new() }
    }

    /// The fingerprint of keys that are not kept. It verifies a result, but where one is wrong
    /// it is not said at which index.
    pub fn forgotten(keys: &[K]) -> Self {
        Self { keys: Vec::new(), fingerprint: OnceLock::from(Fingerprint::of(keys)) }
    }

    /// The keys.
    pub fn keys(&self) -> &[K] {
        &self.keys
    }

    /// Verifies the result of an engine at a level.
    pub fn check(&self, result: &[K], engine: &'static str, level: usize) -> Result<(), Error> {
        let compared = self.compare(result);
        compared.map_err(|difference| Error::WrongResult { engine, level, difference })
    }

    /// Succeeds if `result` is the sorted input; else says how it differs. What a
    /// fingerprint can miss is said at the head of this module.
    pub fn compare(&self, result: &[K]) -> Result<(), Difference> {
        self.compare_by(result, |key| key)
    }

    /// The same where keys ascend by `rank`, which may not tell all keys apart.
    pub fn compare_by<R: Ord>(
        &self,
        result: &[K],
        rank: impl Fn(K) -> R + Sync,
    ) -> Result<(), Difference> {
        let count = self.fingerprint.get().map(|fingerprint| fingerprint.count);
        let (input, result_count) = (count.unwrap_or(self.keys.len() as u64), result.len() as u64);
        if result_count != input {
            return Err(Difference::Count { input, result: result_count });
        }
        if let Some(index) = first_inversion(result, rank) {
            return Err(Difference::Order {
                index,
                key: result[index].to_string(),
                next: result[index + 1].to_string(),
            });
        }
        let fingerprint = self.fingerprint.get_or_init(|| Fingerprint::of(&self.keys));
        if Fingerprint::of(result) != *fingerprint {
            return Err(self.first_foreign_key(result));
        }
        Ok(())
    }

    /// Succeeds if `result`, with its indices as `values` or alone, is the input sorted by `rank`:
    /// with them, stably.
    pub fn check_by<R: Ord>(
        &self,
        result: &[K],
        values: Option<&[u32]>,
        rank: impl Fn(K) -> R + Sync,
    ) -> Result<(), Error> {
        let alone = || self.compare_by(result, &rank);
        match values {
            None => alone().map_err(|difference| Error::Wrong(difference.to_string())),
            Some(values) => {
                let pair = |index: usize| (result[index], values[index]);
                check_pairs(&self.keys, result.len(), pair, &rank)
            }
        }
    }

    /// Where `result`, known to hold other keys, first differs from the input, both sorted.
    fn first_foreign_key(&self, result: &[K]) -> Difference {
        if self.keys.len() != result.len() {
            return Difference::Foreign;
        }
        let sorted = |keys: &[K]| {
            let mut keys = memory::copied(keys)?;
            keys.par_sort_unstable();
            Ok::<_, Error>(keys)
        };
        let (Ok(expected), Ok(found)) = (sorted(&self.keys), sorted(result)) else {
            return Difference::Foreign;
        };
        compare_each(&expected, &found).err().unwrap_or(Difference::Foreign)
    }
}

/// Finds the first key of `found` that is not the one of `expected`, which are as many.
pub(crate) fn compare_each<K: Key>(expected: &[K], found: &[K]) -> Result<(), Difference> {
    let differs = |&i: &usize| found[i] != expected[i];
    match threads::find_first(found.len(), &|mut range| range.find(differs)) {
        None => Ok(()),
        Some(index) => Err(Difference::Keys {
            index,
            expected: expected[index].to_string(),
            found: found[index].to_string(),
        }),
    }
}

/// Succeeds if `n` pairs, of which `pair` returns the one at an index, are the keys of
/// `input` with their indices, sorted stably by `rank`. Where rank and index ascend strictly no
/// pair comes twice, so that n of them that are all of the input are all there are.
pub fn check_pairs<K: Key, R: Ord>(
    input: &[K],
    n: usize,
    pair: impl Fn(usize) -> (K, u32) + Sync,
    rank: impl Fn(K) -> R + Sync,
) -> Result<(), Error> {
    let shown = |index: usize| {
        let (key, value) = pair(index);
        format!("key {key} with value {value}")
    };
    let is_foreign = |&index: &usize| {
        let (key, value) = pair(index);
        input.get(value as usize) != Some(&key)
    };
    if let Some(index) = threads::find_first(n, &|mut range| range.find(is_foreign)) {
        let pair = shown(index);
        return Err(Error::Wrong(format!("at index {index}: {pair} is no pair of the input")));
    }
    let ranked = |index: usize| {
        let (key, value) = pair(index);
        (rank(key), value)
    };
    let is_unordered = |&index: &usize| ranked(index) >= ranked(index + 1);
    match threads::find_first(n.saturating_sub(1), &|mut range| range.find(is_unordered)) {
        None => Ok(()),
        Some(index) => Err(Error::Wrong(format!(
            "not in stable order: at index {index} {}, then {}",
            shown(index),
            shown(index + 1)
        ))),
    }
}

/// Succeeds if `copy` is `input`.
pub fn check_copy<K: Key>(input: &[K], copy: &[K]) -> Result<(), Error> {
    match bytes(copy) == bytes(input) {
        true => Ok(()),
        false => Err(Error::Wrong("the copy is not what was copied".to_owned())),
    }
}

/// Index of the first key whose rank is greater than that of the one after it.
fn first_inversion<K: Key, R: Ord>(keys: &[K], rank: impl Fn(K) -> R + Sync) -> Option<usize> {
    threads::find_first(keys.len().saturating_sub(1), &|range| {
        let mut neighbours = keys[range.start..=range.end].windows(2);
        Some(range.start + neighbours.position(|pair| rank(pair[0]) > rank(pair[1]))?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrambled(n: u32) -> Vec<u32> {
        (0..n).map(|i| i.wrapping_mul(2_654_435_761) >> 8).collect()
    }

    fn sorted(keys: &[u32]) -> Vec<u32> {
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn the_sorted_input_passes() {
        for n in [0, 1, 2, BLOCK as u32 - 1, BLOCK as u32, BLOCK as u32 + 1, 300_000] {
            let input = scrambled(n);
            let expected = sorted(&input);
            assert_eq!(Keys::new(input).compare(&expected), Ok(()));
        }
    }

    #[test]
    fn an_inversion_is_found_wherever_it_is() {
        let input = Keys::new(scrambled(3 * BLOCK as u32));
        for index in [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK - 1, 3 * BLOCK - 2] {
            let mut result: Vec<u32> = (0..3 * BLOCK as u32).collect();
            result.swap(index, index + 1);
            let Err(Difference::Order { index: found, .. }) = input.compare(&result) else {
                panic!("inversion at {index} not found");
            };
            assert_eq!(found, index);
        }
    }

    #[test]
    fn another_key_is_located() {
        let difference = Keys::new(vec![5, 3, 9, 3]).compare(&[3, 5, 5, 9]).unwrap_err();
        let message = difference.to_string();
        assert_eq!(
            message,
            "not the keys of the input: at index 1 the sorted input has 3, the result 5"
        );
    }

    #[test]
    fn a_key_doubled_in_place_of_another_is_found_in_a_large_result() {
        let input: Vec<u32> = (0..200_000).rev().collect();
        let mut result = sorted(&input);
        result[123_456] = result[123_457];
        assert_eq!(
            Keys::new(input).compare(&result),
            Err(Difference::Keys {
                index: 123_456,
                expected: "123456".into(),
                found: "123457".into(),
            })
        );
    }

    #[test]
    fn keys_that_are_not_kept_verify_a_result() {
        let input = Keys::forgotten(&[5u32, 3, 9, 3]);
        assert_eq!(input.compare(&[3, 3, 5, 9]), Ok(()));
        assert_eq!(input.compare(&[3, 5, 5, 9]), Err(Difference::Foreign));
        assert!(matches!(input.compare(&[3, 3, 9, 5]), Err(Difference::Order { .. })));
        assert_eq!(input.compare(&[3]), Err(Difference::Count { input: 4, result: 1 }));
    }

    #[test]
    fn lost_keys_and_zeros_in_their_place_are_found() {
        let input = Keys::new(vec![0, 0, 7]);
        assert_eq!(input.compare(&[0, 7]), Err(Difference::Count { input: 3, result: 2 }));
        assert!(matches!(input.compare(&[0, 0, 0]), Err(Difference::Keys { .. })));
    }

    #[test]
    fn a_fingerprint_ignores_order_and_nothing_else() {
        let keys = scrambled(100_000);
        assert_eq!(Fingerprint::of(&keys), Fingerprint::of(&sorted(&keys)));
        // Two equal keys exchanged for two other equal keys: an exclusive or is blind to it.
        assert_ne!(Fingerprint::of(&[1u32, 1]), Fingerprint::of(&[2u32, 2]));
        assert_ne!(Fingerprint::of(&[0u32]), Fingerprint::of::<u32>(&[]));
    }

    #[test]
    fn pairs_in_stable_order_pass_and_no_others() {
        let check = |input: &[u32], pairs: &[(u32, u32)]| {
            let checked = check_pairs(input, pairs.len(), |index| pairs[index], |key| key);
            checked.map_err(|error| error.to_string())
        };
        let input = [7, 3, 7, 3];
        assert_eq!(check(&input, &[(3, 1), (3, 3), (7, 0), (7, 2)]), Ok(()));
        for (pairs, fault) in [
            (
                [(3, 3), (3, 1), (7, 0), (7, 2)],
                "not in stable order: at index 0 key 3 with value 3, then key 3 with value 1",
            ),
            (
                [(7, 0), (7, 2), (3, 1), (3, 3)],
                "not in stable order: at index 1 key 7 with value 2, then key 3 with value 1",
            ),
            (
                [(3, 1), (3, 1), (7, 0), (7, 2)],
                "not in stable order: at index 0 key 3 with value 1, then key 3 with value 1",
            ),
            (
                [(3, 1), (3, 2), (7, 0), (7, 3)],
                "at index 1: key 3 with value 2 is no pair of the input",
            ),
            (
                [(3, 1), (3, 3), (7, 0), (7, 4)],
                "at index 3: key 7 with value 4 is no pair of the input",
            ),
        ] {
            assert_eq!(check(&input, &pairs), Err(format!("wrong result: {fault}")));
        }
        assert_eq!(check(&[], &[]), Ok(()));
    }

    #[test]
    fn a_copy_is_all_of_the_input() {
        check_copy(&[1u32, 2], &[1, 2]).unwrap();
        assert!(check_copy(&[1u32, 2], &[1, 3]).is_err());
        assert!(check_copy(&[1u32, 2], &[1]).is_err());
    }
}
