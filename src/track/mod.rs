//! Regression tracking: whether one build is slower than another.
//!
//! | module | what it holds |
//! |---|---|
//! | [`build`] | builds of revisions, in worktrees of their own |
//! | [`comparison`] | two executables, run in turns |
//! | [`process`] | one process of an executable, and what it measured |
//! | [`stats`] | the verdict over paired blocks of processes |
//! | [`store`] | what processes measured, a file a machine |

pub mod build;
pub mod comparison;
pub mod process;
pub mod stats;
pub mod store;
