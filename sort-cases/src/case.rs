//! One sort: what goes in, in which order, and what has to come out.

use crate::KeyType;
use std::fmt;
use std::str::FromStr;

/// How the keys are drawn.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Distribution {
    /// All bits zero.
    Least,
    /// All bits one.
    Greatest,
    /// All the same.
    Equal,
    /// Ascending.
    Sorted,
    /// Descending.
    Reversed,
    /// The two least and the two greatest bit patterns.
    Extremes,
    /// Five values, so that long runs of one digit occur.
    Few,
    /// Stretches of one key, of a few keys to many, so that whole tiles have one digit and others
    /// where it changes.
    Stretches,
    /// All bit patterns alike.
    Uniform,
    /// The least and the greatest key of a type, signed or not, and their neighbours.
    Ends,
    /// One key but for another in the middle, all of whose bits differ.
    Lone,
}

impl Distribution {
    /// All of them, by name.
    pub const ALL: [(Self, &str); 11] = [
        (Self::Least, "least"),
        (Self::Greatest, "greatest"),
        (Self::Equal, "equal"),
        (Self::Sorted, "sorted"),
        (Self::Reversed, "reversed"),
        (Self::Extremes, "extremes"),
        (Self::Few, "few"),
        (Self::Stretches, "stretches"),
        (Self::Uniform, "uniform"),
        (Self::Ends, "ends"),
        (Self::Lone, "lone"),
    ];

    /// How many of them, from the first on, cases are drawn of. The others are for
    /// [`Case::about`]; another number changes every drawn case.
    pub const DRAWN: usize = 9;
}

/// The payload of each key in a sort.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Payload {
    /// Keys alone.
    None,
    /// The index of the key in the input, made by the sort: an argsort.
    Index,
    /// A value of this many bytes: 4, 8 or 16.
    Value(usize),
}

impl Payload {
    /// A value of 4 bytes if `paired`.
    pub fn of(paired: bool) -> Self {
        if paired { Self::Value(size_of::<u32>()) } else { Self::None }
    }

    /// All of them, by name.
    pub const ALL: [(Self, &str); 5] = [
        (Self::None, "none"),
        (Self::Index, "index"),
        (Self::Value(4), "value4"),
        (Self::Value(8), "value8"),
        (Self::Value(16), "value16"),
    ];
}

/// One sort. Prints as text that parses into it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Case {
    /// Type of the keys.
    pub key: KeyType,
    /// Keys.
    pub n: usize,
    /// Of the keys; a back end may draw more from it.
    pub seed: u64,
    /// Distribution of the keys.
    pub distribution: Distribution,
    /// Payload of each key.
    pub payload: Payload,
    /// The order is descending.
    pub descending: bool,
    /// Floating-point keys by value instead of in total order.
    pub numeric: bool,
    /// Which bits are sorted by, the first and one past the last: of [`KeyType::rank`].
    pub bits: (u32, u32),
    /// Where the keys and values lie, instead of into others.
    pub in_place: bool,
    /// Ranked by match only.
    pub match_ranking: bool,
}

/// The result of a back end.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sorted {
    /// Keys in order.
    pub keys: Vec<u128>,
    /// Indices or values; of a case without payload, none.
    pub payload: Vec<u128>,
}

impl Case {
    /// Uniform keys alone, sorted ascending by all their bits into another array.
    pub fn uniform(key: KeyType, n: usize, seed: u64) -> Self {
        Case {
            key,
            n,
            seed,
            distribution: Distribution::Uniform,
            payload: Payload::None,
            descending: false,
            numeric: false,
            bits: (0, key.bits),
            in_place: false,
            match_ranking: false,
        }
    }

    /// Cases of every distribution at 0 to 3 keys and at one key less than, as many as and one
    /// more than each of `edges`.
    pub fn about(key: KeyType, edges: &[usize]) -> impl Iterator<Item = Self> {
        let around = |&edge: &usize| [edge.saturating_sub(1), edge, edge + 1];
        let mut sizes: Vec<usize> = edges.iter().flat_map(around).chain(0..=3).collect();
        sizes.sort_unstable();
        sizes.dedup();
        let case = move |n, distribution| Case { distribution, ..Case::uniform(key, n, n as u64) };
        sizes.into_iter().flat_map(move |n| Distribution::ALL.map(|(of, _)| case(n, of)))
    }

    /// The keys' words.
    pub fn keys(&self) -> Vec<u128> {
        self.some_keys(self.key, self.n, 0)
    }

