//! Regression tracking: whether one build is slower than another.
//!
//! | module | what it holds |
//! |---|---|
//! | [`alignment`] | rounds and sessions of processes, moved against each other |
//! | [`build`] | builds of revisions and of the worktree, and what runs of them |
//! | [`calibration`] | comparisons of which the answer is known |
//! | [`change_points`] | steps in the times of a benchmark over commits |
//! | [`commits`] | the commits that a history walks |
//! | [`comparison`] | two executables, run in turns |
//! | [`cores`] | which cores processes run on |
//! | [`fill`] | measures commits that a history lacks |
//! | `git` | git, outside of hooks |
//! | [`history`] | a curve over commits for each benchmark |
//! | [`history_chart`] | such a curve, drawn |
//! | [`history_page`] | the page of a history |
//! | `identity` | what a build depends on beside its sources |
//! | [`machine`] | whose store it is |
//! | [`noise`] | what else the machine did while a process ran |
//! | [`process`] | one process of an executable, and what it measured |
//! | [`rank`] | commits, engines and machines side by side |
//! | [`selection`] | which cells are meant |
//! | [`stats`] | the verdict over paired blocks of processes |
//! | [`store`] | what processes measured, a file a machine |

pub mod alignment;
pub mod build;
pub mod calibration;
pub mod change_points;
pub mod commits;
pub mod comparison;
pub mod cores;
pub mod fill;
mod git;
pub mod history;
pub mod history_chart;
pub mod history_page;
mod identity;
pub mod machine;
pub mod noise;
pub mod process;
pub mod rank;
pub mod selection;
pub mod stats;
pub mod store;
