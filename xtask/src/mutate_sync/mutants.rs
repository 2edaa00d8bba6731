//! Finding what synchronises in the sources of kernels, and writing all of its
//! mutants into one text.
//!
//! A text has every mutant in it, asleep: where a barrier stands, there then stands
//! that barrier but for the mutant that lacks it. So they are compiled once, all
//! together, and a variable of the environment chooses which one runs.

use anyhow::{Context, Result};
use regex::Regex;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

/// Chooses the mutant that runs, by number; without it, none does.
pub(crate) const VARIABLE: &str = "CUDAMARK_MUTANT";

/// The module of the kernels' crate that its mutants call.
pub(crate) const MODULE: &str = r#"
/// Chooses between the kernels and their mutants.
pub mod mutation {
    use std::sync::LazyLock;

    static RUNNING: LazyLock<Option<u32>> =
        LazyLock::new(|| std::env::var("CUDAMARK_MUTANT").ok()?.parse().ok());

    /// Calls, but in the mutant.
    pub fn without(mutant: u32, call: impl FnOnce()) {
        if *RUNNING != Some(mutant) {
            call();
        }
    }

    /// The first in the mutant, else the second.
    pub fn either<T>(mutant: u32, mutated: impl FnOnce() -> T, call: impl FnOnce() -> T) -> T {
        if *RUNNING == Some(mutant) { mutated() } else { call() }
    }

    /// The value of the running mutant, or else the plain one.
    pub fn weaker<T: Copy, const N: usize>(mutants: [(u32, T); N], plain: T) -> T {
        let running = mutants.iter().find(|(mutant, _)| *RUNNING == Some(*mutant));
        running.map_or(plain, |&(_, weak)| weak)
    }
}
"#;

/// Words that can be weakened, and the weaker ones.
const WEAKER: &[(&str, &[&str])] = &[
    ("Ordering::AcqRel", &["Acquire", "Release", "Relaxed"]),
    ("Ordering::Acquire", &["Relaxed"]),
    ("Ordering::Release", &["Relaxed"]),
    ("Scope::Device", &["Block"]),
];

/// Calls that synchronise and can be left out; one that can be left out but for its
/// argument, which is the result; words that can be weakened.
static SYNCHRONISATION: LazyLock<Regex> = LazyLock::new(|| {
    let words: Vec<&str> = WEAKER.iter().map(|(word, _)| *word).collect();
    let calls = "sync_threads|sync_warp|fence|sync_predecessor";
    let expression = format!(r"\b(?:({calls})\(|(sync_threads_or)\(|({})\b)", words.join("|"));
    Regex::new(&expression).expect("an expression of constants")
});

static FUNCTION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\bfn (\w+)").expect("a constant expression"));

/// A source file with its mutants.
pub(crate) struct Mutated {
    /// File, function, mutation, and which of several. Their numbers are consecutive.
    pub(crate) names: Vec<String>,
    /// With all mutants in it.
    pub(crate) text: String,
}

/// The mutants of all files of `folder`, in the order of their names; what each file
/// becomes is handed to `write`. Returns the names, of which the first is number 0.
pub(crate) fn of_folder(
    folder: &Path,
    mut write: impl FnMut(&str, &str) -> Result<()>,
) -> Result<Vec<String>> {
    let read = || format!("cannot read {}", folder.display());
    let mut files: Vec<_> = fs::read_dir(folder)
        .with_context(read)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    let mut names = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file)
            .with_context(|| format!("cannot read the source {}", file.display()))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let mutated = mutate(&name, &text, names.len());
        write(&name, &mutated.text)?;
        names.extend(mutated.names);
    }
    Ok(names)
}

/// One change of a text.
struct Edit {
    at: usize,
    removed: usize,
    inserted: String,
}

/// Writes the mutants of one file into its text, numbered from `first`.
pub(crate) fn mutate(file: &str, text: &str, first: usize) -> Mutated {
    let mut writer =
        Writer { file, text, function: "", first, names: Vec::new(), edits: Vec::new() };
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let code = line.split("//").next().unwrap_or_default();
        // Unit tests stand at the end of a file.
        if code.contains("mod tests") {
            break;
        }
        if let Some(begin) = FUNCTION.captures(code) {
            writer.function = begin.extract::<1>().1[0];
        }
        writer.line(code, offset);
        offset += line.len();
    }
    let mut mutated = text.to_owned();
    // From the end on, so that what comes before stays where it is.
    writer.edits.sort_by_key(|edit| edit.at);
    for edit in writer.edits.iter().rev() {
        mutated.replace_range(edit.at..edit.at + edit.removed, &edit.inserted);
    }
    Mutated { names: writer.names, text: mutated }
}

struct Writer<'a> {
    file: &'a str,
    text: &'a str,
    function: &'a str,
    first: usize,
    names: Vec<String>,
    edits: Vec<Edit>,
}

