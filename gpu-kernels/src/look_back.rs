//! Where in the output the keys of a tile with each digit begin: how many there are in all
//! earlier tiles.
//!
//! The decoupled look-back of single-pass scans (Merrill and Garland 2016; for a radix sort
//! Adinets and Merrill 2022), a thread a digit: add up what the tiles before have published, back
//! to one that has published its inclusive sum, and publish our own.
//!
//! # Progress without an order of blocks
//! Tile numbers are block numbers; nothing says that the device starts block 0 before block 1. A
//! look-back that waits therefore has patience, and when it ends the thread counts the missing
//! tile's digit itself, from the input, which no pass overwrites. Slow, and never seen to happen
//! on a device, but no block ever depends on another one's being scheduled. A ticket drawn from a
//! counter, the usual way, costs every block a round trip to memory before its first load.

use crate::control;
use crate::key::{Key, RADIX};
use crate::store::Run;
use crate::tile::Tile;
use cuda_std::{ext::*, prelude::*};

impl<K: Key, const THREADS: usize, const ITEMS: usize, const PAIRED: bool, const LOOK: u32>
    Tile<K, THREADS, ITEMS, PAIRED, LOOK>
{
    /// Finds how many keys of earlier tiles have each digit, and from it what to add to a slot of
    /// the tile to get the offset in the output.
    #[inline(always)]
    pub(crate) unsafe fn look_back(&self) {
        let number = self.number();
        let mut digit = self.thread as usize;
        while digit < RADIX {
            let run = Run::new(
                Self::LAYOUT.begins.shared().get(digit),
                Self::LAYOUT.begins.shared().get(digit + 1),
            );
            let (begin, end) = (run.begin(), run.end());
            let mut earlier = 0;
            if number > 0 {
                earlier = self.earlier(digit);
                let word = ((earlier + end - begin) | control::INCLUSIVE) ^ self.step.toggle();
                self.row(number).store(digit, word, Ordering::Relaxed, Scope::Device);
            }
            let start = self.starts(self.arg.portion).get(digit) + earlier as u64;
            // Opaque, or the answer is kept from the start, in a register that values need.
            if Self::WIDE && hint::opaque(number) == thread::grid_dim_x() - 1 {
                let next = start + (end - begin) as u64;
                self.starts(self.arg.portion + 1).set(digit, next);
            }
            let offset = start.wrapping_sub(begin as u64);
            // In one portion, 32 bits lead everywhere.
            let offset = if Self::WIDE { offset } else { offset as u32 as u64 };
            if Self::WINDOWED {
                self.split(run, offset);
            } else if Self::WIDE {
                self.offsets().cast::<u64>().set(digit, offset);
            } else {
                self.offsets().set(digit, offset as u32);
            }
            digit += THREADS;
        }
    }

    /// The keys of all earlier tiles of the portion that have `digit`. Four rows are read at
    /// once; those before the first row are never used, because the first row is only ever EMPTY
    /// or INCLUSIVE.
    #[inline(always)]
    unsafe fn earlier(&self, digit: usize) -> u32 {
        let table = self.row(0);
        let mut sum = 0;
        let mut row = self.number();
        let mut patience = hint::Patience::new();
        loop {
            let mut words = [0; 4];
            for j in 0..4 {
                let index = (row as usize * RADIX + digit).wrapping_sub((j + 1) * RADIX);
                words[j] = table.load(index, Ordering::Relaxed, Scope::Device);
            }
            for j in 0..4 {
                let word = words[j] ^ self.step.toggle();
                if word & control::STATE == control::EMPTY {
                    break;
                }
                sum += word & control::COUNT;
                if word & control::INCLUSIVE != 0 {
                    return sum;
                }
                row -= 1;
            }
            if patience.ended() {
                row -= 1;
                sum += self.count_tile(row, digit as u32);
                if row == 0 {
                    return sum;
                }
                patience = hint::Patience::new();
            }
        }
    }

    /// The keys of an earlier tile that have `digit`, counted from the input.
    #[inline(always)]
    unsafe fn count_tile(&self, tile: u32, digit: u32) -> u32 {
        let begin = (self.arg.first_tile + tile) as u64 * Self::SIZE as u64;
        let source = self.arg.keys.choose(self.step.source());
        let encodes = self.encodes(self.step.first());
        let digit_of = self.digits();
        let mut count = 0;
        let mut i = 0;
        while i < Self::SIZE {
            let key = source.get((begin + i as u64) as usize);
            let key = if encodes { key.encode() } else { key };
            count += (digit_of(key) == digit) as u32;
            i += 1;
        }
        count
    }
}
