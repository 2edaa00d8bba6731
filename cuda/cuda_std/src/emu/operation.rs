//! The operations of a warp.

use std::fmt;

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Operation {
    SyncWarp,
    ShuffleIdx,
    ShuffleUp,
    ShuffleDown,
    ShuffleXor,
    Ballot,
    Any,
    All,
    MatchAny,
    MatchDigit,
    Reduce(Reduction),
}

/// A reduction of the lanes' values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reduction {
    /// The name in a kernel's source.
    pub name: &'static str,
    /// Combines two lanes' values.
    pub combine: fn(u32, u32) -> u32,
}

impl PartialEq for Reduction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Operation {
    /// The name in a kernel's source.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Operation::SyncWarp => "sync_warp",
            Operation::ShuffleIdx => "shuffle_idx",
            Operation::ShuffleUp => "shuffle_up",
            Operation::ShuffleDown => "shuffle_down",
            Operation::ShuffleXor => "shuffle_xor",
            Operation::Ballot => "ballot",
            Operation::Any => "any",
            Operation::All => "all",
            Operation::MatchAny => "match_any",
            Operation::MatchDigit => "match_digit",
            Operation::Reduce(reduction) => reduction.name,
        }
    }

    /// The lane that `lane` gets its value from, for a shuffle.
    pub(crate) fn source(self, lane: u32, argument: u32) -> Option<u32> {
        match self {
            Operation::ShuffleIdx => Some(argument % 32),
            Operation::ShuffleUp => Some(lane.checked_sub(argument).unwrap_or(lane)),
            Operation::ShuffleDown => Some(
                lane.checked_add(argument)
                    .filter(|&l| l < 32)
                    .unwrap_or(lane),
            ),
            // Beyond the warp, a lane keeps its own.
            Operation::ShuffleXor if argument < 32 => Some(lane ^ argument),
            Operation::ShuffleXor => Some(lane),
            _ => None,
        }
    }
}

/// Lanes on their way into one operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    pub operation: Operation,
    pub mask: u32,
    pub arrived: u32,
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} with mask {:#010x}", self.operation.name(), self.mask)
    }
}

/// The lanes of a word, lowest first.
pub(crate) fn lanes(mask: u32) -> impl Iterator<Item = u32> + Clone {
    (0..32).filter(move |lane| mask >> lane & 1 != 0)
}
