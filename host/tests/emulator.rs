//! The list of inputs that `device.rs` sorts on a GPU, sorted by the same entry
//! points in the emulator. One list, two back ends.

use cuda_std::emu::{Buffer, Options, launch};
use gpu_kernels::policy::{self, Shape};
use gpu_kernels::{control, entries, onesweep};
use host::cases::cases;
use host::key::Key;

/// Sorts words in the order that `flip` makes, as the sorter for small inputs does.
fn sort(keys: &[u32], flip: u32, options: &Options) -> Vec<u32> {
    let n = keys.len() as u32;
    let shape: Shape = policy::onesweep::KEYS_U32_FEW;
    let tiles = n.div_ceil(shape.tile() as u32);
    let input = Buffer::from_slice(keys).named("input");
    let output = Buffer::uninitialised(keys.len()).named("output");
    let scratch = Buffer::uninitialised(keys.len()).named("scratch");
    let words = Buffer::zeroed(control::words(4, tiles as usize)).named("control");
    let (from, to, other) = (input.global(), output.global(), scratch.global());
    let control = words.global();
    let threads = policy::HISTOGRAM_THREADS as u32;
    let shared = policy::histogram_shared_bytes(4, policy::HISTOGRAM_BYTES_SMALL);
    launch(1, threads, shared, options, || unsafe {
        entries::histogram_small_u32(from, control, n.into(), tiles, flip, 0, 32, 0)
    })
    .unwrap_or_else(|finding| panic!("{finding}"));
    let shared = onesweep::shared_bytes::<u32>(shape.threads, shape.items, false);
    for place in 0..4 {
        launch(tiles, shape.threads as u32, shared, options, || unsafe {
            let (shift, mask) = (8 * place, 255);
            entries::onesweep_keys_few_u32(
                from,
                to,
                other,
                control,
                n.into(),
                place,
                shift,
                mask,
                flip,
                0,
                0,
                0,
            )
        })
        .unwrap_or_else(|finding| panic!("{finding}"));
    }
    output.to_vec()
}

/// Sorts every case, under a schedule of its own.
fn sorts_every_case<K: Key + std::fmt::Debug>(flip: u32, word: fn(K) -> u32) {
    let tile = policy::onesweep::KEYS_U32_FEW.tile();
    for (seed, case) in cases::<K>(&[32, 128, tile, 2 * tile]).enumerate() {
        if case.keys.is_empty() {
            continue;
        }
        let options = Options {
            impatience: 0,
            shuffle_blocks: false,
            ..Options::random(seed as u64)
        };
        let words: Vec<u32> = case.keys.iter().map(|&key| word(key)).collect();
        let mut expected = case.keys.clone();
        expected.sort_unstable();
        let expected: Vec<u32> = expected.into_iter().map(word).collect();
        assert!(
            sort(&words, flip, &options) == expected,
            "{} {}",
            K::NAME,
            case.name
        );
    }
}

#[test]
fn every_case_of_u32_is_sorted() {
    sorts_every_case::<u32>(0, |key| key);
}

#[test]
fn every_case_of_i32_is_sorted() {
    sorts_every_case::<i32>(1 << 31, |key| key as u32);
}
