//! Lines of a kernel's source, as 32-bit numbers too, so that a record of an access stays small.
//!
//! A line is known by the caller's location that the compiler puts into the program, or, in
//! instrumented crates, by the address of its code, for which debug information has the line. In a
//! kernel that a macro makes, the first is the macro's call, the second a line of its body.

#[cfg(feature = "instrumented")]
use super::code::{code_address, line_of_code};
use std::backtrace::Backtrace;
use std::fmt;
use std::panic::Location;

/// A line of a kernel's source.
pub(crate) type SourceLocation = Line;

/// A line of a kernel's source.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Line(
    /// The address of a `Location`, or twice the address of code and one.
    usize,
);

/// A thread, and the source line it is at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Site {
    /// Index in the grid.
    pub block: u32,
    /// Index in the block.
    pub thread: u32,
    /// The source line.
    pub location: Line,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "block {} thread {} at {}", self.block, self.thread, self.location)
    }
}

impl From<&'static Location<'static>> for Line {
    #[inline(always)]
    fn from(location: &'static Location<'static>) -> Self {
        Self((&raw const *location).expose_provenance())
    }
}

impl Line {
    #[inline(always)]
    #[track_caller]
    pub(crate) fn caller() -> Self {
        Location::caller().into()
    }

    /// The line of the kernel that this is inlined into: of instrumented code, where debug
    /// information knows lines within macros, by an address, and elsewhere the caller's.
    #[inline(always)]
    #[cfg_attr(not(feature = "instrumented"), track_caller)]
    pub(crate) fn of_kernel() -> Self {
        #[cfg(feature = "instrumented")]
        return Self::of_return_address(code_address());
        #[cfg(not(feature = "instrumented"))]
        Self::caller()
    }

    /// The line of the call that returns to this address.
    #[cfg(feature = "instrumented")]
    pub(crate) fn of_return_address(address: usize) -> Self {
        Self(address << 1 | 1)
    }

    /// The file, line and column.
    fn parts(self) -> (&'static str, u32, u32) {
        #[cfg(feature = "instrumented")]
        if self.0 & 1 != 0 {
            return line_of_code(self.0 >> 1);
        }
        // SAFETY: the address is that of a static location.
        let location = unsafe { &*std::ptr::with_exposed_provenance::<Location>(self.0) };
        (location.file(), location.line(), location.column())
    }

    /// The source file.
    pub fn file(self) -> &'static str {
        self.parts().0
    }

    /// The line, counted from 1; 0 if it is not known.
    pub fn line(self) -> u32 {
        self.parts().1
    }
}

/// The innermost line of the caller's file in `trace`, if it is another than the caller's: one in
/// the body of the macro that is called there.
pub(crate) fn line_in_macro(trace: &Backtrace, caller: Line) -> Option<Box<str>> {
    // A line by debug information is that of the body already.
    if caller.0 & 1 != 0 {
        return None;
    }
    let (file, line, column) = caller.parts();
    let file = file.strip_suffix(".rs")?;
    // Each path may be relative to a folder of its own.
    let is_of_file = |at: &&str| {
        at.split_once(".rs:").is_some_and(|(path, _)| path.ends_with(file) || file.ends_with(path))
    };
    let trace = trace.to_string();
    let lines = trace.lines().filter_map(|line| line.trim_start().strip_prefix("at "));
    let own = lines.map(|at| at.strip_prefix("./").unwrap_or(at)).find(is_of_file)?;
    (!own.ends_with(&format!(".rs:{line}:{column}"))).then(|| own.into())
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.parts() {
            (file, 0, _) => f.write_str(file),
            (file, line, column) => write!(f, "{file}:{line}:{column}"),
        }
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The location that all numbers count from. The compiler puts locations and code into the
/// program, which is far smaller than 1 GiB.
static ORIGIN: &Location = Location::caller();

fn origin() -> usize {
    (&raw const *ORIGIN).addr()
}

/// The number of a line: its distance in bytes; for code twice that and one.
#[inline(always)]
pub(crate) fn number(line: SourceLocation) -> u32 {
    let distance = match line.0 & 1 {
        0 => line.0.wrapping_sub(origin()),
        _ => (line.0 >> 1).wrapping_sub(origin()) << 1 | 1,
    };
    i32::try_from(distance as isize).expect("the lines of a program within 1 GiB") as u32
}

/// The line of a number.
pub(crate) fn location(number: u32) -> SourceLocation {
    let distance = number as i32 as isize;
    Line(match number & 1 {
        0 => origin().wrapping_add_signed(distance),
        _ => origin().wrapping_add_signed(distance >> 1) << 1 | 1,
    })
}
