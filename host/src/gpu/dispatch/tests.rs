use super::*;
use crate::gpu::module::embedded_texts;

/// Compute capability 7.5, 8.0, 8.9, an H200 and 12.0.
pub(super) const ROOMS: [Room; 5] = [
    room(false, 40, 64),
    room(false, 108, 163),
    room(false, 128, 99),
    room(true, 132, 227),
    room(true, 170, 99),
];

const fn room(recent: bool, multiprocessors: u32, shared_kb: usize) -> Room {
    Room { recent, multiprocessors, shared_bytes: shared_kb << 10 }
}

macro_rules! has_every_pass {
    (
        $with:tt
        $($test:ident: $type:ident, $name:literal, $key:ident, $word:ty, $kind:expr;)*
    ) => {
        $(has_passes::<$word> $with;)*
    };
}

/// Checks for every number of keys.
fn has_passes<W: Entries>(room: Room, text: Option<&str>) {
    for n in (10..33).map(|exponent| 1 << exponent) {
        for kind in [Kind::Keys, Kind::MatchedKeys, Kind::Pairs] {
            let (entry, _) = pass::<W>(room, Wanted { kind, whole: true, n }).unwrap();
            assert!(entry.shared_bytes <= room.shared_bytes);
            if let Some(text) = text {
                is_compiled(text, entry);
            }
        }
    }
}

#[test]
fn every_gpu_has_a_pass_for_every_sort() {
    // The newest text and the baseline, if there is a compiler of kernels.
    let texts: Vec<&str> = embedded_texts().collect();
    for room in ROOMS {
        let text = match room.recent {
            true => texts.first().copied(),
            false => texts.last().copied(),
        };
        sort_cases::for_every_type!(has_every_pass(room, text));
    }
}

/// Asserts that a kernel is compiled for blocks of the threads, and for as many parameters,
/// that it is launched with.
pub(super) fn is_compiled<A>(text: &str, entry: &Entry<A>) {
    let name = entry.name;
    let begin = text.split_once(&format!(".entry {name}("));
    let (_, kernel) = begin.unwrap_or_else(|| panic!("{name} is not compiled"));
    let (parameters, behind) = kernel.split_once("\n)").unwrap();
    let (_, bounds) = behind.split_once("\n.maxntid ").unwrap();
    let threads = bounds.lines().next().unwrap();
    assert_eq!(threads, entry.shape.threads.to_string(), "{name}");
    let count = parameters.matches(".param ").count();
    assert_eq!(count, entry.count, "{name}");
}

fn local_sorts_are_compiled<W: Entries>() {
    let h200 = ROOMS[3];
    let tiles = |paired| {
        let of = move |entry: &&Entry<_>| entry.paired == paired;
        W::LOCAL.iter().filter(of).map(|entry| entry.shape.tile())
    };
    assert!(tiles(false).is_sorted() && tiles(true).is_sorted());
    for entry in W::LOCAL.iter().chain(W::BY_DIGIT).chain(W::BY_TOP) {
        let taken = entry.shared_bytes * entry.shape.blocks;
        assert!(taken <= h200.shared_bytes, "{}: {taken} bytes", entry.name);
        if let Some(text) = embedded_texts().next() {
            is_compiled(text, entry);
        }
    }
}

#[test]
fn local_sorts_are_compiled_as_they_are_launched() {
    local_sorts_are_compiled::<u32>();
    local_sorts_are_compiled::<u64>();
}

#[test]
fn an_h200_holds_so_many_keys_of_a_top_digit() {
    fn tile<W: Entries>(kind: Kind, n: u64, whole: bool) -> Option<usize> {
        let entry = by_digit::<W>(ROOMS[3], Wanted { kind, whole, n });
        entry.map(|entry| entry.shape.tile())
    }
    type Tile = fn(Kind, u64, bool) -> Option<usize>;
    // More of 8 bytes are sorted by top bits wherever a block would hold them.
    for (of, held) in [(tile::<u32> as Tile, Some(17_408)), (tile::<u64>, None)] {
        assert_eq!(of(Kind::Keys, 1 << 21, true), Some(8704));
        assert_eq!(of(Kind::Keys, 1 << 22, true), held);
        assert_eq!(of(Kind::Keys, 1 << 23, true), None);
        assert_eq!(of(Kind::Keys, 1 << 22, false), None);
        assert_eq!(of(Kind::MatchedKeys, 1 << 22, true), None);
    }
    assert_eq!(tile::<u64>(Kind::Pairs, 1 << 22, true), None);
    assert_eq!(tile::<u16>(Kind::Keys, 1 << 22, true), None);
}

#[test]
fn pairs_of_a_top_digit_are_sorted_by_bins_where_blocks_have_room() {
    let name = |room, n| {
        let wanted = Wanted { kind: Kind::Pairs, whole: true, n };
        by_digit::<u32>(room, wanted).map(|entry| entry.name)
    };
    assert_eq!(name(ROOMS[3], 1 << 21), Some("digit_bins_8704_u32"));
    assert_eq!(name(ROOMS[3], 1 << 22), Some("digit_bins_17408_u32"));
    assert_eq!(name(ROOMS[3], 1 << 23), None);
    assert_eq!(name(ROOMS[4], 1 << 21), Some("digit_sort_pairs_8704_u32"));
    assert_eq!(name(ROOMS[4], 1 << 22), None);
}

