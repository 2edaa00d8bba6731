//! Accesses by raw pointers, references and slices, of crates that the compiler instruments.
//!
//! rustc's thread sanitizer puts a call before each access that may be to shared data
//! (`__tsan_read4(address)` and its kin) and calls in place of atomic operations and copies. The
//! emulator owns these symbols: it finds the buffer or shared array by the address, and checks as
//! it checks an accessor's access. The line is that of the call's return address.
//!
//! Three kinds of accesses are not checked: those of a thread to its own stack, those to the
//! program's constants, and those that the emulator's inline functions make within a kernel, for
//! which a flag is set whenever one of them runs.

mod hooks;
mod symbols;

use super::access::Access;
use super::access_kind::AccessKind;
use super::allocation::Allocation;
use super::atomics::MemoryOrder;
use super::finding::Kind;
use super::launch::{Launch, current_or_none};
use super::location::{Line, SourceLocation};
use rustc_hash::FxHashMap;
use std::arch::asm;
use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::{LazyLock, Mutex, PoisonError, RwLock};
use std::thread::ThreadId;

/// The state of a launch that accesses by pointers are looked up in.
pub(crate) struct Instrumented {
    /// Set while the emulator's own code runs within a kernel.
    pub is_inside: Cell<bool>,
    /// Where the stack of each lane begins, which grows downwards.
    stacks: Vec<Cell<usize>>,
    /// The OS thread that launched, and owns the buffers.
    owner: ThreadId,
    /// The buffer of the last access.
    last: Cell<Option<Live>>,
    /// The program's mutable statics, which are global memory on a device.
    statics: OnceCell<Allocation>,
}

/// A buffer's bytes.
#[derive(Clone, Copy)]
struct Live {
    begin: usize,
    end: usize,
    owner: ThreadId,
    memory: *const Allocation,
}

// SAFETY: the allocation is used by its owner's launches alone.
unsafe impl Send for Live {}
// SAFETY: the same.
unsafe impl Sync for Live {}

/// All buffers, by the addresses that they begin at.
static LIVE: RwLock<BTreeMap<usize, Live>> = RwLock::new(BTreeMap::new());

pub(super) fn register(memory: &Allocation) {
    let begin = memory.base as usize;
    let owner = std::thread::current().id();
    let live = Live { begin, end: begin + memory.bytes, owner, memory };
    LIVE.write().unwrap_or_else(PoisonError::into_inner).insert(begin, live);
}

pub(super) fn unregister(memory: &Allocation) {
    LIVE.write().unwrap_or_else(PoisonError::into_inner).remove(&(memory.base as usize));
}

/// The time in which the emulator's own code runs within a kernel.
pub(crate) struct Inside {
    before: bool,
}

impl Inside {
    #[inline(never)]
    pub(crate) fn enter() -> Self {
        let launch = current_or_none();
        Self { before: launch.is_some_and(|launch| launch.instrumented.is_inside.replace(true)) }
    }
}

impl Drop for Inside {
    #[inline(never)]
    fn drop(&mut self) {
        if let Some(launch) = current_or_none() {
            launch.instrumented.is_inside.set(self.before);
        }
    }
}

impl Instrumented {
    pub(super) fn new(lanes: usize) -> Self {
        Self {
            is_inside: Cell::new(false),
            stacks: vec![Cell::new(0); lanes],
            owner: std::thread::current().id(),
            last: Cell::new(None),
            statics: OnceCell::new(),
        }
    }
}

/// The program in memory: its constants and code, and then its mutable statics.
struct Program {
    begin: usize,
    statics: usize,
    end: usize,
}

impl Program {
    fn here() -> Self {
        unsafe extern "C" {
            // The linker's.
            static __executable_start: u8;
            static __data_start: u8;
            static _end: u8;
        }
        Self {
            begin: (&raw const __executable_start).addr(),
            statics: (&raw const __data_start).addr(),
            end: (&raw const _end).addr(),
        }
    }
}

