//! The PTX of kernels that try the builder.

use crate::{assemble, assert_has, builder, builder_of, generated, ptx_of};
use cuda_builder::lint::{Rule, Violation};
use cuda_builder::ptx::{Entry, entries};
use cuda_builder::{Compiler, CudaBuilder, CudaBuilderError, Lint, NvvmArch};
use std::collections::BTreeMap;
use std::path::Path;

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

/// Barriers of the block and shuffles in the PTX of each kernel.
fn convergence(builder: CudaBuilder) -> BTreeMap<String, (usize, usize)> {
    let ptx = ptx_of(builder);
    let counts = |entry: &Entry| {
        let barriers = entry.count("bar") + entry.count("barrier");
        (entry.name.to_owned(), (barriers, entry.count("shfl")))
    };
    entries(&ptx).iter().map(counts).collect()
}

pub(crate) fn one_barrier_in_the_source_is_one_barrier_in_the_ptx(compiler: Compiler) {
    for arch in [NvvmArch::Compute75, NvvmArch::Compute90] {
        let counts = convergence(builder("convergence", &compiler).arch(arch));
        for (kernel, barriers, shuffles) in IN_SOURCE {
            assert_eq!(counts[kernel], (barriers, shuffles), "{kernel} for {arch}");
        }
    }
}

/// The test above can fail: the pass that the builder turns off copies barriers of
/// the very same source.
pub(crate) fn jump_threading_copies_barriers(compiler: Compiler) {
    let pass_on = "-Zmir-enable-passes=+JumpThreading";
    let counts = convergence(builder("convergence", &compiler).rustc_arg(pass_on));
    assert_eq!(counts["branch_barrier_branch"].0, 2);
    assert_eq!(counts["branch_shuffle_branch"].1, 2);
    assert_eq!(counts["match_barrier_match"].0, 3);
}

