//! A launch: its threads' stacks, and the memory of its blocks.
//!
//! Every device thread is a coroutine, and all of one launch run on the OS thread that launched
//! them, one at a time. They share one [`State`], borrowed for a moment at each operation and never
//! across a suspension: another thread would meet the borrow. One pointer, set for the time of the
//! launch, leads to the launch and to its running thread. ([`Options::threads`] gives each device
//! thread an OS thread, which waits while another runs.)
//!
//! A finding does not unwind. The thread that met it suspends itself for good, the scheduler stops,
//! and all stacks are forgotten as they stand; kernels own nothing that would have to be dropped. A
//! panic in a kernel does unwind, through its own stack only, and becomes a finding.

use super::access_kind::Past;
use super::coroutine::{Coroutine, Yielder, suspend};
use super::dim3::Dim3;
use super::expectation::Expectation;
use super::finding::{Finding, Kind, Launched};
use super::location::{Line, Site, SourceLocation, line_in_macro};
use super::options::{Checks, MemoryModel, Options};
use super::scheduler::Next;
use super::shared_arrays::SharedArrays;
use super::state::State;
use super::thread::{Me, Stats};
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) struct Launch {
    /// Counts launches of the process, from 1.
    pub id: u64,
    pub launched: Launched,
    pub state: RefCell<State>,
    pub shared: SharedArrays,
    yielders: Vec<Cell<Option<Yielder>>>,
    /// Set for a thread that may not touch global memory yet.
    pub early: Vec<Cell<bool>>,
    pub me: Cell<Me>,
    /// Set if plain accesses need more than their bounds checked.
    pub is_fully_checked: bool,
    pub buffers_stores: bool,
    pub accesses: Cell<u64>,
    /// Accesses since the last write.
    pub quiet: Cell<u32>,
    /// Counts the changes that may let others go on: writes, exits, starts.
    pub progress: Cell<u64>,
    /// Set if a thread sleeps until a word changes.
    pub has_sleepers: Cell<bool>,
    /// Set while a device thread runs.
    in_kernel: Cell<bool>,
    /// The message and line of the running thread's panic.
    panic: Cell<(String, Option<SourceLocation>)>,
    /// The name of the kernel that was entered last.
    pub entered: Cell<&'static str>,
    /// Set if some kernel's parameters may hide a pointer.
    pub hides_pointers: Cell<bool>,
    /// The calls of the thread that met the finding.
    trace: Cell<Option<Backtrace>>,
    #[cfg(feature = "instrumented")]
    pub addresses: super::addresses::Addresses,
}

thread_local! {
    /// The launch that this OS thread runs device threads of.
    static CURRENT: Cell<*const Launch> = const { Cell::new(ptr::null()) };
}

/// The launch that the caller is a thread of, if there is one.
#[cfg_attr(not(feature = "instrumented"), inline(always))]
#[cfg_attr(feature = "instrumented", inline(never))]
pub(crate) fn current_or_none() -> Option<&'static Launch> {
    // SAFETY: set for as long as the launch lives, and only threads of it run. They end
    // with it, and take the reference with them.
    unsafe { CURRENT.get().as_ref() }
}

/// Runs `f` with the launch that the caller is a thread of.
#[inline(always)]
pub(crate) fn current<R>(f: impl FnOnce(&Launch) -> R) -> R {
    let launch = current_or_none().expect("a device operation outside of cuda_std::emu::launch");
    #[cfg(feature = "instrumented")]
    let _inside = super::addresses::Inside::enter(&launch.addresses);
    f(launch)
}

/// Has panics in kernels kept for their findings. Others go on to the hook before.
fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| match current_or_none() {
            Some(launch) if launch.in_kernel.get() => {
                let message = info.payload_as_str().unwrap_or("no message").to_owned();
                // SAFETY: std has it from `Location::caller`, where it is static.
                let at = info.location().map(|at| unsafe {
                    let at: &'static std::panic::Location<'static> = &*ptr::from_ref(at).cast();
                    Line::from(at)
                });
                launch.panic.set((message, at));
            }
            _ => before(info),
        }));
    });
}

