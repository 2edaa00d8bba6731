//! `cudamark compare` from outside, over executables that are scripts: each hands out
//! records that were made up, so that a test knows what must be said of them.

mod common;
mod stand_ins;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::{contains, cudamark, executable, one_line, program, text, wait_until};
use regress::schema::{Line, Run, Store};
use serde_json::Value;
use stand_ins::{count_lines, only_store, runs, stores_in, track};
use suite::environment::Environment;
use suite::lines::{self, EnvironmentLine};
use suite::{Case, Sample};
use tempfile::TempDir;

const CASE: &str = "cpu/u32-uniform/cpu-std/1/1000";
const GPU_CASE: &str = "device/u32-uniform/gpu/1/1000";

/// Made-up `cudamark sample`: hands out the records beside it, in turns if there are two.
const SCRIPT: &str = r#"#!/bin/sh
sleep DELAY
here=$(dirname "$0")
for word; do
  if [ "$word" = --list ]; then exec cat "$here/cases"; fi
  if [ "$last" = --json ]; then file=$word; fi
  last=$word
done
turn=$(($(wc -l < "$here/turns") % TURNS))
echo turn >> "$here/turns"
exec cp "$here/records-$turn" "$file"
"#;

#[derive(Clone, Copy)]
struct Made {
    case: &'static str,
    seconds: f64,
    cycles: Option<f64>,
    slowed_down: bool,
    ptx: &'static str,
}

impl Made {
    fn cpu(seconds: f64) -> Self {
        Self { case: CASE, seconds, cycles: None, slowed_down: false, ptx: "one" }
    }

    fn gpu(seconds: f64, cycles: f64) -> Self {
        Self { case: GPU_CASE, cycles: Some(cycles), ..Self::cpu(seconds) }
    }

    fn records(&self) -> String {
        let mut environment = Environment::here(None);
        environment.ptx_sha256 = Some(self.ptx.to_owned());
        let environment = EnvironmentLine::new(environment, 42, "default");
        let id = environment.id.clone();
        let case: Case = self.case.parse().unwrap();
        let samples = (0..3).map(|index| {
            // The least counts: the others are in its way.
            let late = f64::from(index) * 0.5 * self.seconds;
            let mut sample = Sample::by_host(&id, case.clone(), index, self.seconds + late);
            sample.sm_cycles = self.cycles.map(|cycles| cycles + f64::from(index));
            sample.slowdowns = vec!["power-cap".to_owned(); usize::from(self.slowed_down)];
            lines::Line::Sample(Box::new(sample))
        });
        let environment = lines::Line::Environment(Box::new(environment));
        let all = std::iter::once(environment).chain(samples);
        all.map(|line| lines::to_text(&line).unwrap()).collect()
    }
}

/// A folder with executables in it, which is the target folder too.
struct TestDir(TempDir);

impl TestDir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// An executable that hands out `turns`, one after the other.
    fn executable(&self, name: &str, turns: &[Made]) -> PathBuf {
        self.slow_executable(name, turns, "0")
    }

    /// Two that hand out the same.
    fn two(&self, made: Made) -> [PathBuf; 2] {
        ["base", "head"].map(|name| self.executable(name, &[made]))
    }

    fn slow_executable(&self, name: &str, turns: &[Made], delay: &str) -> PathBuf {
        let path = self.path().join(name).join("cudamark");
        let script = SCRIPT.replace("TURNS", &turns.len().to_string());
        // The name makes two of them differ in their hashes.
        executable(&path, &(script.replace("DELAY", delay) + &format!("# {name}\n")));
        for (turn, made) in turns.iter().enumerate() {
            fs::write(path.with_file_name(format!("records-{turn}")), made.records()).unwrap();
        }
        fs::write(path.with_file_name("turns"), "").unwrap();
        fs::write(path.with_file_name("cases"), format!("{}\n", turns[0].case)).unwrap();
        path
    }

    fn command(&self, base: &Path, head: &Path, more: &[&str]) -> Command {
        let mut command = cudamark(&["compare", "cell", "--base-exe"]);
        command.arg(base).arg("--head-exe").arg(head).args(more);
        command.env("CARGO_TARGET_DIR", self.path());
        command
    }

    fn compare(&self, base: &Path, head: &Path, more: &[&str]) -> Output {
        self.command(base, head, more).output().unwrap()
    }

    /// Compares what was made up; returns the exit code and the only row as JSON.
    fn row(&self, base: &[Made], head: &[Made], more: &[&str]) -> (i32, Value) {
        let base = self.executable("base", base);
        let head = self.executable("head", head);
        let arguments = [&["--format", "json"], more].concat();
        let output = self.compare(&base, &head, &arguments);
        let json: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)));
        assert_eq!(json["version"], 2);
        assert_eq!(json["cells"].as_array().unwrap().len(), 1);
        (output.status.code().unwrap(), json["cells"][0].clone())
    }

    fn track(&self) -> PathBuf {
        track(self.path())
    }
}

