//! The list of sorts that the emulator's tests draw from (`sort_cases`), stamped on a
//! GPU: the same types, distributions, orders, payloads and ranges of bits, of sizes
//! about those at which the sort changes its kernels.

use std::sync::Arc;

use cust::memory::DeviceBuffer;
use host::gpu::{Bf16, Device, F16, GpuKey, GpuSorter, Order, Payload};
use sort_cases::{Case, Draws, KeyType, Sorted};

use crate::OnDevice;
use crate::oracle::{Ranked, get, stream};

/// Cases of each type.
const CASES: u32 = 120;
/// Keys in a tile of the smallest passes of 4-byte keys, and some tiles.
const SIZES: (usize, usize) = (1792, 40_000);

macro_rules! stamp {
    ($($test:ident: $type:ident, $name:literal, $key:ident, $word:ty, $kind:expr;)*) => {
        /// A test for each type of key.
        pub(crate) const TESTS: &[OnDevice] = &[$((
            stringify!($test),
            |device| sorts::<$key>(stringify!($test), KeyType::$type, device),
        )),*];
    };
}

sort_cases::for_every_type!(stamp);

fn sorts<K: Ranked>(name: &str, key: KeyType, device: Arc<Device>) {
    let sorter = GpuSorter::new(device);
    let draws = Draws {
        name,
        command: "cargo test -p suite --test device",
        count: CASES,
        tile: SIZES.0,
        most: SIZES.1,
    };
    draws.of(key, |case| {
        let sorted = match case.payload {
            sort_cases::Payload::Value(8) => sort::<K, u64>(&sorter, case),
            sort_cases::Payload::Value(16) => sort::<K, u128>(&sorter, case),
            _ => sort::<K, u32>(&sorter, case),
        };
        case.check(&sorted.map_err(|error| error.to_string())?)
    });
}

fn order(case: &Case) -> Order {
    let mut order = if case.descending { Order::descending() } else { Order::ascending() };
    if case.numeric {
        order = order.numeric();
    }
    if case.match_ranking {
        order = order.match_ranking();
    }
    if case.bits == (0, case.key.bits) { order } else { order.bits(case.bits.0..case.bits.1) }
}

/// Sorts the case with values of type `V`, if it has any.
fn sort<K: Ranked, V: Ranked>(sorter: &GpuSorter, case: &Case) -> Result<Sorted, host::Error> {
    let keys: Vec<K> = case.keys().into_iter().map(K::from_word).collect();
    let values: Vec<V> = case.values().into_iter().map(V::from_word).collect();
    let stream = stream();
    let payload = match case.payload {
        sort_cases::Payload::None => Payload::None,
        sort_cases::Payload::Index => Payload::Index,
        sort_cases::Payload::Value(width) => Payload::Value(width),
    };
    let sort = sorter.prepare::<K>(keys.len(), payload, order(case))?;
    let mut workspace = sort.workspace()?;
    let input = DeviceBuffer::from_slice(&keys).unwrap();
    let mut output = DeviceBuffer::from_slice(&keys).unwrap();
    let payload = match payload {
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
    let keys = words(&get(&output, &stream));
    Ok(Sorted { keys, payload })
}

fn words<K: GpuKey>(elements: &[K]) -> Vec<u128> {
    elements.iter().map(|element| element.to_word()).collect()
}
