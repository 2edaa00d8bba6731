//! The cases of the shared list, in the emulator: keys as words of a width, and a schedule, both
//! drawn from the case's seed.

use cuda_std::emu::{Options, Policy};
use gpu_kernels::key::Key;
use sort_cases::{Case, Draws, KeyType};
use std::cell::Cell;

/// Cases for a test of this name. Sizes are up to the second number, about multiples of the
/// first.
pub fn draws(name: &str, count: u32, (tile, most): (usize, usize)) -> Draws<'_> {
    Draws { name, command: "cargo test -p gpu-kernels --test emulator", count, tile, most }
}

/// Runs `property` on cases for a kernel by itself, which takes words of its own width.
#[track_caller]
pub fn for_all(
    name: &str,
    count: u32,
    sizes: (usize, usize),
    property: impl Fn(&Case) -> Result<(), String>,
) {
    draws(name, count, sizes).of(KeyType::U32, property);
}

/// The types of the widths that more than passes sort.
pub const TYPES: [KeyType; 6] =
    [KeyType::U32, KeyType::I32, KeyType::F32, KeyType::U64, KeyType::I64, KeyType::F64];

/// Runs `property` on cases of [`TYPES`], and requires that it tells both of two ways more than
/// `least` times.
#[track_caller]
pub fn both_ways(draws: Draws, least: u32, property: impl Fn(&Case) -> Result<bool, String>) {
    let ways = [Cell::new(0), Cell::new(0)];
    for key in TYPES {
        draws.of(key, |case| {
            let way = &ways[property(case)? as usize];
            way.set(way.get() + 1);
            Ok(())
        });
    }
    assert!(ways.iter().all(|way| way.get() > least), "otherwise and so: {ways:?}");
}

/// A case, to the emulator.
pub trait Emulated {
    /// The schedule, for a launch of this shape; or, for all launches, the one that the
    /// environment asks for.
    fn options(&self, grid: u32, block: u32) -> Options;

    /// The order mask of words of this width.
    fn order_mask<K: Key>(&self) -> K;

    /// Returns true if the keys are encoded before they are sorted.
    fn encodes(&self) -> bool;

    /// A key in code. The inverse, too.
    fn code<K: Key>(&self, key: K) -> K {
        if self.encodes() { key.encode() } else { key }
    }

    /// The word by which a key is sorted.
    fn rank<K: Key>(&self, key: K) -> K {
        self.code(key) ^ self.order_mask()
    }

    /// The type of key that words of this width are.
    fn key_of<K: Key>(&self) -> KeyType;

    /// The keys, as words of this width.
    fn words<K: Key>(&self) -> Vec<K>;

    /// `n` other words, drawn in the same way.
    fn some_words<K: Key>(&self, n: usize, stream: u64) -> Vec<K>;
}

impl Emulated for Case {
    fn options(&self, grid: u32, block: u32) -> Options {
        match Options::from_env() {
            Ok(Some(options)) => options,
            Ok(None) => Options { idle_limit: 500_000, ..Options::any(self.seed, grid, block) },
            Err(error) => panic!("{error}"),
        }
    }

    fn order_mask<K: Key>(&self) -> K {
        let unsigned = if self.descending { !K::default() } else { K::default() };
        unsigned ^ K::from_u128(self.key.order_mask())
    }

    fn encodes(&self) -> bool {
        self.key.is_float() && !self.numeric
    }

    fn key_of<K: Key>(&self) -> KeyType {
        if self.key.bits == K::BITS { self.key } else { KeyType::unsigned(K::BITS) }
    }

    fn words<K: Key>(&self) -> Vec<K> {
        self.some_words(self.n, 0)
    }

    fn some_words<K: Key>(&self, n: usize, stream: u64) -> Vec<K> {
        let words = self.some_keys(self.key_of::<K>(), n, stream);
        words.into_iter().map(K::from_u128).collect()
    }
}

/// The same schedule where blocks start by number and wait as long as it takes: to count a tile
/// of a real shape from the input, a thread a digit, takes too long here.
pub fn patient(options: Options) -> Options {
    Options {
        // A tile that gathers from all waits for later ones.
        resident: options.resident.max(4),
        shuffle_blocks: false,
        impatience: 0,
        policy: match options.policy {
            Policy::StarveBlock(_) => Policy::Random,
            other => other,
        },
        ..options
    }
}
