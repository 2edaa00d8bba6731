//! A first kernel, run in the emulator: with a race, which is found, and mended.
//!
//! `cargo run --example first_kernel`; docs/EMULATOR.md explains findings.

use cuda_std::emu::{Buffer, Options, launch};
use cuda_std::{ext::*, prelude::*};

/// Threads of the block, and numbers.
const N: usize = 64;

/// Every thread puts its neighbour's number in the place of its own.
///
/// # Safety
/// There are N numbers; the launch has one block of N threads.
#[kernel]
unsafe fn racing(numbers: Global<u32>) {
    let t = thread::thread_idx_x() as usize;
    // SAFETY: the contract; t is below N.
    unsafe {
        let next = numbers.get((t + 1) % N);
        // Nothing has this thread wait until its own number was read.
        numbers.set(t, next);
    }
}

/// The same with a barrier between the reads and the writes.
///
/// # Safety
/// As that of `racing`.
#[kernel]
unsafe fn mended(numbers: Global<u32>) {
    let t = thread::thread_idx_x() as usize;
    // SAFETY: the contract; t is below N.
    unsafe {
        let next = numbers.get((t + 1) % N);
        thread::sync_threads();
        numbers.set(t, next);
    }
}

fn main() {
    let ascending: Vec<u32> = (0..N as u32).collect();
    let buffer = || Buffer::from_slice(&ascending).named("numbers");
    let (numbers, options) = (buffer(), Options::random(7));
    let array = numbers.global();
    // SAFETY: the launch has the shape of the contract.
    match launch(1, N as u32, 0, &options, || unsafe { racing(array) }) {
        Ok(_) => println!("racing: nothing was found"),
        Err(finding) => println!("{finding}\n"),
    }
    for seed in 0..100 {
        let (numbers, options) = (buffer(), Options::random(seed));
        let array = numbers.global();
        // SAFETY: as above.
        let run = launch(1, N as u32, 0, &options, || unsafe { mended(array) });
        run.expect("the barrier orders every read before every write");
        let moved = numbers.to_vec().into_iter();
        assert!(moved.eq((1..N as u32).chain([0])), "seed {seed}");
    }
    println!("mended: the right result and no finding, in 100 random schedules");
}
