//! The questions that the suite answers, each a group of cases.

use crate::names::named;
use crate::runner::Clock;

named! {
    /// A group of cases.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Group as "group" {
        /// From host memory to host memory, level by level.
        Classic = "classic",
        /// Keys that lie on the device, found in its cache if they fit.
        Device = "device",
        /// The same, with the cache emptied before each sort.
        DeviceCold = "device-cold",
        /// Few keys on the device, many sorts in one CUDA graph.
        DeviceGraph = "device-graph",
        /// One array, cut into as many pieces as the level says.
        Split = "split",
        /// One array over as many GPUs as the level says.
        Devices = "devices",
        /// As many arrays at once as the level says.
        Batch = "batch",
        /// One array of as many segments as the level says, each sorted by itself.
        Segments = "segments",
        /// The same, of segments of drawn lengths.
        Ragged = "ragged",
        /// Keys with values, stably.
        Pairs = "pairs",
        /// Engines of the CPU over types, sizes and distributions.
        Cpu = "cpu",
        /// Copies without a sort.
        Transfer = "transfer",
        /// The kernels in the emulator, under more and more checks.
        Emulator = "emulator",
    }
}

impl Group {
    /// The question that it answers.
    pub fn question(self) -> &'static str {
        match self {
            Self::Classic => {
                "How long does the classic workload take from host memory to host memory, \
                 level by level?"
            }
            Self::Device => "How fast are keys sorted that lie on the device already?",
            Self::DeviceCold => "How much slower is a sort when the cache holds none of the keys?",
            Self::DeviceGraph => {
                "How long does a small sort take on the device alone, without the host's \
                 launches?"
            }
            Self::Split => {
                "Does it help to cut one array into pieces that are sorted at the same time?"
            }
            Self::Devices => "How much faster do several GPUs sort one array than one does?",
            Self::Batch => {
                "How many independent arrays are sorted in a second, by how many there are at a time?"
            }
            Self::Segments => {
                "How fast are the segments of one array sorted, by how many there are?"
            }
            Self::Ragged => {
                "How fast are the segments of one array sorted, if their lengths differ?"
            }
            Self::Pairs => "How much does it cost to move a value with each key, stably?",
            Self::Cpu => "Which engine of the CPU is fastest for which input?",
            Self::Transfer => "How long do the copies alone take, the floor under every sort?",
            Self::Emulator => {
                "How long does a sort take in the emulator, and what does each check cost?"
            }
        }
    }

    /// By whose clock its times are meant, where an engine is timed by both.
    pub fn clock(self) -> Clock {
        match self {
            Self::Classic | Self::Devices | Self::Cpu | Self::Emulator => Clock::Host,
            _ => Clock::Device,
        }
    }

    /// Returns true if its question is what a higher level changes.
    pub fn asks_for_levels(self) -> bool {
        matches!(
            self,
            Self::Classic
                | Self::Split
                | Self::Devices
                | Self::Batch
                | Self::Segments
                | Self::Ragged
                | Self::Transfer
        )
    }

    /// Returns true if its engines do the same thing, so that one can be called the fastest.
    pub fn has_rivals(self) -> bool {
        !matches!(self, Self::Transfer | Self::Emulator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_by_name() {
        for group in Group::ALL {
            assert_eq!(group.to_string().parse::<Group>().unwrap(), group);
        }
        let error = "classics".parse::<Group>().unwrap_err().to_string();
        assert!(error.contains("`classics`") && error.contains("classic, device"), "{error}");
    }
}
