//! The registry: builds the runner of a case from the type, the engine and the input that
//! it names.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use host::gpu::resident::require_indices;
use host::gpu::{Device, Order, Payload};

use crate::case::Case;
use crate::devices_engine::{self, count as devices_count};
use crate::engine::{Engine, require_memory};
use crate::engines::{self, Backend, CPU_COPY, CPU_RADIX, CPU_RAYON, CPU_STD, CUPY};
use crate::engines::{GPU, GPU_SPLIT, TORCH, engine_and_variant, is_peer, needs_gpu};
use crate::error::{Error, unknown};
use crate::group::Group;
use crate::inputs::Inputs;
use crate::key::{F16, F32, Key};
use crate::kind::{self, Kind};
use crate::peers::input::{Form, Given, Input};
use crate::peers::{Peer, Variant};
use crate::runner::Runner;
use crate::runners::peer::{self, Handed, Shape, SharedPeer};
use crate::runners::segments::{Cut, Segments};
use crate::runners::{copies, devices, emulator, gpu, host as on_host, streams};
use crate::slowdown::Slowdown;
use crate::workload::KeyFile;
use crate::{cpu, gpu_engine, memory, split_engine};

/// Builds runners. It keeps the last input and the peers that run, for the cases to come.
pub struct Registry {
    inputs: Inputs,
    peers: RefCell<BTreeMap<String, Result<SharedPeer, String>>>,
    handed: RefCell<Option<(String, Rc<Handed>)>>,
    slowdown: Option<Slowdown>,
}

type Built = Result<Box<dyn Runner>, Error>;
type Drawn = Result<Box<dyn Input>, Error>;

/// Elements that are measured: keys, alone or with a payload, and how their cases are built.
struct Type {
    name: &'static str,
    /// True if only the GPU, and its peers, sort them, and only where they lie in its memory.
    resident: bool,
    build: fn(&Registry, Group, &Case, &Kind) -> Built,
    /// The input of a case, for peers.
    input: fn(&Registry, &Case, Form, Order) -> Drawn,
    require_levels: fn(&Case, &[usize]) -> Result<(), Error>,
}

/// A type more is a line more.
const TYPES: &[Type] = &[
    everywhere::<u32>("u32"),
    everywhere::<i32>("i32"),
    everywhere::<F32>("f32"),
    everywhere::<u64>("u64"),
    everywhere::<u32>("u32+u32"),
    everywhere::<u64>("u64+u32"),
    resident::<u8>("u8"),
    resident::<u16>("u16"),
    resident::<F16>("f16"),
    resident::<u128>("u128"),
    resident::<u32>("u32+index"),
    resident::<F32>("f32+index"),
    resident::<u64>("u64+index"),
];

/// Keys alone that other libraries sort beside ours, and orders: narrow keys and wide ones, from
/// the greatest on, by some bits, and by value.
pub const KEY_VARIANTS: &[&str] =
    &["u8", "u16", "f16", "u128", "u32@descending", "u32@8..24", "u64@0..32", "f32@numeric"];
/// The same of keys with values or indices.
pub const PAIR_VARIANTS: &[&str] = &[
    "u32+u32@descending",
    "u32+u32@0..16",
    "u32+index",
    "u64+index",
    "f32+index",
    "f32+index@descending",
];

const fn everywhere<K: Key>(name: &'static str) -> Type {
    Type {
        resident: false,
        build: build::<K>,
        require_levels: require_levels_of::<K>,
        ..resident::<K>(name)
    }
}

const fn resident<K: Key>(name: &'static str) -> Type {
    Type {
        name,
        resident: true,
        build: build_resident::<K>,
        input: |registry, case, form, order| {
            Ok(Box::new(Given(registry.inputs.keys::<K>(case)?, form, order)))
        },
        require_levels: |case, _| Err(not_measured(case)),
    }
}

/// Names of all types.
pub fn types() -> Vec<&'static str> {
    TYPES.iter().map(|of| of.name).collect()
}

/// Names of the types of keys that every engine sorts.
pub fn key_types() -> Vec<&'static str> {
    let is_key = |of: &&Type| !of.resident && !of.name.contains('+');
    TYPES.iter().filter(is_key).map(|of| of.name).collect()
}

/// The file of keys `path`, of type `kind` where it does not say its own.
pub fn key_file(path: &Path, kind: Option<&str>) -> Result<KeyFile, Error> {
    let alone = key_types().into_iter().filter_map(|name| Some((name, bytes_of(name)?)));
    KeyFile::open(path, kind, &alone.collect::<Vec<_>>())
}

