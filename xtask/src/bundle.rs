//! `cargo xtask bundle`: the command, the benchmarks and the tests in one file,
//! for a machine that has a GPU and no Rust.
//!
//! The archive is the same for the same executables: names in order, no owner, no
//! time of day. The tests of the packages that build things are left out: what
//! they try, compilers and a source tree, is not there.

use crate::budget;
use crate::cargo::{self, Variable};
use crate::glibc::{self, Version};
use crate::programs;
use anyhow::{Context, Result, bail};
use cargo_metadata::Target;
use lzma_rust2::{XzOptions, XzWriter};
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Packages whose tests need the source tree or a compiler.
const BUILD_PACKAGES: [&str; 3] = ["cuda_builder", "cuda_std_macros", "xtask"];

/// The folders of the bundle, and what cargo builds for each.
const BUILDS: [(&str, &[&str]); 3] = [
    ("bin", &["build", "--release", "--bin=cudamark"]),
    ("benches", &["bench", "--no-run"]),
    ("tests", &["test", "--workspace", "--no-run", "--config", OPTIMISED]),
];

/// The tests on a device compare billions of keys on the host.
const OPTIMISED: &str = "profile.dev.package.suite.opt-level=2";

/// The script beside the executables.
const RUN_SCRIPT: &str = include_str!("bundle_run.sh");

/// How far back the archive looks for what it repeats. The executables have most of their
/// bytes in common; gzip, which looks back 32 KB, makes it five times as large.
const WINDOW: u32 = 128 << 20;

pub(crate) fn run() -> Result<()> {
    crate::setup::run()?;
    let target = cargo::target_directory()?;
    let folder = target.join("bundle");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;

    let is_glibc = cfg!(all(target_os = "linux", target_env = "gnu"));
    let linker = is_glibc.then(|| glibc::linker(&target)).transpose().unwrap_or_else(|error| {
        let old = glibc::OLD;
        eprintln!("warning: going on with the system's linker, not one for glibc {old}: {error:#}");
        None
    });
    let variables = variables(&target, linker.as_deref());
    let mut executables = Executables::default();
    for (folder, arguments) in BUILDS {
        executables.add(folder, arguments, &variables)?;
    }
    let floor = executables.floor()?;
    match &floor {
        Some((version, name)) if linker.is_some() && *version > glibc::OLD => {
            bail!("{name} needs glibc {version}, though linked for {}", glibc::OLD);
        }
        Some((version, _)) => println!("starts with glibc {version} or later"),
        None => println!("starts without glibc"),
    }

    let files = executables.files(floor.map(|(version, _)| version))?;
    let name =
        format!("cudamark-{}-{}-{}", env!("CARGO_PKG_VERSION"), env::consts::ARCH, env::consts::OS);
    let archive = folder.join(format!("{name}.tar.xz"));
    let contents = pack(&name, &files)?;
    fs::write(&archive, &contents)
        .with_context(|| format!("cannot write {}", archive.display()))?;
    let megabytes = contents.len() as f64 / 1e6;
    println!("{} ({megabytes:.1} MB)", archive.display());
    println!("there: tar -xJf {name}.tar.xz && {name}/run.sh --help");
    budget::check_bundle(contents.len() as u64)
}

/// Variables for cargo: no symbols, which are most of the bytes;
/// another linker; and a folder for both, as all in the usual one would be built anew for
/// them, and then again without. The kernels are taken from where they are.
fn variables(target: &Path, linker: Option<&Path>) -> Vec<Variable> {
    let mut variables = vec![("CARGO_TARGET_DIR".to_owned(), target.join("bundle/build").into())];
    let cache = env::var_os("CUDA_BUILDER_CACHE").filter(|folder| !folder.is_empty());
    let cache = cache.unwrap_or_else(|| target.join("cuda_builder").into());
    variables.push(("CUDA_BUILDER_CACHE".to_owned(), cache));
    for profile in ["DEV", "RELEASE"] {
        variables.push((format!("CARGO_PROFILE_{profile}_STRIP"), "symbols".into()));
    }
    variables.extend(linker.map(|linker| (glibc::variable(), linker.into())));
    variables
}

/// Executables by their name in the archive.
#[derive(Default)]
struct Executables(BTreeMap<String, PathBuf>);

