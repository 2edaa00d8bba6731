//! The shared list, stamped on the emulator: sorts of every type, order, payload and range of
//! bits, in small shapes, so that a few hundred keys are several tiles.

use crate::alone;
use crate::case::{Emulated, draws};
use crate::cases;
use crate::small::strided;
use crate::sorter::{Kernels, Sorter};
use cuda_std::ext::Word;
use gpu_kernels::gather;
use gpu_kernels::key::Key;
use sort_cases::{Case, KeyType, Payload, Sorted};

macro_rules! stamp {
    ($($test:ident: $type:ident, $name:literal, $key:ident, $word:ty, $kind:expr;)*) => { $(
        #[test]
        fn $test() {
            sorts::<$word>(stringify!($test), KeyType::$type);
        }
    )* };
}

sort_cases::for_every_type!(stamp);

/// Tiles are of 256 keys, or 384 of keys with values.
fn sorts<K: Key>(name: &str, key: KeyType) {
    let most = match key.bits {
        8 => 800,
        16 => 1200,
        32 => 1400,
        _ => 600,
    };
    draws(name, cases::of(key), (128, most)).of(key, |case| {
        let sorted = sort::<K>(case)?;
        case.check(&sorted)
    });
}

/// The kernels for a case. One in four is sorted in portions of a few tiles, as very many keys
/// are, and one as if its tiles were few.
fn kernels<K: Key>(case: &Case, paired: bool) -> Kernels<K> {
    let portion = 1 + (case.seed >> 16) as usize % 3;
    match (paired, case.seed >> 8 & 3) {
        (false, 2..) => Kernels::of_keys::<128, 2, 2>(),
        (true, 2..) => Kernels::of_pairs::<128, 3, 1>(),
        (false, 1) => Kernels::of_keys_in_a_wave::<128, 2, 1>(),
        (true, 1) => Kernels::of_pairs_in_a_wave::<128, 3, 1>(),
        (false, 0) => Kernels { portion, ..Kernels::of_keys_in_portions::<128, 2, 1>() },
        (true, 0) => Kernels { portion, ..Kernels::of_pairs_in_portions::<128, 2, 1>() },
    }
}

/// Sorts as a host does: floating-point numbers by value through their codes, and what does not
/// pass along with the keys by its index.
fn sort<K: Key>(case: &Case) -> Result<Sorted, String> {
    let paired = case.numeric || case.payload != Payload::None;
    let sorter = Sorter::new(case, kernels::<K>(case, paired));
    if case.seed.is_multiple_of(2) {
        // Another sort before, with the same control words.
        sorter.sort(&case.some_words(case.n, 1), None)?;
    }
    let keys = case.words::<K>();
    let input = match case.numeric {
        true => alone::code(case, 2, strided(64, gather::numeric_codes), &keys)?,
        false => keys.clone(),
    };
    let values = case.values();
    let narrow: Vec<u32> = values.iter().map(|&value| value as u32).collect();
    let passes = case.payload == Payload::Value(4) && !case.numeric;
    let (sorted, passed) = sorter.sort(&input, passes.then_some(&narrow))?;
    let payload = match case.payload {
        Payload::None => Vec::new(),
        Payload::Value(4) if !passes => gathered::<u32>(case, &values, &passed)?,
        Payload::Value(8) => gathered::<u64>(case, &values, &passed)?,
        Payload::Value(16) => gathered::<u128>(case, &values, &passed)?,
        _ => passed.iter().map(|&value| value.into()).collect(),
    };
    let words = |keys: Vec<K>| keys.into_iter().map(K::to_u128).collect::<Vec<_>>();
    let keys =
        if case.numeric { gathered::<K>(case, &words(keys), &passed)? } else { words(sorted) };
    Ok(Sorted { keys, payload })
}

/// The values, of a width, that `index` names.
fn gathered<T: Word>(case: &Case, values: &[u128], index: &[u32]) -> Result<Vec<u128>, String> {
    let values: Vec<T> = values.iter().map(|&value| T::from_u128(value)).collect();
    let gathered = alone::gather(case, 2, strided(64, gather::gather), &values, index)?;
    Ok(gathered.into_iter().map(T::to_u128).collect())
}
