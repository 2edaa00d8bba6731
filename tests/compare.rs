//! `cudamark compare` from outside, over executables that are scripts: each hands out
//! records that were made up, so that a test knows what must be said of them.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use regress::schema::{Line, Run};
use regress::store::Store;
use serde_json::Value;
use suite::environment::Environment;
use suite::lines::{self, EnvironmentLine};
use suite::{Case, Sample};
use tempfile::TempDir;

const CELL: &str = "cpu/u32-uniform/cpu-std/1/1000";
const GPU_CELL: &str = "device/u32-uniform/gpu/1/1000";

/// Made-up `cudamark sample`: hands out the records beside it, in turns if there are two.
const SCRIPT: &str = r#"#!/bin/sh
sleep DELAY
here=$(dirname "$0")
for word; do
  if [ "$word" = --list ]; then exec cat "$here/cells"; fi
  if [ "$last" = --json ]; then file=$word; fi
  last=$word
done
turn=$(($(wc -l < "$here/turns") % TURNS))
echo turn >> "$here/turns"
exec cp "$here/records-$turn" "$file"
"#;

/// The command. A bundle says where it is; else it is where cargo built it.
fn program() -> String {
    let built = env!("CARGO_BIN_EXE_cudamark").to_owned();
    env::var("CARGO_BIN_EXE_cudamark").unwrap_or(built)
}

/// What a made-up process measured of its only cell.
#[derive(Clone, Copy)]
struct Made {
    cell: &'static str,
    seconds: f64,
    cycles: Option<f64>,
    slowed_down: bool,
    ptx: &'static str,
}

impl Made {
    fn cpu(seconds: f64) -> Self {
        Self { cell: CELL, seconds, cycles: None, slowed_down: false, ptx: "one" }
    }

    fn gpu(seconds: f64, cycles: f64) -> Self {
        Self { cell: GPU_CELL, cycles: Some(cycles), ..Self::cpu(seconds) }
    }

    /// The lines of its records.
    fn records(&self) -> String {
        let mut environment = Environment::here(None);
        environment.ptx_sha256 = Some(self.ptx.to_owned());
        let environment = EnvironmentLine::new(environment, 42, "default");
        let id = environment.id.clone();
        let cell: Case = self.cell.parse().unwrap();
        let samples = (0..3).map(|index| {
            // The least counts: the others are in its way.
            let late = f64::from(index) * 0.5 * self.seconds;
            let mut sample = Sample::by_host(&id, cell.clone(), index, self.seconds + late);
            sample.sm_cycles = self.cycles.map(|cycles| cycles + f64::from(index));
            sample.slowdowns = vec!["power-cap".to_owned(); usize::from(self.slowed_down)];
            lines::Line::Sample(Box::new(sample))
        });
        let environment = lines::Line::Environment(Box::new(environment));
        let all = std::iter::once(environment).chain(samples);
        all.map(|line| serde_json::to_string(&line).unwrap() + "\n").collect()
    }
}

/// A folder with executables in it and a target folder.
struct Place(TempDir);

impl Place {
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