/// Replaces a part of a script.
fn edit(script: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(script).unwrap();
    assert!(text.contains(from));
    fs::write(script, text.replacen(from, to, 1)).unwrap();
}

/// The only line of an error, which has the exit code of what has no verdict.
fn refusal(output: &Output) -> String {
    assert_eq!(text(&output.stdout), "");
    let line = one_line(output, 2);
    assert!(line.starts_with("cudamark: "), "{line}");
    line
}

#[test]
fn the_exit_code_says_same_slower_or_not_judged() {
    let dir = TestDir::new();
    for (seconds, wanted, reason) in [
        (1.0, (0, "same"), "change-ruled-out"),
        (1.1, (1, "slower"), "above-noise-floor"),
        (0.5, (0, "faster"), "above-noise-floor"),
    ] {
        let (code, row) = dir.row(&[Made::cpu(1.0)], &[Made::cpu(seconds)], &[]);
        assert_eq!((code, row["verdict"].as_str().unwrap()), wanted);
        assert_eq!(row["reason"], reason);
        let ratio = row["ratio"].as_f64().unwrap();
        assert!((ratio - seconds).abs() < 1e-9, "the least sample counts: {ratio}");
    }
    // Two of its processes are a round's: half of the rounds say one thing, half another,
    // each by another amount, or their averages would all be nothing.
    let restless: Vec<Made> = [0.5, 2.0, 0.6, 1.7, 0.7, 1.4, 0.8, 1.2]
        .into_iter()
        .flat_map(|seconds| [Made::cpu(seconds); 2])
        .collect();
    let (code, row) = dir.row(&[Made::cpu(1.0)], &restless, &["--budget", "1s"]);
    assert_eq!((code, &row["verdict"]), (2, &"unsure".into()));
}

#[test]
fn a_threshold_lets_small_slowdowns_pass_the_exit_code() {
    let dir = TestDir::new();
    for (threshold, wanted) in [("15%", 0), ("5%", 1)] {
        let more = ["--threshold", threshold];
        let (code, row) = dir.row(&[Made::cpu(1.0)], &[Made::cpu(1.1)], &more);
        assert_eq!((code, &row["verdict"]), (wanted, &"slower".into()));
    }
}

#[test]
fn a_gpu_must_agree_in_cycles_and_says_what_it_ran() {
    let dir = TestDir::new();
    let base = Made::gpu(1e-3, 2e6);
    let slower = Made { slowed_down: true, ..Made::gpu(1.2e-3, 2.4e6) };
    let (code, row) = dir.row(&[base], &[slower], &[]);
    assert_eq!((code, &row["verdict"]), (1, &"slower".into()));
    assert_eq!(row["in_cycles"], "slower");
    assert_eq!(row["same_ptx"], true);
    // Half of the processes are the head's, with three samples each.
    let processes = row["blocks"].as_u64().unwrap() * 4;
    assert_eq!(row["slowed_down"], processes / 2 * 3);
    // A clock that was lower is no slower kernel.
    let cooler = Made { ptx: "another", ..Made::gpu(1.2e-3, 2e6) };
    let (code, row) = dir.row(&[base], &[cooler], &[]);
    assert_eq!((code, &row["verdict"]), (2, &"unsure".into()));
    assert_eq!((&row["in_cycles"], &row["same_ptx"]), (&"same".into(), &false.into()));
    // Kernels are what a GPU runs.
    let (_, row) = dir.row(&[Made::cpu(1.0)], &[Made::cpu(1.0)], &[]);
    assert_eq!((&row["in_cycles"], &row["same_ptx"]), (&Value::Null, &false.into()));
}

