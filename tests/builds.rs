//! `cudamark compare` is of the two builds that it names: over repositories made
//! here and a `cargo` made here: it makes of a commit a script that says the seconds which
//! the commit says, so that a test knows the verdict.
//!
//! Where there is no git, the tests show as ignored, and a line says so.

mod common;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;

use common::{
    answer, contains, cudamark, executable, git, lacks, one_line, program, signal, text, wait_until,
};
use serde_json::Value;
use tempfile::TempDir;

const CASE: &str = "cpu/cpu-std/u32-uniform-1000/1";

/// The program that is built: `cudamark sample` that took as long as its sources say.
const SCRIPT: &str = include_str!("stand_ins/sample.sh");

/// Builds it as cargo does: where the target says, and only the last build is there.
const CARGO: &str = include_str!("stand_ins/cargo.sh");

fn main() -> ExitCode {
    let tests = common::tests![
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
    common::run([(tests, lacks("git"))])
}

/// A repository of three commits, and beside it a target folder, programs and what the
/// build reads and writes.
struct TestDir {
    folder: TempDir,
    sources: PathBuf,
}

impl TestDir {
    fn new() -> Self {
        Self::named("sources")
    }

    /// Commits of 1, 2 and 4 seconds, in a folder of this name.
    fn named(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sources = folder.path().join(name);
        let dir = Self { folder, sources };
        for folder in ["bin", "tmp"] {
            fs::create_dir(dir.beside(folder)).unwrap();
        }
        fs::create_dir_all(&dir.sources).unwrap();
        dir.program("cargo", CARGO);
        fs::write(dir.beside("script"), SCRIPT.replace("CASE", CASE)).unwrap();
        dir.git(&["init", "--quiet", "--initial-branch=main"]);
        for seconds in ["1.0", "2.0", "4.0"] {
            dir.commit("seconds", seconds);
        }
        dir
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
        answer(self.surround(&mut git(folder, arguments)))
    }

    /// Sets what the stand-in for cargo needs, and keeps what is temporary in sight.
    fn surround<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let path = env::var("PATH").unwrap();
        let bin = self.beside("bin");
        command
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("BESIDE", self.folder.path())
            .env("TMPDIR", self.beside("tmp"))
            .env("CARGO_TARGET_DIR", self.beside("target"))
            .env_remove("RUSTFLAGS")
    }

    fn command(&self, base: &str, head: &str, more: &[&str]) -> Command {
        let mut command = cudamark(&["compare", CASE, "--base", base, "--head", head]);
        command
            .args(["--samples", "2", "--warm-up", "0", "--cores", "none"])
            .args(more)
            .current_dir(&self.sources)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.surround(&mut command);
        command
    }

    fn json_command(&self, base: &str, head: &str) -> Command {
        self.command(base, head, &["--format", "json"])
    }

    /// Compares; the times of the two must be in this ratio.
    fn require(&self, base: &str, head: &str, ratio: f64) -> Value {
        require_ratio(&mut self.json_command(base, head), ratio)
    }

    /// The one line of a comparison that is refused.
    fn refusal(&self, base: &str, head: &str) -> String {
        one_line(&self.command(base, head, &[]).output().unwrap(), 2)
    }

    /// Builds so far, a line each: folder, commit, index.
    fn builds(&self) -> Vec<String> {
        let builds = fs::read_to_string(self.beside("builds")).unwrap_or_default();
        builds.lines().map(str::to_owned).collect()
    }
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

fn the_executable_is_where_cargo_says() {
    let dir = TestDir::new();
    dir.write("seconds", "8.0");
    dir.require("HEAD", "worktree", 2.0);
    let mut command = dir.json_command("HEAD~2", "HEAD");
    command.env("CARGO_BUILD_TARGET", "x86_64-unknown-linux-gnu");
    require_ratio(&mut command, 4.0);
    let clean = TestDir::new();
    let mut command = clean.json_command("HEAD~2", "HEAD");
    command.env("CARGO_BUILD_TARGET", "x86_64-unknown-linux-gnu");
    let json = require_ratio(&mut command, 4.0);
    assert_eq!(json["base"]["commit"], clean.git(&["rev-parse", "HEAD~2"]));
    assert_eq!(json["base"]["name"], "HEAD~2");
}

fn the_worktree_can_be_either_side() {
    let dir = TestDir::new();
    dir.write("seconds", "8.0");
    dir.require("worktree", "HEAD~1", 0.25);
    dir.require("HEAD~1", "worktree", 4.0);
    // Neither is left over: not a worktree, not a folder.
    assert_eq!(dir.git(&["worktree", "list"]).lines().count(), 1);
    assert_eq!(fs::read_dir(dir.beside("tmp")).unwrap().count(), 0);
}

fn a_build_is_made_again_where_its_compilers_or_flags_differ() {
    let dir = TestDir::new();
    let rustc = |version: &str| format!("#!/bin/sh\necho 'rustc {version}'\n");
    dir.program("rustc", &rustc("1.95.0"));
    dir.program("kernels", &rustc("1.96.0"));
    let kernels = dir.beside("bin/kernels");
    let kernels = kernels.to_str().unwrap();
    let home = dir.beside("home");
    fs::create_dir(&home).unwrap();
    let mut before = 0;
    let mut built = |variables: &[(&str, &str)], builds: usize| {
        let mut command = dir.json_command("HEAD~1", "HEAD");
        command.env("CARGO_HOME", &home).envs(variables.iter().copied());
        let json = require_ratio(&mut command, 2.0);
        let all = dir.builds().len();
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
    dir.program("kernels", &rustc("1.96.1"));
    built(&[("CUDA_BUILDER_RUSTC", kernels)], 2);
    dir.program("rustc", &rustc("1.95.1"));
    built(&[], 2);
    fs::write(home.join("config.toml"), "[build]\nrustflags = \"-Cpanic=abort\"\n").unwrap();
    built(&[], 2);
    // A setting that changes no executable builds nothing.
    built(&[("CARGO_TERM_COLOR", "always"), ("CARGO_BUILD_JOBS", "1")], 0);
}

fn a_worktree_is_what_git_tracks_or_would_add() {
    let dir = TestDir::new();
    dir.commit(".gitignore", "ignored\n");
    dir.write("ignored", "changes nothing");
    dir.write("seconds", "2.0");
    dir.require("HEAD", "worktree", 0.5);
    let before = dir.builds().len();
    dir.write("ignored", "changes nothing, really");
    dir.require("HEAD", "worktree", 0.5);
    assert_eq!(dir.builds().len(), before);
    dir.write("extra", "untracked");
    dir.require("HEAD", "worktree", 0.5);
    assert_eq!(dir.builds().len(), before + 1);
    // The index is as it was: nothing was staged, and nothing written to it.
    assert_eq!(dir.git(&["status", "--porcelain"]), "M seconds\n?? extra");
    // A target folder that git would add, named from here, is no part of it.
    for builds in [2, 0] {
        let before = dir.builds().len();
        let mut command = dir.json_command("HEAD", "worktree");
        require_ratio(command.env("CARGO_TARGET_DIR", "out"), 0.5);
        assert_eq!(dir.builds().len() - before, builds);
    }
    fs::remove_file(dir.sources.join("seconds")).unwrap();
    let output = dir.command("HEAD", "worktree", &[]).output().unwrap();
    assert!(text(&output.stderr).contains("cannot build worktree"));
}

fn a_pre_commit_hook_can_compare_and_its_commit_is_whole() {
    let dir = TestDir::new();
    let linked = dir.beside("linked");
    dir.git(&["worktree", "add", "--quiet", "-b", "side", linked.to_str().unwrap()]);
    let hook = format!(
        "#!/bin/sh\n'{}' compare {CASE} --base HEAD~1 --head HEAD --samples 2 --warm-up 0 \
         --cores none --format json > \"$BESIDE/verdict\" 2> \"$BESIDE/said\"\necho $? > \
         \"$BESIDE/code\"\n",
        program().display()
    );
    executable(&dir.sources.join(".git/hooks/pre-commit"), &hook);
    for (folder, file) in [(&dir.sources, "main file"), (&linked, "linked file")] {
        fs::write(folder.join(file), "staged").unwrap();
        dir.git_in(folder, &["add", "."]);
        dir.git_in(folder, &["commit", "--quiet", "--message", "Hooked"]);
        let code = fs::read_to_string(dir.beside("code")).unwrap();
        let said = fs::read_to_string(dir.beside("said")).unwrap();
        assert_eq!(code, "1\n", "{said}");
        let verdict = fs::read_to_string(dir.beside("verdict")).unwrap();
        let verdict: Value = serde_json::from_str(&verdict).unwrap();
        assert_eq!(verdict["cells"][0]["verdict"], "slower");
        let files = dir.git_in(folder, &["ls-tree", "--name-only", "HEAD"]);
        assert_eq!(files, format!("{file}\nseconds"));
        assert_eq!(dir.git_in(folder, &["status", "--porcelain"]), "");
    }
    // Nor does the build see what the hook was told.
    assert!(dir.builds().iter().all(|build| build.ends_with(' ')));
}

fn hooks_of_the_user_do_not_run() {
    let dir = TestDir::new();
    for hook in ["post-checkout", "post-index-change", "reference-transaction"] {
        let failing = "#!/bin/sh\ntouch \"$BESIDE/ran\"\nexit 1\n";
        executable(&dir.sources.join(".git/hooks").join(hook), failing);
    }
    dir.require("HEAD~1", "HEAD", 2.0);
    dir.require("HEAD~1", "worktree", 2.0);
    assert!(!dir.beside("ran").exists());
}

fn two_comparisons_at_once_keep_their_builds_apart() {
    let dir = TestDir::new();
    fs::write(dir.beside("delay"), "").unwrap();
    let pairs = [("HEAD~2", "HEAD", 4.0), ("HEAD", "HEAD~1", 0.5)];
    thread::scope(|scope| {
        for (base, head, ratio) in pairs {
            let dir = &dir;
            scope.spawn(move || dir.require(base, head, ratio));
        }
    });
    // The head of the one is the base of the other.
    assert_eq!(dir.builds().len(), 3);
}

fn a_signal_ends_a_build_and_leaves_nothing() {
    for (name, code) in [("-TERM", 143), ("-HUP", 129), ("-INT", 130)] {
        let dir = TestDir::new();
        let slow = dir.beside("slow");
        fs::write(&slow, "").unwrap();
        let compare = dir.command("HEAD~1", "HEAD", &[]);
        // Whatever this test was started with: under `nohup`, SIGHUP would be ignored.
        let mut command = Command::new("env");
        command.arg("--default-signal=HUP,INT,TERM").arg(program());
        command.args(compare.get_args()).current_dir(&dir.sources);
        dir.surround(command.stdout(Stdio::null()).stderr(Stdio::piped()));
        let mut child = command.spawn().unwrap();
        let started = || fs::read_to_string(&slow).unwrap();
        wait_until(&mut child, || started().ends_with('\n'));
        signal(&child, name);
        let said = one_line(&child.wait_with_output().unwrap(), code);
        assert!(said.contains("interrupted"), "{said}");
        assert_eq!(dir.git(&["worktree", "list"]).lines().count(), 1);
        assert_eq!(fs::read_dir(dir.beside("tmp")).unwrap().count(), 0);
        // The process that the build had started has ended as well: it is gone, or nobody's yet.
        let status =
            fs::read_to_string(format!("/proc/{}/stat", started().trim())).unwrap_or_default();
        assert!(status.is_empty() || status.contains(") Z "), "{status}");
        let kept = fs::read_dir(dir.beside("target/cudamark/builds/kept")).unwrap();
        assert_eq!(kept.count(), 0);
    }
}

fn the_package_may_be_in_a_subfolder_of_another_repository() {
    let dir = TestDir::new();
    let inner = dir.sources.join("inner");
    fs::create_dir(&inner).unwrap();
    dir.git(&["mv", "seconds", "inner/seconds"]);
    for seconds in ["3.0", "6.0"] {
        dir.commit("inner/seconds", seconds);
    }
    let mut command = dir.json_command("HEAD~1", "HEAD");
    command.current_dir(&inner);
    require_ratio(&mut command, 2.0);
    let mut command = dir.json_command("HEAD~1", "worktree");
    command.current_dir(&inner);
    require_ratio(&mut command, 2.0);
    let builds = dir.builds();
    let inside = |build: &String| build.split(' ').next().unwrap().ends_with("/inner");
    assert!(builds.iter().all(inside), "{builds:?}");
}

fn all_that_git_says_is_one_line() {
    let dir = TestDir::new();
    assert!(dir.refusal("nowhere", "HEAD").contains("`nowhere` is no revision"));
    let said = "fatal: detected dubious ownership in repository at '/x'\\nTo add an exception for \
                this directory, call:\\n\\n\\tgit config --global --add safe.directory /x\\n";
    dir.program("git", &format!("#!/bin/sh\nprintf \"{said}\" >&2\nexit 128\n"));
    for subcommand in ["compare", "history", "rank"] {
        let mut command = dir.command("HEAD~1", "HEAD", &[]);
        if subcommand != "compare" {
            command = cudamark(&[subcommand]);
            dir.surround(command.current_dir(&dir.sources));
            command.args(["HEAD", "HEAD~1"].iter().filter(|_| subcommand == "rank"));
        }
        let output = command.output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(said.lines().count(), 1, "{said}");
        contains(&said, &["dubious ownership", "git config --global --add safe.directory /x"]);
    }
}

fn equal_executables_are_said_in_every_form() {
    let dir = TestDir::new();
    dir.commit("README", "Changes no executable");
    let same = "base and head are the same executable: what differs between them is noise";
    let json = dir.require("HEAD~1", "HEAD", 1.0);
    assert_eq!(json["notes"][0], same);
    assert_eq!(dir.require("HEAD~2", "HEAD", 2.0)["notes"][0], Value::Null);
    for format in ["text", "markdown"] {
        let command = dir.command("HEAD~1", "HEAD", &["--format", format]).output();
        let said = text(&command.unwrap().stdout);
        assert!(said.contains(&format!("\n{same}\n")), "{said}");
    }
    let run =
        |arguments: &[&str]| answer(dir.surround(cudamark(arguments).current_dir(&dir.sources)));
    let short = |revision: &str| dir.git(&["rev-parse", "--short=10", revision]);
    let same = format!("{} and {} are the same executable", short("HEAD~1"), short("HEAD"));
    let page = dir.beside("page");
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
    let mut command = dir.json_command("HEAD~2", "HEAD");
    command.env("RUSTFLAGS", "-Cother");
    require_ratio(&mut command, 2.0);
    let said = run(&["history"]);
    let two = format!("{} was measured as 2 executables", short("HEAD"));
    assert!(said.contains(&two), "{said}");
}

fn folders_may_have_any_name_and_attributes_leave_nothing_out() {
    let dir = TestDir::named("a folder\nof 'any' name");
    dir.commit("extra", "of the commit");
    dir.commit(".gitattributes", "extra export-ignore\nseconds export-ignore\n");
    dir.git(&["checkout", "--quiet", "--detach"]);
    dir.commit("seconds", "2.0");
    dir.require("HEAD~1", "HEAD", 0.5);
    let kept = dir.beside("target/cudamark/builds/kept");
    for build in fs::read_dir(kept).unwrap() {
        let script = fs::read_to_string(build.unwrap().path()).unwrap();
        assert!(script.contains("of the commit"));
    }
}

fn a_bare_repository_has_commits_and_no_worktree() {
    let mut dir = TestDir::new();
    let bare = dir.beside("bare");
    dir.git(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    dir.sources = bare;
    dir.require("HEAD~1", "HEAD", 2.0);
    assert!(
        dir.refusal("HEAD~1", "worktree").contains("bare, and has no worktree; name a revision")
    );
}

fn a_shallow_clone_says_what_it_lacks() {
    let mut dir = TestDir::new();
    let shallow = dir.beside("shallow");
    let from = format!("file://{}", dir.sources.display());
    dir.git(&["clone", "--quiet", "--depth=1", &from, shallow.to_str().unwrap()]);
    dir.sources = shallow;
    assert!(dir.refusal("HEAD~1", "HEAD").contains("`git fetch --unshallow` gets them all"));
}

fn a_submodule_is_built_with_and_one_that_is_not_here_is_said() {
    let dir = TestDir::new();
    let other = TestDir::new();
    let from = other.sources.to_str().unwrap();
    dir.git(&["submodule", "--quiet", "add", from, "part"]);
    dir.git(&["commit", "--quiet", "--message", "Add a part"]);
    // The build reads what the submodule has.
    fs::remove_file(dir.sources.join("seconds")).unwrap();
    std::os::unix::fs::symlink("part/seconds", dir.sources.join("seconds")).unwrap();
    dir.git(&["commit", "--quiet", "--all", "--message", "Take the part's"]);
    dir.require("HEAD~2", "HEAD", 1.0);
    fs::write(dir.sources.join("part/seconds"), "8.0").unwrap();
    dir.require("HEAD", "worktree", 2.0);
    dir.git(&["submodule", "--quiet", "deinit", "--force", "part"]);
    let mut command = dir.command("HEAD~2", "HEAD", &[]);
    let output = command.env("RUSTFLAGS", "-Cagain").output().unwrap();
    let said = text(&output.stderr);
    contains(&said, &["the submodule part is empty", "git submodule update --init"]);
}
