//! The operations of a warp.

use std::fmt;

macro_rules! operations {
    ($($operation:ident = $name:literal,)*) => {
        #[derive(Clone, Copy, PartialEq, Debug)]
        pub(crate) enum Operation { $($operation,)* Reduce(&'static Reduction) }

        impl Operation {
            /// The name in a kernel's source.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Operation::$operation => $name,)*
                    Operation::Reduce(reduction) => reduction.name,
                }
            }
        }
    };
}

operations! {
    SyncWarp = "sync_warp",
    ShuffleIdx = "shuffle_idx",
    ShuffleUp = "shuffle_up",
    ShuffleDown = "shuffle_down",
    ShuffleXor = "shuffle_xor",
    Ballot = "ballot",
    Any = "any",
    All = "all",
    MatchAny = "match_any",
    MatchDigit = "match_digit",
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
    /// The lane from which a shuffle gives `lane` its value.
    pub(crate) fn source(self, lane: u32, argument: u32) -> Option<u32> {
        match self {
            Operation::ShuffleIdx => Some(argument % 32),
            Operation::ShuffleUp => Some(lane.checked_sub(argument).unwrap_or(lane)),
            // Beyond the warp, a lane keeps its own.
            Operation::ShuffleDown if argument < 32 - lane => Some(lane + argument),
            Operation::ShuffleXor if argument < 32 => Some(lane ^ argument),
            Operation::ShuffleDown | Operation::ShuffleXor => Some(lane),
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
    let some = |mask: u32| (mask != 0).then_some(mask);
    std::iter::successors(some(mask), move |&rest| some(rest & (rest - 1))).map(u32::trailing_zeros)
}
