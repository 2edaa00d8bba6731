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
use host::gpu::{KeyType, Order};

use super::protocol::Floats;
use crate::error::{Difference, Error};
use crate::key::{Key, bytes};
use crate::runners::segments::Cut;
use crate::threads;
use crate::verify::Keys;
use crate::workload::file::{BLOCK, read as read_keys};

/// An input of some type.
pub trait Input {
    /// Writes it to the files in `folder` that `load` is told of.
    fn write(&self, folder: &Path) -> Result<(), Error>;

    /// Verifies the result that a peer wrote to files of the same names in `folder`,
    /// which orders floats by one of `floats`.
    fn check(&self, folder: &Path, floats: &[Floats]) -> Result<(), Error>;
}

/// Structure of an input beside its keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct Form {
    /// True if each key has its index as a value.
    pub paired: bool,
    /// Segments, each sorted by itself, ascending; of none, the input is one array.
    pub segments: Option<Cut>,
}

/// Keys, with their form and the order that they are to be sorted in.
pub struct Given<K>(pub Rc<Keys<K>>, pub Form, pub Order);

impl<K: Key> Input for Given<K> {
    fn write(&self, folder: &Path) -> Result<(), Error> {
        let Self(keys, form, _) = self;
        let n = keys.keys().len();
        write(&folder.join("keys"), bytes(keys.keys()))?;
        if form.paired {
            write(&folder.join("values"), bytes(&indices(n)?))?;
        }
        match form.segments {
            Some(cut) => write(&folder.join("offsets"), bytes(&cut.offsets(n)?)),
            None => Ok(()),
        }
    }

    fn check(&self, folder: &Path, floats: &[Floats]) -> Result<(), Error> {
        let Self(input, form, order) = self;
        let n = input.keys().len();
        let keys: Vec<K> = read(&folder.join("keys"), n)?;
        let values: Option<Vec<u32>> = match form.paired {
            true => Some(read(&folder.join("values"), n)?),
            false => None,
        };
        if let Some(cut) = form.segments {
            return wrong(cut.sorted(input.keys())?.check(&keys, values.as_deref()));
        }
        let rank = order.rank(K::TYPE)?;
        let by = |floats: Floats| {
            let rank = |key: K| rank(floats.representative(K::TYPE, key.to_word()));
            input.check_by(&keys, values.as_deref(), rank)
        };
        // An order of values leaves nothing open.
        let is_open = K::TYPE.is_float() && !order.is_numeric(K::TYPE) && !floats.is_empty();
        let (last, others) = match floats.split_last().filter(|_| is_open) {
            Some((last, others)) => (*last, others),
            None => (Floats::Total, &[][..]),
        };
        match others.iter().any(|&floats| by(floats).is_ok()) {
            true => Ok(()),
            false => by(last),
        }
    }
}

fn wrong<T>(checked: Result<T, Difference>) -> Result<T, Error> {
    checked.map_err(|difference| Error::Wrong(difference.to_string()))
}

