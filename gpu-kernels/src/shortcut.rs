//! Sorts in one launch behind the plan where that suggests a way without passes.
//!
//! It has a block for each multiprocessor, and ends at once where nothing is suggested. Blocks
//! that find no room withdraw, or what was suggested shows not to be so: then the input is as it
//! was, and the passes follow as planned. Else the plan becomes one without any.

use crate::control::{self, ASCENDING, DESCENDING, FEW};
use crate::few;
use crate::key::{Bits, Key};
use crate::ordered;
use crate::plan;
use crate::tile::WholeSort;
use cuda_std::{ext::*, prelude::*};

/// The kernel, of `THREADS` threads a block, for keys that are sorted by all their bits.
#[inline(always)]
pub unsafe fn shortcut<K: Key + AtomicWord, const THREADS: usize, const PAIRED: bool>(
    arg: WholeSort<K>,
) {
    let suggestion = control::await_plan(arg.control, arg.options, control::SHORTCUT);
    let sorts = if !PAIRED && suggestion & FEW != 0 {
        few::count_and_fill(arg)
    } else if suggestion & (ASCENDING | DESCENDING) != 0 {
        let order = if suggestion & ASCENDING != 0 { ASCENDING } else { DESCENDING };
        ordered::copy::<K, THREADS, PAIRED>(arg, order)
    } else {
        false
    };
    if sorts && thread::block_idx_x() == 0 && thread::thread_idx_x() == 0 {
        let bits = Bits { begin: 0, end: K::BITS };
        plan::no_passes(bits, |position, step| step.write(arg.control, position as usize));
        arg.control.set(control::LOCALLY, 0);
    }
}
