//! Regression tests for times: two builds or many commits compared.
//!
//! It sees names and numbers, as the records of `suite` have them, and knows nothing of what
//! is measured.

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

/// Says a line on standard error. Where that is closed, the work goes on.
fn tell(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}
