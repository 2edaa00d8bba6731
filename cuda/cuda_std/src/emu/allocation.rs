//! The bytes that kernels work on, with their shadow memory.

use super::history::Words;
use super::shadow::Shadow;
use std::alloc::{Layout, alloc, dealloc};
use std::cell::{Cell, RefCell};

/// The memory that an allocation is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Space {
    Global,
    Shared,
}

/// Bytes in the emulated device's memory, aligned as the device's allocator does.
pub(crate) struct Allocation {
    pub base: *mut u8,
    pub bytes: usize,
    /// Set unless the bytes are the program's own.
    is_owned: bool,
    pub space: Space,
    pub name: Cell<&'static str>,
    /// Set if a launch wrote here whose writes were not checked.
    pub unchecked: Cell<bool>,
    /// The launch that accessed it last.
    launch: Cell<u64>,
    pub shadow: RefCell<Shadow>,
    /// The history of words that atomic operations have met.
    pub words: RefCell<Words>,
}

impl Allocation {
    /// The alignment of `cudaMalloc`.
    const ALIGNMENT: usize = 256;
    /// Poison: an index made from it lies outside of every array, so that the read of
    /// unwritten memory shows even in an unchecked launch.
    const UNWRITTEN: u8 = 0xa5;

    /// `bytes` unwritten bytes, most often accessed `element` at a time.
    pub(crate) fn new(space: Space, bytes: usize, element: usize) -> Self {
        let allocation = Self {
            // SAFETY: the layout has a size.
            base: unsafe { alloc(Self::layout(bytes)) },
            bytes,
            is_owned: true,
            space,
            name: Cell::new(""),
            unchecked: Cell::new(false),
            launch: Cell::new(0),
            shadow: RefCell::new(Shadow::new(bytes, element, space == Space::Shared)),
            words: RefCell::default(),
        };
        assert!(!allocation.base.is_null(), "no memory for a buffer of {bytes} bytes");
        allocation.forget();
        allocation
    }

    fn layout(bytes: usize) -> Layout {
        // Behind them is room in which no other allocation lies, so that an access by a pointer
        // that has left this one by a little does not look like one to the next.
        let bytes = bytes.checked_add(Self::ALIGNMENT).expect("a size below 2^63");
        Layout::from_size_align(bytes, Self::ALIGNMENT).expect("a size below 2^63")
    }

    /// The program's own bytes from `base` on, all of them written.
    #[cfg(feature = "instrumented")]
    pub(crate) fn of_program(base: *mut u8, bytes: usize, name: &'static str) -> Self {
        let allocation = Self {
            base,
            bytes,
            is_owned: false,
            space: Space::Global,
            name: Cell::new(name),
            unchecked: Cell::new(true),
            launch: Cell::new(0),
            shadow: RefCell::new(Shadow::new(bytes, 8, false)),
            words: RefCell::default(),
        };
        allocation.believe_written();
        allocation
    }

    /// Makes all bytes unwritten: new memory, or shared memory of a new block.
    pub(crate) fn forget(&self) {
        // SAFETY: these are the allocation's bytes, and nothing borrows them.
        unsafe { self.base.write_bytes(Self::UNWRITTEN, self.bytes) };
        self.shadow.borrow_mut().forget();
        self.words.borrow_mut().clear();
    }

    /// To be called before an access: the first of a launch is after all that earlier launches did.
    #[inline(always)]
    pub(crate) fn enter_launch(&self, launch: u64) {
        if self.launch.replace(launch) != launch {
            self.believe_written();
            self.shadow.borrow_mut().enter_launch();
            self.words.borrow_mut().clear();
        }
    }

    /// After writes that were not checked, all of it counts as written.
    pub(crate) fn believe_written(&self) {
        if self.unchecked.replace(false) && self.bytes > 0 {
            self.shadow.borrow_mut().set_written(0, self.bytes);
        }
    }

    /// For a report: "global memory `keys` (400 bytes)".
    pub(crate) fn describe(&self) -> String {
        let space = match self.space {
            Space::Global => "global memory",
            Space::Shared => "shared memory",
        };
        let name = match self.name.get() {
            "" => String::new(),
            name => format!(" `{name}`"),
        };
        format!("{space}{name} ({} bytes)", self.bytes)
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        if self.is_owned {
            // SAFETY: allocated by `new` with this layout.
            unsafe { dealloc(self.base, Self::layout(self.bytes)) };
        }
    }
}
