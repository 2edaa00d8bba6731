//! The inputs on which sorts go wrong, in one list for every engine: sizes about the
//! edges of what an engine cuts its input into, in shapes that fill one digit, none, or
//! all of them. What the kernels by themselves are tested on is the list of
//! `sort-cases`.

use crate::key::Key;
use crate::workload::{Distribution, Workload};

/// An input with a name that says what it is.
#[derive(Clone, Debug)]
pub struct EdgeInput<K> {
    /// Shape and size: `sorted, 4097 keys`.
    pub name: String,
    /// The keys.
    pub keys: Vec<K>,
}

/// How the keys of a case lie. Not every distribution: these differ in what they do to
/// a sort of so few keys.
const SHAPES: [(&str, Shape); 10] = [
    ("uniform", Shape::Drawn(Distribution::Uniform)),
    ("classic", Shape::Drawn(Distribution::Classic)),
    ("constant", Shape::Drawn(Distribution::Constant)),
    ("sorted", Shape::Drawn(Distribution::Sorted)),
    ("reversed", Shape::Drawn(Distribution::Reversed)),
    ("special", Shape::Drawn(Distribution::Special)),
    ("one digit", Shape::Drawn(Distribution::OneDigit)),
    ("all least", Shape::Least),
    ("all greatest", Shape::Greatest),
    ("extremes", Shape::Extremes),
];

#[derive(Clone, Copy)]
enum Shape {
    Drawn(Distribution),
    Least,
    Greatest,
    /// The two least and the two greatest keys by turns, the greatest first.
    Extremes,
}

/// Every shape at 0, 1, 2 and 3 keys and at one key less than, as many as and one
/// more than each of `edges`. Made as they are asked for.
pub fn edge_inputs<K: Key>(edges: &[usize]) -> impl Iterator<Item = EdgeInput<K>> {
    let around = |&edge: &usize| [edge.saturating_sub(1), edge, edge + 1];
    let mut sizes: Vec<usize> = edges.iter().flat_map(around).chain(0..=3).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes.into_iter().flat_map(|n| SHAPES.map(|(name, shape)| (n, name, shape))).map(
        |(n, name, shape)| EdgeInput { name: format!("{name}, {n} keys"), keys: keys(n, shape) },
    )
}

fn keys<K: Key>(n: usize, shape: Shape) -> Vec<K> {
    match shape {
        Shape::Drawn(distribution) => {
            Workload { n, distribution, seed: n as u64 }.generate().expect("cases are small")
        }
        Shape::Least => vec![K::least(); n],
        Shape::Greatest => vec![K::greatest(); n],
        Shape::Extremes => {
            let keys = [u64::MAX, 0, u64::MAX - 1, 1].map(K::from_rank);
            keys.into_iter().cycle().take(n).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_lie_about_the_edges_and_none_twice() {
        let all: Vec<EdgeInput<i32>> = edge_inputs(&[4, 64]).collect();
        let mut sizes: Vec<usize> = all.iter().map(|case| case.keys.len()).collect();
        sizes.dedup();
        assert_eq!(sizes, [0, 1, 2, 3, 4, 5, 63, 64, 65]);
        assert_eq!(all.len(), sizes.len() * SHAPES.len());
        assert!(all.iter().any(|case| case.name == "extremes, 65 keys"));
    }

    #[test]
    fn extremes_hold_the_ends_of_the_type() {
        let case = edge_inputs::<i32>(&[]).find(|case| case.name == "extremes, 3 keys");
        assert_eq!(case.unwrap().keys, [i32::MAX, i32::MIN, i32::MAX - 1]);
    }
}