impl Launch {
    /// The running thread begins, on a new stack.
    #[inline(never)]
    pub(super) fn begin_thread(&self, lane: usize) {
        /// The frames above this one, which hold nothing of the kernel's.
        const ABOVE: usize = 512;
        let here = 0u8;
        self.instrumented.stacks[lane].set((&raw const here).addr() + ABOVE);
        self.instrumented.is_inside.set(false);
    }

    /// Returns true if the running thread's stack has this address.
    fn is_on_stack(&self, address: usize) -> bool {
        let here = 0u8;
        let top = self.instrumented.stacks[self.me().lane].get();
        ((&raw const here).addr()..top).contains(&address)
    }

    /// The memory at an address, and the bytes before it.
    fn memory_at(&self, address: usize) -> Option<(&Allocation, usize)> {
        let own = &self.instrumented;
        let contains = |live: &Live| (live.begin..live.end).contains(&address);
        let mut found = own.last.get().filter(contains);
        if found.is_none() {
            found = self.nearest_buffer(address).filter(contains);
            own.last.set(found.or(own.last.get()));
        }
        if let Some(live) = found {
            // SAFETY: a buffer outlives the launches that use it.
            return Some((unsafe { &*live.memory }, address - live.begin));
        }
        let mut found = None;
        self.shared.for_each(self.me().slot, |memory| {
            let begin = memory.base as usize;
            if (begin..begin + memory.bytes).contains(&address) {
                // SAFETY: a shared array exists as long as the launch.
                found = Some((unsafe { &*std::ptr::from_ref(memory) }, address - begin));
            }
        });
        found.or_else(|| self.static_at(address))
    }

    /// The buffer at or before an address.
    fn nearest_buffer(&self, address: usize) -> Option<Live> {
        let live = LIVE.read().unwrap_or_else(PoisonError::into_inner);
        let (_, nearest) = live.range(..=address).next_back()?;
        (nearest.owner == self.instrumented.owner).then_some(*nearest)
    }

    fn static_at(&self, address: usize) -> Option<(&Allocation, usize)> {
        let Program { statics, end, .. } = Program::here();
        if !(statics..end).contains(&address) {
            return None;
        }
        let memory = self.instrumented.statics.get_or_init(|| {
            let base = std::ptr::with_exposed_provenance_mut(statics);
            Allocation::of_program(base, end - statics, "statics")
        });
        Some((memory, address - statics))
    }

    /// Runs `f` on the checked pieces of an access: powers of two, aligned to their size.
    fn pieces(
        &self,
        address: usize,
        size: usize,
        kind: AccessKind,
        at: SourceLocation,
        mut f: impl FnMut(&Access),
    ) {
        let program = Program::here();
        let is_constant = (program.begin..program.statics).contains(&address);
        if size == 0 || (is_constant && !kind.has(AccessKind::WRITE)) {
            return;
        }
        let mut done = 0;
        while done < size {
            let address = address + done;
            let Some((memory, offset)) = self.memory_at(address) else {
                self.fail_unknown(address, size - done, kind, at);
            };
            let aligned = if offset == 0 { 16 } else { 1 << offset.trailing_zeros().min(4) };
            let rest = size - done;
            let size = aligned.min(1 << rest.ilog2().min(4));
            f(&Access { memory, offset, size, kind, at });
            done += size;
        }
    }

    /// Checks a plain access, which the kernel then makes.
    fn plain(&self, address: usize, size: usize, kind: AccessKind, at: SourceLocation) {
        self.pieces(address, size, kind, at, |access| {
            self.begin(access);
            if self.buffers_stores {
                // It is made at once, and so after what the buffers hold for the same bytes.
                self.state.borrow_mut().commit_overlapping(self.me().lane, access);
            }
            if kind.has(AccessKind::WRITE) {
                self.note_progress();
                if self.has_sleepers.get() {
                    let mut state = self.state.borrow_mut();
                    state.wake(access.pointer() as usize, access.size);
                    self.has_sleepers.set(!state.sleepers.by_address.is_empty());
                }
            }
        });
    }

