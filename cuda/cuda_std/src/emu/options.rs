//! Options of a launch.

use super::expectation::Expectation;
use fastrand::Rng;
use std::fmt;
use std::str::FromStr;

/// The choice among threads that can go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// The first ready thread of the first ready warp, until it has to wait.
    InOrder,
    /// The last ready thread of the last ready warp, until it has to wait.
    Reverse,
    /// Any, changing at waits and at one atomic operation in four; a warp is mostly stayed with.
    Random,
    /// As [`Random`](Self::Random), but this block runs only when no other can.
    StarveBlock(u32),
    /// As [`Random`](Self::Random), but warp `w` of every block runs only when no other warp can.
    LastWarp(u32),
    /// Each warp has a random priority, the highest runs, and at this many random moments the
    /// running warp falls to the lowest (Burckhardt, Kothari, Musuvathi, Nagarakatti 2010).
    Priorities(u32),
}

/// Checks beyond those of bounds and alignment, which are always made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Checks {
    /// None.
    Bounds,
    /// Reads of memory that was not written.
    Written,
    /// The same, and accesses of several threads that are neither ordered nor atomic.
    Races,
}

/// The stores that an atomic load may return.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemoryModel {
    /// The newest store.
    Sequential,
    /// The newest store to have left its writer's store buffer. Plain writes to
    /// global memory are buffered too.
    StoreBuffers,
    /// Any store that coherence and happens-before allow.
    StaleReads,
}

/// Options of a launch. All that is left to chance is drawn from `seed`, so the same
/// options and the same input always give the same run. Findings print the options as
/// text, and [`Options::from_env`] reads that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// The kernel's name in findings. If empty, that of the `#[kernel]`, or of the closure's type.
    pub kernel: String,
    /// The source of everything that is left to chance.
    pub seed: u64,
    /// The choice among threads that can go on.
    pub policy: Policy,
    /// Blocks on the device at once, at least 1.
    pub resident: u32,
    /// Starts blocks in a random order instead of by number.
    pub shuffle_blocks: bool,
    /// The checks.
    pub checks: Checks,
    /// The memory model.
    pub memory: MemoryModel,
    /// The average number of turns after which [`Patience`](crate::ext::hint::Patience) ends
    /// without need; 0 for never.
    pub impatience: u32,
    /// Turns of scheduling without a write, an exit or a start of a block after
    /// which a launch counts as hanging.
    pub idle_limit: u64,
    /// Bytes of stack a thread, of which only the touched pages take memory.
    pub stack_bytes: usize,
    /// Lets the launch begin before the one before it on its stream has ended: then global memory
    /// is not touched before [`sync_predecessor`](crate::ext::sync_predecessor).
    pub early: bool,
    /// Makes each device thread an OS thread instead of a coroutine: the same run, thousands of
    /// times slower, in which a debugger sees every thread. Under Miri they always are.
    pub threads: bool,
    /// Accepts kernels that take raw pointers or slices, and launches without a checked access. The
    /// emulator sees no access by a raw pointer or a reference, so it checks none of these.
    pub allow_raw_memory: bool,
    /// Memory that must be zero when the launch begins; see [`Options::expect_zero`].
    pub expectations: Vec<Expectation>,
}

/// The variable that [`Options::from_env`] reads.
pub const VARIABLE: &str = "CUDA_EMULATOR";

impl Options {
    /// In order, checked in full: the cheapest run that finds most.
    pub fn in_order() -> Self {
        Self {
            kernel: String::new(),
            seed: 0,
            policy: Policy::InOrder,
            resident: 8,
            shuffle_blocks: false,
            checks: Checks::Races,
            memory: MemoryModel::Sequential,
            impatience: 0,
            idle_limit: 2_000_000,
            stack_bytes: 64 * 1024,
            early: false,
            threads: false,
            allow_raw_memory: false,
            expectations: Vec::new(),
        }
    }

    /// In order, with only bounds and alignment checked: the fastest run.
    pub fn unchecked() -> Self {
        Self { checks: Checks::Bounds, ..Self::in_order() }
    }

    /// Random order, few blocks at once, started in random order, stale reads and all checks.
    pub fn random(seed: u64) -> Self {
        Self {
            seed,
            policy: Policy::Random,
            resident: Rng::with_seed(seed).u32(1..5),
            shuffle_blocks: true,
            memory: MemoryModel::StaleReads,
            impatience: 32,
            ..Self::in_order()
        }
    }

