//! Opens a case by its name: finds the type, the engine and the input that it names.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use host::gpu::resident::require_indices;
use host::gpu::{Device, Order};

use crate::case::Case;
use crate::engine::Engine;
use crate::engines::{self, Backend, CPU_COPY, CPU_RADIX, CPU_RAYON, CPU_STD, GPU};
use crate::engines::{engine_and_variant, is_peer, needs_gpu};
use crate::error::{Error, unknown};
use crate::group::Group;
use crate::inputs::Inputs;
use crate::key::{F32, Key};
use crate::peers::pairs::Pairs;
use crate::peers::{Input, Peer, Variant};
use crate::runner::Runner;
use crate::runners::peer::{self, Handed, Shape, StartedPeer};
use crate::runners::{copies, emulator, gpu, host as on_host, streams};
use crate::slowdown::{Slowdown, Slowed};
use crate::{cpu, gpu_engine};

/// Opens cases. It keeps the last input and the peers that run, so that one after the
/// other is opened without making them again.
pub struct Registry {
    inputs: Inputs,
    peers: RefCell<BTreeMap<String, Result<Rc<StartedPeer>, String>>>,
    handed: RefCell<Option<(String, Rc<Handed>)>>,
    slowdown: Option<Slowdown>,
}

/// A type of elements, and how its cases are opened.
struct Type {
    name: &'static str,
    bytes: usize,
    open: fn(&Registry, Group, &Case) -> Opened,
    /// The input of a case, for peers.
    input: fn(&Registry, &Case) -> Handable,
}

type Opened = Result<Box<dyn Runner>, Error>;

/// An input that can be handed to a peer.
type Handable = Result<Box<dyn Input>, Error>;

/// A type more is a line more.
const TYPES: &[Type] = &[
    keys::<u32>(),
    keys::<i32>(),
    keys::<F32>(),
    keys::<u64>(),
    pairs::<u32>("u32+u32"),
    pairs::<u64>("u64+u32"),
];

const fn keys<K: Key + Default>() -> Type {
    Type {
        name: K::NAME,
        bytes: size_of::<K>(),
        open: open_keys::<K>,
        input: |registry, name| Ok(Box::new(registry.inputs.keys::<K>(name)?)),
    }
}

const fn pairs<K: Key + Default>(name: &'static str) -> Type {
    Type {
        name,
        bytes: size_of::<K>() + size_of::<u32>(),
        open: open_pairs::<K>,
        input: |registry, name| {
            require_indices(name.n)?;
            Ok(Box::new(Pairs(registry.inputs.keys::<K>(name)?)))
        },
    }
}

/// Names of all types.
pub fn types() -> Vec<&'static str> {
    TYPES.iter().map(|kind| kind.name).collect()
}

/// Bytes of an element of the type called `name`, if there is one.
pub fn bytes_of(name: &str) -> Option<usize> {
    let kind = TYPES.iter().find(|kind| kind.name == name)?;
    Some(kind.bytes)
}

