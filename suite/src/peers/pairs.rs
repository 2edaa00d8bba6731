//! Pairs of key and value as files. The value of a pair is the index of its key.

use std::path::Path;
use std::rc::Rc;

use super::input::{Input, read, write};
use super::protocol;
use crate::error::Error;
use crate::inputs::Keys;
use crate::key::Key;
use crate::verify::check_pairs;
use host::gpu::resident::indices;

/// Pairs of a key and its index.
pub struct Pairs<K>(pub Rc<Keys<K>>);

impl<K: Key> Input for Pairs<K> {
    fn n(&self) -> usize {
        self.0.keys().len()
    }

    fn write(&self, folder: &Path) -> Result<(), Error> {
        write(&folder.join("keys"), self.0.keys())?;
        write(&folder.join("values"), &indices(self.n())?)
    }

    /// Keys are integers, which all orders have in one order.
    fn check(&self, folder: &Path, _orders: &[protocol::Order]) -> Result<(), Error> {
        let n = self.n();
        let keys: Vec<K> = read(&folder.join("keys"), n)?;
        let values: Vec<u32> = read(&folder.join("values"), n)?;
        check_pairs(self.0.keys(), n, |index| (keys[index], values[index]))
    }
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
    fn a_result_passes_if_it_is_stable_and_as_long_as_the_input() {
        assert_eq!(checked(&[7, 3, 7, 3], &[3, 3, 7, 7], &[1, 3, 0, 2]), Ok(()));
        assert!(checked(&[7, 3, 7, 3], &[3, 3, 7, 7], &[3, 1, 0, 2]).is_err());
        let short = checked(&[1, 2], &[1, 2], &[0]).unwrap_err();
        assert_eq!(short, "wrong result: the input has 2 keys, the result 1");
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
