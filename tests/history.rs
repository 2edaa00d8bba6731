//! `cudamark history` over repositories made here. The program is a script that each
//! commit holds: it says that it took as long as the commit says, and up to a tenth more.
//! Steps are planted far above that noise.
//!
//! Where there is no git, the tests show as ignored, and a line says so.

mod common;
mod stand_ins;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use common::{answer, contains, cudamark, lacks, one_line, signal, wait_until};
use serde_json::Value;
use stand_ins::{count_lines, only_store, track};
use tempfile::TempDir;

const CASE: &str = "cpu/u32-uniform/cpu-std/1/1000";
/// Seconds that a commit takes, and one that is slow.
const QUICK: &str = "0.01";
const SLOW: &str = "0.05";

/// Made-up `cudamark sample`.
const SCRIPT: &str = include_str!("stand_ins/sample.sh");

/// Builds a commit: the script with its delay and with further digits by the clock. A commit
/// without a delay cannot be built.
const BUILD: &str = r#"sed "s/SECONDS/$(cat delay)'\$(date +%N)'/" measure.sh > "$CUDAMARK_EXECUTABLE" && test -s delay && chmod +x "$CUDAMARK_EXECUTABLE""#;

fn main() -> ExitCode {
    let tests = common::tests![
        the_slow_commit_of_twelve_is_named,
        bisection_measures_few_commits,
        a_commit_that_cannot_be_built_is_left_out,
        another_machines_store_is_refused_unless_forced,
        a_torn_store_is_read_and_gone_on_with,
        ctrl_c_keeps_what_was_measured,
        what_is_wrong_is_one_error,
    ];
    common::run([(tests, lacks("git"))])
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
        let script = SCRIPT.replace("CASE", CASE);
        fs::write(repository.path().join("measure.sh"), script).unwrap();
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

    /// The answer of git on the `day`th day after the first.
    fn git(&self, arguments: &[&str], day: usize) -> String {
        let date = format!("2026-01-{:02}T12:00:00Z", day + 1);
        let mut command = common::git(&self.path(), arguments);
        answer(command.env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = cudamark(&["history"]);
        command
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
            &[CASE, "--samples", "1", "--least", "50%"][..],
            &["--build-command", BUILD],
            arguments,
        ];
        self.command(&all.concat())
    }

    fn track(&self) -> PathBuf {
        track(&self.folder.path().join("target"))
    }

    fn store(&self) -> PathBuf {
        only_store(&self.track()).path().to_owned()
    }
}

/// Standard output of a command that is to succeed.
fn output(mut command: Command) -> String {
    answer(&mut command)
}

/// The one line of a command that is to fail.
fn error(mut command: Command) -> String {
    one_line(&command.output().unwrap(), 1)
}

fn json(command: Command) -> Value {
    serde_json::from_str(&output(command)).unwrap()
}

fn curve(history: &Value) -> &Value {
    let cases = history["cells"].as_array().unwrap();
    assert_eq!(cases.len(), 1);
    assert_eq!(cases[0]["cell"], CASE);
    &cases[0]
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
    let lines = count_lines(&repository.track());
    assert_eq!(lines, 12 * 6);
    let said = output(repository.command(&["--least", "50%"]));
    let named = format!("step at {}", &repository.commits[8][..10]);
    assert!(said.contains(&named) && said.contains("Change 8"), "{said}");
    assert!(said.contains("which is this one"), "{said}");
    assert_eq!(count_lines(&repository.track()), lines);

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
    let said = output(repository.command(&["--least", "50%"]));
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
    let said = common::said(&output, 0);
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
    let said = error(repository.command(&["--store", theirs]));
    contains(&said, &["machine fedcba987654", "do not compare; --force"]);
    let page = repository.folder.path().join("page");
    let forced = ["--store", theirs, "--force", "--page", page.to_str().unwrap()];
    let said = output(repository.command(&forced));
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
    output(repository.command(&forced));
    assert!(!page.join("records/private").exists());
    let json = json(repository.command(&["--store", theirs, "--force", "--json"]));
    assert_eq!(json["other_machine"], true);
    // A measurement here is never added to it.
    let said = error(repository.filling(&["--fill", "1", "--store", theirs, "--force"]));
    assert!(said.contains("belongs to the store of this machine"), "{said}");
    // A store of this machine under another name is its own.
    let renamed = repository.folder.path().join("renamed.jsonl");
    fs::copy(repository.store(), &renamed).unwrap();
    output(repository.command(&["--store", renamed.to_str().unwrap()]));
    output(repository.command(&["--machine", id]));
    let said = error(repository.command(&["--machine", "nobody"]));
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
    let history = json(repository.command(&["--json"]));
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
    let said = error(repository.command(&[]));
    assert!(said.contains(".jsonl:1"), "{said}");
}

fn ctrl_c_keeps_what_was_measured() {
    let repository = Repository::new(&delays(3, |_| true));
    let mut command = repository.filling(&["--fill-missing", "--processes", "100"]);
    let mut child = command.spawn().unwrap();
    wait_until(&mut child, || count_lines(&repository.track()) >= 4);
    signal(&child, "-INT");
    let said = common::said(&child.wait_with_output().unwrap(), 130);
    assert!(said.contains("what was measured is kept"), "{said}");
    let lines = count_lines(&repository.track());
    assert!((4..300).contains(&lines), "{lines}");
    output(repository.filling(&["--fill-missing", "--processes", "1"]));
    assert_eq!(count_lines(&repository.track()), lines);
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
        let said = error(repository.command(arguments));
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    let said = repository.command(&["--fill", "2"]).output().unwrap();
    assert_eq!(said.status.code(), Some(2));
    // From a day on, and from a revision on.
    for (since, commits) in [("2026-01-02", 2), ("HEAD~1", 2), ("HEAD", 1)] {
        let arguments = ["--fill-missing", "--processes", "1", "--json", "--since", since];
        let history = json(repository.filling(&arguments));
        assert_eq!(history["commits"].as_array().unwrap().len(), commits, "{since}");
    }
}
