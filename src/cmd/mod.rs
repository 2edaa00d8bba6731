//! The subcommands, one file each.

pub mod classic;
pub mod compare;
pub mod peers;
pub mod report;
pub mod sample;
pub mod tune;
