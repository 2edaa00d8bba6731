//! Memory that a launch expects to find clear.
//!
//! A kernel that counts on a table's being empty, a look-back table for one, works
//! the first time, and goes wrong when an earlier launch left its states behind.
//! [`Options::expect_zero`] names such a table; the launch then begins by looking
//! at it, and a word that is not zero is a finding which names who wrote it.

use super::finding::{Finding, Kind, Launched, Site};
use super::options::Options;
use crate::memory::Global;
use crate::word::Word;
use std::ops::Range;
use std::panic::Location;

/// Bytes that have to be zero when a launch begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expectation {
    memory: *const super::allocation::Allocation,
    bytes: Range<usize>,
    element: usize,
}

impl Options {
    /// The same, and the launch begins with a look at `elements` of `table`: if one
    /// is not zero, that is a finding.
    ///
    /// # Panics
    /// If the table does not have these elements.
    pub fn expect_zero<T: Word>(mut self, table: Global<T>, elements: Range<usize>) -> Self {
        let element = size_of::<T>();
        let begin = table.byte_offset() + elements.start * element;
        let end = table.byte_offset() + elements.end * element;
        // SAFETY: the buffer exists, or there would be no accessor to it to speak of.
        let bytes = unsafe { (*table.allocation()).bytes() };
        assert!(
            end <= bytes,
            "expect_zero: {elements:?} is not in the table"
        );
        self.expectations.push(Expectation {
            memory: table.allocation(),
            bytes: begin..end,
            element,
        });
        self
    }
}

/// Looks at all memory that a launch expects to be zero.
pub(crate) fn check(launched: &Launched, at: &'static Location<'static>) -> Result<(), Finding> {
    launched
        .options
        .expectations
        .iter()
        .try_for_each(|expectation| expectation.check(launched, at))
}

impl Expectation {
    fn check(&self, launched: &Launched, at: &'static Location<'static>) -> Result<(), Finding> {
        // SAFETY: buffers outlive the launches that use them.
        let memory = unsafe { &*self.memory };
        let is_stale = |&byte: &usize| {
            // SAFETY: the range was found to be in the allocation.
            unsafe { memory.base().add(byte).read() != 0 }
        };
        let Some(byte) = self.bytes.clone().find(is_stale) else {
            return Ok(());
        };
        let element = byte / self.element;
        let message = format!(
            "element {element} ({} bytes wide) of {} is not zero at the launch at {at}",
            self.element,
            memory.describe()
        );
        let mut finding = launched.finding(Kind::StaleState, message);
        finding.site = memory
            .shadow
            .borrow()
            .last_write(byte)
            .map(|past| past.site());
        Err(finding)
    }
}

impl super::races::Past {
    /// For a report.
    pub(crate) fn site(self) -> Site {
        Site {
            block: self.thread / super::clock::BLOCK,
            thread: self.thread % super::clock::BLOCK,
            location: super::location::place(self.location),
        }
    }
}
