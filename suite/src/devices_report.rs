//! The report of `cudamark devices`: one array over several GPUs and over one, by turns.

use serde::Serialize;

use crate::case::Case;
use crate::classic::Level;
use crate::environment::Environment;
use crate::error::Error;
use crate::group::Group;
use crate::lines::{Sample, VERSION};
use crate::session::Session;
use crate::turns::Turns;
use crate::{devices_engine, tiers};
use host::gpu::devices::Devices;

/// Elements for which the fields of the record are named.
const N: usize = 1 << 29;

/// A comparison of several GPUs with one. Every time is of a verified result.
#[derive(Clone, Debug, Serialize)]
pub struct DevicesReport {
    /// [`VERSION`].
    pub version: u32,
    /// Each GPU, in the order of the parts.
    pub devices: Vec<String>,
    /// The way of copies from each GPU to each: `within` one, to a `peer`, or `staged` through
    /// the host.
    pub links: Vec<Vec<&'static str>>,
    /// Seed the keys were drawn from.
    pub seed: u64,
    /// The machine.
    pub environment: Environment,
    /// Milliseconds of the classic workload over all GPUs, at the best level.
    pub classic_ms: Option<f64>,
    /// 10^9 keys a second of 2^29 u32 over all GPUs, where they were measured.
    pub u32_2_29_gkeys: Option<f64>,
    /// 10^9 pairs a second of 2^29 u32 with u32 values.
    pub pairs_2_29_gpairs: Option<f64>,
    /// The samples behind them.
    #[serde(rename = "cells")]
    pub cases: Vec<CaseRecord>,
}

/// The samples of a case.
#[derive(Clone, Debug, Serialize)]
pub struct CaseRecord {
    /// Its name.
    #[serde(rename = "cell")]
    pub case: Case,
    /// GPUs that sort.
    pub gpus: usize,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Level,
}

impl CaseRecord {
    fn new(case: &Case, samples: &[Sample]) -> Self {
        let gpus = devices_engine::gpus(case);
        Self { case: case.clone(), gpus, figures: Level::new(case, samples) }
    }

    /// 10^9 elements a second.
    pub fn giga(&self) -> f64 {
        self.case.n as f64 / self.figures.median_s / 1e9
    }
}

impl DevicesReport {
    /// A report without cases yet.
    pub fn new(devices: &Devices, seed: u64, environment: Environment) -> Self {
        let all = 0..devices.all().len();
        let row = |from| all.clone().map(|to| devices.link(from, to).name()).collect();
        Self {
            version: VERSION,
            devices: devices.all().iter().map(|device| device.label()).collect(),
            links: all.clone().map(row).collect(),
            seed,
            environment,
            classic_ms: None,
            u32_2_29_gkeys: None,
            pairs_2_29_gpairs: None,
            cases: Vec::new(),
        }
    }

    /// Inputs whose cases are taken by turns: keys and pairs of `n` on the GPUs, over one, two,
    /// four and so on, and all; and the classic workload over one and all at `levels`.
    pub fn plan(&self, n: usize, levels: &[usize]) -> Vec<Vec<Case>> {
        let count = self.devices.len();
        let resident = |kind: &str| -> Vec<Case> {
            let case = Case::new(Group::Devices.name(), "gpu", (kind, "uniform", n), 1);
            tiers::device_counts(count).into_iter().map(|level| case.at_level(level)).collect()
        };
        let classic = |&level: &usize| {
            let case = |engine: &str| Case::classic(engine, crate::workload::CLASSIC_N, level);
            vec![case("gpu"), case(&devices_engine::name(count))]
        };
        let mut plan = vec![resident("u32"), resident("u32+u32")];
        plan.extend(levels.iter().map(classic));
        plan
    }

