//! Contenders by turns.
//!
//! Within a cell (a type, a number of elements, a distribution) every contender loads
//! the input, then turns go round: A B C A B C. A turn is a few sorts that are dropped
//! and a few that count. Those that are dropped are at least [`WARM_UP_SORTS`], and as
//! many more as it takes to keep the GPU busy for [`WARM_UP_MS`]: it lowers its clocks
//! when idle, as it was while another contender's result was waited for, and a few
//! small sorts do not raise them again. After the last turn each contender sorts once
//! more, over a result overwritten before; that is judged, and only then has it times.
//!
//! A library that can be called in several ways has a turn for each of them, and the
//! time of the fastest is its time.

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::error::PeerError;
use super::input::{CheckError, Input, Kind};
use super::process::Peer;
use super::protocol::Variant;
use crate::measure::Samples;
use crate::workload::Workload;

/// Sorts dropped at the start of a turn, at least.
pub const WARM_UP_SORTS: usize = 2;
/// Milliseconds that the dropped sorts take together, at least.
pub const WARM_UP_MS: f64 = 5.0;
/// Sorts dropped at the start of a turn, at most.
const WARM_UP_MOST: usize = 1000;
/// Turns of each contender, where there are samples enough.
const ROUNDS: usize = 5;

/// From where to where an input is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// From GPU memory to other GPU memory, timed by events.
    Resident,
    /// From ordinary host memory to ordinary host memory, timed by the host's clock.
    EndToEnd,
}

/// What is sorted, and from where to where.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// From where to where.
    pub shape: Shape,
    /// The type.
    pub kind: Kind,
    /// How many, spread how, drawn from where.
    pub workload: Workload,
}

/// A case, made: an input in memory and in files.
pub struct Cell<'a> {
    /// What it is.
    pub case: Case,
    /// The input in memory.
    pub input: &'a dyn Input,
    /// The folder it has been written to; results go below it.
    pub folder: &'a Path,
}

/// One that sorts: our sorter or a peer.
pub trait Contender {
    /// Its name in tables and records.
    fn name(&self) -> &str;

    /// Whether it can sort this.
    fn sorts(&self, case: &Case) -> bool;

    /// Loads an input.
    ///
    /// # Errors
    /// Too little memory; whatever keeps it from that.
    fn load<'a>(&'a mut self, cell: &'a Cell<'a>) -> Result<Box<dyn Loaded + 'a>, PeerError>;
}

/// A contender with an input loaded.
pub trait Loaded {
    /// Ways in which it can sort this: one at least.
    fn variants(&self) -> Vec<Variant>;

    /// Sorts `count` times by a variant, by its index; returns the milliseconds of each.
    ///
    /// # Errors
    /// Whatever keeps it from that.
    fn run(&mut self, variant: usize, count: usize) -> Result<Vec<f64>, PeerError>;

    /// Sorts once more by a variant, over a result overwritten before, and judges it.
    ///
    /// # Errors
    /// [`PeerError::WrongResult`], or our own error that says the same.
    fn verify(&mut self, variant: usize) -> Result<(), PeerError>;
}

/// How often each contender sorts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Turns of each.
    pub rounds: usize,
    /// Samples of a turn.
    pub turn: usize,
}

impl Plan {
    /// At least `samples` of each contender: as many turns as that divides into, five
    /// at most, all alike.
    pub fn new(samples: usize) -> Self {
        let rounds = samples.clamp(1, ROUNDS);
        Self {
            rounds,
            turn: samples.div_ceil(rounds).max(1),
        }
    }
}

/// What a contender took by one variant. Its result was judged and right.
#[derive(Clone, Debug, PartialEq)]
pub struct Times {
    /// How it sorted.
    pub variant: Variant,
    /// Milliseconds of each sort, in the order made, turn after turn.
    pub times_ms: Vec<f64>,
    /// Sorts dropped at the start of each turn.
    pub warm_ups: usize,
}

impl Times {
    /// The median, and the interval for it.
    pub fn summary(&self) -> (f64, [f64; 2]) {
        let samples = Samples {
            engine: "",
            level: 1,
            seconds: self.times_ms.clone(),
        };
        let interval = samples.interval();
        (samples.median(), [interval.low, interval.high])
    }
}

/// What a contender took by each of its variants, the least median first.
#[derive(Clone, Debug, PartialEq)]
pub struct AllTimes(Vec<Times>);

impl AllTimes {
    /// Of one variant or more.
    pub fn new(mut times: Vec<Times>) -> Self {
        times.sort_by(|a, b| a.summary().0.total_cmp(&b.summary().0));
        Self(times)
    }

    /// That of the fastest variant.
    pub fn best(&self) -> &Times {
        &self.0[0]
    }

    /// All.
    pub fn iter(&self) -> impl Iterator<Item = &Times> {
        self.0.iter()
    }
}

