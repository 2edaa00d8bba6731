//! The shared memory of the resident blocks: the dynamic array and the static ones.
//!
//! The driver knows static arrays when it loads a module. Here an array is made when the
//! first thread of the launch comes upon it: one allocation for each block that can be
//! resident. None is freed before the launch ends.

use super::allocation::{Allocation, Space};
use std::cell::RefCell;
use std::rc::Rc;

/// The arrays of a launch.
pub(crate) struct SharedArrays {
    /// Blocks that can be resident.
    slots: usize,
    arrays: RefCell<Vec<SharedArray>>,
}

struct SharedArray {
    /// Empty for the dynamic array.
    symbol: &'static str,
    bytes: usize,
    /// By the blocks' slots.
    blocks: Vec<Rc<Allocation>>,
}

impl SharedArrays {
    /// The dynamic array alone.
    pub(super) fn new(slots: usize, dynamic_bytes: usize) -> Self {
        let shared = Self { slots, arrays: RefCell::default() };
        shared.add("", dynamic_bytes, 4);
        shared
    }

    /// Adds a static array.
    pub(super) fn add(&self, symbol: &'static str, bytes: usize, element: usize) {
        let allocation = |_| {
            let allocation = Allocation::new(Space::Shared, bytes, element);
            allocation.name.set(symbol);
            Rc::new(allocation)
        };
        let blocks = (0..self.slots).map(allocation).collect();
        self.arrays.borrow_mut().push(SharedArray { symbol, bytes, blocks });
    }

    /// The array called `symbol` in the block at `slot`, if it has been made.
    pub(super) fn find(&self, symbol: &str, slot: usize) -> Option<*const Allocation> {
        let arrays = self.arrays.borrow();
        let array = arrays.iter().find(|array| array.symbol == symbol)?;
        Some(Rc::as_ptr(&array.blocks[slot]))
    }

    /// Runs `f` on each array of the block at `slot`.
    #[cfg(feature = "instrumented")]
    pub(super) fn for_each(&self, slot: usize, mut f: impl FnMut(&Allocation)) {
        self.arrays.borrow().iter().for_each(|array| f(&array.blocks[slot]));
    }

    /// The bytes of a block's arrays.
    pub(super) fn bytes(&self) -> usize {
        self.arrays.borrow().iter().map(|array| array.bytes).sum()
    }

    /// Makes the arrays at `slot` those of a new block.
    pub(super) fn forget_block(&self, slot: usize) {
        self.arrays.borrow().iter().for_each(|array| array.blocks[slot].forget());
    }
}
