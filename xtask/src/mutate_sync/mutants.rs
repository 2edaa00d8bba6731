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

/// The stops of a scan of kernels: comments, functions, the unit tests at the end of a file;
/// calls that can be left out; one that can be left out but for its argument, which is the
/// result; words that can be weakened.
static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    let words: Vec<&str> = WEAKER.iter().map(|(word, _)| *word).collect();
    let words = words.join("|");
    let calls = "sync_threads|sync_warp|fence|sync_predecessor";
    let call = format!(r"(?<call>[\w:]*\b(?:(?<name>{calls})|sync_threads_or))\(");
    Regex::new(&format!(
        r"//.*|(?<end>\bmod tests\b)|\bfn (?<function>\w+)|{call}|(?<word>\b(?:{words})\b)"
    ))
    .expect("an expression of constants")
});

/// The mutants of all files of a folder.
pub(crate) struct Mutants {
    /// File, function, mutation, and which of several; the first is number 0.
    pub(crate) names: Vec<String>,
    /// Names and texts of the files, with all mutants in them.
    pub(crate) files: Vec<(String, String)>,
}

/// The mutants of all files of `folder`, in the order of their names.
pub(crate) fn of_folder(folder: &Path) -> Result<Mutants> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.with_context(|| format!("cannot read {}", folder.display()))?;
    let paths = entries.into_iter().map(|entry| entry.path());
    // Folders have tests alone.
    let mut paths: Vec<_> = paths.filter(|path| path.is_file()).collect();
    paths.sort();
    let mut found = Mutants { names: Vec::new(), files: Vec::new() };
    for path in paths {
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read the source {}", path.display()))?;
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mutated = mutate(&file, &text, &mut found.names);
        found.files.push((file, mutated));
    }
    Ok(found)
}

/// The text of one file with its mutants in it, whose names go behind the others.
fn mutate(file: &str, text: &str, names: &mut Vec<String>) -> String {
    Scan { file, function: "", names }.mutate(text)
}

struct Scan<'a> {
    file: &'a str,
    function: &'a str,
    names: &'a mut Vec<String>,
}

impl<'a> Scan<'a> {
    /// Names a mutant. Returns its number.
    fn name(&mut self, what: &str) -> usize {
        let plain = format!("{} {}: {what} #", self.file, self.function);
        let same = self.names.iter().filter(|name| name.starts_with(&plain)).count();
        self.names.push(format!("{plain}{}", same + 1));
        self.names.len() - 1
    }

    fn mutate(&mut self, text: &'a str) -> String {
        let mut mutated = String::new();
        let mut done = 0;
        while let Some(token) = TOKEN.captures_at(text, done) {
            let found = token.get_match();
            mutated += &text[done..found.start()];
            done = found.end();
            if token.name("end").is_some() {
                return mutated + &text[found.start()..];
            }
            if let Some(function) = token.name("function") {
                self.function = function.as_str();
            }
            if let Some(word) = token.name("word") {
                mutated += &self.weaken(word.as_str());
                continue;
            }
            let closing = closing(&text[done..]);
            let (Some(call), Some(closing)) = (token.name("call"), closing) else {
                mutated += found.as_str();
                continue;
            };
            let argument = &text[done..done + closing];
            done += closing + 1;
            let before = match token.name("name") {
                Some(name) => {
                    let number = self.name(&format!("without {}", name.as_str()));
                    format!("without({number}")
                }
                None => {
                    let number = self.name("sync_threads_or without the barrier");
                    format!("either({number}, || {argument}")
                }
            };
            let (call, argument) = (call.as_str(), self.mutate(argument));
            mutated += &format!("crate::mutation::{before}, || {call}({argument}))");
        }
        mutated + &text[done..]
    }

    fn weaken(&mut self, word: &str) -> String {
        let (kind, strong) = word.split_once("::").unwrap_or_default();
        let weaker = WEAKER.iter().filter(|(known, _)| *known == word);
        let weaker = weaker.flat_map(|(_, weaker)| *weaker).map(|weak| {
            let number = self.name(&format!("{strong} to {weak}"));
            format!("({number}, {kind}::{weak})")
        });
        let weaker = weaker.collect::<Vec<_>>().join(", ");
        format!("crate::mutation::weaker([{weaker}], {word})")
    }
}

/// Where the parenthesis is closed behind whose opening `text` begins.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1;
    text.find(|character| {
        depth += i32::from(character == '(') - i32::from(character == ')');
        depth == 0
    })
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
        let mut names: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        let mutated = mutate("k.rs", TEXT, &mut names);
        assert_eq!(
            names[10..],
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
            assert!(mutated.contains(&part), "{part} in:\n{mutated}");
        }
    }

    #[test]
    fn every_file_of_the_kernels_is_looked_at() {
        let folder = cargo::kernels().join("src");
        let Mutants { names, files } = of_folder(&folder).expect("the kernels' sources");
        let root = fs::read_to_string(folder.join("lib.rs")).expect("the crate's root");
        for line in root.lines() {
            if let Some((_, module)) = line.split_once("mod ").filter(|_| line.ends_with(';')) {
                let file = format!("{}.rs", module.trim_end_matches(';'));
                assert!(files.iter().any(|(name, _)| *name == file), "{file}");
            }
        }
        for what in ["without sync_threads", "without sync_warp", "AcqRel", "Device to Block"] {
            assert!(names.iter().any(|name| name.contains(what)), "{what}");
        }
    }
}
