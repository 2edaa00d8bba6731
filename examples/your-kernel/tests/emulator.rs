//! The kernel without a GPU: its result, and no finding in any order of the threads.

use cuda_std::emu::{Buffer, Options, launch};
use your_kernel::{THREADS, scale};

#[test]
fn every_schedule_scales() {
    let numbers: Vec<u32> = (0..1000).map(|i: u32| i.wrapping_mul(2_654_435_761)).collect();
    let blocks = 1000u32.div_ceil(THREADS);
    let scaled = |(i, x): (usize, &u32)| x.wrapping_mul(3).wrapping_add(i as u32);
    let expected: Vec<u32> = numbers.iter().enumerate().map(scaled).collect();
    for seed in 0..40 {
        let input = Buffer::from_slice(&numbers).named("input");
        let output = Buffer::<u32>::uninitialised(1000).named("output");
        launch(blocks, THREADS, 0, &Options::any(seed, blocks, THREADS), || unsafe {
            scale(input.slice(), output.as_mut_ptr(), 3)
        })
        .unwrap_or_else(|finding| panic!("{finding}"));
        assert_eq!(output.to_vec(), expected);
    }
}
