//! The list of sorts that the emulator's tests draw from (`sort_cases`), on a GPU: the same
//! types, distributions, orders, payloads and ranges of bits, drawn and in tables, of sizes
//! about those at which the sort changes its kernels.

use std::sync::Arc;

use cust::memory::DeviceBuffer;
use host::gpu::{Bf16, Device, F16, GpuKey, GpuSorter, Order, Payload};
use sort_cases::{Case, Distribution, Draws, KeyType, Sorted};

use crate::{OnDevice, get, stream};

/// Cases of each type.
const CASES: u32 = 120;
/// Keys in a tile of the smallest passes of 4-byte keys, and some tiles.
const SIZES: (usize, usize) = (1792, 40_000);

/// Calls a function that is generic over the key for the types of `sort_cases::for_every_type!`.
macro_rules! call {
    (
        $of:ident $arguments:tt
        $($test:ident: $type:ident, $name:literal, $key:ident, $word:ty, $kind:expr;)*
    ) => {
        $($of::<$key> $arguments;)*
    };
}
pub(crate) use call;

macro_rules! stamp {
    ($($test:ident: $type:ident, $name:literal, $key:ident, $word:ty, $kind:expr;)*) => {
        /// A test for each type of key, and the tables.
        pub(crate) const TESTS: &[OnDevice] = &[
            ("every_case_is_sorted", every_case_is_sorted),
            ("every_type_and_order_is_sorted", every_type_and_order_is_sorted),
            ("every_payload_goes_with_its_key", every_payload_goes_with_its_key),
            ("bit_ranges_are_sorted_stably", bit_ranges_are_sorted_stably),
            $((stringify!($test), |device| drawn::<$key>(stringify!($test), device))),*
        ];
    };
}

sort_cases::for_every_type!(stamp);

fn drawn<K: GpuKey>(name: &str, device: Arc<Device>) {
    let sorter = GpuSorter::new(device);
    let draws = Draws {
        name,
        command: "cargo test -p suite --test device",
        count: CASES,
        tile: SIZES.0,
        most: SIZES.1,
    };
    draws.of(K::TYPE, |case| case.check(&sort::<K>(&sorter, case)?));
}

/// From and to host memory, around the sizes of a block's sort and of the tiles.
fn every_case_is_sorted(device: Arc<Device>) {
    fn of<K: GpuKey>(sorter: &GpuSorter) {
        for case in Case::about(K::TYPE, &[32, 1024, 2816, 4096, 5632, 22528, 100_000]) {
            let mut keys: Vec<K> = keys_of(&case);
            sorter.sort_slice(&mut keys, Order::ascending()).unwrap();
            expect(&case, &keys, &[] as &[u32]);
        }
    }
    let sorter = GpuSorter::new(device);
    sort_cases::for_every_type!(call of (&sorter));
}

fn every_type_and_order_is_sorted(device: Arc<Device>) {
    fn of<K: GpuKey>(sorter: &GpuSorter) {
        for n in [1, 2, 1000, 4096, 20_000, 300_001] {
            for distribution in [Distribution::Uniform, Distribution::Few] {
                for case in directions(Case { distribution, ..Case::uniform(K::TYPE, n, 1) }) {
                    every_way::<K>(sorter, &case);
                    every_way::<K>(sorter, &Case { match_ranking: true, ..case });
                    if K::TYPE.is_float() {
                        every_way::<K>(sorter, &Case { numeric: true, ..case });
                    }
                }
            }
        }
    }
    let sorter = GpuSorter::new(device);
    sort_cases::for_every_type!(call of (&sorter));
}

fn every_payload_goes_with_its_key(device: Arc<Device>) {
    let sorter = GpuSorter::new(device);
    for n in [1, 999, 5000, 200_003] {
        for width in [4, 8, 16] {
            for (numeric, in_place) in [(false, false), (false, true), (true, false), (true, true)]
            {
                let payload = Payload::Value(width);
                let case = Case::uniform(KeyType::F32, n, 2);
                let case = Case { payload, numeric, in_place, ..case };
                check::<f32>(&sorter, &case);
            }
        }
    }
}

fn bit_ranges_are_sorted_stably(device: Arc<Device>) {
    let sorter = GpuSorter::new(device);
    for n in [500, 30_000, 200_000] {
        for bits in [(0, 64), (0, 1), (3, 17), (8, 16), (20, 60), (63, 64), (5, 9)] {
            for case in directions(Case { bits, ..Case::uniform(KeyType::U64, n, 3) }) {
                every_way::<u64>(&sorter, &case);
            }
        }
    }
}

