//! Reports of the suite: what is printed after a run, and a page that shows all of it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`files`] | records files of runs |
//! | [`text`] | tables for a terminal, the classic CSV |
//! | [`figures`] | how figures are written |
//! | [`analysis`] | what a group's figures say, in sentences |
//! | [`charts`] | charts, as SVG |
//! | [`page`] | the page |
//! | [`history`] | the page of a history |

pub mod analysis;
pub mod charts;
pub mod figures;
pub mod files;
pub mod history;
pub mod page;
pub mod text;

use std::path::{Path, PathBuf};

use anyhow::Result;
use suite::records::Contents;
use suite::{Group, Summary};

use crate::output;

/// Summary of the last run of each benchmark, of records in `folder`.
pub fn last_runs(folder: &Path) -> Result<Summary> {
    let files: Vec<PathBuf> = files::all_newest(folder).into_values().collect();
    of_files(&files)
}

/// Summary of these records files; of a case in several, the last counts.
pub fn of_files(files: &[PathBuf]) -> Result<Summary> {
    let mut summary = Summary::default();
    for path in files {
        summary.merge(Summary::of(&Contents::read(path)?));
    }
    Ok(summary)
}

/// Writes the page over the last runs of all benchmarks and the classic CSV to
/// `folder`, whose records were just added to; returns what there is to say of
/// `groups`.
pub fn after_run(folder: &Path, groups: &[Group]) -> Result<String> {
    let summary = last_runs(&folder.join("records"))?;
    let mut said = text::groups(&summary, groups);
    if groups.contains(&Group::Classic)
        && let Some(csv) = text::fastest_csv(&summary)
    {
        let path = folder.join("classic.csv");
        output::replace(&path, csv.as_bytes())?;
        said += &format!("\n{csv}\nCSV: {}\n", path.display());
    }
    let page = write_page(&summary, &folder.join("report"))?;
    said += &format!("Report: {}", page.display());
    Ok(said)
}

/// Writes the page to `folder` and returns where it is.
pub fn write_page(summary: &Summary, folder: &Path) -> Result<PathBuf> {
    let path = folder.join("index.html");
    output::replace(&path, page::render(summary)?.as_bytes())?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use suite::Summary;
    use suite::environment::Environment;
    use suite::lines::{EnvironmentLine, Line, Sample};
    use suite::records::Contents;

    /// A summary of cases with ten samples each, within 1 % of `seconds`.
    pub(super) fn of(cases: &[(impl AsRef<str>, f64)]) -> Summary {
        let mut environment = EnvironmentLine::new(Environment::here(None), 42, "quick");
        environment.host_copy_bytes_per_s = Some(10e9);
        let id = environment.id.clone();
        let mut contents = Contents::default();
        contents.add(Line::Environment(Box::new(environment)));
        for (case, seconds) in cases {
            for index in 0..10 {
                let seconds = seconds * (1.0 + 0.001 * f64::from(index));
                let sample = Sample::by_host(&id, case.as_ref().parse().unwrap(), index, seconds);
                contents.add(Line::Sample(Box::new(sample)));
            }
        }
        Summary::of(&contents)
    }
}
