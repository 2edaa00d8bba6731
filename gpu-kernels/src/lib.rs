//! Sort kernels for NVIDIA GPUs.
#![cfg_attr(target_os = "cuda", no_std, feature(abi_ptx, asm_experimental_arch))]
