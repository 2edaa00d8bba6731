//! Draws: SplitMix64, by index and as a stream.

use std::convert::Infallible;

use rand::TryRng;

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// The `index`-th output of SplitMix64 seeded with `seed`.
pub(crate) fn draw(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(GAMMA.wrapping_mul(index.wrapping_add(1)));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The `index`-th draw, below `limit`: its high word times `limit`, which is uniform but
/// for `limit` / 2^64.
pub(super) fn draw_below(limit: u64, seed: u64, index: u64) -> u64 {
    ((u128::from(draw(seed, index)) * u128::from(limit)) >> 64) as u64
}

/// A seed for draws of another kind than those of `seed` itself.
pub(crate) fn seed_of_values(seed: u64) -> u64 {
    draw(!seed, 0)
}

/// The outputs of SplitMix64 one after another, for a sampler that takes as many as it
/// needs.
pub(super) struct Draws {
    seed: u64,
    next: u64,
}

impl Draws {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, next: 0 }
    }
}

impl TryRng for Draws {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.try_next_u64()? >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.next += 1;
        Ok(draw(self.seed, self.next - 1))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let word = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    /// Published test values: the first outputs for seed 1234567.
    const FIRST: [u64; 3] =
        [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];

    #[test]
    fn draws_are_those_of_splitmix64() {
        let by_index = [0, 1, 2].map(|index| draw(1_234_567, index));
        assert_eq!(by_index, FIRST);
        let mut draws = Draws::new(1_234_567);
        assert_eq!([(); 3].map(|()| draws.next_u64()), FIRST);
    }

    #[test]
    fn bytes_and_halves_are_parts_of_the_same_draws() {
        let mut bytes = [0; 11];
        Draws::new(1_234_567).fill_bytes(&mut bytes);
        assert_eq!(bytes[..8], FIRST[0].to_le_bytes());
        assert_eq!(bytes[8..], FIRST[1].to_le_bytes()[..3]);
        let half = Draws::new(1_234_567).next_u32();
        assert_eq!(u64::from(half), FIRST[0] >> 32);
    }

    #[test]
    fn draws_below_a_limit_reach_all_of_it() {
        let mut seen = [false; 7];
        (0..100).for_each(|index| seen[draw_below(7, 3, index) as usize] = true);
        assert_eq!(seen, [true; 7]);
    }
}
