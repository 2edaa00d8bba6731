//! The choice of a compiler. The toolchains here are put together from links and
//! small scripts: nothing is installed.

use crate::{assert_has, builder, cache_with_core};
use cuda_builder::{Compiler, CompilerSearch, CudaBuilderError, NvvmArch, Origin};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A search in a new folder, that finds nothing until something is put into it.
fn nowhere() -> (TempDir, CompilerSearch) {
    let folder = tempfile::tempdir().unwrap();
    let search = CompilerSearch {
        explicit: None,
        pinned: Some("1.96.0".to_owned()),
        rustup_home: Some(folder.path().join("rustup")),
        system: folder.path().join("usr/bin/rustc"),
    };
    (folder, search)
}

fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A script that answers what a compiler of this release is asked, in a sysroot
/// that has the source of core or has not, and otherwise does `compile`.
fn pretended(folder: &Path, release: &str, with_source: bool, compile: &str) -> PathBuf {
    let sysroot = folder.join(format!("sysroot-{release}-{with_source}"));
    let library = sysroot.join("lib/rustlib/src/rust/library/core/src");
    if with_source {
        fs::create_dir_all(&library).unwrap();
        fs::write(library.join("lib.rs"), "").unwrap();
    }
    let rustc = sysroot.join("bin/rustc");
    let sysroot = sysroot.display();
    script(
        &rustc,
        &format!(
            "case \"$1\" in\n-vV) echo 'release: {release}' ;;\n--print) echo '{sysroot}' ;;\n\
             *) {compile} ;;\nesac"
        ),
    );
    rustc
}

fn reasons(search: &CompilerSearch) -> Vec<String> {
    match search.find() {
        Err(CudaBuilderError::NoCompiler { looked, .. }) => looked,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn no_compiler_says_where_it_looked_and_what_to_run() {
    let (_folder, search) = nowhere();
    let error = search.find().unwrap_err().to_string();
    let start = "no kernel compiler found; run `rustup toolchain install";
    assert_has(&error, &[start, "no toolchain 1.96.0", "usr/bin/rustc: it does not run"]);
    assert!(error.starts_with(start) && error.lines().count() == 1, "{error}");
}

pub(crate) fn a_pinned_rustup_toolchain_comes_first_and_builds(real: Compiler) {
    let (folder, mut search) = nowhere();
    search.pinned = Some(real.release.clone());
    search.system = real.rustc.clone();
    let triple = real.verbose_version.lines().find_map(|line| line.strip_prefix("host: "));
    let name = format!("{}-{}", real.release, triple.unwrap());
    let toolchain = folder.path().join("rustup/toolchains").join(&name);
    fs::create_dir_all(toolchain.join("bin")).unwrap();
    symlink(&real.rustc, toolchain.join("bin/rustc")).unwrap();

    // Without the source it does not serve, and the search goes on.
    let found = search.find().unwrap();
    assert_eq!((found.origin, &found.rustc), (Origin::System, &real.rustc));

    let source = toolchain.join("lib/rustlib/src/rust");
    fs::create_dir_all(&source).unwrap();
    symlink(&real.library, source.join("library")).unwrap();
    let found = search.find().unwrap();
    assert_eq!(found.origin, Origin::Rustup);
    assert_eq!(found.rustc, toolchain.join("bin/rustc"));
    assert_eq!(found.library, source.join("library"));
    assert_eq!(found.warning, None);

    let cache = cache_with_core(&real);
    let builder = builder("bounds", &found).arch(NvvmArch::Compute90);
    let build = builder.cache_dir(cache.path()).build_with_info().unwrap();
    assert_eq!(build.compiler.origin, Origin::Rustup);
    assert!(build.compiler_calls > 0);
}

pub(crate) fn a_toolchain_of_another_machine_or_release_is_passed_over() {
    let (folder, search) = nowhere();
    let toolchains = folder.path().join("rustup/toolchains");
    for name in
        ["1.96.0-other-unknown-linux-gnu", "1.96.0-nightly", "1.95.0-x86_64-unknown-linux-gnu"]
    {
        fs::create_dir_all(toolchains.join(name)).unwrap();
    }
    let looked = reasons(&search);
    assert_has(&looked[0], &["no toolchain 1.96.0"]);
}

pub(crate) fn system_packages_serve_and_another_release_is_named() {
    let (folder, mut search) = nowhere();
    search.system = pretended(folder.path(), "1.96.0", true, "exit 1");
    let found = search.find().unwrap();
    assert_eq!((found.origin, found.warning), (Origin::System, None));

    search.system = pretended(folder.path(), "1.97.1", true, "exit 1");
    let found = search.find().unwrap();
    assert_eq!(found.release, "1.97.1");
    let warning = found.warning.unwrap();
    assert_has(warning, &["1.96.0", "1.97.1"]);
}

pub(crate) fn a_compiler_without_source_or_too_old_does_not_serve() {
    let (folder, mut search) = nowhere();
    search.system = pretended(folder.path(), "1.96.0", false, "exit 1");
    let looked = reasons(&search);
    assert_has(&looked[1], &["no source of core", "apt-get install rustc-web rust-web-src"]);

    search.system = pretended(folder.path(), "1.63.0", true, "exit 1");
    let looked = reasons(&search);
    assert_has(&looked[1], &["rustc 1.63.0 is older than 1.92"]);
}

pub(crate) fn the_variable_is_used_or_is_an_error() {
    let (folder, mut search) = nowhere();
    search.system = pretended(folder.path(), "1.96.0", true, "exit 1");
    search.explicit = Some(pretended(folder.path(), "1.98.0", true, "exit 1"));
    let found = search.find().unwrap();
    assert_eq!((found.origin, found.release.as_str()), (Origin::Variable, "1.98.0"));

    let liar = folder.path().join("liar");
    script(&liar, "echo I am no compiler");
    let cases = [
        (folder.path().join("absent"), "it does not run"),
        (liar, "does not answer `-vV`"),
        (pretended(folder.path(), "1.95.0", false, "exit 1"), "no source of core"),
    ];
    for (value, reason) in cases {
        search.explicit = Some(value.clone());
        let error = search.find().unwrap_err().to_string();
        let start = format!("CUDA_BUILDER_RUSTC={} cannot be used: ", value.display());
        assert_has(error, &[&start, reason]);
    }
}

/// The script stands for a compiler that takes its time, and writes down what it
/// was asked to compile.
pub(crate) fn two_builds_at_once_build_core_once() {
    let (folder, mut search) = nowhere();
    let log = folder.path().join("log");
    // It leaves the list of sources behind that the builder looks for.
    let slow = format!(
        "sleep 0.3; echo \"$@\" >> '{}'\n\
         for argument; do\n\
         case \"$before\" in --out-dir) touch \"$argument/stamp.d\" ;; esac\n\
         before=\"$argument\"\n\
         done",
        log.display()
    );
    search.system = pretended(folder.path(), "1.96.0", true, &slow);
    let compiler = search.find().unwrap();
    let cache = folder.path().join("cache");
    std::thread::scope(|scope| {
        for arch in [NvvmArch::Compute75, NvvmArch::Compute90] {
            let builder = builder("layers/shapes", &compiler).arch(arch).cache_dir(&cache);
            // It has compiled nothing, in the end.
            scope.spawn(move || builder.build().unwrap_err());
        }
    });
    let log = fs::read_to_string(log).unwrap();
    assert_eq!(log.matches("--crate-name core ").count(), 1, "{log}");
}