/// Elements and the order that they are sorted in, by name.
pub fn kind(name: &str) -> Result<Kind, Error> {
    Kind::read(name, &types())
}

/// Bytes of an element of the kind called `name`, if there is one.
pub fn bytes_of(name: &str) -> Option<usize> {
    kind(name).ok().map(|kind| kind.bytes())
}

/// Returns true unless a case asks for what only sorts of keys in the memory of a GPU have, other
/// orders than the ascending one of all bits and some types, or of a peer that makes indices for
/// pairs with values.
pub fn is_measured(case: &Case) -> bool {
    let of = TYPES.iter().find(|of| of.name == kind::elements(&case.kind));
    let is_pair_of_values = of.is_some_and(|of| of.name.contains('+') && !of.resident);
    if is_pair_of_values && [CUPY, TORCH].contains(&engine_and_variant(&case.engine).0) {
        return false;
    }
    let special = case.kind.contains('@') || of.is_some_and(|of| of.resident);
    let groups = [Group::Device, Group::DeviceCold, Group::Pairs].map(Group::name);
    !special || groups.contains(&&*case.group) && needs_gpu(&case.engine)
}

fn not_measured(case: &Case) -> Error {
    Error::Setting {
        setting: "type",
        given: case.kind.clone(),
        reason: format!(
            "{}/{} does not sort it; take the engine gpu or cub, in device or pairs",
            case.group, case.engine
        ),
    }
}

