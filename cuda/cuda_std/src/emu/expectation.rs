//! Memory that a launch expects to find clear.
//!
//! A kernel that needs an empty table, such as a look-back table, works the first time
//! and goes wrong when an earlier launch left its states behind. A word that is not zero
//! when the launch begins is a finding that names the writer.

use super::access_kind::Past;
use super::allocation::Allocation;
use std::ops::Range;

/// Bytes that have to be zero when a launch begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expectation {
    pub(crate) memory: *const Allocation,
    pub(crate) bytes: Range<usize>,
    pub(crate) element: usize,
}

impl Expectation {
    /// The first element that is not zero, for a report, and the last write of it.
    pub(crate) fn violation(&self) -> Option<(String, Option<Past>)> {
        // SAFETY: buffers outlive the launches that use them.
        let memory = unsafe { &*self.memory };
        // SAFETY: the range was found to be in the allocation.
        let is_stale = |&byte: &usize| unsafe { memory.base.add(byte).read() != 0 };
        let byte = self.bytes.clone().find(is_stale)?;
        let (index, size) = (byte / self.element, self.element);
        let element = format!("element {index} ({size} bytes wide) of {}", memory.describe());
        Some((element, memory.shadow.borrow().last_write(byte)))
    }
}