    #[cold]
    fn fail_unknown(&self, address: usize, size: usize, kind: AccessKind, at: SourceLocation) -> ! {
        /// An address farther away is not that of a neighbouring element.
        const NEAR: usize = 1 << 16;
        let mut nearest: Option<(&Allocation, usize)> = None;
        let mut consider = |memory: &Allocation| {
            // SAFETY: buffers and shared arrays exist as long as the launch.
            let memory = unsafe { &*std::ptr::from_ref(memory) };
            let distance = address.wrapping_sub(memory.base as usize);
            if distance < memory.bytes + NEAR && nearest.is_none_or(|(_, least)| distance < least) {
                nearest = Some((memory, distance));
            }
        };
        self.shared.for_each(self.me().slot, &mut consider);
        if let Some(live) = self.nearest_buffer(address) {
            // SAFETY: the buffer exists.
            consider(unsafe { &*live.memory });
        }
        let size = 1 << size.ilog2().min(4);
        if let Some((memory, offset)) = nearest {
            let access = Access { memory, offset, size, kind, at };
            self.fail(Kind::OutOfBounds, at, None, access.report());
        }
        let message = format!(
            "{} of {size} bytes at {address:#x}, which is in no buffer, in no shared array of the \
             block, and no local variable of the thread",
            kind.describe()
        );
        self.fail(Kind::OutOfBounds, at, None, message)
    }

    /// Lets the running thread make an atomic operation on a word of 4 or 8 bytes.
    pub(super) fn atomic<R>(
        &self,
        (address, size): (usize, usize),
        kind: AccessKind,
        at: SourceLocation,
        f: impl FnOnce(&Access) -> R,
    ) -> R {
        let Some((memory, offset)) = self.memory_at(address) else {
            self.fail_unknown(address, size, kind, at);
        };
        let access = Access { memory, offset, size, kind, at };
        f(&access)
    }
}

/// The launch whose kernel makes an access to `address` that is to be checked.
pub(super) fn checked_launch(address: usize) -> Option<&'static Launch> {
    let launch = current_or_none()?;
    (!launch.instrumented.is_inside.get() && !launch.is_on_stack(address)).then_some(launch)
}

/// Runs the emulator's own code for an access.
pub(super) fn inside<R>(f: impl FnOnce() -> R) -> R {
    let _inside = Inside::enter();
    f()
}

/// An address in the code that this is inlined into, right behind the instruction that reads it.
#[inline(always)]
pub(super) fn code_address() -> usize {
    let address;
    // SAFETY: it only reads the address of the next instruction.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!("lea {}, [rip]", out(reg) address, options(nomem, nostack, preserves_flags));
        #[cfg(target_arch = "aarch64")]
        asm!("adr {}, 2f", "2:", out(reg) address, options(nomem, nostack, preserves_flags));
    }
    address
}

/// The source line of the code that returns to `address`: the innermost one outside of Rust's own
/// library and of this one.
pub(super) fn line_of_code(address: usize) -> (&'static str, u32, u32) {
    type Lines = Mutex<FxHashMap<usize, (&'static str, u32, u32)>>;
    const OWN: &str = "cuda_std/src/";
    static LINES: LazyLock<Lines> = LazyLock::new(Mutex::default);
    let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    *lines.entry(address).or_insert_with(|| {
        let (mut found, mut function) = (None, None);
        backtrace::resolve(std::ptr::without_provenance_mut::<c_void>(address), |symbol| {
            function = function.take().or_else(|| symbol.name().map(|name| name.to_string()));
            let Some((file, line)) = symbol.filename().zip(symbol.lineno()) else { return };
            let file = file.display().to_string();
            if found.is_none() && !file.contains("/library/") && !file.contains(OWN) {
                found = Some((file, line, symbol.colno().unwrap_or(1)));
            }
        });
        match found {
            Some((file, line, column)) => (file.leak(), line, column),
            // Without debug information.
            None => {
                let function = function.unwrap_or_else(|| format!("{address:#x}"));
                (format!("{function}, whose crate has no debug information").leak(), 0, 0)
            }
        }
    })
}
