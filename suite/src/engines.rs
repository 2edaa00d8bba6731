//! The table of engines: every name, where it works, and the groups it is measured in.
//!
//! Engines are listed in the order in which they are shown. Those of the group `classic`
//! that are no peers sort any slice from and to host memory; of them `auto` takes the first
//! that can run. [`registry`](crate::registry) builds what stands here.

use crate::group::Group;

/// The GPU; from host memory, threads copy while it sorts.
pub const GPU: &str = "gpu";
/// The GPU, with a chunk of the array for each stream and thread.
pub const GPU_SPLIT: &str = "gpu-split";
/// Radix sort of the crate rdst.
pub const CPU_RADIX: &str = "cpu-radix";
/// rayon's parallel quicksort.
pub const CPU_RAYON: &str = "cpu-rayon";
/// Chunks sorted by the standard library, and merged.
pub const CPU_STD: &str = "cpu-std";
/// Copies from ordinary host memory to the GPU, staged as `gpu-split` does it.
pub const STAGED_IN: &str = "staged-in";
/// The same back.
pub const STAGED_OUT: &str = "staged-out";
/// Copies from pinned host memory to the GPU.
pub const PINNED_IN: &str = "pinned-in";
/// The same back.
pub const PINNED_OUT: &str = "pinned-out";
/// Copies within the memory of the GPU.
pub const DEVICE_COPY: &str = "device-copy";
/// Copies of host memory by threads of the CPU.
pub const CPU_COPY: &str = "cpu-copy";
/// Emulator that checks bounds and alignment.
pub const BOUNDS: &str = "bounds";
/// Emulator that also checks that what is read was written.
pub const WRITTEN: &str = "written";
/// Emulator that also checks that accesses are ordered.
pub const RACES: &str = "races";
/// Emulator that also runs a random schedule with stale reads.
pub const RANDOM: &str = "random";

/// Where an engine works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// On threads of the CPU.
    Cpu,
    /// On the GPU, by this program.
    Gpu,
    /// On the GPU, by the program of another library.
    Peer,
    /// In the emulator.
    Emulator,
}

/// An engine of the table.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Name by which it is chosen and recorded.
    pub name: &'static str,
    /// Where it works.
    pub backend: Backend,
    /// Groups it is measured in.
    pub groups: &'static [Group],
}

/// Every engine.
pub const ENGINES: [Entry; 18] = {
    use Backend::{Cpu, Emulator, Gpu, Peer};
    use Group::{
        Batch, Classic, Device, DeviceCold, DeviceGraph, Devices, Pairs, Segments, Split, Transfer,
    };
    const fn entry(name: &'static str, backend: Backend, groups: &'static [Group]) -> Entry {
        Entry { name, backend, groups }
    }
    [
        entry(
            GPU,
            Gpu,
            &[Classic, Device, DeviceCold, DeviceGraph, Split, Devices, Batch, Segments, Pairs],
        ),
        entry(GPU_SPLIT, Gpu, &[Classic]),
        entry("cub", Peer, &[Device, Segments, Pairs]),
        entry("cupy", Peer, &[Classic, Device]),
        entry("torch", Peer, &[Device]),
        entry(CPU_RADIX, Cpu, &[Classic, Batch, Group::Cpu]),
        entry(CPU_RAYON, Cpu, &[Classic, Pairs, Group::Cpu]),
        entry(CPU_STD, Cpu, &[Classic, Split, Batch, Pairs, Group::Cpu]),
        entry(STAGED_IN, Gpu, &[Transfer]),
        entry(STAGED_OUT, Gpu, &[Transfer]),
        entry(PINNED_IN, Gpu, &[Transfer]),
        entry(PINNED_OUT, Gpu, &[Transfer]),
        entry(DEVICE_COPY, Gpu, &[Transfer]),
        entry(CPU_COPY, Cpu, &[Transfer]),
        entry(BOUNDS, Emulator, &[Group::Emulator]),
        entry(WRITTEN, Emulator, &[Group::Emulator]),
        entry(RACES, Emulator, &[Group::Emulator]),
        entry(RANDOM, Emulator, &[Group::Emulator]),
    ]
};

impl Group {
    /// Engines that are measured in the group.
    pub fn engines(self) -> Vec<&'static str> {
        names(|entry| entry.groups.contains(&self))
    }

    /// Returns true if the engine called `name` works alike at every level of the group, and
    /// is measured at one.
    pub fn ignores_level(self, name: &str) -> bool {
        let (name, _) = engine_and_variant(name);
        match self {
            Self::Classic => name == "cupy",
            Self::Device | Self::DeviceCold | Self::DeviceGraph | Self::Emulator => true,
            Self::Pairs => name != CPU_RAYON,
            Self::Transfer => [PINNED_IN, PINNED_OUT, DEVICE_COPY].contains(&name),
            Self::Split | Self::Devices | Self::Batch | Self::Segments | Self::Cpu => false,
        }
    }
}

/// Names of the engines for which `is` holds.
pub fn names(is: impl Fn(&Entry) -> bool) -> Vec<&'static str> {
    ENGINES.iter().filter(|entry| is(entry)).map(|entry| entry.name).collect()
}

/// Names of the engines that sort a slice from and to host memory, the one that `auto`
/// prefers first.
pub fn of_host_memory() -> Vec<&'static str> {
    names(|entry| entry.backend != Backend::Peer && entry.groups.contains(&Group::Classic))
}

/// Names of the peers.
pub fn peers() -> Vec<&'static str> {
    names(|entry| entry.backend == Backend::Peer)
}

/// Backend of the engine called `name`, variant and all, if there is one.
pub fn backend(name: &str) -> Option<Backend> {
    let (name, _) = engine_and_variant(name);
    ENGINES.iter().find(|entry| entry.name == name).map(|entry| entry.backend)
}

/// Returns true if the engine called `name` is a program of another library.
pub fn is_peer(name: &str) -> bool {
    backend(name) == Some(Backend::Peer)
}

/// Returns true if the engine called `name` works on the GPU, or is not known.
pub fn needs_gpu(name: &str) -> bool {
    !matches!(backend(name), Some(Backend::Cpu | Backend::Emulator))
}

/// An engine, and the variant of it that sorts: `cub@count32`.
pub fn engine_and_variant(name: &str) -> (&str, Option<&str>) {
    match name.split_once('@') {
        Some((engine, variant)) => (engine, Some(variant)),
        None => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_every_group_has_an_engine() {
        let mut all = names(|_| true);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), ENGINES.len());
        assert!(Group::ALL.iter().all(|group| !group.engines().is_empty()));
        assert_eq!(of_host_memory(), [GPU, GPU_SPLIT, CPU_RADIX, CPU_RAYON, CPU_STD]);
    }

    #[test]
    fn variants_work_where_their_engine_does() {
        assert_eq!(backend("cub@count32"), Some(Backend::Peer));
        assert!(needs_gpu("gpu@ballots") && needs_gpu("unheard-of") && !needs_gpu(RACES));
    }
}
