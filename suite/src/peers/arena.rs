//! Where contests are held: our sorter, the peers that run, and a place for the files
//! that inputs reach them by. That place is the memory file system where there is one
//! with room enough, for a disk would be waited for.

use std::env;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::contest::{AllTimes, Case, Cell, Contender, Plan, contest};
use super::error::PeerError;
use super::process::Peer;
use crate::memory;
use host::error::Bytes;

/// File system in memory.
const MEMORY: &str = "/dev/shm";
/// Bytes that a file system keeps free beside what is written there.
const SPARE: u64 = 64 << 20;

/// Our sorters and the peers that run.
pub struct Arena<'a> {
    ours: Vec<&'a mut dyn Contender>,
    peers: Vec<Peer>,
    plan: Plan,
}

/// What one contender did.
#[derive(Debug)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// Version of a peer's library; none for ours.
    pub version: Option<String>,
    /// Its times, or why it has none.
    pub times: Result<AllTimes, PeerError>,
}

/// What all of them did.
#[derive(Debug)]
pub struct Outcomes {
    /// Those of ours.
    pub ours: Vec<Outcome>,
    /// The peers.
    pub peers: Vec<Outcome>,
}

impl Outcomes {
    /// All, ours first.
    pub fn iter(&self) -> impl Iterator<Item = &Outcome> {
        self.ours.iter().chain(&self.peers)
    }
}

impl<'a> Arena<'a> {
    /// `ours` against `peers`.
    pub fn new(ours: Vec<&'a mut dyn Contender>, peers: Vec<Peer>, plan: Plan) -> Self {
        Self { ours, peers, plan }
    }

    /// Has all that can sort this sort it, and returns what each did. A peer whose
    /// process came to an end is out from then on.
    ///
    /// # Errors
    /// The input does not fit into memory or into any file system for it.
    pub fn hold(&mut self, case: Case) -> Result<Outcomes, PeerError> {
        let Case { kind, workload, .. } = case;
        let bytes = (workload.n as u64).saturating_mul(kind.bytes as u64);
        // The input, a result, and what judging it takes at most: a copy of either.
        memory::require(workload.n, bytes.saturating_mul(4))?;
        let folder = input_folder(bytes)?;
        let input = (kind.input)(workload)?;
        input.write(folder.path())?;
        let cell = Cell {
            case,
            input: &*input,
            folder: folder.path(),
        };
        let outcomes = self.contest(&cell);
        self.peers.retain(|peer| {
            let mut peers = outcomes.peers.iter();
            let own = peers.find(|outcome| outcome.name == peer.name());
            let error = own.and_then(|outcome| outcome.times.as_ref().err());
            !error.is_some_and(PeerError::ends_the_peer)
        });
        Ok(outcomes)
    }

    /// The contest of those of ours and all peers that sort elements of the cell's type.
    fn contest(&mut self, cell: &Cell<'_>) -> Outcomes {
        let mut ours: Vec<&mut dyn Contender> = Vec::new();
        for contender in &mut self.ours {
            if contender.sorts(&cell.case) {
                ours.push(&mut **contender);
            }
        }
        let sorts = |peer: &&mut Peer| peer.sorts(&cell.case);
        let peers: Vec<&mut Peer> = self.peers.iter_mut().filter(sorts).collect();
        let about_ours = ours.iter().map(|ours| (ours.name().to_owned(), None));
        let about_peers = peers.iter().map(|peer| {
            let version = peer.greeting().peer_version.clone();
            (Peer::name(peer).to_owned(), Some(version))
        });
        let about: Vec<(String, Option<String>)> = about_ours.chain(about_peers).collect();
        let of_ours = ours.len();
        let mut contenders = ours;
        contenders.extend(peers.into_iter().map(|peer| peer as &mut dyn Contender));
        let times = contest(&mut contenders, cell, self.plan);
        let outcome = |((name, version), times)| Outcome {
            name,
            version,
            times,
        };
        let mut outcomes = about.into_iter().zip(times).map(outcome);
        Outcomes {
            ours: outcomes.by_ref().take(of_ours).collect(),
            peers: outcomes.collect(),
        }
    }
}

/// A folder for an input of so many bytes and one result: see `folder`.
pub(crate) fn input_folder(bytes: u64) -> Result<TempDir, PeerError> {
    folder(&[Path::new(MEMORY), &env::temp_dir()], bytes)
}

/// A new folder, gone with its owner, on the first of these file systems that has room
/// for an input of so many bytes and one result.
fn folder(places: &[&Path], bytes: u64) -> Result<TempDir, PeerError> {
    let needed = bytes.saturating_mul(2).saturating_add(SPARE);
    let mut tried = Vec::new();
    for place in places {
        let available = available(place);
        if available >= needed
            && let Ok(folder) = tempfile::Builder::new()
                .prefix("cudamark-")
                .tempdir_in(place)
        {
            return Ok(folder);
        }
        tried.push(format!("{} has {}", place.display(), Bytes(available)));
    }
    Err(PeerError::File {
        path: PathBuf::from(places.last().unwrap_or(&Path::new(MEMORY))),
        reason: format!(
            "inputs and results need {} and {}; set TMPDIR to a folder with more, or choose a \
             smaller n",
            Bytes(needed),
            tried.join(", ")
        ),
    })
}

/// Bytes free for this user on the file system of `place`; 0 where there is none.
fn available(place: &Path) -> u64 {
    rustix::fs::statvfs(place).map_or(0, |about| about.f_bavail.saturating_mul(about.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_without_room_is_passed_over() {
        let good = tempfile::tempdir().unwrap();
        let none = Path::new("/no/such/folder");
        let folder = folder(&[none, good.path()], 1000).unwrap();
        assert!(folder.path().starts_with(good.path()));
    }

    #[test]
    fn no_room_anywhere_names_the_figures() {
        let error = folder(&[Path::new("/no/such/folder")], 1 << 60).unwrap_err();
        let message = error.to_string();
        let expected = "/no/such/folder: inputs and results need 2.3 EB and \
                        /no/such/folder has 0 bytes; set TMPDIR";
        assert!(message.starts_with(expected), "{message}");
    }
}
