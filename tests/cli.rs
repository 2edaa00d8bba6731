//! The command `cudamark classic` from outside: what it prints to the letter, what it
//! writes, and how it refuses.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// The command. A bundle says where it is; else it is where cargo built it.
fn program() -> String {
    let built = env!("CARGO_BIN_EXE_cudamark").to_owned();
    env::var("CARGO_BIN_EXE_cudamark").unwrap_or(built)
}

fn cudamark(arguments: &[&str]) -> Output {
    Command::new(program()).args(arguments).output().unwrap()
}

/// Runs `classic` small enough for a test, on the CPU.
fn classic(arguments: &[&str]) -> Output {
    let fixed = ["classic", "--engine", "cpu-std", "--n", "20000"];
    cudamark(&[&fixed, arguments].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Asserts that the command refuses in one line with `code`, and returns the line.
fn refusal(arguments: &[&str], code: i32) -> String {
    let output = cudamark(&[&["classic"], arguments].concat());
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert_eq!(text(&output.stdout), "", "{arguments:?}");
    let lines: Vec<&str> = said.lines().collect();
    let [line] = lines[..] else {
        panic!("{arguments:?}: not one line: {said}");
    };
    assert!(line.starts_with("cudamark: "), "{line}");
    assert!(!line.contains("panicked"), "{line}");
    line.to_owned()
}

/// Replaces every decimal fraction by its number of decimals: `0.0759` by `#4`.
fn shape(line: &str) -> String {
    let word = |word: &str| match word.split_once('.') {
        Some((whole, decimals))
            if !whole.is_empty()
                && (whole.to_owned() + decimals).bytes().all(|b| b.is_ascii_digit()) =>
        {
            format!("#{}", decimals.len())
        }
        _ => word.to_owned(),
    };
    let commas = |part: &str| part.split(',').map(word).collect::<Vec<_>>().join(",");
    line.split(' ').map(commas).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_output_is_the_classic_one_to_the_letter() {
    let output = classic(&["--levels", "1,2,128", "--samples", "3"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let cores = std::thread::available_parallelism().unwrap();
    let stdout = text(&output.stdout);
    let lines: Vec<String> = stdout.lines().map(shape).collect();
    let expected = [
        &format!("CPU cores: {cores}"),
        "Threads: 1, Time taken: #4 seconds",
        "Threads: 2, Time taken: #4 seconds",
        "Threads: 128, Time taken: #4 seconds",
        "",
        "ThreadCount,TimeTakenSeconds",
        "1,#6",
        "2,#6",
        "128,#6",
    ];
    assert_eq!(lines, expected);
    assert!(stdout.ends_with('\n') && !stdout.ends_with("\n\n"));
}

#[test]
fn both_forms_of_the_output_give_the_same_times() {
    let output = classic(&["--levels", "1,2", "--samples", "1"]);
    let stdout = text(&output.stdout);
    let lines: Vec<&str> = stdout.lines().collect();
    for level in 0..2 {
        let short = lines[1 + level].rsplit(' ').nth(1).unwrap();
        let long = lines[5 + level].split(',').nth(1).unwrap();
        let (short, long): (f64, f64) = (short.parse().unwrap(), long.parse().unwrap());
        assert!((short - long).abs() <= 0.000_051, "{short} {long}");
        assert!(long > 0.0);
    }
}

#[test]
fn files_hold_what_was_measured() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let [csv, plot, json] = [path("times.csv"), path("times.svg"), path("record.json")];
    // What a longer file held before is gone.
    fs::write(&csv, "x".repeat(10_000)).unwrap();
    let output = classic(&[
        "--levels",
        "4,1",
        "--samples",
        "6",
        "--seed",
        "9",
        "--csv",
        &csv,
        "--plot",
        &plot,
        "--json",
        &json,
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));

    let stdout = text(&output.stdout);
    let printed = stdout.split("\n\n").nth(1).unwrap();
    assert_eq!(fs::read_to_string(&csv).unwrap(), printed);

    let svg = fs::read_to_string(&plot).unwrap();
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{svg}");
    assert!(svg.contains("concurrency level") && svg.contains("time ["), "{svg}");
    assert!(svg.contains("Sorting 20,000 i32 keys"), "{svg}");

    let record: Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!(record["version"], 1);
    assert_eq!(record["n"], 20_000);
    assert_eq!(record["key"], "i32");
    assert_eq!(record["seed"], 9);
    assert_eq!(record["distribution"], "classic");
    assert_eq!(record["confidence"], 0.96875);
    let toolchain = record["environment"]["toolchain"].as_str().unwrap();
    assert!(toolchain.starts_with("rustc "), "{toolchain}");
    assert!(record["environment"]["cores"].as_u64().unwrap() > 0);
    let levels = record["levels"].as_array().unwrap();
    assert_eq!(levels.len(), 2);
    for (level, concurrency) in levels.iter().zip([4, 1]) {
        assert_eq!(level["level"], concurrency);
        assert_eq!(level["engine"], "cpu-std");
        assert_eq!(level["verified"], true);
        assert_eq!(level["samples_s"].as_array().unwrap().len(), 6);
        let [low, median, high] =
            ["low_s", "median_s", "high_s"].map(|key| level[key].as_f64().unwrap());
        assert!(0.0 < low && low <= median && median <= high, "{level}");
        let row = format!("{concurrency},{median:.6}\n");
        assert!(printed.contains(&row), "{printed} lacks {row}");
    }
}

#[test]
fn every_cpu_engine_can_be_named_and_auto_takes_one() {
    for engine in ["cpu-std", "cpu-rayon", "cpu-radix"] {
        let output = cudamark(&[
            "classic",
            "--engine",
            engine,
            "--n",
            "5000",
            "--levels",
            "2",
            "--samples",
            "1",
        ]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains(&format!("engine: {engine}, n: 5000")), "{said}");
    }
    let output = cudamark(&["classic", "--n", "5000", "--levels", "2", "--samples", "1"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let on_gpu = said.contains("engine: gpu (auto)");
    let skipped = said.starts_with("gpu: skipped: ") && said.contains("engine: cpu-radix (auto)");
    assert!(
        on_gpu || skipped && said.contains("; see `cudamark doctor`; cpu-radix is taken instead\n"),
        "{said}"
    );
}

#[test]
fn nothing_sorts_to_nothing() {
    let output = cudamark(&[
        "classic",
        "--engine",
        "cpu-radix",
        "--n",
        "0",
        "--levels",
        "1,8",
        "--samples",
        "2",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().count(), 7);
}

#[test]
fn a_wrong_command_line_is_named_in_one_line() {
    let line = refusal(&["--levels", "1,0"], 2);
    assert!(line.contains("'1,0'") && line.contains("level 0"), "{line}");
    let line = refusal(&["--levels", "1,two"], 2);
    assert!(line.contains("`two`") && line.contains("1,2,4"), "{line}");
    let line = refusal(&["--levels", ""], 2);
    assert!(line.contains("--levels"), "{line}");
    let line = refusal(&["--engine", "abacus"], 2);
    assert!(line.contains("`abacus`"), "{line}");
    for known in ["gpu", "cpu-std", "cpu-rayon", "cpu-radix", "auto"] {
        assert!(line.contains(known), "{line}");
    }
    let line = refusal(&["--n", "many"], 2);
    assert!(line.contains("'many'") && line.contains("50000000"), "{line}");
    let line = refusal(&["--n", "-1"], 2);
    assert!(line.contains("-1"), "{line}");
    let line = refusal(&["--samples", "0"], 2);
    assert!(line.contains("--samples") && line.contains("1 or more"), "{line}");
    let line = refusal(&["--seed", "x"], 2);
    assert!(line.contains("--seed"), "{line}");
    let line = refusal(&["--frobnicate"], 2);
    assert!(line.contains("--frobnicate"), "{line}");
}

#[test]
fn what_does_not_fit_is_refused_before_it_is_allocated() {
    let n = "1000000000000000";
    let line = refusal(&["--engine", "cpu-std", "--n", n], 1);
    assert!(line.contains(&format!("n = {n} needs 12.0 PB of memory")), "{line}");
    assert!(line.contains("choose a smaller n"), "{line}");
    // Bytes that 64 bits do not count.
    let n = "18446744073709551615";
    let line = refusal(&["--engine", "cpu-rayon", "--n", n], 1);
    assert!(line.contains(n), "{line}");
}

#[test]
fn a_level_beyond_the_engine_is_refused_before_the_others_are_measured() {
    let line = refusal(&["--engine", "cpu-std", "--levels", "1,99999999"], 1);
    assert!(line.contains("99999999") && line.contains("lower level"), "{line}");
}

#[test]
fn files_that_cannot_be_written_are_refused_before_anything_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("missing").join("file");
    for option in ["--csv", "--plot", "--json"] {
        let line = refusal(&["--engine", "cpu-std", option, nowhere.to_str().unwrap()], 1);
        assert!(line.contains(nowhere.to_str().unwrap()), "{line}");
    }
    let twice = folder.path().join("twice");
    let twice = twice.to_str().unwrap();
    let line = refusal(&["--engine", "cpu-std", "--csv", twice, "--json", twice], 1);
    assert!(line.contains(twice) && line.contains("its own file"), "{line}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Starts the command, waits until its standard output has a line, and sends Ctrl-C.
fn interrupted(arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    let piped = command.args(arguments).stdout(Stdio::piped());
    let mut child = piped.stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let id = child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &id]).status();
    assert!(killed.unwrap().success());
    stdout.read_to_string(&mut line).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn ctrl_c_leaves_files_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (csv, json) = (path("new.csv"), path("old.json"));
    fs::write(&json, "before").unwrap();
    let engine = ["classic", "--engine", "cpu-std", "--samples", "100000"];
    let output = interrupted(&[&engine[..], &["--csv", &csv, "--json", &json]].concat());
    assert!(!output.status.success());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(&json).unwrap(), "before");
}

#[test]
fn samples_replace_those_before_once_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.jsonl");
    fs::write(&file, "before\n").unwrap();
    let below = folder.path().join("new/folder/records.jsonl");
    let sample = |cell: &'static str, json: &str| {
        let mut command = Command::new(program());
        // No GPU, whatever machine this is.
        command.env("CUDA_VISIBLE_DEVICES", "-1");
        command.args(["sample", "--cells", cell, "--samples", "2", "--warm-up", "0"]);
        command.args(["--json", json]).output().unwrap()
    };
    let (gpu, cpu) = ("device/gpu/u32-uniform-1000/1", "cpu/cpu-std/u32-uniform-1000/1");
    let output = sample(gpu, file.to_str().unwrap());
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert_eq!(fs::read_to_string(&file).unwrap(), "before\n");
    let output = sample(cpu, file.to_str().unwrap());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let records = fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> =
        records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&Value> = lines.iter().map(|line| &line["line"]).collect();
    assert_eq!(kinds, ["environment", "sample", "sample", "finished"]);
    // Folders above are made. A pipe takes the lines as they come.
    sample(cpu, below.to_str().unwrap());
    assert_eq!(fs::read_to_string(&below).unwrap().lines().count(), 4);
    let output = sample(cpu, "/dev/stdout");
    assert_eq!(text(&output.stdout).lines().count(), 4);
    let output = sample(cpu, "/dev/full");
    assert!(text(&output.stderr).starts_with("cudamark: /dev/full: "), "{output:?}");
}

#[test]
fn ctrl_c_keeps_what_was_sampled() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.jsonl");
    fs::write(&file, "before\n").unwrap();
    let cell = ["sample", "--cells", "cpu/cpu-std/u32-uniform-1000/1"];
    let many = ["--samples", "100000000", "--warm-up", "0", "--json"];
    for signal in ["-INT", "-TERM"] {
        let mut command = Command::new(program());
        command.args(cell).args(many).arg(&file);
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        while fs::read_to_string(&file).unwrap().lines().count() < 5 {
            thread::sleep(Duration::from_millis(5));
        }
        let id = child.id().to_string();
        let killed = Command::new("kill").args([signal, &id]).status();
        assert!(killed.unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = text(&output.stderr);
        assert!(said.contains("that were finished are kept"), "{said}");
        let records = fs::read_to_string(&file).unwrap();
        let kept = records.matches("\"line\":\"sample\"").count();
        assert!(said.contains(&format!("the {kept} samples")), "{said}");
        fs::write(&file, "before\n").unwrap();
    }
}

#[test]
fn standard_output_may_be_a_file_of_results() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all");
    let status = Command::new(program())
        .args(["classic", "--engine", "cpu-std", "--n", "1000", "--levels", "1"])
        .args(["--samples", "1", "--json", "/dev/stdout"])
        .stdout(fs::File::create(&path).unwrap())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let all = fs::read_to_string(path).unwrap();
    assert!(all.starts_with("CPU cores: "), "{all}");
    let record = &all[all.find('{').unwrap()..];
    let record: Value = serde_json::from_str(record).unwrap();
    assert_eq!(record["n"], 1000);
}

#[test]
fn a_full_disk_leaves_the_file_that_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("record.json");
    fs::write(&json, "before").unwrap();
    // Files may not grow at all: the system then says what it says of a full disk.
    let output = Command::new("bash")
        .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "bash", &program()])
        .args(["classic", "--engine", "cpu-std", "--n", "1000", "--levels", "1"])
        .args(["--samples", "1", "--json"])
        .arg(&json)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cannot write"), "{output:?}");
    assert_eq!(fs::read_to_string(&json).unwrap(), "before");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn nobody_who_listens_to_errors_changes_no_exit_code() {
    let classic = ["classic", "--engine", "cpu-std", "--levels", "1", "--n"];
    for (n, code) in [("1000", 0), ("-1", 2), ("1000000000000000", 1)] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let status = Command::new(program())
            .args([&classic[..], &[n]].concat())
            .stdout(Stdio::null())
            .stderr(writer)
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(code), "{n}");
    }
}

#[test]
fn help_and_version_are_results() {
    let help = cudamark(&["classic", "--help"]);
    assert_eq!(help.status.code(), Some(0));
    let help = text(&help.stdout);
    for option in
        ["--n", "--levels", "--engine", "--samples", "--seed", "--csv", "--plot", "--json"]
    {
        assert!(help.contains(option), "{help}");
    }
    let version = cudamark(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert!(text(&version.stdout).starts_with("cudamark "));
    assert_eq!(cudamark(&[]).status.code(), Some(2));
}
