//! Tables and sentences made of the records that `records/index.json` names.
//!
//! Each figure has a name, by which a document asks for it. What the documents claim of
//! all records is checked while they are read: results are verified, nothing is slower
//! than CUB, and no sort takes more memory than CUB's.

mod predictions;
mod samples;

use crate::cargo;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Machines with a GPU: their names in the index and in texts.
pub(crate) const CHIPS: [(&str, &str); 2] = [("h200", "H200"), ("h100", "H100")];

const TYPES: [&str; 5] = ["u32", "i32", "f32", "u64", "u32+u32"];

/// A file of records that is one JSON object.
pub(crate) struct Record {
    path: String,
    value: Value,
}

impl Record {
    pub(crate) fn of(machine: &str, kind: &str) -> Result<Self> {
        let path = path_of(machine, kind)?;
        let value = serde_json::from_str(&read(&path)?).with_context(|| path.clone())?;
        Ok(Self { path, value })
    }

    /// The cells of `ours` over uniform keys, by type and number of elements.
    pub(crate) fn uniform(&self, ours: &str, peer: &str) -> Result<BTreeMap<(&str, u64), &Value>> {
        let mut cells = BTreeMap::new();
        for cell in self.cells()? {
            ensure!(cell["verified"] == true, "{}: a cell is not verified", self.path);
            let key = (text(cell, "type")?, cell["n"].as_u64().context("no n")?);
            let place = [("ours", ours), ("peer", peer), ("distribution", "uniform")];
            if place.iter().all(|(field, value)| cell[*field] == *value) {
                cells.insert(key, cell);
            }
        }
        ensure!(!cells.is_empty(), "{}: no cells of {ours} and {peer}", self.path);
        Ok(cells)
    }

    /// Levels and their medians in milliseconds.
    pub(crate) fn levels(&self) -> Result<Vec<(u64, f64)>> {
        let levels = self.value["levels"].as_array().context("no levels")?;
        let median = |level: &Value| {
            ensure!(level["verified"] == true, "{}: a level is not verified", self.path);
            Ok((level["level"].as_u64().context("no level")?, number(level, "median_s")? * 1e3))
        };
        levels.iter().map(median).collect()
    }

    /// Time of CuPy's classic sort, from and to host memory, in milliseconds.
    pub(crate) fn cupy_classic_ms(&self) -> Result<f64> {
        let cell = self
            .cells()?
            .iter()
            .find(|cell| cell["peer"] == "cupy" && cell["distribution"] == "classic");
        number(cell.context("no classic sort by CuPy")?, "peer_ms")
    }

    pub(crate) fn peer_version(&self) -> &str {
        self.value["cells"][0]["peer_version"].as_str().unwrap_or("of an unknown version")
    }

    fn cells(&self) -> Result<&Vec<Value>> {
        self.value["cells"].as_array().context("no cells")
    }

    /// A table of ratios to CUB, above the line that says where they come from.
    fn beside_cub(&self, shown: String) -> String {
        format!("{shown}\n{}, CUB {}.\n", self.source(), self.peer_version())
    }

    /// Where the numbers come from, in a line of text.
    fn source(&self) -> String {
        let commit = match &self.value["commit"] {
            Value::Null => &self.value["environment"]["commit"],
            commit => commit,
        };
        let commit = commit.as_str().unwrap_or_default();
        source(&self.path, &format!(", kernels of commit {}", &commit[..commit.len().min(7)]))
    }
}

fn source(path: &str, rest: &str) -> String {
    let folder = path.split('/').nth(1).unwrap_or_default();
    format!("`{path}`, {}{rest}", &folder[..folder.len().min(10)])
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(cargo::root().join(path)).with_context(|| format!("cannot read {path}"))
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    value[field].as_str().with_context(|| format!("a record lacks the text `{field}`"))
}

fn number(value: &Value, field: &str) -> Result<f64> {
    value[field].as_f64().with_context(|| format!("a record lacks the number `{field}`"))
}

/// The file of this kind and machine. Every path of the index must exist.
fn path_of(machine: &str, kind: &str) -> Result<String> {
    let index: BTreeMap<String, BTreeMap<String, String>> =
        serde_json::from_str(&read("records/index.json")?).context("records/index.json")?;
    for path in index.values().flat_map(BTreeMap::values) {
        ensure!(cargo::root().join(path).exists(), "records/index.json names {path}: no such file");
    }
    let path = index.get(machine).and_then(|kinds| kinds.get(kind));
    path.cloned().with_context(|| format!("records/index.json has no {kind} of {machine}"))
}

