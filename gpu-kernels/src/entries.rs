//! The entry points: each of [`for_every_entry!`](crate::for_every_entry), made by `entry!` with
//! what a host launches it by.

use crate::block::{Block, sort_block};
use crate::bucket_starts::{self, BucketStarts};
use crate::buckets::{self, BucketCounts};
#[cfg(not(target_os = "cuda"))]
use crate::entry::{Entries, Entry, parameter};
use crate::few;
use crate::fused::Fused;
use crate::gather::{self, Gather, NumericCodes, SegmentNumbers};
use crate::histogram::{self, Histogram};
use crate::key::Bits;
use crate::local_bins;
use crate::merge::{self, Merge};
use crate::policy::{self, block, fused, onesweep, segments, single_wave};
use crate::ranks::{self, Ranks};
use crate::segment_warps;
use crate::segments::{Classes, Segments};
use crate::shortcut;
#[cfg(target_os = "cuda")]
use crate::synchronisation;
use crate::tile::{self, Buffers, Pass, WholeSort, look};
use crate::verify::{self, Verify, VerifyValues};
#[cfg(any(not(target_os = "cuda"), target_feature = "sm_90"))]
use crate::{
    digit_sort,
    gathered_sort::{self, GatheredSort},
    local_sort::{self, LocalSort},
    partition,
    policy::{by_digit, by_top, gathered, local},
    top_counts,
    top_pass::{self, TopPass},
};
use cuda_std::{ext::*, prelude::*};

macro_rules! passes {
    ($look:ident $key:ident { $($name:ident: $($word:ident)+, $shape:expr;)* }) => {
        $(passes! { @$($word)+; $look $key $name $shape })*
    };
    (@$when:ident $of:ident $by:ident; $($rest:tt)*) => { passes! { @$of $by $when $($rest)* } };
    (@$of:ident $by:ident; $($rest:tt)*) => { passes! { @$of $by always $($rest)* } };
    (@keys match $($rest:tt)*) => { passes! { @keys false $($rest)* } };
    (@keys atomic $($rest:tt)*) => { passes! { @keys true $($rest)* } };
    (@keys $atomic:literal $($rest:tt)*) => {
        passes! {
            // There are no values: nothing reads or writes them.
            @entry false $atomic control []
            [; values = Buffers { input: control, output: control, scratch: control }] $($rest)*
        }
    };
    (@pairs match $($rest:tt)*) => {
        passes! {
            @entry true false control
            [values { Buffers:
                input = input_values: Global<u32>,
                output = output_values: Global<u32>,
                scratch = scratch_values: Global<u32>
            },] [] $($rest)*
        }
    };
    (
        @entry $paired:literal $atomic:literal $control:ident [$($values:tt)*] [$($absent:tt)*]
        $when:ident $look:ident $key:ident $name:ident $shape:expr
    ) => {
        entry! {
            $when $name: Pass<$key> {
                keys { Buffers:
                    input = input: Global<$key>,
                    output = output: Global<$key>,
                    scratch = scratch: Global<$key>
                },
                $($values)*
                $control: Global<u32>, n: u64, position: u32, shift: u32, mask: u32,
                order_mask: $key, portion: u32, first_tile: u32, options: u32,
                bits { Bits: begin = begin: u32, end = end: u32 }
                $($absent)*
            }
            $shape; paired: $paired, atomic: $atomic,
            shared_bytes: tile::shared_bytes::<$key>($shape, $paired, look::$look),
            synchronises: synchronisation::onesweep($shape, $atomic, $paired, look::$look),
            kernel: crate::onesweep::onesweep::<
                $key, { $shape.threads }, { $shape.items }, $paired, $atomic, { look::$look },
            >
        }
    };
}

macro_rules! local_sorts {
    ($when:ident $key:ident { $($name:ident: $of:ident, $shape:expr;)* }) => { $(
        entry! {
            $when $name: LocalSort<$key> {
                keys: Global<$key>, values: Global<u32>, control: Global<u32>,
                starts: Global<u32>, order_mask: $key, options: u32;
                output = keys, output_values = values, n = 0
            }
            $shape; paired: paired!($of), atomic: true,
            shared_bytes: local_sort::shared_bytes::<$key>($shape, paired!($of)),
            synchronises: synchronisation::local_sort($shape.threads),
            kernel: local_sort::local_sort::<
                $key, { $shape.threads }, { $shape.items }, { paired!($of) },
            >
        }
    )* };
}

