//! Source locations as 32-bit numbers, so that a record of an access stays small.
//!
//! Two `Location`s of one line are one number, even if the compiler made them two
//! objects. A small direct-mapped cache in front of the table answers nearly always.

use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::sync::{LazyLock, Mutex};

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

#[derive(Default)]
struct Table {
    numbers: HashMap<(&'static str, u32, u32), u32>,
    locations: Vec<SourceLocation>,
}

/// Records outlive launches and name locations by number, so there is one table.
static TABLE: LazyLock<Mutex<Table>> = LazyLock::new(Mutex::default);

fn table() -> std::sync::MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The location that `number` stands for.
pub(crate) fn location(number: u32) -> SourceLocation {
    table().locations[number as usize]
}

/// A launch's cache of numbers.
pub(crate) struct Numbers {
    cache: Vec<Option<(SourceLocation, u32)>>,
}

impl Numbers {
    const SLOTS: usize = 256;

    pub(super) fn new() -> Self {
        Self { cache: vec![None; Self::SLOTS] }
    }

    #[inline(always)]
    pub(super) fn of(&mut self, location: SourceLocation) -> u32 {
        // A Location is three words long.
        let slot = (location as *const Location as usize / 24) % Self::SLOTS;
        match self.cache[slot] {
            Some((known, number)) if std::ptr::eq(known, location) => number,
            _ => self.look_up(slot, location),
        }
    }

    #[cold]
    fn look_up(&mut self, slot: usize, location: SourceLocation) -> u32 {
        let mut table = table();
        let key = (location.file(), location.line(), location.column());
        let next = table.locations.len() as u32;
        let number = *table.numbers.entry(key).or_insert(next);
        if number == next {
            table.locations.push(location);
        }
        self.cache[slot] = Some((location, number));
        number
    }
}
