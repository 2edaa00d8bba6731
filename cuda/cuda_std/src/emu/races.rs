//! The last accesses of each granule, and the check of the next one against them.
//!
//! A granule remembers its last write and the reads since (FastTrack: Flanagan and Freund 2009).
//! One record of each suffices as long as each access happens after the recorded one; reads and
//! atomic operations that do not are kept together in a set, with a word for each lane of the warps
//! that took part, so that a thousand threads that count in one bin stay cheap.
//!
//! Atomic operations do not race with each other, unless one of them has block
//! scope and they come from two blocks. A streamed read (`ld.global.nc`) may not
//! meet a write of the same launch, even an ordered one.

use super::access_kind::{AccessKind, Conflict, Past};
use super::clock::{BLOCK, Knowledge, Stamp};

/// The epoch of an access in the low bits, and its [`AccessKind`] in the high ones.
#[derive(Clone, Copy, PartialEq)]
struct Mark(u32);

impl Mark {
    fn epoch(self) -> u32 {
        self.0 & !AccessKind::BITS
    }

    fn kind(self) -> AccessKind {
        AccessKind::from_bits(self.0)
    }
}

#[derive(Clone, Copy)]
struct Record {
    /// The thread's number, or one of the two values below.
    thread: u32,
    /// The clock, 0 for an earlier launch; or the number of a set.
    clock: u32,
    /// For a set, the block that made it.
    mark: Mark,
    location: u32,
}

/// Returns true if two accesses are atomic together: from one block, or neither of them
/// with block scope.
fn are_atomic(old: AccessKind, new: AccessKind, same_block: bool) -> bool {
    let is_narrow = old.has(AccessKind::BLOCK_SCOPE) || new.has(AccessKind::BLOCK_SCOPE);
    old.has(AccessKind::ATOMIC) && new.has(AccessKind::ATOMIC) && (same_block || !is_narrow)
}

impl Record {
    const NONE: u32 = u32::MAX;
    const SET: u32 = u32::MAX - 1;
    const EMPTY: Record = Record { thread: Self::NONE, clock: 0, mark: Mark(0), location: 0 };

    fn stamp(&self) -> Stamp {
        Stamp { thread: self.thread, clock: self.clock, epoch: self.mark.epoch() }
    }

    fn past(&self) -> Past {
        Past { thread: self.thread, kind: self.mark.kind(), location: self.location }
    }

    /// Checks that an access of `kind` by `me` may follow. One of the two writes.
    #[inline]
    fn permits(&self, kind: AccessKind, me: &Knowledge) -> Result<(), Conflict> {
        let old = self.mark.kind();
        if (old.has(AccessKind::STREAMED) || kind.has(AccessKind::STREAMED)) && self.clock != 0 {
            return Err(Conflict::Streamed(self.past()));
        }
        let may_follow =
            are_atomic(old, kind, self.thread / BLOCK == me.block()) || me.is_after(self.stamp());
        if may_follow { Ok(()) } else { Err(Conflict::Race(self.past())) }
    }

    /// Returns true if the new record covers this one: every later access that races
    /// with this one races with the new one too.
    #[inline]
    fn is_covered_by(&self, new: &Record, me: &Knowledge, is_shared: bool) -> bool {
        let (old, kind) = (self.mark.kind(), new.mark.kind());
        let stronger = !kind.has(AccessKind::ATOMIC) && !old.has(AccessKind::STREAMED);
        // In shared memory no thread comes later than a barrier that has been passed.
        let past_barrier = is_shared && self.mark.epoch() < me.epoch;
        (old == kind || stronger || past_barrier) && me.is_after(self.stamp())
    }
}

#[derive(Clone, Copy)]
struct Cell {
    write: Record,
    read: Record,
}

/// The last access of each lane of one warp, all of one kind and epoch.
#[derive(Clone)]
struct Group {
    warp: u32,
    mark: Mark,
    /// 0 for a lane that took no part.
    clocks: [u32; 32],
    locations: [u32; 32],
}

impl Group {
    fn records(&self) -> impl Iterator<Item = Record> {
        (0..32).filter(|&lane| self.clocks[lane] != 0).map(|lane| Record {
            thread: self.warp * 32 + lane as u32,
            clock: self.clocks[lane],
            mark: self.mark,
            location: self.locations[lane],
        })
    }

    /// Returns true if the block of `me` has passed a barrier since.
    fn is_past_barrier(&self, me: &Knowledge) -> bool {
        self.warp / (BLOCK / 32) == me.block() && self.mark.epoch() < me.epoch
    }

    /// Returns true if the single lanes need not be checked.
    fn surely_permits(&self, kind: AccessKind, me: &Knowledge) -> bool {
        let old = self.mark.kind();
        let is_streamed = old.has(AccessKind::STREAMED) || kind.has(AccessKind::STREAMED);
        let same_block = self.warp / (BLOCK / 32) == me.block();
        !is_streamed && (are_atomic(old, kind, same_block) || self.is_past_barrier(me))
    }

    fn set(&mut self, record: Record) {
        self.clocks[record.thread as usize % 32] = record.clock;
        self.locations[record.thread as usize % 32] = record.location;
    }
}

/// Sets of concurrent accesses, by number.
#[derive(Default)]
struct Sets {
    sets: Vec<Vec<Group>>,
    free: Vec<u32>,
}

impl Sets {
    fn add(&mut self, set: Vec<Group>) -> u32 {
        match self.free.pop() {
            Some(number) => {
                self.sets[number as usize] = set;
                number
            }
            None => {
                self.sets.push(set);
                self.sets.len() as u32 - 1
            }
        }
    }

