//! The borders between the parts of a result: how many keys of each sorted part come before a
//! rank of the whole.
//!
//! The key at the rank is found from its highest bits on. In a round, every device counts its keys
//! below each candidate for the next bits; the greatest candidate with no more keys below it than
//! the rank has those bits. When all bits are known, the keys below the border's key are counted,
//! and so are those equal to it, which are shared out in the order of the devices: the result is
//! stable, and equal keys do not unbalance it. The number of rounds depends on the width of keys
//! alone, not on how they are spread.
//!
//! Of sorted runs in host memory, the host counts the keys itself ([`cuts`]), a bit a round.

use crate::gpu::GpuKey;

/// Bits found in a round. More would count more candidates, fewer would take more rounds.
const ROUND_BITS: u32 = 11;

/// A search for borders.
pub(super) struct Borders {
    ranks: Vec<u64>,
    /// The bits of each border's key that are known; the others are clear.
    lows: Vec<u128>,
    /// For each border, the keys of each device that are below `lows`.
    below: Vec<Vec<u32>>,
    /// The same of the next greater words of known bits.
    up_to: Vec<Vec<u32>>,
    /// Bits that are not known.
    unknown: u32,
    /// Most bits of a round.
    round_bits: u32,
}

impl Borders {
    /// A search for borders before which `ranks` keys lie, of sorted parts of these lengths, whose
    /// keys have `bits` bits.
    pub fn new(ranks: Vec<u64>, lengths: &[u32], bits: u32) -> Self {
        let all = |each: Vec<u32>| vec![each; ranks.len()];
        Borders {
            lows: vec![0; ranks.len()],
            below: all(vec![0; lengths.len()]),
            up_to: all(lengths.to_vec()),
            ranks,
            unknown: bits,
            round_bits: ROUND_BITS,
        }
    }

    /// Most candidates of a round for so many borders.
    pub fn candidates(borders: usize) -> usize {
        borders << ROUND_BITS
    }

    /// The bits of the next round and the position of their lowest, unless all are known.
    pub fn round(&self) -> Option<(u32, u32)> {
        let bits = self.unknown.min(self.round_bits);
        (bits > 0 && !self.ranks.is_empty()).then(|| (bits, self.unknown - bits))
    }

    /// The known bits of each border's key.
    pub fn lows(&self) -> &[u128] {
        &self.lows
    }

    /// Takes up a round: for each device, the counts of its keys below the candidates, border by
    /// border.
    pub fn narrow(&mut self, counts: &[&[u32]]) {
        let Some((bits, shift)) = self.round() else {
            return;
        };
        let width = 1 << bits;
        for (border, &rank) in self.ranks.iter().enumerate() {
            let of =
                |candidate: usize| counts.iter().map(move |all| all[border * width + candidate]);
            let sum = |candidate: usize| of(candidate).map(u64::from).sum::<u64>();
            // No key is below candidate 0 that was not known to be.
            let (mut found, mut above) = (0, width);
            while above - found > 1 {
                let middle = found + (above - found) / 2;
                if sum(middle) <= rank { found = middle } else { above = middle }
            }
            self.lows[border] |= (found as u128) << shift;
            self.below[border] = of(found).collect();
            if above < width {
                self.up_to[border] = of(above).collect();
            }
        }
        self.unknown = shift;
    }

    /// For each border, the keys of each device before it. All rounds have been taken up.
    pub fn positions(self) -> Vec<Vec<u32>> {
        let borders = self.ranks.into_iter().zip(self.below).zip(self.up_to);
        let position = |((rank, below), up_to): ((u64, Vec<u32>), Vec<u32>)| {
            let mut missing = rank - below.iter().copied().map(u64::from).sum::<u64>();
            let take = |(below, up_to): (u32, u32)| {
                let taken = missing.min(u64::from(up_to - below));
                missing -= taken;
                below + taken as u32
            };
            below.into_iter().zip(up_to).map(take).collect()
        };
        borders.map(position).collect()
    }
}

