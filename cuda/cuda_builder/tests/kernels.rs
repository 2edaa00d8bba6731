//! What comes out of the builder for kernels that try it.

mod common;

use common::{builder, compiler};
use cuda_builder::lint::Rule;
use cuda_builder::ptx::{Counts, entries};
use cuda_builder::{CudaBuilderError, Lint, NvvmArch};
use std::collections::BTreeMap;

/// Barriers of the block and shuffles in the source of each kernel of the fixture.
const IN_SOURCE: [(&str, usize, usize); 7] = [
    ("branch_barrier_branch", 1, 0),
    ("branch_shuffle_branch", 0, 1),
    ("option_carried", 1, 1),
    ("match_barrier_match", 1, 1),
    ("counted_loop", 1, 1),
    ("loop_with_break", 1, 1),
    ("used_by_some", 0, 1),
];

fn convergence(arguments: &[&str], arch: NvvmArch) -> Option<BTreeMap<String, Counts>> {
    let mut builder = builder("convergence", compiler("convergence")?).arch(arch);
    for argument in arguments {
        builder = builder.rustc_arg(*argument);
    }
    let ptx = std::fs::read_to_string(builder.build().unwrap()).unwrap();
    let counted = entries(&ptx)
        .iter()
        .map(|entry| (entry.name.to_owned(), entry.counts()))
        .collect();
    Some(counted)
}

#[test]
fn one_barrier_in_the_source_is_one_barrier_in_the_ptx() {
    for arch in [NvvmArch::Compute75, NvvmArch::Compute90] {
        let Some(counts) = convergence(&[], arch) else {
            return;
        };
        for (kernel, barriers, shuffles) in IN_SOURCE {
            let counts = counts[kernel];
            assert_eq!(counts.block_barriers, barriers, "{kernel} for {arch}");
            assert_eq!(counts.shuffles, shuffles, "{kernel} for {arch}");
        }
    }
}

/// The test above can fail: the pass that the builder turns off copies barriers of
/// the very same source.
#[test]
fn jump_threading_copies_barriers() {
    let pass_on = ["-Zmir-enable-passes=+JumpThreading"];
    let Some(counts) = convergence(&pass_on, NvvmArch::Compute75) else {
        return;
    };
    assert_eq!(counts["branch_barrier_branch"].block_barriers, 2);
    assert_eq!(counts["branch_shuffle_branch"].shuffles, 2);
    assert_eq!(counts["match_barrier_match"].block_barriers, 3);
}

#[test]
fn launch_bounds_become_directives() {
    let Some(compiler) = compiler("launch_bounds") else {
        return;
    };
    let ptx = std::fs::read_to_string(builder("bounds", compiler).build().unwrap()).unwrap();
    let directives: BTreeMap<&str, Vec<&str>> = entries(&ptx)
        .iter()
        .map(|entry| {
            let behind_parameters = entry.text.split_once(")\n").unwrap().1;
            let (between, _) = behind_parameters.split_once('{').unwrap();
            (entry.name, between.lines().collect())
        })
        .collect();
    let expected: [(&str, &[&str]); 6] = [
        ("unbounded", &[]),
        ("threads_only", &[".maxntid 256"]),
        ("expressions", &[".maxntid 384", ".minnctapersm 2"]),
        ("registers", &[".maxntid 128", ".maxnreg 40"]),
        ("stamped_64", &[".maxntid 64", ".minnctapersm 6"]),
        ("stamped_512", &[".maxntid 512", ".minnctapersm 6"]),
    ];
    for (kernel, lines) in expected {
        assert_eq!(directives[kernel], lines, "{kernel}");
    }
    assert_eq!(directives.len(), expected.len());
}