/// Runs `kernel` for every thread of `grid` blocks of `block` threads, each of one number or a
/// tuple of two or three, and each block with `shared_bytes` of dynamic shared memory. Fails with
/// the first finding. Panics within a kernel.
#[track_caller]
pub fn launch<F: Fn()>(
    grid: impl Into<Dim3>,
    block: impl Into<Dim3>,
    shared_bytes: usize,
    options: &Options,
    kernel: F,
) -> Result<Stats, Finding> {
    assert!(CURRENT.get().is_null(), "a launch within a launch");
    let name = options.kernel.clone();
    let options = Options { kernel: String::new(), ..options.clone() };
    let closure = || std::any::type_name::<F>().replace("::{{closure}}", "");
    let kernel_name = if name.is_empty() { closure() } else { name.clone() };
    let (grid_dim, block_dim) = (grid.into(), block.into());
    let [grid, block] = [grid_dim, block_dim].map(|dim| dim.count().unwrap_or(u32::MAX));
    let launched =
        Launched { kernel: kernel_name, grid, block, grid_dim, block_dim, shared_bytes, options };
    refuse_impossible(&launched)?;
    require_clear(&launched, Line::caller())?;
    let launch = Launch::new(launched);
    CURRENT.set(&launch);
    install_hook();
    let reset = Reset;
    let result = launch.run(&kernel);
    drop(reset);
    let entered = launch.entered.get();
    result.map_err(|mut finding| {
        // Here, because a thread's stack has no room for it.
        finding.in_macro = (finding.site.zip(launch.trace.take()))
            .and_then(|(site, trace)| line_in_macro(&trace, site.location));
        if name.is_empty() && !entered.is_empty() {
            finding.launch.kernel = entered.to_owned();
        }
        finding
    })
}

/// Forgets the current launch, however it ends.
struct Reset;

impl Drop for Reset {
    fn drop(&mut self) {
        CURRENT.set(ptr::null());
    }
}

/// Finds memory that the launch at `at` expects to be zero and is not.
fn require_clear(launched: &Launched, at: SourceLocation) -> Result<(), Finding> {
    let mut violations = launched.options.expectations.iter().filter_map(Expectation::violation);
    let Some((element, written)) = violations.next() else {
        return Ok(());
    };
    let message = format!("{element} is not zero at the launch at {at}");
    let site = written.map(Past::site);
    Err(Finding { site, ..launched.finding(Kind::StaleState, message) })
}

/// Finds launches that the driver would refuse.
fn refuse_impossible(launched: &Launched) -> Result<(), Finding> {
    const GRID_MAX: u32 = 1 << 21;
    let (grid, block, shared) = (launched.grid, launched.block, launched.shared_bytes);
    let message = if block == 0 || block > 1024 {
        format!("blocks of {block} threads; a block has 1 to 1024")
    } else if shared > Launch::SHARED_MAX {
        format!("{shared} bytes of shared memory a block; at most {}", Launch::SHARED_MAX)
    } else if grid > GRID_MAX {
        format!("{grid} blocks; the emulator runs at most {GRID_MAX}")
    } else if launched.options.resident == 0 {
        "no block may be resident; Options::resident is at least 1".to_owned()
    } else {
        return Ok(());
    };
    Err(launched.finding(Kind::Launch, message))
}

impl Launch {
    /// Bytes of shared memory that a block may have.
    pub(super) const SHARED_MAX: usize = 227 * 1024;

    fn new(launched: Launched) -> Self {
        static LAUNCHES: AtomicU64 = AtomicU64::new(1);
        let options = &launched.options;
        let state = State::new(&launched);
        Self {
            id: LAUNCHES.fetch_add(1, Ordering::Relaxed),
            shared: SharedArrays::new(state.blocks.len(), launched.shared_bytes),
            yielders: vec![Cell::new(None); state.lanes.len()],
            early: vec![Cell::new(false); state.lanes.len()],
            me: Cell::default(),
            is_fully_checked: options.checks > Checks::Bounds
                || options.memory == MemoryModel::StaleReads,
            buffers_stores: options.memory == MemoryModel::StoreBuffers,
            accesses: Cell::new(0),
            quiet: Cell::new(0),
            progress: Cell::new(0),
            has_sleepers: Cell::new(false),
            in_kernel: Cell::new(false),
            panic: Cell::default(),
            entered: Cell::default(),
            hides_pointers: Cell::default(),
            trace: Cell::default(),
            #[cfg(feature = "instrumented")]
            addresses: super::addresses::Addresses::new(state.lanes.len()),
            state: RefCell::new(state),
            launched,
        }
    }

