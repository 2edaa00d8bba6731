//! A peer that sorts with the standard library and speaks the protocol, but for one
//! fault.

use std::fs;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// Longer than any test waits.
const FOR_EVER: Duration = Duration::from_secs(1000);

/// The peer, in a process of its own.
struct Fake<'a> {
    fault: &'a str,
    /// The loaded keys; what they are of is known by `signed`.
    keys: Vec<i64>,
    signed: bool,
    descending: bool,
    /// How it was last told to sort.
    variant: String,
}

/// Greets, and answers requests until they end.
pub(crate) fn run(fault: &str) -> ExitCode {
    match fault {
        "skips" => {
            say(json!({"protocol": 2, "skipped": "No module named 'cupy'"}));
            return ExitCode::SUCCESS;
        }
        "dies at once" => return die("Traceback: it is broken"),
        "hangs at once" => thread::sleep(FOR_EVER),
        _ => {}
    }
    let kind = if fault == "other type" { "i32" } else { "u32" };
    say(json!({"protocol": 2, "peer": "fake", "peer_version": "1.2.3", "device": "none",
        "orders": ["total"], "types": [kind], "sorts": ["descending"], "end_to_end": fault == "end to end"}));
    let (signed, descending) = (false, false);
    let mut fake = Fake { fault, keys: Vec::new(), signed, descending, variant: String::new() };
    for request in io::stdin().lock().lines() {
        let request = request.expect("a request");
        match request.split_once(' ').unwrap_or((&request, "")) {
            ("load", rest) => fake.load(rest),
            ("run", _) if fault == "crashes" => return die("illegal memory access"),
            ("run", rest) => {
                let (variant, count) = rest.split_once(' ').expect("a variant");
                variant.clone_into(&mut fake.variant);
                fake.sort(count);
            }
            ("end_to_end", count) if fault == "end to end" => fake.sort(count),
            ("save", folder) => fake.save(Path::new(folder)),
            _ => break,
        }
    }
    ExitCode::SUCCESS
}

fn say(line: Value) {
    println!("{line}");
    io::stdout().flush().expect("somebody who listens");
}

fn die(words: &str) -> ExitCode {
    eprintln!("{words}");
    ExitCode::FAILURE
}

impl Fake<'_> {
    fn load(&mut self, rest: &str) {
        let [kind, n, folder] = rest
            .splitn(3, ' ')
            .collect::<Vec<_>>()
            .try_into()
            .expect("a type, a number and a folder");
        let (elements, order) = kind.split_once('@').unwrap_or((kind, ""));
        (self.signed, self.descending) = (elements == "i32", order == "descending");
        let bytes = fs::read(Path::new(folder).join("keys")).expect("keys");
        let (words, _) = bytes.as_chunks();
        self.keys = words.iter().map(|&word| self.key(word)).collect();
        assert_eq!(self.keys.len().to_string(), n);
        if self.fault == "has no room" {
            return say(json!({"error": "out of memory"}));
        }
        let mut variants = json!([{"name": "slow", "temporary_bytes": 0},
            {"name": "fast", "temporary_bytes": 4 * self.keys.len()}]);
        if self.fault == "knows no way" {
            variants = json!([]);
        }
        let more = usize::from(self.fault == "loads another number");
        say(json!({"loaded": self.keys.len() + more, "variants": variants}));
    }

    fn key(&self, word: [u8; 4]) -> i64 {
        match self.signed {
            true => i32::from_le_bytes(word).into(),
            false => u32::from_le_bytes(word).into(),
        }
    }

    /// Claims to have sorted `count` times.
    fn sort(&self, count: &str) {
        let count: usize = count.parse().expect("a number");
        let time = if self.variant == "fast" { 3.0 } else { 4.0 };
        let mut times = vec![time; count];
        match self.fault {
            "hangs" => thread::sleep(FOR_EVER),
            "babbles" => return println!("warming up ..."),
            "gives one time too few" => times.truncate(count - 1),
            "takes no time" => times[0] = 0.0,
            _ => {}
        }
        say(json!({"times_ms": times}));
    }

    fn save(&self, folder: &Path) {
        let mut keys = self.keys.clone();
        keys.sort_unstable();
        if self.descending && self.fault != "ascends always" {
            keys.reverse();
        }
        match self.fault {
            "loses a key" => keys[0] = keys[1],
            "is wrong when slow" if self.variant == "slow" => keys[0] = keys[1],
            "leaves two exchanged" => keys.swap(5, 6),
            "writes half" => keys.truncate(keys.len() / 2),
            _ => {}
        }
        if self.fault != "writes nothing" {
            // The low half has the same bits, signed or not.
            let bytes: Vec<u8> = keys.iter().flat_map(|&key| (key as u32).to_le_bytes()).collect();
            fs::write(folder.join("keys"), bytes).expect("a folder");
        }
        say(json!({"saved": true}));
    }
}