macro_rules! gathered {
    ($when:ident $key:ident { $($name:ident: $of:ident, $shape:expr;)* }) => { $(
        entry! {
            $when $name: GatheredSort<$key> {
                keys: Global<$key>, output: Global<$key>, values: Global<u32>,
                output_values: Global<u32>, starts: Global<u32>, bases: Global<u32>, count: u32,
                next: Global<u32>, end: u32, first_key: u32, order_mask: $key, options: u32
            }
            $shape; paired: paired!($of), atomic: true,
            shared_bytes: gathered_sort::shared_bytes::<$key>($shape, paired!($of)),
            synchronises: synchronisation::local_sort($shape.threads),
            kernel: gathered_sort::gathered_sort::<
                $key, { $shape.threads }, { $shape.items }, { paired!($of) },
            >
        }
    )* };
}

macro_rules! digit_sorts {
    ($when:ident $key:ident { $($name:ident: $($word:ident)+, $shape:expr;)* }) => {
        $(digit_sorts! { @$($word)+; $when $key $name $shape })*
    };
    (@pairs bins; $when:ident $key:ident $name:ident $shape:expr) => {
        digit_sorts! {
            @entry $when $key $name pairs $shape;
            digit_sort::shared_bytes_of_bins::<$key, u64>($shape), synchronisation::digit_bins($shape.items),
            digit_sort::pairs_by_bins::<$key, u64, { $shape.threads }, { $shape.items }>
        }
    };
    (@$of:ident; $when:ident $key:ident $name:ident $shape:expr) => {
        digit_sorts! {
            @entry $when $key $name $of $shape;
            digit_sort::shared_bytes::<word!($of $key)>($shape),
            synchronisation::digit_sort($shape.items, paired!($of)),
            digit_sort::by_rounds::<
                $key, word!($of $key), { $shape.threads }, { $shape.items }, { paired!($of) },
            >
        }
    };
    (
        @entry $when:ident $key:ident $name:ident $of:ident $shape:expr;
        $shared_bytes:expr, $synchronises:expr, $($kernel:tt)*
    ) => {
        entry! {
            $when $name: LocalSort<$key> {
                keys: Global<$key>, output: Global<$key>, values: Global<u32>,
                output_values: Global<u32>, control: Global<u32>, n: u32, order_mask: $key,
                options: u32;
                starts = control
            }
            $shape; paired: paired!($of), atomic: true,
            shared_bytes: $shared_bytes, synchronises: $synchronises, kernel: $($kernel)*
        }
    };
}

macro_rules! by_top {
    (
        $key:ident $counts:ident { $($pass:ident: keys, $tile:expr;)* }
        { $($sort:ident: keys, $shape:expr;)* }
    ) => {
        entry! {
            recent $counts: Histogram<$key> {
                input: Global<$key>, control: Global<u32>, n: u64, tiles: u32, order_mask: $key,
                options: u32, held: u32, top_bits: u32;
                bits = Bits { begin: 0, end: <$key>::BITS }
            }
            policy::histogram::<$key>(); paired: false, atomic: false,
            shared_bytes: top_counts::shared_bytes(
                size_of::<$key>(),
                policy::histogram_copies(size_of::<$key>(), policy::HISTOGRAM_BYTES_LARGE),
            ),
            synchronises: synchronisation::histogram_by_top::<$key>(),
            kernel: top_counts::histogram_by_top::<
                $key,
                { policy::histogram_copies(size_of::<$key>(), policy::HISTOGRAM_BYTES_LARGE) },
            >
        }
        $(entry! {
            recent $pass: TopPass<$key> {
                input: Global<$key>, output: Global<$key>, control: Global<u32>, n: u32,
                order_mask: $key, options: u32, top_bits: u32
            }
            $tile; paired: false, atomic: true,
            shared_bytes: top_pass::shared_bytes::<$key>($tile),
            synchronises: synchronisation::top_pass::<$key>(),
            kernel: top_pass::top_pass::<
                $key, { $tile.threads }, { $tile.items },
                { policy::histogram_copies(size_of::<$key>(), $tile.tile() * size_of::<$key>()) },
            >
        })*
        $(entry! {
            recent $sort: LocalSort<$key> {
                keys: Global<$key>, output: Global<$key>, control: Global<u32>,
                order_mask: $key, options: u32;
                values = control, output_values = control, starts = control, n = 0
            }
            $shape; paired: false, atomic: true,
            shared_bytes: local_bins::shared_bytes::<$key>($shape, false),
            synchronises: synchronisation::sort_by_bins::<$key>($shape.items),
            kernel: local_bins::sort_by_bins::<$key, { $shape.threads }, { $shape.items }>
        })*
    };
}