impl Floats {
    /// The word that stands for all that this order does not tell from a word.
    fn representative(self, key: KeyType, word: u128) -> u128 {
        if !key.is_float() {
            return word;
        }
        let magnitude = word & !key.sign();
        match self {
            Self::ZerosEqual | Self::NanLast if magnitude == 0 => 0,
            Self::NanLast if magnitude > key.infinity() => !key.sign() & key.ones(),
            _ => word,
        }
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
    use host::gpu::GpuKey;

    use super::*;
    use crate::key::{F16, F32};
    use crate::runners::segments::Sorted;
    use crate::workload::{Distribution, Workload};

    const ALONE: Form = Form { paired: false, segments: None };
    const PAIRS: Form = Form { paired: true, segments: None };

    /// Checks files of these keys, and of these values if there are any.
    fn check<K: Key>(
        input: &Given<K>,
        (keys, values): (&[K], &[u32]),
        floats: &[Floats],
    ) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("keys"), bytes(keys)).unwrap();
        write(&folder.path().join("values"), bytes(values)).unwrap();
        input.check(folder.path(), floats).map_err(|error| error.to_string())
    }

    fn given<K: Key>(keys: &[K], form: Form, order: Order) -> Given<K> {
        Given(Rc::new(Keys::new(keys.to_vec())), form, order)
    }

    fn check_floats(input: &[f32], result: &[f32], floats: &[Floats]) -> Result<(), String> {
        let [input, result] = [input, result].map(|all| all.iter().map(|&x| F32::new(x)));
        let input: Vec<F32> = input.collect();
        let result: Vec<F32> = result.collect();
        check(&given(&input, ALONE, Order::ascending()), (&result, &[]), floats)
    }

    const ONE: f32 = 1.0;
    const TWO: f32 = 2.0;
    const NAN: f32 = f32::from_bits(0x7FC0_0001);
    const MINUS_NAN: f32 = f32::from_bits(0xFFC0_0001);

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
        let input = [TWO, NAN, 0.0, -0.0, ONE];
        let zeros_exchanged = [0.0, -0.0, ONE, TWO, NAN];
        for floats in
            [&[Floats::ZerosEqual][..], &[Floats::NanLast], &[Floats::Total, Floats::NanLast]]
        {
            assert_eq!(check_floats(&input, &zeros_exchanged, floats), Ok(()));
        }
        let total = check_floats(&input, &zeros_exchanged, &[Floats::Total]).unwrap_err();
        assert!(total.contains("out of order: key 0 at index 0"), "{total}");

        let input = [TWO, MINUS_NAN, NAN, ONE];
        for last in [[NAN, MINUS_NAN], [MINUS_NAN, NAN]] {
            let result = [ONE, TWO, last[0], last[1]];
            assert_eq!(check_floats(&input, &result, &[Floats::NanLast]), Ok(()));
        }
    }

    #[test]
    fn floats_in_order_are_still_those_of_the_input() {
        let input = [ONE, 0.0, NAN];
        let difference = check_floats(&input, &[-0.0, ONE, NAN], &[Floats::NanLast]).unwrap_err();
        assert_eq!(
            difference,
            "wrong result: not the keys of the input: at index 0 the sorted input has 0, the \
             result -0"
        );
        let exchanged = check_floats(&input, &[0.0, NAN, ONE], &[Floats::NanLast]).unwrap_err();
        assert!(exchanged.contains("out of order: key NaN"), "{exchanged}");
    }

    #[test]
    fn pairs_pass_if_they_are_stable_and_as_many_as_the_input() {
        let checked = |input: &[u32], keys: &[u32], values: &[u32]| {
            check(&given(input, PAIRS, Order::ascending()), (keys, values), &[])
        };
        assert_eq!(checked(&[7, 3, 7, 3], &[3, 3, 7, 7], &[1, 3, 0, 2]), Ok(()));
        assert!(checked(&[7, 3, 7, 3], &[3, 3, 7, 7], &[3, 1, 0, 2]).is_err());
        let short = checked(&[1, 2], &[1, 2], &[0]).unwrap_err();
        assert_eq!(short, "wrong result: the input has 2 keys, the result 1");
        assert_eq!(checked(&[], &[], &[]), Ok(()));
    }

    #[test]
    fn a_result_passes_in_the_order_that_was_asked_for() {
        let input = [0x1007u32, 0x2003, 0x0007, 0x1003];
        let down = given(&input, ALONE, Order::descending());
        assert_eq!(check(&down, (&[0x2003, 0x1007, 0x1003, 0x0007], &[]), &[]), Ok(()));
        assert!(check(&down, (&[0x0007, 0x1003, 0x1007, 0x2003], &[]), &[]).is_err());
        let low = given(&input, PAIRS, Order::ascending().bits(0..4));
        let keys = [0x2003, 0x1003, 0x1007, 0x0007];
        assert_eq!(check(&low, (&keys, &[1, 3, 0, 2]), &[]), Ok(()));
        let unstable = check(&low, (&[0x1003, 0x2003, 0x1007, 0x0007], &[3, 1, 0, 2]), &[]);
        assert!(unstable.unwrap_err().contains("not in stable order"));
        let halves = [0x8000u16, 0x3C00, 0x0000, 0xFE00].map(|bits| F16::from_word(bits.into()));
        let by_value = given(&halves, ALONE, Order::ascending().numeric());
        let [minus_zero, one, zero, nan] = halves;
        assert_eq!(check(&by_value, (&[zero, minus_zero, one, nan], &[]), &[]), Ok(()));
        // By the bits, as a radix sort has it.
        assert!(check(&by_value, (&[nan, minus_zero, zero, one], &[]), &[]).is_err());
    }

    #[test]
    fn pairs_are_written_as_keys_and_their_indices() {
        let folder = tempfile::tempdir().unwrap();
        let pairs = given(&[1u32, 2, 3, 5, 8], PAIRS, Order::ascending());
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
        for seed in [None, Some(3)] {
            let cut = Cut { count: 10, seed };
            let form = Form { paired: true, segments: Some(cut) };
            let input = given(&keys, form, Order::ascending());
            let folder = tempfile::tempdir().unwrap();
            input.write(folder.path()).unwrap();
            let offsets: Vec<u32> = read(&folder.path().join("offsets"), 11).unwrap();
            assert_eq!(offsets, cut.offsets(keys.len()).unwrap());
            assert!(input.check(folder.path(), &[]).is_err(), "the input itself");
            let Sorted { keys: mut sorted, values } = cut.sorted(&keys).unwrap();
            write(&folder.path().join("keys"), bytes(&sorted)).unwrap();
            assert!(input.check(folder.path(), &[]).is_err(), "values that have stayed");
            write(&folder.path().join("values"), bytes(&values)).unwrap();
            input.check(folder.path(), &[]).unwrap();
            // A key of another segment.
            sorted.swap(0, offsets[1] as usize);
            write(&folder.path().join("keys"), bytes(&sorted)).unwrap();
            assert!(input.check(folder.path(), &[]).is_err());
        }
    }
}