    fn slow_executable(&self, name: &str, turns: &[Made], delay: &str) -> PathBuf {
        let folder = self.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        for (turn, made) in turns.iter().enumerate() {
            fs::write(folder.join(format!("records-{turn}")), made.records()).unwrap();
        }
        fs::write(folder.join("turns"), "").unwrap();
        fs::write(folder.join("cells"), format!("{}\n", turns[0].cell)).unwrap();
        let script = SCRIPT.replace("TURNS", &turns.len().to_string());
        // The name makes two of them differ in their hashes.
        let script = script.replace("DELAY", delay) + &format!("# {name}\n");
        let path = folder.join("cudamark");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn command(&self, base: &Path, head: &Path, more: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .env("CARGO_TARGET_DIR", self.path())
            .args(["compare", "cell", "--base-exe"])
            .arg(base)
            .arg("--head-exe")
            .arg(head)
            .args(more);
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
        assert_eq!(json["version"], 1);
        assert_eq!(json["cells"].as_array().unwrap().len(), 1);
        (output.status.code().unwrap(), json["cells"][0].clone())
    }

    /// The store of the machine, of which there must be one.
    fn store(&self) -> Store {
        let mut stores = self.stores();
        assert_eq!(stores.len(), 1, "{stores:?}");
        let id = stores.remove(0);
        Store::of_machine(&self.track(), &id)
    }

    fn track(&self) -> PathBuf {
        self.path().join("cudamark/track")
    }

    /// Ids of the machines that have a store.
    fn stores(&self) -> Vec<String> {
        let files = fs::read_dir(self.track()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter_map(|name| name.strip_suffix(".jsonl").map(str::to_owned)).collect()
    }
}

fn runs(store: &Store) -> Vec<Run> {
    let lines = store.read().unwrap().into_iter();
    let run = |line| match line {
        Line::Run(run) => Some(*run),
        _ => None,
    };
    lines.filter_map(run).collect()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The only line of an error, which has the exit code of what could not be judged.
fn refusal(output: &Output) -> &str {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(text(&output.stdout), "");
    let lines: Vec<&str> = said.lines().collect();
    let [line] = lines[..] else {
        panic!("not one line: {said}");
    };
    assert!(line.starts_with("cudamark: "), "{line}");
    line
}

#[test]
fn the_exit_code_says_same_slower_or_not_judged() {
    let place = Place::new();
    let (code, row) = place.row(&[Made::cpu(1.0)], &[Made::cpu(1.0)], &[]);
    assert_eq!((code, &row["verdict"]), (0, &"same".into()));
    let (code, row) = place.row(&[Made::cpu(1.0)], &[Made::cpu(1.1)], &[]);
    assert_eq!((code, &row["verdict"]), (1, &"slower".into()));
    let ratio = row["ratio"].as_f64().unwrap();
    assert!((ratio - 1.1).abs() < 1e-9, "the least sample counts: {ratio}");
    let (code, row) = place.row(&[Made::cpu(1.0)], &[Made::cpu(0.5)], &[]);
    assert_eq!((code, &row["verdict"]), (0, &"faster".into()));
    // Two of its processes are a block's: half of the blocks say one thing, half another,
    // each by another amount, or their averages would all be nothing.
    let restless: Vec<Made> = [0.5, 2.0, 0.6, 1.7, 0.7, 1.4, 0.8, 1.2]
        .into_iter()
        .flat_map(|seconds| [Made::cpu(seconds); 2])
        .collect();
    let (code, row) = place.row(&[Made::cpu(1.0)], &restless, &["--budget", "1s"]);
    assert_eq!((code, &row["verdict"]), (2, &"unsure".into()));
}

#[test]
fn a_threshold_lets_small_slowdowns_pass_the_exit_code() {
    let place = Place::new();
    for (threshold, wanted) in [("15%", 0), ("5%", 1)] {
        let more = ["--threshold", threshold];
        let (code, row) = place.row(&[Made::cpu(1.0)], &[Made::cpu(1.1)], &more);
        assert_eq!((code, &row["verdict"]), (wanted, &"slower".into()));
    }
}

#[test]
fn a_gpu_must_agree_in_cycles_and_says_what_it_ran() {
    let place = Place::new();
    let base = Made::gpu(1e-3, 2e6);
    let slower = Made { slowed_down: true, ..Made::gpu(1.2e-3, 2.4e6) };
    let (code, row) = place.row(&[base], &[slower], &[]);
    assert_eq!((code, &row["verdict"]), (1, &"slower".into()));
    assert_eq!(row["in_cycles"], "slower");
    assert_eq!(row["same_ptx"], true);
    // Half of the processes are the head's, with three samples each.
    let processes = row["blocks"].as_u64().unwrap() * 4;
    assert_eq!(row["slowed_down"], processes / 2 * 3);
    // A clock that was lower is no slower kernel.
    let cooler = Made { ptx: "another", ..Made::gpu(1.2e-3, 2e6) };
    let (code, row) = place.row(&[base], &[cooler], &[]);
    assert_eq!((code, &row["verdict"]), (2, &"unsure".into()));
    assert_eq!((&row["in_cycles"], &row["same_ptx"]), (&"same".into(), &false.into()));
    // Kernels are what a GPU runs.
    let (_, row) = place.row(&[Made::cpu(1.0)], &[Made::cpu(1.0)], &[]);
    assert_eq!((&row["in_cycles"], &row["same_ptx"]), (&Value::Null, &false.into()));
}

#[test]
fn text_and_markdown_show_the_same_table_and_notes() {
    let place = Place::new();
    let base = place.executable("base", &[Made::gpu(1e-3, 2e6)]);
    let slower = Made { slowed_down: true, ..Made::gpu(1.2e-3, 2.4e6) };
    let head = place.executable("head", &[slower]);
    let output = place.compare(&base, &head, &[]);
    assert_eq!(output.status.code(), Some(1));
    let table = text(&output.stdout);
    let mut lines = table.lines();
    let columns = ["cell", "verdict", "change", "interval", "noise floor", "rounds", "notes"];
    let head_line = lines.next().unwrap();
    assert!(columns.iter().all(|column| head_line.contains(column)), "{table}");
    let row = lines.next().unwrap();
    for part in [
        GPU_CELL,
        "slower",
        "+20.0 %",
        "+20.0 % to +20.0 %",
        "+0.0 %",
        "the kernels' PTX is the same; slower in cycles; GPU slowed down after ",
    ] {
        assert!(row.contains(part), "{part}: {row}");
    }
    assert!(table.contains("\nthis machine is not calibrated"), "{table}");
    let output = place.compare(&base, &head, &["--format", "markdown"]);
    let markdown = text(&output.stdout);
    let squeezed = |line: &str| line.split_whitespace().collect::<Vec<&str>>().join(" ");
    let lines: Vec<String> = markdown.lines().map(squeezed).collect();
    assert_eq!(lines[0], format!("| {} |", columns.join(" | ")));
    assert_eq!(lines[1].replace('-', ""), "|".repeat(columns.len() + 1));
    assert!(lines[2].starts_with(&format!("| {GPU_CELL} | slower | +20.0 % |")), "{markdown}");
    assert_eq!(lines[2].matches(" | ").count(), columns.len() - 1, "{markdown}");
    // The table ends before the sentence: a line between them is empty.
    assert_eq!(lines[3], "");
}

#[test]
fn processes_are_bound_to_as_many_cores_as_there_are_threads() {
    let place = Place::new();
    let bound = place.path().join("bound");
    let made = Made::cpu(1.0);
    let executable = place.executable("one", &[made]);
    let script = fs::read_to_string(&executable).unwrap();
    let note =
        format!("#!/bin/sh\ngrep Cpus_allowed_list /proc/self/status > {}\n", bound.display());
    fs::write(&executable, script.replacen("#!/bin/sh\n", &note, 1)).unwrap();
    let cores = |more: &[&str]| {
        let output = place.compare(&executable, &executable, more);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let line = fs::read_to_string(&bound).unwrap();
        line.split_whitespace().last().unwrap().to_owned()
    };
    let all = cores(&["--cores", "none"]);
    let last = all.rsplit([',', '-']).next().unwrap();
    assert_eq!(cores(&[]), last);
    assert_eq!(cores(&["--cores", last]), last);
    let output = place.compare(&executable, &executable, &["--cores", "9999"]);
    assert!(refusal(&output).contains("9999"));
    let output = place.compare(&executable, &executable, &["--cores", "some"]);
    assert!(refusal(&output).contains("write it like 0,1"));
}

#[test]
fn what_cannot_be_compared_is_one_line() {
    let place = Place::new();
    let good = place.executable("good", &[Made::cpu(1.0)]);
    let missing = place.path().join("missing");
    for (base, head) in [(&missing, &good), (&good, &missing)] {
        let output = place.compare(base, head, &[]);
        assert!(refusal(&output).contains("missing"));
    }
    let failing = place.executable("failing", &[Made::cpu(1.0)]);
    let script = fs::read_to_string(&failing).unwrap();
    fs::write(&failing, script.replace("echo turn", "echo it is broken >&2; exit 3; echo"))
        .unwrap();
    let output = place.compare(&good, &failing, &[]);
    assert!(refusal(&output).contains("it is broken"));
    let old = place.executable("old", &[Made::cpu(1.0)]);
    fs::write(&old, "#!/bin/sh\necho \"error: unrecognized subcommand 'sample'\" >&2; exit 2\n")
        .unwrap();
    let output = place.compare(&old, &good, &[]);
    assert!(refusal(&output).contains("take a later revision"));
    for (flag, value, said) in [
        ("--budget", "soon", "120s"),
        ("--detect", "-1%", "5%"),
        ("--samples", "0", "--samples"),
        ("--tier", "slow", "quick, default, full"),
    ] {
        let output = place.compare(&good, &good, &[&format!("{flag}={value}")]);
        assert!(refusal(&output).contains(said), "{flag}");
    }
}

#[test]
fn two_comparisons_at_once_lose_nothing_and_the_same_one_waits_its_turn() {
    let place = Place::new();
    let base = place.slow_executable("base", &[Made::cpu(1.0)], "0.02");
    let heads = ["one", "two"].map(|name| place.slow_executable(name, &[Made::cpu(1.0)], "0.02"));
    let children = heads.each_ref().map(|head| {
        let mut command = place.command(&base, head, &[]);
        command.stdout(std::process::Stdio::piped()).spawn().unwrap()
    });
    for child in children {
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
    }
    let store = place.store();
    let all = runs(&store);
    let comparisons: std::collections::BTreeSet<_> =
        all.iter().map(|run| run.comparison.clone()).collect();
    assert_eq!(comparisons.len(), 2);
    for comparison in &comparisons {
        let of_it: Vec<&Run> = all.iter().filter(|run| run.comparison == *comparison).collect();
        let places: Vec<_> = of_it.iter().map(|run| (run.round, run.turn)).collect();
        let wanted: Vec<_> = (0..of_it.len()).map(|at| (at / 4, at % 4)).collect();
        assert_eq!(places, wanted);
    }
    let finished = store.read().unwrap();
    let finished = finished.iter().filter(|line| matches!(line, Line::Finished { .. }));
    assert_eq!(finished.count(), 2);

    let more = ["--cores", "none"];
    let mut first = place.command(&base, &heads[0], &more);
    let mut first = first.stdout(std::process::Stdio::piped()).spawn().unwrap();
    while runs(&store).len() == all.len() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let second = place.compare(&base, &heads[0], &more);
    assert!(refusal(&second).contains("runs already"));
    assert_eq!(first.wait().unwrap().code(), Some(0));
}

#[test]
fn a_script_that_changes_while_it_is_measured_is_not_judged() {
    let place = Place::new();
    let base = place.executable("base", &[Made::cpu(1.0)]);
    let head = place.executable("head", &[Made::cpu(1.0)]);
    let script = fs::read_to_string(&head).unwrap();
    fs::write(&head, script + "# Said nothing.\n").unwrap();
    let script = fs::read_to_string(&head).unwrap();
    let changes = format!("echo '# more' >> {}\nexec cp", head.display());
    fs::write(&head, script.replace("exec cp", &changes)).unwrap();
    let output = place.compare(&base, &head, &[]);
    let said = refusal(&output);
    assert!(said.contains("head") && said.contains("changed while it was measured"), "{said}");
    // It is not finished, and begins anew with the executable as it is now.
    let finished = |line: &Line| matches!(line, Line::Finished { .. });
    assert!(!place.store().read().unwrap().iter().any(finished));
}

#[test]
fn an_executable_may_be_built_anew_while_a_copy_of_it_is_measured() {
    let place = Place::new();
    let same = place.path().join("same");
    fs::copy(program(), &same).unwrap();
    let mut command = Command::new(program());
    let track = place.track();
    command
        .env("CARGO_TARGET_DIR", place.path())
        .args(["compare", CELL, "--samples", "2", "--warm-up", "0"])
        .args(["--detect", "1000%", "--format", "json", "--base-exe"])
        .arg(program())
        .arg("--head-exe")
        .arg(&same)
        .stdout(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    let is_measuring = |file: std::io::Result<fs::DirEntry>| {
        let path = file.unwrap().path();
        path.extension().is_some_and(|ending| ending == "jsonl")
    };
    while !fs::read_dir(&track).is_ok_and(|mut files| files.any(is_measuring)) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    fs::write(&same, "no program").unwrap();
    let output = child.wait_with_output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let hashes = ["base", "head"].map(|side| &json[side]["executable_sha256"]);
    assert_eq!(hashes[0], hashes[1]);
    assert!(json["notes"][0].as_str().unwrap().contains("the same executable"));
    // The copies are gone.
    let copies = fs::read_dir(place.path().join("cudamark/builds/copies")).unwrap();
    assert_eq!(copies.count(), 1);
}

#[test]
fn a_full_disk_is_one_error_and_leaves_the_store_whole() {
    let place = Place::new();
    let base = place.executable("base", &[Made::cpu(1.0)]);
    let head = place.executable("head", &[Made::cpu(1.0)]);
    assert_eq!(place.compare(&base, &head, &[]).status.code(), Some(0));
    let store = place.store();
    let before = fs::read(store.path()).unwrap();
    // Files may not grow by more than a line or two: the system then says what it says
    // of a disk that has no room, and the process is not ended for it.
    let limited = |kibibytes: usize| {
        let compare = place.command(&base, &head, &[]);
        let mut shell = Command::new("bash");
        let limit = format!("trap '' XFSZ; ulimit -f {kibibytes}; exec \"$@\"");
        shell.args(["-c", &limit, "bash"]).arg(compare.get_program());
        shell.args(compare.get_args());
        shell.env("CARGO_TARGET_DIR", place.path()).output().unwrap()
    };
    let output = limited(before.len() / 1024 + 1);
    let said = refusal(&output);
    assert!(said.contains("cannot add to the store") && said.contains(".jsonl"), "{said}");
    let after = fs::read(store.path()).unwrap();
    assert_eq!(&after[..before.len()], before);
    assert_eq!(after.last(), Some(&b'\n'));
    store.read().unwrap();
    // With room again, it goes on.
    assert_eq!(place.compare(&base, &head, &[]).status.code(), Some(0));
    let more = runs(&store);
    let rounds: Vec<u32> = more.iter().map(|run| run.repeat).collect();
    assert_eq!((rounds.first(), rounds.last()), (Some(&0), Some(&1)));
}

#[test]
fn machines_do_not_mix() {
    let place = Place::new();
    let base = place.executable("base", &[Made::cpu(1.0)]);
    let head = place.executable("head", &[Made::cpu(1.0)]);
    let compared = || {
        let output = place.compare(&base, &head, &[]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    };
    compared();
    // From now on it is another machine's.
    let here = &place.stores()[0];
    let store = |id: &str| place.track().join(format!("{id}.jsonl"));
    fs::rename(store(here), store("0123456789ab")).unwrap();
    let there = fs::read(store("0123456789ab")).unwrap();
    compared();
    assert_eq!(fs::read(store("0123456789ab")).unwrap(), there);
    let stores = place.stores();
    assert_eq!(stores.len(), 2, "{stores:?}");
    let count = |id: &String| runs(&Store::of_machine(&place.track(), id));
    for id in &stores {
        // Each began anew, and neither went on with what the other had.
        let of_it = count(id);
        assert!(of_it.iter().all(|run| run.repeat == 0));
        assert_eq!(of_it[0].round, 0);
        assert!(of_it.len() >= 24);
    }
}
