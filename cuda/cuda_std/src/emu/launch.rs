//! A launch: the threads' stacks, what they run on, and the accesses they make.
//!
//! Every device thread is a coroutine, and all of one launch run on the OS thread
//! that launched them, one at a time. What they share is one [`State`], borrowed
//! for a moment at each operation and never across a suspension: another thread
//! would meet the borrow. Which launch and which thread is running is found
//! through one pointer, set for the time of the launch. ([`Options::threads`] gives
//! each device thread an OS thread, which waits while another runs.)
//!
//! A finding does not unwind. The thread that met it suspends itself for good, the
//! scheduler stops, and all stacks are forgotten as they stand; kernels own nothing
//! that would have to be dropped. A panic in a kernel does unwind, through its own
//! stack only, and becomes a finding.

use super::access::Access;
use super::allocation::{Allocation, Space};
use super::coroutine::{Coroutine, Yielder, suspend};
use super::finding::{Finding, Kind, Launched, Site};
use super::options::{Checks, MemoryModel, Options};
use super::panics;
use super::scheduler::{Next, State};
use super::shadow::Conflict;
use super::stale_state;
use super::static_shared::{Array, Arrays};
use crate::word::Word;
use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

/// The dimensions of a launch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub grid: u32,
    pub block: u32,
    pub shared_bytes: usize,
}

/// What a launch did, counted. Exact: the same options and input give the same.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Stats {
    /// Loads and stores, atomic ones too.
    pub accesses: u64,
    /// Warp operations, once a lane.
    pub collectives: u64,
    /// Block barriers, once a block.
    pub barriers: u64,
    /// How often the scheduler chose a thread.
    pub turns: u64,
    /// How often a [`Patience`](crate::hint::Patience) ended.
    pub impatient: u64,
}

/// The running thread.
#[derive(Clone, Copy, Default)]
pub(crate) struct Me {
    pub block: u32,
    /// Index in the block.
    pub thread: u32,
    /// Where the scheduler keeps it.
    pub lane: usize,
    /// Where its block is.
    pub slot: usize,
}

pub(crate) struct Launch {
    /// Counts launches of the process, from 1.
    id: u64,
    launched: Launched,
    shape: Shape,
    pub(super) state: RefCell<State>,
    /// The dynamic shared memory of each resident block.
    shared: Vec<Allocation>,
    pub(super) statics: Arrays,
    yielders: Vec<Cell<Option<Yielder>>>,
    /// Which threads may not touch global memory yet.
    early: Vec<Cell<bool>>,
    me: Cell<Me>,
    /// Whether plain accesses need more than their bounds checked.
    looks_closer: bool,
    buffers_stores: bool,
    accesses: Cell<u64>,
    /// Accesses since the last write.
    quiet: Cell<u32>,
    /// Counts what may let somebody go on: writes, exits, starts.
    pub(super) progress: Cell<u64>,
    /// Whether somebody sleeps until a word changes.
    pub(super) has_sleepers: Cell<bool>,
    /// Whether a device thread is running.
    pub(super) in_kernel: Cell<bool>,
    /// The message of a panic.
    pub(super) panic: Cell<String>,
}

thread_local! {
    /// The launch that this OS thread runs device threads of.
    static CURRENT: Cell<*const Launch> = const { Cell::new(ptr::null()) };
}

/// Runs `f` with the launch that the caller is a thread of.
#[inline(always)]
pub(crate) fn current<R>(f: impl FnOnce(&Launch) -> R) -> R {
    let launch = CURRENT.get();
    assert!(
        !launch.is_null(),
        "a device operation outside of cuda_std::emu::launch"
    );
    // SAFETY: set for as long as the launch lives, and only threads of it run.
    f(unsafe { &*launch })
}

/// Whether the caller is a device thread.
pub(crate) fn is_in_kernel() -> bool {
    let launch = CURRENT.get();
    // SAFETY: as in `current`.
    !launch.is_null() && unsafe { &*launch }.in_kernel.get()
}