    fn run(&self, kernel: &dyn Fn()) -> Result<Stats, Finding> {
        let mut coroutines: Vec<Option<Coroutine>> = Vec::new();
        coroutines.resize_with(self.yielders.len(), || None);
        let result = self.schedule(kernel, &mut coroutines);
        for coroutine in coroutines.into_iter().flatten() {
            // SAFETY: kernels own nothing that needs to be dropped.
            unsafe { coroutine.recycle() };
        }
        if let Some((finding, _)) = self.state.borrow_mut().unwritten.take() {
            return Err(finding);
        }
        result?;
        self.require_checked(self.accesses.get())?;
        let state = self.state.borrow();
        Ok(Stats { accesses: self.accesses.get(), ..state.stats })
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
                Next::Hangs(kind) => return Err(self.state.borrow().hang(kind)),
            };
            self.me.set(me);
            let Some(coroutine) = &mut coroutines[me.lane] else {
                continue;
            };
            self.in_kernel.set(true);
            let ended = catch_unwind(AssertUnwindSafe(|| coroutine.resume()));
            self.in_kernel.set(false);
            if let Some(finding) = self.state.borrow_mut().finding.take() {
                return Err(finding);
            }
            match ended {
                Ok(false) => {}
                Ok(true) => {
                    self.progress.set(self.progress.get() + 1);
                    self.state.borrow_mut().exit(me).map_err(|finding| *finding)?;
                }
                Err(_) => {
                    let (message, at) = self.panic.take();
                    let site = at.map(|at| me.site(at));
                    return Err(Finding { site, ..self.launched.finding(Kind::Panic, message) });
                }
            }
        }
    }

    /// Fills the device with blocks.
    fn start_blocks(&self, kernel: &dyn Fn(), coroutines: &mut [Option<Coroutine>]) {
        let Options { early, threads, stack_bytes, .. } = self.launched.options;
        loop {
            let started = self.state.borrow_mut().start_block();
            let Some((slot, first)) = started else { return };
            self.progress.set(self.progress.get() + 1);
            self.shared.forget_block(slot);
            let lanes = first..first + self.launched.block as usize;
            for lane in lanes {
                self.early[lane].set(early);
                if let Some(done) = coroutines[lane].take() {
                    // SAFETY: it has come to its end.
                    unsafe { done.recycle() };
                }
                let yielder = &self.yielders[lane];
                let body = move |own: Yielder| {
                    // It may be on an OS thread of its own.
                    CURRENT.set(self);
                    yielder.set(Some(own));
                    #[cfg(feature = "instrumented")]
                    self.addresses.begin_thread(lane);
                    kernel();
                };
                // SAFETY: `kernel` and the launch outlive `run`, which recycles all.
                coroutines[lane] = Some(unsafe { Coroutine::new(threads, stack_bytes, body) });
            }
        }
    }

    #[inline(always)]
    pub(crate) fn me(&self) -> Me {
        self.me.get()
    }

    /// The running thread's index in its block.
    #[inline(always)]
    pub(crate) fn thread_index(&self) -> Dim3 {
        self.launched.block_dim.index(self.me().thread)
    }

    /// The index of its block.
    #[inline(always)]
    pub(crate) fn block_index(&self) -> Dim3 {
        self.launched.grid_dim.index(self.me().block)
    }

    /// Lets the scheduler choose who goes on. Returns when it chose this thread.
    pub(crate) fn suspend(&self) {
        let yielder = self.yielders[self.me.get().lane].get();
        let yielder = yielder.expect("a thread that runs has told its yielder");
        // SAFETY: it is the running thread's.
        unsafe { suspend(yielder) };
        #[cfg(feature = "instrumented")]
        self.addresses.is_inside.set(true);
    }

    /// Ends the launch with a finding of the running thread.
    pub(crate) fn fail(
        &self,
        kind: Kind,
        at: SourceLocation,
        other: Option<Site>,
        message: String,
    ) -> ! {
        let site = Some(self.me.get().site(at));
        self.stop(Finding { site, other, ..self.launched.finding(kind, message) })
    }

    pub(crate) fn stop(&self, finding: Finding) -> ! {
        self.state.borrow_mut().finding = Some(finding);
        self.trace.set(Some(Backtrace::force_capture()));
        self.suspend_for_good()
    }

    pub(super) fn suspend_for_good(&self) -> ! {
        loop {
            self.suspend();
        }
    }
}
