//! Pairs of key and value: as files, and whether a result is right.
//!
//! The value of a pair is the index of its key. Then a result is right and stable
//! exactly if every pair is one of the input (its key stands at the index that its
//! value is) and pairs ascend by key and, among equal keys, by value: ascending so, no
//! pair comes twice, so that n of them are all. No hash is needed.

use std::path::Path;
use std::rc::Rc;

use rayon::prelude::*;

use super::error::PeerError;
use super::input::{CheckError, Input, read, write};
use super::protocol;
use crate::inputs::Keys;
use crate::key::Key;
use host::gpu::resident::indices;

/// Pairs of a key and its index.
pub struct Pairs<K>(pub Rc<Keys<K>>);

impl<K: Key> Input for Pairs<K> {
    fn n(&self) -> usize {
        self.0.keys().len()
    }

    fn write(&self, folder: &Path) -> Result<(), PeerError> {
        write(&folder.join("keys"), self.0.keys())?;
        write(&folder.join("values"), &indices(self.n())?)
    }

    /// Keys are integers, which all orders have in one order.
    fn check(&self, folder: &Path, _orders: &[protocol::Order]) -> Result<(), CheckError> {
        let n = self.n();
        let keys: Vec<K> = read(&folder.join("keys"), n)?;
        let values: Vec<u32> = read(&folder.join("values"), n)?;
        let input = self.0.keys();
        let foreign = |index: usize| input.get(values[index] as usize) != Some(&keys[index]);
        let shown = |index: usize| format!("key {} with value {}", keys[index], values[index]);
        if let Some(index) = first(n, foreign) {
            return Err(CheckError::Wrong(format!(
                "at index {index}: {} is no pair of the input",
                shown(index)
            )));
        }
        let pair = |index: usize| (keys[index], values[index]);
        let disordered = |index: usize| pair(index) >= pair(index + 1);
        if let Some(index) = first(n.saturating_sub(1), disordered) {
            return Err(CheckError::Wrong(format!(
                "not in stable order: at index {index} {}, then {}",
                shown(index),
                shown(index + 1)
            )));
        }
        Ok(())
    }
}

/// The first index below `n` of which something is true.
fn first(n: usize, is: impl Fn(usize) -> bool + Sync) -> Option<usize> {
    (0..n).into_par_iter().find_first(|&index| is(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(input: &[u32], keys: &[u32], values: &[u32]) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("keys"), keys).unwrap();
        write(&folder.path().join("values"), values).unwrap();
        let checked = Pairs(Rc::new(Keys::new(input.to_vec()))).check(folder.path(), &[]);
        checked.map_err(|error| error.to_string())
    }

    #[test]
    fn the_stable_order_passes_and_no_other() {
        let input = [7, 3, 7, 3];
        assert_eq!(checked(&input, &[3, 3, 7, 7], &[1, 3, 0, 2]), Ok(()));
        for (keys, values, difference) in [
            (
                [3, 3, 7, 7],
                [3, 1, 0, 2],
                "not in stable order: at index 0 key 3 with value 3, then key 3 with value 1",
            ),
            (
                [7, 7, 3, 3],
                [0, 2, 1, 3],
                "not in stable order: at index 1 key 7 with value 2, then key 3 with value 1",
            ),
            (
                [3, 3, 7, 7],
                [1, 1, 0, 2],
                "not in stable order: at index 0 key 3 with value 1, then key 3 with value 1",
            ),
            ([3, 3, 7, 7], [1, 2, 0, 3], "at index 1: key 3 with value 2 is no pair of the input"),
            ([3, 3, 7, 7], [1, 3, 0, 4], "at index 3: key 7 with value 4 is no pair of the input"),
        ] {
            assert_eq!(checked(&input, &keys, &values), Err(difference.to_owned()));
        }
    }

    #[test]
    fn a_result_of_another_length_does_not_pass() {
        let short = checked(&[1, 2], &[1, 2], &[0]).unwrap_err();
        assert_eq!(short, "the input has 2 keys, the result 1");
        assert_eq!(checked(&[], &[], &[]), Ok(()));
    }

    #[test]
    fn pairs_are_written_as_keys_and_their_indices() {
        let folder = tempfile::tempdir().unwrap();
        let pairs = Pairs(Rc::new(Keys::new(vec![1u32, 2, 3, 5, 8])));
        pairs.write(folder.path()).unwrap();
        // Sorted as they are, they are their own result.
        pairs.check(folder.path(), &[]).unwrap();
        let values = std::fs::read(folder.path().join("values")).unwrap();
        assert_eq!(values[16..], [4, 0, 0, 0]);
    }
}
