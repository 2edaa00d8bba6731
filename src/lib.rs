//! What the command and the benchmarks have in common: plots, reports, files, comparisons.

pub mod interrupt;
pub mod output;
pub mod paths;
pub mod plot;
pub mod report;
pub mod track;
