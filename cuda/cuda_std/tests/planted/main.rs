//! Kernels with planted bugs, each with its fixed twin.
//!
//! Every case is one kernel with a switch. With the bug it has to be found, and
//! called what it is, in at least 99 of 100 seeds; without, 2,000 schedules over
//! all policies and memory models have to find nothing. A case that cannot fail
//! would fail here.

mod memory;
mod order;
mod static_shared;
mod synchronisation;
mod threads;
mod warp;

use cuda_std::emu::{Finding, Kind, Options, Stats};

/// One planted bug.
struct Case {
    kind: Kind,
    grid: u32,
    block: u32,
    shared_bytes: usize,
    /// Runs the kernel, with the bug or without.
    run: fn(&Case, &Options, bool) -> Result<Stats, Finding>,
}

impl Case {
    fn launch(&self, options: &Options, kernel: impl Fn()) -> Result<Stats, Finding> {
        cuda_std::emu::launch(self.grid, self.block, self.shared_bytes, options, kernel)
    }

    /// Shows that the bug is found with `options` of a seed, and that the twin is
    /// clean. Prints how often.
    #[track_caller]
    fn is_found(&self, options: impl Fn(u64) -> Options) {
        let found = (0..100)
            .filter(|&seed| match (self.run)(self, &options(seed), true) {
                Err(finding) => {
                    assert_eq!(finding.kind, self.kind, "seed {seed}: {finding}");
                    true
                }
                Ok(_) => false,
            })
            .count();
        println!("{}: found in {found} of 100 seeds", self.kind);
        assert!(found >= 99, "found in {found} of 100 seeds");
        self.is_clean();
    }

    /// Shows that the twin is clean, in 2,000 schedules.
    #[track_caller]
    fn is_clean(&self) {
        for seed in 0..2000 {
            let options = Options::any(seed, self.grid, self.block);
            if let Err(finding) = (self.run)(self, &options, false) {
                panic!("the kernel without the bug, seed {seed}: {finding}");
            }
        }
    }
}