impl Registry {
    /// A registry whose inputs are drawn from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            inputs: Inputs::new(seed),
            peers: RefCell::default(),
            handed: RefCell::default(),
            slowdown: None,
        }
    }

    /// Has the cases that name `file` sort its keys.
    pub fn take_file(&mut self, file: KeyFile) {
        self.inputs.take_file(file);
    }

    /// Plants a slowdown in an engine.
    pub fn slow_down(&mut self, slowdown: Slowdown) {
        self.slowdown = Some(slowdown);
    }

    fn slowdown_of(&self, name: &str) -> Option<f64> {
        let slowdown = self.slowdown.as_ref().filter(|slowdown| slowdown.engine == name);
        slowdown.map(|slowdown| slowdown.percent)
    }

    /// Builds the runner of a case: generates its input, starts threads, allocates. An
    /// engine that cannot run on this machine is an [`Error::is_unavailable`].
    pub fn build(&self, case: &Case) -> Built {
        let build = || {
            let group: Group = case.group.parse()?;
            let engines = group.engines();
            let (engine, variant) = engine_and_variant(&case.engine);
            let may_vary = engine == GPU || is_peer(engine);
            if !engines.contains(&engine) || (variant.is_some() && !may_vary) {
                let what = format!("engine of the group {group}");
                return Err(unknown(&what, &case.engine, &engines));
            }
            let (of, kind) = kind_of(case)?;
            if !is_measured(case) {
                return Err(not_measured(case));
            }
            require_payload(group, case, kind.payload)?;
            self.require_unslowed(group, case)?;
            require_gpu_memory(group, case, kind.bytes())?;
            (of.build)(self, group, case, &kind)
        };
        build().map_err(|error| error.of(case))
    }

    /// Refuses a case that a planted slowdown would not reach.
    fn require_unslowed(&self, group: Group, case: &Case) -> Result<(), Error> {
        let by_host = matches!(group, Group::Classic | Group::Cpu | Group::Split);
        let reached = by_host && engines::backend(&case.engine) == Some(Backend::Cpu);
        if reached || self.slowdown_of(&case.engine).is_none() {
            return Ok(());
        }
        Err(Error::Setting {
            setting: "slow-down",
            given: case.engine.clone(),
            reason: format!(
                "cases of {group}/{} cannot be slowed down; take an engine of the CPU in classic, \
                 cpu or split",
                case.engine
            ),
        })
    }

    /// Has `peer` sort in the cases of the engine called `name`.
    pub fn adopt(&self, name: &str, peer: Peer) {
        self.peers.borrow_mut().insert(name.to_owned(), Ok(Rc::new(RefCell::new(peer))));
    }

    /// Finds out if an engine can run on this machine, and starts it if it is a peer.
    /// Returns the version of a peer's library.
    pub fn look_for(&self, engine: &str) -> Result<Option<String>, Error> {
        let (engine, _) = engine_and_variant(engine);
        if engines::backend(engine).is_none() {
            return Err(unknown("engine", engine, &engines::names(|_| true)));
        }
        if is_peer(engine) {
            let peer = self.peer(engine)?;
            return Ok(Some(peer.borrow().greeting.peer_version.clone()));
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
    fn peer(&self, name: &str) -> Result<SharedPeer, Error> {
        let mut started = self.peers.borrow_mut();
        match started.get(name) {
            Some(Ok(peer)) if !peer.borrow().has_ended() => Ok(Rc::clone(peer)),
            Some(Err(reason)) => {
                Err(Error::Skipped { engine: name.to_owned(), reason: reason.clone() })
            }
            _ => {
                let peer = peer::start(name).map(|peer| Rc::new(RefCell::new(peer)));
                let reason = |error: &Error| error.lacks().map_or(error.to_string(), str::to_owned);
                let kept = peer.as_ref().map(Rc::clone).map_err(reason);
                started.insert(name.to_owned(), kept);
                peer
            }
        }
    }

    /// Ways in which the engine of a case can sort it, each an engine `NAME@VARIANT` of its
    /// own; none where there is one way.
    pub fn variants(&self, case: &Case) -> Result<Vec<Variant>, Error> {
        let group: Group = case.group.parse()?;
        if !is_peer(&case.engine) || group == Group::Classic {
            return Ok(Vec::new());
        }
        let peer = self.peer(&case.engine)?;
        peer::require(&peer.borrow(), &case.kind, Shape::of(group))?;
        let handed = self.handed(case)?;
        peer::variants(&mut peer.borrow_mut(), &handed)
    }

    fn build_peer(&self, group: Group, case: &Case) -> Built {
        let (engine, variant) = engine_and_variant(&case.engine);
        let peer = self.peer(engine)?;
        let shape = Shape::of(group);
        peer::require(&peer.borrow(), &case.kind, shape)?;
        peer::build(peer, shape, variant, self.handed(case)?)
    }

    /// The segments of a case, if it has any.
    fn cut(&self, case: &Case) -> Option<Cut> {
        let seed = match case.group.parse().ok()? {
            Group::Segments => None,
            Group::Ragged => Some(self.inputs.seed()),
            _ => return None,
        };
        Some(Cut { count: case.level, seed })
    }

    /// The input of a case for peers. The last one is kept: they follow one another.
    fn handed(&self, case: &Case) -> Result<Rc<Handed>, Error> {
        let (of, kind) = kind_of(case)?;
        let form = Form { paired: kind.payload != Payload::None, segments: self.cut(case) };
        let name = format!("{} {form:?}", case.input());
        let mut last = self.handed.borrow_mut();
        if let Some((_, kept)) = last.as_ref().filter(|(known, _)| *known == name) {
            return Ok(Rc::clone(kept));
        }
        *last = None;
        let bytes = (case.n as u64).saturating_mul(kind.bytes() as u64);
        let input = || (of.input)(self, case, form, kind.order);
        let handed = Rc::new(Handed::new(&case.kind, (case.n, bytes), input)?);
        *last = Some((name, Rc::clone(&handed)));
        Ok(handed)
    }
}

fn kind_of(case: &Case) -> Result<(&'static Type, Kind), Error> {
    let kind = kind(&case.kind)?;
    let of = TYPES.iter().find(|of| of.name == kind::elements(&case.kind));
    Ok((of.expect("a kind that was read has a known type"), kind))
}

/// Refuses elements with a payload where keys are alone, and the other way round.
fn require_payload(group: Group, case: &Case, payload: Payload) -> Result<(), Error> {
    match (group, payload) {
        (Group::Pairs, Payload::None) => {
            let pairs = types().into_iter().filter(|name| name.contains('+'));
            Err(unknown("type of pairs", &case.kind, &pairs.collect::<Vec<_>>()))
        }
        (_, Payload::None) => Ok(()),
        (Group::Pairs | Group::Devices, _) => Ok(require_indices(case.n)?),
        (Group::Segments | Group::Ragged, Payload::Value(_)) => Ok(require_indices(case.n)?),
        _ => Err(unknown("type of keys alone", &case.kind, &key_types())),
    }
}

/// Refuses a name that is none of an engine from and to host memory.
pub fn require_engine(name: &str) -> Result<(), Error> {
    let known = engines::of_host_memory();
    let (engine, variant) = engine_and_variant(name);
    let known_variant = engine == GPU && variant.is_some_and(|of| devices_count(of).is_some());
    match known.contains(&engine) && (variant.is_none() || known_variant) {
        true => Ok(()),
        false => Err(unknown("engine", name, &known)),
    }
}

/// The engine called `name`, which sorts slices from and to host memory.
pub fn engine<K: Key>(name: &str) -> Result<Box<dyn Engine<K>>, Error> {
    require_engine(name)?;
    if let Some(count) = engine_and_variant(name).1.and_then(devices_count) {
        return devices_engine::open(count);
    }
    Ok(match name {
        CPU_RADIX => Box::new(cpu::radix()),
        CPU_RAYON => Box::new(cpu::rayon()),
        CPU_STD => Box::new(cpu::standard()),
        GPU_SPLIT => split_engine::open()?,
        _ => gpu_engine::open()?,
    })
}

/// Refuses levels of a case from and to host memory that its engine cannot start, and an
/// input that memory has no room for, before keys are drawn.
pub fn require_levels(case: &Case, levels: &[usize]) -> Result<(), Error> {
    (kind_of(case)?.0.require_levels)(case, levels)
}

fn require_levels_of<K: Key>(case: &Case, levels: &[usize]) -> Result<(), Error> {
    let mut engine = engine::<K>(&case.engine)?;
    for &level in levels {
        require_memory(&*engine, case.n, level)?;
    }
    engine.prepare(case.n, levels.iter().copied().max().unwrap_or(1))
}

/// The order in which our sort is asked for one, by the variant of its engine.
fn order(variant: Option<&str>, order: Order) -> Result<Order, Error> {
    match variant {
        None => Ok(order),
        Some("ballots") => Ok(order.match_ranking()),
        Some(other) => Err(unknown("variant", other, &["ballots"])),
    }
}

/// Refuses what the GPU's memory cannot hold, before any of it is drawn: of a sort input,
/// output and workspace, which is a copy of the input at least where that is large.
fn require_gpu_memory(group: Group, case: &Case, bytes: usize) -> Result<(), Error> {
    let (engine, _) = engine_and_variant(&case.engine);
    if !needs_gpu(engine) || is_peer(engine) {
        return Ok(());
    }
    let gpus = devices_engine::gpus(case);
    if group == Group::Devices || gpus > 1 {
        devices::first(gpus)?;
    }
    // Its engine from and to host memory sorts more in runs.
    if group == Group::Classic && engine == GPU {
        return Ok(());
    }
    // Arrays; buffers of the keys that a GPU has; and of all, which are gathered on the first.
    let (arrays, buffers, gathered) = match group {
        Group::Devices => (1, 4, 2),
        Group::Split if gpus > 1 => (1, 5, 1),
        Group::Transfer => (1, 1, 0),
        Group::Classic => (1, 2, 0),
        Group::Batch => (case.level, 3, 0),
        _ => (1, 3, 0),
    };
    let keys = (case.n as u64).saturating_mul(arrays as u64);
    let held = keys.div_ceil(gpus as u64).saturating_mul(buffers);
    let needed = held.saturating_add(keys.saturating_mul(gathered)).saturating_mul(bytes as u64);
    let (available, _) = Device::open()?.memory()?;
    // A small sort has no copy.
    let small = 16 << 20;
    match needed > available.saturating_add(small) {
        true => Err(host::Error::gpu_memory(case.n, needed, available).into()),
        false => Ok(()),
    }
}

/// A case of keys that lie in the memory of the GPU.
fn build_resident<K: Key>(registry: &Registry, group: Group, case: &Case, kind: &Kind) -> Built {
    let (engine, variant) = engine_and_variant(&case.engine);
    if is_peer(engine) {
        return registry.build_peer(group, case);
    }
    let order = order(variant, kind.order.clone())?;
    let keys = registry.inputs.keys::<K>(case)?;
    let cold = group == Group::DeviceCold;
    Ok(Box::new(gpu::Resident::new(keys, kind.payload, cold, order)?))
}

fn build<K: Key>(registry: &Registry, group: Group, case: &Case, kind: &Kind) -> Built {
    let (engine, variant) = engine_and_variant(&case.engine);
    let resident = matches!(group, Group::Device | Group::DeviceCold | Group::Pairs);
    if is_peer(engine) || resident && needs_gpu(engine) {
        return build_resident::<K>(registry, group, case, kind);
    }
    let gpus = variant.and_then(devices_count).filter(|_| devices_engine::GROUPS.contains(&group));
    if variant.is_some() && gpus.is_none() {
        return Err(unknown("engine", &case.engine, &group.engines()));
    }
    let (keys, level) = (|| registry.inputs.keys::<K>(case), case.level);
    let arrays = || registry.inputs.arrays::<K>(case);
    let paired = kind.payload != Payload::None;
    if let Some(count) = gpus.filter(|_| group != Group::Classic) {
        return Ok(match group {
            Group::Split => Box::new(devices::Split::new(keys()?, level, count)?),
            _ => Box::new(devices::Batch::new(arrays()?, count)?),
        });
    }
    if let Some(cut) = registry.cut(case) {
        return Ok(Box::new(Segments::new(keys()?.keys(), paired, cut)?));
    }
    Ok(match (group, engine) {
        (Group::Device | Group::DeviceCold | Group::Segments | Group::Ragged, _) => {
            return Err(not_measured(case));
        }
        (Group::Pairs, CPU_RAYON) => Box::new(on_host::pairs(keys()?, level, CPU_RAYON)?),
        (Group::Pairs, _) => Box::new(on_host::pairs(keys()?, level, CPU_STD)?),
        (Group::DeviceGraph, _) => Box::new(gpu::Graph::new(keys()?)?),
        (Group::Devices, _) => Box::new(devices::OneArray::new(keys()?.keys(), paired, level)?),
        (Group::Split, GPU) => Box::new(streams::Split::new(keys()?, level)?),
        (Group::Batch, GPU) => Box::new(streams::Batch::new(arrays()?)?),
        (Group::Batch, CPU_RADIX) => Box::new(on_host::batch(arrays()?, CPU_RADIX)?),
        (Group::Batch, _) => Box::new(on_host::batch(arrays()?, CPU_STD)?),
        (Group::Transfer, CPU_COPY) => Box::new(on_host::copy(keys()?, level)?),
        (Group::Transfer, _) => copies::build(engine, keys()?, level)?,
        (Group::Emulator, _) => emulator::build(case, keys)?,
        (Group::Classic | Group::Cpu | Group::Split, _) => {
            let sorter = self::engine::<K>(&case.engine)?;
            let (n, inputs) = (case.n, &registry.inputs);
            let sorted = match memory::bytes_of::<K>(n) > on_host::KEPT_MOST {
                true => on_host::Sorted::drawn(sorter, n, level, inputs.again(case))?,
                false => on_host::Sorted::new(sorter, n, level, keys)?,
            };
            Box::new(sorted.slowed(registry.slowdown_of(engine)))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(name: &str) -> Result<Box<dyn Runner>, Error> {
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
            let times = build(name).unwrap().sample(2).unwrap();
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
            ("cpu/u32-even/cpu-std/1/9", "distribution `even` is not known"),
            ("pairs/u32-uniform/cpu-std/1/9", "type of pairs `u32`"),
            ("cpu/u32+u32-uniform/cpu-std/1/9", "type of keys alone"),
            ("device/u32+index-uniform/gpu/1/9", "type of keys alone"),
            ("device/u32@upwards-uniform/gpu/1/9", "order of u32 `upwards`"),
            ("cpu/u32@descending-uniform/cpu-std/1/9", "cpu/cpu-std does not sort it; take "),
            ("device-graph/u8-uniform/gpu/1/9", "type: `u8`: device-graph/gpu does not"),
            ("pairs/u32+index-uniform/cpu-std/1/9", "pairs/cpu-std does not sort it"),
            ("pairs/u32+u32-uniform/torch/1/9", "pairs/torch does not sort it"),
            (
                "pairs/u32+u32-uniform/cpu-std/1/4294967297",
                "n = 4294967297 is more than the 4294967296 keys",
            ),
            ("cpu/u64-uniform/cpu-std/1/99999999999999", "needs 2.4 PB of "),
        ] {
            let error = build(name).err().unwrap().to_string();
            assert!(error.starts_with(&format!("{name}: ")), "{error}");
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_slowdown_reaches_its_cells_and_is_refused_where_it_does_not() {
        let mut registry = Registry::new(1);
        registry.slow_down("cpu-std=50%".parse().unwrap());
        let build = |name: &str| registry.build(&name.parse().unwrap());
        let mut slow = build("cpu/u32-uniform/cpu-std/1/5000").unwrap();
        assert!(slow.sample(1).unwrap().host_s.unwrap() > 0.0);
        assert!(build("batch/u32-uniform-500/cpu-radix/2").is_ok());
        let error = build("batch/u32-uniform-500/cpu-std/2").err().unwrap();
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
            "devices/u32-uniform-9/gpu/2",
            "batch/u32-uniform-9/gpu/2",
            "classic/i32-classic-9/gpu@2-devices/1",
            "split/u32-uniform-9/gpu@2-devices/2",
            "batch/u32-uniform-9/gpu@2-devices/2",
            "segments/u32-uniform/gpu/2/9",
            "ragged/u32-uniform-9/gpu/2",
            "ragged/u64-uniform-9/cub/2",
            "pairs/u32+u32-uniform/gpu/1/9",
            "transfer/i32-classic-9/pinned-in/1",
            "transfer/i32-classic-9/staged-out/2",
            "transfer/i32-classic-9/device-copy/1",
        ] {
            let error = build(name).err().unwrap();
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
