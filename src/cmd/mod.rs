//! The subcommands, one file each.

pub(crate) mod calibrate;
pub(crate) mod classic;
pub(crate) mod compare;
pub(crate) mod devices;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod history;
mod keys;
pub(crate) mod peers;
pub(crate) mod rank;
pub(crate) mod report;
pub(crate) mod sample;
pub(crate) mod tune;
mod verdicts;