/// Three significant digits, two decimals at most.
fn digits(value: f64) -> String {
    let decimals = 2 - (value.abs().max(1.0).log10() as usize).min(2);
    format!("{value:.decimals$}")
}

fn size(n: u64) -> String {
    if n.is_power_of_two() { format!("2^{}", n.ilog2()) } else { n.to_string() }
}

fn table(columns: &[String], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule = format!("|{}\n", "---|".repeat(columns.len()));
    line(columns) + &rule + &rows.iter().map(|row| line(row)).collect::<String>()
}

fn by_type<T>(
    cells: &BTreeMap<(&str, u64), T>,
    show: impl Fn(&str, u64, &T) -> Result<String>,
) -> Result<String> {
    let sizes: BTreeSet<u64> = cells.keys().map(|(_, n)| *n).collect();
    let types = TYPES.into_iter().filter(|kind| cells.keys().any(|(of, _)| of == kind));
    let types: Vec<&str> = types.collect();
    let mut columns = vec!["n".to_owned()];
    columns.extend(types.iter().map(|kind| (*kind).to_owned()));
    let mut rows = Vec::new();
    for n in sizes {
        let mut row = vec![size(n)];
        for kind in &types {
            let cell = cells.get(&(*kind, n));
            row.push(cell.map_or(Ok("-".to_owned()), |cell| show(kind, n, cell))?);
        }
        rows.push(row);
    }
    Ok(table(&columns, &rows))
}

fn ratios_to(record: &Record, ours: &str, peer: &str) -> Result<String> {
    let cells = record.uniform(ours, peer)?;
    by_type(&cells, |_, _, cell| Ok(format!("{:.2}", number(cell, "ratio")?)))
}

fn ratios(record: &Record, ours: &str) -> Result<String> {
    Ok(record.beside_cub(ratios_to(record, ours, "cub")?))
}

fn rates(record: &Record) -> Result<String> {
    let cells = record.uniform("gpu", "cub")?;
    by_type(&cells, |_, n, cell| Ok(digits(n as f64 / number(cell, "ours_ms")? / 1e6)))
}

fn memory(record: &Record) -> Result<String> {
    by_type(&record.uniform("gpu", "cub")?, |kind, n, cell| {
        let bytes_of = |value: &Value| value["temporary_bytes"].as_u64();
        let variants = cell["variants"].as_array().context("no variants")?.iter();
        let cub = variants
            .filter(|v| v["name"].as_str().is_some_and(|name| name.ends_with("double-buffer")));
        let cub = cub.filter_map(bytes_of).min().context("no memory of CUB's")?;
        let all = cell["ours_temporary_bytes"].as_u64().context("no memory of ours")?;
        // Passes take a second buffer, which CUB's caller brings, and one launch that of values
        // alone; other sorts take none.
        let widths: &[u64] = match kind {
            "u32+u32" => &[8, 4],
            "u64" => &[8],
            _ => &[4],
        };
        let ours = widths.iter().find_map(|width| all.checked_sub(n * width)).unwrap_or(all);
        ensure!(ours <= cub || n <= 1 << 12, "{kind} {n}: {ours} bytes, and CUB {cub}");
        Ok(format!("{} / {}", ours.div_ceil(1000), cub.div_ceil(1000)))
    })
}

/// Ratios to CUB's fastest variant by type, sort, distribution and size.
type Ratios = BTreeMap<(String, String, String, u64), f64>;

