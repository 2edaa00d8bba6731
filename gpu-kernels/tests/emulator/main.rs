//! Every kernel, in the emulator, under many schedules.
//!
//! A case of the shared list (`sort_cases`) draws the input, what the kernel is told, the
//! schedule and the memory model; every launch runs with all checks. Results are compared with
//! a naive oracle's.
//!
//! | module | what it runs |
//! |---|---|
//! | `sorts` | the list itself, as whole sorts in small shapes |
//! | `bucket_sort` | keys that are sorted by bucket, in small shapes |
//! | `digit_sort` | keys whose top digits are sorted locally, in small shapes |
//! | `top_sort` | keys that are sorted by their top bits, in small shapes |
//! | `fused` | sorts in one launch whose blocks wait for each other |
//! | `partition` | sorts in two launches, the first of blocks that wait for each other |
//! | `gathered_sort` | buckets of keys that several devices have, in small shapes |
//! | `segments` | sorts of many segments, in the shapes that devices run |
//! | `ordered` | the same of keys that are in order or reversed, and nearly so |
//! | `shortcut` | the launch behind the plan that may sort without passes |
//! | `small` | each kernel by itself, in small shapes |
//! | `entries` | each entry point, in the shape that devices run, on fewer cases |

mod alone;
mod bucket_sort;
mod case;
mod digit_sort;
mod entries;
mod fused;
mod gathered_sort;
mod ordered;
mod partition;
mod segments;
mod shortcut;
mod small;
mod sorter;
mod sorts;
mod top_sort;

/// Different cases of each test. Together at least 10,000.
mod cases {
    use sort_cases::{KeyType, Kind};

    /// Of whole sorts.
    pub const fn of(key: KeyType) -> u32 {
        match (key.bits, key.kind) {
            (8, Kind::Unsigned) => 1200,
            (8, _) => 600,
            (16, _) => 200,
            (32, _) => 120,
            _ => 50,
        }
    }

    pub const BLOCK: u32 = 600;
    /// Of a single wave of more tiles than a warp reads the rows of at once.
    pub const ROUNDS: u32 = 10;
    /// Of each type.
    pub const FUSED: u32 = 40;
    /// The same.
    pub const RANGES: u32 = 20;
    /// The same.
    pub const BUCKET_SORT: u32 = 10;
    /// The same.
    pub const SHORTCUT: u32 = 40;
    /// The same.
    pub const LOCAL: u32 = 100;
    /// Of each kernel that sorts segments.
    pub const SEGMENTS: u32 = 6;
    /// Of wrong offsets.
    pub const WRONG_OFFSETS: u32 = 20;
    pub const GATHER: u32 = 400;
    pub const HISTOGRAM: u32 = 600;
    pub const MERGE: u32 = 2800;
    pub const MERGE_OTHERS: u32 = 1000;
    pub const VERIFY: u32 = 1800;
    pub const VALUES: u32 = 300;
    /// Of each entry point that passes over keys, and of each other one.
    pub const ENTRY_PASS: u32 = 4;
    pub const ENTRY: u32 = 4;
    /// Of each that has to do with all buckets, which take their time.
    pub const ENTRY_BUCKETS: u32 = 2;

    const fn sorts() -> u32 {
        let (mut sum, mut i) = (0, 0);
        while i < KeyType::ALL.len() {
            sum += of(KeyType::ALL[i]);
            i += 1;
        }
        sum
    }

    const _: () = assert!(
        sorts() + BLOCK + GATHER + HISTOGRAM + MERGE + MERGE_OTHERS + VERIFY + VALUES >= 10_000
    );
}
