//! Kernels that reach memory by raw pointers or slices, which cannot be checked.

use crate::t;
use cuda_std::emu::{Buffer, Kind, Options, launch};
use cuda_std::{ext::*, prelude::*};

type Alias = *mut u32;

struct Hidden(*mut u32);

#[kernel]
unsafe fn by_pointer(sum: *mut u32) {
    unsafe { *sum += 1 };
}

#[kernel]
unsafe fn by_alias(mut sum: Alias, n: ::core::primitive::u32) {
    sum = sum.wrapping_add(0);
    unsafe { *sum += n };
}

#[kernel]
unsafe fn by_slice(words: &mut [u32], _: [u32; 2]) {
    words[0] += 1;
}

#[kernel]
unsafe fn by_both(words: Global<u32>, sum: *mut u32) {
    unsafe { *sum += words.get(0) };
}

#[kernel]
unsafe fn by_structure(sum: Hidden) {
    unsafe { *sum.0 += 1 };
}

#[kernel]
unsafe fn by_accessor(words: Global<u32>, n: u32) {
    if t() < n as usize {
        unsafe { words.set(t(), 1) };
    }
}

/// Each kernel that hides memory from the checks, and the parameter that it is refused
/// for, if that is known before it runs.
fn with_each(mut check: impl FnMut(&dyn Fn(), *mut u32, Option<&str>)) {
    let words = Buffer::from_slice(&[1u32]);
    let words = words.global();
    let mut sum = 0;
    let sum = &raw mut sum;
    let slice = || unsafe { std::slice::from_raw_parts_mut(sum, 1) };
    let kernels: [(&dyn Fn(), Option<&str>); 6] = [
        (&|| unsafe { by_pointer(sum) }, Some("`sum: *mut u32`")),
        (&|| unsafe { by_alias(sum, 1) }, Some("`sum: *mut u32`")),
        (&|| unsafe { by_slice(slice(), [0, 1]) }, Some("`words: &mut [u32]`")),
        (&|| unsafe { by_both(words, sum) }, Some("`sum: *mut u32`")),
        (&|| unsafe { by_structure(Hidden(sum)) }, None),
        (&|| unsafe { *sum += 1 }, None),
    ];
    for (kernel, parameter) in kernels {
        check(kernel, sum, parameter);
    }
}

#[test]
fn raw_memory_is_refused_with_the_remedy() {
    with_each(|kernel, sum, parameter| {
        let before = unsafe { *sum };
        let finding = launch(1, 256, 0, &Options::in_order(), kernel).expect_err("a finding");
        assert_eq!(finding.kind, Kind::RawMemory, "{finding}");
        assert!(finding.message.contains("Options::allow_raw_memory"), "{finding}");
        match parameter {
            Some(parameter) => {
                assert!(finding.message.contains(parameter), "{finding}");
                assert_eq!(unsafe { *sum }, before, "the kernel has run: {finding}");
            }
            None => assert!(finding.message.starts_with("0 accesses"), "{finding}"),
        }
    });
}

#[test]
fn raw_memory_runs_where_it_is_allowed() {
    let options = Options { allow_raw_memory: true, ..Options::in_order() };
    with_each(|kernel, sum, _| {
        let before = unsafe { *sum };
        launch(1, 256, 0, &options, kernel).expect("no finding");
        assert_eq!(unsafe { *sum }, before + 256);
    });
}

#[test]
fn kernels_with_nothing_to_do_are_clean() {
    let words = Buffer::<u32>::zeroed(1);
    let words = words.global();
    let options = Options::in_order();
    let stats = launch(1, 32, 0, &options, || unsafe { by_accessor(words, 0) });
    assert_eq!(stats.expect("no finding").accesses, 0);
    launch(0, 32, 0, &options, || ()).expect("no finding");
}
