//! The commands `classic`, `sample` and `peers` from outside: the output to the letter, the
//! files, the refusals.

mod common;

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use common::{contains, json_lines, one_line, program, said, signal, text, wait_until};

fn cudamark(arguments: &[&str]) -> Output {
    common::cudamark(arguments).output().unwrap()
}

fn classic(line: &str) -> Output {
    let words: Vec<&str> = line.split(' ').collect();
    cudamark(&[&["classic"], &words[..]].concat())
}

/// Asserts that `classic` with these options refuses in one line with `code` and all of
/// `parts`.
#[track_caller]
fn refuses(options: &str, code: i32, parts: &[&str]) {
    let output = classic(options);
    let line = one_line(&output, code);
    assert_eq!(text(&output.stdout), "", "{options}");
    assert!(line.starts_with("cudamark: "), "{line}");
    contains(&line, parts);
}

/// A folder, and the path of a file in it as text.
fn folder() -> (TempDir, impl Fn(&str) -> String) {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().to_owned();
    (folder, move |name: &str| path.join(name).display().to_string())
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
    let output = classic("--engine cpu-std --n 3^9 --levels 1,2,1,128,2 --samples 3");
    said(&output, 0);
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
    // Both forms give the same times.
    let lines: Vec<&str> = stdout.lines().collect();
    for level in 0..3 {
        let short = lines[1 + level].rsplit(' ').nth(1).unwrap();
        let long = lines[6 + level].split(',').nth(1).unwrap();
        let (short, long): (f64, f64) = (short.parse().unwrap(), long.parse().unwrap());
        assert!((short - long).abs() <= 0.000_051 && long > 0.0, "{short} {long}");
    }
}

