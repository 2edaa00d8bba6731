//! Other work of the machine while a process ran.
//!
//! The verdict does not rest on this: noise of any kind is judged by the blocks
//! themselves (`stats`). It is for who reads a verdict that is `unsure`: whether other
//! programs had the cores, the hypervisor gave them to others, or heat or power lowered
//! the clock. A figure that the system lacks is `None`.

use std::fs;
use std::time::Instant;

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use procfs::{CurrentSI, KernelStats};
use serde::{Deserialize, Serialize};

/// The part of a process's time from which on others disturb it.
const SHARED: f64 = 0.10;
/// The part from which on the hypervisor does.
const STOLEN: f64 = 0.01;
/// The part of the highest clock seen below which a clock is low.
const SLOW_CLOCK: f64 = 0.9;

/// Observations while one process ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Disturbance {
    /// From its start to its end.
    pub wall_s: f64,
    /// Time of its cores that others had, over all cores.
    pub others_s: Option<f64>,
    /// Time of its cores that the hypervisor gave to others.
    pub stolen_s: Option<f64>,
    /// How often it was made to wait though it could run.
    pub preemptions: Option<u64>,
    /// The lowest clock of its cores right after.
    pub clock_hz: Option<f64>,
    /// How often its cores were throttled for heat.
    pub throttlings: Option<u64>,
}

/// How many processes of a comparison were disturbed, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disturbed {
    /// All processes that were watched.
    pub processes: usize,
    /// Others had 10 % of a core's time or more.
    pub shared: usize,
    /// The hypervisor took 1 % of it or more.
    pub stolen: usize,
    /// A core was throttled, or its clock under 90 % of the highest seen.
    pub slowed: usize,
}

impl Disturbed {
    /// Counts those among `all`.
    pub fn among<'a>(all: impl Iterator<Item = &'a Disturbance> + Clone) -> Self {
        let clocks = all.clone().filter_map(|one| one.clock_hz);
        let highest = clocks.fold(0.0, f64::max);
        let mut counts = Self::default();
        for one in all {
            let part = |seconds: Option<f64>| seconds.unwrap_or(0.0) / one.wall_s.max(1e-9);
            let low = one.clock_hz.is_some_and(|clock| clock < SLOW_CLOCK * highest);
            let throttled = one.throttlings.is_some_and(|times| times > 0);
            counts.processes += 1;
            counts.shared += usize::from(part(one.others_s) >= SHARED);
            counts.stolen += usize::from(part(one.stolen_s) >= STOLEN);
            counts.slowed += usize::from(low || throttled);
        }
        counts
    }

    /// Notes, a sentence each.
    pub fn notes(&self) -> Vec<String> {
        let said = [
            (self.shared, "shared their cores"),
            (self.stolen, "lost time to the hypervisor"),
            (self.slowed, "ran at a low clock"),
        ];
        let some = said.into_iter().filter(|(count, _)| *count > 0);
        some.map(|(count, what)| format!("{count} of {} processes {what}", self.processes))
            .collect()
    }
}

/// Watches cores while a process runs on them.
pub struct Watch<'a> {
    cores: &'a [usize],
    begin: Instant,
    at_begin: Reading,
}

/// Counters of the system, all of which only rise.
struct Reading {
    /// Seconds that the cores were busy, and that were stolen from them.
    cores_s: Option<(f64, Option<f64>)>,
    /// Of the processes that this one started and that have ended.
    children: Option<Usage>,
    throttlings: Option<u64>,
}

impl<'a> Watch<'a> {
    /// Begins to watch `cores`: all, where there are none.
    pub fn begin(cores: &'a [usize]) -> Self {
        Self { cores, at_begin: Reading::now(cores), begin: Instant::now() }
    }

    /// Observations since, while this process waited for one that it had started.
    pub fn end(self) -> Disturbance {
        let wall_s = self.begin.elapsed().as_secs_f64();
        let (before, after) = (self.at_begin, Reading::now(self.cores));
        let used = before.children.zip(after.children);
        let own_s = used.map(|(before, after)| used_s(&after) - used_s(&before));
        let cores = before.cores_s.zip(after.cores_s);
        let busy_s = cores.map(|((before, _), (after, _))| after - before);
        Disturbance {
            wall_s,
            // The counters of the cores are coarse: what they lack is not negative.
            others_s: busy_s.zip(own_s).map(|(busy, own)| (busy - own).max(0.0)),
            stolen_s: cores.and_then(|((_, before), (_, after))| Some(after? - before?)),
            preemptions: used.map(|(before, after)| {
                let switches = |usage: &Usage| usage.involuntary_context_switches();
                switches(&after).saturating_sub(switches(&before)).max(0) as u64
            }),
            clock_hz: clock_hz(self.cores),
            throttlings: before
                .throttlings
                .zip(after.throttlings)
                .map(|(before, after)| after.saturating_sub(before)),
        }
    }
}