    /// Everything, the policy and the memory model too, drawn from `seed`, for a
    /// launch of `grid` blocks of `block` threads. All checks.
    pub fn any(seed: u64, grid: u32, block: u32) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x5eed);
        Self {
            policy: match rng.u32(0..10) {
                0 => Policy::InOrder,
                1 => Policy::Reverse,
                2 | 3 => Policy::StarveBlock(rng.u32(0..grid.max(1))),
                4 => Policy::LastWarp(rng.u32(0..block.div_ceil(32).max(1))),
                5 | 6 => Policy::Priorities(rng.u32(0..4)),
                _ => Policy::Random,
            },
            resident: 1 << rng.u32(0..4),
            shuffle_blocks: rng.u32(0..4) > 0,
            memory: match rng.u32(0..8) {
                0 => MemoryModel::Sequential,
                1 => MemoryModel::StoreBuffers,
                _ => MemoryModel::StaleReads,
            },
            impatience: [0, 8, 64][rng.usize(0..3)],
            ..Self::random(seed)
        }
    }

    /// The same, for a kernel of this name.
    pub fn named(self, kernel: impl Into<String>) -> Self {
        Self { kernel: kernel.into(), ..self }
    }

    /// The options of the environment, to run one reported launch again. Fails unless they
    /// are as a finding prints them.
    pub fn from_env() -> Result<Option<Self>, ParseError> {
        match std::env::var(VARIABLE) {
            Ok(text) => text.parse().map(Some),
            Err(_) => Ok(None),
        }
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { seed, resident, impatience, idle_limit, stack_bytes, .. } = self;
        let policy = match self.policy {
            Policy::InOrder => "in-order".to_owned(),
            Policy::Reverse => "reverse".to_owned(),
            Policy::Random => "random".to_owned(),
            Policy::StarveBlock(block) => format!("starve:{block}"),
            Policy::LastWarp(warp) => format!("last-warp:{warp}"),
            Policy::Priorities(changes) => format!("priorities:{changes}"),
        };
        let shuffle = self.shuffle_blocks as u32;
        let checks = CHECKS[self.checks as usize].0;
        let memory = MEMORY_MODELS[self.memory as usize].0;
        write!(f, "seed={seed},policy={policy},resident={resident},shuffle={shuffle},")?;
        write!(f, "checks={checks},memory={memory},impatience={impatience},")?;
        write!(f, "idle={idle_limit},stack={stack_bytes}")?;
        let switches =
            [("early", self.early), ("threads", self.threads), ("raw", self.allow_raw_memory)];
        switches.iter().filter(|(_, set)| *set).try_for_each(|(name, _)| write!(f, ",{name}=1"))
    }
}

/// The names in text, in the order of the declarations.
const CHECKS: [(&str, Checks); 3] =
    [("bounds", Checks::Bounds), ("written", Checks::Written), ("races", Checks::Races)];
const MEMORY_MODELS: [(&str, MemoryModel); 3] = [
    ("sequential", MemoryModel::Sequential),
    ("buffers", MemoryModel::StoreBuffers),
    ("stale", MemoryModel::StaleReads),
];

fn named<T: Copy>(names: &[(&str, T)], name: &str) -> Option<T> {
    let found = names.iter().find(|(known, _)| *known == name);
    found.map(|&(_, value)| value)
}

/// A part of the text that is not an option.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError(String);

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (part, example) = (&self.0, Options::random(1));
        write!(f, "{VARIABLE}: `{part}` is not an option of the emulator; give the text that ")?;
        write!(f, "a finding prints, for example {example}")
    }
}

impl std::error::Error for ParseError {}

impl FromStr for Options {
    type Err = ParseError;

    /// Parts that are left out are as in [`Options::random`].
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut options = Self::random(0);
        for part in text.split(',') {
            let error = || ParseError(part.to_owned());
            let (name, value) = part.split_once('=').ok_or_else(error)?;
            options.set(name.trim(), value.trim()).ok_or_else(error)?;
        }
        Ok(options)
    }
}

impl Options {
    /// Sets one option from its text. None if there is no such option.
    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        let flag = || value.parse::<u32>().ok().map(|number| number != 0);
        match name {
            "seed" => self.seed = value.parse().ok()?,
            "policy" => {
                let (kind, number) = value.split_once(':').unwrap_or((value, "0"));
                let number = number.parse().ok()?;
                self.policy = match kind {
                    "in-order" => Policy::InOrder,
                    "reverse" => Policy::Reverse,
                    "random" => Policy::Random,
                    "starve" => Policy::StarveBlock(number),
                    "last-warp" => Policy::LastWarp(number),
                    "priorities" => Policy::Priorities(number),
                    _ => return None,
                };
            }
            "resident" => self.resident = value.parse().ok().filter(|&resident| resident > 0)?,
            "shuffle" => self.shuffle_blocks = flag()?,
            "checks" => self.checks = named(&CHECKS, value)?,
            "memory" => self.memory = named(&MEMORY_MODELS, value)?,
            "impatience" => self.impatience = value.parse().ok()?,
            "idle" => self.idle_limit = value.parse().ok()?,
            "stack" => self.stack_bytes = value.parse().ok()?,
            "early" => self.early = flag()?,
            "raw" => self.allow_raw_memory = flag()?,
            "threads" => self.threads = flag()?,
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_back_from_their_text() {
        for seed in 0..500 {
            let options = Options {
                early: seed % 2 == 1,
                threads: seed % 3 == 1,
                allow_raw_memory: seed % 5 == 1,
                ..Options::any(seed, 7, 96)
            };
            assert_eq!(options.to_string().parse(), Ok(options));
        }
    }

    #[test]
    fn a_part_that_is_no_option_is_named() {
        for (text, part) in [
            ("seed=1,polcy=random", "polcy=random"),
            ("policy=lockstep", "policy=lockstep"),
            ("resident=0", "resident=0"),
            ("seed", "seed"),
            ("", ""),
        ] {
            let error = text.parse::<Options>().expect_err(text).to_string();
            assert!(error.contains(&format!("`{part}`")), "{error}");
        }
    }
}