impl Registry {
    /// An registry of cases whose inputs are drawn from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            inputs: Inputs::new(seed),
            peers: RefCell::default(),
            handed: RefCell::default(),
            slowdown: None,
        }
    }

    /// Has the cases of an engine opened with a slowdown planted in it.
    pub fn slow_down(&mut self, slowdown: Slowdown) {
        self.slowdown = Some(slowdown);
    }

    /// The slowdown of the engine called `name`, in percent.
    fn slowdown_of(&self, name: &str) -> Option<f64> {
        let slowdown = self.slowdown.as_ref();
        let of_it = slowdown.filter(|slowdown| slowdown.engine == name);
        of_it.map(|slowdown| slowdown.percent)
    }

    /// Opens the case called `name`: generates its input, starts threads, allocates.
    ///
    /// # Errors
    /// A part of the name that is not known; an engine that cannot run on this machine
    /// ([`Error::is_unavailable`]); too little memory.
    pub fn build(&self, name: &Case) -> Opened {
        let opened = || {
            let group: Group = name.group.parse()?;
            let engines = group.engines();
            let (engine, variant) = engine_and_variant(&name.engine);
            let may_vary = engine == GPU || is_peer(engine);
            if !engines.contains(&engine) || (variant.is_some() && !may_vary) {
                let what = format!("engine of the group {group}");
                return Err(unknown(&what, &name.engine, &engines));
            }
            let kind = kind_of(name)?;
            self.require_unslowed(group, name)?;
            require_gpu_memory(group, name, kind.bytes)?;
            (kind.open)(self, group, name)
        };
        opened().map_err(|error| error.of(name))
    }

    /// Refuses a case that a planted slowdown would not reach.
    fn require_unslowed(&self, group: Group, name: &Case) -> Result<(), Error> {
        let by_host = matches!(group, Group::Classic | Group::Cpu | Group::Split);
        let reached = by_host && engines::backend(&name.engine) == Some(Backend::Cpu);
        if reached || self.slowdown_of(&name.engine).is_none() {
            return Ok(());
        }
        Err(Error::Setting {
            setting: "slow-down",
            given: name.engine.clone(),
            reason: format!(
                "cases of {group}/{} cannot be slowed down; take an engine of the CPU in classic, \
                 cpu or split",
                name.engine
            ),
        })
    }

    /// Has `peer` sort in the cases of the engine called `name`.
    pub fn adopt(&self, name: &str, peer: Peer) {
        let peer = Rc::new(StartedPeer::new(peer));
        self.peers.borrow_mut().insert(name.to_owned(), Ok(peer));
    }

    /// Whether an engine can run on this machine, its version if it is of another
    /// library. Starts a peer.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn look_for(&self, engine: &str) -> Result<Option<String>, Error> {
        let (engine, _) = engine_and_variant(engine);
        if is_peer(engine) {
            let peer = self.peer(engine)?;
            let version = peer.peer().greeting().peer_version.clone();
            return Ok(Some(version));
        }
        if needs_gpu(engine) {
            Device::open().map_err(|missing| match engine {
                GPU => Error::from(missing),
                _ => Error::Skipped { engine: engine.to_owned(), reason: missing.0 },
            })?;
        }
        Ok(None)
    }

    /// The peer called `name`, started when it is first asked for.
    fn peer(&self, name: &str) -> Result<Rc<StartedPeer>, Error> {
        let mut started = self.peers.borrow_mut();
        let peer = match started.get(name) {
            Some(Ok(peer)) if !peer.has_ended() => return Ok(Rc::clone(peer)),
            Some(Err(reason)) => Err(reason.clone()),
            _ => {
                let peer = peer::start(name);
                let reason = |error: &Error| error.lacks().map_or(error.to_string(), str::to_owned);
                let kept = peer.as_ref().map(Rc::clone).map_err(reason);
                started.insert(name.to_owned(), kept);
                return peer;
            }
        };
        peer.map_err(|reason| Error::Skipped { engine: name.to_owned(), reason })
    }

    /// Ways in which the engine of a case can sort it, each an engine `NAME@VARIANT` of its
    /// own; none where there is one way.
    ///
    /// # Errors
    /// The engine does not sort this input; whatever a peer says.
    pub fn variants(&self, name: &Case) -> Result<Vec<Variant>, Error> {
        let group: Group = name.group.parse()?;
        if !is_peer(&name.engine) || group == Group::Classic {
            return Ok(Vec::new());
        }
        let peer = self.peer(&name.engine)?;
        peer::require(&peer, &name.kind, Shape::Resident)?;
        peer::variants(&peer, &*self.handed(name)?)
    }

    /// The case of a peer.
    fn open_peer(&self, group: Group, name: &Case) -> Opened {
        let (engine, variant) = engine_and_variant(&name.engine);
        let peer = self.peer(engine)?;
        let shape = match group {
            Group::Classic => Shape::EndToEnd,
            _ => Shape::Resident,
        };
        peer::require(&peer, &name.kind, shape)?;
        peer::open(peer, shape, variant, self.handed(name)?)
    }

    /// The input of a case for peers. The last one is kept: they follow one another.
    fn handed(&self, name: &Case) -> Result<Rc<Handed>, Error> {
        let mut last = self.handed.borrow_mut();
        if let Some((_, kept)) = last.as_ref().filter(|(known, _)| *known == name.input()) {
            return Ok(Rc::clone(kept));
        }
        *last = None;
        let kind = kind_of(name)?;
        let bytes = (name.n as u64).saturating_mul(kind.bytes as u64);
        let input = || (kind.input)(self, name);
        let handed = Rc::new(Handed::new(name.input(), kind.name, (name.n, bytes), input)?);
        *last = Some((name.input(), Rc::clone(&handed)));
        Ok(handed)
    }
}

fn kind_of(name: &Case) -> Result<&'static Type, Error> {
    let kind = TYPES.iter().find(|kind| kind.name == name.kind);
    kind.ok_or_else(|| unknown("type", &name.kind, &types()))
}

/// Refuses a name that is none of an engine from and to host memory.
///
/// # Errors
/// No engine of that name, with those there are.
pub fn require_engine(name: &str) -> Result<(), Error> {
    let known = engines::of_host_memory();
    match known.contains(&name) {
        true => Ok(()),
        false => Err(Error::UnknownEngine { name: name.to_owned(), known: known.join(", ") }),
    }
}

