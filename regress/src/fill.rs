//! Measures commits that a history lacks.
//!
//! Where not all of them are wanted, the first are the ends and the middle; from then on,
//! as `git bisect` would, the middle of the gap that holds the largest step that may be
//! one, and where none may, of the widest gap. A commit that cannot be built or measured
//! is said and left out, and its neighbours stand for it.
//!
//! New commits are measured in a session with the measured commits on both sides of it, so
//! that the session can be aligned with those before. Each commit has a process a round,
//! in an order drawn anew: drift of the machine falls on all alike. Every process is in
//! the store when the next one begins; when interrupted, a history has what was measured
//! until then, and the same command goes on.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use suite::Case;
use suite::environment::now;

use crate::build::{Build, Builds};
use crate::commits::{Commit, short};
use crate::cores::{self, Cores};
use crate::history::{self, Curve, Search};
use crate::process;
use crate::schema::{Line, Measured, Store};
use crate::selection::Selection;
use crate::{digest, tell};

/// Chance of an alarm at which a gap is worth a look.
const SUSPICION: f64 = 0.2;

/// Subject and limits of a fill.
pub struct Plan<'a> {
    /// The commits, the oldest first.
    pub commits: &'a [Commit],
    /// The cases that are measured.
    pub cases: &'a Selection,
    /// Arguments of `cudamark sample` that choose and sample them.
    pub arguments: Vec<String>,
    /// Cores that processes are bound to.
    pub cores: &'a Cores,
    /// Commits to be filled in, at most.
    pub most: usize,
    /// Processes that each commit is to have; one with fewer is missing.
    pub processes: u32,
    /// Time in processes after which no round begins.
    pub budget: Duration,
    /// The least step of interest.
    pub least: f64,
    /// Where builds are kept.
    pub builds: &'a Builds,
    /// Command that builds a commit; cargo where there is none.
    pub build_command: Option<String>,
    /// This machine.
    pub machine_id: String,
}

/// A commit that can be measured.
struct Ready<'a> {
    commit: &'a Commit,
    build: Build,
    cases: Vec<Case>,
}

/// Says what is done.
fn say(line: &str) {
    tell(&format!("history: {line}"));
}

/// Fills commits in.
pub fn fill(plan: &Plan, store: &Store, interrupted: &AtomicBool) -> Result<()> {
    let mut room = plan.most;
    let mut spent = Duration::ZERO;
    let mut left_out = BTreeSet::new();
    while room > 0 {
        let processes = history::processes(store)?;
        let is_measured = |commit: &Commit| {
            let of_commit = processes.iter().filter(|process| process.commit == commit.id);
            let of_cases =
                of_commit.filter(|process| plan.cases.is_covered(process.cases.keys())).count();
            of_cases >= plan.processes as usize
        };
        let measured: Vec<bool> = plan.commits.iter().map(is_measured).collect();
        let search = Search { false_alarms: SUSPICION, least: plan.least };
        let wanted = |name: &_| plan.cases.takes(name);
        let suspects = history::curves(&processes, plan.commits, &wanted, search);
        let new = next(plan.commits, &measured, &left_out, &suspects, room);
        if new.is_empty() {
            break;
        }
        if spent >= plan.budget {
            say("the --budget is spent; the same command goes on");
            break;
        }
        let mut ready = Vec::new();
        for place in beside(&new, &measured) {
            match prepare(plan, &plan.commits[place], interrupted) {
                Ok(commit) => ready.push(commit),
                Err(_) if interrupted.load(Ordering::Relaxed) => bail!("interrupted"),
                Err(error) => {
                    say(&format!("{}: left out: {error:#}", plan.commits[place].short()));
                    left_out.insert(place);
                }
            }
        }
        room -= new.iter().filter(|place| !left_out.contains(place)).count();
        if new.iter().all(|place| left_out.contains(place)) {
            continue;
        }
        spent += session(plan, ready, spent, store, interrupted, &mut left_out)?;
    }
    Ok(())
}