#[test]
fn files_hold_what_was_measured() {
    let (_folder, path) = folder();
    let [csv, plot, json] = [path("times.csv"), path("times.svg"), path("record.json")];
    // A longer file leaves nothing behind.
    fs::write(&csv, "x".repeat(10_000)).unwrap();
    let files = format!("--csv {csv} --plot {plot} --json {json}");
    let output =
        classic(&format!("--engine cpu-std --n 20000 --levels 4,1 --samples 6 --seed 9 {files}"));
    said(&output, 0);

    let stdout = text(&output.stdout);
    let printed = stdout.split("\n\n").nth(1).unwrap();
    assert_eq!(fs::read_to_string(&csv).unwrap(), printed);

    let svg = fs::read_to_string(&plot).unwrap();
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{svg}");
    assert!(svg.contains("concurrency level") && svg.contains("time ["), "{svg}");
    assert!(svg.contains("Sorting 20,000 i32 keys"), "{svg}");

    let record: Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    for (field, value) in [
        ("version", Value::from(2)),
        ("n", 20_000.into()),
        ("key", "i32".into()),
        ("seed", 9.into()),
        ("distribution", "classic".into()),
        ("confidence", 0.96875.into()),
    ] {
        assert_eq!(record[field], value, "{field}");
    }
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
fn every_cpu_engine_can_be_named() {
    for engine in ["cpu-std", "cpu-rayon", "cpu-radix"] {
        let output = classic(&format!("--engine {engine} --n 5000 --levels 2 --samples 1"));
        contains(&said(&output, 0), &[&format!("engine: {engine}, n: 5000")]);
    }
}

#[test]
fn auto_takes_the_cpu_where_the_driver_shows_no_gpu() {
    let mut command = common::cudamark(&["classic", "--n", "5000", "--levels", "2"]);
    command.args(["--samples", "1"]).env("CUDA_VISIBLE_DEVICES", "");
    let said = said(&command.output().unwrap(), 0);
    assert!(said.starts_with("gpu: skipped: "), "{said}");
    let instead = "; see `cudamark doctor`; cpu-radix is taken instead\n";
    contains(&said, &["engine: cpu-radix (auto)", instead]);
}

#[test]
fn nothing_sorts_to_nothing() {
    let output = classic("--engine cpu-radix --n 0 --levels 1,8 --samples 2");
    said(&output, 0);
    assert_eq!(text(&output.stdout).lines().count(), 7);
}

#[test]
fn a_wrong_command_line_is_named_in_one_line() {
    for (options, parts) in [
        ("--levels 1,0", &["'0'", "level 0"][..]),
        ("--levels 1,two", &["`two`", "1,2,4"]),
        ("--levels ", &["--levels"]),
        ("--engine abacus", &["`abacus`", "gpu", "cpu-std", "cpu-rayon", "cpu-radix", "auto"]),
        ("--n many", &["'many'", "1000000"]),
        ("--n 2^4..2^6", &["'2^4..2^6'", "not a range"]),
        ("--n -1", &["'-1' for '--n <N>'", "see cudamark classic --help"]),
        ("--samples -1s", &["'-1s' for '--samples'", "negative"]),
        ("--n 10 --type u32", &["--type", "--n"]),
        ("--samples 0", &["--samples", "1 or more"]),
        ("--samples 1e6", &["--samples", "write it like 10"]),
        ("--seed x", &["'x' for '--seed <SEED>'", "write it like 42"]),
        ("--frobnicate", &["--frobnicate"]),
    ] {
        refuses(options, 2, parts);
    }
}

#[test]
fn a_misspelt_variable_is_one_line_with_the_nearest_name() {
    let mut command = common::cudamark(&["sample", "--list", "--tier", "quick"]);
    let output = command.env("CUDAMARK_GPUMEMORY", "25%").output().unwrap();
    let line = "cudamark: CUDAMARK_GPUMEMORY is ignored; the nearest name of a variable is \
                CUDAMARK_GPU_MEMORY\n";
    assert_eq!(said(&output, 0), line);
}

#[test]
fn inputs_and_levels_beyond_the_machine_are_refused_before_anything_is_measured() {
    for (options, parts) in [
        (
            "--engine cpu-std --n 1000000000000000",
            &["n = 1000000000000000 needs 12.0 PB of memory", "choose a smaller n"],
        ),
        // Bytes that 64 bits do not count.
        ("--engine cpu-rayon --n 18446744073709551615", &["18446744073709551615", ""]),
        ("--engine cpu-std --levels 1,99999999", &["99999999", "lower level"]),
    ] {
        refuses(options, 1, parts);
    }
}

#[test]
fn files_that_cannot_be_written_are_refused_before_anything_is_measured() {
    let (here, path) = folder();
    let nowhere = path("missing/file");
    for option in ["--csv", "--plot", "--json"] {
        refuses(&format!("--engine cpu-std {option} {nowhere}"), 1, &[&nowhere]);
    }
    let twice = path("twice");
    let both = format!("--engine cpu-std --csv {twice} --json {twice}");
    refuses(&both, 1, &[&twice, "its own file"]);
    assert_eq!(fs::read_dir(here.path()).unwrap().count(), 0);
}

#[test]
fn peers_tells_a_missing_gpu_from_a_wrong_command_line() {
    let (here, path) = folder();
    let peers = |sizes: &str| {
        let mut command = common::cudamark(&["peers", "--sizes", sizes]);
        command.args(["--json", &path("peers.json")]).env("CUDA_VISIBLE_DEVICES", "");
        command.output().unwrap()
    };
    let output = peers("1000");
    let line = one_line(&output, 3);
    assert!(line.starts_with("cudamark: gpu: skipped: "), "{line}");
    assert!(output.stdout.is_empty());
    contains(&one_line(&peers("2^64"), 2), &["'2^64'"]);
    assert_eq!(fs::read_dir(here.path()).unwrap().count(), 0, "a report of nothing");
}

#[test]
fn several_gpus_that_are_not_there_are_named_and_nothing_is_written() {
    let (here, path) = folder();
    let run = |words: &[&str]| {
        let mut command = common::cudamark(words);
        command.args(["--json", &path("new.json")]).env("CUDA_VISIBLE_DEVICES", "");
        command.output().unwrap()
    };
    let line = one_line(&run(&["devices"]), 3);
    assert!(line.starts_with("cudamark: devices: skipped: "), "{line}");
    for words in [&["devices", "--devices", "2"][..], &["classic", "--devices", "all"]] {
        let line = one_line(&run(words), 3);
        assert!(line.starts_with("cudamark: gpu: "), "{line}");
    }
    contains(&one_line(&run(&["classic", "--devices", "some"]), 2), &["'some'", "all"]);
    let output = run(&["classic", "--devices", "2", "--engine", "cpu-std"]);
    contains(&one_line(&output, 1), &["`cpu-std` sorts on no GPU"]);
    assert_eq!(fs::read_dir(here.path()).unwrap().count(), 0, "a record of nothing");
}

#[test]
fn ctrl_c_leaves_files_as_they_were() {
    let (here, path) = folder();
    let (csv, json) = (path("new.csv"), path("old.json"));
    fs::write(&json, "before").unwrap();
    let mut command = common::cudamark(&["classic", "--engine", "cpu-std", "--samples", "100000"]);
    command.args(["--csv", &csv, "--json", &json]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Work has begun once there is a line.
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    // Jobs that a shell put into the background ignore the first of them.
    signal(&child, "-INT");
    signal(&child, "-TERM");
    stdout.read_to_string(&mut line).unwrap();
    assert!(!child.wait_with_output().unwrap().status.success());
    assert_eq!(fs::read_dir(here.path()).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(&json).unwrap(), "before");
}

/// A call of `sample` with a few samples of a cell.
fn sample(cell: &str, json: &str) -> Output {
    let mut command = common::cudamark(&["sample", "--cells", cell, "--json", json]);
    // No GPU, whatever machine this is.
    command.env("CUDA_VISIBLE_DEVICES", "-1").args(["--samples", "2", "--warm-up", "0"]);
    command.output().unwrap()
}

#[test]
fn cells_of_no_engine_or_of_no_name_are_refused() {
    let (here, path) = folder();
    for (cells, parts) in [
        ("cpu/u32-uniform/abacus/1/1000", ["engine `abacus`", "cpu-std"]),
        ("cpu/u32-uniform/cpu-std/1/1000,", ["--cells: ``", "every case"]),
    ] {
        contains(&said(&sample(cells, &path("none.jsonl")), 1), &parts);
    }
    assert_eq!(fs::read_dir(here.path()).unwrap().count(), 0);
}

#[test]
fn samples_replace_those_before_once_there_is_one() {
    let (_folder, path) = folder();
    let file = path("records.jsonl");
    fs::write(&file, "before\n").unwrap();
    said(&sample("device/gpu/u32-uniform-1000/1", &file), 3);
    assert_eq!(fs::read_to_string(&file).unwrap(), "before\n");
    let cpu = "cpu/cpu-std/u32-uniform-1000/1";
    said(&sample(cpu, &file), 0);
    let lines = json_lines(&fs::read_to_string(&file).unwrap());
    let kinds: Vec<&Value> = lines.iter().map(|line| &line["line"]).collect();
    assert_eq!(kinds, ["environment", "sample", "sample", "finished"]);
    // Folders above are made. A pipe takes the lines as they come.
    let below = path("new/folder/records.jsonl");
    said(&sample(cpu, &below), 0);
    assert_eq!(fs::read_to_string(&below).unwrap().lines().count(), 4);
    let output = sample(cpu, "/dev/stdout");
    assert_eq!(text(&output.stdout).lines().count(), 4);
    let output = sample(cpu, "/dev/full");
    assert!(text(&output.stderr).starts_with("cudamark: /dev/full: "), "{output:?}");
}

#[test]
fn a_signal_keeps_what_was_sampled() {
    let (_folder, path) = folder();
    let file = path("records.jsonl");
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        fs::write(&file, "before\n").unwrap();
        let mut command = common::cudamark(&["sample", "--samples", "100000000", "--json", &file]);
        command.args(["--cells", "cpu/cpu-std/u32-uniform-1000/1", "--warm-up", "0"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        wait_until(&mut child, || fs::read_to_string(&file).unwrap().lines().count() >= 5);
        signal(&child, name);
        let said = said(&child.wait_with_output().unwrap(), code);
        let kept = fs::read_to_string(&file).unwrap().matches("\"line\":\"sample\"").count();
        contains(&said, &["that were finished are kept", &format!("the {kept} samples")]);
    }
}

/// A sort of a moment, whose record goes to the next argument.
const SMALL: [&str; 10] =
    ["classic", "--engine", "cpu-std", "--n", "1000", "--levels", "1", "--samples", "1", "--json"];

#[test]
fn standard_output_may_be_a_file_of_results() {
    let (_folder, path) = folder();
    let mut command = common::cudamark(&SMALL);
    command.arg("/dev/stdout").stdout(fs::File::create(path("all")).unwrap());
    said(&command.output().unwrap(), 0);
    let all = fs::read_to_string(path("all")).unwrap();
    assert!(all.starts_with("CPU cores: "), "{all}");
    let record: Value = serde_json::from_str(&all[all.find('{').unwrap()..]).unwrap();
    assert_eq!(record["n"], 1000);
}

#[test]
fn a_full_disk_leaves_the_file_that_was_there() {
    let (here, path) = folder();
    let json = path("record.json");
    fs::write(&json, "before").unwrap();
    // Files may not grow at all: the system then says what it says of a full disk.
    let mut command = Command::new("bash");
    command.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "bash"]).arg(program());
    let output = command.args(SMALL).arg(&json).output().unwrap();
    contains(&said(&output, 1), &["cannot write"]);
    assert_eq!(fs::read_to_string(&json).unwrap(), "before");
    assert_eq!(fs::read_dir(here.path()).unwrap().count(), 1);
}

#[test]
fn the_exit_code_is_the_same_where_standard_error_is_closed() {
    let classic = ["classic", "--engine", "cpu-std", "--levels", "1", "--n"];
    for (n, code) in [("1000", 0), ("-1", 2), ("1000000000000000", 1)] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut command = common::cudamark(&classic);
        let status = command.arg(n).stdout(Stdio::null()).stderr(writer).status();
        assert_eq!(status.unwrap().code(), Some(code), "{n}");
    }
}

