//! The list of all entry points: a line each.
//!
//! Whoever needs one of each expands it: [`entries`](crate::entries) the kernels with what a host
//! launches them by, and the emulator's tests.

/// Expands `$then!` with the list of all entry points.
///
/// `recent` ones are compiled from compute capability 9.0 on, as some whole sections are. Where a
/// GPU can use several of one section, the first that does is taken.
#[macro_export]
macro_rules! for_every_entry {
    ($then:ident) => {
        $then! {
            u8 {
                histograms { histogram_large_u8; histogram_small_u8; }
                look_back {
                    onesweep_keys_u8: keys match, onesweep::KEYS_U8;
                    onesweep_pairs_u8: pairs match, onesweep::PAIRS_U8;
                }
                portioned {
                    onesweep_keys_wide_u8: keys match, onesweep::KEYS_U8;
                    onesweep_pairs_wide_u8: pairs match, onesweep::PAIRS_U8;
                }
                single_wave {
                    few_keys_4096_u8: keys atomic, single_wave::PAIRS_FEW;
                    few_keys_8192_u8: keys atomic, single_wave::KEYS_SOME;
                    few_pairs_2048_u8: pairs match, single_wave::PAIRS_LEAST;
                    few_pairs_4096_u8: pairs match, single_wave::PAIRS_FEW;
                    few_pairs_8192_u8: pairs match, single_wave::PAIRS_SOME;
                }
                blocks {
                    block_small_keys_u8: keys, block::SMALL;
                    block_small_pairs_u8: pairs, block::SMALL;
                }
                verify { verify_u8; }
                verify_values { verify_values_u8; }
                gather { gather_u8; }
            }
            u16 {
                histograms { histogram_large_u16; histogram_small_u16; }
                look_back {
                    onesweep_keys_u16: recent keys atomic, onesweep::KEYS_U16;
                    onesweep_pairs_u16: recent pairs match, onesweep::PAIRS_U16;
                    onesweep_keys_baseline_u16: keys match, onesweep::KEYS_U16_BASELINE;
                    onesweep_pairs_baseline_u16: pairs match, onesweep::PAIRS_U16_BASELINE;
                }
                portioned {
                    onesweep_keys_wide_u16: recent keys atomic, onesweep::KEYS_U16;
                    onesweep_pairs_wide_u16: recent pairs match, onesweep::PAIRS_U16;
                    onesweep_keys_wide_baseline_u16: keys match, onesweep::KEYS_U16_BASELINE;
                    onesweep_pairs_wide_baseline_u16: pairs match, onesweep::PAIRS_U16_BASELINE;
                }
                single_wave {
                    few_keys_4096_u16: keys atomic, single_wave::KEYS_FEW;
                    few_keys_8192_u16: keys atomic, single_wave::KEYS_SOME;
                    few_pairs_2048_u16: pairs match, single_wave::PAIRS_LEAST;
                    few_pairs_4096_u16: pairs match, single_wave::PAIRS_FEW;
                    few_pairs_8192_u16: pairs match, single_wave::PAIRS_SOME;
                }
                blocks {
                    block_small_keys_u16: keys, block::SMALL;
                    block_small_pairs_u16: pairs, block::SMALL;
                }
                verify { verify_u16; }
                verify_values { verify_values_u16; }
                gather { gather_u16; }
                numeric_codes { numeric_codes_u16; }
            }
            u32 {
                histograms { histogram_large_u32; histogram_small_u32; }
                bucket_counts { histogram_by_bucket_u32; }
                bucket_starts { bucket_starts_u32; }
                look_back {
                    onesweep_keys_u32: recent keys atomic, onesweep::KEYS_U32;
                    onesweep_keys_many_u32: recent keys atomic, onesweep::KEYS_U32_MANY;
                    onesweep_pairs_u32: recent pairs match, onesweep::PAIRS_U32;
                    onesweep_keys_baseline_u32: keys atomic, onesweep::KEYS_U32_BASELINE;
                    onesweep_keys_ballots_u32: keys match, onesweep::KEYS_U32_MATCH;
                    onesweep_pairs_baseline_u32: pairs match, onesweep::PAIRS_U32_BASELINE;
                }
                portioned {
                    onesweep_keys_wide_u32: recent keys atomic, onesweep::KEYS_U32;
                    onesweep_pairs_wide_u32: recent pairs match, onesweep::PAIRS_U32;
                    onesweep_keys_wide_baseline_u32: keys atomic, onesweep::KEYS_U32_BASELINE;
                    onesweep_pairs_wide_baseline_u32: pairs match, onesweep::PAIRS_U32_BASELINE;
                }
                single_wave {
                    few_keys_2048_u32: keys atomic, single_wave::KEYS_LEAST;
                    few_keys_4096_u32: keys atomic, single_wave::KEYS_FEW;
                    few_keys_8192_u32: keys atomic, single_wave::KEYS_SOME;
                    few_pairs_2048_u32: pairs match, single_wave::PAIRS_LEAST;
                    few_pairs_3072_u32: pairs match, single_wave::PAIRS_NEXT;
                    few_pairs_4096_u32: pairs match, single_wave::PAIRS_FEW;
                    few_pairs_8192_u32: pairs match, single_wave::PAIRS_SOME;
                }
                local {
                    local_sort_keys_384_u32: keys, local::U32_384;
                    local_sort_keys_704_u32: keys, local::U32_704;
                    local_sort_keys_1280_u32: keys, local::U32_1280;
                    local_sort_keys_2304_u32: keys, local::U32_2304;
                    local_sort_keys_4608_u32: keys, local::U32_4608;
                    local_sort_keys_9216_u32: keys, local::U32_9216;
                    local_sort_pairs_384_u32: pairs, local::U32_384;
                    local_sort_pairs_704_u32: pairs, local::U32_704;
                    local_sort_pairs_1280_u32: pairs, local::U32_1280;
                    local_sort_pairs_2304_u32: pairs, local::U32_2304;
                    local_sort_pairs_4608_u32: pairs, local::U32_4608;
                    local_sort_pairs_9216_u32: pairs, local::U32_9216;
                }
                gathered {
                    gathered_sort_keys_2304_u32: keys, local::U32_2304;
                    gathered_sort_keys_4608_u32: keys, local::U32_4608;
                    gathered_sort_keys_9216_u32: keys, local::U32_9216;
                    gathered_sort_pairs_2304_u32: pairs, local::U32_2304;
                    gathered_sort_pairs_4608_u32: pairs, local::U32_4608;
                    gathered_sort_pairs_9216_u32: pairs, local::U32_9216;
                }
                by_digit {
                    digit_sort_keys_8704_u32: keys, by_digit::TILE_8704;
                    digit_sort_keys_17408_u32: keys, by_digit::TILE_17408;
                    digit_bins_8704_u32: pairs bins, by_digit::TILE_8704;
                    digit_bins_17408_u32: pairs bins, by_digit::TILE_17408;
                    digit_sort_pairs_8704_u32: pairs, by_digit::TILE_8704;
                }
                shortcuts {
                    shortcut_keys_u32: keys, policy::shortcut::KEYS;
                    shortcut_pairs_u32: pairs, policy::shortcut::PAIRS;
                }
                top_counts { histogram_by_top_u32; }
                top_passes {
                    top_pass_32768_u32: keys, by_top::U32_MANY;
                    top_pass_16384_u32: keys, by_top::U32_FEW;
                }
                by_top { top_sort_keys_u32: keys, by_top::SORT; }
                fused {
                    fused_15_keys_u32: keys, fused::TO_15;
                    fused_16_keys_u32: keys, fused::TO_16;
                    fused_17_keys_u32: keys, fused::TO_17;
                    fused_15_pairs_u32: pairs, fused::PAIRS_TO_15;
                    fused_16_pairs_u32: recent pairs, fused::TO_16;
                }
                partitions {
                    partition_4096_keys_u32: keys, policy::partition::TILES[0];
                    partition_8192_keys_u32: keys, policy::partition::TILES[1];
                    partition_8192_pairs_u32: pairs, policy::partition::TILES[1];
                }
                range_sorts {
                    sort_ranges_keys_u32: keys, policy::partition::RANGE;
                    sort_ranges_pairs_u32: pairs, policy::partition::RANGE;
                }
                blocks {
                    block_small_keys_u32: keys, block::SMALL;
                    block_medium_keys_u32: keys, block::MEDIUM;
                    block_small_pairs_u32: pairs, block::SMALL;
                    block_medium_pairs_u32: pairs, block::MEDIUM;
                }
                merge {
                    merge_u32: keys, merge::shape::<u32>();
                    merge_pairs_u32: pairs, merge::shape::<u32>();
                }
                ranks { ranks_u32; }
                segment_classes { classify_segments; }
                segment_numbers { number_segments; }
                segments_in_warps {
                    segments_in_warps_u32: keys, segments::WARPS_U32;
                    segments_in_warps_pairs_u32: pairs, segments::WARPS_U64;
                }
                short_segments {
                    segments_2176_u32: keys, segments::SHORT_U32;
                    segments_2176_pairs_u32: pairs, segments::SHORT_PAIRS;
                }
                long_segments {
                    segments_4352_u32: keys, segments::U32[0];
                    segments_8704_u32: keys, segments::U32[1];
                    segments_4352_pairs_u32: pairs, segments::U64[0];
                    segments_8704_pairs_u32: pairs, segments::U64[1];
                }
                verify { verify_u32; }
                verify_values { verify_values_u32; }
                gather { gather_u32; }
                numeric_codes { numeric_codes_u32; }
            }
            u64 {
                histograms { histogram_large_u64; histogram_small_u64; }
                bucket_counts { histogram_by_bucket_u64; }
                bucket_starts { bucket_starts_u64; }
                look_back {
                    onesweep_keys_u64: recent keys atomic, onesweep::KEYS_U64;
                    onesweep_pairs_u64: recent pairs match, onesweep::PAIRS_U64;
                    onesweep_keys_baseline_u64: keys atomic, onesweep::KEYS_U64_BASELINE;
                    onesweep_pairs_baseline_u64: pairs match, onesweep::PAIRS_U64_BASELINE;
                }
                portioned {
                    onesweep_keys_wide_u64: recent keys atomic, onesweep::KEYS_U64;
                    onesweep_keys_wide_baseline_u64: keys atomic, onesweep::KEYS_U64_BASELINE;
                    onesweep_pairs_wide_baseline_u64: pairs match, onesweep::PAIRS_U64_BASELINE;
                }
                single_wave {
                    few_keys_2048_u64: keys atomic, single_wave::KEYS_LEAST;
                    few_keys_4096_u64: keys atomic, single_wave::KEYS_FEW;
                    few_keys_8192_u64: keys atomic, single_wave::KEYS_SOME;
                    few_pairs_2048_u64: pairs match, single_wave::PAIRS_LEAST;
                    few_pairs_4096_u64: pairs match, single_wave::PAIRS_FEW;
                    few_pairs_8192_u64: pairs match, single_wave::PAIRS_SOME;
                }
                local {
                    local_sort_keys_384_u64: keys, local::U64_384;
                    local_sort_keys_704_u64: keys, local::U64_704;
                    local_sort_keys_1280_u64: keys, local::U64_1280;
                    local_sort_keys_2304_u64: keys, local::U64_2304;
                    local_sort_keys_4608_u64: keys, local::U64_4608;
                    local_sort_keys_9216_u64: keys, local::U64_9216;
                    local_sort_pairs_384_u64: pairs, local::U64_384;
                    local_sort_pairs_704_u64: pairs, local::U64_704;
                    local_sort_pairs_1280_u64: pairs, local::U64_1280;
                    local_sort_pairs_2304_u64: pairs, local::U64_2304_PAIRS;
                    local_sort_pairs_4608_u64: pairs, local::U64_4608_PAIRS;
                    local_sort_pairs_9216_u64: pairs, local::U64_9216;
                }
                gathered {
                    gathered_sort_keys_2304_u64: keys, gathered::U64_2304;
                    gathered_sort_keys_4608_u64: keys, gathered::U64_4608;
                    gathered_sort_keys_9216_u64: keys, local::U64_9216;
                }
                by_digit {
                    digit_sort_keys_8704_u64: keys, by_digit::TILE_8704;
                }
                shortcuts {
                    shortcut_keys_u64: keys, policy::shortcut::KEYS;
                    shortcut_pairs_u64: pairs, policy::shortcut::PAIRS_U64;
                }
                top_counts { histogram_by_top_u64; }
                top_passes {
                    top_pass_16384_u64: keys, by_top::U64_MANY;
                    top_pass_8192_u64: keys, by_top::U64_FEW;
                }
                by_top { top_sort_keys_u64: keys, by_top::SORT; }
                fused {
                    fused_15_keys_u64: keys, fused::TO_15;
                    fused_16_keys_u64: recent keys, fused::TO_16;
                    fused_17_keys_u64: recent keys, fused::TO_17;
                    fused_19_keys_u64: recent keys, fused::TO_19;
                }
                partitions { partition_8192_keys_u64: keys, policy::partition::TILES[1]; }
                range_sorts { sort_ranges_keys_u64: keys, policy::partition::RANGE; }
                blocks {
                    block_small_keys_u64: keys, block::SMALL;
                    block_medium_keys_u64: keys, block::MEDIUM;
                    block_small_pairs_u64: pairs, block::SMALL;
                    block_medium_pairs_u64: pairs, block::MEDIUM;
                }
                merge {
                    merge_u64: keys, merge::shape::<u64>();
                    merge_pairs_u64: pairs, merge::shape::<u64>();
                }
                ranks { ranks_u64; }
                segments_in_warps { segments_in_warps_u64: keys, segments::WARPS_U64; }
                short_segments { segments_2176_u64: keys, segments::SHORT_U64; }
                long_segments {
                    segments_4352_u64: keys, segments::U64[0];
                    segments_8704_u64: keys, segments::U64[1];
                }
                verify { verify_u64; }
                verify_values { verify_values_u64; }
                gather { gather_u64; }
                numeric_codes { numeric_codes_u64; }
            }
            u128 {
                histograms { histogram_large_u128; histogram_small_u128; }
                look_back {
                    onesweep_keys_u128: recent keys match, onesweep::KEYS_U128;
                    onesweep_pairs_u128: recent pairs match, onesweep::PAIRS_U128;
                    onesweep_keys_baseline_u128: keys match, onesweep::KEYS_U128_BASELINE;
                    onesweep_pairs_baseline_u128: pairs match, onesweep::PAIRS_U128_BASELINE;
                }
                portioned {
                    onesweep_keys_wide_u128: recent keys match, onesweep::KEYS_U128;
                    onesweep_pairs_wide_u128: recent pairs match, onesweep::PAIRS_U128;
                    onesweep_keys_wide_baseline_u128: keys match, onesweep::KEYS_U128_BASELINE;
                    onesweep_pairs_wide_baseline_u128: pairs match, onesweep::PAIRS_U128_BASELINE;
                }
                single_wave {
                    few_keys_2048_u128: keys match, single_wave::PAIRS_LEAST;
                    few_keys_4096_u128: keys match, single_wave::PAIRS_FEW;
                    few_pairs_2048_u128: pairs match, single_wave::PAIRS_LEAST;
                    few_pairs_4096_u128: pairs match, single_wave::PAIRS_FEW;
                }
                blocks {
                    block_small_keys_u128: keys, block::SMALL;
                    block_small_pairs_u128: pairs, block::SMALL;
                }
                verify { verify_u128; }
                verify_values { verify_values_u128; }
                gather { gather_u128; }
            }
        }
    };
}
