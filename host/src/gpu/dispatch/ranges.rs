//! The sort in two launches: which kernels, from how many keys on.

use gpu_kernels::entry::{Entries, Entry};
use gpu_kernels::tile::WholeSort;

use super::{Device, Kernel, Room, Wanted};
use crate::error::Error;

/// The kernels that sort in two launches, of which the first has a block for each tile.
pub struct RangeSort<W> {
    pub partition: Kernel<WholeSort<W>>,
    pub sort_ranges: Kernel<WholeSort<W>>,
}

impl<W: Entries> RangeSort<W> {
    /// Those for a sort, if there are any and the GPU holds all tiles at once.
    pub fn of(device: &Device, wanted: Wanted) -> Result<Option<Self>, Error> {
        let Some((partition, sort_ranges)) = range_entries::<W>(Room::of(device), wanted) else {
            return Ok(None);
        };
        let kernels = &device.kernels;
        let partition = kernels.load(partition)?;
        let held = u64::from(partition.resources()?.blocks) * u64::from(device.multiprocessors);
        let sort = RangeSort { partition, sort_ranges: kernels.load(sort_ranges)? };
        Ok((partition.blocks(wanted.n) <= held).then_some(sort))
    }
}

/// The entry points of both launches.
type RangeEntries<W> = (&'static Entry<WholeSort<W>>, &'static Entry<WholeSort<W>>);

/// Those that take so many keys.
fn range_entries<W: Entries>(room: Room, wanted: Wanted) -> Option<RangeEntries<W>> {
    let (paired, n) = (wanted.paired(), wanted.n);
    if !wanted.is_free() || n < ranges_from(size_of::<W>(), paired) {
        return None;
    }
    let of = |entry: &&Entry<_>| entry.paired == paired && room.runs(entry);
    let holds = |entry: &&Entry<_>| n <= room.wave() * entry.shape.tile() as u64;
    let partition = W::PARTITIONS.iter().filter(of).find(holds)?;
    W::RANGE_SORTS.iter().find(of).map(|sort_ranges| (partition, sort_ranges))
}

/// Keys of `width` bytes, alone or `paired`, from which on two launches are faster than one or than
/// passes.
const fn ranges_from(width: usize, paired: bool) -> u64 {
    match (width, paired) {
        (4, false) => (1 << 17) + 1,
        // Fewer pairs would take more memory than CUB does.
        _ => (1 << 19) + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::super::tests::ROOMS;
    use super::*;

    #[test]
    fn an_h200_sorts_more_keys_in_two_launches() {
        fn name<W: Entries>(kind: Kind, n: u64) -> Option<&'static str> {
            let wanted = Wanted { kind, whole: true, n };
            range_entries::<W>(ROOMS[3], wanted).map(|(partition, _)| partition.name)
        }
        type Name = fn(Kind, u64) -> Option<&'static str>;
        for (name, kind, n, expected) in [
            (name::<u32> as Name, Kind::Keys, 1 << 17, None),
            (name::<u32>, Kind::Keys, (1 << 17) + 1, Some("partition_4096_keys_u32")),
            (name::<u32>, Kind::Keys, (132 << 12) + 1, Some("partition_8192_keys_u32")),
            (name::<u32>, Kind::Keys, 132 << 13, Some("partition_8192_keys_u32")),
            (name::<u32>, Kind::Keys, (132 << 13) + 1, None),
            (name::<u32>, Kind::MatchedKeys, 1 << 20, None),
            (name::<u32>, Kind::Pairs, 1 << 19, None),
            (name::<u32>, Kind::Pairs, 1 << 20, Some("partition_8192_pairs_u32")),
            (name::<u64>, Kind::Keys, 1 << 19, None),
            (name::<u64>, Kind::Keys, 1 << 20, Some("partition_8192_keys_u64")),
            (name::<u64>, Kind::Pairs, 1 << 20, None),
            (name::<u16>, Kind::Keys, 1 << 20, None),
        ] {
            assert_eq!(name(kind, n), expected, "{kind:?} {n}");
        }
        // Before compute capability 9.0 its kernels are not compiled.
        let wanted = Wanted { kind: Kind::Keys, whole: true, n: 1 << 20 };
        assert!(range_entries::<u32>(ROOMS[1], wanted).is_none());
    }
}
