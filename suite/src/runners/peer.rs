//! Cases of other libraries: a peer's process is handed the input as a file, sorts
//! when told to, and its last result is verified. The sorts before those that count
//! raise the GPU's clocks again: see [`turns`](mod@crate::turns).

use std::cell::RefCell;
use std::fs;
use std::rc::Rc;

use host::gpu::Device;
use tempfile::TempDir;

use crate::error::{Error, unknown};
use crate::group::Group;
use crate::kind::{elements, orders};
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
            Group::Segments | Group::Ragged => Self::Segments,
            _ => Self::Resident,
        }
    }
}

/// A peer that runs, which one case asks at a time.
pub type SharedPeer = Rc<RefCell<Peer>>;

/// Starts the peer called `name` on the GPU.
pub fn start(name: &str) -> Result<Peer, Error> {
    let device = Device::open()
        .map_err(|missing| Error::Skipped { engine: name.to_owned(), reason: missing.0 })?;
    Tools::find()?.start(name, device.capability, LIMIT)?.on(&device.name)
}

/// An input as the file by which peers are handed it.
pub struct Handed {
    kind: String,
    n: usize,
    input: Box<dyn Input>,
    folder: TempDir,
}

impl Handed {
    /// Writes `input`, of `n` elements of type `kind` and `bytes` bytes.
    pub fn new(
        kind: &str,
        (n, bytes): (usize, u64),
        input: impl FnOnce() -> Result<Box<dyn Input>, Error>,
    ) -> Result<Self, Error> {
        // The input, a result, and what verifying it takes at most: a copy of either.
        crate::memory::require(n, bytes.saturating_mul(4))?;
        let folder = folder::input_folder(bytes)?;
        let input = input()?;
        input.write(folder.path())?;
        Ok(Self { kind: kind.to_owned(), n, input, folder })
    }

    fn load(&self, peer: &mut Peer) -> Result<(), Error> {
        peer.load(&self.kind, self.n, self.folder.path())
    }
}

/// A peer with an input to sort.
struct PeerRunner {
    peer: SharedPeer,
    handed: Rc<Handed>,
    /// The way it sorts on the GPU; of cases from and to host memory, none.
    variant: Option<Variant>,
    /// Sorts dropped before those that count.
    warm_ups: usize,
}

/// An error where `peer` does not sort what is called `kind`.
pub fn require(peer: &Peer, kind: &str, shape: Shape) -> Result<(), Error> {
    let greeting = &peer.greeting;
    let knows = |words: &[String], word: &str| words.iter().any(|known| known == word);
    let sorts = knows(&greeting.types, elements(kind))
        && orders(kind).all(|order| knows(&greeting.sorts, order));
    let reason = match sorts {
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
pub fn variants(peer: &mut Peer, handed: &Handed) -> Result<Vec<Variant>, Error> {
    handed.load(peer)?;
    Ok(peer.variants.clone())
}

/// A case of `peer`, sorted by the `variant` of that name, or else by its fastest.
pub fn build(
    peer: SharedPeer,
    shape: Shape,
    variant: Option<&str>,
    handed: Rc<Handed>,
) -> Result<Box<dyn Runner>, Error> {
    let all = variants(&mut peer.borrow_mut(), &handed)?;
    let variant = match (shape, variant) {
        (Shape::EndToEnd, _) => None,
        (_, None) => Some(peer.borrow_mut().fastest(WARM_UP_SORTS + 1)?),
        (_, Some(name)) => {
            let known: Vec<&str> = all.iter().map(|variant| &*variant.name).collect();
            let found = all.iter().find(|variant| variant.name == name).cloned();
            Some(found.ok_or_else(|| unknown("variant", name, &known))?)
        }
    };
    let mut case = PeerRunner { peer, handed, variant, warm_ups: 0 };
    let first = case.run(WARM_UP_SORTS + 1)?;
    case.warm_ups = warm_ups(first.iter().map(|ms| ms / 1e3));
    Ok(Box::new(case))
}

impl PeerRunner {
    /// Milliseconds of `count` sorts.
    fn run(&mut self, count: usize) -> Result<Vec<f64>, Error> {
        let mut peer = self.peer.borrow_mut();
        self.handed.load(&mut peer)?;
        match &self.variant {
            Some(variant) => peer.run(&variant.name, count),
            None => peer.end_to_end(count),
        }
    }

    fn times(&self, ms: f64) -> Times {
        match self.variant {
            Some(_) => Times::of_device(ms / 1e3),
            None => Times::of_host(ms / 1e3),
        }
    }

    /// Verifies the last result.
    fn check(&mut self) -> Result<(), Error> {
        let folder = self.handed.folder.path().join("result");
        fs::create_dir(&folder).map_err(Error::file(&folder))?;
        let mut peer = self.peer.borrow_mut();
        let saved = peer.save(&folder);
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
        self.variant.as_ref()?.temporary_bytes
    }
}
