//! Inputs for peers: made once, kept in memory to verify results by, and written to
//! files for the peers, so that all sort the same bytes.
//!
//! A peer may order floats otherwise than we do, and says how. Its result is then held
//! against the input with every key replaced by one that stands for all that its order
//! does not tell apart; that the very keys are those of the input is asked besides.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;

use host::gpu::resident::indices;
use rayon::prelude::*;

use super::protocol::Order;
use crate::error::{Difference, Error};
use crate::key::{Key, bytes};
use crate::memory;
use crate::runners::segments;
use crate::threads;
use crate::verify::{Fingerprint, Keys, check_pairs};
use crate::workload::file::{BLOCK, read as read_keys};

/// An input of some type.
pub trait Input {
    /// Writes it to the files in `folder` that `load` is told of.
    fn write(&self, folder: &Path) -> Result<(), Error>;

    /// Verifies the result that a peer wrote to files of the same names in `folder`,
    /// which orders floats by one of `orders`.
    fn check(&self, folder: &Path, orders: &[Order]) -> Result<(), Error>;
}

/// Structure of an input beside its keys.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// Keys alone.
    Alone,
    /// Each key with its index as a value. Keys are integers, which every peer orders alike.
    Pairs,
    /// A number of segments, each sorted by itself.
    Segments(usize),
}

impl<K: Key> Input for (Rc<Keys<K>>, Form) {
    fn write(&self, folder: &Path) -> Result<(), Error> {
        let (keys, form) = self;
        let n = keys.keys().len();
        write(&folder.join("keys"), bytes(keys.keys()))?;
        match form {
            Form::Alone => Ok(()),
            Form::Pairs => write(&folder.join("values"), bytes(&indices(n)?)),
            Form::Segments(level) => {
                write(&folder.join("offsets"), bytes(&segments::offsets(n, *level)))
            }
        }
    }

    fn check(&self, folder: &Path, orders: &[Order]) -> Result<(), Error> {
        let (input, form) = (self.0.keys(), self.1);
        let n = input.len();
        let keys: Vec<K> = read(&folder.join("keys"), n)?;
        wrong(match form {
            Form::Alone if K::TYPE.is_float() => check_floats(input, &keys, orders)?,
            Form::Alone => self.0.compare(&keys),
            Form::Segments(level) => segments::compare(&segments::sorted(input, level)?, &keys),
            Form::Pairs => {
                let values: Vec<u32> = read(&folder.join("values"), n)?;
                return check_pairs(input, n, |index| (keys[index], values[index]));
            }
        })
    }
}

fn wrong<T>(checked: Result<T, Difference>) -> Result<T, Error> {
    checked.map_err(|difference| Error::Wrong(difference.to_string()))
}

/// Returns true if `result` is `input` sorted by one of `orders`; else how it differs from that
/// by the last of them.
fn check_floats<K: Key>(
    input: &[K],
    result: &[K],
    orders: &[Order],
) -> Result<Result<(), Difference>, Error> {
    let mut checked = Ok(());
    for &order in orders {
        let ranked = |keys: &[K]| {
            memory::collect(keys.len(), |index| {
                K::from_bits(representative(order, keys[index].to_bits() as u32).into())
            })
        };
        checked = Keys::new(ranked(input)?).compare(&ranked(result)?);
        if checked.is_ok() {
            break;
        }
    }
    // In order, but for what the order does not tell apart: that is told apart here.
    Ok(checked.and_then(|()| match Fingerprint::of(input) == Fingerprint::of(result) {
        true => Ok(()),
        false => Err(first_other(input, result)),
    }))
}

/// Bits of the f32 that stands for all that `order` does not tell from that of `bits`.
fn representative(order: Order, bits: u32) -> u32 {
    const MAGNITUDE: u32 = u32::MAX >> 1;
    let magnitude = bits & MAGNITUDE;
    match order {
        Order::ZerosEqual | Order::NanLast if magnitude == 0 => 0,
        Order::NanLast if magnitude > f32::INFINITY.to_bits() => MAGNITUDE,
        _ => bits,
    }
}

/// Where two slices of other keys, sorted by their bits, first differ.
fn first_other<K: Key>(input: &[K], result: &[K]) -> Difference {
    let sorted = |keys: &[K]| {
        let mut bits: Vec<u64> = keys.iter().map(|key| key.to_bits()).collect();
        bits.par_sort_unstable();
        bits
    };
    let (expected, found) = (sorted(input), sorted(result));
    let pairs = expected.iter().zip(&found);
    let index = pairs.take_while(|(expected, found)| expected == found).count();
    Difference::Keys {
        index,
        expected: format!("bits {:#x}", expected[index]),
        found: format!("bits {:#x}", found[index]),
    }
}

/// Writes the bytes of keys, blocks of them at once: one thread alone is slow to fill new pages.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = Error::file(path);
    let file = File::create(path).map_err(&failed)?;
    threads::try_each(bytes.chunks(BLOCK).enumerate(), |(number, block)| {
        file.write_all_at(block, (number * BLOCK) as u64)
    })
    .map_err(failed)
}