/// Lets all contenders sort the cell by turns; returns for each, in their order, its
/// times or why it has none. One that fails is out of the later turns of the cell.
pub fn contest(
    contenders: &mut [&mut dyn Contender],
    cell: &Cell<'_>,
    plan: Plan,
) -> Vec<Result<AllTimes, PeerError>> {
    let mut entries: Vec<Result<Entry<'_>, PeerError>> = contenders
        .iter_mut()
        .map(|contender| Entry::new(contender.load(cell)?))
        .collect();
    for _ in 0..plan.rounds {
        for entry in &mut entries {
            go_on(entry, |running| running.turn(plan.turn));
        }
    }
    let finish = |entry: Result<Entry<'_>, PeerError>| entry.and_then(Entry::finish);
    entries.into_iter().map(finish).collect()
}

/// Replaces an entry by the error of what it is asked to do.
fn go_on<'a>(
    entry: &mut Result<Entry<'a>, PeerError>,
    act: impl FnOnce(&mut Entry<'a>) -> Result<(), PeerError>,
) {
    if let Ok(running) = entry
        && let Err(error) = act(running)
    {
        *entry = Err(error);
    }
}

/// A contender in the turns of a cell.
struct Entry<'a> {
    loaded: Box<dyn Loaded + 'a>,
    /// What it took so far, by each variant.
    times: Vec<Times>,
}

impl<'a> Entry<'a> {
    /// Sorts a few times by each variant to see how long that takes.
    fn new(mut loaded: Box<dyn Loaded + 'a>) -> Result<Self, PeerError> {
        let mut times = Vec::new();
        for (index, variant) in loaded.variants().into_iter().enumerate() {
            let first = loaded.run(index, WARM_UP_SORTS + 1)?;
            let shortest = first.into_iter().fold(f64::INFINITY, f64::min);
            let enough = (WARM_UP_MS / shortest).ceil() as usize;
            times.push(Times {
                variant,
                times_ms: Vec::new(),
                warm_ups: enough.clamp(WARM_UP_SORTS, WARM_UP_MOST),
            });
        }
        Ok(Self { loaded, times })
    }

    fn turn(&mut self, count: usize) -> Result<(), PeerError> {
        for (variant, times) in self.times.iter_mut().enumerate() {
            let all = self.loaded.run(variant, times.warm_ups + count)?;
            times.times_ms.extend(&all[times.warm_ups..]);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<AllTimes, PeerError> {
        for variant in 0..self.times.len() {
            self.loaded.verify(variant)?;
        }
        Ok(AllTimes::new(self.times))
    }
}

impl Contender for Peer {
    fn name(&self) -> &str {
        Peer::name(self)
    }

    fn sorts(&self, case: &Case) -> bool {
        let greeting = self.greeting();
        let known = greeting.types.iter().any(|known| known == case.kind.name);
        known && (case.shape == Shape::Resident || greeting.end_to_end)
    }

    fn load<'a>(&'a mut self, cell: &'a Cell<'a>) -> Result<Box<dyn Loaded + 'a>, PeerError> {
        Peer::load(self, cell.case.kind.name, cell.input.n(), cell.folder)?;
        Ok(Box::new(LoadedPeer { peer: self, cell }))
    }
}

struct LoadedPeer<'a> {
    peer: &'a mut Peer,
    cell: &'a Cell<'a>,
}

impl Loaded for LoadedPeer<'_> {
    fn variants(&self) -> Vec<Variant> {
        match self.cell.case.shape {
            Shape::Resident => self.peer.variants().to_vec(),
            Shape::EndToEnd => vec![Variant {
                name: "end-to-end".to_owned(),
                temporary_bytes: None,
            }],
        }
    }

    fn run(&mut self, variant: usize, count: usize) -> Result<Vec<f64>, PeerError> {
        match self.cell.case.shape {
            Shape::Resident => {
                self.peer.choose(variant);
                self.peer.run(count)
            }
            Shape::EndToEnd => self.peer.end_to_end(count),
        }
    }

    fn verify(&mut self, variant: usize) -> Result<(), PeerError> {
        self.run(variant, 1)?;
        let folder = self.cell.folder.join("result");
        fs::create_dir(&folder).map_err(PeerError::file(&folder))?;
        let saved = self.peer.save(&folder);
        let orders = &self.peer.greeting().orders;
        let checked = saved.map(|()| self.cell.input.check(&folder, orders));
        // Results are large: each goes before the next comes.
        fs::remove_dir_all(&folder).map_err(PeerError::file(&folder))?;
        checked?.map_err(|error| match error {
            CheckError::File(error) => error,
            CheckError::Wrong(difference) => PeerError::WrongResult {
                peer: self.peer.name().to_owned(),
                difference,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_has_as_many_samples_as_asked_or_a_few_more() {
        for (samples, rounds, turn) in [(1, 1, 1), (4, 4, 1), (20, 5, 4), (21, 5, 5), (100, 5, 20)]
        {
            assert_eq!(Plan::new(samples), Plan { rounds, turn }, "{samples}");
        }
    }
}
