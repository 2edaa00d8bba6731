//! Reading PTX text, in the forms that LLVM and inline assembly give it.

use cuda_builder::lint::{Rule, lint};
use cuda_builder::ptx::entries;

const TWO_KERNELS: &str = "\
.version 7.4
.target sm_75
.address_size 64

.extern .shared .align 128 .b8 pool[];

.visible .entry first(
\t.param .u64 .ptr .align 1 first_param_0
)
.maxntid 128
{
\t.reg .pred \t%p<3>;
\t.loc\t1 7 3
\tld.param.b64 \t%rd1, [first_param_0];
$L__BB0_1:
\t@%p1 bra \t$L__BB0_2;
\tbar.sync \t0;
\t// begin inline asm
\t{ .reg .pred p0; vote.sync.ballot.b32 t0,p0,-1; @!p0 vote.sync.any.pred p0,p0,-1; }
\t// end inline asm bar.sync 0;
\tld.global.nc.L1::no_allocate.v4.u32 {%r1, %r2, %r3, %r4}, [%rd1];
$L__BB0_2: bar.warp.sync -1;
\tshfl.sync.idx.b32 \t%r5, %r1, 0, 31, -1;
\tred.shared::cta.add.u32 [%r9], 1;
\tfence.acq_rel.gpu;
\tret;
}

.visible .entry second()
{
\ttrap;
}
";

pub(crate) fn entries_are_split_and_counted() {
    let entries = entries(TWO_KERNELS);
    let names: Vec<_> = entries.iter().map(|e| (e.name, e.line)).collect();
    assert_eq!(names, [("first", 7), ("second", 29)]);
    let statements = entries[0].statements();
    let instructions = statements.iter().filter(|of| !of.opcode().starts_with('.'));
    assert_eq!(instructions.count(), 11);
    let kinds = ["bar", "bar.sync", "bar.warp", "shfl", "vote", "red", "redux", "fence", "trap"];
    let counts = kinds.map(|kind| entries[0].count(kind));
    assert_eq!(counts, [2, 1, 1, 1, 2, 1, 0, 1, 0]);
    assert_eq!(entries[1].count("trap"), 1);
    assert_eq!(lint(TWO_KERNELS), []);
}

pub(crate) fn statements_know_their_lines() {
    for entry in entries(TWO_KERNELS) {
        for statement in entry.statements() {
            let line = TWO_KERNELS.lines().nth(statement.line - 1).unwrap();
            assert!(line.contains(statement.text), "{statement:?} in {line:?}");
        }
    }
}

/// Each line, put into a kernel, breaks the rule; `None` where it breaks none.
pub(crate) fn every_form_of_access_is_classified() {
    use Rule::*;
    let cases = [
        ("ld.b32 %r1, [%rd1];", Some(GenericAccess)),
        ("@!%p1 st.v4.b32 [%rd1], {%r1, %r2, %r3, %r4};", Some(GenericAccess)),
        ("ld.relaxed.gpu.u32 %r1, [%rd1];", Some(GenericAccess)),
        ("atom.add.u32 %r1, [%rd1], 1;", Some(GenericAccess)),
        ("red.release.gpu.add.u32 [%rd1], 1;", Some(GenericAccess)),
        ("mov.b32 %r1, %r2; ld.volatile.u32 %r1, [%rd1];", Some(GenericAccess)),
        ("ld.volatile.global.u32 %r1, [%rd1];", None),
        ("st.shared::cluster.u32 [%r1], %r2;", None),
        ("redux.sync.add.s32 %r1, %r2, -1;", None),
        ("// ld.b32 %r1, [%rd1];", None),
        (".local .align 4 .b8 __local_depot0[96];", Some(StackArray)),
        ("st.local.b32 [%rd1], 0;", Some(StackArray)),
        ("call.uni (retval0), helper, (param0);", Some(Call)),
        ("mov.b64 %rd1, _ZN4core9panicking5panic17h0E;", Some(PanicMachinery)),
    ];
    for (line, rule) in cases {
        let ptx = format!(".visible .entry k()\n{{\n\t{line}\n\tret;\n}}\n");
        let found = lint(&ptx);
        assert_eq!(found.first().map(|v| v.rule), rule, "{line}");
        if let Some(violation) = found.first() {
            assert_eq!((violation.kernel.as_deref(), violation.line), (Some("k"), 3));
        }
    }
    let outside = lint(".version 7.4\n.func (.param .b32 r) helper()\n{\n}\n");
    assert_eq!((outside[0].rule, outside[0].line), (Rule::Call, 2));
}
