//! Builds of kernel crates, and the reading of their PTX.
//!
//! A test that needs a compiler shows as ignored where there is none, with the reason.

mod accessors;
mod builds;
mod compilers;
mod kernels;
mod ptx;
mod upstream;

use cuda_builder::{Compiler, CudaBuilder, CudaBuilderError, NvvmArch, find_compiler};
use libtest_mimic::{Arguments, Failed, Trial};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A test's name, and what it runs.
type Named<T> = (&'static str, T);

/// A test that takes a compiler and an assembler.
type Assembling = fn(Compiler, &Path);

/// Tests by their names.
macro_rules! named {
    ($($test:path),* $(,)?) => { [$((stringify!($test), $test)),*] };
}

fn main() {
    let compiling: [Named<fn(Compiler)>; 25] = named![
        accessors::accessors_leave_no_trace,
        builds::a_check_finds_errors_and_makes_no_ptx,
        builds::builds_at_once_do_not_disturb_each_other,
        builds::crates_that_need_cargo_are_refused_with_the_reason,
        builds::each_run_of_the_compiler_is_announced_before_it_begins,
        builds::other_arguments_are_another_build,
        builds::unchanged_sources_run_no_compiler_and_changed_ones_do,
        builds::warnings_of_the_compiler_are_kept_with_the_build,
        compilers::a_pinned_rustup_toolchain_comes_first_and_builds,
        kernels::a_compile_error_shows_the_compilers_message,
        kernels::each_architecture_has_its_target_and_language_version,
        kernels::impossible_launch_bounds_are_refused,
        kernels::jump_threading_copies_barriers,
        kernels::launch_bounds_become_directives,
        kernels::layers_are_compiled_with_their_names_and_features,
        kernels::lint_finds_what_was_planted_and_nothing_else,
        kernels::misused_attributes_say_what_is_wrong,
        kernels::one_barrier_in_the_source_is_one_barrier_in_the_ptx,
        kernels::reductions_are_instructions_where_there_are_some,
        kernels::static_shared_arrays_are_symbols,
        upstream::a_slice_is_a_pointer_and_a_length,
        upstream::capabilities_up_to_the_architecture_are_set,
        upstream::numbers_of_16_bits_are_converted,
        upstream::options_are_followed_or_refused_with_the_reason,
        upstream::shared_statics_are_reached_by_shared_accesses_alone,
    ];
    let plain: [Named<fn()>; 10] = named![
        builds::a_folder_without_a_crate_is_named,
        compilers::a_compiler_without_source_or_too_old_does_not_serve,
        compilers::a_toolchain_of_another_machine_or_release_is_passed_over,
        compilers::no_compiler_says_where_it_looked_and_what_to_run,
        compilers::system_packages_serve_and_another_release_is_named,
        compilers::the_variable_is_used_or_is_an_error,
        compilers::two_builds_at_once_build_core_once,
        ptx::entries_are_split_and_counted,
        ptx::every_form_of_access_is_classified,
        ptx::statements_know_their_lines,
    ];
    let compiler = compiler();
    let both = compiler.clone().and_then(|compiler| Ok((compiler, ptxas()?)));
    let assembling: [Named<Assembling>; 2] =
        named![kernels::static_shared_arrays_assemble, upstream::every_name_assembles];
    let mut trials: Vec<Trial> = assembling
        .into_iter()
        .map(|(name, test)| trial(name, &both, move |(compiler, ptxas)| test(compiler, &ptxas)))
        .collect();
    trials.extend(compiling.map(|(name, test)| trial(name, &compiler, test)));
    trials.extend(plain.map(|(name, test)| trial(name, &Ok(()), move |()| test())));
    libtest_mimic::run(&Arguments::from_args(), trials).exit()
}

/// A kernel crate under `tests/fixtures`.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The cache of ordinary builds, where `core` may already be.
fn shared_cache() -> PathBuf {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    temporary.parent().unwrap().join("cuda_builder")
}

/// The compiler that the sort kernels are built with, or where it was looked for.
fn compiler() -> Result<Compiler, String> {
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../gpu-kernels");
    find_compiler(kernels).map_err(|error| {
        let none = matches!(error, CudaBuilderError::NoCompiler { .. });
        assert!(none, "{error}");
        error.to_string()
    })
}

/// NVIDIA's assembler: the one on the PATH, or the one that CI puts into the target
/// folder; or what to do about it.
fn ptxas() -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).collect::<Vec<_>>();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let wheels = std::fs::read_dir(target.join("tools/nvidia"));
    let wheels = wheels.into_iter().flatten().flatten();
    folders
        .into_iter()
        .chain(wheels.map(|wheel| wheel.path().join("bin")))
        .map(|folder| folder.join("ptxas"))
        .find(|program| program.is_file())
        .ok_or_else(|| "no ptxas on the PATH and none in target/tools".to_owned())
}

