//! Regression tests for times: two builds or many commits compared.
//!
//! It sees names and numbers, as the records of `suite` have them, and knows nothing of what
//! is measured.
//!
//! | module | content |
//! |---|---|
//! | [`stats`] | the verdict over paired rounds of processes |
//! | [`reason`] | the code of a verdict's reason |
//! | `change_points` | steps in the times of a benchmark over commits |
//! | `alignment` | rounds and sessions of processes, moved against each other |
//! | [`schema`], [`store`] | what processes measured: lines, and a file a machine |
//! | [`machine`] | the machine that a store is of |
//! | [`selection`] | names that are chosen |
//! | [`cores`], [`noise`] | where processes run, and what else the machine did meanwhile |
//! | [`build`] | builds of revisions and of the worktree; `git` and `identity` serve it |
//! | [`process`] | one process of a build |
//! | [`comparison`] | two builds, by turns |
//! | [`calibration`] | comparisons whose answer is known |
//! | [`commits`], [`fill`], [`history`] | commits: their order, measured, as curves |
//! | [`rank`] | commits, engines and machines side by side |

mod alignment;
pub mod build;
pub mod calibration;
mod change_points;
pub mod commits;
pub mod comparison;
pub mod cores;
mod digest;
pub mod fill;
mod git;
pub mod history;
mod identity;
pub mod machine;
pub mod noise;
pub mod process;
pub mod rank;
pub mod reason;
pub mod schema;
pub mod selection;
pub mod stats;
pub mod store;

/// Says a line on standard error. Where that is closed, the work goes on.
fn tell(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Seconds since 1970-01-01 00:00 UTC.
fn now() -> f64 {
    std::time::UNIX_EPOCH.elapsed().map_or(0.0, |since| since.as_secs_f64())
}
