//! Code that the PTX of a kernel must not have.
//!
//! None of it is wrong PTX. It comes from slips in the Rust source and is slow, or
//! ptxas refuses it later in words that name no kernel.

use crate::ptx::{self, Entry, Statement};
use std::fmt;

/// The treatment of violations.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Lint {
    /// They fail the build.
    Deny,
    /// They are warnings, one for each kernel and rule.
    #[default]
    Warn,
    /// They are not looked for: of kernels that print or call functions.
    Allow,
}

/// A kind of forbidden code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// A load, store or atomic that names no state space: the compiler lost track
    /// of whether the pointer is to shared or to global memory.
    GenericAccess,
    /// An array in local memory, which is device memory: some loop over it was not
    /// unrolled, or an index is known only at run time.
    StackArray,
    /// A function that was not inlined, or a call of one.
    Call,
    /// Formatting or unwinding code of a panic.
    PanicMachinery,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GenericAccess => "generic access",
            Self::StackArray => "stack array",
            Self::Call => "function or call",
            Self::PanicMachinery => "panic machinery",
        })
    }
}

/// One break of a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The broken rule.
    pub rule: Rule,
    /// The kernel it is in; none when it is outside of every kernel.
    pub kernel: Option<String>,
    /// The line in the PTX file, counted from 1.
    pub line: usize,
    /// The PTX.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kernel {
            Some(kernel) => write!(f, "kernel `{kernel}`")?,
            None => f.write_str("outside of the kernels")?,
        }
        write!(f, ", line {}: {}: {}", self.line, self.rule, self.text)
    }
}

/// Everything in the PTX that breaks a rule, in the order of the lines.
pub fn lint(ptx: &str) -> Vec<Violation> {
    let entries = ptx::entries(ptx);
    let mut found = Vec::new();
    for entry in &entries {
        for statement in entry.statements() {
            if let Some(rule) = broken_rule(&statement) {
                let text = statement.text.split_whitespace().collect::<Vec<_>>().join(" ");
                found.push(violation(rule, Some(entry.name), statement.line, &text));
            }
        }
    }
    for (line, text) in outside(ptx, &entries) {
        if text.split_whitespace().any(|word| word == ".func") {
            found.push(violation(Rule::Call, None, line, text.trim()));
        } else if is_panic_machinery(text) {
            found.push(violation(Rule::PanicMachinery, None, line, text.trim()));
        }
    }
    found.sort_by_key(|violation| violation.line);
    found
}

/// The first violation of each rule in each kernel, and how many more there are.
pub(crate) fn summary(violations: &[Violation]) -> Vec<String> {
    let mut first: Vec<(&Violation, usize)> = Vec::new();
    for violation in violations {
        let is_same = |of: &Violation| (of.rule, &of.kernel) == (violation.rule, &violation.kernel);
        match first.iter_mut().find(|(of, _)| is_same(of)) {
            Some((_, more)) => *more += 1,
            None => first.push((violation, 0)),
        }
    }
    let line = |(violation, more)| match more {
        0 => format!("{violation}"),
        more => format!("{violation}, and {more} more"),
    };
    first.into_iter().map(line).collect()
}

fn violation(rule: Rule, kernel: Option<&str>, line: usize, text: &str) -> Violation {
    Violation { rule, kernel: kernel.map(str::to_owned), line, text: text.to_owned() }
}

/// The lines that belong to no kernel, with their numbers.
fn outside<'a>(ptx: &'a str, entries: &[Entry]) -> impl Iterator<Item = (usize, &'a str)> {
    let spans: Vec<_> = entries
        .iter()
        .map(|entry| entry.line..=entry.line + entry.text.matches('\n').count())
        .collect();
    ptx.lines()
        .enumerate()
        .map(|(i, text)| (i + 1, text))
        .filter(move |(line, _)| !spans.iter().any(|span| span.contains(line)))
}

fn broken_rule(statement: &Statement) -> Option<Rule> {
    let opcode = statement.opcode();
    let mut parts = opcode.split('.');
    match parts.next().unwrap_or_default() {
        "ld" | "ldu" | "st" | "atom" | "red" if opcode.contains('.') => {
            let spaces: Vec<&str> = parts.filter(|part| is_space(part)).collect();
            match spaces[..] {
                [] => Some(Rule::GenericAccess),
                ["local"] => Some(Rule::StackArray),
                _ => None,
            }
        }
        "call" => Some(Rule::Call),
        "" if opcode == ".local" => Some(Rule::StackArray),
        _ if is_panic_machinery(statement.text) => Some(Rule::PanicMachinery),
        _ => None,
    }
}

/// A state space, or a window of one (`shared::cluster`).
fn is_space(part: &str) -> bool {
    let space = part.split("::").next().unwrap_or_default();
    ["global", "shared", "local", "param", "const"].contains(&space)
}

/// Mangled names of `core::panicking` and `core::fmt`.
fn is_panic_machinery(text: &str) -> bool {
    ["4core9panicking", "4core3fmt", "panic_fmt"].iter().any(|name| text.contains(name))
}
