//! Pairs of key and value: as files, and whether a result is right.
//!
//! The value of a pair is the index of its key. Then a result is right and stable
//! exactly if every pair is one of the input (its key stands at the index that its
//! value is) and pairs ascend by key and, among equal keys, by value: ascending so, no
//! pair comes twice, so that n of them are all. No hash is needed.

use std::path::Path;

use rayon::prelude::*;

use super::contest::Loaded;
use super::error::PeerError;
use super::input::{CheckError, Input, read, write};
use super::protocol;
use crate::error::Error;
use crate::key::Key;
use crate::workload::Workload;
use host::gpu::resident::{indices, require_indices};
use host::gpu::{GpuSorter, Order, Payload, Resident};

/// Pairs of a key and its index.
pub struct Pairs<K>(Vec<K>);

impl<K: Key> Pairs<K> {
    /// Generates the keys.
    ///
    /// # Errors
    /// More keys than indices tell apart; too little memory.
    pub fn new(workload: Workload) -> Result<Self, Error> {
        require_indices(workload.n)?;
        workload.generate().map(Self)
    }
}

impl<K: Key> Input for Pairs<K> {
    fn n(&self) -> usize {
        self.0.len()
    }

    fn write(&self, folder: &Path) -> Result<(), PeerError> {
        write(&folder.join("keys"), &self.0)?;
        write(&folder.join("values"), &indices(self.n())?)
    }

    /// Keys are integers, which all orders have in one order.
    fn check(&self, folder: &Path, _orders: &[protocol::Order]) -> Result<(), CheckError> {
        let n = self.n();
        let keys: Vec<K> = read(&folder.join("keys"), n)?;
        let values: Vec<u32> = read(&folder.join("values"), n)?;
        let foreign = |index: usize| self.0.get(values[index] as usize) != Some(&keys[index]);
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

    fn resident<'a>(
        &self,
        sorter: &'a GpuSorter,
        order: Order,
    ) -> Result<Box<dyn Loaded + 'a>, Error> {
        Ok(Box::new(Resident::new(sorter, &self.0, true, order)?))
    }

    fn end_to_end(&self) -> Result<Box<dyn Loaded + '_>, Error> {
        Err(host::Error::Payload {
            prepared: format!("{:?}", Payload::None),
            given: format!("{:?}", Payload::Value(size_of::<u32>())),
        }
        .into())
    }
}

/// The first index below `n` of which something is true.
fn first(n: usize, is: impl Fn(usize) -> bool + Sync) -> Option<usize> {
    (0..n).into_par_iter().find_first(|&index| is(index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Distribution;

    fn checked(input: &[u32], keys: &[u32], values: &[u32]) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("keys"), keys).unwrap();
        write(&folder.path().join("values"), values).unwrap();
        let checked = Pairs(input.to_vec()).check(folder.path(), &[]);
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
            (
                [3, 3, 7, 7],
                [1, 2, 0, 3],
                "at index 1: key 3 with value 2 is no pair of the input",
            ),
            (
                [3, 3, 7, 7],
                [1, 3, 0, 4],
                "at index 3: key 7 with value 4 is no pair of the input",
            ),
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
    fn more_pairs_than_indices_tell_apart_are_refused_before_any_is_drawn() {
        let pairs = Pairs::<u32>::new(Workload::classic((1 << 32) + 1, 0));
        let error = pairs.err().unwrap().to_string();
        assert!(
            error.starts_with("n = 4294967297 is more than the 4294967296 keys"),
            "{error}"
        );
    }

    #[test]
    fn pairs_are_written_as_keys_and_their_indices() {
        let folder = tempfile::tempdir().unwrap();
        let pairs = Pairs::<u32>::new(Workload {
            n: 5,
            distribution: Distribution::Sorted,
            seed: 0,
        })
        .unwrap();
        pairs.write(folder.path()).unwrap();
        // Sorted as they are, they are their own result.
        pairs.check(folder.path(), &[]).unwrap();
        let values = std::fs::read(folder.path().join("values")).unwrap();
        assert_eq!(values[16..], [4, 0, 0, 0]);
    }
}