    fn insert(&mut self, number: u32, record: Record, me: &Knowledge, is_shared: bool) {
        let set = &mut self.sets[number as usize];
        let warp = record.thread / 32;
        let same = |group: &&mut Group| group.warp == warp && group.mark == record.mark;
        if let Some(group) = set.iter_mut().find(same) {
            return group.set(record);
        }
        set.retain(|group| {
            let same_kind = group.mark.kind() == record.mark.kind();
            !(group.is_past_barrier(me) && (same_kind || is_shared))
        });
        let mut group = Group { warp, mark: record.mark, clocks: [0; 32], locations: [0; 32] };
        group.set(record);
        set.push(group);
    }
}

pub(crate) struct Races {
    /// Empty until the first access that is checked.
    cells: Vec<Cell>,
    sets: Sets,
    is_shared: bool,
}

impl Races {
    pub(super) fn new(is_shared: bool) -> Self {
        Self { cells: Vec::new(), sets: Sets::default(), is_shared }
    }

    /// Forgets all records. Those of shared memory name their block, and those of another
    /// block are passed over, so there only the sets go.
    pub(super) fn forget(&mut self) {
        if !self.is_shared {
            self.cells.clear();
        }
        self.sets = Sets::default();
    }

    pub(super) fn reserve(&mut self, granules: usize) {
        if self.cells.len() != granules {
            let untouched = Cell { write: Record::EMPTY, read: Record::EMPTY };
            self.cells.resize(granules, untouched);
        }
    }

    /// Makes history of all records: they are before the next launch.
    pub(super) fn enter_launch(&mut self) {
        for cell in &mut self.cells {
            cell.read = Record::EMPTY;
            if cell.write.thread == Record::SET {
                let set = &self.sets.sets[cell.write.clock as usize];
                cell.write = set.iter().flat_map(Group::records).last().unwrap_or(Record::EMPTY);
            }
            cell.write.clock = 0;
            cell.write.mark = Mark(cell.write.mark.kind().bits());
        }
        self.sets = Sets::default();
    }

    /// Makes `parts` of each granule, `granules` in all.
    pub(super) fn split(&mut self, parts: usize, granules: usize) {
        let whole = std::mem::take(&mut self.cells);
        for cell in whole {
            self.cells.push(cell);
            for _ in 1..parts {
                let copy = Cell { write: self.copy(cell.write), read: self.copy(cell.read) };
                self.cells.push(copy);
            }
        }
        if !self.cells.is_empty() {
            self.cells.truncate(granules);
        }
    }

    fn copy(&mut self, record: Record) -> Record {
        if record.thread != Record::SET {
            return record;
        }
        let set = match self.sets.sets.get(record.clock as usize) {
            Some(set) => set.clone(),
            None => return Record::EMPTY,
        };
        Record { clock: self.sets.add(set), ..record }
    }

    /// Returns true if a record is none, or of a block that had this shared memory before.
    #[inline]
    fn is_empty(&self, record: &Record, me: &Knowledge) -> bool {
        match record.thread {
            Record::NONE => true,
            Record::SET => self.is_shared && record.mark != Mark(me.block()),
            thread => self.is_shared && thread / BLOCK != me.block(),
        }
    }

    #[inline]
    pub(super) fn check(
        &mut self,
        granule: usize,
        kind: AccessKind,
        me: &Knowledge,
        location: u32,
    ) -> Result<(), Conflict> {
        let Cell { write, read } = self.cells[granule];
        self.permits(&write, kind, me)?;
        let now = me.now();
        let record = Record {
            thread: now.thread,
            clock: now.clock,
            mark: Mark(now.epoch | kind.bits()),
            location,
        };
        if !kind.has(AccessKind::WRITE) {
            self.cells[granule].read = self.add(read, record, me);
            return Ok(());
        }
        self.permits(&read, kind, me)?;
        if kind.has(AccessKind::ATOMIC) {
            self.cells[granule].write = self.add(write, record, me);
            return Ok(());
        }
        for old in [write, read] {
            if old.thread == Record::SET && !self.is_empty(&old, me) {
                self.sets.free.push(old.clock);
            }
        }
        self.cells[granule] = Cell { write: record, read: Record::EMPTY };
        Ok(())
    }

    #[inline]
    fn permits(&self, old: &Record, kind: AccessKind, me: &Knowledge) -> Result<(), Conflict> {
        if self.is_empty(old, me) {
            return Ok(());
        }
        if old.thread != Record::SET {
            return old.permits(kind, me);
        }
        let set = &self.sets.sets[old.clock as usize];
        set.iter()
            .filter(|group| !group.surely_permits(kind, me))
            .flat_map(Group::records)
            .try_for_each(|record| record.permits(kind, me))
    }

    /// The old record and the new one, as one record.
    #[inline]
    fn add(&mut self, old: Record, new: Record, me: &Knowledge) -> Record {
        if self.is_empty(&old, me) {
            return new;
        }
        if old.thread == Record::SET {
            self.sets.insert(old.clock, new, me, self.is_shared);
            return old;
        }
        if old.clock == 0 || old.is_covered_by(&new, me, self.is_shared) {
            return new;
        }
        let number = self.sets.add(Vec::new());
        self.sets.insert(number, old, me, self.is_shared);
        self.sets.insert(number, new, me, self.is_shared);
        Record { thread: Record::SET, clock: number, mark: Mark(me.block()), location: 0 }
    }

    pub(super) fn last_write(&self, granule: usize) -> Option<Past> {
        let record = self.cells.get(granule)?.write;
        match record.thread {
            Record::NONE => None,
            Record::SET => {
                let set = &self.sets.sets[record.clock as usize];
                set.iter().flat_map(Group::records).last().map(|record| record.past())
            }
            _ => Some(record.past()),
        }
    }
}
