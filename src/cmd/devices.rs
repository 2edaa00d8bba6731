//! `cudamark devices`: one array over several GPUs, beside the same over one.
//!
//! Standard output is a table, printed as it is measured.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use cudamark::table;
use suite::devices_engine::Gpus;
use suite::devices_report::{CaseRecord, DevicesReport};
use suite::engine::parse_level;
use suite::runners::devices;
use suite::turns::Turns;
use suite::workload::{DEFAULT_SEED, parse_seed};
use suite::{Session, Unavailable, environment};

use super::classic::{print, sample_count};
use super::{number, once_each};
use cudamark::output::{self, Output};

/// Sort one array over several GPUs and over one, and print the speed-ups.
///
/// Keys and pairs lie in the memory of the GPUs, a part in each, and so does the result; the
/// classic workload is sorted from and to host memory. Cases of one input are sampled by turns;
/// times are medians by the host's clock; every result is verified as a whole. NVML watches each
/// GPU, and a line says whether it was slowed down.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// GPUs: all, or how many from the first on, 2 or more.
    #[arg(long, value_name = "all|N", default_value = "all")]
    devices: Gpus,

    /// Number of keys, and of pairs, on the GPUs.
    #[arg(long, value_name = "N", value_parser = number, default_value = "2^29")]
    n: usize,

    /// Concurrency levels of the classic workload.
    #[arg(
        long, value_name = "LIST", value_delimiter = ',', value_parser = parse_level,
        default_value = "4,8,16,32"
    )]
    levels: Vec<usize>,

    /// Samples of each case, at least.
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = sample_count)]
    samples: usize,

    /// Where the draws of the keys start.
    #[arg(long, value_name = "SEED", default_value_t = DEFAULT_SEED, value_parser = parse_seed)]
    seed: u64,

    /// Write the record to this file: every sample, and the machine.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    let count = options.devices.count();
    if count < 2 {
        let reason = match environment::gpus().len() {
            0 => host::gpu::Device::open().err().map_or_else(String::new, |missing| missing.0),
            _ => "one GPU is nothing to compare with; show more (CUDA_VISIBLE_DEVICES)".to_owned(),
        };
        return Err(Unavailable { engine: "devices", reason }.into());
    }
    let devices = devices::first(count)?;
    let [json] = Output::open_all([options.json.as_deref()])?;
    let session = Session::new(options.seed, "devices", true, Box::new(|_| Ok(())));
    let environment = session.environment.environment.clone();
    let mut report = DevicesReport::new(&devices, options.seed, environment);
    print(&format!("{}\n", report.devices.join(", ")))?;
    for cases in report.plan(options.n, &once_each(options.levels.iter().copied())) {
        let records = report.measure(&session, &cases, Turns::of(options.samples))?;
        print(&lines(records))?;
    }
    if let Some(output) = json {
        output.write(&output::json(&report)?)?;
    }
    Ok(())
}

/// A table of the cases of one input, the first of which is over one GPU.
fn lines(records: &[CaseRecord]) -> String {
    let one = records.first().map_or(f64::NAN, |record| record.figures.median_s);
    let row = |record: &CaseRecord| {
        let speed_up = one / record.figures.median_s;
        vec![
            format!("{}/{}", record.case.group, record.case.input()),
            record.gpus.to_string(),
            record.case.level.to_string(),
            format!("{:.3}", record.figures.median_s * 1e3),
            format!("{:.2}", record.giga()),
            format!("{speed_up:.2}"),
            format!("{:.0} %", 100.0 * speed_up / record.gpus as f64),
        ]
    };
    let head = ["", "GPUs", "level", "median ms", "G/s", "speed-up", "efficiency"];
    let rows = records.iter().map(row).collect();
    format!("\n{}{}", table::text(&head, rows, 1), watched(records))
}

/// A line for each GPU: how NVML saw it after the samples of cases over several.
fn watched(records: &[CaseRecord]) -> String {
    let gpus = records.iter().map(|record| record.figures.watched.len()).max().unwrap_or(0);
    if gpus == 0 {
        return "No GPU was watched: NVML does not answer.\n".to_owned();
    }
    let line = |gpu: usize| {
        let (mut clock, mut slowed, mut samples) = (f64::INFINITY, 0, 0);
        let mut reasons = BTreeSet::new();
        for figures in records.iter().map(|record| &record.figures) {
            if let Some(watched) = figures.watched.get(gpu) {
                clock = watched.sm_clock_min_hz.map_or(clock, |hertz| clock.min(hertz));
                slowed += watched.slowed;
                samples += figures.samples_s.len();
                reasons.extend(watched.slowdowns.iter().map(String::as_str));
            }
        }
        if clock.is_infinite() {
            return format!("GPU {gpu} was not watched: NVML does not say its clock.\n");
        }
        let slowed = match slowed {
            0 => "not slowed down".to_owned(),
            _ => {
                let reasons: Vec<&str> = reasons.into_iter().collect();
                format!("slowed down at {slowed} of {samples} samples: {}", reasons.join(", "))
            }
        };
        format!("GPU {gpu} was watched: {:.2} GHz or more, {slowed}.\n", clock / 1e9)
    };
    (0..gpus).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use suite::classic::Level;
    use suite::nvml::Watched;
    use suite::{Case, Sample};

    fn record(gpus: usize, watched: Vec<Watched>) -> CaseRecord {
        let case: Case = format!("devices/u32-uniform-1024/gpu/{gpus}").parse().unwrap();
        let samples = [0, 1].map(|index| Sample::by_host("", case.clone(), index, 0.5));
        let figures = Level { watched, ..Level::new(&case, &samples) };
        CaseRecord { case, gpus, figures }
    }

    fn seen(ghz: f64, slowdowns: &[&str]) -> Watched {
        Watched {
            sm_clock_min_hz: Some(ghz * 1e9),
            slowed: slowdowns.len(),
            slowdowns: slowdowns.iter().map(|&reason| reason.to_owned()).collect(),
            ..Watched::default()
        }
    }

    #[test]
    fn each_gpu_is_said_to_be_slowed_down_or_not() {
        let power = ["power-cap"];
        let records = [
            record(1, Vec::new()),
            record(2, vec![seen(1.9, &[]), seen(1.5, &power)]),
            record(3, vec![seen(1.98, &[]), seen(1.7, &power), Watched::default()]),
        ];
        let text = lines(&records);
        let expected = "GPU 0 was watched: 1.90 GHz or more, not slowed down.\n\
                        GPU 1 was watched: 1.50 GHz or more, slowed down at 2 of 4 samples: \
                        power-cap.\n\
                        GPU 2 was not watched: NVML does not say its clock.\n";
        assert!(text.ends_with(expected), "{text}");
        let none = lines(&records[..1]);
        assert!(none.ends_with("\nNo GPU was watched: NVML does not answer.\n"), "{none}");
    }
}
