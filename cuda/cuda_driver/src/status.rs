//! Status codes of the driver: which of them `cust` knows, and what a user does about them.

use std::cell::Cell;
use std::fmt;

use cust::error::CudaError;
use cust::sys::CUresult;

/// The code of a function that is not there.
pub(super) const ABSENT: u32 = 500;
/// `CUDA_ERROR_UNKNOWN`: what stands for a code that `cust` does not know.
const UNKNOWN: u32 = 999;
const STUB: u32 = 34;
const OUT_OF_MEMORY: u32 = 2;

thread_local! {
    /// The last code but success that the driver returned to this thread.
    static LAST: Cell<u32> = const { Cell::new(UNKNOWN) };
}

/// Keeps the raw `code`, and returns the one that `cust` gets for it.
pub(super) fn passed_on(code: u32) -> u32 {
    if code != 0 {
        LAST.set(code);
    }
    // The values of `cust::sys::cudaError_enum`, version 0.11.3 of cust_raw.
    match code {
        0..=8 | STUB | 100..=102 | 200..=202 | 205..=224 | 300..=304 | 400..=401 => code,
        500 | 600 | 700..=705 | 708..=720 | 800..=809 | 900..=911 => code,
        _ => UNKNOWN,
    }
}

/// A status code of the driver, as the driver returned it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(u32);

impl Status {
    /// The status of a call that failed just now on this thread, which the driver's declarations
    /// give as `status`.
    pub fn of(status: CUresult) -> Self {
        Self::of_raw(status as u32)
    }

    /// As [`of`](Self::of), of an error of `cust`; none of an error that `cust` found itself.
    pub fn of_error(error: CudaError) -> Option<Self> {
        let code = error as u32;
        (code <= UNKNOWN).then(|| Self::of_raw(code))
    }

    /// The status of a raw code.
    pub fn of_raw(code: u32) -> Self {
        Self(if code == UNKNOWN { LAST.get() } else { code })
    }

    /// The raw code.
    pub fn code(self) -> u32 {
        self.0
    }

    /// The code is that of every function in the CUDA toolkit's stub of the driver.
    pub fn is_stub(self) -> bool {
        self.0 == STUB
    }

    /// Name and number: `CUDA_ERROR_NO_DEVICE (100)`.
    pub fn named(self) -> String {
        let known = CODES.iter().find(|(code, ..)| *code == self.0);
        let name = super::name_of(self.0).or_else(|| Some(format!("CUDA_ERROR_{}", known?.1)));
        match name {
            Some(name) => format!("{name} ({})", self.0),
            None => format!("CUDA error {}", self.0),
        }
    }

    /// The remedy, where it is known.
    pub fn remedy(self) -> Option<&'static str> {
        let known = CODES.iter().find(|(code, ..)| *code == self.0)?;
        Some(known.2)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.named())?;
        match self.remedy() {
            Some(remedy) => write!(f, ": {remedy}"),
            None => Ok(()),
        }
    }
}

