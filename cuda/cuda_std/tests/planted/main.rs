//! Kernels with planted bugs, each with its fixed twin.
//!
//! Every case is one kernel with a switch. With the bug it has to be found, under its
//! own kind, in at least 99 of 100 seeds; without, 2,000 schedules over all policies
//! and memory models have to find nothing.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each kernel keeps, or breaks on purpose, the one contract of the accessors"
)]

mod memory;
mod order;
mod raw_memory;
mod static_shared;
mod synchronisation;
mod threads;
mod warp;

use cuda_std::emu::{Buffer, Finding, Kind, Options, Stats};
use cuda_std::memory::Global;
use cuda_std::thread;
use cuda_std::word::Word;
use std::any::Any;
use std::cell::RefCell;

/// Grid, block, and bytes of dynamic shared memory.
type Shape = (u32, u32, usize);

type Launched = Result<Stats, Finding>;

/// One run of a case, with the bug or without.
struct Run {
    shape: Shape,
    options: Options,
    bug: bool,
    buffers: RefCell<Vec<Box<dyn Any>>>,
}

impl Run {
    fn launch(&self, kernel: impl Fn()) -> Launched {
        self.launch_with(&self.options, kernel)
    }

    fn launch_with(&self, options: &Options, kernel: impl Fn()) -> Launched {
        let (grid, block, shared_bytes) = self.shape;
        cuda_std::emu::launch(grid, block, shared_bytes, options, kernel)
    }

    /// The accessor of a buffer that lives as long as the run.
    fn keep<T: Word>(&self, buffer: Buffer<T>) -> Global<T> {
        let global = buffer.global();
        self.buffers.borrow_mut().push(Box::new(buffer));
        global
    }
}

/// One planted bug.
struct Case {
    kind: Kind,
    shape: Shape,
    kernel: Box<dyn Fn(Run) -> Launched>,
}

fn case(kind: Kind, shape: Shape, kernel: impl Fn(Run) -> Launched + 'static) -> Case {
    let kernel = Box::new(kernel);
    Case { kind, shape, kernel }
}

/// Shows that the bug is found in random schedules, and that the twin is clean.
#[track_caller]
fn finds(kind: Kind, shape: Shape, kernel: impl Fn(Run) -> Launched + 'static) {
    case(kind, shape, kernel).is_found(Options::random);
}

/// [`finds`], for a kernel without buffers. Without shared memory it touches none.
#[track_caller]
fn finds_kernel(kind: Kind, shape: Shape, kernel: fn(bool)) {
    finds(kind, shape, move |mut run| {
        run.options.allow_raw_memory = shape.2 == 0;
        run.launch(|| kernel(run.bug))
    });
}

/// [`finds`], for a kernel with one buffer.
#[track_caller]
fn finds_with<T: Word>(
    kind: Kind,
    shape: Shape,
    buffer: fn() -> Buffer<T>,
    kernel: fn(Global<T>, bool),
) {
    finds(kind, shape, move |run| {
        let buffer = run.keep(buffer());
        run.launch(|| kernel(buffer, run.bug))
    });
}

impl Case {
    fn run(&self, options: Options, bug: bool) -> Launched {
        let buffers = RefCell::default();
        (self.kernel)(Run { shape: self.shape, options, bug, buffers })
    }

    /// Shows that the bug is found with `options` of a seed, and that the twin is clean.
    #[track_caller]
    fn is_found(&self, options: impl Fn(u64) -> Options) {
        let found = (0..100).filter(|&seed| match self.run(options(seed), true) {
            Err(finding) => {
                assert_eq!(finding.kind, self.kind, "seed {seed}: {finding}");
                true
            }
            Ok(_) => false,
        });
        let found = found.count();
        println!("{}: found in {found} of 100 seeds", self.kind);
        assert!(found >= 99, "found in {found} of 100 seeds");
        self.is_clean();
    }

    /// Shows that the twin is clean, in 2,000 schedules.
    #[track_caller]
    fn is_clean(&self) {
        let (grid, block, _) = self.shape;
        for seed in 0..2000 {
            if let Err(finding) = self.run(Options::any(seed, grid, block), false) {
                panic!("the kernel without the bug, seed {seed}: {finding}");
            }
        }
    }
}

/// Index of this thread in the grid.
fn me() -> usize {
    (thread::block_idx_x() * thread::block_dim_x() + thread::thread_idx_x()) as usize
}