/// The case ascending and descending.
pub(crate) fn directions(case: Case) -> [Case; 2] {
    [false, true].map(|descending| Case { descending, ..case })
}

/// Sorts keys alone, in place and not, and with their indices.
#[track_caller]
pub(crate) fn every_way<K: GpuKey>(sorter: &GpuSorter, case: &Case) {
    let indexed = Case { payload: Payload::Index, ..*case };
    let mut right = indexed.sorted();
    let check = |case: &Case, right: &Sorted| {
        let checked = sort::<K>(sorter, case).and_then(|found| right.check(&found));
        checked.unwrap_or_else(|failure| panic!("{case}: {failure}"));
    };
    check(&indexed, &right);
    right.payload.clear();
    for in_place in [false, true] {
        check(&Case { in_place, ..*case }, &right);
    }
}

/// Sorts the case.
#[track_caller]
pub(crate) fn check<K: GpuKey>(sorter: &GpuSorter, case: &Case) {
    let checked = sort::<K>(sorter, case).and_then(|found| case.check(&found));
    checked.unwrap_or_else(|failure| panic!("{case}: {failure}"));
}

/// Compares what a sort of the case has made of its keys and values with the naive sort.
#[track_caller]
pub(crate) fn expect<K: GpuKey, V: GpuKey>(case: &Case, keys: &[K], values: &[V]) {
    let found = Sorted { keys: words(keys), payload: words(values) };
    case.check(&found).unwrap_or_else(|failure| panic!("{case}: {failure}"));
}

/// The keys of a case.
pub(crate) fn keys_of<K: GpuKey>(case: &Case) -> Vec<K> {
    case.keys().into_iter().map(K::from_word).collect()
}

pub(crate) fn words<K: GpuKey>(elements: &[K]) -> Vec<u128> {
    elements.iter().map(|element| element.to_word()).collect()
}

/// The order of a case.
pub(crate) fn order(case: &Case) -> Order {
    let mut order = if case.descending { Order::descending() } else { Order::ascending() };
    if case.numeric {
        order = order.numeric();
    }
    if case.match_ranking {
        order = order.match_ranking();
    }
    if case.bits == (0, case.key.bits) { order } else { order.bits(case.bits.0..case.bits.1) }
}

fn sort<K: GpuKey>(sorter: &GpuSorter, case: &Case) -> Result<Sorted, String> {
    let sorted = match case.payload {
        Payload::Value(8) => sort_with::<K, u64>(sorter, case),
        Payload::Value(16) => sort_with::<K, u128>(sorter, case),
        _ => sort_with::<K, u32>(sorter, case),
    };
    sorted.map_err(|error| error.to_string())
}

/// Sorts the case with values of type `V`, if it has any. An input that another output is
/// sorted from is left as it was.
fn sort_with<K: GpuKey, V: GpuKey>(sorter: &GpuSorter, case: &Case) -> Result<Sorted, host::Error> {
    let keys: Vec<K> = keys_of(case);
    let values: Vec<V> = case.values().into_iter().map(V::from_word).collect();
    let stream = stream();
    let sort = sorter.prepare::<K>(keys.len(), case.payload, order(case))?;
    let mut workspace = sort.workspace()?;
    let input = DeviceBuffer::from_slice(&keys).unwrap();
    let mut output = DeviceBuffer::from_slice(&keys).unwrap();
    let payload = match case.payload {
        Payload::None if case.in_place => {
            sort.keys_in_place(&mut output, &mut workspace, &stream)?;
            Vec::new()
        }
        Payload::None => {
            sort.keys(&input, &mut output, &mut workspace, &stream)?;
            Vec::new()
        }
        Payload::Index => {
            let mut indices = DeviceBuffer::from_slice(&vec![u32::MAX; keys.len()]).unwrap();
            sort.indices(&input, &mut output, &mut indices, &mut workspace, &stream)?;
            words(&get(&indices, &stream))
        }
        Payload::Value(_) => {
            let given = DeviceBuffer::from_slice(&values).unwrap();
            let mut passed = DeviceBuffer::from_slice(&values).unwrap();
            if case.in_place {
                sort.pairs_in_place(&mut output, &mut passed, &mut workspace, &stream)?;
            } else {
                let (from, to) = ((&*input, &*given), (&mut *output, &mut *passed));
                sort.pairs(from, to, &mut workspace, &stream)?;
            }
            words(&get(&passed, &stream))
        }
    };
    assert!(words(&get(&input, &stream)) == words(&keys), "{case}: the input changed");
    Ok(Sorted { keys: words(&get(&output, &stream)), payload })
}
