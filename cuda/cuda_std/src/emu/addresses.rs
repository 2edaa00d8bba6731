//! Memory by its address, for kernels that access it by pointers.

use super::allocation::Allocation;
use super::shared_arrays::SharedArrays;
use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};
use std::thread::ThreadId;

/// The state of a launch that accesses by pointers are looked up in.
pub(crate) struct Addresses {
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
pub(super) struct Live {
    begin: usize,
    end: usize,
    owner: ThreadId,
    pub memory: *const Allocation,
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
pub(crate) struct Inside<'a> {
    is_inside: &'a Cell<bool>,
    before: bool,
}

impl<'a> Inside<'a> {
    #[inline(never)]
    pub(crate) fn enter(Addresses { is_inside, .. }: &'a Addresses) -> Self {
        Self { is_inside, before: is_inside.replace(true) }
    }
}

impl Drop for Inside<'_> {
    #[inline(never)]
    fn drop(&mut self) {
        self.is_inside.set(self.before);
    }
}

impl Addresses {
    pub(super) fn new(lanes: usize) -> Self {
        Self {
            is_inside: Cell::new(false),
            stacks: vec![Cell::new(0); lanes],
            owner: std::thread::current().id(),
            last: Cell::new(None),
            statics: OnceCell::new(),
        }
    }

    /// The running thread begins, on a new stack.
    #[inline(never)]
    pub(super) fn begin_thread(&self, lane: usize) {
        /// The frames above this one, which hold nothing of the kernel's.
        const ABOVE: usize = 512;
        let here = 0u8;
        self.stacks[lane].set((&raw const here).addr() + ABOVE);
        self.is_inside.set(false);
    }

    /// Returns true if the stack of the running thread, in this lane, has this address.
    pub(super) fn is_on_stack(&self, lane: usize, address: usize) -> bool {
        let here = 0u8;
        let top = self.stacks[lane].get();
        ((&raw const here).addr()..top).contains(&address)
    }

    /// The memory at an address, and the bytes before it, for a thread of the block at `slot`.
    pub(super) fn find(
        &self,
        address: usize,
        shared: &SharedArrays,
        slot: usize,
    ) -> Option<(&Allocation, usize)> {
        let contains = |live: &Live| (live.begin..live.end).contains(&address);
        let mut found = self.last.get().filter(contains);
        if found.is_none() {
            found = self.nearest_buffer(address).filter(contains);
            self.last.set(found.or(self.last.get()));
        }
        if let Some(live) = found {
            // SAFETY: a buffer outlives the launches that use it.
            return Some((unsafe { &*live.memory }, address - live.begin));
        }
        let mut found = None;
        shared.for_each(slot, |memory| {
            let begin = memory.base as usize;
            if (begin..begin + memory.bytes).contains(&address) {
                // SAFETY: a shared array exists as long as the launch.
                found = Some((unsafe { &*std::ptr::from_ref(memory) }, address - begin));
            }
        });
        found.or_else(|| self.static_at(address))
    }

    /// The buffer at or before an address.
    pub(super) fn nearest_buffer(&self, address: usize) -> Option<Live> {
        let live = LIVE.read().unwrap_or_else(PoisonError::into_inner);
        let (_, nearest) = live.range(..=address).next_back()?;
        (nearest.owner == self.owner).then_some(*nearest)
    }

    fn static_at(&self, address: usize) -> Option<(&Allocation, usize)> {
        let Program { statics, end, .. } = Program::here();
        if !(statics..end).contains(&address) {
            return None;
        }
        let memory = self.statics.get_or_init(|| {
            let base = std::ptr::with_exposed_provenance_mut(statics);
            Allocation::of_program(base, end - statics, "statics")
        });
        Some((memory, address - statics))
    }
}

/// The program in memory: its constants and code, and then its mutable statics.
pub(super) struct Program {
    pub begin: usize,
    pub statics: usize,
    end: usize,
}

impl Program {
    pub(super) fn here() -> Self {
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
