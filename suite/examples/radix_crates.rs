//! Which radix sort is `cpu-radix` to be? Compares the crates that sort integers by radix
//! with each other on this machine, and prints the tables that docs/PEERS.md shows:
//!
//! ```console
//! $ cargo run --release -p suite --example radix_crates -- radix_crates.json
//! ```
//!
//! Sorts take turns on fresh copies of one input, and every result is compared with
//! that of `sort_unstable`. The file gets every time and the machine.

use std::error::Error;
use std::fs;
use std::time::Instant;

use radsort::sort as radsort;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use rdst::RadixSort as _;
use serde::Serialize;
use suite::environment::Environment;
use suite::statistics;
use suite::workload::{CLASSIC_N, DEFAULT_SEED, Distribution, Workload};
use voracious_radix_sort::RadixSort as _;

/// Version of the file.
const VERSION: u32 = 1;
/// Repeats of each sort, input and number of threads.
const SAMPLES: usize = 7;
const THREADS: [usize; 4] = [1, 2, 8, 128];
const DISTRIBUTIONS: [Distribution; 2] = [Distribution::Classic, Distribution::Uniform];

/// A sort, of a slice by a number of threads.
struct CrateSort {
    name: &'static str,
    /// True if it can use more than one.
    parallel: bool,
    sort: fn(&mut [i32], usize),
}

const SORTS: [CrateSort; 5] = [
    CrateSort { name: "rdst", parallel: true, sort: |keys, _| keys.radix_sort_unstable() },
    CrateSort {
        name: "rdst, low memory",
        parallel: true,
        sort: |keys, _| keys.radix_sort_builder().with_low_mem_tuner().sort(),
    },
    CrateSort {
        name: "voracious_mt_sort",
        parallel: true,
        sort: |keys, threads| keys.voracious_mt_sort(threads),
    },
    CrateSort { name: "radsort", parallel: false, sort: |keys, _| radsort(keys) },
    CrateSort {
        name: "rayon's par_sort_unstable",
        parallel: true,
        sort: |keys, _| keys.par_sort_unstable(),
    },
];

/// The file.
#[derive(Serialize)]
struct Record {
    version: u32,
    environment: Environment,
    n: usize,
    seed: u64,
    rows: Vec<Row>,
}

/// The times of one sort.
#[derive(Serialize)]
struct Row {
    distribution: &'static str,
    #[serde(rename = "candidate")]
    sort: &'static str,
    threads: usize,
    seconds: Vec<f64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1);
    let path = path.ok_or("the file to write is missing: radix_crates.json")?;
    let mut record = Record {
        version: VERSION,
        environment: Environment::here(None),
        n: CLASSIC_N,
        seed: DEFAULT_SEED,
        rows: Vec::new(),
    };
    for distribution in DISTRIBUTIONS {
        let rows = contest(Workload { n: record.n, distribution, seed: record.seed })?;
        print!("{}", table(distribution, &rows));
        record.rows.extend(rows);
    }
    fs::write(path, serde_json::to_string_pretty(&record)? + "\n")?;
    Ok(())
}

/// All sorts on one input, by turns.
fn contest(workload: Workload) -> Result<Vec<Row>, Box<dyn Error>> {
    let input: Vec<i32> = workload.generate()?;
    let mut sorted = input.clone();
    sorted.par_sort_unstable();
    let mut work = input.clone();
    let mut rows = Vec::new();
    for threads in THREADS {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build()?;
        let able = |sort: &&CrateSort| threads == 1 || sort.parallel;
        let sorts: Vec<&CrateSort> = SORTS.iter().filter(able).collect();
        let mut seconds = vec![Vec::new(); sorts.len()];
        for _ in 0..SAMPLES {
            for (sort, seconds) in sorts.iter().zip(&mut seconds) {
                work.copy_from_slice(&input);
                seconds.push(timed(sort, &mut work, &pool));
                if work != sorted {
                    return Err(format!("{}: wrong result", sort.name).into());
                }
            }
        }
        rows.extend(sorts.iter().zip(seconds).map(|(sort, seconds)| Row {
            distribution: workload.distribution.name(),
            sort: sort.name,
            threads,
            seconds,
        }));
    }
    Ok(rows)
}

/// Seconds of one sort, in a pool that has started.
fn timed(sort: &CrateSort, keys: &mut [i32], pool: &ThreadPool) -> f64 {
    let threads = pool.current_num_threads();
    pool.broadcast(|_| ());
    let start = Instant::now();
    pool.install(|| (sort.sort)(keys, threads));
    start.elapsed().as_secs_f64()
}

/// Medians in milliseconds, least and greatest in brackets, as a table in Markdown.
fn table(distribution: Distribution, rows: &[Row]) -> String {
    let threads = THREADS.map(|threads| threads.to_string()).join(" | ");
    let rule = "---|".repeat(THREADS.len() + 1);
    let mut table = format!("\n{distribution}\n\n| threads | {threads} |\n|{rule}\n");
    for sort in &SORTS {
        let of = |threads| {
            let mut rows = rows.iter();
            rows.find(|row| (row.sort, row.threads) == (sort.name, threads))
        };
        let cases = THREADS.map(|threads| of(threads).map_or_else(String::new, figure));
        table += &format!("| {} | {} |\n", sort.name, cases.join(" | "));
    }
    table
}

fn figure(row: &Row) -> String {
    let least = row.seconds.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = row.seconds.iter().copied().fold(0.0, f64::max);
    let [median, least, greatest] =
        [statistics::median(&row.seconds), least, greatest].map(|seconds| (seconds * 1e3).round());
    format!("{median} ({least}..{greatest})")
}
