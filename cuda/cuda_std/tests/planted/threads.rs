//! Device threads as OS threads, as they are under Miri: the same runs and the same
//! findings, to the word.

use cuda_std::emu::{Buffer, Finding, Options, Stats, launch};
use cuda_std::{ext::*, prelude::*};

const GRID: u32 = 3;
const BLOCK: u32 = 64;

/// The planted bug, if any.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Bug {
    None,
    /// No barrier between writing and reading.
    Race,
    /// One thread panics.
    Panic,
    /// The last block waits for one that does not come.
    Deadlock,
}

/// Blocks add their sums up in order, each waiting for the one before.
unsafe fn chained_sums(input: Global<u32>, sums: Global<u32>, bug: Bug) {
    unsafe {
        let words = dynamic_shared::<u32>(0, BLOCK as usize);
        let (block, t) = (thread::block_idx_x() as usize, thread::thread_idx_x() as usize);
        words.set(t, input.get(block * BLOCK as usize + t));
        if bug != Bug::Race {
            thread::sync_threads();
        }
        let mut sum = words.get(t) + words.get(t ^ 32);
        for distance in [16, 8, 4, 2, 1] {
            sum += lanes::shuffle_xor(lanes::FULL, sum, distance);
        }
        assert!(bug != Bug::Panic || t != 33, "as planted");
        if t == 0 {
            let before = match block {
                0 => 0,
                2 if bug == Bug::Deadlock => wait(sums, 7),
                _ => wait(sums, block - 1),
            };
            sums.store(block, before + sum, Ordering::Release, Scope::Device);
        }
    }
}

unsafe fn wait(sums: Global<u32>, i: usize) -> u32 {
    loop {
        let sum = unsafe { sums.load(i, Ordering::Acquire, Scope::Device) };
        if sum != 0 {
            return sum;
        }
    }
}

fn run(seed: u64, threads: bool, bug: Bug) -> Result<(Stats, Vec<u32>), Finding> {
    let input = Buffer::from_slice(&[1u32; (GRID * BLOCK) as usize]).named("input");
    let sums = Buffer::<u32>::zeroed(8).named("sums");
    let (from, to) = (input.global(), sums.global());
    let options = Options {
        threads,
        shuffle_blocks: false,
        resident: GRID,
        idle_limit: 10_000,
        ..Options::any(seed, GRID, BLOCK)
    }
    .named("chained_sums");
    let stats = launch(GRID, BLOCK, 4 * BLOCK as usize, &options, || unsafe {
        chained_sums(from, to, bug)
    })?;
    Ok((stats, sums.to_vec()))
}

#[test]
fn os_threads_make_the_same_runs() {
    for seed in 0..8 {
        let run = |threads| run(seed, threads, Bug::None).expect("no finding");
        let (stats, sums) = run(true);
        assert_eq!(sums[..3], [64, 128, 192]);
        assert_eq!((stats, sums), run(false), "seed {seed}");
    }
}

#[test]
fn os_threads_find_the_same() {
    for bug in [Bug::Race, Bug::Panic, Bug::Deadlock] {
        for seed in 0..4 {
            let text = |threads| {
                let finding = run(seed, threads, bug).expect_err("a finding");
                finding.to_string().replace(",threads=1", "")
            };
            assert_eq!(text(true), text(false), "{bug:?}, seed {seed}");
        }
    }
}
