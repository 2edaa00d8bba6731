//! Comparisons of which the answer is known: how far verdicts can be trusted here.
//!
//! An executable is compared with itself: whatever is called a change is a false alarm
//! (an *A/A comparison*). And it is compared with itself with a slowdown planted in one
//! engine (`suite::slowdown`): that engine's cases must be called slower. Both take the
//! whole way of `cudamark compare`, with real processes, on the machine as it is. Kinds of
//! comparisons take turns, so that a noisy hour falls on all of them.
//!
//! Each comparison is a line of the machine's calibration, beside its store, with the
//! figures of all its processes. Trials of the same settings are not
//! done again: a calibration that was cut short goes on.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use suite::environment::now;

use crate::build::Build;
use crate::comparison::{self, Outcome};
use crate::schema::{Line, Settings, Store, Trial, TrialCase};
use crate::stats::{self, Round, Verdict};

/// Confidence of the interval of a rate.
pub const CONFIDENCE: f64 = 0.95;

impl Trial {
    fn changed(&self, planted: bool) -> impl Iterator<Item = bool> {
        let engine = &self.settings.engine;
        let cases = self.cases.iter();
        let chosen = cases.filter(move |case| planted == (case.case.engine == *engine));
        chosen.map(|case| matches!(case.estimate.verdict, Verdict::Slower | Verdict::Faster))
    }

    /// True if a case in which nothing was planted is called slower or faster.
    pub fn has_false_alarm(&self) -> bool {
        let unplanted = self.changed(false).any(|alarm| alarm);
        unplanted || (self.percent == 0.0 && self.changed(true).any(|alarm| alarm))
    }

    /// True if all cases in which it was planted are called slower.
    pub fn is_detected(&self) -> bool {
        let mut cases = self.cases.iter();
        let slower = |case: &TrialCase| case.estimate.verdict == Verdict::Slower;
        self.percent > 0.0
            && cases.all(|case| case.case.engine != self.settings.engine || slower(case))
    }

    /// The least difference that would have been seen in every case.
    fn visible(&self) -> Option<f64> {
        let cases = self.cases.iter();
        let visible: Option<Vec<f64>> = cases.map(|case| case.estimate.visible()).collect();
        visible?.into_iter().reduce(f64::max)
    }
}

/// Trials of one slowdown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Planted {
    /// The slowdown in percent.
    pub percent: f64,
    /// Comparisons.
    pub trials: usize,
    /// In how many of them all cases of the engine were called slower.
    pub detected: usize,
    /// In how many of them a case of another engine was called slower or faster.
    pub false_alarms: usize,
}

/// Summary of the trials of a machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Comparisons of the executable with itself.
    pub aa_comparisons: usize,
    /// Those in which any case was called slower or faster.
    pub false_alarms: usize,
    /// Interval of the rate of false alarms, exact, of the confidence [`CONFIDENCE`].
    pub false_alarm_interval: [f64; 2],
    /// By slowdown, the least first.
    pub planted: Vec<Planted>,
    /// The least difference (0.05 for 5 %) that was visible in every case, in the middle
    /// one of the comparisons.
    pub visible_median: Option<f64>,
    /// The same, in nine of ten of them.
    pub visible_in_nine_of_ten: Option<f64>,
    /// When the last one ended: seconds since 1970-01-01 00:00 UTC.
    pub unix_time_s: f64,
    /// Seconds that all of them took.
    pub seconds: f64,
    /// Their settings.
    pub settings: Settings,
}

impl Summary {
    /// Of `trials` with equal settings; none without trials.
    pub fn of(trials: &[Trial]) -> Option<Self> {
        let last = trials.last()?;
        let (aa, planted): (Vec<&Trial>, Vec<&Trial>) =
            trials.iter().partition(|trial| trial.percent == 0.0);
        let alarms = |trials: &[&Trial]| trials.iter().filter(|one| one.has_false_alarm()).count();
        let mut percents: Vec<f64> = planted.iter().map(|trial| trial.percent).collect();
        percents.sort_by(f64::total_cmp);
        percents.dedup();
        let of_percent = |percent| {
            let all = planted.iter().copied();
            let trials: Vec<&Trial> = all.filter(|trial| trial.percent == percent).collect();
            Planted {
                percent,
                trials: trials.len(),
                detected: trials.iter().filter(|trial| trial.is_detected()).count(),
                false_alarms: alarms(&trials),
            }
        };
        // A comparison that could see nothing at all saw the least of all.
        let visible = trials.iter().map(Trial::visible);
        let mut visible: Vec<f64> = visible.map(|one| one.unwrap_or(f64::INFINITY)).collect();
        visible.sort_by(f64::total_cmp);
        let part = |part: f64| {
            let place = (part * visible.len() as f64).ceil() as usize;
            let least = visible.get(place.saturating_sub(1)).copied();
            least.filter(|visible| visible.is_finite())
        };
        Some(Self {
            aa_comparisons: aa.len(),
            false_alarms: alarms(&aa),
            false_alarm_interval: stats::rate_interval(alarms(&aa), aa.len(), CONFIDENCE),
            planted: percents.into_iter().map(of_percent).collect(),
            visible_median: part(0.5),
            visible_in_nine_of_ten: part(0.9),
            unix_time_s: last.unix_time_s,
            seconds: trials.iter().map(|trial| trial.seconds).sum(),
            settings: last.settings.clone(),
        })
    }