/// Runs `kernel` for every thread of `grid` blocks of `block` threads, each block
/// with `shared_bytes` of dynamic shared memory.
///
/// # Errors
/// The first thing that a check finds.
///
/// # Panics
/// If called from within a kernel.
#[track_caller]
pub fn launch<F: Fn()>(
    grid: u32,
    block: u32,
    shared_bytes: usize,
    options: &Options,
    kernel: F,
) -> Result<Stats, Finding> {
    assert!(CURRENT.get().is_null(), "a launch within a launch");
    let mut options = options.clone();
    let kernel_name = match options.kernel.as_str() {
        "" => std::any::type_name::<F>().replace("::{{closure}}", ""),
        name => name.to_owned(),
    };
    options.kernel.clear();
    let launched = Launched {
        kernel: kernel_name,
        grid,
        block,
        shared_bytes,
        options,
    };
    refuse_impossible(&launched)?;
    stale_state::check(&launched, Location::caller())?;
    let launch = Launch::new(launched);
    CURRENT.set(&launch);
    panics::install_hook();
    let reset = Reset;
    let result = launch.run(&kernel);
    drop(reset);
    result
}

/// Forgets the current launch, however it ends.
struct Reset;

impl Drop for Reset {
    fn drop(&mut self) {
        CURRENT.set(ptr::null());
    }
}

/// Bytes of shared memory that a block may have.
pub(crate) const SHARED_MAX: usize = 227 * 1024;

/// Finds what the driver would answer with an error.
fn refuse_impossible(launched: &Launched) -> Result<(), Finding> {
    const GRID_MAX: u32 = 1 << 21;
    let message = if launched.block == 0 || launched.block > 1024 {
        format!(
            "blocks of {} threads; a block has 1 to 1024",
            launched.block
        )
    } else if launched.shared_bytes > SHARED_MAX {
        format!(
            "{} bytes of shared memory a block; at most {SHARED_MAX}",
            launched.shared_bytes
        )
    } else if launched.grid > GRID_MAX {
        format!(
            "{} blocks; the emulator runs at most {GRID_MAX}",
            launched.grid
        )
    } else if launched.options.resident == 0 {
        "no block may be resident; Options::resident is at least 1".to_owned()
    } else {
        return Ok(());
    };
    Err(launched.finding(Kind::Launch, message))
}

impl Launched {
    pub(crate) fn finding(&self, kind: Kind, message: String) -> Finding {
        Finding {
            kind,
            launch: Box::new(self.clone()),
            site: None,
            other: None,
            message,
            waiting: Vec::new(),
        }
    }
}

impl Launch {
    fn new(launched: Launched) -> Self {
        static LAUNCHES: AtomicU64 = AtomicU64::new(1);
        let shape = Shape {
            grid: launched.grid,
            block: launched.block,
            shared_bytes: launched.shared_bytes,
        };
        let options = &launched.options;
        let state = State::new(shape, options);
        let shared = || Allocation::new(Space::Shared, shape.shared_bytes, 4);
        Self {
            id: LAUNCHES.fetch_add(1, Ordering::Relaxed),
            shape,
            shared: (0..state.slots()).map(|_| shared()).collect(),
            statics: Arrays::default(),
            yielders: vec![Cell::new(None); state.lanes()],
            early: vec![Cell::new(false); state.lanes()],
            me: Cell::default(),
            looks_closer: options.checks > Checks::Bounds
                || options.memory == MemoryModel::StaleReads,
            buffers_stores: options.memory == MemoryModel::StoreBuffers,
            accesses: Cell::new(0),
            quiet: Cell::new(0),
            progress: Cell::new(0),
            has_sleepers: Cell::new(false),
            in_kernel: Cell::new(false),
            panic: Cell::default(),
            state: RefCell::new(state),
            launched,
        }
    }

    /// Runs all threads to their ends.
    fn run(&self, kernel: &dyn Fn()) -> Result<Stats, Finding> {
        let mut coroutines: Vec<Option<Coroutine>> = Vec::new();
        coroutines.resize_with(self.yielders.len(), || None);
        let result = self.schedule(kernel, &mut coroutines);
        for coroutine in coroutines.into_iter().flatten() {
            // SAFETY: kernels own nothing that needs to be dropped.
            unsafe { coroutine.recycle() };
        }
        result?;
        let state = self.state.borrow();
        Ok(Stats {
            accesses: self.accesses.get(),
            ..state.stats
        })
    }