/// Writes a .npy whose header says these things, and the bytes after it.
fn npy(path: &str, header: &str, keys: &[u8]) {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(keys);
    fs::write(path, bytes).unwrap();
}

#[test]
fn keys_of_a_file_are_sorted_under_its_name() {
    let (_folder, path) = folder();
    let (file, raw, json) = (path("own.npy"), path("own.bin"), path("record.json"));
    let keys: Vec<u8> = (0..3000u64).rev().flat_map(u64::to_le_bytes).collect();
    npy(&file, "{'descr': '<u8', 'fortran_order': False, 'shape': (3000,), }", &keys);
    fs::write(&raw, &keys).unwrap();
    let mut names = Vec::new();
    for keys in [file.clone(), format!("{raw} --type u64")] {
        let options = "--engine cpu-std --levels 1,2 --samples 2";
        let line = said(&classic(&format!("{options} --json {json} --keys {keys}")), 0);
        let record: Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
        assert_eq!((&record["n"], &record["key"]), (&3000.into(), &"u64".into()));
        let name = record["distribution"].as_str().unwrap().to_owned();
        contains(&line, &[&format!("n: 3000, keys: u64 of {name}")]);
        names.push(name);
    }
    let hash = names[0].strip_prefix("own.npy@").unwrap();
    assert_eq!((hash.len(), &*names[1]), (8, &*format!("own.bin@{hash}")));

    // Cases of the file are listed, and sampled by their names.
    let name = format!("cpu/u64-own.npy@{hash}/cpu-radix/1/3000");
    let list = cudamark(&["sample", "--list", "--tier", "full", "--keys", &file]);
    let list = text(&list.stdout);
    let own = format!("-own.npy@{hash}");
    assert!(list.lines().all(|line| line.contains("/u64") && line.contains(&own)), "{list}");
    assert!(list.contains("/cpu-radix/") && list.contains("emulator/"), "{list}");
    let sample = ["sample", "--cells", &name, "--samples", "1", "--warm-up", "0"];
    let output = cudamark(&[&sample[..], &["--keys", &file]].concat());
    said(&output, 0);
    let lines = json_lines(&text(&output.stdout));
    assert_eq!(lines[1]["cell"], *name);
    let without = one_line(&cudamark(&sample), 1);
    contains(&without, &["--keys: `own.npy@", "give the file of these keys"]);
}

