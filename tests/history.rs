//! `cudamark history` over repositories made here. What is measured is a script that each
//! commit holds: it sleeps for as long as the commit says, and writes down how long that
//! took. Its steps are planted far above what a busy machine does to a sleep.
//!
//! Where there is no git, the tests show as ignored, and a line says so.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use serde_json::Value;
use tempfile::TempDir;

const CELL: &str = "cpu/u32-uniform/cpu-std/1/1000";
/// Seconds that a commit sleeps, and one that is slow.
const QUICK: &str = "0.01";
const SLOW: &str = "0.05";
/// Longest that a command may take to write its first lines.
const PATIENCE: Duration = Duration::from_secs(120);

/// Samples as `cudamark sample` writes them, of a sleep.
const SCRIPT: &str = r#"#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in
    --json) file=$2 ;;
    --samples) samples=$2 ;;
    --cells) cell=$2 ;;
    --list) list=yes ;;
  esac
  shift
done
test -n "$list" && echo "$cell" && exit
index=0
while [ "$index" -lt "$samples" ]; do
  begin=$(date +%s%N)
  sleep DELAY
  end=$(date +%s%N)
  seconds=$(printf '0.%09d' $((end - begin)))
  printf '{"line":"sample","version":1,"environment":"e","cell":"%s","index":%d,"sorts":1,"seconds":%s,"clock":"host","host_s":null,"device_s":null,"overlap":null,"sm_clock_hz":null,"sm_cycles":null,"power_w":null,"temperature_c":null,"slowdowns":[],"unix_time_s":0.0}\n' "$cell" "$index" "$seconds" >> "$file"
  index=$((index + 1))
done
"#;

/// Builds a commit: the script with its delay. A commit without one cannot be built.
const BUILD: &str = r#"sed "s/DELAY/$(cat delay)/" measure.sh > "$CUDAMARK_EXECUTABLE" && test -s delay && chmod +x "$CUDAMARK_EXECUTABLE""#;

const TESTS: [(&str, fn()); 7] = [
    ("the_slow_commit_of_twelve_is_named", the_slow_commit_of_twelve_is_named),
    ("bisection_measures_few_commits", bisection_measures_few_commits),
    ("a_commit_that_cannot_be_built_is_left_out", a_commit_that_cannot_be_built_is_left_out),
    (
        "another_machines_store_is_refused_unless_forced",
        another_machines_store_is_refused_unless_forced,
    ),
    ("a_torn_store_is_read_and_gone_on_with", a_torn_store_is_read_and_gone_on_with),
    ("ctrl_c_keeps_what_was_measured", ctrl_c_keeps_what_was_measured),
    ("what_is_wrong_is_one_error", what_is_wrong_is_one_error),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let git = Command::new("git").arg("--version").output();
    if let Err(error) = &git {
        eprintln!("history: ignored: cannot run git: {error}");
    }
    let trials = TESTS.map(|(name, test)| {
        let trial = Trial::test(name, move || {
            test();
            Ok(())
        });
        trial.with_ignored_flag(git.is_err())
    });
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}

/// A repository, and a target folder beside it.
struct Repository {
    folder: TempDir,
    commits: Vec<String>,
}

impl Repository {
    /// One commit for each delay.
    fn new(delays: &[&str]) -> Self {
        let mut repository = Self { folder: tempfile::tempdir().unwrap(), commits: Vec::new() };
        fs::create_dir(repository.path()).unwrap();
        repository.git(&["init", "--quiet", "--initial-branch=main"], 0);
        fs::write(repository.path().join("measure.sh"), SCRIPT).unwrap();
        for (index, delay) in delays.iter().enumerate() {
            fs::write(repository.path().join("delay"), delay).unwrap();
            fs::write(repository.path().join("number"), index.to_string()).unwrap();
            repository.git(&["add", "."], index);
            repository.git(&["commit", "--quiet", "-m", &format!("Change {index}")], index);
            let commit = repository.git(&["rev-parse", "HEAD"], index);
            repository.commits.push(commit);
        }
        repository
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("sources")
    }