    /// Samples the cases of one input by turns, and adds them. The first that fails is the error.
    pub fn measure(
        &mut self,
        session: &Session,
        cases: &[Case],
        turns: Turns,
    ) -> Result<&[CaseRecord], Error> {
        let sampler = |case: &Case| Ok(session.sampler(case, session.registry.build(case)?));
        let taken = turns.take(cases.iter().map(sampler).collect());
        let begin = self.cases.len();
        for (case, samples) in cases.iter().zip(taken) {
            self.add(CaseRecord::new(case, &samples?));
        }
        Ok(&self.cases[begin..])
    }

    /// Adds a case, and takes its figure if it is over all GPUs.
    fn add(&mut self, record: CaseRecord) {
        let (ms, giga) = (record.figures.median_s * 1e3, record.giga());
        match (record.case.group.as_str(), record.case.kind.as_str(), record.case.n) {
            _ if record.gpus < self.devices.len() => {}
            ("classic", ..) => {
                self.classic_ms = Some(self.classic_ms.map_or(ms, |best| best.min(ms)));
            }
            (_, "u32", N) => self.u32_2_29_gkeys = Some(giga),
            (_, "u32+u32", N) => self.pairs_2_29_gpairs = Some(giga),
            _ => {}
        }
        self.cases.push(record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> DevicesReport {
        DevicesReport {
            version: VERSION,
            devices: vec!["GPU 0 (A)".to_owned(), "GPU 1 (A)".to_owned()],
            links: Vec::new(),
            seed: 1,
            environment: Environment::here(None),
            classic_ms: None,
            u32_2_29_gkeys: None,
            pairs_2_29_gpairs: None,
            cases: Vec::new(),
        }
    }

    fn record(name: &str, seconds: f64) -> CaseRecord {
        let case: Case = name.parse().unwrap();
        CaseRecord::new(&case, &[Sample::by_host("", case.clone(), 0, seconds)])
    }

    #[test]
    fn figures_are_those_over_all_gpus_at_the_best_level() {
        let mut report = report();
        for (name, seconds) in [
            ("devices/u32-uniform-536870912/gpu/1", 0.008),
            ("devices/u32-uniform-536870912/gpu/2", 0.004),
            ("devices/u32-uniform-1024/gpu/2", 0.001),
            ("devices/u32+u32-uniform-536870912/gpu/2", 0.008),
            ("classic/i32-classic-50000000/gpu/8", 0.003),
            ("classic/i32-classic-50000000/gpu@2-devices/8", 0.006),
            ("classic/i32-classic-50000000/gpu@2-devices/16", 0.005),
            ("classic/i32-classic-50000000/gpu@2-devices/32", 0.007),
        ] {
            report.add(record(name, seconds));
        }
        assert_eq!(report.classic_ms, Some(5.0));
        assert_eq!(report.u32_2_29_gkeys, Some(N as f64 / 0.004 / 1e9));
        assert_eq!(report.pairs_2_29_gpairs, Some(N as f64 / 0.008 / 1e9));
        let gpus: Vec<usize> = report.cases.iter().map(|case| case.gpus).collect();
        assert_eq!(gpus, [1, 2, 2, 2, 1, 2, 2, 2]);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["cells"][1]["cell"], "devices/u32-uniform-536870912/gpu/2");
        assert_eq!(json["cells"][1]["samples_s"][0], 0.004);
    }

    #[test]
    fn a_plan_takes_one_gpu_and_all_by_turns() {
        let plan = report().plan(1 << 20, &[8]);
        let names: Vec<Vec<String>> =
            plan.iter().map(|cases| cases.iter().map(Case::to_string).collect()).collect();
        assert_eq!(
            names,
            [
                ["devices/u32-uniform-1048576/gpu/1", "devices/u32-uniform-1048576/gpu/2"],
                ["devices/u32+u32-uniform-1048576/gpu/1", "devices/u32+u32-uniform-1048576/gpu/2"],
                [
                    "classic/i32-classic-50000000/gpu/8",
                    "classic/i32-classic-50000000/gpu@2-devices/8"
                ],
            ]
        );
    }
}
