//! Keys in order or reversed, and nearly so: those that are in order are sorted by the shortcut,
//! and no others.

use crate::case::Emulated;
use crate::shortcut::{self, sorts};
use cuda_std::ext::AtomicWord;
use gpu_kernels::key::Key;
use sort_cases::{Case, KeyType, Payload};

/// The change made to two neighbours in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    None,
    Equal,
    Exchanged,
}

/// The case's keys in order, or reversed, but for a fault.
fn with_fault<K: Key>(case: &Case, fault: Fault, place: usize, reversed: bool) -> Vec<K> {
    let mut keys: Vec<K> = case.words();
    let rank = |key: K| if case.key.is_float() { key.encode() } else { key };
    keys.sort_by_key(|&key| rank(key) ^ case.order_mask());
    keys.dedup();
    if reversed {
        keys.reverse();
    }
    let place = place.min(keys.len() - 2);
    match fault {
        Fault::None => {}
        Fault::Equal => keys[place] = keys[place + 1],
        Fault::Exchanged => keys.swap(place, place + 1),
    }
    keys
}

/// Faults at the ends, and at borders of vectors, of turns and of blocks.
fn of_each_fault<K: Key + AtomicWord>(key: KeyType) {
    let mut seed = 0;
    for payload in [Payload::None, Payload::Index, Payload::Value(4)] {
        for place in [0, 511, 2047, usize::MAX] {
            for fault in [Fault::None, Fault::Equal, Fault::Exchanged] {
                for reversed in [false, true] {
                    seed += 1;
                    let (descending, in_place) = (seed & 2 != 0, seed % 5 == 0);
                    let n = 4200 + seed as usize % 7;
                    let case =
                        Case { payload, descending, in_place, ..Case::uniform(key, n, seed) };
                    let keys = with_fault::<K>(&case, fault, place, reversed);
                    let expected = match fault {
                        Fault::None => true,
                        Fault::Equal => !reversed || payload == Payload::None,
                        Fault::Exchanged => false,
                    };
                    let kernel = shortcut::small(payload != Payload::None);
                    let found = sorts(&case, &keys, kernel, (0, true));
                    let at = format!("{fault:?} at {place}, reversed: {reversed}, {case}");
                    assert_eq!(found, Ok(expected), "{at}");
                }
            }
        }
    }
}

#[test]
fn equal_keys_are_left_to_the_passes() {
    let case = Case { payload: Payload::Value(4), ..Case::uniform(KeyType::U32, 4200, 1) };
    assert_eq!(sorts(&case, &[7; 4200], shortcut::small::<u32>(true), (0, true)), Ok(false));
}

#[test]
fn ordered_keys_are_copied() {
    for key in [KeyType::U32, KeyType::I32, KeyType::F32] {
        of_each_fault::<u32>(key);
    }
    for key in [KeyType::U64, KeyType::I64, KeyType::F64] {
        of_each_fault::<u64>(key);
    }
}
