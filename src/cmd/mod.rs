//! The subcommands, one file each, and the tables that several print.

pub mod classic;
pub mod compare;
pub mod peers;
pub mod report;
pub mod sample;
pub mod table;
pub mod tune;