/// The commits to be measured next; none where none is missing.
fn next(
    commits: &[Commit],
    measured: &[bool],
    left_out: &BTreeSet<usize>,
    suspects: &[Curve],
    room: usize,
) -> Vec<usize> {
    let missing: Vec<usize> =
        (0..commits.len()).filter(|place| !measured[*place] && !left_out.contains(place)).collect();
    let (Some(&first), Some(&last)) = (missing.first(), missing.last()) else {
        return Vec::new();
    };
    if missing.len() <= room {
        return missing;
    }
    let known: Vec<usize> = (0..commits.len()).filter(|place| measured[*place]).collect();
    let (Some(&oldest), Some(&newest)) = (known.first(), known.last()) else {
        let mut ends = vec![last, first, missing[missing.len() / 2]];
        ends.dedup();
        ends.truncate(room);
        return ends;
    };
    if last > newest {
        return vec![last];
    }
    if first < oldest {
        return vec![first];
    }
    let middle = |from: usize, to: usize| {
        let within: Vec<usize> =
            missing.iter().copied().filter(|place| (from..to).contains(place)).collect();
        within.get(within.len() / 2).copied()
    };
    let place = |id: &str| commits.iter().position(|commit| commit.id == id);
    let gaps = suspects.iter().flat_map(|curve| &curve.steps).filter_map(|step| {
        let middle = middle(place(&step.previous)?, place(&step.commit)?)?;
        Some((middle, step.ratio.ln().abs()))
    });
    let suspected = gaps.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(middle, _)| middle);
    let widest = known
        .windows(2)
        .filter(|pair| middle(pair[0], pair[1]).is_some())
        .max_by_key(|pair| pair[1] - pair[0])
        .and_then(|pair| middle(pair[0], pair[1]));
    suspected.or(widest).into_iter().collect()
}

/// The places of new commits with those of the nearest measured ones on both sides.
fn beside(new: &[usize], measured: &[bool]) -> BTreeSet<usize> {
    let mut places: BTreeSet<usize> = new.iter().copied().collect();
    for &place in new {
        places.extend((0..place).rev().find(|&before| measured[before]));
        places.extend((place..measured.len()).find(|&after| measured[after]));
    }
    places
}

fn prepare<'a>(plan: &Plan<'a>, commit: &'a Commit, interrupted: &AtomicBool) -> Result<Ready<'a>> {
    let build = match &plan.build_command {
        Some(command) => plan.builds.by_command(command, &commit.id, interrupted)?,
        None => plan.builds.revision(&commit.id, interrupted)?,
    };
    Ok(Ready { commit, cases: process::list(&build, &plan.arguments)?, build })
}

/// Measures commits by turns; returns how long their processes took.
fn session(
    plan: &Plan,
    mut ready: Vec<Ready>,
    spent: Duration,
    store: &Store,
    interrupted: &AtomicBool,
    left_out: &mut BTreeSet<usize>,
) -> Result<Duration> {
    let begin = Instant::now();
    let ids: Vec<&str> = ready.iter().map(|ready| ready.commit.short()).collect();
    say(&format!("measuring {} by turns", ids.join(", ")));
    let named = format!("{ids:?} {:?} {}", plan.arguments, now());
    let session = digest::of(named, 12);
    // The same cores for all commits, whatever cases each has. Builds have all of them.
    let cases = || Ok(ready.iter().flat_map(|of| of.cases.clone()).collect());
    let (cores, all) = (plan.cores.choose(cases)?, cores::allowed()?);
    cores::bind(&cores)?;
    let mut rng = fastrand::Rng::new();
    for round in 0..plan.processes {
        if round > 0 && spent + begin.elapsed() >= plan.budget {
            break;
        }
        rng.shuffle(&mut ready);
        let mut failed = None;
        for (index, commit) in ready.iter().enumerate() {
            let measured = measure(plan, commit, (&session, round), store);
            if interrupted.load(Ordering::Relaxed) {
                bail!("interrupted; what was measured is kept, and the same command goes on");
            }
            match measured {
                Ok(measured) => store.add_synced(&Line::Measured(Box::new(measured)))?,
                Err(error) => {
                    say(&format!("{}: left out: {error:#}", commit.commit.short()));
                    failed = Some(index);
                    break;
                }
            }
        }
        if let Some(index) = failed {
            let gone = ready.remove(index).commit;
            left_out.extend(plan.commits.iter().position(|commit| commit == gone));
        }
    }
    cores::bind(&all)?;
    for of in &ready {
        of.build.require_unchanged()?;
    }
    Ok(begin.elapsed())
}

