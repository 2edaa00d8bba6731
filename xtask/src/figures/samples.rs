//! Tables of records that are lines of samples.

use super::{digits, number, path_of, read, size, source, table};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;

/// Medians of samples in seconds, by case, and where they come from.
pub(super) struct Samples {
    medians: BTreeMap<String, f64>,
    source: String,
}

impl Samples {
    pub(super) fn of(machine: &str, kind: &str) -> Result<Self> {
        let path = path_of(machine, kind)?;
        let (mut times, mut commit) = (BTreeMap::<String, Vec<f64>>::new(), String::new());
        for line in read(&path)?.lines() {
            let line: Value = serde_json::from_str(line).with_context(|| path.clone())?;
            match line["line"].as_str() {
                Some("environment") => {
                    commit = line["environment"]["commit"].as_str().unwrap_or_default().to_owned();
                }
                Some("sample") => {
                    let case = line["cell"].as_str().context("a sample of no case")?;
                    times.entry(case.to_owned()).or_default().push(number(&line, "seconds")?);
                }
                _ => (),
            }
        }
        ensure!(!times.is_empty(), "{path}: no samples");
        let median = |mut times: Vec<f64>| {
            times.sort_by(f64::total_cmp);
            let middle = times.len() / 2;
            if times.len() % 2 == 1 {
                times[middle]
            } else {
                times[middle - 1..=middle].iter().sum::<f64>() / 2.0
            }
        };
        let medians = times.into_iter().map(|(case, times)| (case, median(times))).collect();
        Ok(Self { medians, source: source(&path, &format!(", kernels of commit {commit}")) })
    }

    fn of_case(&self, case: &str) -> Result<f64> {
        self.medians.get(case).copied().with_context(|| format!("no samples of {case}"))
    }
}

/// Segments of one length, and of drawn ones, beside CUB's better segmented sort, where there are
/// samples of such.
pub(super) fn segments(samples: &Samples) -> Result<String> {
    let bits = 24;
    let mut rows = Vec::new();
    for (group, about) in [("segments", ""), ("ragged", " on average")] {
        for length in 0..=bits {
            let case = |key: &str, engine: &str| {
                format!("{group}/{key}-uniform-{}/{engine}/{}", 1 << bits, 1 << (bits - length))
            };
            let keys = ["u32", "u64", "u32+u32"];
            if !keys.iter().any(|key| samples.medians.contains_key(&case(key, "gpu"))) {
                continue;
            }
            let mut row = vec![size(1 << length) + about];
            for key in keys {
                if ["gpu", "cub"].iter().all(|of| !samples.medians.contains_key(&case(key, of))) {
                    row.extend(["-"; 3].map(str::to_owned));
                    continue;
                }
                let of = |engine| samples.of_case(&case(key, engine));
                let (ours, cub) = (of("gpu")?, of("cub")?);
                row.extend([digits(ours * 1e6), digits(cub * 1e6), format!("{:.2}", cub / ours)]);
            }
            rows.push(row);
        }
    }
    let mut columns = vec!["keys of a segment"];
    columns.extend(
        ["u32, us", "u64, us", "u32+u32, us"].iter().flat_map(|of| [of, "CUB, us", "ratio"]),
    );
    let columns: Vec<String> = columns.into_iter().map(str::to_owned).collect();
    let shown = table(&columns, &rows);
    Ok(format!("{shown}\n{}, CUB 3.5.0.\n", samples.source))
}

/// Levels on one GPU and on two.
pub(super) fn levels() -> Result<String> {
    let samples = Samples::of("h200-x2", "levels")?;
    let groups =
        ["batch/u32-uniform-1048576", "split/u32-uniform-67108864", "classic/i32-classic-50000000"];
    let mut rows = Vec::new();
    for group in groups {
        for level in [8, 16, 32, 64, 128] {
            let one = samples.of_case(&format!("{group}/gpu/{level}"))?;
            let two = samples.of_case(&format!("{group}/gpu@2-devices/{level}"))?;
            let times = [digits(one * 1e3), digits(two * 1e3), format!("{:.2}", one / two)];
            rows.push([vec![format!("`{group}`"), level.to_string()], times.to_vec()].concat());
        }
    }
    let columns = ["case", "level", "one GPU, ms", "two, ms", "speed-up"];
    Ok(format!("{}\n{}.\n", table(&columns.map(str::to_owned), &rows), samples.source))
}

/// An array that the GPUs' memory does not hold.
pub(super) fn larger() -> Result<String> {
    let case = "classic/u32-uniform-8589934592";
    let mut rows = Vec::new();
    let mut sources = Vec::new();
    for (kind, engine, gpus) in
        [("large_one", "gpu/16", "one"), ("large_two", "gpu@2-devices/32", "two")]
    {
        let samples = Samples::of("h200-x2", kind)?;
        let seconds = samples.of_case(&format!("{case}/{engine}"))?;
        let rate = digits((1u64 << 33) as f64 / seconds / 1e9);
        rows.push(vec![gpus.to_owned(), format!("{seconds:.2}"), rate]);
        sources.push(samples.source);
    }
    let columns = ["H200", "2^33 `u32`, s", "billions of keys a second"];
    Ok(format!("{}\n{}.\n", table(&columns.map(str::to_owned), &rows), sources.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_of_one_length_and_of_drawn_ones_have_rows_where_there_are_samples() {
        let mut samples = Samples { medians: BTreeMap::new(), source: "of a test".to_owned() };
        for (group, level, ours) in
            [("segments", 1, 2e-4), ("segments", 1 << 20, 1e-4), ("ragged", 1 << 16, 1.5e-4)]
        {
            for (key, engine, seconds) in [
                ("u32", "gpu", ours),
                ("u32", "cub", 3e-4),
                ("u64", "gpu", ours),
                ("u64", "cub", 6e-4),
            ] {
                samples
                    .medians
                    .insert(format!("{group}/{key}-uniform-16777216/{engine}/{level}"), seconds);
            }
        }
        let table = segments(&samples).unwrap();
        let rows: Vec<&str> = table.lines().skip(2).take(3).collect();
        assert_eq!(
            rows,
            [
                "| 2^4 | 100 | 300 | 3.00 | 100 | 600 | 6.00 | - | - | - |",
                "| 2^24 | 200 | 300 | 1.50 | 200 | 600 | 3.00 | - | - | - |",
                "| 2^8 on average | 150 | 300 | 2.00 | 150 | 600 | 4.00 | - | - | - |",
            ]
        );
        samples.medians.remove("ragged/u64-uniform-16777216/cub/65536");
        assert!(segments(&samples).is_err());
        samples.medians.remove("ragged/u64-uniform-16777216/gpu/65536");
        let row = "| 2^8 on average | 150 | 300 | 2.00 | - | - | - | - | - | - |";
        assert!(segments(&samples).unwrap().lines().any(|line| line == row));
    }
}
