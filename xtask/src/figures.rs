//! The figures of the documents are those of the records: each table of
//! `docs/KERNELS.md` that compares with CUB, and what the README says of it, is held
//! against `records/h200`. A record that is made again fails here until they follow.

use crate::cargo;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;

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
        let Some(cells) = line
            .strip_prefix("| ")
            .and_then(|line| line.strip_suffix(" |"))
        else {
            inside &= line.starts_with("|---");
            continue;
        };
        let cells = cells.split(" | ").map(|cell| cell.trim().to_owned());
        match tables.last_mut() {
            Some(table) if inside => table.rows.push(cells.collect()),
            _ => tables.push(Table {
                columns: cells.collect(),
                rows: Vec::new(),
            }),
        }
        inside = true;
    }
    tables
}

/// The tables of the kernels' page whose first column has this name.
fn tables_by(first: &str) -> Vec<Table> {
    let tables = tables(&read("docs/KERNELS.md")).into_iter();
    tables.filter(|table| table.columns[0] == first).collect()
}

/// The number `2^e`.
fn power(text: &str) -> u64 {
    let exponent = text.strip_prefix("2^").and_then(|e| e.parse::<u32>().ok());
    1 << exponent.unwrap_or_else(|| panic!("{text} is no power of two"))
}

/// Cells of the ratios' record by sort, type and number of elements.
fn peers() -> BTreeMap<(String, String, u64), Value> {
    let record: Value = serde_json::from_str(&read("records/h200/peers.json")).unwrap();
    let text = |cell: &Value, field: &str| cell[field].as_str().unwrap().to_owned();
    let cells = record["cells"].as_array().unwrap().iter().map(|cell| {
        assert_eq!(cell["verified"], true);
        let n = cell["n"].as_u64().unwrap();
        ((text(cell, "ours"), text(cell, "type"), n), cell.clone())
    });
    cells.collect()
}

/// Ratios by type, size, distribution and sort, of a table that `cudamark peers` prints.
fn printed(file: &str) -> BTreeMap<[String; 4], String> {
    let text = read(&format!("records/h200/{file}"));
    let words = text.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words
    });
    let rows = words.filter(|words| words.len() == 8 && words[1].starts_with("2^"));
    rows.map(|words| {
        (
            [0, 1, 2, 3].map(|i| words[i].to_owned()),
            words[7].to_owned(),
        )
    })
    .collect()
}

#[test]
fn ratios_are_those_of_the_record() {
    let peers = peers();
    let tables = tables_by("n");
    for (table, ours) in tables.iter().zip(["gpu", "gpu-ballots"]) {
        assert!(!table.rows.is_empty());
        for row in &table.rows {
            for (kind, cell) in table.columns.iter().zip(row).skip(1) {
                let key = (ours.to_owned(), kind.clone(), power(&row[0]));
                let ratio = peers[&key]["ratio"].as_f64().unwrap();
                assert_eq!(*cell, format!("{ratio:.2}"), "{key:?}");
            }
        }
    }
    let planned = peers.keys().filter(|(ours, ..)| ours == "gpu").count();
    assert_eq!(
        tables[0].rows.len() * (tables[0].columns.len() - 1),
        planned
    );
}

#[test]
fn temporary_memory_is_that_of_the_record_and_not_above_cubs() {
    let peers = peers();
    let table = &tables_by("n")[2];
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

/// Where a column's ratios are: the file, and the sort.
fn source(column: &str) -> (&'static str, &'static str) {
    let ours = match column.ends_with(" by ballots") {
        true => "gpu-ballots",
        false => "gpu",
    };
    let words: Vec<&str> = column.split(' ').collect();
    let file = match power(words[1]) {
        ..=0x10_0000 => "distributions_few.txt",
        0x40_0000 | 0x100_0000 => "distributions_middle.txt",
        0x400_0000 => "distributions_large.txt",
        _ => "distributions_huge.txt",
    };
    (file, ours)
}

#[test]
fn distributions_are_those_of_the_records() {
    let tables = tables_by("distribution");
    assert_eq!(tables.len(), 3);
    for table in &tables {
        assert_eq!(table.rows.len(), 16);
        for (index, column) in table.columns.iter().enumerate().skip(1) {
            let (file, ours) = source(column);
            let ratios = printed(file);
            let mut words = column.split(' ').map(str::to_owned);
            let (kind, size) = (words.next().unwrap(), words.next().unwrap());
            for row in &table.rows {
                let key = [&kind, &size, &row[0], ours].map(|part: &str| part.to_owned());
                assert_eq!(row[index], ratios[&key], "{file}: {key:?}");
            }
        }
    }
}

#[test]
fn the_least_ratio_is_that_of_all_distributions() {
    let table = &tables_by("least at")[0];
    assert_eq!(table.rows.len(), 8);
    for row in &table.rows {
        for (column, cell) in table.columns.iter().zip(row).skip(1) {
            let (kind, way) = column.split_once(' ').unwrap_or((column, ""));
            let (file, ours) = source(&format!("{kind} {} {way}", row[0]));
            let ratios = printed(file).into_iter();
            let of_all =
                ratios.filter(|([of, n, _, by], _)| (&**of, n, &**by) == (kind, &row[0], ours));
            let of_all: Vec<String> = of_all.map(|(_, ratio)| ratio).collect();
            let least = of_all
                .iter()
                .min_by(|a, b| a.len().cmp(&b.len()).then(a.cmp(b)));
            let count = if cell == "-" { 0 } else { 16 };
            assert_eq!(of_all.len(), count, "{column} at {}", row[0]);
            assert_eq!(
                least.map_or("-", String::as_str),
                cell,
                "{column} at {}",
                row[0]
            );
        }
    }
}

#[test]
fn the_readme_says_what_the_record_says() {
    let peers = peers();
    let of = |kind: &str, n: u64, field: &str| {
        let key = ("gpu".to_owned(), kind.to_owned(), n);
        peers[&key][field].as_f64().unwrap()
    };
    let range = |sizes: &[u32]| {
        let of_four = |&e: &u32| ["u32", "i32", "f32"].map(|kind| of(kind, 1 << e, "ratio"));
        let ratios = sizes.iter().flat_map(of_four);
        ratios.fold((f64::MAX, 0f64), |(least, most), ratio| {
            (least.min(ratio), most.max(ratio))
        })
    };
    let ((least, most), (few_least, few_most)) = (range(&[28]), range(&[14, 16, 18, 20]));
    let readme = read("README.md");
    for figure in [
        format!("(2^28 `u32`, {:.2} ms)", of("u32", 1 << 28, "ours_ms")),
        format!("{least:.2} to {most:.2} times as fast"),
        format!("{few_least:.1} to {few_most:.1} times for 2^14 to 2^20"),
        format!("2^28 take {:.2} ms", of("u32+u32", 1 << 28, "ours_ms")),
        format!("{:.2} times as fast", of("u32+u32", 1 << 28, "ratio")),
    ] {
        assert!(
            readme.contains(&figure),
            "the README does not say: {figure}"
        );
    }
}
