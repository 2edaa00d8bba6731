//! The PTX, and how a kernel is launched.
//!
//! `host/build.rs` has `cuda_builder` compile the kernels for a portable baseline
//! and for each chip that gains by it, and the texts are part of the program. The
//! driver compiles one of them for the GPU at hand; the newest that it takes is
//! taken. `CUDAMARK_PTX` names a file to load instead: kernels under work.

use std::ffi::{CStr, CString, c_void};
use std::fs;

use cust::module::Module;
use cust::stream::Stream;
use cust::sys;
use gpu_kernels::policy::{self, Shape};
use gpu_kernels::{merge, onesweep};

use super::device::check;
use crate::error::Error;

/// A compiled text of all kernels.
struct Ptx {
    /// The least compute capability it runs on.
    capability: (u32, u32),
    text: &'static str,
}

/// Newest first. Empty where the program was built without a kernel compiler.
const EMBEDDED: &[Ptx] = include!(concat!(env!("OUT_DIR"), "/embedded_ptx.rs"));

/// A kernel and what its launches have in common.
#[derive(Clone, Copy)]
pub struct Kernel {
    function: sys::CUfunction,
    /// Threads in a block.
    pub threads: u32,
    /// Keys in a tile, or in a turn of a block.
    pub tile: u32,
    /// Bytes of dynamic shared memory of a block.
    pub shared_bytes: u32,
}

// SAFETY: a function's handle is an address that the driver allows from any thread.
unsafe impl Send for Kernel {}
// SAFETY: as above.
unsafe impl Sync for Kernel {}

/// The kernels of one context.
pub struct Kernels {
    // The handles below are the module's.
    _module: Module,
    /// Counts digits; for large inputs on a GPU with enough shared memory.
    pub histogram_large: Option<Kernel>,
    /// Counts digits.
    pub histogram_small: Kernel,
    /// A radix pass with large tiles, where they fit.
    pub onesweep_large: Option<Kernel>,
    /// A radix pass with small tiles.
    pub onesweep_small: Kernel,
    /// Merges two runs.
    pub merge: Kernel,
    /// Checks order and hashes.
    pub verify: Kernel,
}

impl Kernels {
    /// Loads the kernels into the current context, for a GPU of this `capability`
    /// whose blocks may have `shared_bytes` of shared memory.
    pub(super) fn load(
        capability: (u32, u32),
        shared_bytes: u32,
        driver: &str,
    ) -> Result<Self, Error> {
        let module = match std::env::var_os("CUDAMARK_PTX") {
            Some(file) => {
                let name = file.to_string_lossy().into_owned();
                let text = fs::read_to_string(&file).map_err(|error| Error::Ptx {
                    origin: name.clone(),
                    reason: error.to_string(),
                    remedy: "CUDAMARK_PTX names the file: correct or unset it".to_owned(),
                })?;
                load_module(&name, &text)?
            }
            None => load_embedded(capability, driver)?,
        };
        Self::of(module, shared_bytes)
    }

    fn of(module: Module, limit: u32) -> Result<Self, Error> {
        let places = size_of::<u32>();
        let pass = |name, shape: Shape| {
            let shared = onesweep::shared_bytes::<u32>(shape.threads, shape.items);
            kernel(&module, limit, name, shape.threads, shape.tile(), shared)
        };
        let histogram = |name, copies| {
            let threads = policy::HISTOGRAM_THREADS;
            let shared = policy::histogram_shared_bytes(places, copies);
            kernel(&module, limit, name, threads, threads * 8, shared)
        };
        let merge = policy::MERGE;
        let verify = policy::VERIFY;
        let required = |found: Option<Kernel>, name| found.ok_or_else(|| too_little_shared(name));
        Ok(Kernels {
            histogram_large: histogram("histogram_large_u32", policy::HISTOGRAM_COPIES_LARGE)?,
            histogram_small: required(
                histogram("histogram_small_u32", policy::HISTOGRAM_COPIES_SMALL)?,
                "histogram_small_u32",
            )?,
            onesweep_large: pass("onesweep_large_u32", policy::ONESWEEP_LARGE)?,
            onesweep_small: required(
                pass("onesweep_small_u32", policy::ONESWEEP_SMALL)?,
                "onesweep_small_u32",
            )?,
            merge: required(
                kernel(
                    &module,
                    limit,
                    "merge_u32",
                    merge.threads,
                    merge.tile(),
                    merge::shared_bytes::<u32>(merge.threads, merge.items),
                )?,
                "merge_u32",
            )?,
            verify: required(
                kernel(
                    &module,
                    limit,
                    "verify_u32",
                    verify.threads,
                    verify.tile(),
                    0,
                )?,
                "verify_u32",
            )?,
            _module: module,
        })
    }
}

/// One kernel of the module, allowed its shared memory; `None` if that is more than
/// a block may have.
fn kernel(
    module: &Module,
    limit: u32,
    name: &'static str,
    threads: usize,
    tile: usize,
    shared_bytes: usize,
) -> Result<Option<Kernel>, Error> {
    if shared_bytes as u32 > limit {
        return Ok(None);
    }
    let function = module
        .get_function(name)
        .map_err(|error| Error::Ptx {
            origin: format!("kernel {name}"),
            reason: format!("{error:?}"),
            remedy: "the PTX is of another version: build again".to_owned(),
        })?
        .to_raw();
    // SAFETY: the handle is of the loaded module.
    let status = unsafe {
        sys::cuFuncSetAttribute(
            function,
            sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
            shared_bytes as i32,
        )
    };
    check(status, "reserving shared memory for a kernel")?;
    Ok(Some(Kernel {
        function,
        threads: threads as u32,
        tile: tile as u32,
        shared_bytes: shared_bytes as u32,
    }))
}

