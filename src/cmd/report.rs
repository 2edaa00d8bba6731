//! `cudamark report`: the tables and the page over records that are there.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use cudamark::paths;
use cudamark::report::{self, text};

use super::classic::print;

/// Show records of the suite: tables on standard output, and a page.
///
/// Without files, the last run of each benchmark below cargo's target folder.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Records files; of a case in several, the last counts.
    #[arg(value_name = "FILE.jsonl")]
    files: Vec<PathBuf>,

    /// Write the page to index.html in this folder.
    #[arg(long, value_name = "FOLDER")]
    page: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = paths::suite().join("records");
    let summary = match options.files.is_empty() {
        true => report::last_runs(&folder)?,
        false => report::of_files(&options.files)?,
    };
    if summary.cases.is_empty() {
        bail!(
            "no samples in {}; name records files, or measure with `cargo bench`",
            match options.files.is_empty() {
                true => folder.display().to_string(),
                false => "these files".to_owned(),
            }
        );
    }
    let mut said = text::groups(&summary, &summary.groups());
    if let Some(folder) = &options.page {
        let page = report::write_page(&summary, folder)?;
        said += &format!("\nReport: {}\n", page.display());
    }
    print(&said)
}