    /// `n` keys of another type, drawn in the same way, others for another `stream`.
    pub fn some_keys(&self, key: KeyType, n: usize, stream: u64) -> Vec<u128> {
        let mut state = self.seed ^ (stream << 32);
        let mut draw = || {
            let low = mix(&mut state) as u128;
            (low | (mix(&mut state) as u128) << 64) & key.ones()
        };
        let extremes = [0, 1, key.ones() - 1, key.ones()];
        let ends = [0, 1, key.sign() - 1, key.sign(), key.ones() - 1, key.ones()];
        let mut keys: Vec<u128> = match self.distribution {
            Distribution::Least => vec![0; n],
            Distribution::Greatest => vec![key.ones(); n],
            Distribution::Equal => vec![draw(); n],
            Distribution::Extremes => (0..n).map(|_| extremes[draw() as usize % 4]).collect(),
            Distribution::Ends => (0..n).map(|_| ends[draw() as usize % 6]).collect(),
            Distribution::Few => {
                let few = [draw(), draw(), draw(), draw(), draw()];
                (0..n).map(|_| few[draw() as usize % 5]).collect()
            }
            Distribution::Stretches => {
                let mut keys = Vec::with_capacity(n);
                while keys.len() < n {
                    let len = (1 << (draw() as usize % 17)).min(n - keys.len());
                    keys.resize(keys.len() + len, draw());
                }
                keys
            }
            Distribution::Lone => {
                let word = draw();
                (0..n).map(|i| if i == n / 2 { !word & key.ones() } else { word }).collect()
            }
            _ => (0..n).map(|_| draw()).collect(),
        };
        match self.distribution {
            Distribution::Sorted => keys.sort_by_key(|&word| key.rank(word)),
            Distribution::Reversed => keys.sort_by_key(|&word| !key.rank(word)),
            _ => {}
        }
        keys
    }

    /// The words of the values that go in, if the payload is one.
    pub fn values(&self) -> Vec<u128> {
        let Payload::Value(bytes) = self.payload else {
            return Vec::new();
        };
        let value = |i: usize| {
            let mut state = i as u64;
            let (low, high) = (mix(&mut state) as u128, mix(&mut state) as u128);
            (low | high << 64) & (u128::MAX >> (128 - 8 * bytes))
        };
        (0..self.n).map(value).collect()
    }

    /// A number that ascends with the keys in the order of the case.
    fn rank(&self, word: u128) -> u128 {
        self.key.rank_by(word, self.numeric, self.bits, self.descending)
    }

    /// Which index of the input comes first, which next, in the stable order.
    pub fn expected(&self, keys: &[u128]) -> Vec<usize> {
        let mut indices: Vec<usize> = (0..keys.len()).collect();
        indices.sort_by_cached_key(|&i| self.rank(keys[i]));
        indices
    }

    /// The result of the naive sort.
    pub fn sorted(&self) -> Sorted {
        let (keys, values) = (self.keys(), self.values());
        let expected = self.expected(&keys);
        Sorted {
            payload: match self.payload {
                Payload::None => Vec::new(),
                Payload::Index => expected.iter().map(|&i| i as u128).collect(),
                Payload::Value(_) => expected.iter().map(|&i| values[i]).collect(),
            },
            keys: expected.into_iter().map(|i| keys[i]).collect(),
        }
    }

    /// Compares the result of a back end with that of the naive sort.
    ///
    /// # Errors
    /// The first place that is wrong, in words.
    pub fn check(&self, found: &Sorted) -> Result<(), String> {
        self.sorted().check(found)
    }
}

impl Sorted {
    /// Compares the result of a back end with this, the right one.
    ///
    /// # Errors
    /// The first place that is wrong, in words.
    pub fn check(&self, found: &Sorted) -> Result<(), String> {
        same("key", &found.keys, &self.keys)?;
        same("value", &found.payload, &self.payload)
    }
}

fn same(what: &str, found: &[u128], expected: &[u128]) -> Result<(), String> {
    if found.len() != expected.len() {
        let (found, expected) = (found.len(), expected.len());
        return Err(format!("{found} {what}s came out, and not {expected}"));
    }
    match (0..found.len()).find(|&i| found[i] != expected[i]) {
        None => Ok(()),
        Some(i) => {
            let (found, expected) = (found[i], expected[i]);
            Err(format!("{what} {i} is {found:#x}, and not {expected:#x}"))
        }
    }
}