/// Reads `n` keys that were written so. A file of another length is a wrong result.
fn read<K: Key>(path: &Path, n: usize) -> Result<Vec<K>, Error> {
    let failed = Error::file(path);
    let file = File::open(path).map_err(&failed)?;
    let length = file.metadata().map_err(&failed)?.len();
    if length != (n * size_of::<K>()) as u64 {
        let result = length / size_of::<K>() as u64;
        let input = n as u64;
        return wrong(Err(Difference::Count { input, result }));
    }
    read_keys(&file, 0, n, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{Distribution, Workload};

    fn check_floats(input: &[u32], result: &[u32], orders: &[Order]) -> Result<(), Difference> {
        super::check_floats(input, result, orders).unwrap()
    }

    /// Bits of floats, whose order is that of the bits as long as the sign is clear.
    const ONE: u32 = 1f32.to_bits();
    const TWO: u32 = 2f32.to_bits();
    const MINUS_ZERO: u32 = 1 << 31;
    const NAN: u32 = 0x7FC0_0001;
    const MINUS_NAN: u32 = 0xFFC0_0001;

    #[test]
    fn keys_come_back_from_a_file_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let keys: Vec<i32> = (0..BLOCK as i32 + 7).map(|i| i * -1001).collect();
        write(&path, bytes(&keys)).unwrap();
        let written = std::fs::read(&path).unwrap();
        assert_eq!(written[4..8], (-1001i32).to_le_bytes());
        assert_eq!(read::<i32>(&path, keys.len()).unwrap(), keys);
        let error = read::<i32>(&path, 3).unwrap_err().to_string();
        let count = keys.len();
        assert_eq!(error, format!("wrong result: the input has 3 keys, the result {count}"));
    }

    #[test]
    fn floats_pass_by_an_order_that_the_peer_names_and_by_no_other() {
        let input = [TWO, NAN, 0, MINUS_ZERO, ONE];
        let zeros_exchanged = [0, MINUS_ZERO, ONE, TWO, NAN];
        for orders in [&[Order::ZerosEqual][..], &[Order::NanLast], &[Order::Total, Order::NanLast]]
        {
            assert_eq!(check_floats(&input, &zeros_exchanged, orders), Ok(()));
        }
        let total = check_floats(&input, &zeros_exchanged, &[Order::Total]);
        assert!(matches!(total, Err(Difference::Order { index: 1, .. })), "{total:?}");

        let input = [TWO, MINUS_NAN, NAN, ONE];
        for last in [[NAN, MINUS_NAN], [MINUS_NAN, NAN]] {
            let result = [ONE, TWO, last[0], last[1]];
            assert_eq!(check_floats(&input, &result, &[Order::NanLast]), Ok(()));
        }
    }

    #[test]
    fn floats_in_order_are_still_those_of_the_input() {
        let input = [ONE, 0, NAN];
        let other = [MINUS_ZERO, ONE, NAN];
        let difference = check_floats(&input, &other, &[Order::NanLast]).unwrap_err();
        assert_eq!(
            difference.to_string(),
            "not the keys of the input: at index 0 the sorted input has bits 0x0, the result bits \
             0x3f800000"
        );
        let exchanged = check_floats(&input, &[0, NAN, ONE], &[Order::NanLast]);
        assert!(matches!(exchanged, Err(Difference::Order { index: 1, .. })));
    }

    #[test]
    fn pairs_pass_if_they_are_stable_and_as_many_as_the_input() {
        let checked = |input: &[u32], keys: &[u32], values: &[u32]| {
            let folder = tempfile::tempdir().unwrap();
            write(&folder.path().join("keys"), bytes(keys)).unwrap();
            write(&folder.path().join("values"), bytes(values)).unwrap();
            let input = (Rc::new(Keys::new(input.to_vec())), Form::Pairs);
            input.check(folder.path(), &[]).map_err(|error| error.to_string())
        };
        assert_eq!(checked(&[7, 3, 7, 3], &[3, 3, 7, 7], &[1, 3, 0, 2]), Ok(()));
        assert!(checked(&[7, 3, 7, 3], &[3, 3, 7, 7], &[3, 1, 0, 2]).is_err());
        let short = checked(&[1, 2], &[1, 2], &[0]).unwrap_err();
        assert_eq!(short, "wrong result: the input has 2 keys, the result 1");
        assert_eq!(checked(&[], &[], &[]), Ok(()));
    }

    #[test]
    fn pairs_are_written_as_keys_and_their_indices() {
        let folder = tempfile::tempdir().unwrap();
        let pairs = (Rc::new(Keys::new(vec![1u32, 2, 3, 5, 8])), Form::Pairs);
        pairs.write(folder.path()).unwrap();
        // Sorted as they are, they are their own result.
        pairs.check(folder.path(), &[]).unwrap();
        let values = std::fs::read(folder.path().join("values")).unwrap();
        assert_eq!(values[16..], [4, 0, 0, 0]);
    }

    #[test]
    fn segments_are_each_in_order_and_hold_their_own_keys() {
        let workload = Workload { n: 1001, distribution: Distribution::Uniform, seed: 3 };
        let keys = workload.generate::<u32>().unwrap();
        let input = (Rc::new(Keys::new(keys.clone())), Form::Segments(10));
        let folder = tempfile::tempdir().unwrap();
        input.write(folder.path()).unwrap();
        let offsets: Vec<u32> = read(&folder.path().join("offsets"), 11).unwrap();
        assert_eq!((&offsets[..3], &offsets[9..]), (&[0, 101, 202][..], &[909, 1001][..]));
        assert!(input.check(folder.path(), &[]).is_err(), "the input itself");
        let mut sorted = segments::sorted(&keys, 10).unwrap();
        write(&folder.path().join("keys"), bytes(&sorted)).unwrap();
        input.check(folder.path(), &[]).unwrap();
        // A key of another segment.
        sorted.swap(0, 101);
        write(&folder.path().join("keys"), bytes(&sorted)).unwrap();
        assert!(input.check(folder.path(), &[]).is_err());
    }
}
