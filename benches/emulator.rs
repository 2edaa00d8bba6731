//! How long does a sort take in the emulator, and what does each check cost?
//!
//! Group `emulator`: the whole radix sort of uniform u32 keys, a histogram and four
//! passes in the shape of `KEYS_U32_SOME`, on one core, as in
//! `emulator/races/u32-uniform-100000/1`. In place of engines there are levels of
//! checking: `bounds` (which are always checked), `written` (and reads of what
//! nobody wrote), `races` (and the order of all accesses), and `random` (and a random
//! schedule with stale reads). Every sort is verified outside the timed interval.
//!
//! `CUDAMARK_EMULATOR_N` chooses the number of keys, 100,000 where it is not set; the
//! time is linear in it.
//!
//! How to read it: the keys a second decide how many schedules a test can afford.

use criterion::{BatchSize, BenchmarkId, Criterion, SamplingMode, Throughput};
use cuda_std::emu::{Buffer, Checks, Options, launch};
use gpu_kernels::{control, entries, policy, tile};
use std::time::Duration;

const N: &str = "CUDAMARK_EMULATOR_N";
const DEFAULT_N: usize = 100_000;
/// Blocks and threads of the histogram.
const HISTOGRAM: (u32, u32) = (2, 256);

/// The device memory of one sort.
struct Sort {
    keys: Vec<u32>,
    input: Buffer<u32>,
    output: Buffer<u32>,
    scratch: Buffer<u32>,
    control: Buffer<u32>,
}

impl Sort {
    fn new(n: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(42);
        let keys: Vec<u32> = (0..n).map(|_| random.u32(..)).collect();
        let tiles = n.div_ceil(policy::onesweep::KEYS_U32_SOME.tile());
        Sort {
            input: Buffer::from_slice(&keys),
            output: Buffer::uninitialised(n),
            scratch: Buffer::uninitialised(n),
            control: Buffer::zeroed(control::words(4, tiles)),
            keys,
        }
    }

    /// Runs all launches; an error is what a check found.
    fn run(&self, options: &Options) -> Result<(), String> {
        let shape = policy::onesweep::KEYS_U32_SOME;
        let n = self.keys.len() as u32;
        let tiles = n.div_ceil(shape.tile() as u32);
        let (input, output) = (self.input.global(), self.output.global());
        let (scratch, control) = (self.scratch.global(), self.control.global());
        let (blocks, threads) = HISTOGRAM;
        let shared = policy::histogram_shared_bytes(4, policy::HISTOGRAM_BYTES_SMALL);
        let keys = u64::from(n);
        launch(blocks, threads, shared, options, || unsafe {
            entries::histogram_small_u32(input, control, keys, tiles, 0, 0, 32, 0)
        })
        .map_err(|finding| finding.to_string())?;
        let shared = tile::shared_bytes::<u32>(shape.threads, shape.items, false);
        for place in 0..4 {
            launch(tiles, shape.threads as u32, shared, options, || unsafe {
                let shift = 8 * place;
                entries::onesweep_keys_some_u32(
                    input, output, scratch, control, keys, place, shift, 255, 0, 0, 0, 0,
                )
            })
            .map_err(|finding| finding.to_string())?;
        }
        Ok(())
    }

    /// Whether the output is the input in order.
    fn is_right(&self) -> bool {
        let mut sorted = self.keys.clone();
        sorted.sort_unstable();
        self.output.to_vec() == sorted
    }
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(5))
        .configure_from_args();
    if let Err(message) = emulator(&mut criterion) {
        eprintln!("error: {message}");
        std::process::exit(1);
    }
    criterion.final_summary();
}

fn emulator(criterion: &mut Criterion) -> Result<(), String> {
    let n = match std::env::var(N) {
        Err(_) => DEFAULT_N,
        Ok(text) => match text.replace([',', '_'], "").parse() {
            Ok(n) if n > 0 => n,
            _ => {
                return Err(format!(
                    "{N}: `{text}` is no number of keys; give 1 or more"
                ));
            }
        },
    };
    let levels = [
        ("bounds", Options::unchecked()),
        (
            "written",
            Options {
                checks: Checks::Written,
                ..Options::in_order()
            },
        ),
        ("races", Options::in_order()),
        (
            "random",
            Options {
                resident: 4,
                impatience: 0,
                shuffle_blocks: false,
                ..Options::random(1)
            },
        ),
    ];
    let mut group = criterion.benchmark_group("emulator");
    group.throughput(Throughput::Elements(n as u64));
    group.sampling_mode(SamplingMode::Flat);
    let mut failure = None;
    for (name, options) in levels {
        let id = BenchmarkId::new(name, format!("u32-uniform-{n}/1"));
        group.bench_function(id, |bencher| {
            bencher.iter_batched(
                || Sort::new(n),
                |sort| {
                    let result = sort.run(&options);
                    (sort, result)
                },
                BatchSize::PerIteration,
            );
            // Once more, to look at the result: runs are all the same.
            let sort = Sort::new(n);
            match sort.run(&options) {
                Ok(()) if sort.is_right() => {}
                Ok(()) => failure = Some(format!("{name}: the output is not sorted")),
                Err(finding) => failure = Some(finding),
            }
        });
        if let Some(message) = failure.take() {
            return Err(message);
        }
    }
    group.finish();
    Ok(())
}