    /// What git says, on the day after the first by so many.
    fn git(&self, arguments: &[&str], day: usize) -> String {
        let date = format!("2026-01-{:02}T12:00:00Z", day + 1);
        let output = Command::new("git")
            .args(["-c", "user.name=T", "-c", "user.email=t@example.org"])
            .args(["-c", "commit.gpgsign=false"])
            .args(arguments)
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_DATE", &date)
            .current_dir(self.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn command(&self, subcommand: &str, arguments: &[&str]) -> Command {
        // In a bundle, the program is elsewhere than it was built.
        let built = env!("CARGO_BIN_EXE_cudamark").to_owned();
        let program = env::var("CARGO_BIN_EXE_cudamark").unwrap_or(built);
        let mut command = Command::new(program);
        command
            .arg(subcommand)
            .args(arguments)
            .env("CARGO_TARGET_DIR", self.folder.path().join("target"))
            .current_dir(self.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// A history that fills in.
    fn filling(&self, arguments: &[&str]) -> Command {
        let all = [
            &[CELL, "--samples", "1", "--least", "50%"][..],
            &["--build-command", BUILD],
            arguments,
        ];
        self.command("history", &all.concat())
    }

    fn store(&self) -> PathBuf {
        let folder = self.folder.path().join("target/cudamark/track");
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut stores = files
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"));
        stores.next().expect("a store")
    }

    fn lines(&self) -> usize {
        let text = fs::read_to_string(self.store()).unwrap();
        text.lines().count()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Standard output of a command that is to succeed.
fn output(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// The one line of a command that is to fail.
fn error(mut command: Command) -> String {
    let output: Output = command.output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

fn json(command: Command) -> Value {
    serde_json::from_str(&output(command)).unwrap()
}

/// The only curve of a history.
fn curve(history: &Value) -> &Value {
    let cells = history["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 1);
    assert_eq!(cells[0]["cell"], CELL);
    &cells[0]
}

fn delays(count: usize, slow: impl Fn(usize) -> bool) -> Vec<&'static str> {
    let delay = |index| if slow(index) { SLOW } else { QUICK };
    (0..count).map(delay).collect()
}

fn the_slow_commit_of_twelve_is_named() {
    let repository = Repository::new(&delays(12, |index| index == 8));
    let page = repository.folder.path().join("page");
    let page_text = page.to_str().unwrap();
    let history = json(repository.filling(&["--fill-missing", "--json", "--page", page_text]));
    let curve = curve(&history);
    assert_eq!(curve["points"].as_array().unwrap().len(), 12);
    let steps = curve["steps"].as_array().unwrap();
    let [slower, faster] = &steps[..] else {
        panic!("{steps:?}");
    };
    assert_eq!(slower["commit"], *repository.commits[8]);
    assert_eq!(slower["previous"], *repository.commits[7]);
    assert_eq!(slower["not_measured"].as_array().unwrap().len(), 0);
    assert!(slower["ratio"].as_f64() > Some(1.5), "{slower}");
    assert!(slower["chance"].as_f64() < Some(0.05), "{slower}");
    assert_eq!(faster["commit"], *repository.commits[9]);
    assert!(faster["ratio"].as_f64() < Some(0.7), "{faster}");

    // In words, and from the store alone.
    let lines = repository.lines();
    assert_eq!(lines, 12 * 6);
    let said = output(repository.command("history", &["--least", "50%"]));
    let named = format!("step at {}", &repository.commits[8][..10]);
    assert!(said.contains(&named) && said.contains("Change 8"), "{said}");
    assert!(said.contains("which is this one"), "{said}");
    assert_eq!(repository.lines(), lines);

    // The page links records that are there.
    let html = fs::read_to_string(page.join("index.html")).unwrap();
    let links: Vec<&str> =
        html.split("href=\"records/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(links.len(), lines);
    for link in links {
        let records = fs::read_to_string(page.join("records").join(link)).unwrap();
        assert!(records.contains("\"seconds\":0."), "{link}");
    }
    assert!(html.contains(&repository.commits[8][..10]) && !html.contains("NOT THIS ONE"));
    // The sources are as they were, and no worktree is left.
    assert_eq!(repository.git(&["status", "--porcelain"], 0), "");
    assert_eq!(repository.git(&["worktree", "list"], 0).lines().count(), 1);
}

fn bisection_measures_few_commits() {
    let repository = Repository::new(&delays(16, |index| index >= 11));
    // The ends and the middle: a range.
    let history = json(repository.filling(&["--fill", "3", "--json"]));
    let range = &curve(&history)["steps"][0];
    assert_eq!(range["previous"], *repository.commits[8]);
    assert_eq!(range["commit"], *repository.commits[15]);
    assert_eq!(range["not_measured"].as_array().unwrap().len(), 6);
    let said = output(repository.command("history", &["--least", "50%"]));
    assert!(said.contains("one of these 7 commits; --fill 3 finds which"), "{said}");
    // As it says.
    let history = json(repository.filling(&["--fill", "3", "--json"]));
    let curve = curve(&history);
    assert_eq!(curve["points"].as_array().unwrap().len(), 6);
    let steps = curve["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 1, "{steps:?}");
    assert_eq!(steps[0]["commit"], *repository.commits[11]);
    assert_eq!(steps[0]["not_measured"].as_array().unwrap().len(), 0);
    assert_eq!(curve["unlinked_sessions"], 0);
}

fn a_commit_that_cannot_be_built_is_left_out() {
    let mut delays = delays(5, |index| index >= 3);
    delays[2] = "";
    let repository = Repository::new(&delays);
    let mut command = repository.filling(&["--fill-missing", "--json"]);
    let output = command.output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    let left_out = format!("history: {}: left out: ", &repository.commits[2][..10]);
    assert!(said.contains(&left_out), "{said}");
    let history = serde_json::from_slice(&output.stdout).unwrap();
    let step = &curve(&history)["steps"][0];
    assert_eq!(step["previous"], *repository.commits[1]);
    assert_eq!(step["commit"], *repository.commits[3]);
    assert_eq!(step["not_measured"][0], *repository.commits[2]);
}

fn another_machines_store_is_refused_unless_forced() {
    let repository = Repository::new(&delays(2, |_| false));
    output(repository.filling(&["--fill-missing", "--processes", "2"]));
    let ours = fs::read_to_string(repository.store()).unwrap();
    let id = repository.store();
    let id = id.file_stem().unwrap().to_str().unwrap();
    let theirs = repository.folder.path().join("theirs.jsonl");
    let theirs = theirs.to_str().unwrap();
    fs::write(theirs, ours.replace(id, "fedcba987654")).unwrap();
    let said = error(repository.command("history", &["--store", theirs]));
    assert!(said.contains("machine fedcba987654"), "{said}");
    assert!(said.contains("do not compare; --force"), "{said}");
    let page = repository.folder.path().join("page");
    let forced = ["--store", theirs, "--force", "--page", page.to_str().unwrap()];
    let said = output(repository.command("history", &forced));
    assert!(said.contains("machine fedcba987654: NOT THIS ONE, shown by --force"), "{said}");
    let html = fs::read_to_string(page.join("index.html")).unwrap();
    assert!(html.contains("NOT THIS ONE") && html.contains("class=\"other\""));
    // Nor does a store that came from elsewhere have other files copied beside a page.
    fs::write(repository.folder.path().join("private"), "private").unwrap();
    let lines = ours.replace(id, "fedcba987654");
    let elsewhere = lines.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line["records"] = "target/../private".into();
        format!("{line}\n")
    });
    fs::write(theirs, elsewhere.collect::<String>()).unwrap();
    output(repository.command("history", &forced));
    assert!(!page.join("records/private").exists());
    let json = json(repository.command("history", &["--store", theirs, "--force", "--json"]));
    assert_eq!(json["other_machine"], true);
    // What is measured here is never added to it.
    let said = error(repository.filling(&["--fill", "1", "--store", theirs, "--force"]));
    assert!(said.contains("belongs to the store of this machine"), "{said}");
    // A store of this machine under another name is its own.
    let renamed = repository.folder.path().join("renamed.jsonl");
    fs::copy(repository.store(), &renamed).unwrap();
    output(repository.command("history", &["--store", renamed.to_str().unwrap()]));
    output(repository.command("history", &["--machine", id]));
    let said = error(repository.command("history", &["--machine", "nobody"]));
    assert!(said.contains("no store of `nobody`"), "{said}");
}

fn a_torn_store_is_read_and_gone_on_with() {
    let repository = Repository::new(&delays(2, |_| false));
    output(repository.filling(&["--fill-missing", "--processes", "2"]));
    let store = repository.store();
    let whole = fs::read_to_string(&store).unwrap();
    let cut = whole.len() - 40;
    fs::write(&store, &whole[..cut]).unwrap();
    // The last process is lost, and its commit is short of one.
    let history = json(repository.command("history", &["--json"]));
    let processes = |history: &Value| {
        let points = curve(history)["points"].as_array().unwrap().iter();
        points.map(|point| point["processes"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(processes(&history), 3);
    let history = json(repository.filling(&["--fill-missing", "--processes", "2", "--json"]));
    // Two more of that commit, and with it of its neighbour.
    assert_eq!(processes(&history), 7);
    let torn = fs::read_to_string(store.with_extension("jsonl.torn")).unwrap();
    assert!(whole.contains(torn.trim_end()) && torn.len() > 40);
    // A line in the middle that is none is named.
    fs::write(&store, whole.replacen("\"line\"", "\"lane\"", 1)).unwrap();
    let said = error(repository.command("history", &[]));
    assert!(said.contains(".jsonl:1"), "{said}");
}

fn ctrl_c_keeps_what_was_measured() {
    let repository = Repository::new(&delays(3, |_| true));
    let mut command = repository.filling(&["--fill-missing", "--processes", "100"]);
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    let track = repository.folder.path().join("target/cudamark/track");
    while !has_lines(&track, 4) {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before");
        assert!(begun.elapsed() < PATIENCE, "nothing was measured");
        thread::sleep(Duration::from_millis(10));
    }
    let id = child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(killed.success());
    let output_of = child.wait_with_output().unwrap();
    let said = text(&output_of.stderr);
    assert_eq!(output_of.status.code(), Some(1), "{said}");
    assert!(said.contains("what was measured is kept"), "{said}");
    let lines = repository.lines();
    assert!((4..300).contains(&lines), "{lines}");
    output(repository.filling(&["--fill-missing", "--processes", "1"]));
    assert_eq!(repository.lines(), lines);
}

fn has_lines(folder: &Path, lines: usize) -> bool {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let texts = files.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    texts.map(|text| text.lines().count()).sum::<usize>() >= lines
}

fn what_is_wrong_is_one_error() {
    let repository = Repository::new(&delays(3, |_| false));
    repository.git(&["checkout", "--quiet", "-b", "side", "HEAD~1"], 3);
    repository.git(&["commit", "--quiet", "--allow-empty", "-m", "Aside"], 3);
    repository.git(&["checkout", "--quiet", "main"], 3);
    for (arguments, expected) in [
        (&["--since", "nowhere"][..], "`nowhere` is neither a revision nor a day"),
        (&["--since", "side"], "`side` is not among the first parents"),
        (&["--since", "2027-01-01"], "no commit since 2027-01-01"),
        (&["cpu/("], "`cpu/(` is no regular expression"),
        (&[], "none of these 3 commits was measured"),
        (&["--store", "none.jsonl"], "there is no store none.jsonl"),
    ] {
        let said = error(repository.command("history", arguments));
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    let said = repository.command("history", &["--fill", "2"]).output().unwrap();
    assert_eq!(said.status.code(), Some(2));
    // From a day on, and from a revision on.
    for (since, commits) in [("2026-01-02", 2), ("HEAD~1", 2), ("HEAD", 1)] {
        let arguments = ["--fill-missing", "--processes", "1", "--json", "--since", since];
        let history = json(repository.filling(&arguments));
        assert_eq!(history["commits"].as_array().unwrap().len(), commits, "{since}");
    }
}