impl Reading {
    fn now(cores: &[usize]) -> Self {
        let counts = cores.iter().map(|core| {
            let file = format!("cpu{core}/thermal_throttle/core_throttle_count");
            number(&file).map(|count| count as u64)
        });
        Self {
            cores_s: KernelStats::current().ok().and_then(|stats| {
                let chosen = match cores {
                    [] => stats.cpu_time.iter().collect(),
                    _ => (cores.iter().map(|&core| stats.cpu_time.get(core)))
                        .collect::<Option<Vec<_>>>()?,
                };
                let busy_ms = |core: &&procfs::CpuTime| {
                    let interrupts = core.irq_ms().unwrap_or(0) + core.softirq_ms().unwrap_or(0);
                    core.user_ms() + core.nice_ms() + core.system_ms() + interrupts
                };
                let busy_ms: u64 = chosen.iter().map(busy_ms).sum();
                let stolen_ms: Option<u64> = chosen.iter().map(|core| core.steal_ms()).sum();
                let seconds = |milliseconds: u64| milliseconds as f64 / 1e3;
                Some((seconds(busy_ms), stolen_ms.map(seconds)))
            }),
            children: getrusage(UsageWho::RUSAGE_CHILDREN).ok(),
            throttlings: match cores {
                [] => None,
                _ => counts.sum(),
            },
        }
    }
}

fn used_s(usage: &Usage) -> f64 {
    let microseconds =
        usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    microseconds as f64 / 1e6
}

/// The lowest clock of `cores`, where all of them say.
fn clock_hz(cores: &[usize]) -> Option<f64> {
    let clock = |core: &usize| number(&format!("cpu{core}/cpufreq/scaling_cur_freq"));
    let clocks: Vec<f64> = cores.iter().map(clock).collect::<Option<_>>()?;
    // In kilohertz.
    let lowest = clocks.into_iter().reduce(f64::min)?;
    Some(lowest * 1e3)
}

fn number(file: &str) -> Option<f64> {
    let text = fs::read_to_string(format!("/sys/devices/system/cpu/{file}")).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_is_watched() {
        let watch = Watch::begin(&[0]);
        Command::new("true").status().unwrap();
        let seen = watch.end();
        assert!(seen.wall_s > 0.0, "{seen:?}");
        assert!(seen.preemptions.is_some(), "{seen:?}");
        // A core that there is not says nothing, and nothing fails.
        let nowhere = Watch::begin(&[100_000]).end();
        assert_eq!((nowhere.others_s, nowhere.clock_hz), (None, None));
        assert_eq!(nowhere.throttlings, None);
    }

    #[test]
    fn the_disturbed_are_counted_by_what_disturbed_them() {
        let quiet = Disturbance {
            wall_s: 1.0,
            others_s: Some(0.05),
            stolen_s: Some(0.0),
            clock_hz: Some(3e9),
            ..Disturbance::default()
        };
        let shared = Disturbance { others_s: Some(0.5), ..quiet.clone() };
        let stolen = Disturbance { stolen_s: Some(0.02), ..quiet.clone() };
        let cool = Disturbance { clock_hz: Some(2e9), ..quiet.clone() };
        let hot = Disturbance { throttlings: Some(1), ..quiet.clone() };
        let unknown = Disturbance { wall_s: 1.0, ..Disturbance::default() };
        let all = [quiet, shared.clone(), shared, stolen, cool, hot, unknown];
        let disturbed = Disturbed::among(all.iter());
        let counts = (disturbed.shared, disturbed.stolen, disturbed.slowed);
        assert_eq!((disturbed.processes, counts), (7, (2, 1, 2)));
        assert_eq!(disturbed.notes()[0], "2 of 7 processes shared their cores");
        assert_eq!(Disturbed::among(all[..1].iter()).notes(), [""; 0]);
    }
}