    /// In sentences.
    pub fn text(&self) -> String {
        let [low, high] = self.false_alarm_interval.map(|rate| rate * 100.0);
        let mut text = format!(
            "calibration of this machine: {} of {} comparisons of a build with itself raised a \
             false alarm (95 % interval {low:.1} to {high:.1} %)",
            self.false_alarms, self.aa_comparisons
        );
        for planted in &self.planted {
            text += &format!(
                "; a planted {} % was found in {} of {}",
                planted.percent, planted.detected, planted.trials
            );
        }
        match self.visible_in_nine_of_ten {
            Some(visible) => {
                let percent = visible * 100.0;
                text + &format!("; in nine of ten, {percent:.1} % or less would be seen\n")
            }
            None => text + "; more than one in ten could see nothing\n",
        }
    }
}

/// The trials of a machine with the settings of the last one.
pub fn of_machine(folder: &Path, machine_id: &str) -> Result<Vec<Trial>> {
    let all = trials(&kept(folder, machine_id))?;
    let Some(last) = all.last().map(|trial| trial.settings.clone()) else {
        return Ok(Vec::new());
    };
    Ok(with_settings(all, &last))
}

fn kept(folder: &Path, machine_id: &str) -> Store {
    Store::of_machine(&folder.join("calibration"), machine_id)
}

fn trials(store: &Store) -> Result<Vec<Trial>> {
    let lines = store.read()?.into_iter();
    let trial = |line| match line {
        Line::Trial(trial) => Some(*trial),
        _ => None,
    };
    Ok(lines.filter_map(trial).collect())
}

fn with_settings(mut trials: Vec<Trial>, settings: &Settings) -> Vec<Trial> {
    trials.retain(|trial| trial.settings == *settings);
    trials
}

/// Plan of a calibration.
#[derive(Debug)]
pub struct Plan {
    /// Settings of its trials.
    pub settings: Settings,
    /// How many A/A comparisons.
    pub comparisons: u32,
    /// Slowdowns in percent.
    pub planted: Vec<f64>,
    /// How many comparisons each.
    pub trials: u32,
}

impl Plan {
    /// Slowdown and index of each comparison: every kind spread over the whole.
    fn schedule(&self) -> Vec<(f64, u32)> {
        let aa = std::iter::once((0.0, self.comparisons));
        let planted = self.planted.iter().map(|&percent| (percent, self.trials));
        let mut all: Vec<(f64, f64, u32)> = aa
            .chain(planted)
            .flat_map(|(percent, count)| {
                let at = move |index| (f64::from(index) + 0.5) / f64::from(count);
                (0..count).map(move |index| (at(index), percent, index))
            })
            .collect();
        all.sort_by(|one, other| one.0.total_cmp(&other.0));
        all.into_iter().map(|(_, percent, index)| (percent, index)).collect()
    }
}

/// Runs what is missing of a calibration of `build`; returns all its trials. `say` is told
/// of each.
pub fn run(
    plan: &Plan,
    build: &Build,
    folder: &Path,
    machine_id: &str,
    interrupted: &AtomicBool,
    say: &mut dyn FnMut(&Trial, &str),
) -> Result<Vec<Trial>> {
    let store = kept(folder, machine_id);
    let _alone = comparison::alone(&store, "calibration")?;
    let mut done = with_settings(trials(&store)?, &plan.settings);
    let schedule = plan.schedule();
    let is_planned = |trial: &Trial| schedule.contains(&(trial.percent, trial.index));
    done.retain(is_planned);
    for &(percent, index) in &schedule {
        if done.iter().any(|trial| (trial.percent, trial.index) == (percent, index)) {
            continue;
        }
        let trial = trial(plan, build, (percent, index), &store, interrupted)?;
        store.add_synced(&Line::Trial(Box::new(trial.clone())))?;
        let place = format!("{} of {}", done.len() + 1, schedule.len());
        say(&trial, &place);
        done.push(trial);
    }
    Ok(done)
}

