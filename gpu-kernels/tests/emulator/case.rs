//! The cases of the shared list, in the emulator: keys as words of a width, and a schedule, both
//! drawn from the case's seed.

use cuda_std::emu::{Options, Policy};
use gpu_kernels::key::Key;
use sort_cases::{Case, Draws, KeyType};

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

/// A case, to the emulator.
pub trait Emulated {
    /// The schedule, for a launch of this shape; or, for all launches, the one that the
    /// environment asks for.
    fn options(&self, grid: u32, block: u32) -> Options;

    /// The order mask of words of this width.
    fn order_mask<K: Key>(&self) -> K;

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
