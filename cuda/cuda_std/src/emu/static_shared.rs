//! Static shared memory: the arrays that kernels declare in their bodies.
//!
//! The driver knows them when it loads a module. Here an array is made when the
//! first thread of the launch comes upon it: one allocation for each block that can
//! be resident. The list only grows, so that a reference into it lives as long as
//! the launch, across suspensions.

use super::allocation::{Allocation, Space};
use super::finding::Kind;
use super::launch::{Launch, SHARED_MAX};
use std::cell::OnceCell;
use std::panic::Location;

/// Which of a block's allocations in shared memory: the dynamic one, or a static
/// array's, counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Array(u32);

impl Array {
    pub const DYNAMIC: Array = Array(0);
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
    pub fn get(&self, array: Array, slot: usize) -> &Allocation {
        let node = self.iter().nth(array.0 as usize - 1);
        &node.expect("made by Launch::static_array").blocks[slot]
    }

    /// Makes the arrays at `slot` those of a new block.
    pub fn forget_block(&self, slot: usize) {
        self.iter()
            .for_each(|node| node.blocks[slot].forget_block());
    }

    fn push(&self, node: Node) {
        let mut end = self;
        while let Some(node) = end.0.get() {
            end = &node.rest;
        }
        end.0.get_or_init(|| Box::new(node));
    }
}

impl Launch {
    /// What the driver grants to static arrays.
    const STATIC_MAX: usize = 48 << 10;

    /// The array called `symbol`, made if it is new.
    pub fn static_array(
        &self,
        symbol: &'static str,
        bytes: usize,
        element: usize,
        at: &'static Location<'static>,
    ) -> Array {
        let known = self.statics.iter().position(|node| node.symbol == symbol);
        if let Some(i) = known {
            return Array(i as u32 + 1);
        }
        let before: usize = self.statics.iter().map(|node| node.bytes).sum();
        let count = self.statics.iter().count();
        let all = before.saturating_add(bytes);
        let room = Self::STATIC_MAX.min(SHARED_MAX - self.shape().shared_bytes);
        if all > room {
            let message = format!(
                "static shared arrays of {all} bytes a block; beside {} dynamic bytes at most {room}",
                self.shape().shared_bytes
            );
            self.fail(Kind::Launch, at, None, message);
        }
        let allocation = |_| {
            let allocation = Allocation::new(Space::Shared, bytes, element);
            allocation.set_name(symbol);
            allocation
        };
        self.statics.push(Node {
            symbol,
            bytes,
            blocks: (0..self.slots()).map(allocation).collect(),
            rest: Arrays::default(),
        });
        Array(count as u32 + 1)
    }
}
