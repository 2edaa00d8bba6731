//! Times of large sorts on a GPU that nobody has measured, from those on an H200: bytes over the
//! bandwidth of the data sheet, and what is left of the time by the multiprocessors' cycles. The
//! same for an H100, beside its record, says how far off that may be.

use anyhow::{Context, Result};

use super::{Record, digits, number, size, table};

/// A GPU, by its data sheet.
struct Chip {
    bytes_per_s: f64,
    multiprocessors: f64,
    clock_hz: f64,
}

const H200: Chip = Chip { bytes_per_s: 4.8e12, multiprocessors: 132.0, clock_hz: 1.98e9 };
const H100: Chip = Chip { bytes_per_s: 3.35e12, ..H200 };
const B200: Chip = Chip { bytes_per_s: 8e12, multiprocessors: 148.0, clock_hz: 1.965e9 };

/// Types whose uniform keys are sorted by bucket from 2^25 on, and the bytes that an element then
/// moves: four reads and three writes of a key, three of each of a value.
const TYPES: [(&str, f64); 3] = [("u32", 28.0), ("u64", 56.0), ("u32+u32", 52.0)];

/// Seconds that bytes take a chip, and the rest that a measured time on an H200 leaves it.
fn parts(on_h200_s: f64, bytes: f64, chip: &Chip) -> (f64, f64) {
    let rest = (on_h200_s - bytes / H200.bytes_per_s).max(0.0);
    let speed = |chip: &Chip| chip.multiprocessors * chip.clock_hz;
    (bytes / chip.bytes_per_s, rest * speed(&H200) / speed(chip))
}

/// The table of predictions for a B200.
pub(super) fn b200() -> Result<String> {
    let records = [Record::of("h200", "peers")?, Record::of("h100", "peers")?];
    let [h200, h100] = [records[0].uniform("gpu", "cub")?, records[1].uniform("gpu", "cub")?];
    let head = ["n", "type", "memory, ms", "multiprocessors, ms", "**B200, 10^9/s**"];
    let check = ["H200, measured", "H100, predicted", "H100, measured"];
    let mut rows = Vec::new();
    for n in [1 << 26, 1 << 28] {
        for (kind, bytes) in TYPES {
            let bytes = bytes * n as f64;
            let measured = [&h200, &h100].map(|cells| {
                let cell = cells.get(&(kind, n)).with_context(|| format!("no {n} of {kind}"))?;
                Ok::<_, anyhow::Error>(number(cell, "ours_ms")? / 1e3)
            });
            let [on_h200_s, on_h100_s] = measured;
            let (on_h200_s, on_h100_s) = (on_h200_s?, on_h100_s?);
            let (memory_s, rest_s) = parts(on_h200_s, bytes, &B200);
            let of_h100 = parts(on_h200_s, bytes, &H100);
            let rate = |seconds: f64| digits(n as f64 / seconds / 1e9);
            rows.push(vec![
                size(n),
                kind.to_owned(),
                digits(memory_s * 1e3),
                digits(rest_s * 1e3),
                format!("**{}**", rate(memory_s + rest_s)),
                rate(on_h200_s),
                rate(of_h100.0 + of_h100.1),
                rate(on_h100_s),
            ]);
        }
    }
    let columns: Vec<String> = head.into_iter().chain(check).map(str::to_owned).collect();
    Ok(table(&columns, &rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_multiprocessors_are_scaled_each_by_itself() {
        let close = |(memory, rest): (f64, f64), expected: (f64, f64)| {
            assert!((memory - expected.0).abs() < 1e-9 && (rest - expected.1).abs() < 1e-9);
        };
        close(parts(3e-3, 4.8e9, &H200), (1e-3, 2e-3));
        close(parts(3e-3, 4.8e9, &H100), (4.8e9 / 3.35e12, 2e-3));
        let twice = Chip { multiprocessors: 264.0, bytes_per_s: 9.6e12, ..H200 };
        close(parts(3e-3, 4.8e9, &twice), (0.5e-3, 1e-3));
        // Faster than the data sheet allows: a cache held the keys.
        close(parts(0.5e-3, 4.8e9, &H200), (1e-3, 0.0));
    }
}
