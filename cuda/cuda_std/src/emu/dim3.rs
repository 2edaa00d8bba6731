//! The sizes of grids and blocks, and indices in them.

use std::fmt;

/// A size, or an index, in up to three dimensions: `8`, `(8, 4)` or `(8, 4, 2)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)]
pub struct Dim3 {
    pub x: u32,
    pub y: u32,
    pub z: u32,
}

impl Dim3 {
    /// The product of the three, if it is one.
    pub(super) fn count(self) -> Option<u32> {
        self.x.checked_mul(self.y)?.checked_mul(self.z)
    }

    /// The index of element `i`, the first dimension fastest.
    #[inline(always)]
    pub(super) fn index(self, i: u32) -> Self {
        if i < self.x {
            return Self { x: i, y: 0, z: 0 };
        }
        Self { x: i % self.x, y: i / self.x % self.y, z: i / self.x / self.y }
    }
}

impl From<u32> for Dim3 {
    fn from(x: u32) -> Self {
        Self { x, y: 1, z: 1 }
    }
}

impl From<(u32, u32)> for Dim3 {
    fn from((x, y): (u32, u32)) -> Self {
        Self { x, y, z: 1 }
    }
}

impl From<(u32, u32, u32)> for Dim3 {
    fn from((x, y, z): (u32, u32, u32)) -> Self {
        Self { x, y, z }
    }
}

/// As a launch writes it.
impl fmt::Display for Dim3 {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            Self { x, y: 1, z: 1 } => write!(f, "{x}"),
            Self { x, y, z: 1 } => write!(f, "({x}, {y})"),
            Self { x, y, z } => write!(f, "({x}, {y}, {z})"),
        }
    }
}