/// The medians of every file of samples in the folder of `path` whose name begins as
/// its name does, as ratios.
fn sampled(path: &str) -> Result<Ratios> {
    let (folder, name) = path.rsplit_once('/').context("a path without a folder")?;
    let prefix = name.split(['_', '.']).next().unwrap_or(name);
    let mut least = Ratios::new();
    for entry in fs::read_dir(cargo::root().join(folder))? {
        let file = entry?.file_name().into_string().unwrap_or_default();
        if !(file.starts_with(prefix) && file.ends_with(".jsonl")) {
            continue;
        }
        for line in read(&format!("{folder}/{file}"))?.lines() {
            let line: Value = serde_json::from_str(line).context(file.clone())?;
            let words = ["type", "contender", "distribution"].map(|field| text(&line, field));
            let [kind, sort, distribution] = words;
            let times = line["times_ms"].as_array().context("no times")?.iter();
            let mut times: Vec<f64> = times.filter_map(Value::as_f64).collect();
            times.sort_by(f64::total_cmp);
            let middle = (times[(times.len() - 1) / 2] + times[times.len() / 2]) / 2.0;
            let n = line["n"].as_u64().context("no n")?;
            let key = (kind?.to_owned(), sort?.to_owned(), distribution?.to_owned(), n);
            let known = least.entry(key).or_insert(f64::MAX);
            *known = known.min(middle);
        }
    }
    let mut ratios = Ratios::new();
    for (key, ours) in &least {
        let cub = (key.0.clone(), "cub".to_owned(), key.2.clone(), key.3);
        if let Some(cub) = least.get(&cub).filter(|_| key.1 != "cub") {
            ratios.insert(key.clone(), cub / ours);
        }
    }
    Ok(ratios)
}

/// The ratios of a report of `cudamark peers` over all distributions.
fn reported(record: &Record) -> Result<Ratios> {
    let mut ratios = Ratios::new();
    for cell in record.cells()? {
        ensure!(cell["verified"] == true, "{}: a cell is not verified", record.path);
        let [kind, distribution] = ["type", "distribution"].map(|field| text(cell, field));
        let n = cell["n"].as_u64().context("no n")?;
        let key = (kind?.to_owned(), "gpu".to_owned(), distribution?.to_owned(), n);
        ratios.insert(key, number(cell, "ratio")?);
    }
    Ok(ratios)
}

/// Columns of a table of distributions: the present ones of these types and exponents.
const SHOWN: [(&str, [u32; 4]); 3] =
    [("u32", [16, 20, 22, 24]), ("u64", [16, 20, 22, 24]), ("u32+u32", [16, 20, 22, 24])];

const DISTRIBUTIONS: &str = "uniform classic entropy-0.811 entropy-0.544 entropy-0.337 \
    entropy-0.201 constant sorted reversed nearly-sorted organ-pipe few-distinct zipf special \
    one-digit digit-a-tile";

fn distributions(ratios: &Ratios) -> String {
    let ratio = |kind: &str, exponent: u32, distribution: &str| {
        let key = (kind.to_owned(), "gpu".to_owned(), distribution.to_owned(), 1 << exponent);
        ratios.get(&key).map(|ratio| format!("{ratio:.2}"))
    };
    let shown = SHOWN.iter().flat_map(|(kind, sizes)| sizes.map(|exponent| (*kind, exponent)));
    let shown = shown.filter(|(kind, exponent)| ratio(kind, *exponent, "uniform").is_some());
    let shown: Vec<(&str, u32)> = shown.collect();
    let mut columns = vec!["distribution".to_owned()];
    columns.extend(shown.iter().map(|(kind, exponent)| format!("{kind} 2^{exponent}")));
    let rows = DISTRIBUTIONS.split(' ').map(|name| {
        let cells = shown
            .iter()
            .map(|(kind, exponent)| ratio(kind, *exponent, name).unwrap_or_else(|| "-".to_owned()));
        [name.to_owned()].into_iter().chain(cells).collect()
    });
    table(&columns, &rows.collect::<Vec<_>>())
}

/// The least ratio over all distributions by type and size, of one sort of ours.
fn least(ratios: &Ratios, sort: &str) -> Result<String> {
    let mut least: BTreeMap<(&str, u64), (usize, f64)> = BTreeMap::new();
    for ((kind, ours, distribution, n), &ratio) in ratios {
        if ours == sort {
            ensure!(ratio >= 1.0, "{kind} {n} {distribution}: {ratio:.2}, slower than CUB");
            let known = least.entry((kind, *n)).or_insert((0, f64::MAX));
            *known = (known.0 + 1, known.1.min(ratio));
        }
    }
    by_type(&least, |kind, n, (count, ratio)| {
        ensure!(*count == DISTRIBUTIONS.split(' ').count(), "{kind} {n}: {count} distributions");
        Ok(format!("{ratio:.2}"))
    })
}