/// One process of a commit.
fn measure(
    plan: &Plan,
    ready: &Ready,
    (session, round): (&str, u32),
    store: &Store,
) -> Result<Measured> {
    let commit = &ready.commit.id;
    let records = format!("records/{}/{}-{session}-{round}.jsonl", plan.machine_id, short(commit));
    let path = store.folder().join(&records);
    let sampled = process::sample(&ready.build, &plan.arguments, &path).inspect_err(|_| {
        // It may not have been made.
        let _ = fs::remove_file(&path);
    })?;
    if sampled.cases.is_empty() {
        bail!("it measured none of the cases");
    }
    let cases = sampled.cases.into_iter();
    Ok(Measured {
        machine_id: plan.machine_id.clone(),
        session: session.to_owned(),
        round,
        commit: commit.clone(),
        executable_sha256: ready.build.executable_sha256.clone(),
        ptx_sha256: sampled.ptx_sha256,
        unix_time_s: now(),
        records,
        cases: cases.filter_map(|(name, of)| Some((name, of.distribution()?))).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Step;

    fn commits(count: usize) -> Vec<Commit> {
        let commit = |index: usize| Commit { id: index.to_string(), ..Commit::default() };
        (0..count).map(commit).collect()
    }

    fn planned(
        measured: &[usize],
        left_out: &[usize],
        gap: Option<[usize; 2]>,
        room: usize,
    ) -> Vec<usize> {
        let commits = commits(17);
        let is_measured: Vec<bool> = (0..17).map(|place| measured.contains(&place)).collect();
        let step = gap.map(|[previous, commit]| Step {
            commit: commit.to_string(),
            previous: previous.to_string(),
            not_measured: Vec::new(),
            ratio: 1.5,
            interval: None,
            chance: 0.1,
            floor: None,
        });
        let curve = Curve {
            case: "cpu/u32-uniform/cpu-std/1/10".parse().unwrap(),
            points: Vec::new(),
            steps: step.into_iter().collect(),
            unlinked_sessions: 0,
            notes: Vec::new(),
        };
        let left_out = left_out.iter().copied().collect();
        next(&commits, &is_measured, &left_out, &[curve], room)
    }

    #[test]
    fn ends_and_middle_come_first_and_gaps_are_halved() {
        assert_eq!(planned(&[], &[], None, 5), [16, 0, 8]);
        assert_eq!(planned(&[], &[], None, 1), [16]);
        assert_eq!(planned(&[], &[16], None, 2), [15, 0]);
        // Newer, then older than all that is known.
        assert_eq!(planned(&[0, 8, 12], &[], None, 3), [16]);
        assert_eq!(planned(&[8, 16], &[], None, 3), [0]);
        // Into the gap of a step; where there is none, into the widest.
        assert_eq!(planned(&[0, 8, 16], &[], Some([8, 16]), 3), [12]);
        assert_eq!(planned(&[0, 8, 16], &[12], Some([8, 16]), 3), [13]);
        assert_eq!(planned(&[0, 6, 16], &[], None, 3), [11]);
        // A gap of which nothing is left gives way.
        assert_eq!(planned(&[0, 8, 10, 16], &[9], Some([8, 10]), 3), [4]);
        // All at once where there is room for all.
        assert_eq!(planned(&[0, 1, 16], &[], None, 14), (2..16).collect::<Vec<_>>());
        let all: Vec<usize> = (0..17).collect();
        assert!(planned(&all, &[], None, 3).is_empty());
    }

    #[test]
    fn what_is_new_is_measured_beside_its_neighbours() {
        let measured = [true, false, false, true, false, true];
        assert_eq!(beside(&[4], &measured), BTreeSet::from([3, 4, 5]));
        assert_eq!(beside(&[1, 2], &measured), BTreeSet::from([0, 1, 2, 3]));
        assert_eq!(beside(&[0], &[false, false]), BTreeSet::from([0]));
    }
}
