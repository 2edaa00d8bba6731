//! Static shared memory: the arrays that kernels declare in their bodies.
//!
//! The driver knows them when it loads a module. Here an array is made when the
//! first thread of the launch comes upon it: one allocation for each block that can
//! be resident. The list only grows, so that a reference into it lives as long as
//! the launch, across suspensions.

use super::allocation::{Allocation, Space};
use std::cell::OnceCell;

/// Which of a block's allocations in shared memory: the dynamic one, or a static
/// array's, counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Array(u32);

impl Array {
    pub(crate) const DYNAMIC: Array = Array(0);
}

/// The static arrays of a launch, as a list.
#[derive(Default)]
pub(crate) struct Arrays(OnceCell<Box<Node>>);

struct Node {
    symbol: &'static str,
    bytes: usize,
    /// By the blocks' slots.
    blocks: Vec<Allocation>,
    rest: Arrays,
}

impl Arrays {
    fn iter(&self) -> impl Iterator<Item = &Node> {
        std::iter::successors(self.0.get(), |node| node.rest.0.get()).map(|node| &**node)
    }

    /// The array's bytes in the block at `slot`.
    pub(super) fn get(&self, array: Array, slot: usize) -> &Allocation {
        let node = self.iter().nth(array.0 as usize - 1);
        &node.expect("made by Launch::static_array").blocks[slot]
    }

    /// Makes the arrays at `slot` those of a new block.
    pub(super) fn forget_block(&self, slot: usize) {
        self.iter().for_each(|node| node.blocks[slot].forget_block());
    }

    /// The array called `symbol`, if it has been made.
    pub(super) fn find(&self, symbol: &str) -> Option<Array> {
        let index = self.iter().position(|node| node.symbol == symbol)?;
        Some(Array(index as u32 + 1))
    }

    /// Bytes of all arrays, in each block.
    pub(super) fn bytes(&self) -> usize {
        self.iter().map(|node| node.bytes).sum()
    }

    /// Makes an array for blocks in `slots` slots.
    pub(super) fn push(
        &self,
        symbol: &'static str,
        bytes: usize,
        element: usize,
        slots: usize,
    ) -> Array {
        let allocation = |_| {
            let allocation = Allocation::new(Space::Shared, bytes, element);
            allocation.set_name(symbol);
            allocation
        };
        let blocks = (0..slots).map(allocation).collect();
        let (mut end, mut count) = (self, 1);
        while let Some(node) = end.0.get() {
            (end, count) = (&node.rest, count + 1);
        }
        let rest = Arrays::default();
        end.0.get_or_init(|| Box::new(Node { symbol, bytes, blocks, rest }));
        Array(count)
    }
}
