//! The accesses of the running thread, and their checks.

use super::access::Access;
use super::access_kind::{AccessKind, Conflict};
use super::allocation::{Allocation, Space};
use super::finding::{Finding, Kind};
use super::launch::Launch;
use super::location::SourceLocation;
use super::state::{Pending, Wait};
use crate::ext::Word;
use std::ops::Range;

impl Launch {
    /// Notes a change that may let others go on.
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
            return T::from_u128(self.state.borrow_mut().buffered_read(self.me().lane, access));
        }
        // SAFETY: `begin` found the access to be valid.
        unsafe { (access.pointer() as *const T).read() }
    }

    /// Writes plainly.
    #[inline(always)]
    pub(crate) fn write<T: Word>(&self, access: &Access, value: T) {
        self.begin(access);
        self.note_progress();
        if self.buffers_stores && access.memory.space == Space::Global {
            let pending = Pending::plain(access, value.to_u128());
            return self.state.borrow_mut().buffer(self.me().lane, pending);
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
        if self.is_fully_checked {
            self.check_fully(access);
        } else if access.kind.has(AccessKind::WRITE) {
            access.memory.unchecked.set(true);
        }
    }

    /// A thread that reads this often and writes nothing lets others run.
    const QUIET_TURN: u32 = (1 << 16) - 1;
    /// The number of reads without a write after which the launch hangs.
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
        let fits = end.is_some_and(|end| end <= access.memory.bytes);
        let kind = if fits { Kind::Misaligned } else { Kind::OutOfBounds };
        self.fail_access(kind, access, "")
    }

    /// Finds an access outside of its part of shared memory.
    #[inline(always)]
    pub(crate) fn require_region(&self, access: &Access, region: Range<usize>) {
        if !region.contains(&access.offset) || access.size > region.end - access.offset {
            self.fail_region(access, region);
        }
    }

    #[cold]
    fn fail_region(&self, access: &Access, region: Range<usize>) -> ! {
        let why = format!(", outside of its array, the bytes {region:?}");
        self.fail_access(Kind::OutOfBounds, access, &why)
    }

    fn fail_access(&self, kind: Kind, access: &Access, why: &str) -> ! {
        self.fail(kind, access.at, None, format!("{}{why}", access.report()))
    }

    /// The running block's dynamic shared memory, of which a kernel uses `region`.
    pub(crate) fn dynamic_shared(
        &self,
        region: Range<usize>,
        alignment: usize,
        at: SourceLocation,
    ) -> *const Allocation {
        let bytes = self.launched.shared_bytes;
        if region.end > bytes {
            let message = format!("dynamic_shared asks for the bytes {region:?} of {bytes}");
            self.fail(Kind::OutOfBounds, at, None, message);
        }
        if !region.start.is_multiple_of(alignment) {
            let begin = region.start;
            let message = format!("dynamic_shared: byte {begin} for elements of {alignment} bytes");
            self.fail(Kind::Misaligned, at, None, message);
        }
        self.shared.find("", self.me().slot).expect("made with the launch")
    }

    /// The running block's array called `symbol`, made if it is new.
    pub(crate) fn static_shared(
        &self,
        symbol: &'static str,
        bytes: usize,
        element: usize,
        at: SourceLocation,
    ) -> *const Allocation {
        /// The limit of the driver on static arrays.
        const STATIC_MAX: usize = 48 << 10;
        let slot = self.me().slot;
        if let Some(known) = self.shared.find(symbol, slot) {
            return known;
        }
        let dynamic = self.launched.shared_bytes;
        let all = (self.shared.bytes() - dynamic).saturating_add(bytes);
        let room = STATIC_MAX.min(Self::SHARED_MAX - dynamic);
        if all > room {
            let message = format!(
                "static shared arrays of {all} bytes a block; beside {dynamic} dynamic bytes \
                 at most {room}"
            );
            self.fail(Kind::Launch, at, None, message);
        }
        self.shared.add(symbol, bytes, element);
        self.shared.find(symbol, slot).expect("added above")
    }

    /// The checks that options may leave out.
    fn check_fully(&self, access: &Access) {
        let lane = self.me().lane;
        if self.early[lane].get() && access.memory.space == Space::Global {
            self.fail_access(Kind::EarlyAccess, access, ", without sync_predecessor before it");
        }
        access.memory.enter_launch(self.id);
        let checked = self.state.borrow_mut().check(access, lane);
        if let Err(conflict) = checked {
            self.fail_conflict(access, conflict);
        }
    }

    #[cold]
    fn fail_conflict(&self, access: &Access, conflict: Conflict) -> ! {
        let (kind, past) = match conflict {
            Conflict::Unwritten => self.fail_unwritten(access),
            Conflict::WrittenLate => self.fail_written_late(access),
            Conflict::Race(past) => (Kind::Race, past),
            Conflict::Streamed(past) => (Kind::StreamedRead, past),
        };
        let other = past.kind.describe();
        let message = format!("{}, against the other thread's {other}", access.report());
        self.fail(kind, access.at, Some(past.site()), message)
    }

    /// Fails. If the memory is shared, the other threads first go on, to find the one that
    /// writes it later.
    fn fail_unwritten(&self, access: &Access) -> ! {
        if access.memory.space == Space::Global {
            self.fail_access(Kind::Uninitialised, access, "");
        }
        let me = self.me();
        let site = Some(me.site(access.at));
        let finding = self.launched.finding(Kind::Uninitialised, access.report());
        let mut state = self.state.borrow_mut();
        state.unwritten.get_or_insert((Finding { site, ..finding }, access.outliving()));
        state.make_wait(me.lane, Wait::Exited, access.at);
        drop(state);
        self.suspend_for_good()
    }

    fn fail_written_late(&self, access: &Access) -> ! {
        let unwritten = self.state.borrow_mut().unwritten.take();
        let (mut finding, _) = unwritten.expect("the read that this write is late for");
        finding.other = Some(self.me().site(access.at));
        finding.message += "; the other thread writes it later: a barrier may be missing";
        self.stop(finding)
    }
}
