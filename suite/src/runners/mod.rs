//! Engines made ready to run a case, one module a place where the elements lie.

pub mod copies;
pub mod devices;
pub mod emulator;
pub mod gpu;
pub mod host;
pub mod peer;
pub mod segments;
pub mod shape;
pub mod streams;
