//! The figures of the documents are those of the records: each table of
//! `docs/KERNELS.md` that compares with CUB, and what the README says of it, is held
//! against the records of the chip that its section is headed by. A record that is made
//! again fails here until they follow.

use crate::cargo;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;

/// The chips: what a heading calls them, and the folders of their records.
const CHIPS: [(&str, &str); 2] = [("an H100", "h100"), ("an H200", "h200")];

/// A table: names of its columns, and rows of as many cells.
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

fn read(path: &str) -> String {
    fs::read_to_string(cargo::root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn tables(document: &str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let mut inside = false;
    for line in document.lines() {
        let Some(cells) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")) else {
            inside &= line.starts_with("|---");
            continue;
        };
        let cells = cells.split(" | ").map(|cell| cell.trim().to_owned());
        match tables.last_mut() {
            Some(table) if inside => table.rows.push(cells.collect()),
            _ => tables.push(Table { columns: cells.collect(), rows: Vec::new() }),
        }
        inside = true;
    }
    tables
}

/// The tables of the kernels' page in the section on this chip whose first column has
/// this name.
fn tables_of(chip: &str, first: &str) -> Vec<Table> {
    let page = read("docs/KERNELS.md");
    let sections = page.split("\n## ");
    let heading = format!("Against the peers, on {chip}\n");
    let section = sections.filter(|section| section.starts_with(&heading));
    let tables = section.flat_map(tables);
    tables.filter(|table| table.columns[0] == first).collect()
}

/// The number `2^e`.
fn power(text: &str) -> u64 {
    let exponent = text.strip_prefix("2^").and_then(|e| e.parse::<u32>().ok());
    1 << exponent.unwrap_or_else(|| panic!("{text} is no power of two"))
}

/// Cells of the ratios' record by sort, type and number of elements.
fn peers(folder: &str) -> BTreeMap<(String, String, u64), Value> {
    let record = read(&format!("records/{folder}/peers.json"));
    let record: Value = serde_json::from_str(&record).unwrap();
    let text = |cell: &Value, field: &str| cell[field].as_str().unwrap().to_owned();
    let cells = record["cells"].as_array().unwrap().iter().map(|cell| {
        assert_eq!(cell["verified"], true);
        let n = cell["n"].as_u64().unwrap();
        ((text(cell, "ours"), text(cell, "type"), n), cell.clone())
    });
    cells.collect()
}

/// Ratios by type, size, distribution and sort, of the tables that `cudamark peers` has
/// printed of distributions.
fn printed(folder: &str) -> BTreeMap<[String; 4], String> {
    let mut ratios = BTreeMap::new();
    for entry in fs::read_dir(cargo::root().join("records").join(folder)).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !(name.starts_with("distributions_") && name.ends_with(".txt")) {
            continue;
        }
        for line in read(&format!("records/{folder}/{name}")).lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words.len() == 8 && words[1].starts_with("2^") {
                let key = [0, 1, 2, 3].map(|i| words[i].to_owned());
                let before = ratios.insert(key, words[7].to_owned());
                assert_eq!(before, None, "{name}: {line}");
            }
        }
    }
    ratios
}

#[test]
fn ratios_are_those_of_the_record() {
    for (chip, folder) in CHIPS {
        let peers = peers(folder);
        let tables = tables_of(chip, "n");
        for (table, ours) in tables.iter().zip(["gpu", "gpu-ballots"]) {
            assert!(!table.rows.is_empty());
            for row in &table.rows {
                for (kind, cell) in table.columns.iter().zip(row).skip(1) {
                    let key = (ours.to_owned(), kind.clone(), power(&row[0]));
                    let ratio = peers[&key]["ratio"].as_f64().unwrap();
                    assert_eq!(*cell, format!("{ratio:.2}"), "{chip}: {key:?}");
                }
            }
        }
        let planned = peers.keys().filter(|(ours, ..)| ours == "gpu").count();
        assert_eq!(tables[0].rows.len() * (tables[0].columns.len() - 1), planned);
    }
}

#[test]
fn temporary_memory_is_that_of_the_record_and_not_above_cubs() {
    let peers = peers("h100");
    let table = &tables_of("an H100", "n")[2];
    assert_eq!(table.rows.len(), 8);
    for row in &table.rows {
        for (kind, cell) in table.columns.iter().zip(row).skip(1) {
            let n = power(&row[0]);
            let record = &peers[&("gpu".to_owned(), kind.clone(), n)];
            let width = if kind == "u32" { 4 } else { 8 };
            let ours = record["ours_temporary_bytes"].as_u64().unwrap() - n * width;
            let variants = record["variants"].as_array().unwrap().iter();
            let given = variants.filter(|v| v["name"].as_str().unwrap().ends_with("double-buffer"));
            let cub = given.map(|v| v["temporary_bytes"].as_u64().unwrap()).min();
            let cub = cub.unwrap();
            assert!(ours <= cub, "{kind} {n}: {ours} bytes and {cub}");
            let thousands = |bytes: u64| format!("{:.0}", bytes as f64 / 1e3);
            let found = cell.replace(',', "");
            assert_eq!(found, format!("{} / {}", thousands(ours), thousands(cub)));
        }
    }
}

