//! Source locations as 32-bit numbers, so that a record of an access stays small.
//!
//! Numbers are given by value: two `Location`s of one place are one number, even
//! if the compiler made them two objects. A small direct-mapped cache in front of
//! the table answers nearly always.

use std::collections::HashMap;
use std::panic::Location;
use std::sync::{LazyLock, Mutex};

type Place = &'static Location<'static>;

#[derive(Default)]
struct Table {
    numbers: HashMap<(&'static str, u32, u32), u32>,
    places: Vec<Place>,
}

/// Records outlive launches and name places by number, so there is one table.
static TABLE: LazyLock<Mutex<Table>> = LazyLock::new(Mutex::default);

fn table() -> std::sync::MutexGuard<'static, Table> {
    TABLE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The place that `number` stands for.
pub(crate) fn place(number: u32) -> Place {
    table().places[number as usize]
}

/// A launch's way to the numbers.
pub(crate) struct Numbers {
    cache: Vec<Option<(Place, u32)>>,
}

impl Numbers {
    const SLOTS: usize = 256;

    pub fn new() -> Self {
        Self {
            cache: vec![None; Self::SLOTS],
        }
    }

    #[inline(always)]
    pub fn of(&mut self, place: Place) -> u32 {
        // A Location is three words long.
        let slot = (place as *const Location as usize / 24) % Self::SLOTS;
        match self.cache[slot] {
            Some((known, number)) if std::ptr::eq(known, place) => number,
            _ => self.look_up(slot, place),
        }
    }

    #[cold]
    fn look_up(&mut self, slot: usize, place: Place) -> u32 {
        let mut table = table();
        let key = (place.file(), place.line(), place.column());
        let number = match table.numbers.get(&key) {
            Some(&number) => number,
            None => {
                let number = table.places.len() as u32;
                table.places.push(place);
                table.numbers.insert(key, number);
                number
            }
        };
        self.cache[slot] = Some((place, number));
        number
    }
}
