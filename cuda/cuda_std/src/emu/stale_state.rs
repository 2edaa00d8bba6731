//! Memory that a launch expects to find clear.
//!
//! A kernel that needs an empty table, such as a look-back table, works the first time
//! and goes wrong when an earlier launch left its states behind. [`Options::expect_zero`]
//! names such a table; a word of it that is not zero when the launch begins is a finding
//! that names the writer.

use super::finding::{Finding, Kind, Launched};
use super::location::SourceLocation;
use super::options::Expectation;

/// Checks all memory that a launch expects to be zero.
pub(crate) fn check(launched: &Launched, at: SourceLocation) -> Result<(), Finding> {
    launched.options.expectations.iter().try_for_each(|expectation| expectation.check(launched, at))
}

impl Expectation {
    fn check(&self, launched: &Launched, at: SourceLocation) -> Result<(), Finding> {
        // SAFETY: buffers outlive the launches that use them.
        let memory = unsafe { &*self.memory };
        let is_stale = |&byte: &usize| {
            // SAFETY: the range was found to be in the allocation.
            unsafe { memory.base.add(byte).read() != 0 }
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
        finding.site = memory.shadow.borrow().last_write(byte).map(|past| past.site());
        Err(finding)
    }
}
