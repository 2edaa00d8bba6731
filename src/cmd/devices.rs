//! `cudamark devices`: one array over several GPUs, beside the same over one.
//!
//! Standard output is a table, printed as it is measured.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use cudamark::table;
use suite::devices_engine::Gpus;
use suite::devices_report::{CaseRecord, DevicesReport};
use suite::engine::parse_level;
use suite::runners::devices;
use suite::turns::Turns;
use suite::workload::DEFAULT_SEED;
use suite::workload::sizes::sizes;
use suite::{Session, Unavailable, environment};

use super::classic::{print, sample_count};
use cudamark::output::{self, Output};

/// Sort one array over several GPUs and over one, and print the speed-ups.
///
/// Keys and pairs lie in the memory of the GPUs, a part in each, and so does the result; the
/// classic workload is sorted from and to host memory. Cases of one input are sampled by turns;
/// times are medians by the host's clock; every result is verified as a whole.
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
    #[arg(long, value_name = "SEED", default_value_t = DEFAULT_SEED)]
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
    for cases in report.plan(options.n, &options.levels) {
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
    format!("\n{}", table::text(&head, records.iter().map(row).collect(), 1))
}

fn number(text: &str) -> Result<usize, String> {
    match sizes(text)?[..] {
        [n] => Ok(n),
        _ => Err("one number, not a range; write it like 2^29".to_owned()),
    }
}
