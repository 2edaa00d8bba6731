//! Cases of other libraries: a peer's process is handed the input as a file, sorts
//! when told to, and its last result is verified. The sorts before those that count
//! raise the GPU's clocks again: see [`turns`](mod@crate::turns).

use std::cell::{Cell as Flag, RefCell, RefMut};
use std::fs;
use std::rc::Rc;

use host::gpu::Device;
use tempfile::TempDir;

use crate::error::{Error, unknown};
use crate::group::Group;
use crate::peers::process::LIMIT;
use crate::peers::programs::Tools;
use crate::peers::{Input, Peer, Variant, folder};
use crate::runner::{Runner, Times, WARM_UP_SORTS, warm_ups};

/// Memory that an input is sorted from and to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// From GPU memory to other GPU memory, timed by events.
    Resident,
    /// The same, where each segment is sorted by itself.
    Segments,
    /// From ordinary host memory to ordinary host memory, timed by the host's clock.
    EndToEnd,
}

impl Shape {
    /// Memory of the cases of a group.
    pub fn of(group: Group) -> Self {
        match group {
            Group::Classic => Self::EndToEnd,
            Group::Segments => Self::Segments,
            _ => Self::Resident,
        }
    }
}

/// A peer that runs, shared by the cases that it is measured in one after the other.
pub struct StartedPeer {
    peer: RefCell<Peer>,
    ended: Flag<bool>,
    /// Name of the input that it has loaded.
    loaded: RefCell<Option<String>>,
}

impl StartedPeer {
    /// The peer, which one case asks at a time.
    pub fn peer(&self) -> RefMut<'_, Peer> {
        self.peer.borrow_mut()
    }

    /// Returns true if its process came to an end.
    pub fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// The peer `peer`, which has loaded nothing yet.
    pub fn new(peer: Peer) -> Self {
        Self { peer: RefCell::new(peer), ended: Flag::new(false), loaded: RefCell::default() }
    }

    /// Result of `ask` once the peer has loaded `handed`.
    fn loaded<T>(
        &self,
        handed: &Handed,
        ask: impl FnOnce(&mut Peer) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.loaded.borrow().as_ref() != Some(&handed.name) {
            self.loaded.replace(None);
            let (n, folder) = (handed.input.n(), handed.folder.path());
            self.asked(|peer| peer.load(&handed.kind, n, folder))?;
            self.loaded.replace(Some(handed.name.clone()));
        }
        self.asked(ask)
    }

    /// Result of `ask`; an error that ends the peer is noted.
    fn asked<T>(&self, ask: impl FnOnce(&mut Peer) -> Result<T, Error>) -> Result<T, Error> {
        let answer = ask(&mut self.peer());
        if answer.as_ref().is_err_and(Error::ends_the_peer) {
            self.ended.set(true);
        }
        answer
    }
}

/// Starts the peer called `name` on the GPU.
pub fn start(name: &str) -> Result<Rc<StartedPeer>, Error> {
    let device = Device::open()
        .map_err(|missing| Error::Skipped { engine: name.to_owned(), reason: missing.0 })?;
    let peer = Tools::find()?.start(name, device.capability, LIMIT)?;
    let peer = peer.on(&device.name)?;
    Ok(Rc::new(StartedPeer::new(peer)))
}

/// An input as the file by which peers are handed it.
pub struct Handed {
    /// The input's name: a peer that has loaded it need not load it again.
    name: String,
    kind: String,
    input: Box<dyn Input>,
    folder: TempDir,
}

impl Handed {
    /// Writes `input`, of `n` elements and `bytes` bytes, whose name and type these are.
    pub fn new(
        name: String,
        kind: &str,
        (n, bytes): (usize, u64),
        input: impl FnOnce() -> Result<Box<dyn Input>, Error>,
    ) -> Result<Self, Error> {
        // The input, a result, and what verifying it takes at most: a copy of either.
        crate::memory::require(n, bytes.saturating_mul(4))?;
        let folder = folder::input_folder(bytes)?;
        let input = input()?;
        input.write(folder.path())?;
        Ok(Self { name, kind: kind.to_owned(), input, folder })
    }
}

/// A peer with an input to sort.
struct PeerRunner {
    peer: Rc<StartedPeer>,
    handed: Rc<Handed>,
    shape: Shape,
    /// Index of the variant that sorts, and what it is.
    variant: Option<(usize, Variant)>,
    /// Sorts dropped before those that count.
    warm_ups: usize,
}

