//! The options that Rust-CUDA's builder has and this one follows in another way, or cannot follow.

use crate::{CudaBuilder, CudaBuilderError};
use std::path::Path;

/// The amount of debug information.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DebugInfo {
    /// None.
    None,
    /// Source lines, as for [`CudaBuilder::generate_line_info`].
    LineTables,
}

impl CudaBuilder {
    /// Arguments of `cargo build`: `--features` and a list of the kernel crate's. Any other is
    /// refused: cargo compiles nothing here.
    pub fn build_args(mut self, arguments: &[impl AsRef<str>]) -> Self {
        let given: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
        let are_features = given.chunks(2).all(|pair| pair.len() == 2 && pair[0] == "--features");
        self.cargo_arguments.extend(given.iter().map(|&argument| argument.to_owned()));
        let reason = "kernels are compiled by rustc without cargo; use rustc_arg, or `--features` \
                      and a list";
        self.refuse_if(!are_features, format!("build_args({given:?})"), reason)
    }

    /// Debug information in the PTX; none, unless set.
    pub fn debug(self, debug: DebugInfo) -> Self {
        self.generate_line_info(debug == DebugInfo::LineTables)
    }

    /// Source lines in the PTX, for profilers; none, unless set.
    pub fn generate_line_info(self, lines: bool) -> Self {
        if lines { self.rustc_arg("-Cdebuginfo=line-tables-only") } else { self }
    }

    /// Optimised code, which is all there is.
    pub fn release(self, release: bool) -> Self {
        let reason = "code that is not optimised calls functions and keeps arrays in local memory";
        self.refuse_if(!release, "release(false)".to_owned(), reason)
    }

    /// `a * b + c` as one operation without a rounding between; it is, unless set.
    pub fn fma_contraction(self, contracts: bool) -> Self {
        let level = if contracts { 2 } else { 0 };
        self.rustc_arg(format!("-Cllvm-args=-nvptx-fma-level={level}"))
    }

    /// Approximate division of `f32`; exact, unless set.
    pub fn fast_div(self, fast: bool) -> Self {
        if fast { self.rustc_arg("-Cllvm-args=-nvptx-prec-divf32=0") } else { self }
    }

    /// Approximate square roots of `f32`; exact, unless set.
    pub fn fast_sqrt(self, fast: bool) -> Self {
        if fast { self.rustc_arg("-Cllvm-args=-nvptx-prec-sqrtf32=0") } else { self }
    }

    /// Subnormal numbers flushed to zero. Refused: rustc has no such mode.
    pub fn ftz(self, flush: bool) -> Self {
        self.refuse_if(
            flush,
            "ftz(true)".to_owned(),
            "rustc cannot flush subnormal numbers to zero",
        )
    }

    /// All approximations at once. Refused, because [`ftz`](Self::ftz) is one of them.
    pub fn fast_math(self, fast: bool) -> Self {
        let reason = "rustc cannot flush subnormal numbers to zero; use fast_div and fast_sqrt";
        self.refuse_if(fast, "fast_math(true)".to_owned(), reason)
    }

    /// LLVM's code of the whole module, put beside the PTX in the cache; not kept, unless set.
    pub fn emit_llvm_ir(mut self, emit: bool) -> Self {
        self.llvm_ir = emit;
        self
    }

    /// Puts LLVM's code of the whole module there.
    pub fn final_module_path(mut self, path: impl AsRef<Path>) -> Self {
        self.llvm_ir_to = Some(path.as_ref().to_owned());
        self.emit_llvm_ir(true)
    }

    /// Has the build fail if `refused`; the first such option counts.
    pub(crate) fn refuse_if(mut self, refused: bool, option: String, reason: &'static str) -> Self {
        if refused {
            self.refused.get_or_insert((option, reason));
        }
        self
    }

    pub(crate) fn require_no_refused(&self) -> Result<(), CudaBuilderError> {
        match self.refused.clone() {
            Some((option, reason)) => Err(CudaBuilderError::Option { option, reason }),
            None => Ok(()),
        }
    }
}