macro_rules! shortcuts {
    ($key:ident { $($name:ident: $of:ident, $shape:expr;)* }) => { $(
        whole_sort! {
            always $name $key $of $shape; false,
            if paired!($of) { 0 } else { few::shared_bytes::<$key>() },
            synchronisation::shortcut(paired!($of)),
            shortcut::shortcut::<$key, { $shape.threads }, { paired!($of) }>
        }
    )* };
}

macro_rules! fused {
    ($key:ident { $($name:ident: $($word:ident)+, $shape:expr;)* }) => {
        $(fused! { @$($word)+; $key $name $shape })*
    };
    (@$of:ident; $($rest:tt)*) => { fused! { @always $of; $($rest)* } };
    (@$when:ident $of:ident; $key:ident $name:ident $shape:expr) => {
        entry! {
            $when $name: Fused<$key> {
                input: Global<$key>, output: Global<$key>, input_values: Global<u32>,
                output_values: Global<u32>, indices: Global<u32>, control: Global<u32>, n: u32,
                order_mask: $key, options: u32
            }
            $shape; paired: paired!($of), atomic: true,
            shared_bytes: crate::fused::shared_bytes::<word!($of $key)>($shape),
            synchronises: synchronisation::fused::<$key>($shape, paired!($of)),
            kernel: crate::fused::fused::<
                $key, word!($of $key), { $shape.threads }, { crate::fused::loaded($shape.items) },
                { $shape.items }, { paired!($of) },
            >
        }
    };
}

macro_rules! partitions {
    ($when:ident $key:ident { $($name:ident: $of:ident, $shape:expr;)* }) => { $(
        whole_sort! {
            $when $name $key $of $shape; !paired!($of),
            partition::shared_bytes::<$key, word!($of $key)>($shape, paired!($of)),
            synchronisation::partition($shape, paired!($of)),
            partition::partition::<
                $key, word!($of $key), { $shape.threads }, { $shape.items }, { paired!($of) },
                { !paired!($of) },
            >
        }
    )* };
}

macro_rules! range_sorts {
    ($when:ident $key:ident { $($name:ident: $of:ident, $shape:expr;)* }) => { $(
        whole_sort! {
            $when $name $key $of $shape; !paired!($of),
            partition::ranges_shared_bytes::<word!($of $key)>($shape),
            synchronisation::RANGE_SORT,
            partition::sort_ranges::<
                $key, word!($of $key), { $shape.threads }, { paired!($of) },
            >
        }
    )* };
}

macro_rules! whole_sort {
    (
        $when:ident $name:ident $key:ident $of:ident $shape:expr;
        $atomic:expr, $shared_bytes:expr, $synchronises:expr, $($kernel:tt)*
    ) => {
        entry! {
            $when $name: WholeSort<$key> {
                keys { Buffers:
                    input = input: Global<$key>,
                    output = output: Global<$key>,
                    scratch = scratch: Global<$key>
                },
                values { Buffers:
                    input = input_values: Global<u32>,
                    output = output_values: Global<u32>,
                    scratch = scratch_values: Global<u32>
                },
                control: Global<u32>, n: u32, order_mask: $key, options: u32
            }
            $shape; paired: paired!($of), atomic: $atomic,
            shared_bytes: $shared_bytes,
            synchronises: $synchronises,
            kernel: $($kernel)*
        }
    };
}

macro_rules! blocks {
    ($key:ident { $($name:ident: $of:ident, $shape:expr;)* }) => { $(
        entry! {
            always $name: Block<$key> {
                input: Global<$key>, output: Global<$key>, input_values: Global<u32>,
                output_values: Global<u32>, n: u32, order_mask: $key,
                bits { Bits: begin = begin: u32, end = end: u32 }, options: u32
            }
            $shape; paired: paired!($of), atomic: !paired!($of),
            shared_bytes: crate::block::shared_bytes::<$key>($shape),
            synchronises: synchronisation::block($shape.items, paired!($of)),
            kernel: sort_block::<$key, { $shape.threads }, { $shape.items }, { paired!($of) }>
        }
    )* };
}

