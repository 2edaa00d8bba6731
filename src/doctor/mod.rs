//! What a machine lacks for benchmarks, and what to type.
//!
//! Each area looks at the machine once, into facts that are plain data, and makes its
//! findings of these alone: so each finding has a test that fakes its cause.
//!
//! | module | what it looks at |
//! |---|---|
//! | [`gpu`] | the driver, device nodes, each GPU, the kernels that the program carries |
//! | [`machine`] | cores, clock, memory, noise |
//! | [`build`] | compilers, cargo, git, the linker |
//! | [`python`] | every Python, and the libraries that peers import there |

pub mod build;
pub mod gpu;
pub mod machine;
pub mod python;

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;
use suite::workload::DEFAULT_SEED;
use suite::{Case, Error, Registry};

/// Version of the JSON form. It rises when a field changes its meaning or goes.
const VERSION: u32 = 1;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// All is well.
    Ok,
    /// Something is absent that is not in use.
    Note,
    /// Benchmarks run, but some are skipped or their times may mislead.
    Warning,
    /// Benchmarks cannot run.
    Fault,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Name of the subject: `driver`, `linker`.
    pub name: &'static str,
    /// How much it matters.
    pub state: State,
    /// One sentence.
    pub finding: String,
    /// What to do, where something is amiss.
    pub remedy: Option<String>,
}

impl Finding {
    fn ok(name: &'static str, finding: impl Into<String>) -> Self {
        Self { name, state: State::Ok, finding: finding.into(), remedy: None }
    }

    fn amiss(
        state: State,
        name: &'static str,
        finding: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { name, state, finding: finding.into(), remedy: Some(remedy.into()) }
    }

    /// A finding of a reason that ends in its remedy; `otherwise` where it has none.
    fn of_reason(state: State, name: &'static str, reason: &str, otherwise: &str) -> Self {
        let (finding, remedy) = reason.split_once("; ").unwrap_or((reason, otherwise));
        Self::amiss(state, name, finding, remedy)
    }
}

/// What was seen of the machine.
pub struct Facts {
    /// The GPUs and the driver.
    pub gpu: gpu::Facts,
    /// The CPU and the memory.
    pub machine: machine::Facts,
    /// What builds need.
    pub build: build::Facts,
    /// The Pythons.
    pub pythons: Vec<python::Facts>,
}

impl Facts {
    /// Those of this machine. Takes seconds.
    pub fn gather() -> Self {
        Self {
            gpu: gpu::Facts::gather(Path::new("/")),
            machine: machine::Facts::gather(),
            build: build::Facts::gather(),
            pythons: python::gather(),
        }
    }
}

/// All findings.
#[derive(Debug, Serialize)]
pub struct Report {
    version: u32,
    /// What can run: `gpu`, `cpu`, `nothing`.
    can_run: &'static str,
    /// Exit code of the command.
    pub exit_code: u8,
    findings: Vec<Finding>,
}

impl Report {
    /// The findings of `facts`.
    pub fn of(facts: &Facts) -> Self {
        let gpu = facts.gpu.findings();
        let machine = facts.machine.findings();
        let (can_run, exit_code) = match (facts.gpu.runs(), facts.machine.runs()) {
            (true, _) => ("gpu", 0),
            (false, true) => ("cpu", 3),
            (false, false) => ("nothing", 1),
        };
        let others = [facts.build.findings(), python::findings(&facts.pythons)];
        Self {
            version: VERSION,
            can_run,
            exit_code,
            findings: [gpu, machine].into_iter().chain(others).flatten().collect(),
        }
    }

    /// A line a finding, and one below it for the remedy.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let state = match finding.state {
                State::Ok => "ok",
                State::Note => "note",
                State::Warning => "warning",
                State::Fault => "fault",
            };
            // A String takes all that is written to it.
            let _ = writeln!(text, "{state:8} {:16} {}", finding.name, finding.finding);
            if let Some(remedy) = &finding.remedy {
                let _ = writeln!(text, "{:25} remedy: {remedy}", "");
            }
        }
        text + match self.can_run {
            "gpu" => "\nBenchmarks can run on the GPU and on the CPU.\n",
            "cpu" => "\nBenchmarks can run on the CPU; those of a GPU are skipped.\n",
            _ => "\nNo benchmark can run.\n",
        }
    }

    /// One object.
    pub fn json(&self) -> String {
        // Its fields are numbers and texts, which always become JSON.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// Has an engine sort `n` keys, until `enough` says so of the seconds that each sort took.
fn try_engine(
    name: &str,
    n: usize,
    mut enough: impl FnMut(&[f64]) -> bool,
) -> Result<Vec<f64>, String> {
    let words = |error: Error| match error.lacks() {
        Some(reason) => reason.to_owned(),
        None => error.into_cause().to_string(),
    };
    let case = Case::classic(name, n, 1);
    let mut runner = Registry::new(DEFAULT_SEED).build(&case).map_err(words)?;
    let mut seconds = Vec::new();
    while !enough(&seconds) {
        seconds.extend(runner.once().map_err(words)?.host_s);
    }
    Ok(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(gpu: Result<(), String>, cpu: Result<machine::Noise, String>) -> Report {
        let trial = gpu.map(|()| "NVIDIA H200".to_owned());
        Report::of(&Facts {
            gpu: gpu::Facts { trial, ..gpu::Facts::default() },
            machine: machine::Facts { trial: cpu, ..machine::tests::quiet() },
            build: build::tests::complete(),
            pythons: Vec::new(),
        })
    }

    #[test]
    fn the_exit_code_says_what_can_run() {
        let (runs, fails) = (machine::tests::quiet().trial, || Err("broken".to_owned()));
        let code = |gpu, cpu| report(gpu, cpu).exit_code;
        assert_eq!(code(Ok(()), runs.clone()), 0);
        assert_eq!(code(fails(), runs.clone()), 3);
        assert_eq!(code(fails(), fails().map(|()| unreachable!())), 1);
        let text = report(fails(), runs).text();
        assert!(text.ends_with("on the CPU; those of a GPU are skipped.\n"), "{text}");
    }

    #[test]
    fn what_is_amiss_has_one_sentence_and_one_remedy_in_both_forms() {
        let report = report(Err("broken".to_owned()), Err("no memory".to_owned()));
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!((&json["version"], &json["exit_code"]), (&1.into(), &1.into()));
        let text = report.text();
        for finding in json["findings"].as_array().unwrap() {
            let sentence = finding["finding"].as_str().unwrap();
            assert!(text.contains(sentence) && !sentence.contains('\n'), "{sentence}");
            let remedy = finding["remedy"].as_str();
            assert_eq!(remedy.is_none(), finding["state"] == "ok", "{finding}");
            assert!(remedy.is_none_or(|remedy| text.contains(remedy)), "{finding}");
        }
    }
}
