//! The example of the library, which cargo builds beside the tests.

use std::env;
use std::process::Command;

#[test]
fn the_example_sorts_or_says_why_it_cannot() {
    let test = env::current_exe().unwrap();
    let example = test.ancestors().nth(2).unwrap().join("examples/sort");
    assert!(example.is_file(), "no {}; run `cargo build --examples`", example.display());
    let output = Command::new(example).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let sorted = said == "[2.5, 0.0, -1.0] [1, 2, 3]\n";
    assert!(sorted || said.starts_with("no GPU: "), "{said}");
}