macro_rules! segment_classes {
    ($name:ident) => {
        entry! {
            always $name: Classes {
                offsets: Global<u32>, count: u32, n: u32, head: Global<u32>, control: Global<u32>
            }
            segments::LIST; paired: false, atomic: false, shared_bytes: 0,
            synchronises: synchronisation::SEGMENT_CLASSES,
            kernel: crate::segments::segment_classes
        }
    };
}

macro_rules! segments {
    (
        $key:ident { $($in_warps:ident: $of:ident, $warps:expr;)* }
        { $($short:ident: $short_of:ident, $short_shape:expr;)* }
        { $($long:ident: $long_of:ident, $long_shape:expr;)* }
    ) => {
        $(segments! {
            @ $key $in_warps $of $warps; atomic: false,
            shared_bytes: segment_warps::shared_bytes::<$key>($warps, paired!($of)),
            synchronises: synchronisation::segments_in_warps($warps.items),
            kernel: segment_warps::segments_in_warps::<
                $key, word!($of $key), { $warps.threads }, { $warps.items }, { paired!($of) },
            >
        })*
        $(segments! {
            @ $key $short $short_of $short_shape; atomic: true,
            shared_bytes:
                local_bins::shared_bytes::<word!($short_of $key)>($short_shape, paired!($short_of)),
            synchronises: synchronisation::short_segments::<word!($short_of $key)>(
                $short_shape.threads,
                paired!($short_of),
            ),
            kernel: crate::segments::short_segments::<
                $key, word!($short_of $key), { $short_shape.threads }, { paired!($short_of) },
            >
        })*
        $(segments! {
            @ $key $long $long_of $long_shape; atomic: true,
            shared_bytes:
                local_bins::shared_bytes::<word!($long_of $key)>($long_shape, paired!($long_of)),
            synchronises: synchronisation::long_segments::<word!($long_of $key)>(
                $long_shape,
                paired!($long_of),
            ),
            kernel: crate::segments::long_segments::<
                $key, word!($long_of $key), { $long_shape.threads }, { $long_shape.items },
                { paired!($long_of) },
            >
        })*
    };
    (@ $key:ident $name:ident $of:ident $shape:expr; $($rest:tt)*) => {
        entry! {
            always $name: Segments<$key> {
                keys: Global<$key>, output: Global<$key>, values: Global<u32>,
                output_values: Global<u32>, offsets: Global<u32>, count: u32, n: u32,
                head: Global<u32>, next: Global<u32>, control: Global<u32>, order_mask: $key,
                options: u32, list: u32
            }
            $shape; paired: paired!($of), $($rest)*
        }
    };
}

macro_rules! histograms {
    ($key:ident $large:ident $small:ident) => {
        histograms! { @$key $large policy::HISTOGRAM_BYTES_LARGE }
        histograms! { @$key $small policy::HISTOGRAM_BYTES_SMALL }
    };
    (@$key:ident $name:ident $bytes:expr) => {
        entry! {
            always $name: Histogram<$key> {
                input: Global<$key>, control: Global<u32>, n: u64, tiles: u32, order_mask: $key,
                bits { Bits: begin = begin: u32, end = end: u32 }, options: u32, held: u32;
                top_bits = 0
            }
            policy::histogram::<$key>(); paired: false, atomic: false,
            shared_bytes: policy::histogram_shared_bytes(size_of::<$key>(), $bytes),
            synchronises: synchronisation::HISTOGRAM,
            kernel: histogram::histogram::<
                $key, { policy::histogram_copies(size_of::<$key>(), $bytes) },
            >
        }
    };
}

macro_rules! buckets {
    ($key:ident $counts:ident $starts:ident) => {
        entry! {
            always $counts: BucketCounts<$key> {
                input: Global<$key>, control: Global<u32>, n: u64, tiles: u32, order_mask: $key,
                options: u32, bucket_counts: Global<u32>
            }
            policy::histogram::<$key>(); paired: false, atomic: false,
            shared_bytes: buckets::shared_bytes::<$key>(buckets::COPIES_SAMPLED),
            synchronises: synchronisation::BUCKET_COUNTS,
            kernel: buckets::bucket_counts::<
                $key, { buckets::COPIES_SAMPLED }, { buckets::copies::<$key>() },
            >
        }
        entry! {
            always $starts: BucketStarts {
                bucket_counts: Global<u32>, count: u32, control: Global<u32>, starts: Global<u32>,
                n: u32, capacity: u32
            }
            bucket_starts::SHAPE; paired: false, atomic: false,
            shared_bytes: bucket_starts::SHARED_BYTES,
            synchronises: synchronisation::BUCKET_STARTS,
            kernel: bucket_starts::bucket_starts::<$key>
        }
    };
}

