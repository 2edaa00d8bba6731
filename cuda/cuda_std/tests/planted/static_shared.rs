//! Bugs in static shared arrays, which are checked as dynamic ones are.

use crate::{bug, check_all, kernel_bug, t};
use cuda_std::emu::{Buffer, Kind, Options, launch};
use cuda_std::{ext::*, prelude::*};

const TILE: usize = 64;

/// Each thread fetches its neighbour's word through an array that is full.
#[kernel]
unsafe fn past_the_end(bug: bool) {
    let words = shared_words![u32; TILE];
    let behind = shared_words![u32; TILE];
    unsafe {
        behind.set(t(), 1);
        words.set(t() + bug as usize, 2);
    }
}

/// Counts in an array that only the first block clears.
#[kernel]
unsafe fn uncleared(bug: bool) {
    let counts = shared_words![u32; 32];
    unsafe {
        if !bug || thread::block_idx_x() == 0 {
            counts.set(t(), 0);
        }
        counts.fetch_add(t(), 1);
    }
}

/// Each thread reads its neighbour's second half-word, with a barrier before it or not.
#[kernel]
unsafe fn unordered(bug: bool) {
    let halves = shared_words![u16; 96];
    unsafe {
        halves.set(t(), 1);
        thread::sync_threads();
        halves.set(t(), 2);
        if !bug {
            thread::sync_threads();
        }
        halves.get((t() + 1) % 96);
    }
}

/// Asks for one word more than a block may have.
#[kernel]
unsafe fn too_large(bug: bool) {
    let most = shared_words![u64; 6143];
    unsafe { most.set(0, 1) };
    if bug {
        shared_words![u128; 1];
    }
}

#[test]
fn bugs_in_static_arrays_are_found() {
    let past_the_end = bug("past the end", Kind::OutOfBounds, (2, TILE as u32, 0), |run| {
        run.launch(|| unsafe { past_the_end(run.bug) })
    });
    let finding = past_the_end.finding(Options::in_order());
    let array = "element 64 (4 bytes wide) of shared memory `past_the_end_shared_0` (256 bytes)";
    assert!(finding.message.contains(array), "{finding}");
    assert_eq!(finding.launch.kernel, "past_the_end");
    check_all([
        past_the_end.also(|_| Options::unchecked()),
        bug("uninitialised in the next block", Kind::Uninitialised, (4, 32, 128), |mut run| {
            run.options.resident = 1;
            run.launch(|| unsafe { uncleared(run.bug) })
        }),
        kernel_bug("race", Kind::Race, (2, 96, 0), |bug| unsafe { unordered(bug) }),
        kernel_bug("too large", Kind::Launch, (1, 1, 0), |bug| unsafe { too_large(bug) }),
    ]);
    // Dynamic memory counts too.
    let options = Options::in_order();
    let finding = launch(1, 1, 200 << 10, &options, || unsafe { too_large(false) });
    assert_eq!(finding.expect_err("a finding").kind, Kind::Launch);
}

/// Two arrays are two, in every block, beside the dynamic memory.
#[kernel]
unsafe fn sums(output: Global<u32>) {
    let (a, b) = (shared_words![u32; 32], shared_words![u32; 32]);
    let block = thread::block_idx_x();
    unsafe {
        let c = dynamic_shared::<u32>(0, 32);
        for (words, value) in [(a, 1), (b, 10), (c, 100)] {
            words.set(t(), value * (block + 1));
        }
        thread::sync_threads();
        let other = t() ^ 1;
        let sum = a.get(other) + b.get(other) + c.get(other);
        output.set(32 * block as usize + t(), sum);
    }
}

#[test]
fn arrays_and_blocks_do_not_share() {
    let output = Buffer::uninitialised(6 * 32);
    let words = output.global();
    launch(6, 32, 128, &Options::random(5), || unsafe { sums(words) }).expect("no finding");
    let expected: Vec<u32> = (0..6 * 32).map(|i| 111 * (i / 32 + 1)).collect();
    assert_eq!(output.to_vec(), expected);
}
