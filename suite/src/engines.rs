//! The table of engines: every name, where it works, and the groups it is measured in.
//!
//! Engines are listed in the order in which they are shown. Those of the group `classic`
//! that are no peers sort any slice from and to host memory; of them `auto` takes the first
//! that can run. [`registry`](crate::registry) builds what stands here.

use crate::group::Group;

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

/// Declares the constant of each engine's name, and the table of all.
macro_rules! engines {
    ($($(#[$doc:meta])+ $constant:ident = $name:literal, $backend:ident, [$($group:ident),+];)+) => {
        $($(#[$doc])+ pub const $constant: &str = $name;)+

        /// Every engine.
        pub const ENGINES: [Entry; [$($name),+].len()] = [$(Entry {
            name: $constant,
            backend: Backend::$backend,
            groups: &[$(Group::$group),+],
        }),+];
    };
}

engines! {
    /// The GPU; from host memory, threads copy while it sorts.
    GPU = "gpu", Gpu,
        [Classic, Device, DeviceCold, DeviceGraph, Split, Devices, Batch, Segments, Ragged, Pairs];
    /// The GPU, with a chunk of the array for each stream and thread.
    GPU_SPLIT = "gpu-split", Gpu, [Classic];
    /// CUB's radix sort.
    CUB = "cub", Peer, [Device, Segments, Ragged, Pairs];
    /// CuPy's sort and argsort.
    CUPY = "cupy", Peer, [Classic, Device, Pairs];
    /// PyTorch's sort, which gives indices.
    TORCH = "torch", Peer, [Device, Pairs];
    /// Radix sort of the crate rdst.
    CPU_RADIX = "cpu-radix", Cpu, [Classic, Batch, Cpu];
    /// rayon's parallel quicksort.
    CPU_RAYON = "cpu-rayon", Cpu, [Classic, Pairs, Cpu];
    /// Chunks sorted by the standard library, and merged.
    CPU_STD = "cpu-std", Cpu, [Classic, Split, Batch, Pairs, Cpu];
    /// Copies from ordinary host memory to the GPU, staged as `gpu-split` does it.
    STAGED_IN = "staged-in", Gpu, [Transfer];
    /// The same back.
    STAGED_OUT = "staged-out", Gpu, [Transfer];
    /// Copies from pinned host memory to the GPU.
    PINNED_IN = "pinned-in", Gpu, [Transfer];
    /// The same back.
    PINNED_OUT = "pinned-out", Gpu, [Transfer];
    /// Copies within the memory of the GPU.
    DEVICE_COPY = "device-copy", Gpu, [Transfer];
    /// Copies of host memory by threads of the CPU.
    CPU_COPY = "cpu-copy", Cpu, [Transfer];
    /// Emulator that checks bounds and alignment.
    BOUNDS = "bounds", Emulator, [Emulator];
    /// Emulator that also checks that what is read was written.
    WRITTEN = "written", Emulator, [Emulator];
    /// Emulator that also checks that accesses are ordered.
    RACES = "races", Emulator, [Emulator];
    /// Emulator that also runs a random schedule with stale reads.
    RANDOM = "random", Emulator, [Emulator];
}

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
            Self::Classic => name == CUPY,
            Self::Device | Self::DeviceCold | Self::DeviceGraph | Self::Emulator => true,
            Self::Pairs => name != CPU_RAYON,
            Self::Transfer => [PINNED_IN, PINNED_OUT, DEVICE_COPY].contains(&name),
            Self::Split
            | Self::Devices
            | Self::Batch
            | Self::Segments
            | Self::Ragged
            | Self::Cpu => false,
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