#[test]
fn a_file_of_keys_that_cannot_be_sorted_is_one_error() {
    let (_folder, path) = folder();
    let file = path("own.npy");
    let header = "{'descr': '<u4', 'fortran_order': False, 'shape': (4,), }";
    for (header, bytes, said) in [
        (header, 15, "truncated: its header says 4 keys of u32"),
        (&header.replace("<u4", ">u4"), 16, "big-endian"),
        (&header.replace("<u4", "<f8"), 32, "f64, which is not measured"),
        (&header.replace("4,", "2, 2").replace("False", "True"), 16, "(2, 2) in Fortran order"),
        ("{'descr': ", 16, "its .npy header cannot be read"),
    ] {
        npy(&file, header, &vec![0; bytes]);
        for command in ["classic", "peers", "sample --list"] {
            let words: Vec<&str> = command.split(' ').collect();
            let line = one_line(&cudamark(&[&words[..], &["--keys", &file]].concat()), 1);
            assert!(line.starts_with(&format!("cudamark: {file}: ")), "{line}");
            contains(&line, &[said]);
        }
    }
    for beside in ["--n 5", "--seed 1"] {
        refuses(&format!("--keys {file} {beside}"), 2, &["--keys", "cannot be used with"]);
    }
    refuses("--type u32", 2, &["--keys"]);
    refuses(&format!("--keys {file} --type u33"), 2, &["'u33'", "u32"]);
}

#[test]
fn help_and_version_are_results() {
    let help = cudamark(&["classic", "--help"]);
    said(&help, 0);
    let options =
        ["--n", "--levels", "--engine", "--samples", "--seed", "--csv", "--plot", "--json"];
    contains(&text(&help.stdout), &options);
    let version = cudamark(&["--version"]);
    said(&version, 0);
    assert!(text(&version.stdout).starts_with("cudamark "));
    said(&cudamark(&[]), 2);
}