/// The type and the sort that a column is of, and what is left of its name.
fn column(name: &str) -> (&str, &'static str, &str) {
    let (name, ours) = match name.strip_suffix(" by ballots") {
        Some(name) => (name, "gpu-ballots"),
        None => (name, "gpu"),
    };
    let (kind, rest) = name.split_once(' ').unwrap_or((name, ""));
    (kind, ours, rest)
}

#[test]
fn distributions_are_those_of_the_records() {
    for (chip, folder) in CHIPS {
        let ratios = printed(folder);
        let tables = tables_of(chip, "distribution");
        assert!(tables.len() > 1);
        for table in &tables {
            assert_eq!(table.rows.len(), 16);
            for (index, name) in table.columns.iter().enumerate().skip(1) {
                let (kind, ours, size) = column(name);
                for row in &table.rows {
                    let key = [kind, size, &row[0], ours].map(str::to_owned);
                    assert_eq!(row[index], ratios[&key], "{chip}: {key:?}");
                }
            }
        }
    }
}

#[test]
fn the_least_ratio_is_that_of_all_distributions() {
    for (chip, folder) in CHIPS {
        let ratios = printed(folder);
        let table = &tables_of(chip, "least at")[0];
        assert!(table.rows.len() > 6);
        for row in &table.rows {
            for (name, cell) in table.columns.iter().zip(row).skip(1) {
                let (kind, ours, _) = column(name);
                let of_all = ratios.iter().filter(|([of, n, _, by], _)| {
                    (of.as_str(), n, by.as_str()) == (kind, &row[0], ours)
                });
                let of_all: Vec<f64> = of_all.map(|(_, ratio)| ratio.parse().unwrap()).collect();
                let what = format!("{chip}: {name} at {}", row[0]);
                if cell == "-" {
                    assert!(of_all.is_empty(), "{what}");
                } else {
                    assert_eq!(of_all.len(), 16, "{what}");
                    let least = of_all.into_iter().fold(f64::MAX, f64::min);
                    assert_eq!(*cell, format!("{least:.2}"), "{what}");
                    // Nothing is slower than CUB.
                    assert!(least >= 1.0, "{what}");
                }
            }
        }
    }
}

#[test]
fn the_readme_says_what_the_records_say() {
    let readme = read("README.md");
    let says = |figure: String| {
        let found = readme.contains(&figure);
        assert!(found, "the README does not say: {figure}");
    };
    let of = |folder: &str, kind: &str, n: u64, field: &str| {
        let key = ("gpu".to_owned(), kind.to_owned(), n);
        peers(folder)[&key][field].as_f64().unwrap()
    };
    let range = |folder: &str, sizes: &[u32]| {
        let of_four =
            |&e: &u32| ["u32", "i32", "f32"].map(|kind| of(folder, kind, 1 << e, "ratio"));
        let ratios = sizes.iter().flat_map(of_four);
        ratios.fold((f64::MAX, 0f64), |(least, most), ratio| (least.min(ratio), most.max(ratio)))
    };
    let large = 1 << 28;
    for (_, folder) in CHIPS {
        let (least, most) = range(folder, &[28]);
        says(format!("{least:.2} to {most:.2} times as fast"));
    }
    let (least, most) = range("h200", &[14, 16, 18, 20]);
    says(format!("{least:.1} to {most:.1} times for 2^14 to 2^20"));
    let of_u32 = |folder| of(folder, "u32", large, "ours_ms");
    says(format!("(2^28 `u32`, {:.2} ms)", of_u32("h200")));
    says(format!("2^28 `u32` in {:.2} ms", of_u32("h100")));
    let pairs = |field| of("h200", "u32+u32", large, field);
    says(format!("2^28 take {:.2} ms", pairs("ours_ms")));
    says(format!("{:.2} times as fast", pairs("ratio")));
    for (_, folder) in CHIPS {
        let wide = |field| of(folder, "u64", large, field);
        let (ms, ratio) = (wide("ours_ms"), wide("ratio"));
        let verb = if folder == "h200" { "take" } else { "in" };
        says(format!("2^28 `u64` {verb} {ms:.2} ms, {ratio:.2} times"));
    }
}