#[test]
fn impossible_launch_bounds_are_refused() {
    let Some(compiler) = compiler("impossible_launch_bounds") else {
        return;
    };
    let cases = [
        (
            "#[kernel] #[launch_bounds(2048)] pub unsafe fn many() {}",
            "`many`: threads is 2048",
        ),
        (
            "#[kernel] #[launch_bounds(0)] pub unsafe fn none() {}",
            "`none`: threads is 0",
        ),
        (
            "#[kernel] #[launch_bounds(32, 99)] pub unsafe fn m() {}",
            "min_blocks_per_sm is 99",
        ),
        (
            "#[launch_bounds(32)] pub unsafe fn plain() {}",
            "`plain`, which is no kernel",
        ),
        (
            "#[kernel] #[launch_bounds(32)] #[launch_bounds(64)] pub unsafe fn twice() {}",
            "`twice` has #[launch_bounds] twice",
        ),
    ];
    for (source, expected) in cases {
        let krate = common::generated(source, "");
        let error = cuda_builder::CudaBuilder::new(krate.path())
            .compiler(compiler.clone())
            .cache_dir(common::shared_cache())
            .build()
            .unwrap_err();
        assert!(
            matches!(error, CudaBuilderError::LaunchBounds(_)),
            "{error}"
        );
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_compile_error_shows_the_compilers_message() {
    let Some(compiler) = compiler("compile_error") else {
        return;
    };
    let error = builder("broken", compiler).build().unwrap_err().to_string();
    for part in [
        "cannot compile `broken` for sm_75",
        "error[E0308]: mismatched types",
        "src/lib.rs:9",
        "out.set(0, \"seven\")",
    ] {
        assert!(error.contains(part), "{part:?} is not in:\n{error}");
    }
    assert!(!error.contains("ptx74"), "{error}");
}

#[test]
fn misused_attributes_say_what_is_wrong() {
    let Some(compiler) = compiler("misuse") else {
        return;
    };
    let error = builder("misuse", compiler).build().unwrap_err().to_string();
    for part in [
        "#[kernel] goes on a function",
        "kernel `safe` must be an `unsafe fn`",
        "kernel `generic` cannot have generic parameters",
        "kernel `returns` cannot return a value",
        "kernel `foreign` cannot be `extern`",
        "#[kernel] takes no arguments",
        "takes one to three constant expressions, found 0",
        "takes one to three constant expressions, found 4",
    ] {
        assert!(error.contains(part), "{part:?} is not in:\n{error}");
    }
}

#[test]
fn lint_finds_what_was_planted_and_nothing_else() {
    let Some(compiler) = compiler("lint") else {
        return;
    };
    let error = builder("violations", compiler.clone()).build().unwrap_err();
    let shown = error.to_string();
    let CudaBuilderError::Lint { ptx, violations } = error else {
        panic!("{shown}");
    };
    let text = std::fs::read_to_string(ptx).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut found: Vec<(Option<&str>, Rule)> = Vec::new();
    for violation in &violations {
        let first_word = violation.text.split(' ').next().unwrap();
        assert!(
            lines[violation.line - 1].contains(first_word),
            "line {} does not have: {}",
            violation.line,
            violation.text
        );
        let kernel = violation.kernel.as_deref();
        if !found.contains(&(kernel, violation.rule)) {
            found.push((kernel, violation.rule));
        }
    }
    let expected = [
        (None, Rule::Call),
        (Some("call"), Rule::Call),
        (Some("generic_access"), Rule::GenericAccess),
        (Some("stack_array"), Rule::StackArray),
    ];
    found.sort_by_key(|(kernel, _)| *kernel);
    assert_eq!(found, expected, "{shown}");
    assert!(shown.contains("kernel `generic_access`, line "), "{shown}");

    // As warnings, they are the same.
    let warned = builder("violations", compiler)
        .lint(Lint::Warn)
        .build_with_info()
        .unwrap();
    let shown: Vec<String> = violations.iter().map(|v| v.to_string()).collect();
    assert_eq!(warned.warnings, shown);
}

#[test]
fn layers_are_compiled_with_their_names_and_features() {
    let Some(compiler) = compiler("layers") else {
        return;
    };
    let ptx = std::fs::read_to_string(builder("layers", compiler).build().unwrap()).unwrap();
    assert!(ptx.contains(".maxntid 768"), "{ptx}");
    assert!(ptx.contains("4200"), "{ptx}");
}

#[test]
fn each_architecture_has_its_target_and_language_version() {
    let Some(compiler) = compiler("architectures") else {
        return;
    };
    for (arch, version) in [
        (NvvmArch::Compute75, ".version 7.4"),
        (NvvmArch::Compute90, ".version 8.0"),
        (NvvmArch::Compute120, ".version 8.7"),
    ] {
        let built = builder("bounds", compiler.clone()).arch(arch).build();
        let ptx = std::fs::read_to_string(built.unwrap()).unwrap();
        assert!(ptx.contains(version), "{arch}");
        assert!(ptx.contains(&format!(".target {arch}\n")), "{arch}");
    }
}