macro_rules! merges {
    ($key:ident { $($name:ident: $of:ident, $shape:expr;)* }) => {
        $(merges! { @$of $key $name $shape })*
    };
    (@keys $($rest:tt)*) => {
        merges! {
            // There are no values: nothing reads or writes them.
            @entry false a []
            [; a_values = a.cast(), b_values = a.cast(), output_values = a.cast()] $($rest)*
        }
    };
    (@pairs $($rest:tt)*) => {
        merges! {
            @entry true a
            [, a_values: Global<u32>, b_values: Global<u32>, output_values: Global<u32>]
            [] $($rest)*
        }
    };
    (
        @entry $paired:literal $a:ident [$($values:tt)*] [$($absent:tt)*]
        $key:ident $name:ident $shape:expr
    ) => {
        entry! {
            always $name: Merge<$key> {
                $a: Global<$key>, a_len: u32, b: Global<$key>, b_len: u32, output: Global<$key>,
                first: u32, end: u32, order_mask: $key, magnitude: $key $($values)* $($absent)*
            }
            $shape; paired: $paired, atomic: false,
            shared_bytes: merge::shared_bytes::<$key>($shape, $paired),
            synchronises: synchronisation::MERGE,
            kernel: merge::merge::<$key, { $shape.threads }, { $shape.items }, $paired>
        }
    };
}

/// Kernels whose threads work each for themselves.
macro_rules! elementwise {
    (
        $shape:expr, $name:ident: $arguments:ident $(<$key:ident>)? { $($parameters:tt)* }
        $kernel:expr
    ) => {
        entry! {
            always $name: $arguments $(<$key>)? { $($parameters)* }
            $shape; paired: false, atomic: false, shared_bytes: 0,
            synchronises: synchronisation::NONE, kernel: $kernel
        }
    };
}

/// The entries of the names in some sections of the list.
#[cfg(not(target_os = "cuda"))]
macro_rules! table {
    ($({ $($name:ident $(: $($word:ident)+, $shape:expr)?;)* })*) => {
        &[$($($name::ENTRY,)*)*]
    };
}

