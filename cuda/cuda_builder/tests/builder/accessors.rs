//! Accessors cost nothing on the device: a kernel that reaches memory through them
//! and one that does by pointers and instructions of its own are the same PTX.

use crate::{builder_of, generated, ptx_of};
use cuda_builder::Compiler;

/// Reads vectors and words, exchanges them in shared memory, counts, and writes.
const ACCESSORS: &str = "
#[kernel]
pub unsafe fn exchange(input: Global<u32>, output: Global<u32>, bins: Global<u32>, n: u32) {
    unsafe {
        let t = thread::thread_idx_x() as usize;
        let first = thread::block_idx_x() as usize * 1024 + 4 * t;
        let words = dynamic_shared::<u32>(64, 256);
        let vector = input.get_vector(first);
        words.set(t, vector as u32 ^ (vector >> 96) as u32);
        thread::sync_threads();
        let other = words.get(t ^ 1);
        bins.fetch_add(other as usize & 255, 1, Ordering::Relaxed, Scope::Device);
        let rest = output.offset(first);
        rest.set(1, other);
        rest.cast::<u16>().set(0, input.cast::<u16>().get(n as usize));
    }
}";

const POINTERS: &str = "
use core::arch::asm;
#[kernel]
pub unsafe fn exchange(input: *const u32, output: *mut u32, bins: *mut u32, n: u32) {
    unsafe {
        let t = thread::thread_idx_x() as usize;
        let first = thread::block_idx_x() as usize * 1024 + 4 * t;
        let shared: u32;
        asm!(\"mov.u32 {}, cuda_std_dynamic_shared;\", out(reg32) shared,
             options(pure, nomem, nostack, preserves_flags));
        let words = shared + 64;
        let vector = *(input.add(first) as *const u128);
        let both = vector as u32 ^ (vector >> 96) as u32;
        let mine = words.wrapping_add((t * 4) as u32);
        asm!(\"st.shared.u32 [{}], {};\", in(reg32) mine, in(reg32) both, options(nostack));
        thread::sync_threads();
        let theirs = words.wrapping_add(((t ^ 1) * 4) as u32);
        let other: u32;
        asm!(\"ld.shared.u32 {}, [{}];\", out(reg32) other, in(reg32) theirs, options(nostack));
        let _before: u32;
        asm!(\"atom.relaxed.gpu.global.add.u32 {}, [{}], {};\", out(reg32) _before,
             in(reg64) bins.add(other as usize & 255), in(reg32) 1u32, options(nostack));
        let rest = output.add(first);
        *rest.add(1) = other;
        *(rest as *mut u16) = *(input as *const u16).add(n as usize);
    }
}";

pub(crate) fn accessors_leave_no_trace(compiler: Compiler) {
    let ptx = |source: &str| ptx_of(builder_of(generated(source, "").path(), &compiler));
    let (accessors, pointers) = (ptx(ACCESSORS), ptx(POINTERS));
    assert!(accessors.contains("ld.shared.u32"), "{accessors}");
    assert_eq!(accessors, pointers);
    // The comparison sees one instruction more.
    let more = ACCESSORS.replace("rest.set(1, other)", "rest.set(1, !other)");
    assert_ne!(ptx(&more), pointers);
}