/// For each of `ranks`, the keys of each run that are among so many least ones of all runs, which
/// are in host memory and each sorted in ascending order.
///
/// A count is a binary search, so all take `ranks * runs * bits of a key` of them.
pub(in crate::gpu) fn cuts<K: GpuKey>(runs: &[&[K]], ranks: Vec<u64>) -> Vec<Vec<u32>> {
    let lengths: Vec<u32> = runs.iter().map(|run| run.len() as u32).collect();
    let search = Borders::new(ranks, &lengths, K::TYPE.bits);
    let mut search = Borders { round_bits: 1, ..search };
    while let Some((bits, shift)) = search.round() {
        let count = |run: &&[K]| -> Vec<u32> {
            let below =
                |rank: u128| run.partition_point(|key| K::TYPE.rank(key.to_word()) < rank) as u32;
            let candidates = |&low: &u128| (0..1 << bits).map(move |bit: u128| low | bit << shift);
            search.lows().iter().flat_map(candidates).map(below).collect()
        };
        let counts: Vec<Vec<u32>> = runs.iter().map(count).collect();
        search.narrow(&counts.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
    search.positions()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// The borders of sorted parts, with each device's counts taken by the host.
    fn borders(parts: &[Vec<u64>], ranks: &[u64], bits: u32) -> Vec<Vec<u32>> {
        let lengths: Vec<u32> = parts.iter().map(|part| part.len() as u32).collect();
        let mut search = Borders::new(ranks.to_vec(), &lengths, bits);
        while let Some((bits, shift)) = search.round() {
            let count = |part: &Vec<u64>| -> Vec<u32> {
                let candidates = search.lows().iter().flat_map(|&low| {
                    (0..1u128 << bits).map(move |candidate| low | candidate << shift)
                });
                let below = |word| part.partition_point(|&key| u128::from(key) < word) as u32;
                candidates.map(below).collect()
            };
            let counts: Vec<Vec<u32>> = parts.iter().map(count).collect();
            search.narrow(&counts.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
        search.positions()
    }

    /// The same by a stable sort of all keys.
    fn expected(parts: &[Vec<u64>], ranks: &[u64]) -> Vec<Vec<u32>> {
        let keys = parts.iter().enumerate();
        let mut all: Vec<(u64, usize)> =
            keys.flat_map(|(device, part)| part.iter().map(move |&key| (key, device))).collect();
        all.sort_by_key(|&(key, _)| key);
        let of = |rank: u64, device| {
            all[..rank as usize].iter().filter(|(_, of)| *of == device).count() as u32
        };
        ranks
            .iter()
            .map(|&rank| (0..parts.len()).map(|device| of(rank, device)).collect())
            .collect()
    }

    /// Words that differ from seed to seed.
    fn words(n: usize, seed: u64, mask: u64) -> Vec<u64> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state & mask
        };
        let mut words: Vec<u64> = (0..n).map(|_| next()).collect();
        words.sort_unstable();
        words
    }

    #[test]
    fn borders_are_those_of_a_stable_sort() {
        let most = u64::from(u32::MAX);
        let uniform = |n, seed| words(n, seed, most);
        for parts in [
            vec![uniform(100, 1), uniform(100, 2)],
            vec![uniform(37, 3), uniform(100, 4), uniform(0, 5), uniform(63, 6)],
            // Ties over all devices, and a constant.
            vec![words(90, 7, 3), words(10, 8, 3), words(50, 9, 3)],
            vec![vec![most; 20], vec![most; 40], vec![0; 30]],
            vec![vec![5; 50]; 3],
            // All of one device before all of the other.
            vec![(100..150).collect(), (0..100).collect()],
            // More devices than keys, and no keys.
            vec![vec![3], vec![], vec![1], vec![], vec![]],
            vec![vec![]; 3],
        ] {
            let n: u64 = parts.iter().map(|part| part.len() as u64).sum();
            let ranks: Vec<u64> = (0..=n).collect();
            assert_eq!(borders(&parts, &ranks, 32), expected(&parts, &ranks), "{parts:?}");
        }
    }

    #[test]
    fn keys_of_64_bits_are_told_apart_by_their_lowest_bit() {
        let high = 0xFEDC_BA98_7654_3210;
        let parts = [vec![high, high + 1, u64::MAX], vec![0, high, high + 1]];
        let ranks = [0, 1, 2, 3, 4, 5, 6];
        assert_eq!(borders(&parts, &ranks, 64), expected(&parts, &ranks));
    }

    #[test]
    fn without_borders_there_is_no_round() {
        assert_eq!(Borders::new(Vec::new(), &[7], 32).round(), None);
    }

    /// Checks the cuts of these runs, once sorted, at every rank: so many keys are before it, and
    /// none of them is greater than one behind it.
    fn check_cuts<K: GpuKey>(mut runs: Vec<Vec<K>>) -> Result<(), TestCaseError> {
        let rank = |key: &K| K::TYPE.rank(key.to_word());
        runs.iter_mut().for_each(|run| run.sort_by_key(rank));
        let n: usize = runs.iter().map(Vec::len).sum();
        let slices: Vec<&[K]> = runs.iter().map(Vec::as_slice).collect();
        let all = cuts(&slices, (0..=n as u64).collect());
        prop_assert_eq!(all.len(), n + 1);
        for (before, cut) in all.iter().enumerate() {
            prop_assert_eq!(cut.iter().map(|&count| count as usize).sum::<usize>(), before);
            let split = || runs.iter().zip(cut).map(|(run, &count)| run.split_at(count as usize));
            let greatest = split().flat_map(|(before, _)| before.last().map(rank)).max();
            let least = split().flat_map(|(_, behind)| behind.first().map(rank)).min();
            prop_assert!(greatest.is_none_or(|key| least.is_none_or(|least| key <= least)));
        }
        // Each piece begins where the one before it ends.
        for two in all.windows(2) {
            prop_assert!(two[0].iter().zip(&two[1]).all(|(begin, end)| begin <= end));
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn cuts_of_any_runs_have_the_least_keys_before_them(
            integers in vec(vec(any::<i32>(), 0..40), 0..6),
            wide in vec(vec(any::<u64>(), 0..20), 0..6),
            few in vec(vec(-1i64..2, 0..40), 0..6),
            floats in vec(vec(any::<f32>(), 0..40), 0..6),
        ) {
            check_cuts(integers)?;
            check_cuts(wide)?;
            check_cuts(few)?;
            check_cuts(floats)?;
        }
    }
}
