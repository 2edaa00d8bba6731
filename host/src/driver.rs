//! The CUDA driver, opened at run time.
//!
//! `cust` declares the driver's functions as ordinary symbols. A program linked with
//! `libcuda` does not start where there is no driver, so it is not linked
//! (`cuda/find_cuda_helper`), and the symbols are defined here: each is two instructions
//! that jump to an address in a table. [`open`] loads the real driver and fills the table. Until then, and where
//! the driver lacks a function, the address is that of one that returns an error,
//! so that a call that should not have been made is an error value and no crash.
//!
//! The jump leaves arguments and stack as they are, so one form serves functions
//! of every signature.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};

/// File name of the driver's library.
const LIBRARY: &str = "libcuda.so.1";

/// A function of the driver, its signature left out.
type Address = AtomicPtr<()>;

/// What every entry of the table calls before the driver is opened, and for good
/// where the driver has no such function: `CUDA_ERROR_STUB_LIBRARY`.
extern "C" fn absent() -> u32 {
    34
}

macro_rules! forward {
    ($($name:ident)*) => {
        /// Place of each function in the table.
        #[allow(non_camel_case_types, clippy::enum_variant_names)]
        enum Place { $($name),* }

        const NAMES: &[&str] = &[$(stringify!($name)),*];

        static TABLE: [Address; NAMES.len()] =
            [const { Address::new(absent as extern "C" fn() -> u32 as *mut ()) }; NAMES.len()];

        $(
            /// Jumps to the driver's function of this name.
            ///
            /// # Safety
            /// That of the driver's function.
            #[unsafe(no_mangle)]
            #[unsafe(naked)]
            unsafe extern "C" fn $name() {
                #[cfg(target_arch = "x86_64")]
                std::arch::naked_asm!(
                    "jmp qword ptr [rip + {table} + 8 * {place}]",
                    table = sym TABLE,
                    place = const Place::$name as usize,
                );
                #[cfg(target_arch = "aarch64")]
                std::arch::naked_asm!(
                    "adrp x16, {table}",
                    "add x16, x16, :lo12:{table}",
                    "ldr x16, [x16, 8 * {place}]",
                    "br x16",
                    table = sym TABLE,
                    place = const Place::$name as usize,
                );
            }
        )*
    };
}