/// Codes that a user can do something about: name, and what to do.
const CODES: &[(u32, &str, &str)] = &[
    (
        OUT_OF_MEMORY,
        "OUT_OF_MEMORY",
        "out of GPU memory; choose a smaller n, or end what else uses the GPU",
    ),
    (
        STUB,
        "STUB_LIBRARY",
        "take the folder of the stub library out of LD_LIBRARY_PATH, so that the driver's own \
         libcuda.so.1 is found",
    ),
    (
        46,
        "DEVICE_UNAVAILABLE",
        "another process has the GPU to itself; end it, or allow several by `nvidia-smi -c 0`",
    ),
    (
        100,
        "NO_DEVICE",
        "no GPU is visible; see nvidia-smi and CUDA_VISIBLE_DEVICES, and start a container with \
         its GPUs (--gpus all)",
    ),
    (101, "INVALID_DEVICE", "there is no such GPU or MIG instance; correct CUDA_VISIBLE_DEVICES"),
    (102, "DEVICE_NOT_LICENSED", "the virtual GPU has no license; see its license server"),
    (200, "INVALID_IMAGE", "the kernels are not what this driver loads; build them again"),
    (
        209,
        "NO_BINARY_FOR_GPU",
        "the kernels were not built for this GPU; build them for its compute capability",
    ),
    (
        214,
        "ECC_UNCORRECTABLE",
        "the GPU's memory has an error that ECC cannot correct; reset it by `nvidia-smi -r`, or \
         take another GPU",
    ),
    (218, "INVALID_PTX", "the driver cannot read the PTX; build it again"),
    (
        220,
        "NVLINK_UNCORRECTABLE",
        "NVLink has an error that cannot be corrected; reset the GPU by `nvidia-smi -r`",
    ),
    (
        221,
        "JIT_COMPILER_NOT_FOUND",
        "the container lacks the driver's PTX JIT library (libnvidia-ptxjitcompiler.so.1); start \
         it with NVIDIA_DRIVER_CAPABILITIES=compute,utility",
    ),
    (222, "UNSUPPORTED_PTX_VERSION", "the PTX is newer than the driver; update the NVIDIA driver"),
    (
        223,
        "JIT_COMPILATION_DISABLED",
        "the driver may not compile PTX; unset CUDA_DISABLE_PTX_JIT and CUDA_DISABLE_JIT",
    ),
    (
        226,
        "CONTAINED",
        "the GPU or its NVLink had a hardware error; see dmesg for its Xid, and run again",
    ),
    (
        304,
        "OPERATING_SYSTEM",
        "the system refused the driver something; see permissions of /dev/nvidia* and `ulimit -a`",
    ),
    (ABSENT, "NOT_FOUND", "the driver lacks what this program calls; update the NVIDIA driver"),
    (
        802,
        "SYSTEM_NOT_READY",
        "start the fabric manager that the GPUs' NVSwitch needs (nvidia-fabricmanager)",
    ),
    (
        803,
        "SYSTEM_DRIVER_MISMATCH",
        "the driver's library and its kernel module differ in version; restart the machine or \
         the container",
    ),
    (
        804,
        "COMPAT_NOT_SUPPORTED_ON_DEVICE",
        "this GPU takes no forward compatibility; take cuda-compat out of LD_LIBRARY_PATH, or \
         update the driver",
    ),
    (
        805,
        "MPS_CONNECTION_FAILED",
        "the MPS server does not answer; start it again, or unset CUDA_MPS_PIPE_DIRECTORY",
    ),
    (UNKNOWN, "UNKNOWN", "see dmesg for NVRM and Xid, and whether nvidia-smi works"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use cust::sys::cudaError_enum as known;

    #[test]
    fn codes_that_cust_has_no_name_for_reach_it_as_unknown_and_keep_their_number() {
        for code in [46, 103, 203, 225, 226, 402, 501, 721, 812, 912, 1000, 40_000] {
            assert_eq!(passed_on(code), UNKNOWN, "{code}");
            let status = Status::of(known::CUDA_ERROR_UNKNOWN);
            assert_eq!(status.code(), code);
            assert_eq!(Status::of_error(CudaError::UnknownError), Some(status));
        }
    }

    #[test]
    fn codes_that_cust_has_a_name_for_reach_it_as_they_are() {
        for status in [
            known::CUDA_SUCCESS,
            known::CUDA_ERROR_PROFILER_ALREADY_STOPPED,
            known::CUDA_ERROR_STUB_LIBRARY,
            known::CUDA_ERROR_MAP_FAILED,
            known::CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY,
            known::CUDA_ERROR_OPERATING_SYSTEM,
            known::CUDA_ERROR_LAUNCH_FAILED,
            known::CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE,
            known::CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE,
            known::CUDA_ERROR_MPS_MAX_CONNECTIONS_REACHED,
            known::CUDA_ERROR_EXTERNAL_DEVICE,
        ] {
            assert_eq!(passed_on(status as u32), status as u32, "{status:?}");
        }
        passed_on(46);
        assert_eq!(Status::of(known::CUDA_ERROR_NO_DEVICE).code(), 100);
    }

    #[test]
    fn a_code_is_named_with_its_number_and_remedy() {
        for (code, said) in [
            (34, "CUDA_ERROR_STUB_LIBRARY (34): take the folder of the stub"),
            (46, "CUDA_ERROR_DEVICE_UNAVAILABLE (46): another process"),
            (221, "(221): the container lacks the driver's PTX JIT library"),
            (222, "update the NVIDIA driver"),
            (223, "unset CUDA_DISABLE_PTX_JIT"),
            (226, "CUDA_ERROR_CONTAINED (226): "),
            (802, "fabric manager"),
        ] {
            let text = Status::of_raw(code).to_string();
            assert!(text.contains(said), "{text}");
        }
        assert!(Status(40_000).to_string().contains("40000"));
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0 || pair[0].0 == STUB));
    }

    #[test]
    fn an_error_that_cust_found_itself_has_no_status() {
        assert_eq!(Status::of_error(CudaError::InvalidMemoryAllocation), None);
    }
}