fn portions() -> Result<String> {
    let path = path_of("h200", "portions")?;
    let ratios = sampled(&path)?;
    let mut rows = Vec::new();
    for ((kind, sort, _, n), ratio) in &ratios {
        let how = if sort == "gpu" { "as planned" } else { "match ranking" };
        rows.push(vec![size(*n), kind.clone(), how.to_owned(), format!("{ratio:.2}")]);
    }
    let columns = ["n", "type", "sort", "ratio"].map(str::to_owned);
    let source = source(&path, ", kernels of commit d4e1f21, CUB 3.0.1");
    Ok(format!("{}\n{source}.\n", table(&columns, &rows)))
}

fn one_launch() -> Result<String> {
    let record = Record::of("h200", "distributions_cub_3_5")?;
    let ratio_of = |cell: &Value| cell["ratio"].as_f64().unwrap_or(f64::MAX);
    let mut rows = Vec::new();
    for ((kind, n), cell) in record.uniform("gpu", "cub")? {
        // More take passes.
        let most = match kind {
            "u32+u32" => 16,
            "u64" => 19,
            _ => 17,
        };
        if n > 1 << most {
            continue;
        }
        let same = |cell: &&Value| cell["n"] == n && cell["type"] == kind;
        let of_all = record.cells()?.iter().filter(same);
        let worst = of_all.min_by(|a, b| ratio_of(a).total_cmp(&ratio_of(b)));
        let worst = worst.context("no cells")?;
        rows.push(vec![
            kind.to_owned(),
            size(n),
            digits(number(cell, "ours_ms")? * 1e3),
            format!("{:.2}", number(cell, "ratio")?),
            format!("{:.2} ({})", number(worst, "ratio")?, text(worst, "distribution")?),
        ]);
    }
    let columns = ["type", "n", "uniform, us", "ratio", "least ratio of 16 distributions"];
    Ok(record.beside_cub(table(&columns.map(str::to_owned), &rows)))
}

/// Types, orders and indices beside those of the other tables.
fn variants() -> Result<String> {
    let record = Record::of("h200", "variants")?;
    let cells = record.uniform("gpu", "cub")?;
    let sizes: BTreeSet<u64> = cells.keys().map(|(_, n)| *n).collect();
    let kinds: BTreeSet<&str> = cells.keys().map(|(kind, _)| *kind).collect();
    let mut rows = Vec::new();
    for kind in kinds {
        let mut row = vec![kind.to_owned()];
        for n in &sizes {
            let cell = cells.get(&(kind, *n)).context("a size is missing")?;
            row.push(format!("{:.2}", number(cell, "ratio")?));
        }
        rows.push(row);
    }
    let columns = ["type".to_owned()].into_iter().chain(sizes.iter().map(|n| size(*n)));
    Ok(record.beside_cub(table(&columns.collect::<Vec<_>>(), &rows)))
}

fn classic() -> Result<String> {
    let machines = [("h200", "H200"), ("h100", "H100"), ("cpu-2-cores", "two CPU cores")];
    let mut columns = vec!["level".to_owned()];
    let mut times: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    let mut sources = Vec::new();
    for (machine, name) in machines {
        let record = Record::of(machine, "classic")?;
        columns.push(format!("{name}, ms"));
        for (level, ms) in record.levels()? {
            times.entry(level).or_insert_with(|| vec![level.to_string()]).push(digits(ms));
        }
        sources.push(record.source());
    }
    let rows: Vec<Vec<String>> = times.into_values().collect();
    ensure!(rows.iter().all(|row| row.len() == columns.len()), "levels differ by machine");
    let cupy = digits(Record::of("h200", "peers_classic")?.cupy_classic_ms()?);
    let sources = sources.join("; ");
    let shown = table(&columns, &rows);
    Ok(format!("{shown}\nCuPy on the H200: {cupy} ms, whatever the level. {sources}.\n"))
}

fn python() -> Result<String> {
    let record = Record::of("h200", "peers_python")?;
    let mut shown = String::new();
    for (peer, name) in [("cupy", "CuPy 14.2"), ("torch", "PyTorch 2.11")] {
        shown += &format!("{name}:\n\n{}\n", ratios_to(&record, "gpu", peer)?);
    }
    Ok(format!("{shown}{}.\n", record.source()))
}