impl Executables {
    /// Has cargo build, and takes what belongs into `folder` of it. Cargo also
    /// builds, and names, the command for tests that start it.
    fn add(&mut self, folder: &str, arguments: &[&str], variables: &[Variable]) -> Result<()> {
        println!("building {folder}: cargo {}", arguments.join(" "));
        let mut cargo = cargo::command(arguments);
        cargo.envs(variables.iter().cloned());
        for (path, artifact) in cargo::build(cargo)?.executables {
            let manifest = artifact.manifest_path.as_std_path();
            let is_test = artifact.profile.test;
            let Some(name) = name_in(folder, manifest, &artifact.target, is_test) else {
                continue;
            };
            let name = format!("{folder}/{name}");
            if self.0.insert(name.clone(), path).is_some() {
                bail!("two executables are called {name}");
            }
        }
        if !self.0.keys().any(|name| name.starts_with(folder)) {
            bail!("cargo {} built nothing executable", arguments.join(" "));
        }
        Ok(())
    }

    /// The oldest glibc on which all of them start, and one that starts on none older.
    fn floor(&self) -> Result<Option<(Version, &str)>> {
        let mut floor = None;
        for (name, path) in &self.0 {
            floor = floor.max(glibc::needed(path)?.map(|version| (version, name.as_str())));
        }
        Ok(floor)
    }

    fn files(&self, floor: Option<Version>) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut files = BTreeMap::new();
        for (name, path) in &self.0 {
            let contents =
                fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            files.insert(name.clone(), contents);
        }
        files.insert("run.sh".to_owned(), RUN_SCRIPT.as_bytes().to_owned());
        if let Some(floor) = floor {
            files.insert("glibc".to_owned(), floor.to_string().into_bytes());
        }
        if let Some(commit) = commit() {
            files.insert("commit".to_owned(), commit.into_bytes());
        }
        Ok(files)
    }
}

/// The commit that the executables are of, with `-dirty` after it if tracked files differ
/// from it; none where there is no repository.
fn commit() -> Option<String> {
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]);
    let commit = programs::text(git.current_dir(cargo::root())).ok()?;
    Some(commit.trim().to_owned())
}

/// The name of an executable in this folder of the bundle, if it belongs there.
fn name_in(folder: &str, manifest: &Path, target: &Target, is_test: bool) -> Option<String> {
    // The package's name is that of its folder, but for the root.
    let package = match manifest.parent().filter(|folder| *folder != cargo::root()) {
        Some(folder) => folder.file_name()?.to_str()?,
        None => "cudamark",
    };
    let is_test = is_test && !BUILD_PACKAGES.contains(&package);
    match folder {
        "bin" => Some(target.name.clone()),
        "benches" => target.is_bench().then(|| target.name.clone()),
        // A command and its library have the same name and each its own tests.
        _ if target.is_bin() => is_test.then(|| format!("{}-bin", target.name)),
        _ => is_test.then(|| format!("{package}-{}", target.name)),
    }
}

fn pack(folder: &str, files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>> {
    // The fastest: the window is what matters.
    let mut options = XzOptions::with_preset(1);
    options.lzma_options.dict_size = WINDOW;
    let compressor = XzWriter::new(Vec::new(), options).context("cannot begin the archive")?;
    let mut archive = tar::Builder::new(compressor);
    for (name, contents) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(0o755);
        header.set_mtime(tar::DETERMINISTIC_TIMESTAMP);
        archive
            .append_data(&mut header, format!("{folder}/{name}"), contents.as_slice())
            .with_context(|| format!("cannot pack {name}"))?;
    }
    let compressor = archive.into_inner().context("cannot finish the archive")?;
    compressor.finish().context("cannot finish the archive")
}

#[cfg(test)]
mod tests {
    use super::*;
    use lzma_rust2::XzReader;
    use std::process::Output;

    fn files() -> BTreeMap<String, Vec<u8>> {
        let script = ("run.sh".to_owned(), RUN_SCRIPT.as_bytes().to_owned());
        [script, ("bin/cudamark".to_owned(), vec![7; 100_000])].into()
    }

    #[test]
    fn the_same_files_make_the_same_archive() {
        assert_eq!(pack("b", &files()).unwrap(), pack("b", &files()).unwrap());
    }