fn too_little_shared(name: &str) -> Error {
    Error::Gpu {
        action: "loading the kernels",
        reason: format!("{name} needs more shared memory than a block of this GPU may have"),
    }
}

impl Kernel {
    /// Launches `blocks` blocks on `stream`.
    ///
    /// # Safety
    /// `arguments` point to values of the kernel's parameter types, in order; what
    /// those values refer to is valid until the launch has run, and no other work
    /// on the device conflicts with it.
    pub unsafe fn launch(
        &self,
        stream: &Stream,
        blocks: u32,
        arguments: &mut [*mut c_void],
    ) -> Result<(), Error> {
        // SAFETY: the caller's contract; the handle lives as long as its module.
        let status = unsafe {
            sys::cuLaunchKernel(
                self.function,
                blocks,
                1,
                1,
                self.threads,
                1,
                1,
                self.shared_bytes,
                stream.as_inner(),
                arguments.as_mut_ptr(),
                std::ptr::null_mut(),
            )
        };
        check(status, "launching a kernel")
    }
}

/// The address of `value`, as a kernel's argument.
pub fn argument<T>(value: &T) -> *mut c_void {
    std::ptr::from_ref(value).cast_mut().cast()
}

/// Loads the newest embedded text that the GPU and the driver take.
fn load_embedded(capability: (u32, u32), driver: &str) -> Result<Module, Error> {
    let Some(oldest) = EMBEDDED.last() else {
        return Err(Error::Gpu {
            action: "loading the kernels",
            reason: "built without a kernel compiler; run `cargo xtask setup`, then build again"
                .to_owned(),
        });
    };
    if capability < oldest.capability {
        return Err(Error::Gpu {
            action: "loading the kernels",
            reason: format!(
                "the GPU has compute capability {}.{}, the kernels need {}.{} or later",
                capability.0, capability.1, oldest.capability.0, oldest.capability.1
            ),
        });
    }
    let mut last = None;
    for ptx in EMBEDDED.iter().filter(|ptx| capability >= ptx.capability) {
        let origin = format!(
            "the kernels for compute capability {}.{}",
            ptx.capability.0, ptx.capability.1
        );
        match load_module(&origin, ptx.text) {
            Ok(module) => return Ok(module),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::Gpu {
        action: "loading the kernels",
        reason: format!("none fits this GPU under a driver for CUDA {driver}"),
    }))
}

/// Has the driver compile a text.
///
/// # Errors
/// A text that is not PTX, or newer than the driver: with the driver's own words.
pub fn load_module(origin: &str, text: &str) -> Result<Module, Error> {
    let corrupt = |reason: String, remedy: &str| Error::Ptx {
        origin: origin.to_owned(),
        reason,
        remedy: remedy.to_owned(),
    };
    let text = CString::new(text)
        .map_err(|_| corrupt("it contains a zero byte".to_owned(), "build it again"))?;
    match Module::from_ptx_cstr(&text, &[]) {
        Ok(module) => Ok(module),
        Err(error) => Err(match jit_log(&text) {
            (sys::cudaError_enum::CUDA_ERROR_UNSUPPORTED_PTX_VERSION, log) => corrupt(
                format!("the driver is too old for it{log}"),
                "update the NVIDIA driver",
            ),
            (sys::cudaError_enum::CUDA_ERROR_INVALID_PTX, log) => corrupt(
                format!("the driver cannot read it{log}"),
                "build it again: `cargo xtask ptx` shows what the assembler says",
            ),
            (_, log) => corrupt(
                format!("{error:?}{log}"),
                "see what else uses the GPU, and its memory",
            ),
        }),
    }
}

/// Loads `text` once more for the driver's status, which `cust` folds together with
/// others, and the first line of its log.
fn jit_log(text: &CStr) -> (sys::CUresult, String) {
    let mut log = [0u8; 4096];
    let mut options = [
        sys::CUjit_option_enum::CU_JIT_ERROR_LOG_BUFFER,
        sys::CUjit_option_enum::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
    ];
    let mut values = [log.as_mut_ptr().cast::<c_void>(), log.len() as *mut c_void];
    let mut module = std::ptr::null_mut();
    // SAFETY: the text ends in a zero; the log is as long as the option says.
    let status = unsafe {
        sys::cuModuleLoadDataEx(
            &mut module,
            text.as_ptr().cast(),
            options.len() as u32,
            options.as_mut_ptr(),
            values.as_mut_ptr(),
        )
    };
    if status == sys::cudaError_enum::CUDA_SUCCESS {
        // SAFETY: loaded just now, and nothing of it is in use.
        unsafe { sys::cuModuleUnload(module) };
    }
    let log = CStr::from_bytes_until_nul(&log).unwrap_or_default();
    let first = log.to_string_lossy();
    let first = first.lines().find(|line| !line.trim().is_empty());
    (
        status,
        first
            .map(|line| format!(": {}", line.trim()))
            .unwrap_or_default(),
    )
}