/// One comparison, in a store of its own that goes when it has ended.
fn trial(
    plan: &Plan,
    build: &Build,
    (percent, index): (f64, u32),
    store: &Store,
    interrupted: &AtomicBool,
) -> Result<Trial> {
    let settings = &plan.settings;
    let planted = match percent > 0.0 {
        true => vec!["--slow-down".to_owned(), format!("{}={percent}%", settings.engine)],
        false => Vec::new(),
    };
    let comparison = comparison::Plan {
        builds: [build.clone(), build.clone()],
        arguments: settings.arguments.clone(),
        planted,
        cores: settings.cores.clone(),
        detect: settings.detect,
        budget: Duration::from_secs_f64(settings.budget_s),
    };
    let processes = Store::of_machine(&store.path().with_extension("running"), "processes");
    let begin = Instant::now();
    let outcome = comparison::run(&comparison, &processes, interrupted)?;
    let seconds = begin.elapsed().as_secs_f64();
    remove(processes.path())?;
    Ok(Trial {
        settings: settings.clone(),
        percent,
        index,
        unix_time_s: now(),
        seconds,
        disturbed: outcome.rows.first().map(|row| row.disturbed).unwrap_or_default(),
        cases: cases(&outcome),
    })
}

fn cases(outcome: &Outcome) -> Vec<TrialCase> {
    let nanoseconds = |seconds: f64| (seconds * 1e9).round() as u64;
    let flat = |round: Round| {
        let ([first, second], [third, fourth]) = (round.base, round.head);
        [first, second, third, fourth].map(nanoseconds)
    };
    let case = |row: &comparison::Row| TrialCase {
        case: row.case.clone(),
        estimate: row.estimate,
        rounds_ns: outcome.rounds(&row.case).into_iter().map(flat).collect(),
    };
    outcome.rows.iter().map(case).collect()
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Disturbed;
    use crate::stats::Estimate;

    fn settings() -> Settings {
        Settings {
            executable_sha256: "ab".to_owned(),
            commit: None,
            engine: "cpu-std".to_owned(),
            arguments: vec!["--samples".to_owned(), "3".to_owned()],
            cores: vec![1],
            detect: 0.05,
            budget_s: 10.0,
        }
    }

    /// A trial with a case of `cpu-std` and one of `cpu-radix`.
    fn trial(percent: f64, index: u32, verdicts: [Verdict; 2]) -> Trial {
        let case = |name: &str, verdict| TrialCase {
            case: name.parse().unwrap(),
            estimate: Estimate {
                verdict,
                ratio: Some(1.0),
                interval: Some([0.99, 1.01]),
                floor: Some(1.01),
                rounds: 1,
            },
            rounds_ns: vec![[5, 6, 7, 8]],
        };
        Trial {
            settings: settings(),
            percent,
            index,
            unix_time_s: 1.8e9,
            seconds: 2.0,
            disturbed: Disturbed::default(),
            cases: vec![
                case("cpu/u32-uniform/cpu-std/1/9", verdicts[0]),
                case("cpu/u32-uniform/cpu-radix/1/9", verdicts[1]),
            ],
        }
    }

    #[test]
    fn alarms_and_detections_are_told_apart() {
        use Verdict::{Faster, Same, Slower, Unsure};
        let trials = [
            trial(0.0, 0, [Same, Unsure]),
            trial(0.0, 1, [Same, Faster]),
            trial(0.0, 2, [Slower, Same]),
            trial(5.0, 0, [Slower, Same]),
            trial(5.0, 1, [Unsure, Slower]),
            trial(20.0, 0, [Slower, Unsure]),
        ];
        let summary = Summary::of(&trials).unwrap();
        assert_eq!((summary.aa_comparisons, summary.false_alarms), (3, 2));
        let planted: Vec<_> = summary.planted.iter().collect();
        assert_eq!(
            planted
                .iter()
                .map(|one| (one.percent, one.trials, one.detected, one.false_alarms))
                .collect::<Vec<_>>(),
            [(5.0, 2, 1, 1), (20.0, 1, 1, 0)]
        );
        let visible = summary.visible_in_nine_of_ten.unwrap();
        assert!((visible - 0.0202).abs() < 1e-3, "{visible}");
        let text = summary.text();
        assert!(text.contains("2 of 3 comparisons"), "{text}");
        assert!(text.contains("a planted 5 % was found in 1 of 2"), "{text}");
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn kinds_take_turns_and_each_comes_as_often_as_wanted() {
        let plan =
            Plan { settings: settings(), comparisons: 6, planted: vec![5.0, 20.0], trials: 2 };
        let schedule = plan.schedule();
        assert_eq!(schedule.len(), 10);
        let first_half = &schedule[..5];
        assert_eq!(first_half.iter().filter(|(percent, _)| *percent == 0.0).count(), 3);
        for wanted in [(0.0, 5), (5.0, 1), (20.0, 0)] {
            assert!(schedule.contains(&wanted), "{schedule:?}");
        }
    }

    #[test]
    fn a_trial_is_read_as_it_was_written_and_other_settings_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let store = kept(folder.path(), "m");
        let mut other = trial(0.0, 0, [Verdict::Same; 2]);
        other.settings.detect = 0.1;
        let last = trial(5.0, 0, [Verdict::Slower; 2]);
        for trial in [&other, &last] {
            store.add_synced(&Line::Trial(Box::new(trial.clone()))).unwrap();
        }
        assert_eq!(of_machine(folder.path(), "m").unwrap(), [last]);
        assert!(of_machine(folder.path(), "another").unwrap().is_empty());
    }
}
