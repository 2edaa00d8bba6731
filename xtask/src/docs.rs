//! `cargo xtask docs`: writes figures into the documents, and charts beside them.
//!
//! A document asks for a figure by a pair of lines, `<!-- figures: NAME -->` and
//! `<!-- end -->`; everything between them is replaced. Numbers come from the records
//! that `records/index.json` names ([`figures`]), options from the command lines' own
//! definitions.

use crate::{bench, cargo, chart, figures, programs};
use anyhow::{Context, Result, bail};
use clap::CommandFactory;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Changes nothing, and fails if a file would change
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode> {
    let mut figures = figures::all()?;
    figures.insert("cudamark".to_owned(), help_of_cudamark()?);
    figures.insert("xtask".to_owned(), help_of_xtask());
    figures.insert("settings".to_owned(), settings());
    let root = cargo::root();
    let mut files = vec![
        (root.join("docs/images/throughput.svg"), chart::throughput()?),
        (root.join("docs/images/levels.svg"), chart::levels()?),
    ];
    for path in documents()? {
        let text = fs::read_to_string(&path)?;
        let spliced = splice(&text, &figures).with_context(|| path.display().to_string())?;
        check_links(&path, &spliced)?;
        files.push((path, spliced));
    }
    for (path, text) in files {
        if fs::read_to_string(&path).is_ok_and(|before| before == text) {
            continue;
        }
        let name = path.strip_prefix(root).unwrap_or(&path).display();
        if arguments.check {
            bail!("{name} is not what the records say; run `cargo xtask docs`");
        }
        fs::write(&path, text).with_context(|| format!("cannot write {name}"))?;
        println!("{name}");
    }
    Ok(ExitCode::SUCCESS)
}

/// The documents at the top, and every page of docs.
fn documents() -> Result<Vec<PathBuf>> {
    let top = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "records/README.md"];
    let mut paths = top.map(|name| cargo::root().join(name)).to_vec();
    for entry in fs::read_dir(cargo::root().join("docs"))? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    Ok(paths)
}

/// `text` with every figure that it asks for.
fn splice(text: &str, figures: &BTreeMap<String, String>) -> Result<String> {
    let mut result = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        result += &format!("{line}\n");
        let name = line.strip_prefix("<!-- figures: ").and_then(|rest| rest.strip_suffix(" -->"));
        let Some(name) = name else { continue };
        let figure = figures.get(name).with_context(|| format!("there is no figure `{name}`"))?;
        if !lines.any(|line| line == "<!-- end -->") {
            bail!("the figure `{name}` has no line `<!-- end -->`");
        }
        result += &format!("{figure}<!-- end -->\n");
    }
    Ok(result)
}

/// Fails if a link of the document at `path` leads to no file, or to no heading of it.
fn check_links(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().context("a document without a folder")?;
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    for link in links.filter(|link| !link.starts_with("http")) {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let target = if file.is_empty() { path.to_owned() } else { folder.join(file) };
        let found = match (target.exists(), anchor) {
            (false, _) => false,
            (true, "") => true,
            (true, anchor) => headings(&fs::read_to_string(&target)?).any(|name| name == anchor),
        };
        if !found {
            bail!("{}: the link {link} leads nowhere", path.display());
        }
    }
    Ok(())
}

/// The anchors of a document's headings.
fn headings(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let name = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        name.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
    })
}

/// Help text of each subcommand, from the executable that tests use as well: another has other
/// features of what it depends on, which would be compiled twice.
fn help_of_cudamark() -> Result<String> {
    let arguments = [&["test", "--no-run", "--test=cli"], &crate::tested_last()[..]].concat();
    let built = cargo::build(cargo::command(&arguments))?;
    let mut programs = built.executables.iter();
    let command = programs.find(|(_, artifact)| artifact.target.is_bin());
    let (executable, _) = command.context("cargo has built no cudamark")?;
    programs::text(Command::new(executable).arg("manual"))
}

fn help_of_xtask() -> String {
    let mut command = crate::Arguments::command().term_width(96);
    format!("```text\n{}```\n", command.render_help())
}

/// The settings of the suite as a table.
fn settings() -> String {
    let rows = bench::SETTINGS.iter().map(|(option, variable, use_)| {
        let value = if *option == "--resume" { "=1" } else { "" };
        format!("| `{option}` | `{variable}{value}` | {use_} |\n")
    });
    "| option | variable | what it chooses |\n|---|---|---|\n".to_owned()
        + &rows.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_replace_what_is_between_their_lines() {
        let figures = [("a".to_owned(), "new\n".to_owned())].into();
        let text = "x\n<!-- figures: a -->\nold\nolder\n<!-- end -->\ny\n";
        let spliced = splice(text, &figures).unwrap();
        assert_eq!(spliced, "x\n<!-- figures: a -->\nnew\n<!-- end -->\ny\n");
        assert_eq!(splice(&spliced, &figures).unwrap(), spliced);
        for (text, error) in [
            ("<!-- figures: b -->\n<!-- end -->\n", "no figure `b`"),
            ("<!-- figures: a -->\nold\n", "`a` has no line `<!-- end -->`"),
        ] {
            assert!(splice(text, &figures).unwrap_err().to_string().contains(error), "{text}");
        }
    }

    #[test]
    fn links_lead_to_files_and_headings() {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("page.md");
        fs::write(&page, "# A page\n\n## `Two` of 2^28\n").unwrap();
        let lead = |link: &str| {
            check_links(&folder.path().join("other.md"), &format!("[text]({link})")).is_ok()
        };
        for (link, leads) in [
            ("page.md", true),
            ("page.md#two-of-228", true),
            ("https://example.org", true),
            ("page.md#three", false),
            ("none.md", false),
        ] {
            assert_eq!(lead(link), leads, "{link}");
        }
    }

    /// Words of sources that an expression matches.
    fn words_of_sources(expression: &str, of: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(["grep", "-hoE", expression, "--"]).args(of).current_dir(cargo::root());
        String::from_utf8(git.output().unwrap().stdout).unwrap()
    }

    #[test]
    fn every_variable_that_programs_read_is_known() {
        let read = words_of_sources("CUDAMARK_[A-Z_]+", &["*src/*.rs", "benches", "docs"]);
        assert!(read.lines().count() > 20);
        for name in read.lines() {
            assert!(crate::variables::KNOWN.contains(&name), "{name}");
        }
    }

    #[test]
    fn every_test_named_in_a_document_exists() {
        let sources = words_of_sources("[a-z0-9_]+", &["*.rs"]);
        let words: std::collections::HashSet<&str> = sources.lines().collect();
        let page = fs::read_to_string(cargo::root().join("docs/RELIABILITY.md")).unwrap();
        // A name of a test has several words.
        let named = page.split('`').filter(|name| {
            name.matches('_').count() > 2
                && !name.contains(|c: char| !c.is_alphanumeric() && c != '_')
        });
        let named: Vec<&str> = named.collect();
        assert!(named.len() > 60);
        for name in named {
            assert!(words.contains(name), "docs/RELIABILITY.md names `{name}`, which is no test");
        }
    }
}