macro_rules! entries {
    ($($key:ident {
        histograms { $large:ident; $small:ident; }
        $(bucket_counts { $counts:ident; } bucket_starts { $starts:ident; })?
        look_back $look_back:tt
        portioned $portioned:tt
        single_wave $single_wave:tt
        $(local $local:tt)?
        $(gathered $gathered:tt)?
        $(by_digit $by_digit:tt)?
        $(shortcuts $shortcuts:tt)?
        $(top_counts { $top_counts:ident; } top_passes $top_passes:tt by_top $by_top:tt)?
        $(fused $fused:tt)?
        $(partitions $partitions:tt range_sorts $range_sorts:tt)?
        blocks $blocks:tt
        $(merge $merge:tt)?
        $(ranks { $ranks:ident; })?
        $(segment_classes { $classes:ident; } segment_numbers { $numbers:ident; })?
        $(segments_in_warps $in_warps:tt short_segments $short:tt long_segments $long:tt)?
        verify { $verify:ident; }
        verify_values { $verify_values:ident; }
        $(gather { $gather:ident; })?
        $(numeric_codes { $codes:ident; })?
    })*) => { $(
        histograms! { $key $large $small }
        $(buckets! { $key $counts $starts })?
        passes! { BACK $key $look_back }
        passes! { BACK_IN_PORTION $key $portioned }
        passes! { ALL_GATHER $key $single_wave }
        $(local_sorts! { recent $key $local })?
        $(gathered! { recent $key $gathered })?
        $(digit_sorts! { recent $key $by_digit })?
        $(shortcuts! { $key $shortcuts })?
        $(by_top! { $key $top_counts $top_passes $by_top })?
        $(fused! { $key $fused })?
        $(partitions! { recent $key $partitions })?
        $(range_sorts! { recent $key $range_sorts })?
        blocks! { $key $blocks }
        $(merges! { $key $merge })?
        $(elementwise! {
            policy::GATHER, $ranks: Ranks<$key> {
                keys: Global<$key>, n: u32, lows: Global<$key>, count: u32, bits: u32, shift: u32,
                order_mask: $key, magnitude: $key, ranks: Global<u32>
            } ranks::ranks::<$key>
        })?
        $(
            segment_classes! { $classes }
            elementwise! {
                policy::GATHER, $numbers: SegmentNumbers {
                    offsets: Global<u32>, count: u32, n: u32, numbers: Global<u32>, within: u32
                } gather::number_segments
            }
        )?
        $(segments! { $key $in_warps $short $long })?
        elementwise! {
            policy::VERIFY, $verify: Verify<$key> {
                keys: Global<$key>, n: u64, order_mask: $key, options: u32, result: Global<u64>
            } verify::verify::<$key>
        }
        elementwise! {
            policy::VERIFY, $verify_values: VerifyValues<$key> {
                input: Global<$key>, keys: Global<$key>, values: Global<u32>, n: u64,
                result: Global<u64>
            } verify::verify_values::<$key>
        }
        $(elementwise! {
            policy::GATHER, $gather: Gather<$key> {
                input: Global<$key>, index: Global<u32>, output: Global<$key>, n: u64
            } gather::gather::<$key>
        })?
        $(elementwise! {
            policy::GATHER, $codes: NumericCodes<$key> {
                keys: Global<$key>, codes: Global<$key>, n: u64, infinity: $key
            } gather::numeric_codes::<$key>
        })?

        #[cfg(not(target_os = "cuda"))]
        impl Entries for $key {
            const HISTOGRAMS: [Entry<Histogram<Self>>; 2] = [$large::ENTRY, $small::ENTRY];
            const BUCKET_COUNTS: &'static [Entry<BucketCounts<Self>>] = &[$($counts::ENTRY)?];
            const BUCKET_STARTS: &'static [Entry<BucketStarts>] = &[$($starts::ENTRY)?];
            const LOOK_BACK: &'static [Entry<Pass<Self>>] = table!($look_back);
            const PORTIONED: &'static [Entry<Pass<Self>>] = table!($portioned);
            const SINGLE_WAVE: &'static [Entry<Pass<Self>>] = table!($single_wave);
            const LOCAL: &'static [Entry<LocalSort<Self>>] = table!($($local)?);
            const GATHERED: &'static [Entry<GatheredSort<Self>>] = table!($($gathered)?);
            const BY_DIGIT: &'static [Entry<LocalSort<Self>>] = table!($($by_digit)?);
            const SHORTCUTS: &'static [Entry<WholeSort<Self>>] = table!($($shortcuts)?);
            const TOP_COUNTS: &'static [Entry<Histogram<Self>>] = &[$($top_counts::ENTRY)?];
            const TOP_PASSES: &'static [Entry<TopPass<Self>>] = table!($($top_passes)?);
            const BY_TOP: &'static [Entry<LocalSort<Self>>] = table!($($by_top)?);
            const FUSED: &'static [Entry<Fused<Self>>] = table!($($fused)?);
            const PARTITIONS: &'static [Entry<WholeSort<Self>>] = table!($($partitions)?);
            const RANGE_SORTS: &'static [Entry<WholeSort<Self>>] = table!($($range_sorts)?);
            const BLOCKS: &'static [Entry<Block<Self>>] = table!($blocks);
            const MERGE: &'static [Entry<Merge<Self>>] = table!($($merge)?);
            const RANKS: &'static [Entry<Ranks<Self>>] = &[$($ranks::ENTRY)?];
            const SEGMENTS_IN_WARPS: &'static [Entry<Segments<Self>>] = table!($($in_warps)?);
            const SHORT_SEGMENTS: &'static [Entry<Segments<Self>>] = table!($($short)?);
            const LONG_SEGMENTS: &'static [Entry<Segments<Self>>] = table!($($long)?);
            const VERIFY: Entry<Verify<Self>> = $verify::ENTRY;
            const VERIFY_VALUES: Entry<VerifyValues<Self>> = $verify_values::ENTRY;
            const GATHER: &'static [Entry<Gather<Self>>] = &[$($gather::ENTRY)?];
            const NUMERIC_CODES: &'static [Entry<NumericCodes<Self>>] = &[$($codes::ENTRY)?];
        }
    )* };
}

for_every_entry!(entries);

#[cfg(all(test, not(target_os = "cuda")))]
mod tests;