    #[test]
    fn tests_have_names_of_their_own_and_the_script_starts_those() {
        let mut names = Vec::new();
        for package in cargo::packages().unwrap() {
            for target in package.targets {
                if target.is_bench() || target.is_example() || target.is_custom_build() {
                    continue;
                }
                let manifest = package.manifest_path.as_std_path();
                names.extend(name_in("tests", manifest, &target, true));
            }
        }
        for word in RUN_SCRIPT.split("\"$here/tests/").skip(1) {
            let name = word.split('"').next().unwrap();
            assert!(names.iter().any(|found| found == name), "run.sh starts tests/{name}");
        }
        let of_command = names.iter().filter(|name| name.starts_with("cudamark-"));
        assert!(of_command.count() > 2, "{names:?}");
        names.sort();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all, "{names:?}");
    }

    /// A bundle's folder whose programs are these scripts.
    fn bundle(programs: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, script) in [("run.sh", RUN_SCRIPT)].iter().chain(programs) {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            programs::write_script(&path, script).unwrap();
        }
        fs::write(folder.path().join("commit"), "0123abc").unwrap();
        folder
    }

    /// Calls `run.sh` in its folder, with the bundle's `system` before the PATH.
    fn run_script(bundle: &Path, arguments: &[&str]) -> Output {
        let path = env::var("PATH").unwrap();
        let mut script = Command::new(bundle.join("run.sh"));
        script.args(arguments).current_dir(bundle).env_remove("CUDAMARK_COMMIT");
        script.env("PATH", format!("{}/system:{path}", bundle.display())).output().unwrap()
    }

    /// The success of `run.sh records out` with some parts, and its last words.
    fn records(bundle: &Path, parts: &[&str]) -> (bool, String) {
        let output = run_script(bundle, &[&["records", "out"], parts].concat());
        let words = String::from_utf8(output.stderr).unwrap();
        let last = words.lines().last().unwrap_or_default().to_owned();
        (output.status.success(), last)
    }

    #[test]
    fn records_are_made_by_parts_and_failures_named() {
        let bundle = bundle(&[
            ("bin/cudamark", "#!/bin/sh\necho $CUDAMARK_COMMIT \"$@\"\n"),
            ("tests/suite-device", "#!/bin/sh\necho $2\nexit 7\n"),
        ]);
        let read = |name: &str| fs::read_to_string(bundle.path().join("out").join(name)).unwrap();
        assert!(records(bundle.path(), &["peers", "few"]).0);
        assert!(read("peers.txt").starts_with("0123abc peers --peers cub"));
        assert!(read("distributions_few.txt").contains("--sizes 2^14..2^20:2"));
        let (success, last) = records(bundle.path(), &["full", "middle"]);
        assert!(!success);
        assert_eq!(last, "failed: full");
        assert_eq!(read("device_full.txt").trim(), "full::");
        assert!(read("distributions_middle.txt").contains("2^22,2^24"));
        let (success, last) = records(bundle.path(), &["most"]);
        assert!(!success);
        assert_eq!(last, "no part is called most; see run.sh --help");
    }

    #[test]
    fn a_system_older_than_the_bundle_is_told_the_floor() {
        let refused = "this bundle needs glibc 2.28 or later, and this system has";
        // Answers of `getconf`, of `ldd` where that has none, and the version that is refused.
        for (getconf, ldd, found) in [
            ("echo glibc 2.28", "", None),
            ("echo glibc 2.41", "", None),
            ("echo glibc 3.0", "", None),
            ("exit 1", "ldd (Debian GLIBC 2.36-9+deb12u7) 2.36", None),
            ("exit 1", "cannot say", None),
            ("echo glibc 2.17", "", Some("glibc 2.17")),
            ("echo glibc 2.9", "", Some("glibc 2.9")),
            ("exit 1", "ldd (GNU libc) 2.17", Some("glibc 2.17")),
            ("exit 1", "musl libc (x86_64)", Some("musl libc (x86_64)")),
        ] {
            let bundle = bundle(&[
                ("bin/cudamark", "#!/bin/sh\necho started >&2\n"),
                ("system/getconf", &format!("#!/bin/sh\n{getconf}\n")),
                ("system/ldd", &format!("#!/bin/sh\necho '{ldd}' >&2\nexit 1\n")),
            ]);
            fs::write(bundle.path().join("glibc"), "2.28").unwrap();
            let output = run_script(bundle.path(), &["classic"]);
            let words = String::from_utf8(output.stderr).unwrap();
            let (code, begin) = match found {
                Some(found) => (1, format!("{refused} {found}: ")),
                None => (0, "started".to_owned()),
            };
            assert!(words.starts_with(&begin), "{getconf} {ldd}: {words}");
            assert_eq!(output.status.code(), Some(code), "{getconf} {ldd}");
        }
    }

    #[test]
    fn what_is_packed_comes_out_executable() {
        let packed = pack("b", &files()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let plain = XzReader::new(packed.as_slice(), false);
        tar::Archive::new(plain).unpack(folder.path()).unwrap();
        for (name, contents) in files() {
            let path = folder.path().join("b").join(name);
            assert_eq!(which::which(&path).unwrap(), path);
            assert_eq!(fs::read(&path).unwrap(), contents);
        }
    }
}
