//! The machine code of kernels: how many votes and block barriers the assembler has
//! left in each, as NVIDIA's disassembler shows it.
//!
//! Not counted is what the assembler puts there itself: votes of all active threads
//! (`PT` in place of a predicate), uniform votes (`VOTEU`), which tell it whether a
//! branch is taken by all, and the second copy of a vote that it makes where the threads
//! of a warp may have parted: between `WARPSYNC.COLLECTIVE` and `ENDCOLLECTIVE`, or, for
//! chips before 9.0, in a subroutine of its own behind the kernel. On 7.5 it calls
//! them in place of some votes, so that counts there say nothing; they hold from
//! [`CHECKED_FROM`] on.

use crate::{programs, ptxas};
use anyhow::Result;
use cuda_builder::NvvmArch;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names a disassembler explicitly.
const VARIABLE: &str = "CUDAMARK_NVDISASM";

/// How to get one without installing CUDA. In one call with the assembler: pip does
/// not add to a folder that it has filled.
pub(crate) const HOW_TO_GET: &str = "no nvdisasm found; get one by: python3 -m pip install --upgrade \
     --target target/tools nvidia-cuda-nvcc nvidia-cuda-nvdisasm";

/// The first chip whose code is checked.
pub(crate) const CHECKED_FROM: NvvmArch = NvvmArch::Compute80;

/// Votes and barriers in a kernel's code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) votes: usize,
    pub(crate) barriers: usize,
}

/// The disassembler: the variable's, the one beside the assembler, or one where
/// assemblers are looked for.
pub(crate) fn find(ptxas: &Path) -> Result<Option<PathBuf>> {
    ptxas::find_tool("nvdisasm", VARIABLE, Some(ptxas))
}

/// Counts in the code that was assembled.
pub(crate) fn count(nvdisasm: &Path, cubin: &Path) -> Result<BTreeMap<String, Counts>> {
    Ok(counts(&programs::text(Command::new(nvdisasm).arg("--print-code").arg(cubin))?))
}

/// Reads a listing: a label `.text.NAME:` begins a kernel, each instruction has its
/// address in front, in a comment.
fn counts(listing: &str) -> BTreeMap<String, Counts> {
    let mut found = BTreeMap::new();
    let mut kernel = None;
    let mut copied = false;
    for line in listing.lines() {
        if line.starts_with("$__internal") {
            kernel = None;
        }
        if let Some(name) = line.strip_prefix(".text.") {
            let name = name.trim_end_matches(':').to_owned();
            found.insert(name.clone(), Counts::default());
            kernel = Some(name);
        }
        let counts = kernel.as_ref().and_then(|kernel| found.get_mut(kernel));
        let (Some(counts), Some(instruction)) = (counts, instruction(line)) else {
            continue;
        };
        let operation = instruction.split(['.', ' ']).next();
        match operation {
            Some("WARPSYNC") => copied = instruction.starts_with("WARPSYNC.COLLECTIVE"),
            Some("ENDCOLLECTIVE") => copied = false,
            Some("VOTE") if !copied && !instruction.ends_with(" PT") => counts.votes += 1,
            Some("BAR") => counts.barriers += 1,
            _ => {}
        }
    }
    found
}

/// The instruction in a line, without address, condition and end.
fn instruction(line: &str) -> Option<&str> {
    let (_, text) = line.trim_start().strip_prefix("/*")?.split_once("*/")?;
    let text = text.trim_start();
    let text = match text.strip_prefix('@') {
        Some(conditional) => conditional.split_once(' ')?.1.trim_start(),
        None => text,
    };
    Some(text.split(';').next()?.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As nvdisasm 13.5 prints it, shortened: each kind of line that counts or does not.
    const LISTING: &str = "\
	.headerflags	@\"EF_CUDA_TEXMODE_UNIFIED\"
//--------------------- .text.sort                --------------------------
	.section	.text.sort,\"ax\",@progbits
.text.sort:
        /*0000*/                   LDC R1, c[0x0][0x28] ;
        /*0400*/                   VOTE.ANY P0, P0 ;
        /*0410*/                   VOTE.ANY R3, PT, !P3 ;
        /*0420*/              @!P3 VOTE.ANY R6, PT, P6 ;
        /*0430*/                   VOTE.ANY R6, PT, PT ;
        /*0440*/                   VOTEU.ANY UR4, UPT, PT ;
        /*0450*/                   BAR.SYNC.DEFER_BLOCKING 0x0 ;
.L_x_1:
        /*0460*/              @P1  BRA `(.L_x_1) ;
        /*0470*/                   BAR.RED.OR.DEFER_BLOCKING 0x0, P0 ;
        /*0474*/                   WARPSYNC.COLLECTIVE R35, `(.L_x_2) ;
        /*0475*/                   VOTE.ANY R35, PT, P0 ;
        /*0476*/                   ENDCOLLECTIVE ;
.L_x_2:
        /*0477*/                   WARPSYNC.ALL ;
        /*0478*/                   VOTE.ANY R36, PT, P0 ;
        .type           $__internal_0_$__cuda_sm70_votesync_any,@function
$__internal_0_$__cuda_sm70_votesync_any:
        /*0480*/                   VOTE.ANY R11, PT, !P0 ;
.text.copy:
        /*0000*/                   EXIT ;
";

    #[test]
    fn votes_and_barriers_of_a_kernel_are_counted_and_no_others() {
        let found = counts(LISTING);
        let sort = Counts { votes: 4, barriers: 2 };
        assert_eq!(found.len(), 2);
        assert_eq!(found["sort"], sort);
        assert_eq!(found["copy"], Counts::default());
    }
}
