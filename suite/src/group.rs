//! The questions that the suite answers, each a group of cases.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, unknown};
use crate::runner::Clock;

/// A group of cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// From host memory to host memory, level by level.
    Classic,
    /// Keys that lie on the device, found in its cache if they fit.
    Device,
    /// The same, with the cache emptied before each sort.
    DeviceCold,
    /// Few keys on the device, many sorts in one CUDA graph.
    DeviceGraph,
    /// One array, cut into as many pieces as the level says.
    Split,
    /// One array over as many GPUs as the level says.
    Devices,
    /// As many arrays at once as the level says.
    Batch,
    /// One array of as many segments as the level says, each sorted by itself.
    Segments,
    /// Keys with values, stably.
    Pairs,
    /// Engines of the CPU over types, sizes and distributions.
    Cpu,
    /// Copies without a sort.
    Transfer,
    /// The kernels in the emulator, under more and more checks.
    Emulator,
}

impl Group {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 12] = [
        Self::Classic,
        Self::Device,
        Self::DeviceCold,
        Self::DeviceGraph,
        Self::Split,
        Self::Devices,
        Self::Batch,
        Self::Segments,
        Self::Pairs,
        Self::Cpu,
        Self::Transfer,
        Self::Emulator,
    ];

    /// Its name in those of cases.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Device => "device",
            Self::DeviceCold => "device-cold",
            Self::DeviceGraph => "device-graph",
            Self::Split => "split",
            Self::Devices => "devices",
            Self::Batch => "batch",
            Self::Segments => "segments",
            Self::Pairs => "pairs",
            Self::Cpu => "cpu",
            Self::Transfer => "transfer",
            Self::Emulator => "emulator",
        }
    }

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

    /// Returns true if a level of c sorts c arrays, and not one.
    pub fn is_batch(self) -> bool {
        self == Self::Batch
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
                | Self::Transfer
        )
    }

    /// Returns true if its cases copy and sort nothing.
    pub fn is_copy(self) -> bool {
        self == Self::Transfer
    }

    /// Returns true if its engines do the same thing, so that one can be called the fastest.
    pub fn has_rivals(self) -> bool {
        !matches!(self, Self::Transfer | Self::Emulator)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Group {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|group| group.name() == text);
        found.ok_or_else(|| unknown("group", text, &Self::ALL.map(Self::name)))
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