impl Writer<'_> {
    /// Names a mutant. Returns its number.
    fn name(&mut self, what: &str) -> usize {
        let plain = format!("{} {}: {what} #", self.file, self.function);
        let same = self.names.iter().filter(|name| name.starts_with(&plain));
        let name = format!("{plain}{}", same.count() + 1);
        let number = self.first + self.names.len();
        self.names.push(name);
        number
    }

    fn insert(&mut self, at: usize, inserted: String) {
        self.replace(at, 0, inserted);
    }

    fn replace(&mut self, at: usize, removed: usize, inserted: String) {
        self.edits.push(Edit { at, removed, inserted });
    }

    /// Finds the mutants of a line of code, which begins at `offset`, from the left.
    fn line(&mut self, code: &str, offset: usize) {
        for found in SYNCHRONISATION.captures_iter(code) {
            if let Some(call) = found.get(1) {
                self.without(call.as_str(), offset + call.start());
            } else if let Some(call) = found.get(2) {
                self.without_barrier(offset + call.start());
            } else if let Some(word) = found.get(3) {
                self.weaken(word.as_str(), offset + word.start());
            }
        }
    }

    /// The call at `at` with its path, and its argument.
    fn call(&self, at: usize) -> Option<(usize, usize, &str)> {
        let path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let begin = self.text[..at].trim_end_matches(path).len();
        if self.text[..begin].ends_with("fn ") {
            return None;
        }
        let open = at + self.text[at..].find('(')?;
        let end = open + closing(&self.text[open..])?;
        Some((begin, end + 1, &self.text[open + 1..end]))
    }

    fn without(&mut self, name: &str, at: usize) {
        if let Some((begin, end, _)) = self.call(at) {
            let number = self.name(&format!("without {name}"));
            self.insert(begin, format!("crate::mutation::without({number}, || "));
            self.insert(end, ")".to_owned());
        }
    }

    fn without_barrier(&mut self, at: usize) {
        if let Some((begin, end, argument)) = self.call(at) {
            let argument = argument.to_owned();
            let number = self.name("sync_threads_or without the barrier");
            let before = format!("crate::mutation::either({number}, || {argument}, || ");
            self.insert(begin, before);
            self.insert(end, ")".to_owned());
        }
    }

    fn weaken(&mut self, word: &str, at: usize) {
        let (kind, strong) = word.split_once("::").unwrap_or_default();
        let weaker = WEAKER.iter().filter(|(known, _)| *known == word);
        let mutants: Vec<String> = weaker
            .flat_map(|(_, weaker)| *weaker)
            .map(|weak| {
                let number = self.name(&format!("{strong} to {weak}"));
                format!("({number}, {kind}::{weak})")
            })
            .collect();
        let choice = format!("crate::mutation::weaker([{}], {word})", mutants.join(", "));
        self.replace(at, word.len(), choice);
    }
}

/// The end of the parenthesis that `text` begins with.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' if depth == 1 => return Some(at),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo;

    const TEXT: &str = "unsafe fn pass() {
    // thread::sync_threads();
    thread::sync_threads();
    if thread::sync_threads_or(a(b)) { counter.add(0, 1, Ordering::AcqRel, Scope::Device); }
    fence(Scope::Device); thread::sync_threads();
}
mod tests {
    thread::sync_threads();
}
";

    #[test]
    fn every_synchronisation_is_a_mutant() {
        let mutated = mutate("k.rs", TEXT, 10);
        assert_eq!(
            mutated.names,
            [
                "k.rs pass: without sync_threads #1",
                "k.rs pass: sync_threads_or without the barrier #1",
                "k.rs pass: AcqRel to Acquire #1",
                "k.rs pass: AcqRel to Release #1",
                "k.rs pass: AcqRel to Relaxed #1",
                "k.rs pass: Device to Block #1",
                "k.rs pass: without fence #1",
                "k.rs pass: Device to Block #2",
                "k.rs pass: without sync_threads #2",
            ]
        );
        let mutation = "crate::mutation";
        for part in [
            format!("    {mutation}::without(10, || thread::sync_threads());\n"),
            format!("if {mutation}::either(11, || a(b), || thread::sync_threads_or(a(b))) {{"),
            format!("{mutation}::weaker([(12, Ordering::Acquire), (13, Ordering::Release), "),
            format!(", {mutation}::weaker([(15, Scope::Block)], Scope::Device));"),
            format!("{mutation}::without(16, || fence({mutation}::weaker([(17, "),
            "    // thread::sync_threads();\n".to_owned(),
            "mod tests {\n    thread::sync_threads();\n".to_owned(),
        ] {
            assert!(mutated.text.contains(&part), "{part} in:\n{}", mutated.text);
        }
    }

    #[test]
    fn every_file_of_the_kernels_is_looked_at() {
        let folder = cargo::kernels().join("src");
        let mut files = Vec::new();
        let names = of_folder(&folder, |name, _| {
            files.push(name.to_owned());
            Ok(())
        })
        .expect("the kernels' sources");
        let root = fs::read_to_string(folder.join("lib.rs")).expect("the crate's root");
        for line in root.lines() {
            if let Some((_, module)) = line.split_once("mod ").filter(|_| line.ends_with(';')) {
                let file = format!("{}.rs", module.trim_end_matches(';'));
                assert!(files.contains(&file), "{file}");
            }
        }
        for what in ["without sync_threads", "without sync_warp", "AcqRel", "Device to Block"] {
            assert!(names.iter().any(|name| name.contains(what)), "{what}");
        }
    }
}