/// SplitMix64.
fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A flag of a case: its name, and where it is.
type Flag = (&'static str, fn(&mut Case) -> &mut bool);

const FLAGS: [Flag; 4] = [
    ("descending", |case| &mut case.descending),
    ("numeric", |case| &mut case.numeric),
    ("in-place", |case| &mut case.in_place),
    ("match-ranking", |case| &mut case.match_ranking),
];

fn name_of<T: PartialEq>(all: &[(T, &'static str)], value: &T) -> &'static str {
    let found = all.iter().find(|(one, _)| one == value);
    found.map_or("", |(_, name)| name)
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(
            f,
            "{},n={},seed={},{},payload={},bits={}..{}",
            self.key.name,
            self.n,
            self.seed,
            name_of(&Distribution::ALL, &self.distribution),
            name_of(&Payload::ALL, &self.payload),
            self.bits.0,
            self.bits.1,
        )?;
        let mut case = *self;
        for (name, flag) in FLAGS {
            if *flag(&mut case) {
                write!(f, ",{name}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).ok_or_else(|| format!("`{text}` is not a case as a failure prints it"))
    }
}

fn parse(text: &str) -> Option<Case> {
    let mut parts = text.split(',').map(str::trim);
    let name = parts.next()?;
    let key = *KeyType::ALL.iter().find(|key| key.name == name)?;
    let mut case = Case {
        key,
        n: parts.next()?.strip_prefix("n=")?.parse().ok()?,
        seed: parts.next()?.strip_prefix("seed=")?.parse().ok()?,
        distribution: value_of(&Distribution::ALL, parts.next()?)?,
        payload: value_of(&Payload::ALL, parts.next()?.strip_prefix("payload=")?)?,
        descending: false,
        numeric: false,
        bits: {
            let (begin, end) = parts.next()?.strip_prefix("bits=")?.split_once("..")?;
            (begin.parse().ok()?, end.parse().ok()?)
        },
        in_place: false,
        match_ranking: false,
    };
    for part in parts {
        let (_, flag) = FLAGS.iter().find(|(name, _)| *name == part)?;
        *flag(&mut case) = true;
    }
    let bits_are_right = case.bits.0 < case.bits.1 && case.bits.1 <= key.bits;
    (bits_are_right && (key.is_float() || !case.numeric)).then_some(case)
}

fn value_of<T: Copy>(all: &[(T, &str)], name: &str) -> Option<T> {
    let found = all.iter().find(|(_, known)| *known == name);
    found.map(|&(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "f32,n=4,seed=7,few,payload=value8,bits=0..32,descending,numeric,in-place";

    #[test]
    fn text_parses_into_the_case() {
        let case: Case = TEXT.parse().unwrap();
        assert_eq!(case.to_string(), TEXT);
        for wrong in ["", "f33,n=4", &TEXT.replace("32,d", "33,d"), &TEXT.replace("f32", "u32")] {
            assert!(wrong.parse::<Case>().unwrap_err().contains(wrong));
        }
    }

    #[test]
    fn what_is_wrong_is_found() {
        let mut case: Case = TEXT.parse().unwrap();
        case.distribution = Distribution::Extremes;
        let right = case.sorted();
        assert_eq!(case.check(&right), Ok(()));
        let mut wrong = right.clone();
        wrong.payload.swap(1, 2);
        assert!(case.check(&wrong).unwrap_err().starts_with("value 1 is"));
        let mut wrong = right.clone();
        wrong.keys[3] ^= 1;
        assert!(case.check(&wrong).unwrap_err().starts_with("key 3 is"));
        wrong.keys.pop();
        assert_eq!(case.check(&wrong).unwrap_err(), "3 keys came out, and not 4");
    }

    #[test]
    fn cases_lie_about_the_edges_and_none_twice() {
        let all: Vec<Case> = Case::about(KeyType::I32, &[4, 64]).collect();
        let mut sizes: Vec<usize> = all.iter().map(|case| case.keys().len()).collect();
        sizes.dedup();
        assert_eq!(sizes, [0, 1, 2, 3, 4, 5, 63, 64, 65]);
        assert_eq!(all.len(), sizes.len() * Distribution::ALL.len());
        let lone = all.iter().find(|case| case.distribution == Distribution::Lone && case.n == 5);
        let keys = lone.unwrap().keys();
        assert_eq!(
            keys.iter().map(|&key| key == keys[0]).collect::<Vec<_>>(),
            [true, true, false, true, true]
        );
        assert_eq!(keys[2], !keys[0] & 0xffff_ffff);
    }

    #[test]
    fn a_range_of_bits_is_sorted_stably() {
        let text = "u8,n=9,seed=1,uniform,payload=index,bits=2..4";
        let case: Case = text.parse().unwrap();
        let keys = case.keys();
        let order = case.expected(&keys);
        let digit = |i: usize| keys[i] >> 2 & 3;
        assert!(order.is_sorted_by_key(|&i| (digit(i), i)));
    }
}
