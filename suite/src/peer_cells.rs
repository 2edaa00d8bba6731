//! Cells of other libraries: a peer's process is handed the input as a file, sorts
//! when told to, and its last result is judged. The sorts before those that count
//! raise the GPU's clocks again, as in `cudamark peers`.

use std::cell::{Cell as Flag, RefCell, RefMut};
use std::fs;
use std::rc::Rc;

use tempfile::TempDir;

use crate::cell::{Cell, Times};
use crate::error::Error;
use crate::peers::contest::{WARM_UP_MS, WARM_UP_SORTS};
use crate::peers::input::CheckError;
use crate::peers::process::LIMIT;
use crate::peers::programs::Tools;
use crate::peers::{Input, Kind, Peer, PeerError, Shape, arena};
use crate::workload::Workload;
use host::gpu::Device;

/// A peer that runs, shared by the cells that it is measured in one after the other.
pub struct StartedPeer {
    peer: RefCell<Peer>,
    ended: Flag<bool>,
}

impl StartedPeer {
    /// The peer. Cells take turns, and one that is open is the only one that asks.
    pub fn peer(&self) -> RefMut<'_, Peer> {
        self.peer.borrow_mut()
    }

    /// Whether its process came to an end.
    pub fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// What `ask` returns; an error that ends the peer is noted.
    fn asked<T>(
        &self,
        ask: impl FnOnce(&mut Peer) -> Result<T, PeerError>,
    ) -> Result<T, PeerError> {
        let answer = ask(&mut self.peer());
        if answer.as_ref().is_err_and(PeerError::ends_the_peer) {
            self.ended.set(true);
        }
        answer
    }
}

/// Most sorts dropped before those that count.
const WARM_UP_MOST: f64 = 1000.0;

/// Starts the peer called `name` on the GPU.
///
/// # Errors
/// No GPU; the peer cannot run here; whatever keeps it from starting.
pub fn start(name: &str) -> Result<Rc<StartedPeer>, Error> {
    let device = Device::open().map_err(|missing| PeerError::Skipped {
        peer: name.to_owned(),
        reason: missing.0,
    })?;
    let peer = Tools::find()?.start(name, device.capability(), LIMIT)?;
    let peer = peer.on(device.name())?;
    Ok(Rc::new(StartedPeer {
        peer: RefCell::new(peer),
        ended: Flag::new(false),
    }))
}

/// An input as the file by which peers are handed it.
pub struct Handed {
    input: Box<dyn Input>,
    folder: TempDir,
}

impl Handed {
    /// Generates and writes an input.
    ///
    /// # Errors
    /// Too little memory, or room for files.
    pub fn new(kind: Kind, workload: Workload) -> Result<Self, PeerError> {
        let bytes = (workload.n as u64).saturating_mul(kind.bytes as u64);
        crate::memory::require(workload.n, bytes.saturating_mul(4))?;
        let folder = arena::input_folder(bytes)?;
        let input = (kind.input)(workload)?;
        input.write(folder.path())?;
        Ok(Self { input, folder })
    }
}

/// A peer with an input loaded.
struct PeerCell {
    peer: Rc<StartedPeer>,
    handed: Rc<Handed>,
    shape: Shape,
    /// Sorts dropped before those that count.
    warm_ups: usize,
}

/// An error where `peer` does not sort what is called `kind`.
///
/// # Errors
/// [`PeerError::Skipped`].
pub fn require(peer: &StartedPeer, kind: &str, shape: Shape) -> Result<(), PeerError> {
    let peer = peer.peer();
    let greeting = peer.greeting();
    let reason = match greeting.types.iter().any(|known| known == kind) {
        false => format!("it does not sort {kind}"),
        true if shape == Shape::EndToEnd && !greeting.end_to_end => {
            "it does not sort from and to host memory".to_owned()
        }
        true => return Ok(()),
    };
    Err(PeerError::Skipped {
        peer: greeting.peer.clone(),
        reason,
    })
}

/// Has `peer` load an input.
///
/// # Errors
/// Whatever the peer says.
pub fn open(
    peer: Rc<StartedPeer>,
    kind: Kind,
    shape: Shape,
    handed: Rc<Handed>,
) -> Result<Box<dyn Cell>, Error> {
    let (n, folder) = (handed.input.n(), handed.folder.path());
    peer.asked(|peer| peer.load(kind.name, n, folder))?;
    if shape == Shape::Resident {
        // Of the ways in which it can be called, the one that serves it best.
        peer.asked(|peer| peer.choose_fastest(WARM_UP_SORTS + 1))?;
    }
    let mut cell = PeerCell {
        peer,
        handed,
        shape,
        warm_ups: 0,
    };
    let first = cell.run(WARM_UP_SORTS + 1)?;
    let shortest = first.into_iter().fold(f64::INFINITY, f64::min);
    let enough = (WARM_UP_MS / shortest).ceil().min(WARM_UP_MOST) as usize;
    cell.warm_ups = enough.max(WARM_UP_SORTS);
    Ok(Box::new(cell))
}

impl PeerCell {
    /// Milliseconds of `count` sorts.
    fn run(&mut self, count: usize) -> Result<Vec<f64>, PeerError> {
        self.peer.asked(|peer| match self.shape {
            Shape::Resident => peer.run(count),
            Shape::EndToEnd => peer.end_to_end(count),
        })
    }

    fn verify(&mut self) -> Result<(), Error> {
        let folder = self.handed.folder.path().join("result");
        fs::create_dir(&folder).map_err(PeerError::file(&folder))?;
        let saved = self.peer.asked(|peer| peer.save(&folder));
        let peer = self.peer.peer();
        let checked = saved.map(|()| self.handed.input.check(&folder, &peer.greeting().orders));
        // Results are large: each goes before the next comes.
        fs::remove_dir_all(&folder).map_err(PeerError::file(&folder))?;
        checked?.map_err(|error| match error {
            CheckError::File(error) => error,
            CheckError::Wrong(difference) => PeerError::WrongResult {
                peer: peer.name().to_owned(),
                difference,
            },
        })?;
        Ok(())
    }
}

impl Cell for PeerCell {
    /// The peer says how long each of its sorts took, and keeps the last result alone:
    /// that is the one judged.
    fn sample(&mut self, sorts: u32) -> Result<Times, Error> {
        let times = self.run(self.warm_ups + sorts as usize)?;
        self.verify()?;
        let counted = &times[self.warm_ups..];
        let seconds = counted.iter().sum::<f64>() / counted.len() as f64 / 1e3;
        Ok(match self.shape {
            Shape::EndToEnd => Times::of_host(seconds),
            Shape::Resident => Times {
                device_s: Some(seconds),
                ..Times::default()
            },
        })
    }
}
