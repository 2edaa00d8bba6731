//! The sort by top bits: which kernels, and how many bits.

use gpu_kernels::entry::{Entries, Entry};
use gpu_kernels::histogram::Histogram;
use gpu_kernels::key::DIGIT_BITS;
use gpu_kernels::local_sort::LocalSort;
use gpu_kernels::top_pass::{self, TopPass};

use super::{BY_DIGIT_FROM, Device, Kernel, Kind, Room, Wanted, largest_bucket};
use crate::error::Error;

/// The kernels that sort what has the top bits in common by itself.
#[derive(Clone, Copy)]
pub struct TopSort<W> {
    /// Counts top bits, and the lower digits if the passes may need them.
    pub counts: Kernel<Histogram<W>>,
    /// The pass by top bits.
    pub pass: Kernel<TopPass<W>>,
    /// Sorts buckets of up to a tile.
    pub sort: Kernel<LocalSort<W>>,
}

impl<W: Entries> TopSort<W> {
    /// Those for a sort, if it pays.
    pub(super) fn of(device: &Device, wanted: Wanted) -> Result<Option<Self>, Error> {
        let Some(chosen) = chosen::<W>(Room::of(device), wanted) else {
            return Ok(None);
        };
        let kernels = &device.kernels;
        Ok(Some(TopSort {
            counts: kernels.load(chosen.counts)?,
            pass: kernels.load(chosen.pass)?,
            sort: kernels.load(chosen.sort)?,
        }))
    }

    /// How many of the top bits buckets of `n` keys have in common, if it pays to sort them so:
    /// fewer tiles would leave multiprocessors idle.
    pub fn bits(&self, n: u64) -> Option<u32> {
        let pays = n >= BY_DIGIT_FROM.max(LEAST_TILES * self.pass.shape().tile() as u64);
        top_bits(n, self.sort.shape().tile()).filter(|_| pays)
    }
}

/// Tiles from which on the pass is worth its time.
const LEAST_TILES: u64 = 64;

/// Bits, no fewer than a digit has, such that buckets of `n` evenly spread keys have up to `held`
/// keys, if so few are enough.
fn top_bits(n: u64, held: usize) -> Option<u32> {
    (DIGIT_BITS..=top_pass::BITS_MAX).find(|&bits| largest_bucket(n, 1 << bits) <= held as f64)
}

/// The entry points of a sort by top bits.
struct Chosen<W: 'static> {
    counts: &'static Entry<Histogram<W>>,
    pass: &'static Entry<TopPass<W>>,
    sort: &'static Entry<LocalSort<W>>,
}

fn chosen<W: Entries>(room: Room, Wanted { kind, whole, n }: Wanted) -> Option<Chosen<W>> {
    let ([counts], [sort]) = (W::TOP_COUNTS, W::BY_TOP) else { return None };
    let taken = kind == Kind::Keys && n >= BY_DIGIT_FROM && whole;
    if !taken || !room.runs(counts) || !room.runs(sort) {
        return None;
    }
    let buckets = 1 << top_bits(n, sort.shape.tile())?;
    let takes = |entry: &&Entry<TopPass<W>>| {
        let most = top_pass::most_buckets(entry.shape.threads);
        room.runs(entry) && n >= entry.shape.from && buckets <= most
    };
    let pass = W::TOP_PASSES.iter().find(takes)?;
    Some(Chosen { counts, pass, sort })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ROOMS, is_compiled};
    use super::*;
    use crate::gpu::module::embedded_texts;

    fn passes_by_top_bits_are_compiled<W: Entries>() {
        for entry in W::TOP_PASSES {
            let taken = entry.shared_bytes * entry.shape.blocks;
            assert!(taken <= ROOMS[3].shared_bytes, "{}: {taken} bytes", entry.name);
            if let Some(text) = embedded_texts().next() {
                is_compiled(text, entry);
            }
        }
        if let Some(text) = embedded_texts().next() {
            W::TOP_COUNTS.iter().for_each(|entry| is_compiled(text, entry));
        }
    }

    #[test]
    fn passes_by_top_bits_are_compiled_as_they_are_launched() {
        passes_by_top_bits_are_compiled::<u32>();
        passes_by_top_bits_are_compiled::<u64>();
    }

    #[test]
    fn an_h200_sorts_by_so_many_top_bits() {
        fn of<W: Entries>(room: Room, kind: Kind, n: u64) -> Option<(u32, usize)> {
            let chosen = chosen::<W>(room, Wanted { kind, whole: true, n })?;
            let bits = top_bits(n, chosen.sort.shape.tile())?;
            Some((bits, chosen.pass.shape.tile()))
        }
        let h200 = ROOMS[3];
        for (n, bits, [narrow, wide]) in [
            (1 << 19, 8, [16_384, 8192]),
            (1 << 21, 8, [16_384, 8192]),
            (1 << 22, 9, [16_384, 8192]),
            ((1 << 22) + 1, 9, [32_768, 16_384]),
            (1 << 23, 10, [32_768, 16_384]),
            (1 << 24, 11, [32_768, 16_384]),
        ] {
            assert_eq!(of::<u32>(h200, Kind::Keys, n), Some((bits, narrow)), "{n}");
            assert_eq!(of::<u64>(h200, Kind::Keys, n), Some((bits, wide)), "{n}");
        }
        assert_eq!(of::<u32>(h200, Kind::Keys, (1 << 24) + (1 << 16)), None);
        assert_eq!(of::<u32>(h200, Kind::Keys, (1 << 19) - 1), None);
        assert_eq!(of::<u32>(h200, Kind::MatchedKeys, 1 << 22), None);
        assert_eq!(of::<u32>(h200, Kind::Pairs, 1 << 22), None);
        assert_eq!(of::<u16>(h200, Kind::Keys, 1 << 22), None);
        assert_eq!(of::<u32>(ROOMS[1], Kind::Keys, 1 << 22), None);
    }
}
