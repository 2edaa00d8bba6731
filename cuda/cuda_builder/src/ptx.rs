//! Reading PTX text: the entry points, their instructions, and the launch bounds.
//!
//! This is not a parser of the language. It knows the forms that LLVM and inline
//! assembly write: statements end in `;`, a line may have several, and one may stand
//! behind labels, opening braces and a predicate.

use std::collections::BTreeMap;

/// One kernel.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// The name that a launch asks for.
    pub name: &'a str,
    /// The line it starts at, counted from 1.
    pub line: usize,
    /// From the directive `.entry` to the closing brace.
    pub text: &'a str,
}

/// One instruction, or one directive inside a kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Statement<'a> {
    /// The line in the file, counted from 1.
    pub line: usize,
    /// The statement without label, predicate and `;`.
    pub text: &'a str,
}

impl<'a> Statement<'a> {
    /// The instruction with its suffixes, such as `ld.global.b32`; a directive's
    /// name with its leading dot.
    pub fn opcode(&self) -> &'a str {
        self.text.split_whitespace().next().unwrap_or_default()
    }
}

impl<'a> Entry<'a> {
    /// The statements in the order of the text.
    pub fn statements(&self) -> Vec<Statement<'a>> {
        let body = self.text.find('{').map_or(self.text.len(), |at| at + 1);
        let mut line = self.line + self.text[..body].matches('\n').count();
        let mut rest = &self.text[body..];
        let next = || {
            let (statement, behind) = next_statement(rest, &mut line)?;
            rest = behind;
            Some(statement)
        };
        std::iter::from_fn(next).collect()
    }

    /// Number of instructions of this opcode, or whose opcode goes on after it: `bar.warp`.
    pub fn count(&self, opcode: &str) -> usize {
        let begins = |found: &str| {
            let rest = found.strip_prefix(opcode);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.statements().iter().filter(|statement| begins(statement.opcode())).count()
    }
}

/// The kernels in a PTX file.
pub fn entries(ptx: &str) -> Vec<Entry<'_>> {
    const START: &str = ".entry ";
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(offset) = ptx[at..].find(START) {
        let start = at + offset;
        // LLVM closes a function, and nothing else, with a brace at the margin.
        let end = ptx[start..].find("\n}").map_or(ptx.len(), |i| start + i + 2);
        let text = &ptx[start..end];
        let rest = &text[START.len()..];
        let name_end = rest.find(|c: char| !is_symbol(c)).unwrap_or(rest.len());
        found.push(Entry {
            name: &rest[..name_end],
            line: ptx[..start].matches('\n').count() + 1,
            text,
        });
        at = end;
    }
    found
}

fn is_symbol(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$'
}

/// The first statement of `text` and the rest; `line` moves along.
fn next_statement<'a>(text: &'a str, line: &mut usize) -> Option<(Statement<'a>, &'a str)> {
    let text = skip_to_statement(text, line);
    let end = text.find(';')?;
    let statement = Statement { line: *line, text: text[..end].trim_end() };
    *line += text[..end].matches('\n').count();
    Some((statement, &text[end + 1..]))
}

/// Skips blanks, comments, braces, debug directives, labels and a predicate.
fn skip_to_statement<'a>(mut text: &'a str, line: &mut usize) -> &'a str {
    loop {
        let trimmed = text.trim_start_matches([' ', '\t', '\r', '{', '}', ';']);
        if let Some(behind) = trimmed.strip_prefix('\n') {
            *line += 1;
            text = behind;
        } else if ["//", ".loc ", ".loc\t", ".file"].iter().any(|p| trimmed.starts_with(p)) {
            text = &trimmed[trimmed.find('\n').unwrap_or(trimmed.len())..];
        } else if trimmed.starts_with('@') {
            let end = trimmed.find(char::is_whitespace).unwrap_or(trimmed.len());
            text = &trimmed[end..];
        } else {
            let word = trimmed.find(|c| !is_symbol(c)).unwrap_or(trimmed.len());
            match trimmed[word..].strip_prefix(':') {
                // `a::b` is no label; a label is not empty.
                Some(behind) if word > 0 && !behind.starts_with(':') => text = behind,
                _ => return trimmed,
            }
        }
    }
}

/// The `#[launch_bounds]` of one kernel; 0 is unbounded.
struct Bounds {
    threads: u32,
    min_blocks: u32,
    registers: u32,
}

/// Writes the directives that the `.launch_bounds` comments ask for.
///
/// # Errors
/// A message that names the kernel.
pub(crate) fn apply_launch_bounds(ptx: &str) -> Result<String, String> {
    let mut bounds = read_launch_bounds(ptx)?;
    let mut out = String::with_capacity(ptx.len() + 64 * bounds.len());
    let mut copied = 0;
    let mut search = 0;
    for entry in entries(ptx) {
        let start = search + ptx[search..].find(entry.text).unwrap_or_default();
        search = start + entry.text.len();
        let Some(bound) = bounds.remove(entry.name) else {
            continue;
        };
        let brace = start + entry.text.find('{').unwrap_or(entry.text.len());
        out.push_str(&ptx[copied..brace]);
        for (directive, value) in [
            (".maxntid", bound.threads),
            (".minnctapersm", bound.min_blocks),
            (".maxnreg", bound.registers),
        ] {
            if value > 0 {
                out.push_str(&format!("{directive} {value}\n"));
            }
        }
        copied = brace;
    }
    out.push_str(&ptx[copied..]);
    match bounds.keys().next() {
        None => Ok(out),
        Some(name) => {
            Err(format!("#[launch_bounds] on `{name}`, which is no kernel: put #[kernel] above it"))
        }
    }
}

fn read_launch_bounds(ptx: &str) -> Result<BTreeMap<&str, Bounds>, String> {
    let mut found = BTreeMap::new();
    for line in ptx.lines() {
        let Some(text) = line.trim().strip_prefix("// .launch_bounds ") else {
            continue;
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let [name, threads, min_blocks, registers] = words[..] else {
            return Err(format!(
                "cannot read the launch bounds `{text}`: expected a name and three numbers"
            ));
        };
        let within = |bound: &str, value: &str, low: u32, high: u32| {
            let number = value.parse().ok().filter(|n| (low..=high).contains(n));
            number.ok_or_else(|| {
                format!("#[launch_bounds] on `{name}`: {bound} is {value}, must be {low} to {high}")
            })
        };
        let bounds = Bounds {
            threads: within("threads", threads, 1, 1024)?,
            min_blocks: within("min_blocks_per_sm", min_blocks, 0, 32)?,
            registers: within("max_registers", registers, 0, 255)?,
        };
        if found.insert(name, bounds).is_some() {
            return Err(format!("`{name}` has #[launch_bounds] twice"));
        }
    }
    Ok(found)
}