    fn schedule(
        &self,
        kernel: &dyn Fn(),
        coroutines: &mut [Option<Coroutine>],
    ) -> Result<(), Finding> {
        loop {
            self.start_blocks(kernel, coroutines);
            let next = self.state.borrow_mut().next(self.progress.get());
            let me = match next {
                Next::Thread(me) => me,
                Next::Done => return Ok(()),
                Next::Hangs(kind) => return Err(self.hang(kind)),
            };
            self.me.set(me);
            let Some(coroutine) = &mut coroutines[me.lane] else {
                continue;
            };
            let ended = panics::catch(self, || coroutine.resume());
            if let Some(finding) = self.state.borrow_mut().finding.take() {
                return Err(finding);
            }
            match ended {
                Ok(false) => {}
                Ok(true) => self.exit(me)?,
                Err(panic) => {
                    let mut finding = self.launched.finding(Kind::Panic, panic);
                    finding.site = self.state.borrow().last_site(me.lane);
                    return Err(finding);
                }
            }
        }
    }

    /// Fills the device with blocks.
    fn start_blocks(&self, kernel: &dyn Fn(), coroutines: &mut [Option<Coroutine>]) {
        let Options {
            early,
            threads,
            stack_bytes,
            ..
        } = self.launched.options;
        loop {
            let started = self.state.borrow_mut().start_block();
            let Some((slot, first)) = started else { return };
            self.progress.set(self.progress.get() + 1);
            self.shared[slot].forget_block();
            self.statics.forget_block(slot);
            let lanes = first..first + self.shape.block as usize;
            self.early[lanes.clone()]
                .iter()
                .for_each(|lane| lane.set(early));
            for (coroutine, yielder) in coroutines[lanes.clone()]
                .iter_mut()
                .zip(&self.yielders[lanes])
            {
                if let Some(done) = coroutine.take() {
                    // SAFETY: it has come to its end.
                    unsafe { done.recycle() };
                }
                let body = move |own: Yielder| {
                    // It may be on an OS thread of its own.
                    CURRENT.set(self);
                    yielder.set(Some(own));
                    kernel();
                };
                // SAFETY: `kernel` and the launch outlive `run`, which recycles all.
                *coroutine = Some(unsafe { Coroutine::new(threads, stack_bytes, body) });
            }
        }
    }

    fn exit(&self, me: Me) -> Result<(), Finding> {
        self.progress.set(self.progress.get() + 1);
        let exited = self.state.borrow_mut().exit(me);
        exited.map_err(|fault| self.finding_of(*fault))
    }

    #[inline(always)]
    pub fn me(&self) -> Me {
        self.me.get()
    }

