//! The accesses of the running thread, and their checks.

use super::access::Access;
use super::access_kind::Conflict;
use super::allocation::Space;
use super::finding::Kind;
use super::launch::Launch;
use super::location::SourceLocation;
use crate::word::Word;

impl Launch {
    /// Something changed that may let others go on.
    #[inline(always)]
    pub(crate) fn note_progress(&self) {
        self.progress.set(self.progress.get() + 1);
        self.quiet.set(0);
    }

    /// Reads plainly.
    #[inline(always)]
    pub(crate) fn read<T: Word>(&self, access: &Access) -> T {
        self.begin(access);
        if self.buffers_stores {
            return T::from_u128(self.buffered_read(access));
        }
        // SAFETY: `begin` found the access to be valid.
        unsafe { (access.pointer() as *const T).read() }
    }

    /// Writes plainly.
    #[inline(always)]
    pub(crate) fn write<T: Word>(&self, access: &Access, value: T) {
        self.begin(access);
        self.note_progress();
        if self.buffers_stores && access.memory.space() == Space::Global {
            return self.buffered_write(access, value.to_u128());
        }
        // SAFETY: `begin` found the access to be valid.
        unsafe { (access.pointer() as *mut T).write(value) };
        if self.has_sleepers.get() {
            let mut state = self.state.borrow_mut();
            state.wake(access.pointer() as usize, access.size);
            self.has_sleepers.set(!state.sleepers.by_address.is_empty());
        }
    }

    /// Checks an access and counts it.
    #[inline(always)]
    pub(crate) fn begin(&self, access: &Access) {
        self.require_valid(access);
        self.accesses.set(self.accesses.get() + 1);
        self.quiet.set(self.quiet.get() + 1);
        if self.quiet.get() & Self::QUIET_TURN == 0 {
            self.end_turn(access.at);
        }
        if self.looks_closer {
            self.look_closer(access);
        } else if access.kind.writes() {
            access.memory.note_unchecked_write();
        }
    }

    /// A thread that reads this often and writes nothing lets others run.
    const QUIET_TURN: u32 = (1 << 16) - 1;
    /// Reads without a write after which the launch hangs.
    const QUIET_MAX: u32 = 1 << 27;

    #[cold]
    fn end_turn(&self, at: SourceLocation) {
        if self.quiet.get() >= Self::QUIET_MAX {
            let message = format!("{} reads and not one write", self.quiet.get());
            self.fail(Kind::Livelock, at, None, message);
        }
        self.yield_now(at);
    }

    /// Suspends the running thread, ready to go on.
    pub(crate) fn yield_now(&self, at: SourceLocation) {
        self.state.borrow_mut().make_ready(self.me().lane, at);
        self.suspend();
    }

    #[inline(always)]
    pub(crate) fn require_valid(&self, access: &Access) {
        if !access.is_valid() {
            self.fail_address(access);
        }
    }

    #[cold]
    fn fail_address(&self, access: &Access) -> ! {
        let end = access.offset.checked_add(access.size);
        let fits = end.is_some_and(|end| end <= access.memory.bytes());
        let kind = if fits { Kind::Misaligned } else { Kind::OutOfBounds };
        self.fail(kind, access.at, None, access.report())
    }

    /// Finds an access outside of the part of shared memory that was asked for.
    #[inline(always)]
    pub(crate) fn require_region(&self, access: &Access, begin: usize, end: usize) {
        if access.offset < begin || access.offset >= end || access.size > end - access.offset {
            self.fail_region(access, begin, end);
        }
    }

    #[cold]
    fn fail_region(&self, access: &Access, begin: usize, end: usize) -> ! {
        let outside = format!("outside of its array, the bytes {begin}..{end}");
        let message = format!("{}, {outside}", access.report());
        self.fail(Kind::OutOfBounds, access.at, None, message)
    }

    /// Finds a part of shared memory that the launch does not have.
    pub(crate) fn require_carving(
        &self,
        begin: usize,
        end: usize,
        alignment: usize,
        at: SourceLocation,
    ) {
        let bytes = self.launched().shared_bytes;
        if end > bytes {
            let message = format!("dynamic_shared asks for the bytes {begin}..{end} of {bytes}");
            self.fail(Kind::OutOfBounds, at, None, message);
        }
        if !begin.is_multiple_of(alignment) {
            let message = format!("dynamic_shared: byte {begin} for elements of {alignment} bytes");
            self.fail(Kind::Misaligned, at, None, message);
        }
    }

    /// The running thread has waited for the launch before.
    pub(crate) fn sync_predecessor(&self) {
        self.early[self.me().lane].set(false);
    }

    /// The checks that options may leave out.
    fn look_closer(&self, access: &Access) {
        let lane = self.me().lane;
        if self.early[lane].get() && access.memory.space() == Space::Global {
            self.fail_early(access);
        }
        access.memory.enter_launch(self.id);
        let conflict = self.state.borrow_mut().check(access, lane);
        if let Err(conflict) = conflict {
            self.fail_conflict(access, conflict);
        }
    }

    #[cold]
    fn fail_early(&self, access: &Access) -> ! {
        let message = format!("{}, without sync_predecessor before it", access.report());
        self.fail(Kind::EarlyAccess, access.at, None, message)
    }

    #[cold]
    fn fail_conflict(&self, access: &Access, conflict: Conflict) -> ! {
        let (kind, past) = match conflict {
            Conflict::Unwritten => (Kind::Uninitialised, None),
            Conflict::Race(past) => (Kind::Race, Some(past)),
            Conflict::Streamed(past) => (Kind::StreamedRead, Some(past)),
        };
        let mut message = access.report();
        if let Some(past) = past {
            message += &format!(", against the other thread's {}", past.kind.describe());
        }
        self.fail(kind, access.at, past.map(|past| past.site()), message)
    }
}