/// The engine called `name`, which sorts slices from and to host memory.
///
/// # Errors
/// No engine of that name, with those there are; one that cannot run on this machine.
pub fn engine<K: Key>(name: &str) -> Result<Box<dyn Engine<K>>, Error> {
    require_engine(name)?;
    Ok(match name {
        CPU_RADIX => Box::new(cpu::Radix::default()),
        CPU_RAYON => Box::new(cpu::Rayon::default()),
        CPU_STD => Box::new(cpu::Std::default()),
        _ => gpu_engine::open()?,
    })
}

/// The order in which our sort is asked for, by the variant of its engine.
fn order(variant: Option<&str>) -> Result<Order, Error> {
    match variant {
        None => Ok(Order::ascending()),
        Some("ballots") => Ok(Order::ascending().match_ranking()),
        Some(other) => Err(unknown("variant", other, &["ballots"])),
    }
}

/// Refuses what the GPU's memory cannot hold, before any of it is drawn: of a sort input,
/// output and workspace, which is a copy of the input at least where that is large.
fn require_gpu_memory(group: Group, name: &Case, bytes: usize) -> Result<(), Error> {
    let (engine, _) = engine_and_variant(&name.engine);
    if !needs_gpu(engine) || is_peer(engine) {
        return Ok(());
    }
    let (arrays, buffers) = match group {
        Group::Transfer => (1, 1),
        Group::Classic => (1, 2),
        Group::Batch => (name.level, 3),
        _ => (1, 3),
    };
    let keys = (name.n as u64).saturating_mul(arrays as u64);
    let needed = keys.saturating_mul(buffers * bytes as u64);
    let (available, _) = Device::open()?.memory()?;
    // A small sort has no copy.
    let small = 16 << 20;
    match needed > available.saturating_add(small) {
        true => Err(Error::Host(host::Error::Memory {
            n: name.n,
            what: "GPU memory".to_owned(),
            needed,
            available,
        })),
        false => Ok(()),
    }
}

fn open_keys<K: Key + Default>(registry: &Registry, group: Group, name: &Case) -> Opened {
    let (engine, variant) = engine_and_variant(&name.engine);
    if is_peer(engine) {
        return registry.open_peer(group, name);
    }
    let keys = || registry.inputs.keys::<K>(name);
    let order = order(variant)?;
    let resident = |cold, order| gpu::Resident::new(&*keys()?, false, cold, order);
    if variant.is_some() && group != Group::Device {
        return Err(unknown("engine", &name.engine, &group.engines()));
    }
    Ok(match (group, engine) {
        (Group::Pairs, _) => {
            return Err(unknown("type of pairs", K::NAME, &["u32+u32", "u64+u32"]));
        }
        (Group::Device, _) => Box::new(resident(false, order)?),
        (Group::DeviceCold, _) => Box::new(resident(true, order)?),
        (Group::DeviceGraph, _) => Box::new(gpu::Graph::new(keys()?)?),
        (Group::Split, GPU) => Box::new(streams::Split::new(keys()?, name.level)?),
        (Group::Batch, GPU) => Box::new(streams::Batch::new(registry.inputs.arrays::<K>(name)?)?),
        (Group::Batch, _) => {
            let arrays = registry.inputs.arrays::<K>(name)?;
            let by = if engine == CPU_RADIX { CPU_RADIX } else { CPU_STD };
            Box::new(on_host::batch(arrays, by)?)
        }
        (Group::Transfer, CPU_COPY) => Box::new(on_host::copy(keys()?, name.level)?),
        (Group::Transfer, _) => copies::open(engine, keys()?, name.level)?,
        (Group::Emulator, _) => emulator::open(name, keys)?,
        (Group::Classic | Group::Cpu | Group::Split, _) => {
            let mut sorter = self::engine::<K>(engine)?;
            if let Some(percent) = registry.slowdown_of(engine) {
                sorter = Box::new(Slowed::new(sorter, percent));
            }
            Box::new(on_host::Sorted::new(sorter, name.n, name.level, keys)?)
        }
    })
}