#[test]
fn text_and_markdown_show_the_same_table_and_notes() {
    let dir = TestDir::new();
    let base = dir.executable("base", &[Made::gpu(1e-3, 2e6)]);
    let slower = Made { slowed_down: true, ..Made::gpu(1.2e-3, 2.4e6) };
    let head = dir.executable("head", &[slower]);
    let output = dir.compare(&base, &head, &[]);
    assert_eq!(output.status.code(), Some(1));
    let table = text(&output.stdout);
    let mut lines = table.lines();
    let columns = ["case", "verdict", "change", "interval", "noise floor", "rounds", "notes"];
    let head_line = lines.next().unwrap();
    assert!(columns.iter().all(|column| head_line.contains(column)), "{table}");
    let row = lines.next().unwrap();
    let notes = "the kernels' PTX is the same; slower in cycles; GPU slowed down after ";
    contains(row, &[GPU_CASE, "slower", "+20.0 %", "+20.0 % to +20.0 %", "+0.0 %", notes]);
    assert!(table.contains("\nthis machine is not calibrated"), "{table}");
    let output = dir.compare(&base, &head, &["--format", "markdown"]);
    let markdown = text(&output.stdout);
    let squeezed = |line: &str| line.split_whitespace().collect::<Vec<&str>>().join(" ");
    let lines: Vec<String> = markdown.lines().map(squeezed).collect();
    assert_eq!(lines[0], format!("| {} |", columns.join(" | ")));
    assert_eq!(lines[1].replace('-', ""), "|".repeat(columns.len() + 1));
    assert!(lines[2].starts_with(&format!("| {GPU_CASE} | slower | +20.0 % |")), "{markdown}");
    assert_eq!(lines[2].matches(" | ").count(), columns.len() - 1, "{markdown}");
    // The table ends before the sentence: a line between them is empty.
    assert_eq!(lines[3], "");
}

#[test]
fn reasons_are_codes_in_every_form() {
    let dir = TestDir::new();
    let base = dir.executable("base", &[Made::gpu(1e-3, 2e6)]);
    // A clock that was lower.
    let head = dir.executable("head", &[Made::gpu(1.2e-3, 2e6)]);
    let said = |more: &[&str]| text(&dir.compare(&base, &head, more).stdout);
    for format in ["text", "markdown"] {
        let explained = said(&["--explain", "--format", format]);
        let heads = explained.lines().next().unwrap();
        contains(heads, &["verdict", "reason", "change"]);
        contains(&explained, &["cycles-disagree", "\ncycles-disagree: seconds and cycles"]);
        assert!(!said(&["--format", format]).contains("cycles-disagree"));
    }
    let json = |more: &[&str]| -> Value {
        serde_json::from_str(&said(&[&["--format", "json"], more].concat())).unwrap()
    };
    let explained = json(&["--explain"]);
    assert_eq!(explained["cells"][0]["reason"], "cycles-disagree");
    assert!(explained["reasons"]["cycles-disagree"].is_string());
    let plain = json(&[]);
    assert_eq!(plain["cells"][0]["reason"], "cycles-disagree");
    assert!(plain.get("reasons").is_none());
}

