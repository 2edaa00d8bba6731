//! The digits that are passed over, in which order of buffers, and how they rank.

use crate::control::{self, Ranking, Step};
use crate::key::Bits;

/// Tells `write` the step of each digit: of those in which keys vary, and what else has to run.
///
/// Places in which all keys agree run all the same to have a pass that moves the keys or writes
/// their indices, and to end in the output when that is also the input.
#[inline(always)]
pub(crate) fn steps(
    bits: Bits,
    options: u32,
    varies: impl Fn(u32) -> bool,
    ranking: impl Fn(u32) -> Ranking,
    mut write: impl FnMut(u32, Step),
) {
    let positions = bits.digits();
    let mut running = 0;
    let mut position = 0;
    while position < positions {
        running += varies(position) as u32;
        position += 1;
    }
    let in_place = options & control::IN_PLACE != 0;
    let indexed = options & control::INDEX != 0;
    let mut spare = match running {
        0 if in_place && !indexed => 0,
        0 if in_place => 2,
        0 => 1,
        _ if in_place => running % 2,
        _ => 0,
    };
    let count = running + spare;
    let mut index = 0;
    let mut position = 0;
    while position < positions {
        let mut step = Step::SKIPPED;
        let varies = varies(position);
        if varies || spare > 0 {
            if !varies {
                spare -= 1;
            }
            let (shift, _) = bits.digit(position);
            step = Step::running(index, count, shift, ranking(position));
            index += 1;
        }
        write(position, step);
        position += 1;
    }
}

/// Tells `write` that no digit is passed over.
#[inline(always)]
pub(crate) fn no_passes(bits: Bits, mut write: impl FnMut(u32, Step)) {
    let mut position = 0;
    while position < bits.digits() {
        write(position, Step::SKIPPED);
        position += 1;
    }
}

/// Tells `write` the steps where each top digit is sorted locally after a pass by it: into the
/// output, or where that is the input into the scratch buffer.
#[inline(always)]
pub(crate) fn by_top_digit(
    bits: Bits,
    options: u32,
    ranking: Ranking,
    mut write: impl FnMut(u32, Step),
) {
    let top = bits.digits() - 1;
    let mut position = 0;
    while position < top {
        write(position, Step::SKIPPED);
        position += 1;
    }
    let count = if options & control::IN_PLACE != 0 { 2 } else { 1 };
    write(top, Step::running(0, count, bits.digit(top).0, ranking).upper());
}
