//! The parts that the command and the benchmarks share: plots, reports, files, comparisons,
//! and what a machine lacks.

pub mod doctor;
pub mod interrupt;
pub mod output;
pub mod paths;
pub mod report;
pub mod table;