#[test]
fn processes_are_bound_to_as_many_cores_as_there_are_threads() {
    let dir = TestDir::new();
    let bound = dir.path().join("bound");
    let script = dir.executable("one", &[Made::cpu(1.0)]);
    let note = format!("\ngrep Cpus_allowed_list /proc/self/status > {}\n", bound.display());
    edit(&script, "\n", &note);
    let cores = |more: &[&str]| {
        let output = dir.compare(&script, &script, more);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let line = fs::read_to_string(&bound).unwrap();
        line.split_whitespace().last().unwrap().to_owned()
    };
    let all = cores(&["--cores", "none"]);
    let last = all.rsplit([',', '-']).next().unwrap();
    assert_eq!(cores(&[]), last);
    assert_eq!(cores(&["--cores", last]), last);
    let missing = format!("{last},1000");
    for (cores, said) in [("9999", "9999"), (&missing, "1000]"), ("some", "write it like 0,1")] {
        let output = dir.compare(&script, &script, &["--cores", cores]);
        assert!(refusal(&output).contains(said));
    }
}

#[test]
fn what_cannot_be_compared_is_one_line() {
    let dir = TestDir::new();
    let good = dir.executable("good", &[Made::cpu(1.0)]);
    let missing = dir.path().join("missing");
    let failing = dir.executable("failing", &[Made::cpu(1.0)]);
    edit(&failing, "echo turn", "echo it is broken >&2; exit 3; echo");
    let idle = dir.executable("idle", &[Made::cpu(1.0)]);
    edit(&idle, "exec cp", "exit; cp");
    let pipe = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let old = dir.executable("old", &[Made::cpu(1.0)]);
    edit(&old, "\n", "\necho \"error: unrecognized subcommand 'sample'\" >&2; exit 2\n");
    for (base, head, said) in [
        (&missing, &good, "missing"),
        (&good, &missing, "missing"),
        (&pipe, &good, "is no file"),
        (&good, &failing, "it is broken"),
        (&good, &idle, "cudamark sampled nothing"),
        (&old, &good, "take a later revision"),
    ] {
        let line = refusal(&dir.compare(base, head, &[]));
        assert!(line.contains(said), "{line}");
    }
    let line = refusal(&dir.compare(&missing, &good, &["cpu/("]));
    assert!(line.contains("unclosed group"), "{line}");
    for (flag, value, said) in [
        ("--budget", "soon", "120s"),
        ("--detect", "-1%", "5%"),
        ("--samples", "0", "--samples"),
        ("--tier", "slow", "quick, default, full"),
    ] {
        let output = dir.compare(&good, &good, &[&format!("{flag}={value}")]);
        assert!(refusal(&output).contains(said), "{flag}");
    }
}

#[test]
fn two_comparisons_at_once_lose_nothing_and_the_same_one_waits_its_turn() {
    let dir = TestDir::new();
    let base = dir.slow_executable("base", &[Made::cpu(1.0)], "0.02");
    let heads = ["one", "two"].map(|name| dir.slow_executable(name, &[Made::cpu(1.0)], "0.02"));
    let start = |head, more: &[&str]| {
        dir.command(&base, head, more).stdout(Stdio::piped()).spawn().unwrap()
    };
    for child in heads.each_ref().map(|head| start(head, &[])) {
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
    }
    let store = only_store(&dir.track());
    let all = runs(&store);
    let comparisons: BTreeSet<&String> = all.iter().map(|run| &run.comparison).collect();
    assert_eq!(comparisons.len(), 2);
    for comparison in comparisons {
        let of_it: Vec<&Run> = all.iter().filter(|run| run.comparison == *comparison).collect();
        let turns: Vec<_> = of_it.iter().map(|run| (run.round, run.turn)).collect();
        let wanted: Vec<_> = (0..of_it.len()).map(|at| (at / 4, at % 4)).collect();
        assert_eq!(turns, wanted);
    }
    assert_eq!(finished(&store), 2);

    let unbound = ["--cores", "none"];
    let lines = count_lines(&dir.track());
    let mut first = start(&heads[0], &unbound);
    wait_until(&mut first, || count_lines(&dir.track()) > lines);
    let second = dir.compare(&base, &heads[0], &unbound);
    assert!(refusal(&second).contains("runs already"));
    assert_eq!(first.wait().unwrap().code(), Some(0));
}

/// Number of comparisons that came to their end.
fn finished(store: &Store) -> usize {
    let lines = store.read().unwrap();
    lines.iter().filter(|line| matches!(line, Line::Finished { .. })).count()
}

