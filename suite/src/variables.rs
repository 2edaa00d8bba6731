//! Names of environment variables: those that begin with `CUDAMARK_`, of all programs here and of
//! their tests, so that a misspelt one is told. `cargo xtask` includes this file, for it does not
//! wait until the suite is built.

use std::env;

/// The names.
pub const KNOWN: &[&str] = &[
    "CUDAMARK_ASKED_WHICH",
    "CUDAMARK_BROWSER",
    "CUDAMARK_COMMIT",
    "CUDAMARK_DEVICES",
    "CUDAMARK_DISTRIBUTIONS",
    "CUDAMARK_ENGINES",
    "CUDAMARK_EXECUTABLE",
    "CUDAMARK_GPU_MEMORY",
    "CUDAMARK_KEYS",
    "CUDAMARK_KEYS_TYPE",
    "CUDAMARK_LEVELS",
    "CUDAMARK_MUTANT",
    "CUDAMARK_N",
    "CUDAMARK_NVBENCH_SCRIPTS",
    "CUDAMARK_NVDISASM",
    "CUDAMARK_PTX",
    "CUDAMARK_PTXAS",
    "CUDAMARK_PYTHON",
    "CUDAMARK_RESUME",
    "CUDAMARK_SEED",
    "CUDAMARK_TEST_ACT_AS",
    "CUDAMARK_TEST_KERNEL",
    "CUDAMARK_TIER",
    "CUDAMARK_TYPES",
];

/// A line for each variable of the environment that is named as ours are and is none of them.
pub fn misspelt() -> impl Iterator<Item = String> {
    let names = env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    let unknown =
        names.filter(|name| name.starts_with("CUDAMARK_") && !KNOWN.contains(&name.as_str()));
    unknown.map(|name| {
        let nearest = KNOWN.iter().min_by_key(|known| strsim::levenshtein(known, &name));
        format!("{name} is ignored; the nearest name of a variable is {}", nearest.unwrap_or(&""))
    })
}