fn open_pairs<K: Key + Default>(registry: &Registry, group: Group, name: &Case) -> Opened {
    let types: Vec<&str> =
        TYPES.iter().map(|kind| kind.name).filter(|name| !name.contains('+')).collect();
    if group != Group::Pairs {
        return Err(unknown("type of keys alone", &name.kind, &types));
    }
    require_indices(name.n)?;
    let keys = || registry.inputs.keys::<K>(name);
    let (engine, variant) = engine_and_variant(&name.engine);
    Ok(match engine {
        GPU => {
            let order = order(variant)?;
            Box::new(gpu::Resident::new(&*keys()?, true, false, order)?)
        }
        CPU_RAYON => Box::new(on_host::pairs(keys()?, name.level, CPU_RAYON)?),
        CPU_STD => Box::new(on_host::pairs(keys()?, name.level, CPU_STD)?),
        _ => return registry.open_peer(group, name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(name: &str) -> Result<Box<dyn Runner>, Error> {
        Registry::new(1).build(&name.parse().unwrap())
    }

    #[test]
    fn every_cpu_cell_opens_and_gives_a_verified_sample() {
        for name in [
            "classic/i32-classic-5000/cpu-std/4",
            "cpu/u64-sorted/cpu-radix/2/5000",
            "cpu/f32-uniform/cpu-rayon/2/5000",
            "split/u32-uniform-5000/cpu-std/3",
            "batch/u32-uniform-500/cpu-std/3",
            "batch/u32-constant-500/cpu-radix/2",
            "pairs/u32+u32-uniform/cpu-rayon/2/5000",
            "pairs/u64+u32-constant/cpu-std/1/5000",
            "transfer/i32-classic-5000/cpu-copy/2",
            "emulator/f32-special/bounds/1/500",
            "emulator/u64-uniform/random/1/500",
        ] {
            let times = open(name).unwrap().sample(2).unwrap();
            assert!(times.host_s.unwrap() > 0.0, "{name}");
            assert_eq!(times.device_s, None);
        }
    }

    #[test]
    fn what_is_not_known_is_named_with_what_there_is() {
        for (name, said) in [
            ("classics/u32-uniform-9/gpu/1", "group `classics`"),
            ("cpu/u32-uniform/gpu/1/9", "engine of the group cpu `gpu`"),
            ("cpu/u33-uniform/cpu-std/1/9", "type `u33`"),
            ("cpu/u32-even/cpu-std/1/9", "no distribution is called `even`"),
            ("pairs/u32-uniform/cpu-std/1/9", "type of pairs `u32`"),
            ("cpu/u32+u32-uniform/cpu-std/1/9", "type of keys alone"),
            (
                "pairs/u32+u32-uniform/cpu-std/1/4294967297",
                "n = 4294967297 is more than the 4294967296 keys",
            ),
            ("cpu/u64-uniform/cpu-std/1/99999999999999", "needs 800.0 TB of "),
        ] {
            let error = open(name).err().unwrap().to_string();
            assert!(error.starts_with(&format!("{name}: ")), "{error}");
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_slowdown_reaches_its_cells_and_is_refused_where_it_does_not() {
        let mut registry = Registry::new(1);
        registry.slow_down("cpu-std=50%".parse().unwrap());
        let open = |name: &str| registry.build(&name.parse().unwrap());
        let mut slow = open("cpu/u32-uniform/cpu-std/1/5000").unwrap();
        assert!(slow.sample(1).unwrap().host_s.unwrap() > 0.0);
        assert!(open("batch/u32-uniform-500/cpu-radix/2").is_ok());
        let error = open("batch/u32-uniform-500/cpu-std/2").err().unwrap();
        assert!(error.to_string().contains("batch/cpu-std"), "{error}");
    }

    #[test]
    fn an_engine_without_its_gpu_is_unavailable() {
        if Device::open().is_ok() {
            eprintln!("skipped: this machine has a GPU");
            return;
        }
        for name in [
            "classic/i32-classic-9/gpu/1",
            "device/u32-uniform/gpu/1/9",
            "device-graph/u32-uniform/gpu/1/9",
            "device/u32-uniform/cub/1/9",
            "split/u32-uniform-9/gpu/2",
            "batch/u32-uniform-9/gpu/2",
            "pairs/u32+u32-uniform/gpu/1/9",
            "transfer/i32-classic-9/pinned-in/1",
            "transfer/i32-classic-9/staged-out/2",
            "transfer/i32-classic-9/device-copy/1",
        ] {
            let error = open(name).err().unwrap();
            assert!(error.is_unavailable(), "{error}");
        }
        let registry = Registry::new(1);
        for engine in ["gpu", "cub", "pinned-in"] {
            let error = registry.look_for(engine).unwrap_err();
            assert!(error.is_unavailable(), "{error}");
            assert!(error.to_string().contains(engine), "{error}");
        }
        for engine in ["cpu-std", "races"] {
            assert_eq!(registry.look_for(engine).unwrap(), None);
        }
    }
}