#[test]
fn an_h200_passes_over_keys_by_these_shapes() {
    fn name<W: Entries>(kind: Kind, n: u64) -> &'static str {
        pass::<W>(ROOMS[3], Wanted { kind, whole: true, n }).unwrap().0.name
    }
    type Name = fn(Kind, u64) -> &'static str;
    for (name, kind, n, expected) in [
        (name::<u32> as Name, Kind::Keys, 1 << 15, "few_keys_2048_u32"),
        (name::<u32>, Kind::Keys, 1 << 16, "few_keys_4096_u32"),
        (name::<u32>, Kind::Keys, 1 << 20, "few_keys_8192_u32"),
        (name::<u32>, Kind::Keys, 1 << 22, "onesweep_keys_baseline_u32"),
        (name::<u32>, Kind::Keys, 1 << 23, "onesweep_keys_many_u32"),
        (name::<u32>, Kind::Keys, 1 << 24, "onesweep_keys_u32"),
        (name::<u32>, Kind::MatchedKeys, 1 << 24, "onesweep_keys_ballots_u32"),
        (name::<u32>, Kind::Keys, 1 << 29, "onesweep_keys_u32"),
        (name::<u32>, Kind::Keys, 1 << 30, "onesweep_keys_wide_u32"),
        (name::<u32>, Kind::MatchedKeys, 1 << 31, "onesweep_keys_wide_u32"),
        (name::<u32>, Kind::Pairs, 1 << 30, "onesweep_pairs_wide_u32"),
        (name::<u32>, Kind::Pairs, 1 << 16, "few_pairs_3072_u32"),
        (name::<u64>, Kind::Keys, 1 << 16, "few_keys_2048_u64"),
        (name::<u64>, Kind::Keys, (1 << 16) + 1, "few_keys_4096_u64"),
        (name::<u64>, Kind::Keys, 1 << 22, "onesweep_keys_u64"),
        (name::<u64>, Kind::Pairs, 1 << 21, "onesweep_pairs_baseline_u64"),
        (name::<u64>, Kind::Pairs, 1 << 22, "onesweep_pairs_u64"),
        (name::<u8>, Kind::Keys, 1 << 22, "onesweep_keys_u8"),
        (name::<u8>, Kind::Pairs, 1 << 32, "onesweep_pairs_wide_u8"),
        (name::<u64>, Kind::Pairs, 1 << 30, "onesweep_pairs_wide_baseline_u64"),
    ] {
        assert_eq!(name(kind, n), expected, "{kind:?} {n}");
    }
}

#[test]
fn an_h200_sorts_some_keys_in_one_launch() {
    fn name<W: Entries>(kind: Kind, n: u64) -> Option<&'static str> {
        let entry = fused_entries::<W>(ROOMS[3], Wanted { kind, whole: true, n }).next()?;
        assert!(fused::blocks(n as usize, entry.shape.threads) <= 132);
        if let Some(text) = embedded_texts().next() {
            is_compiled(text, entry);
        }
        Some(entry.name)
    }
    type Name = fn(Kind, u64) -> Option<&'static str>;
    for (name, kind, n, expected) in [
        (name::<u64> as Name, Kind::Keys, 1 << 10, None),
        (name::<u64>, Kind::Keys, (1 << 10) + 1, Some("fused_15_keys_u64")),
        (name::<u64>, Kind::Keys, 1 << 15, Some("fused_15_keys_u64")),
        (name::<u64>, Kind::Keys, (1 << 15) + 1, Some("fused_16_keys_u64")),
        (name::<u64>, Kind::Keys, 1 << 17, Some("fused_17_keys_u64")),
        (name::<u64>, Kind::Keys, (1 << 17) + 1, Some("fused_19_keys_u64")),
        (name::<u64>, Kind::Keys, 1 << 19, Some("fused_19_keys_u64")),
        (name::<u64>, Kind::Keys, (1 << 19) + 1, None),
        (name::<u64>, Kind::Pairs, 1 << 14, None),
        (name::<u32>, Kind::Keys, 1 << 14, Some("fused_15_keys_u32")),
        (name::<u32>, Kind::Keys, 1 << 17, Some("fused_17_keys_u32")),
        (name::<u32>, Kind::Pairs, (1 << 12) - 1, None),
        (name::<u32>, Kind::Pairs, 1 << 16, Some("fused_16_pairs_u32")),
        (name::<u32>, Kind::Pairs, (1 << 16) + 1, None),
        (name::<u32>, Kind::MatchedKeys, 1 << 14, None),
        (name::<u16>, Kind::Keys, 1 << 14, None),
        (name::<u128>, Kind::Keys, 1 << 14, None),
    ] {
        assert_eq!(name(kind, n), expected, "{kind:?} {n}");
    }
}