/// The assembler's messages about PTX that it takes.
fn assemble(ptxas: &Path, ptx: &Path, arch: NvvmArch) -> String {
    let mut command = Command::new(ptxas);
    command.args([&format!("-arch={arch}"), "-v", "-o", "/dev/null"]).arg(ptx);
    let output = command.output().unwrap();
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{messages}");
    messages.into_owned()
}

/// A test of something that may be missing. Then it shows as ignored, and a line says why.
fn trial<T: Clone + Send + 'static>(
    name: &str,
    needed: &Result<T, String>,
    test: impl FnOnce(T) + Send + 'static,
) -> Trial {
    if let Err(reason) = needed {
        eprintln!("{name}: ignored: {reason}");
    }
    let missing = needed.is_err();
    let needed = needed.clone();
    let run = move || needed.map(test).map_err(Failed::from);
    Trial::test(name, run).with_ignored_flag(missing)
}

fn builder_of(folder: &Path, compiler: &Compiler) -> CudaBuilder {
    let builder = CudaBuilder::new(folder).compiler(compiler.clone());
    builder.cache_dir(shared_cache())
}

fn builder(name: &str, compiler: &Compiler) -> CudaBuilder {
    builder_of(&fixture(name), compiler)
}

fn ptx_of(builder: CudaBuilder) -> String {
    std::fs::read_to_string(builder.build().unwrap()).unwrap()
}

/// Fails with the whole text unless it has each of `parts`.
#[track_caller]
fn assert_has(text: impl Display, parts: &[&str]) {
    let text = text.to_string();
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

/// A kernel crate of this source in a new folder, with further lines at the end of
/// its manifest, where the dependencies stand.
fn generated(source: &str, manifest: &str) -> tempfile::TempDir {
    let head = "#![no_std]\n#![feature(abi_ptx, asm_experimental_arch)]\nuse cuda_std::{ext::*, prelude::*};";
    written(&format!("{head}\n{source}\n"), manifest)
}

/// A crate of exactly this source.
fn written(source: &str, manifest: &str) -> tempfile::TempDir {
    written_with(&[], source, manifest)
}

/// The same with features of `cuda_std`, whose crates have the versions of this workspace.
fn written_with(features: &[&str], source: &str, manifest: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let cuda_std = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cuda_std");
    let cargo_toml = format!(
        "[workspace]\n[package]\nname = \"generated\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
         [dependencies]\ncuda_std = {{ path = {cuda_std:?}, default-features = false, features = \
         {features:?} }}\n{manifest}\n"
    );
    std::fs::write(folder.path().join("Cargo.toml"), cargo_toml).unwrap();
    std::fs::copy(cuda_std.join("../../Cargo.lock"), folder.path().join("Cargo.lock")).unwrap();
    std::fs::create_dir(folder.path().join("src")).unwrap();
    std::fs::write(folder.path().join("src/lib.rs"), source).unwrap();
    folder
}

/// A cache of its own, with nothing in it but the `core` of the shared one, which
/// takes half a minute to build and is not what the test is about.
fn cache_with_core(compiler: &Compiler) -> tempfile::TempDir {
    builder("broken", compiler).build().unwrap_err();
    let cache = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(shared_cache()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if name.to_string_lossy().starts_with("core-") && entry.path().is_dir() {
            std::os::unix::fs::symlink(entry.path(), cache.path().join(name)).unwrap();
        }
    }
    cache
}