pub(crate) fn launch_bounds_become_directives(compiler: Compiler) {
    let ptx = ptx_of(builder("bounds", &compiler));
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

pub(crate) fn impossible_launch_bounds_are_refused(compiler: Compiler) {
    let cases = [
        ("#[kernel] #[launch_bounds(2048)]", "`k`: threads is 2048"),
        ("#[kernel] #[launch_bounds(0)]", "`k`: threads is 0"),
        ("#[kernel] #[launch_bounds(32, 99)]", "min_blocks_per_sm is 99"),
        ("#[launch_bounds(32)]", "`k`, which is no kernel"),
        ("#[kernel] #[launch_bounds(32)] #[launch_bounds(64)]", "`k` has #[launch_bounds] twice"),
    ];
    for (attributes, expected) in cases {
        let krate = generated(&format!("{attributes} pub unsafe fn k() {{}}"), "");
        let error = builder_of(krate.path(), &compiler).build().unwrap_err();
        assert!(matches!(error, CudaBuilderError::LaunchBounds(_)), "{error}");
        assert_has(error, &[expected]);
    }
}

/// Two arrays in one kernel, one by its path, and some in kernels that are stamped.
const STATIC_ARRAYS: &str = "
const COLUMNS: usize = 33;

#[kernel]
pub unsafe fn transpose(input: Global<u32>, output: Global<u32>) {
    let tile = shared_words![u32; 32 * COLUMNS];
    let parities = cuda_std::ext::shared_words![u8; 32];
    let t = thread::thread_idx_x() as usize;
    let (row, column) = (t / 32, t % 32);
    unsafe {
        let word = input.get(t);
        tile.set(row * COLUMNS + column, word);
        if row == 0 {
            parities.set(column, (word & 1) as u8);
        }
        thread::sync_threads();
        output.set(t, tile.get(column * COLUMNS + row) + parities.get(row) as u32);
    }
}

macro_rules! counts {
    ($($name:ident: $word:ty, $len:expr;)*) => { $(
        #[kernel]
        pub unsafe fn $name(output: Global<$word>) {
            let t = thread::thread_idx_x() as usize;
            unsafe {
                let bins = shared_words![$word; $len + 1];
                bins.set(t, t as $word);
                thread::sync_threads();
                output.set(t, bins.get(t + 1));
            }
        }
    )* };
}

counts! {
    count_u32: u32, 256;
    count_u128: u128, 64;
}";

pub(crate) fn static_shared_arrays_are_symbols(compiler: Compiler) {
    let krate = generated(STATIC_ARRAYS, "");
    let ptx = ptx_of(builder_of(krate.path(), &compiler));
    for symbol in [
        "transpose_shared_0[4224]",
        "transpose_shared_1[32]",
        "count_u32_shared_0[1028]",
        "count_u128_shared_0[1040]",
    ] {
        let declaration = format!(".shared .align 16 .b8 {symbol};");
        assert_eq!(ptx.matches(&declaration).count(), 1, "{symbol} in:\n{ptx}");
    }
    let entries = entries(&ptx);
    let text = |name| entries.iter().find(|entry| entry.name == name).unwrap().text;
    let accesses: [(&str, &[&str]); 3] = [
        ("transpose", &["ld.shared.u32", "st.shared.u32", "ld.shared.u8", "st.shared.u8"]),
        ("count_u32", &["ld.shared.u32", "st.shared.u32"]),
        ("count_u128", &["ld.shared.v2.u64", "st.shared.v2.u64"]),
    ];
    for (kernel, instructions) in accesses {
        assert_has(text(kernel), instructions);
    }
}

/// The assembler gives each kernel what its own arrays take, rounded up.
pub(crate) fn static_shared_arrays_assemble(compiler: Compiler, ptxas: &Path) {
    let krate = generated(STATIC_ARRAYS, "");
    let builder = builder_of(krate.path(), &compiler).arch(NvvmArch::Compute90);
    let messages = assemble(ptxas, &builder.build().unwrap(), NvvmArch::Compute90);
    for (kernel, bytes) in [("transpose", 4256), ("count_u32", 1028), ("count_u128", 1040)] {
        let (_, behind) = messages.split_once(&format!("entry function '{kernel}'")).unwrap();
        let usage = behind.lines().find(|line| line.contains("Used ")).unwrap();
        let (before, _) = usage.split_once(" bytes smem").unwrap();
        let found: u32 = before.rsplit(' ').next().unwrap().parse().unwrap();
        assert!((bytes..bytes + 128).contains(&found), "{kernel}: {usage}");
    }
}

const REDUCTIONS: &str = "
#[kernel]
pub unsafe fn reductions(data: Global<u32>, mask: u32) {
    let t = thread::thread_idx_x();
    unsafe {
        let x = data.get(t as usize);
        let sums = lanes::reduce_add(mask, x) ^ lanes::reduce_min(mask, x + 1);
        let bits = lanes::reduce_max(mask, x + 2) ^ lanes::reduce_and(mask, x + 3);
        let others = lanes::reduce_or(mask, x + 4) ^ lanes::reduce_xor(mask, x + 5);
        data.set(t as usize, sums ^ bits ^ others);
    }
}";

pub(crate) fn reductions_are_instructions_where_there_are_some(compiler: Compiler) {
    let krate = generated(REDUCTIONS, "");
    let counts = |arch| {
        let ptx = ptx_of(builder_of(krate.path(), &compiler).arch(arch));
        ["redux", "shfl"].map(|kind| entries(&ptx)[0].count(kind))
    };
    assert_eq!(counts(NvvmArch::Compute90), [6, 0]);
    // The first lane's value, and a loop over the others'.
    assert_eq!(counts(NvvmArch::Compute75), [0, 12]);
}

pub(crate) fn a_compile_error_shows_the_compilers_message(compiler: Compiler) {
    let error = builder("broken", &compiler).build().unwrap_err().to_string();
    assert_has(
        &error,
        &[
            "cannot compile `broken` for sm_75",
            "error[E0308]: mismatched types",
            "src/lib.rs:9",
            "out.set(0, \"seven\")",
        ],
    );
    assert!(!error.contains("ptx74"), "{error}");
}

pub(crate) fn misused_attributes_say_what_is_wrong(compiler: Compiler) {
    let error = builder("misuse", &compiler).build().unwrap_err();
    assert_has(
        &error,
        &[
            "#[kernel] goes on a function",
            "kernel `safe` must be an `unsafe fn`",
            "kernel `generic` cannot have generic parameters",
            "kernel `returns` cannot return a value",
            "kernel `foreign` cannot be `extern`",
            "#[kernel] takes no arguments",
            "takes one to three constant expressions, found 0",
            "takes one to three constant expressions, found 4",
            "takes a type and a number of elements",
            "stands in the body of a #[kernel] function",
        ],
    );
}

pub(crate) fn lint_finds_what_was_planted_and_nothing_else(compiler: Compiler) {
    let error = builder("violations", &compiler).lint(Lint::Deny).build().unwrap_err();
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

    // As warnings, they are one for each kernel and rule.
    let warned = builder("violations", &compiler).lint(Lint::Warn).build_with_info().unwrap();
    assert_eq!(warned.warnings.len(), expected.len());
    for warning in &warned.warnings {
        let (first, more) = warning.split_once(", and ").unwrap_or((warning, "0 more"));
        let violation = violations.iter().find(|v| v.to_string() == first).expect(warning);
        let same = |v: &&Violation| (v.rule, &v.kernel) == (violation.rule, &violation.kernel);
        assert_eq!(more, format!("{} more", violations.iter().filter(same).count() - 1));
    }
    let allowed = builder("violations", &compiler).lint(Lint::Allow).build_with_info().unwrap();
    assert_eq!(allowed.warnings, [""; 0]);
}

pub(crate) fn layers_are_compiled_with_their_names_and_features(compiler: Compiler) {
    let ptx = ptx_of(builder("layers", &compiler));
    assert_has(ptx, &[".maxntid 768", "4200"]);
}

pub(crate) fn each_architecture_has_its_target_and_language_version(compiler: Compiler) {
    for (arch, version) in [
        (NvvmArch::Compute75, ".version 7.4"),
        (NvvmArch::Compute90, ".version 8.0"),
        (NvvmArch::Compute90a, ".version 8.0"),
        (NvvmArch::Compute110f, ".version 9.0"),
        (NvvmArch::Compute120, ".version 8.7"),
    ] {
        let ptx = ptx_of(builder("bounds", &compiler).arch(arch));
        assert_has(ptx, &[version, &format!(".target {arch}\n")]);
    }
    let error = builder("bounds", &compiler).arch(NvvmArch::Compute61).build().unwrap_err();
    assert_has(error, &["arch(sm_61)", "sm_75"]);
}
