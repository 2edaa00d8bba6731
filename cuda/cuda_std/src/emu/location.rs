//! Source locations as 32-bit numbers, so that a record of an access stays small.

use std::fmt;
use std::panic::Location;

/// A line of a kernel's source.
pub(crate) type SourceLocation = &'static Location<'static>;

/// A thread, and the source line it is at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Site {
    /// Index in the grid.
    pub block: u32,
    /// Index in the block.
    pub thread: u32,
    /// The source line.
    pub location: &'static Location<'static>,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "block {} thread {} at {}", self.block, self.thread, self.location)
    }
}

/// The location that all numbers count from. The compiler puts locations into the
/// read-only data of the program, which is far smaller than 2 GiB.
static ORIGIN: SourceLocation = Location::caller();

/// The number of a location: its distance in bytes.
#[inline(always)]
pub(crate) fn number(location: SourceLocation) -> u32 {
    let origin = (&raw const *ORIGIN).addr();
    let distance = (&raw const *location).expose_provenance().wrapping_sub(origin) as isize;
    i32::try_from(distance).expect("the source locations of a program within 2 GiB") as u32
}

/// The location of a number.
pub(crate) fn location(number: u32) -> SourceLocation {
    let address = (&raw const *ORIGIN).addr().wrapping_add_signed(number as i32 as isize);
    // SAFETY: the number is that of a location, and all are static.
    unsafe { &*std::ptr::with_exposed_provenance(address) }
}
