//! Splitters of the sort in [one launch](crate::fused), for keys whose digits are uneven.

use crate::fused::{RANGES_MAX, SAMPLES, SAMPLES_OF_THREAD, Sorter};
use crate::key::Key;
use crate::network;
use cuda_std::prelude::*;

impl<
    K: Key,
    W: Key,
    const THREADS: usize,
    const LOADED: usize,
    const ITEMS: usize,
    const PAIRED: bool,
    const RANGES: usize,
> Sorter<K, W, THREADS, LOADED, ITEMS, PAIRED, RANGES>
{
    /// Sorts a sample, the same in every block, and leaves one splitter less than there are
    /// blocks. Also clears the counts. It has barriers, and ends with one.
    #[inline(always)]
    pub(crate) unsafe fn choose_splitters(&self) {
        let blocks = self.blocks();
        let holds_four = ITEMS >= 4 * LOADED || 4 * self.arg.n <= Self::HELD * blocks;
        let many = const { SAMPLES_OF_THREAD * THREADS / RANGES_MAX };
        let samples = if holds_four { SAMPLES } else { many } as u32;
        let all = samples * blocks;
        let words = Self::LAYOUT.words.shared();
        let sample = |number| self.sample(number, all.ilog2());
        network::sort_block::<W, THREADS, SAMPLES_OF_THREAD>(all, sample, words);
        if self.thread + 1 < blocks {
            let splitter = words.get((samples * (self.thread + 1)) as usize);
            Self::LAYOUT.splitters.shared().set(self.thread as usize, splitter);
        }
        if self.thread < 2 * RANGES_MAX as u32 {
            Self::LAYOUT.counts.shared().set(self.thread as usize, 0);
        }
        thread::sync_threads();
    }

    /// Twice as many as there are splitters below a word, and one more if it equals one. Of words
    /// that have an index none is told apart by that.
    #[inline(always)]
    pub(crate) unsafe fn range_of(&self, word: W) -> u32 {
        let splitters = Self::LAYOUT.splitters.shared();
        let (mut below, mut step) = (0, self.blocks() / 2);
        while step > 0 {
            if splitters.get((below + step - 1) as usize) < word {
                below += step;
            }
            step /= 2;
        }
        let last = below + 1 == self.blocks();
        let equals = !PAIRED && !last && splitters.get(below as usize) == word;
        2 * below + equals as u32
    }
}
