//! Whether `cudamark compare` is of the two builds that it names, over repositories made
//! here and a `cargo` made here: it makes of a commit a script that says the seconds which
//! the commit says, so that a test knows the verdict.
//!
//! Where there is no git, the tests show as ignored, and a line says so.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use serde_json::Value;
use tempfile::TempDir;

const CELL: &str = "cpu/cpu-std/u32-uniform-1000/1";
/// Longest that a command may take to come to a place.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is built: `cudamark sample` that took as long as its sources say.
const SCRIPT: &str = include_str!("stand_ins/sample.sh");

/// Builds it as cargo does: where the target says, and only the last build is there.
const CARGO: &str = include_str!("stand_ins/cargo.sh");

macro_rules! tests {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), $name)),*] };
}

const TESTS: &[(&str, fn())] = tests![
    the_executable_is_where_cargo_says,
    the_worktree_can_be_either_side,
    a_build_is_made_again_where_its_compilers_or_flags_differ,
    a_worktree_is_what_git_tracks_or_would_add,
    a_pre_commit_hook_can_compare_and_its_commit_is_whole,
    hooks_of_the_user_do_not_run,
    two_comparisons_at_once_keep_their_builds_apart,
    a_signal_ends_a_build_and_leaves_nothing,
    the_package_may_be_in_a_subfolder_of_another_repository,
    all_that_git_says_is_one_line,
    equal_executables_are_said_in_every_form,
    folders_may_have_any_name_and_attributes_leave_nothing_out,
    a_bare_repository_has_commits_and_no_worktree,
    a_shallow_clone_says_what_it_lacks,
    a_submodule_is_built_with_and_one_that_is_not_here_is_said,
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let git = Command::new("git").arg("--version").output();
    if let Err(error) = &git {
        eprintln!("builds: ignored: cannot run git: {error}");
    }
    let trials = TESTS.iter().map(|&(name, test)| {
        let trial = Trial::test(name, move || {
            test();
            Ok(())
        });
        trial.with_ignored_flag(git.is_err())
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// A repository of three commits, and beside it a target folder, programs and what the
/// build reads and writes.
struct Place {
    folder: TempDir,
    sources: PathBuf,
}

impl Place {
    fn new() -> Self {
        Self::named("sources")
    }

    /// Commits of 1, 2 and 4 seconds, in a folder of this name.
    fn named(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sources = folder.path().join(name);
        let place = Self { folder, sources };
        for folder in ["bin", "tmp"] {
            fs::create_dir(place.beside(folder)).unwrap();
        }
        fs::create_dir_all(&place.sources).unwrap();
        place.program("cargo", CARGO);
        fs::write(place.beside("script"), SCRIPT.replace("CELL", CELL)).unwrap();
        place.git(&["init", "--quiet", "--initial-branch=main"]);
        for seconds in ["1.0", "2.0", "4.0"] {
            place.commit("seconds", seconds);
        }
        place
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, name: &str, text: &str) {
        executable(&self.beside("bin").join(name), text);
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.sources.join(file), text).unwrap();
    }

    fn commit(&self, file: &str, text: &str) {
        self.write(file, text);
        self.git(&["add", "."]);
        self.git(&["commit", "--quiet", "--message", text]);
    }

    fn git(&self, arguments: &[&str]) -> String {
        self.git_in(&self.sources, arguments)
    }

    fn git_in(&self, folder: &Path, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command
            .args(["-c", "user.name=T", "-c", "user.email=t@example.org"])
            .args(["-c", "commit.gpgsign=false", "-c", "protocol.file.allow=always"])
            .args(arguments)
            .current_dir(folder);
        self.surround(&mut command);
        let output = command.output().unwrap();
        let said = text(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {said}");
        text(&output.stdout).trim().to_owned()
    }

    /// Sets what the stand-in for cargo needs, and keeps what is temporary in sight.
    fn surround(&self, command: &mut Command) {
        let path = env::var("PATH").unwrap();
        let bin = self.beside("bin");
        command
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("BESIDE", self.folder.path())
            .env("TMPDIR", self.beside("tmp"))
            .env("CARGO_TARGET_DIR", self.beside("target"))
            .env_remove("RUSTFLAGS");
    }

    fn command(&self, base: &str, head: &str, more: &[&str]) -> Command {
        // In a bundle, the program is elsewhere than it was built.
        let mut command = Command::new(program());
        command
            .args(["compare", CELL, "--base", base, "--head", head])
            .args(["--samples", "2", "--warm-up", "0", "--cores", "none"])
            .args(more)
            .current_dir(&self.sources)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.surround(&mut command);
        command
    }

    /// Compares; the times of the two must be in this ratio.
    fn require(&self, base: &str, head: &str, ratio: f64) -> Value {
        require_ratio(&mut self.command(base, head, &["--format", "json"]), ratio)
    }

    /// Builds so far, a line each: folder, commit, index.
    fn builds(&self) -> Vec<String> {
        let builds = fs::read_to_string(self.beside("builds")).unwrap_or_default();
        builds.lines().map(str::to_owned).collect()
    }
}

fn program() -> String {
    let built = env!("CARGO_BIN_EXE_cudamark").to_owned();
    env::var("CARGO_BIN_EXE_cudamark").unwrap_or(built)
}

fn executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn require_ratio(command: &mut Command, ratio: f64) -> Value {
    let output = command.output().unwrap();
    let said = text(&output.stderr);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    let found = json["cells"][0]["ratio"].as_f64().unwrap();
    assert!((found - ratio).abs() < 1e-9, "{found}, and not {ratio}: {json}");
    let hashes = ["base", "head"].map(|side| &json[side]["executable_sha256"]);
    assert_eq!(hashes[0] == hashes[1], ratio == 1.0, "{json}");
    json
}

/// The only line of an error.
fn refusal(output: &Output) -> String {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

fn the_executable_is_where_cargo_says() {
    let place = Place::new();
    place.write("seconds", "8.0");
    place.require("HEAD", "worktree", 2.0);
    let mut command = place.command("HEAD~2", "HEAD", &["--format", "json"]);
    command.env("CARGO_BUILD_TARGET", "x86_64-unknown-linux-gnu");
    require_ratio(&mut command, 4.0);
    let clean = Place::new();
    let mut command = clean.command("HEAD~2", "HEAD", &["--format", "json"]);
    command.env("CARGO_BUILD_TARGET", "x86_64-unknown-linux-gnu");
    let json = require_ratio(&mut command, 4.0);
    assert_eq!(json["base"]["commit"], clean.git(&["rev-parse", "HEAD~2"]));
    assert_eq!(json["base"]["name"], "HEAD~2");
}

fn the_worktree_can_be_either_side() {
    let place = Place::new();
    place.write("seconds", "8.0");
    place.require("worktree", "HEAD~1", 0.25);
    place.require("HEAD~1", "worktree", 4.0);
    // What is left over by neither: not a worktree, not a folder.
    assert_eq!(place.git(&["worktree", "list"]).lines().count(), 1);
    assert_eq!(fs::read_dir(place.beside("tmp")).unwrap().count(), 0);
}

fn a_build_is_made_again_where_its_compilers_or_flags_differ() {
    let place = Place::new();
    let rustc = |version: &str| format!("#!/bin/sh\necho 'rustc {version}'\n");
    place.program("rustc", &rustc("1.95.0"));
    place.program("kernels", &rustc("1.96.0"));
    let kernels = place.beside("bin/kernels");
    let kernels = kernels.to_str().unwrap();
    let home = place.beside("home");
    fs::create_dir(&home).unwrap();
    let mut before = 0;
    let mut built = |variables: &[(&str, &str)], builds: usize| {
        let mut command = place.command("HEAD~1", "HEAD", &["--format", "json"]);
        command.env("CARGO_HOME", &home).envs(variables.iter().copied());
        let json = require_ratio(&mut command, 2.0);
        let all = place.builds().len();
        assert_eq!(all - before, builds, "{variables:?}");
        before = all;
        json["base"]["identity"].clone()
    };
    let plain = built(&[], 2);
    assert_eq!(built(&[], 0), plain);
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_PROFILE_RELEASE_LTO"] {
        assert_ne!(built(&[(name, "1")], 2), plain);
    }
    for name in ["CARGO_BUILD_TARGET", "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER"] {
        built(&[(name, "x86_64-unknown-linux-gnu")], 2);
    }
    built(&[("CUDA_BUILDER_RUSTC", kernels)], 2);
    place.program("kernels", &rustc("1.96.1"));
    built(&[("CUDA_BUILDER_RUSTC", kernels)], 2);
    place.program("rustc", &rustc("1.95.1"));
    built(&[], 2);
    fs::write(home.join("config.toml"), "[build]\nrustflags = \"-Cpanic=abort\"\n").unwrap();
    built(&[], 2);
    // What changes no executable builds nothing.
    built(&[("CARGO_TERM_COLOR", "always"), ("CARGO_BUILD_JOBS", "1")], 0);
}

fn a_worktree_is_what_git_tracks_or_would_add() {
    let place = Place::new();
    place.commit(".gitignore", "ignored\n");
    place.write("ignored", "changes nothing");
    place.write("seconds", "2.0");
    place.require("HEAD", "worktree", 0.5);
    let before = place.builds().len();
    place.write("ignored", "changes nothing, really");
    place.require("HEAD", "worktree", 0.5);
    assert_eq!(place.builds().len(), before);
    place.write("extra", "untracked");
    place.require("HEAD", "worktree", 0.5);
    assert_eq!(place.builds().len(), before + 1);
    // The index is as it was: nothing was staged, and nothing written to it.
    assert_eq!(place.git(&["status", "--porcelain"]), "M seconds\n?? extra");
    // A target folder that git would add, named from here, is no part of it.
    for builds in [2, 0] {
        let before = place.builds().len();
        let mut command = place.command("HEAD", "worktree", &["--format", "json"]);
        require_ratio(command.env("CARGO_TARGET_DIR", "out"), 0.5);
        assert_eq!(place.builds().len() - before, builds);
    }
    fs::remove_file(place.sources.join("seconds")).unwrap();
    let output = place.command("HEAD", "worktree", &[]).output().unwrap();
    assert!(text(&output.stderr).contains("cannot build worktree"));
}

fn a_pre_commit_hook_can_compare_and_its_commit_is_whole() {
    let place = Place::new();
    let linked = place.beside("linked");
    place.git(&["worktree", "add", "--quiet", "-b", "side", linked.to_str().unwrap()]);
    let hook = format!(
        "#!/bin/sh\n'{}' compare {CELL} --base HEAD~1 --head HEAD --samples 2 --warm-up 0 \
         --cores none --format json > \"$BESIDE/verdict\" 2> \"$BESIDE/said\"\necho $? > \
         \"$BESIDE/code\"\n",
        program()
    );
    executable(&place.sources.join(".git/hooks/pre-commit"), &hook);
    for (folder, file) in [(&place.sources, "main file"), (&linked, "linked file")] {
        fs::write(folder.join(file), "staged").unwrap();
        place.git_in(folder, &["add", "."]);
        place.git_in(folder, &["commit", "--quiet", "--message", "Hooked"]);
        let code = fs::read_to_string(place.beside("code")).unwrap();
        let said = fs::read_to_string(place.beside("said")).unwrap();
        assert_eq!(code, "1\n", "{said}");
        let verdict = fs::read_to_string(place.beside("verdict")).unwrap();
        let verdict: Value = serde_json::from_str(&verdict).unwrap();
        assert_eq!(verdict["cells"][0]["verdict"], "slower");
        let files = place.git_in(folder, &["ls-tree", "--name-only", "HEAD"]);
        assert_eq!(files, format!("{file}\nseconds"));
        assert_eq!(place.git_in(folder, &["status", "--porcelain"]), "");
    }
    // Nor does the build see what the hook was told.
    assert!(place.builds().iter().all(|build| build.ends_with(' ')));
}

fn hooks_of_the_user_do_not_run() {
    let place = Place::new();
    for hook in ["post-checkout", "post-index-change", "reference-transaction"] {
        let failing = "#!/bin/sh\ntouch \"$BESIDE/ran\"\nexit 1\n";
        executable(&place.sources.join(".git/hooks").join(hook), failing);
    }
    place.require("HEAD~1", "HEAD", 2.0);
    place.require("HEAD~1", "worktree", 2.0);
    assert!(!place.beside("ran").exists());
}

fn two_comparisons_at_once_keep_their_builds_apart() {
    let place = Place::new();
    fs::write(place.beside("delay"), "").unwrap();
    let pairs = [("HEAD~2", "HEAD", 4.0), ("HEAD", "HEAD~1", 0.5)];
    thread::scope(|scope| {
        for (base, head, ratio) in pairs {
            let place = &place;
            scope.spawn(move || place.require(base, head, ratio));
        }
    });
    // The head of the one is the base of the other.
    assert_eq!(place.builds().len(), 3);
}

fn a_signal_ends_a_build_and_leaves_nothing() {
    for signal in ["-TERM", "-HUP", "-INT"] {
        let place = Place::new();
        let slow = place.beside("slow");
        fs::write(&slow, "").unwrap();
        let compare = place.command("HEAD~1", "HEAD", &[]);
        // Whatever this test was started with: under `nohup`, SIGHUP would be ignored.
        let mut command = Command::new("env");
        command.arg("--default-signal=HUP,INT,TERM").arg(program());
        command.args(compare.get_args()).current_dir(&place.sources);
        place.surround(command.stdout(Stdio::null()).stderr(Stdio::piped()));
        let child = command.spawn().unwrap();
        let begun = Instant::now();
        let started = loop {
            let started = fs::read_to_string(&slow).unwrap();
            if started.ends_with('\n') {
                break started.trim().to_owned();
            }
            assert!(begun.elapsed() < PATIENCE, "nothing was built");
            thread::sleep(Duration::from_millis(5));
        };
        let id = child.id().to_string();
        let killed = Command::new("kill").args([signal, &id]).status();
        assert!(killed.unwrap().success());
        let output = child.wait_with_output().unwrap();
        let said = refusal(&output);
        assert!(said.contains("interrupted"), "{said}");
        assert_eq!(place.git(&["worktree", "list"]).lines().count(), 1);
        assert_eq!(fs::read_dir(place.beside("tmp")).unwrap().count(), 0);
        // What the build had started has ended as well: it is gone, or nobody's yet.
        let status = fs::read_to_string(format!("/proc/{started}/stat")).unwrap_or_default();
        assert!(status.is_empty() || status.contains(") Z "), "{status}");
        let kept = fs::read_dir(place.beside("target/cudamark/builds/kept")).unwrap();
        assert_eq!(kept.count(), 0);
    }
}

fn the_package_may_be_in_a_subfolder_of_another_repository() {
    let place = Place::new();
    let inner = place.sources.join("inner");
    fs::create_dir(&inner).unwrap();
    place.git(&["mv", "seconds", "inner/seconds"]);
    for seconds in ["3.0", "6.0"] {
        place.commit("inner/seconds", seconds);
    }
    let mut command = place.command("HEAD~1", "HEAD", &["--format", "json"]);
    command.current_dir(&inner);
    require_ratio(&mut command, 2.0);
    let mut command = place.command("HEAD~1", "worktree", &["--format", "json"]);
    command.current_dir(&inner);
    require_ratio(&mut command, 2.0);
    let builds = place.builds();
    let inside = |build: &String| build.split(' ').next().unwrap().ends_with("/inner");
    assert!(builds.iter().all(inside), "{builds:?}");
}

fn all_that_git_says_is_one_line() {
    let place = Place::new();
    let output = place.command("nowhere", "HEAD", &[]).output().unwrap();
    assert!(refusal(&output).contains("`nowhere` is no revision"));
    let said = "fatal: detected dubious ownership in repository at '/x'\\nTo add an exception for \
                this directory, call:\\n\\n\\tgit config --global --add safe.directory /x\\n";
    place.program("git", &format!("#!/bin/sh\nprintf \"{said}\" >&2\nexit 128\n"));
    for subcommand in ["compare", "history", "rank"] {
        let mut command = place.command("HEAD~1", "HEAD", &[]);
        if subcommand != "compare" {
            command = Command::new(program());
            place.surround(command.arg(subcommand).current_dir(&place.sources));
            command.args(["HEAD", "HEAD~1"].iter().filter(|_| subcommand == "rank"));
        }
        let output = command.output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(said.lines().count(), 1, "{said}");
        for part in ["dubious ownership", "git config --global --add safe.directory /x"] {
            assert!(said.contains(part), "{subcommand}: {said}");
        }
    }
}

fn equal_executables_are_said_in_every_form() {
    let place = Place::new();
    place.commit("README", "Changes no executable");
    let same = "base and head are the same executable: what differs between them is noise";
    let json = place.require("HEAD~1", "HEAD", 1.0);
    assert_eq!(json["notes"][0], same);
    assert_eq!(place.require("HEAD~2", "HEAD", 2.0)["notes"][0], Value::Null);
    for format in ["text", "markdown"] {
        let command = place.command("HEAD~1", "HEAD", &["--format", format]).output();
        let said = text(&command.unwrap().stdout);
        assert!(said.contains(&format!("\n{same}\n")), "{said}");
    }
    let run = |arguments: &[&str]| {
        let mut command = Command::new(program());
        place.surround(command.args(arguments).current_dir(&place.sources));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let short = |revision: &str| place.git(&["rev-parse", "--short=10", revision]);
    let same = format!("{} and {} are the same executable", short("HEAD~1"), short("HEAD"));
    let page = place.beside("page");
    let said = run(&["history", "--page", page.to_str().unwrap()]);
    assert!(said.contains(&same) && !said.contains(&short("HEAD~3")), "{said}");
    assert!(fs::read_to_string(page.join("index.html")).unwrap().contains(&same));
    let json: Value = serde_json::from_str(&run(&["history", "--json"])).unwrap();
    assert!(json["cells"][0]["notes"][0].as_str().unwrap().starts_with(&same));
    for format in ["text", "markdown", "json"] {
        let said = run(&["rank", "HEAD", "HEAD~1", "HEAD~2", "--format", format]);
        let same = ["HEAD and HEAD~1 are the same", "HEAD~1 and HEAD are the same"];
        assert!(same.iter().any(|same| said.contains(same)), "{said}");
    }
    // A commit that was measured under other flags is two executables.
    let mut command = place.command("HEAD~2", "HEAD", &["--format", "json"]);
    command.env("RUSTFLAGS", "-Cother");
    require_ratio(&mut command, 2.0);
    let said = run(&["history"]);
    let two = format!("{} was measured as 2 executables", short("HEAD"));
    assert!(said.contains(&two), "{said}");
}

fn folders_may_have_any_name_and_attributes_leave_nothing_out() {
    let place = Place::named("a folder\nof 'any' name");
    place.commit("extra", "of the commit");
    place.commit(".gitattributes", "extra export-ignore\nseconds export-ignore\n");
    place.git(&["checkout", "--quiet", "--detach"]);
    place.commit("seconds", "2.0");
    place.require("HEAD~1", "HEAD", 0.5);
    let kept = place.beside("target/cudamark/builds/kept");
    for build in fs::read_dir(kept).unwrap() {
        let script = fs::read_to_string(build.unwrap().path()).unwrap();
        assert!(script.contains("of the commit"));
    }
}

fn a_bare_repository_has_commits_and_no_worktree() {
    let mut place = Place::new();
    let bare = place.beside("bare");
    place.git(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    place.sources = bare;
    place.require("HEAD~1", "HEAD", 2.0);
    let output = place.command("HEAD~1", "worktree", &[]).output().unwrap();
    assert!(refusal(&output).contains("bare, and has no worktree; name a revision"));
}

fn a_shallow_clone_says_what_it_lacks() {
    let mut place = Place::new();
    let shallow = place.beside("shallow");
    let from = format!("file://{}", place.sources.display());
    place.git(&["clone", "--quiet", "--depth=1", &from, shallow.to_str().unwrap()]);
    place.sources = shallow;
    let output = place.command("HEAD~1", "HEAD", &[]).output().unwrap();
    assert!(refusal(&output).contains("`git fetch --unshallow` gets them all"));
}

fn a_submodule_is_built_with_and_one_that_is_not_here_is_said() {
    let place = Place::new();
    let other = Place::new();
    let from = other.sources.to_str().unwrap();
    place.git(&["submodule", "--quiet", "add", from, "part"]);
    place.git(&["commit", "--quiet", "--message", "Add a part"]);
    // The build reads what the submodule has.
    fs::remove_file(place.sources.join("seconds")).unwrap();
    std::os::unix::fs::symlink("part/seconds", place.sources.join("seconds")).unwrap();
    place.git(&["commit", "--quiet", "--all", "--message", "Take the part's"]);
    place.require("HEAD~2", "HEAD", 1.0);
    fs::write(place.sources.join("part/seconds"), "8.0").unwrap();
    place.require("HEAD", "worktree", 2.0);
    place.git(&["submodule", "--quiet", "deinit", "--force", "part"]);
    let mut command = place.command("HEAD~2", "HEAD", &[]);
    let output = command.env("RUSTFLAGS", "-Cagain").output().unwrap();
    let said = text(&output.stderr);
    assert!(said.contains("the submodule part is empty"), "{said}");
    assert!(said.contains("git submodule update --init"), "{said}");
}