/// An error where `peer` does not sort what is called `kind`.
pub fn require(peer: &StartedPeer, kind: &str, shape: Shape) -> Result<(), Error> {
    let peer = peer.peer();
    let greeting = &peer.greeting;
    let reason = match greeting.types.iter().any(|known| known == kind) {
        false => format!("it does not sort {kind}"),
        true if shape == Shape::EndToEnd && !greeting.end_to_end => {
            "it does not sort from and to host memory".to_owned()
        }
        true if shape == Shape::Segments && !greeting.segments => {
            "it does not sort segments".to_owned()
        }
        true => return Ok(()),
    };
    Err(Error::Skipped { engine: greeting.peer.clone(), reason })
}

/// Ways in which `peer` can sort an input that lies on the GPU.
pub fn variants(peer: &StartedPeer, handed: &Handed) -> Result<Vec<Variant>, Error> {
    peer.loaded(handed, |peer| Ok(peer.variants.clone()))
}

/// A case of `peer`, sorted by the `variant` of that name, or else by its fastest.
pub fn build(
    peer: Rc<StartedPeer>,
    shape: Shape,
    variant: Option<&str>,
    handed: Rc<Handed>,
) -> Result<Box<dyn Runner>, Error> {
    let variant = match (shape, variant) {
        (Shape::EndToEnd, _) => None,
        (_, None) => Some(peer.loaded(&handed, |peer| {
            let fastest = peer.choose_fastest(WARM_UP_SORTS + 1)?;
            Ok((fastest, peer.variants[fastest].clone()))
        })?),
        (_, Some(name)) => {
            let all = variants(&peer, &handed)?;
            let names: Vec<&str> = all.iter().map(|variant| &*variant.name).collect();
            let index = names.iter().position(|known| *known == name);
            let index = index.ok_or_else(|| unknown("variant", name, &names))?;
            Some((index, all[index].clone()))
        }
    };
    let mut case = PeerRunner { peer, handed, shape, variant, warm_ups: 0 };
    let first = case.run(WARM_UP_SORTS + 1)?;
    case.warm_ups = warm_ups(first.iter().map(|ms| ms / 1e3));
    Ok(Box::new(case))
}

impl PeerRunner {
    /// Milliseconds of `count` sorts.
    fn run(&mut self, count: usize) -> Result<Vec<f64>, Error> {
        self.peer.loaded(&self.handed, |peer| match &self.variant {
            Some((index, _)) => {
                peer.choose(*index);
                peer.run(count)
            }
            None => peer.end_to_end(count),
        })
    }

    fn times(&self, ms: f64) -> Times {
        match self.shape {
            Shape::EndToEnd => Times::of_host(ms / 1e3),
            _ => Times { device_s: Some(ms / 1e3), ..Times::default() },
        }
    }

    /// Verifies the last result.
    fn check(&mut self) -> Result<(), Error> {
        let folder = self.handed.folder.path().join("result");
        fs::create_dir(&folder).map_err(Error::file(&folder))?;
        let saved = self.peer.asked(|peer| peer.save(&folder));
        let peer = self.peer.peer();
        let checked = saved.map(|()| self.handed.input.check(&folder, &peer.greeting.orders));
        // Results are large: each goes before the next comes.
        fs::remove_dir_all(&folder).map_err(Error::file(&folder))?;
        checked?.map_err(|error| match error {
            Error::Wrong(difference) => Error::WrongPeer { peer: peer.name.clone(), difference },
            error => error,
        })
    }
}

impl Runner for PeerRunner {
    fn once(&mut self) -> Result<Times, Error> {
        self.sample(1)
    }

    /// The peer says how long each of its sorts took, and keeps the last result alone:
    /// that is the one verified.
    fn sample(&mut self, sorts: u32) -> Result<Times, Error> {
        let times = self.run(self.warm_ups + sorts as usize)?;
        self.check()?;
        let counted = &times[self.warm_ups..];
        Ok(self.times(counted.iter().sum::<f64>() / counted.len() as f64))
    }

    fn turn(&mut self, count: usize) -> Result<Vec<Times>, Error> {
        let all = self.run(self.warm_ups + count)?;
        Ok(all[self.warm_ups..].iter().map(|&ms| self.times(ms)).collect())
    }

    fn verified_sort(&mut self) -> Result<(), Error> {
        self.run(1)?;
        self.check()
    }

    fn temporary_bytes(&self) -> Option<u64> {
        self.variant.as_ref()?.1.temporary_bytes
    }
}
