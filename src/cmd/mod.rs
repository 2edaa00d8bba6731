//! The subcommands, one file each.

pub mod calibrate;
pub mod classic;
pub mod compare;
pub mod doctor;
pub mod history;
pub mod peers;
pub mod rank;
pub mod report;
pub mod sample;
pub mod tune;
mod verdicts;