#[test]
fn a_script_that_changes_while_it_is_measured_is_not_judged() {
    let dir = TestDir::new();
    let [base, head] = dir.two(Made::cpu(1.0));
    edit(&head, "exec cp", &format!("echo '# more' >> {}\nexec cp", head.display()));
    let said = refusal(&dir.compare(&base, &head, &[]));
    assert!(said.contains("head") && said.contains("changed while it was measured"), "{said}");
    // It is not finished, and begins anew with the executable as it is now.
    assert_eq!(finished(&only_store(&dir.track())), 0);
}

#[test]
fn an_executable_may_be_built_anew_while_a_copy_of_it_is_measured() {
    let dir = TestDir::new();
    let same = dir.path().join("same");
    fs::copy(program(), &same).unwrap();
    let mut command = cudamark(&["compare", CASE, "--samples", "2", "--warm-up", "0"]);
    command
        .env("CARGO_TARGET_DIR", dir.path())
        .args(["--detect", "1000%", "--format", "json", "--base-exe"])
        .args([&program(), Path::new("--head-exe"), &same])
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    wait_until(&mut child, || !stores_in(&dir.track()).is_empty());
    fs::write(&same, "no program").unwrap();
    let output = child.wait_with_output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let hashes = ["base", "head"].map(|side| &json[side]["executable_sha256"]);
    assert_eq!(hashes[0], hashes[1]);
    assert!(json["notes"][0].as_str().unwrap().contains("the same executable"));
    // The copies are gone.
    assert_eq!(fs::read_dir(dir.path().join("cudamark/builds")).unwrap().count(), 0);
}

#[test]
fn a_full_disk_is_one_error_and_leaves_the_store_whole() {
    let dir = TestDir::new();
    let [base, head] = dir.two(Made::cpu(1.0));
    assert_eq!(dir.compare(&base, &head, &[]).status.code(), Some(0));
    let store = only_store(&dir.track());
    let before = fs::read(store.path()).unwrap();
    // Files may not grow by more than a line or two: the system then says what it says
    // of a disk that has no room, and the process is not ended for it.
    let limit = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", before.len() / 1024 + 1);
    let compare = dir.command(&base, &head, &[]);
    let mut shell = Command::new("bash");
    shell.args(["-c", &limit, "bash"]).arg(compare.get_program()).args(compare.get_args());
    let said = refusal(&shell.env("CARGO_TARGET_DIR", dir.path()).output().unwrap());
    contains(&said, &[".jsonl: cannot add a line: "]);
    let after = fs::read(store.path()).unwrap();
    assert_eq!(&after[..before.len()], before);
    assert_eq!(after.last(), Some(&b'\n'));
    store.read().unwrap();
    // With room again, it goes on.
    assert_eq!(dir.compare(&base, &head, &[]).status.code(), Some(0));
    let repeats: Vec<u32> = runs(&store).iter().map(|run| run.repeat).collect();
    assert_eq!((repeats.first(), repeats.last()), (Some(&0), Some(&1)));
}

#[test]
fn machines_do_not_mix() {
    let dir = TestDir::new();
    let [base, head] = dir.two(Made::cpu(1.0));
    let compared = || {
        let output = dir.compare(&base, &head, &[]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    };
    compared();
    // From now on it is another machine's.
    let theirs = dir.track().join("0123456789ab.jsonl");
    fs::rename(only_store(&dir.track()).path(), &theirs).unwrap();
    let before = fs::read(&theirs).unwrap();
    compared();
    assert_eq!(fs::read(&theirs).unwrap(), before);
    let stores = stores_in(&dir.track());
    assert_eq!(stores.len(), 2, "{stores:?}");
    for path in stores {
        // Each began anew, and neither went on with what the other had.
        let of_it = runs(&Store::at(&path));
        assert!(of_it.iter().all(|run| run.repeat == 0));
        assert_eq!(of_it[0].round, 0);
        assert!(of_it.len() >= 24);
    }
}