    #[inline(always)]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    pub fn launched(&self) -> &Launched {
        &self.launched
    }

    /// The running block's shared memory.
    #[inline(always)]
    pub fn shared(&self, array: Array) -> &Allocation {
        let slot = self.me.get().slot;
        if array == Array::DYNAMIC {
            &self.shared[slot]
        } else {
            self.statics.get(array, slot)
        }
    }

    /// Blocks that can be resident.
    pub fn slots(&self) -> usize {
        self.shared.len()
    }

    /// Lets the scheduler choose who goes on. Returns when it chose this thread.
    pub fn suspend(&self) {
        let yielder = self.yielders[self.me.get().lane].get();
        let yielder = yielder.expect("a thread that runs has told its yielder");
        // SAFETY: it is the running thread's.
        unsafe { suspend(yielder) };
    }

    /// Ends the launch with a finding of the running thread.
    pub fn fail(
        &self,
        kind: Kind,
        at: &'static Location<'static>,
        other: Option<Site>,
        message: String,
    ) -> ! {
        let mut finding = self.launched.finding(kind, message);
        finding.site = Some(self.site(at));
        finding.other = other;
        self.stop(finding)
    }

    /// Ends the launch.
    pub fn stop(&self, finding: Finding) -> ! {
        self.state.borrow_mut().finding = Some(finding);
        loop {
            self.suspend();
        }
    }

    pub fn site(&self, location: &'static Location<'static>) -> Site {
        Site {
            block: self.me.get().block,
            thread: self.me.get().thread,
            location,
        }
    }

    /// Something changed that may let others go on.
    #[inline(always)]
    pub fn note_progress(&self) {
        self.progress.set(self.progress.get() + 1);
        self.quiet.set(0);
    }

    /// Reads plainly.
    #[inline(always)]
    pub fn read<T: Word>(&self, access: &Access) -> T {
        self.begin(access);
        if self.buffers_stores {
            return T::from_u128(self.buffered_read(access));
        }
        // SAFETY: `begin` found the access to be valid.
        unsafe { (access.pointer() as *const T).read() }
    }

    /// Writes plainly.
    #[inline(always)]
    pub fn write<T: Word>(&self, access: &Access, value: T) {
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
            self.has_sleepers.set(!state.sleepers.is_empty());
        }
    }

    /// Checks an access and counts it.
    #[inline(always)]
    pub fn begin(&self, access: &Access) {
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
    /// And if there are so many reads without a write, the launch hangs.
    const QUIET_MAX: u32 = 1 << 27;

    #[cold]
    fn end_turn(&self, at: &'static Location<'static>) {
        if self.quiet.get() >= Self::QUIET_MAX {
            let message = format!("{} reads and not one write", self.quiet.get());
            self.fail(Kind::Livelock, at, None, message);
        }
        self.yield_now(at);
    }

    /// Suspends the running thread, ready to go on.
    pub fn yield_now(&self, at: &'static Location<'static>) {
        self.state.borrow_mut().make_ready(self.me.get().lane, at);
        self.suspend();
    }

    #[inline(always)]
    pub fn require_valid(&self, access: &Access) {
        if !access.is_valid() {
            self.fail_address(access);
        }
    }

    #[cold]
    fn fail_address(&self, access: &Access) -> ! {
        let fits = access.offset < access.memory.bytes()
            && access.size <= access.memory.bytes() - access.offset;
        let kind = if fits {
            Kind::Misaligned
        } else {
            Kind::OutOfBounds
        };
        self.fail(
            kind,
            access.at,
            None,
            format!("{} of {}", access.kind.describe(), access.place()),
        )
    }

    /// Finds an access outside of the part of shared memory that was asked for.
    #[inline(always)]
    pub fn require_region(&self, access: &Access, begin: usize, end: usize) {
        if access.offset < begin || access.offset >= end || access.size > end - access.offset {
            self.fail_region(access, begin, end);
        }
    }

    #[cold]
    fn fail_region(&self, access: &Access, begin: usize, end: usize) -> ! {
        let message = format!(
            "{} of {}, outside of its array, the bytes {begin}..{end}",
            access.kind.describe(),
            access.place()
        );
        self.fail(Kind::OutOfBounds, access.at, None, message)
    }

    /// Finds a part of shared memory that the launch does not have.
    pub fn require_carving(
        &self,
        begin: usize,
        end: usize,
        alignment: usize,
        at: &'static Location<'static>,
    ) {
        if end > self.shape.shared_bytes {
            let message = format!(
                "dynamic_shared asks for the bytes {begin}..{end} of {}",
                self.shape.shared_bytes
            );
            self.fail(Kind::OutOfBounds, at, None, message);
        }
        if !begin.is_multiple_of(alignment) {
            let message = format!("dynamic_shared: byte {begin} for elements of {alignment} bytes");
            self.fail(Kind::Misaligned, at, None, message);
        }
    }

    /// The running thread has waited for the launch before.
    pub fn sync_predecessor(&self) {
        self.early[self.me.get().lane].set(false);
    }

    /// The checks that options may leave out.
    fn look_closer(&self, access: &Access) {
        let lane = self.me.get().lane;
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
        let message = format!(
            "{} of {}, without sync_predecessor before it",
            access.kind.describe(),
            access.place()
        );
        self.fail(Kind::EarlyAccess, access.at, None, message)
    }

    #[cold]
    fn fail_conflict(&self, access: &Access, conflict: Conflict) -> ! {
        let (kind, past) = match conflict {
            Conflict::Unwritten => (Kind::Uninitialised, None),
            Conflict::Race(past) => (Kind::Race, Some(past)),
            Conflict::Streamed(past) => (Kind::StreamedRead, Some(past)),
        };
        let mut message = format!("{} of {}", access.kind.describe(), access.place());
        if let Some(past) = past {
            message += &format!(", against the other thread's {}", past.kind.describe());
        }
        self.fail(kind, access.at, past.map(|past| past.site()), message)
    }
}
