//! Rounds and sessions of processes, moved against each other.
//!
//! - Within a session, each round is moved by the median of how far its processes are from
//!   their commits' medians. Commits are taken out first, because where half of them are
//!   slower, the median of a round lies between two levels.
//! - Sessions are moved by the median of how far the commits are apart that they have in
//!   common with those that are aligned already, the largest session first.

use std::collections::BTreeMap;

use crate::change_points::Observation;
use crate::stats::median;

/// Aligns rounds and sessions; returns how many sessions have no commit in common with
/// the others.
pub(crate) fn align(observations: &mut [Observation]) -> usize {
    let mut sessions: BTreeMap<usize, Vec<Observation>> = BTreeMap::new();
    for one in observations.iter() {
        sessions.entry(one.session).or_default().push(*one);
    }
    let mut moved: BTreeMap<usize, f64> = BTreeMap::new();
    let mut left: Vec<(usize, BTreeMap<usize, f64>)> = Vec::new();
    for (session, mut of_session) in sessions {
        let before = medians_by(&of_session, |one| one.commit);
        for one in &mut of_session {
            one.value -= before[&one.commit];
        }
        let rounds = medians_by(&of_session, |one| one.round);
        for one in &mut of_session {
            one.value += before[&one.commit] - rounds[&one.round];
        }
        moved.extend(rounds);
        left.push((session, medians_by(&of_session, |one| one.commit)));
    }
    let (session_moved, unlinked) = link(left);
    for one in observations {
        one.value -= moved[&one.round] + session_moved[&one.session];
    }
    unlinked
}

/// By how much each session is to be moved, given its commits' medians; and how many
/// stay where they are.
fn link(mut left: Vec<(usize, BTreeMap<usize, f64>)>) -> (BTreeMap<usize, f64>, usize) {
    let mut aligned: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    let mut moved = BTreeMap::new();
    let mut unlinked = 0;
    while !left.is_empty() {
        let common = |medians: &BTreeMap<usize, f64>| {
            let known = |commit: &&usize| aligned.contains_key(*commit);
            medians.keys().filter(known).count()
        };
        let best = (0..left.len())
            .rev()
            .max_by_key(|&index| (common(&left[index].1), left[index].1.len()));
        let (session, medians) = left.remove(best.unwrap_or(0));
        let apart: Vec<f64> = medians
            .iter()
            .filter_map(|(commit, value)| Some(value - median(aligned.get(commit)?)?))
            .collect();
        unlinked += usize::from(apart.is_empty() && !aligned.is_empty());
        let apart = median(&apart).unwrap_or(0.0);
        for (commit, value) in medians {
            aligned.entry(commit).or_default().push(value - apart);
        }
        moved.insert(session, apart);
    }
    (moved, unlinked)
}

/// The median of values by what they have in common.
fn medians_by(
    observations: &[Observation],
    key: fn(&Observation) -> usize,
) -> BTreeMap<usize, f64> {
    let mut values: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for one in observations {
        values.entry(key(one)).or_default().push(one.value);
    }
    let medians = values.into_iter();
    medians.filter_map(|(key, values)| Some((key, median(&values)?))).collect()
}
