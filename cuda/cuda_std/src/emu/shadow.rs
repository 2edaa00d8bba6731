//! Shadow memory: the written pieces of an allocation and, in [`races`](super::races),
//! the last accesses of each.
//!
//! A piece, or *granule*, is as wide as the narrowest access so far: it begins as the
//! array's element, and the first narrower access splits all granules, each part with
//! the records of the whole. So two threads that write neighbouring 16-bit halves of a
//! word do not race, and a word read as one is two granules.

use super::access_kind::{AccessKind, Conflict, Past};
use super::clock::Knowledge;
use super::races::Races;

pub(crate) struct Shadow {
    bytes: usize,
    /// Log2 of the granule.
    shift: u32,
    written: Vec<bool>,
    races: Races,
}

impl Shadow {
    pub(crate) fn new(bytes: usize, granule: usize, is_shared: bool) -> Self {
        Self {
            bytes,
            shift: granule.trailing_zeros(),
            written: vec![false; bytes.div_ceil(granule)],
            races: Races::new(is_shared),
        }
    }

    /// Makes it the shadow of new memory.
    pub(crate) fn forget(&mut self) {
        self.written.fill(false);
        self.races.forget();
    }

    fn granules(&self, offset: usize, size: usize) -> std::ops::Range<usize> {
        let last = (offset + size - 1) >> self.shift;
        offset >> self.shift..last + 1
    }

    /// Makes granules no wider than `size`.
    #[inline]
    fn split_to(&mut self, size: usize) {
        if size < 1 << self.shift {
            self.split(size);
        }
    }

    #[cold]
    fn split(&mut self, size: usize) {
        let parts = 1 << (self.shift - size.trailing_zeros());
        self.shift = size.trailing_zeros();
        let granules = self.bytes.div_ceil(size);
        let split = self.written.iter().flat_map(|&written| std::iter::repeat_n(written, parts));
        self.written = split.take(granules).collect();
        self.races.split(parts, granules);
    }

    pub(crate) fn is_written(&self, offset: usize, size: usize) -> bool {
        self.written[self.granules(offset, size)].iter().all(|&written| written)
    }

    /// `size` may be the whole allocation's, of any width.
    pub(crate) fn set_written(&mut self, offset: usize, size: usize) {
        if size < 16 {
            self.split_to(size);
        }
        let granules = self.granules(offset, size);
        self.written[granules].fill(true);
    }

    /// Checks that the bytes an access reads were written, and notes those it writes.
    #[inline]
    pub(crate) fn check_written(
        &mut self,
        offset: usize,
        size: usize,
        kind: AccessKind,
    ) -> Result<(), Conflict> {
        self.split_to(size);
        let granules = self.granules(offset, size);
        let written = &mut self.written[granules];
        if kind.has(AccessKind::READ) && !written.iter().all(|&written| written) {
            return Err(Conflict::Unwritten);
        }
        if kind.has(AccessKind::WRITE) {
            written.fill(true);
        }
        Ok(())
    }

    /// Checks that an access of `me` races with none before it, and notes it.
    #[inline]
    pub(crate) fn check_race(
        &mut self,
        (offset, size, kind): (usize, usize, AccessKind),
        me: &Knowledge,
        location: u32,
    ) -> Result<(), Conflict> {
        self.split_to(size);
        self.races.reserve(self.written.len());
        for granule in self.granules(offset, size) {
            self.races.check(granule, kind, me, location)?;
        }
        Ok(())
    }

    /// Makes history of all accesses so far.
    pub(crate) fn enter_launch(&mut self) {
        self.races.enter_launch();
    }

    /// The last write of these bytes, as far as it was checked.
    pub(crate) fn last_write(&self, offset: usize) -> Option<Past> {
        self.races.last_write(offset >> self.shift)
    }
}