// What cust 0.3.2 refers to, and what this crate calls beside it.
forward! {
    cuArray3DCreate_v2 cuArray3DGetDescriptor_v2 cuArrayDestroy
    cuCtxCreate_v2 cuCtxDestroy_v2 cuCtxGetApiVersion cuCtxGetCacheConfig cuCtxGetCurrent
    cuCtxGetDevice cuCtxGetFlags cuCtxGetLimit cuCtxGetSharedMemConfig
    cuCtxGetStreamPriorityRange cuCtxPopCurrent_v2 cuCtxPushCurrent_v2 cuCtxSetCacheConfig
    cuCtxSetCurrent cuCtxSetLimit cuCtxSetSharedMemConfig cuCtxSynchronize
    cuDestroyExternalMemory cuDeviceGet cuDeviceGetAttribute cuDeviceGetCount cuDeviceGetName
    cuDeviceGetUuid cuDevicePrimaryCtxRelease_v2 cuDevicePrimaryCtxReset_v2
    cuDevicePrimaryCtxRetain cuDevicePrimaryCtxSetFlags_v2 cuDeviceTotalMem_v2
    cuDriverGetVersion cuEventCreate cuEventDestroy_v2 cuEventElapsedTime cuEventQuery
    cuEventRecord cuEventSynchronize cuExternalMemoryGetMappedBuffer cuFuncGetAttribute
    cuFuncSetAttribute cuFuncSetCacheConfig cuFuncSetSharedMemConfig cuGetErrorName
    cuGetErrorString cuGraphAddKernelNode cuGraphCreate cuGraphDebugDotPrint cuGraphDestroy
    cuGraphExecDestroy cuGraphGetEdges cuGraphGetNodes cuGraphInstantiate_v2
    cuGraphKernelNodeGetParams cuGraphLaunch cuGraphNodeGetType cuImportExternalMemory cuInit
    cuLaunchHostFunc cuLaunchKernel cuLaunchKernelEx cuLinkAddData_v2 cuLinkComplete cuLinkCreate_v2
    cuLinkDestroy cuMemAdvise cuMemAllocAsync cuMemAllocHost_v2 cuMemAllocManaged
    cuMemAlloc_v2 cuMemFreeAsync cuMemFreeHost cuMemFree_v2
    cuMemGetInfo_v2 cuMemPrefetchAsync cuMemcpy2D_v2 cuMemcpyAtoH_v2
    cuMemcpyDtoDAsync_v2 cuMemcpyDtoD_v2 cuMemcpyDtoHAsync_v2 cuMemcpyDtoH_v2
    cuMemcpyHtoA_v2 cuMemcpyHtoDAsync_v2 cuMemcpyHtoD_v2 cuMemsetD16Async cuMemsetD16_v2
    cuMemsetD32Async cuMemsetD32_v2 cuMemsetD8Async cuMemsetD8_v2 cuModuleGetFunction
    cuModuleGetGlobal_v2 cuModuleLoad cuModuleLoadData cuModuleLoadDataEx cuModuleUnload
    cuOccupancyAvailableDynamicSMemPerBlock cuOccupancyMaxActiveBlocksPerMultiprocessor
    cuOccupancyMaxPotentialBlockSize cuStreamBeginCapture_v2 cuStreamCreateWithPriority
    cuStreamDestroy_v2 cuStreamEndCapture cuStreamGetFlags cuStreamGetPriority cuStreamIsCapturing
    cuStreamSynchronize cuStreamWaitEvent cuSurfObjectCreate cuSurfObjectDestroy
    cuSurfObjectGetResourceDesc cuTexObjectCreate cuTexObjectDestroy
    cuTexObjectGetResourceDesc cuTexObjectGetResourceViewDesc
}

/// Opens the driver, once a process.
///
/// # Errors
/// No driver on this machine: the reason, fit for a line such as
/// `gpu: skipped: no NVIDIA driver (libcuda.so.1 not found)`.
pub fn open() -> Result<(), String> {
    static OPENED: OnceLock<Result<(), String>> = OnceLock::new();
    OPENED.get_or_init(|| fill_table(LIBRARY)).clone()
}

fn fill_table(library: &str) -> Result<(), String> {
    // SAFETY: loading the driver runs its initialisers, which is what it is for.
    let opened = unsafe { Library::open(Some(library), RTLD_NOW | RTLD_GLOBAL) };
    let driver = opened.map_err(|error| {
        // What the system says is the error's cause, where it has one.
        let text = std::error::Error::source(&error).map_or(error.to_string(), |e| e.to_string());
        if text.contains("No such file") {
            format!("no NVIDIA driver ({library} not found)")
        } else {
            format!("the NVIDIA driver does not load ({text})")
        }
    })?;
    for (name, place) in NAMES.iter().zip(&TABLE) {
        // SAFETY: the symbol is only taken as an address; who calls it declares it.
        if let Ok(symbol) = unsafe { driver.get::<*mut ()>(name.as_bytes()) } {
            place.store(*symbol, Ordering::Release);
        }
    }
    // The addresses in the table are the driver's for as long as the process lives.
    std::mem::forget(driver);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_named() {
        let error = fill_table("libcudamark-no-such-driver.so.1").unwrap_err();
        assert_eq!(
            error,
            "no NVIDIA driver (libcudamark-no-such-driver.so.1 not found)"
        );
    }

    #[test]
    fn calls_without_a_driver_are_error_values() {
        if open().is_ok() {
            eprintln!("skipped: this machine has an NVIDIA driver");
            return;
        }
        assert!(cust::init(cust::CudaFlags::empty()).is_err());
        assert!(cust::device::Device::num_devices().is_err());
    }
}
