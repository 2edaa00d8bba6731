//! Kernels with planted bugs, each with its fixed twin.
//!
//! Every bug is one kernel with a switch. With the bug it has to be found, under its own
//! kind, in at least 99 of 100 seeds; without, 2,000 schedules over all policies and
//! memory models have to find nothing.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each kernel keeps, or breaks on purpose, the one contract of the accessors"
)]

mod macros;
mod memory;
mod names;
mod order;
mod raw_memory;
mod static_shared;
mod synchronisation;
mod threads;
mod warp;

use cuda_std::emu::{Buffer, Finding, Kind, Options, Stats};
use cuda_std::ext::Word;
use cuda_std::ext::memory::Global;
use cuda_std::thread;
use std::any::Any;
use std::cell::RefCell;

/// Grid, block, and bytes of dynamic shared memory.
type Shape = (u32, u32, usize);

type Launched = Result<Stats, Finding>;

/// One run of a kernel, with the bug or without.
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

/// The options of a seed.
type Schedules = fn(u64) -> Options;

/// One planted bug, the kind of its finding, and the schedules that have to find it.
struct Bug {
    name: &'static str,
    kind: Kind,
    shape: Shape,
    schedules: Vec<Schedules>,
    kernel: Box<dyn Fn(Run) -> Launched>,
}

/// A bug that random schedules find.
fn bug(
    name: &'static str,
    kind: Kind,
    shape: Shape,
    kernel: impl Fn(Run) -> Launched + 'static,
) -> Bug {
    let schedules: Vec<Schedules> = vec![Options::random];
    Bug { name, kind, shape, schedules, kernel: Box::new(kernel) }
}

/// A bug in a kernel without buffers. Without shared memory it touches none.
fn kernel_bug(name: &'static str, kind: Kind, shape: Shape, kernel: fn(bool)) -> Bug {
    bug(name, kind, shape, move |mut run| {
        run.options.allow_raw_memory = shape.2 == 0;
        run.launch(|| kernel(run.bug))
    })
}

/// A bug in a kernel with one buffer.
fn buffer_bug<T: Word>(
    name: &'static str,
    kind: Kind,
    shape: Shape,
    buffer: fn() -> Buffer<T>,
    kernel: fn(Global<T>, bool),
) -> Bug {
    bug(name, kind, shape, move |run| {
        let buffer = run.keep(buffer());
        run.launch(|| kernel(buffer, run.bug))
    })
}

impl Bug {
    /// The same bug, which these schedules find too.
    fn also(mut self, schedules: Schedules) -> Self {
        self.schedules.push(schedules);
        self
    }

    /// The same bug, which these schedules find instead; with none, the kernel has no bug.
    fn only(self, schedules: &[Schedules]) -> Self {
        Self { schedules: schedules.to_vec(), ..self }
    }

    fn run(&self, options: Options, bug: bool) -> Launched {
        (self.kernel)(Run { shape: self.shape, options, bug, buffers: RefCell::default() })
    }

    /// The finding in a run with the bug.
    #[track_caller]
    fn finding(&self, options: Options) -> Finding {
        self.run(options, true).expect_err("a finding")
    }

    /// Shows that the bug is found in all schedules, and that the twin is clean.
    #[track_caller]
    fn check(&self) {
        let Self { name, kind, shape: (grid, block, _), .. } = *self;
        for schedules in &self.schedules {
            let found = (0..100).filter(|&seed| match self.run(schedules(seed), true) {
                Err(finding) => {
                    assert_eq!(finding.kind, kind, "{name}, seed {seed}: {finding}");
                    true
                }
                Ok(_) => false,
            });
            let found = found.count();
            println!("{name}: {kind} found in {found} of 100 seeds");
            assert!(found >= 99, "{name}: {kind} found in {found} of 100 seeds");
        }
        for seed in 0..2000 {
            if let Err(finding) = self.run(Options::any(seed, grid, block), false) {
                panic!("{name} without the bug, seed {seed}: {finding}");
            }
        }
    }
}

/// Shows that all bugs are found, and that their twins are clean.
#[track_caller]
fn check_all<const N: usize>(bugs: [Bug; N]) {
    bugs.iter().for_each(Bug::check);
}

/// Index of this thread in its block.
fn t() -> usize {
    thread::thread_idx_x() as usize
}

/// Index of this block.
fn block() -> usize {
    thread::block_idx_x() as usize
}

/// Index of this thread in the grid.
fn me() -> usize {
    block() * thread::block_dim_x() as usize + t()
}