/// The first lines of the README.
fn headline() -> Result<String> {
    let mut sentences = Vec::new();
    for (machine, name) in CHIPS {
        let record = Record::of(machine, "peers")?;
        let cells = record.uniform("gpu", "cub")?;
        let Some(cell) = cells.get(&("u32", 1 << 28)) else { bail!("no 2^28 u32 of {machine}") };
        let rate = digits((1u64 << 28) as f64 / number(cell, "ours_ms")? / 1e6);
        let (ratio, cub) = (number(cell, "ratio")?, record.peer_version());
        let what = if sentences.is_empty() { " (2^28 `u32` in device memory)" } else { "" };
        sentences.push(format!(
            "- An {name} sorts **{rate} billion keys a second**{what}, {ratio:.2} times as fast as \
             CUB {cub} ([record]({})).",
            record.path
        ));
    }
    let devices = Record::of("h200-x2", "devices")?;
    sentences.push(format!(
        "- Two H200s sort **{} billion keys a second** together (2^29 `u32`, half in the memory of \
         each; [record]({})).",
        digits(number(&devices.value, "u32_2_29_gkeys")?),
        devices.path
    ));
    let classic = Record::of("h200", "classic")?;
    let levels = classic.levels()?;
    let best = levels.iter().min_by(|a, b| a.1.total_cmp(&b.1)).context("no levels")?;
    let cupy = Record::of("h200", "peers_classic")?.cupy_classic_ms()?;
    sentences.push(format!(
        "- The classic workload, 50,000,000 `i32` from host memory to host memory, takes the H200 \
         **{} ms** at level {} ([record]({})), where CuPy takes {} ms at every level.",
        digits(best.1),
        best.0,
        classic.path,
        digits(cupy)
    ));
    Ok(sentences.join("\n") + "\n")
}

/// Every figure by name.
pub(crate) fn all() -> Result<BTreeMap<String, String>> {
    let mut figures = BTreeMap::new();
    for (machine, _) in CHIPS {
        let peers = Record::of(machine, "peers")?;
        let with_match = Record::of(machine, "peers_match")?;
        let by_distribution = Record::of(machine, "distributions_cub_3_5")?;
        let reported = reported(&by_distribution)?;
        let sampled = sampled(&path_of(machine, "distributions")?)?;
        let of_chip = [
            ("rates", rates(&peers)?),
            ("ratios", ratios(&peers, "gpu")?),
            ("match-ratios", ratios(&with_match, "gpu-ballots")?),
            ("memory", memory(&peers)?),
            ("distributions", distributions(&reported)),
            ("least", by_distribution.beside_cub(least(&reported, "gpu")?)),
            ("match-least", least(&sampled, "gpu-ballots")?),
        ];
        for (name, figure) in of_chip {
            figures.insert(format!("{name}-{machine}"), figure);
        }
    }
    let of_all = [
        ("headline", headline()?),
        ("classic", classic()?),
        ("python", python()?),
        ("portions", portions()?),
        ("one-launch", one_launch()?),
        ("variants", variants()?),
        ("segments", samples::segments(&samples::Samples::of("h200", "segments")?)?),
        ("levels-h200-x2", samples::levels()?),
        ("larger", samples::larger()?),
        ("predictions-b200", predictions::b200()?),
    ];
    figures.extend(of_all.map(|(name, figure)| (name.to_owned(), figure)));
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_three_digits() {
        let shown = [0.128, 3.0713, 39.664, 91.42, 123.4].map(digits);
        assert_eq!(shown, ["0.13", "3.07", "39.7", "91.4", "123"]);
    }

    #[test]
    fn ratios_of_samples_are_medians_over_the_fastest_variant() {
        let folder = tempfile::tempdir_in(cargo::root().join("target")).unwrap();
        let line = |sort: &str, times: &str| {
            format!(
                r#"{{"type":"u32","contender":"{sort}","distribution":"zipf","n":8,"times_ms":{times}}}"#
            )
        };
        let lines = [line("gpu", "[2,1,9]"), line("cub", "[5,7]"), line("cub", "[4]")].join("\n");
        fs::write(folder.path().join("distributions_few.jsonl"), lines).unwrap();
        let path = folder.path().strip_prefix(cargo::root()).unwrap().join("distributions_few");
        let ratios = sampled(path.to_str().unwrap()).unwrap();
        let expected = ("u32".to_owned(), "gpu".to_owned(), "zipf".to_owned(), 8);
        assert_eq!(ratios, [(expected, 2.0)].into());
        let error = least(&[(("u32".into(), "gpu".into(), "zipf".into(), 8), 0.9)].into(), "gpu");
        assert!(error.unwrap_err().to_string().contains("slower than CUB"));
    }
}
