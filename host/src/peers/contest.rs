//! Contenders by turns.
//!
//! Within a cell (a type, a number of elements, a distribution) every contender loads
//! the input, then turns go round: A B C A B C. A turn is a few sorts that are dropped
//! and a few that count. Those that are dropped are at least [`WARM_UP_SORTS`], and as
//! many more as it takes to keep the GPU busy for [`WARM_UP_MS`]: it lowers its clocks
//! when idle, as it was while another contender's result was waited for, and a few
//! small sorts do not raise them again. After the last turn each contender's last
//! result is judged, and only then has it times.

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::error::PeerError;
use super::input::{CheckError, Input, Kind};
use super::process::Peer;
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
    /// Sorts `count` times; returns the milliseconds of each.
    ///
    /// # Errors
    /// Whatever keeps it from that.
    fn run(&mut self, count: usize) -> Result<Vec<f64>, PeerError>;

    /// Judges the result of the last sort.
    ///
    /// # Errors
    /// [`PeerError::WrongResult`], or our own error that says the same.
    fn verify(&mut self) -> Result<(), PeerError>;

    /// Bytes of temporary memory it has beside input and result, if known.
    fn temporary_bytes(&self) -> Option<u64>;
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

/// What a contender took. Its last result was judged and right.
#[derive(Clone, Debug, PartialEq)]
pub struct Times {
    /// Milliseconds of each sort, in the order made, turn after turn.
    pub times_ms: Vec<f64>,
    /// Sorts dropped at the start of each turn.
    pub warm_ups: usize,
    /// Bytes of temporary memory beside input and result, if known.
    pub temporary_bytes: Option<u64>,
}

/// Lets all contenders sort the cell by turns; returns for each, in their order, its
/// times or why it has none. One that fails is out of the later turns of the cell.
pub fn contest(
    contenders: &mut [&mut dyn Contender],
    cell: &Cell<'_>,
    plan: Plan,
) -> Vec<Result<Times, PeerError>> {
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
    warm_ups: usize,
    times_ms: Vec<f64>,
}

impl<'a> Entry<'a> {
    /// Sorts a few times to see how long that takes.
    fn new(mut loaded: Box<dyn Loaded + 'a>) -> Result<Self, PeerError> {
        let first = loaded.run(WARM_UP_SORTS + 1)?;
        let shortest = first.into_iter().fold(f64::INFINITY, f64::min);
        let enough = (WARM_UP_MS / shortest).ceil() as usize;
        Ok(Self {
            loaded,
            warm_ups: enough.clamp(WARM_UP_SORTS, WARM_UP_MOST),
            times_ms: Vec::new(),
        })
    }

    fn turn(&mut self, count: usize) -> Result<(), PeerError> {
        let times = self.loaded.run(self.warm_ups + count)?;
        self.times_ms.extend(&times[self.warm_ups..]);
        Ok(())
    }

    fn finish(mut self) -> Result<Times, PeerError> {
        self.loaded.verify()?;
        Ok(Times {
            times_ms: self.times_ms,
            warm_ups: self.warm_ups,
            temporary_bytes: self.loaded.temporary_bytes(),
        })
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
        let temporary_bytes = Peer::load(self, cell.case.kind.name, cell.input.n(), cell.folder)?;
        Ok(Box::new(LoadedPeer {
            peer: self,
            cell,
            temporary_bytes,
        }))
    }
}

struct LoadedPeer<'a> {
    peer: &'a mut Peer,
    cell: &'a Cell<'a>,
    temporary_bytes: Option<u64>,
}

impl Loaded for LoadedPeer<'_> {
    fn run(&mut self, count: usize) -> Result<Vec<f64>, PeerError> {
        match self.cell.case.shape {
            Shape::Resident => self.peer.run(count),
            Shape::EndToEnd => self.peer.end_to_end(count),
        }
    }

    fn verify(&mut self) -> Result<(), PeerError> {
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

    fn temporary_bytes(&self) -> Option<u64> {
        self.temporary_bytes
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
