//! The CUDA driver, opened at run time, and what its status codes mean.
//!
//! `cust` declares the driver's functions as ordinary symbols. A program linked with `libcuda`
//! does not start where there is no driver, so it is not linked (`cuda/find_cuda_helper`), and
//! the symbols are defined here: each calls the address in a table that [`open`] fills from the
//! real driver.
//!
//! Each forwarder stands between the driver and `cust`, and holds two things:
//!
//! - A function that the driver lacks, or that is called before the driver is open, returns an
//!   error.
//! - `cust` gets only codes that its enum has, because any other value of an enum is undefined
//!   behaviour. Other codes become `CUDA_ERROR_UNKNOWN`; the thread keeps the raw one, and
//!   [`Status`] names it.

mod status;

use std::ffi::c_char;
use std::fs;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};

pub use status::Status;

/// File name of the driver's library.
const LIBRARY: &str = "libcuda.so.1";

macro_rules! forward {
    (@ $name:ident ($($argument:ident)*)) => {
        /// Calls the driver's function of this name.
        ///
        /// # Safety
        /// The contract is the driver's. `cust` declares it with as many arguments, all integers
        /// or pointers, each of which is passed in a register or stack slot of its own: as a word
        /// here, whose unused upper bits the callee ignores.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: usize),*) -> u32 {
            let address = TABLE[Symbol::$name as usize].load(Ordering::Acquire);
            if address.is_null() {
                return status::passed_on(status::ABSENT);
            }
            type Function = unsafe extern "C" fn($($argument: usize),*) -> u32;
            // SAFETY: the address is that of the driver's function of this name.
            let function = unsafe { std::mem::transmute::<*mut (), Function>(address) };
            // SAFETY: the caller's contract.
            status::passed_on(unsafe { function($($argument),*) })
        }
    };
    ($($arguments:tt [$($name:ident)*])*) => {
        /// Index of each function in the table.
        #[allow(non_camel_case_types, clippy::enum_variant_names)]
        enum Symbol { $($($name,)*)* }

        const NAMES: &[&str] = &[$($(stringify!($name),)*)*];

        /// Addresses of the driver's functions; null until it is open, and for good where it has
        /// no such function.
        static TABLE: [AtomicPtr<()>; NAMES.len()] =
            [const { AtomicPtr::new(std::ptr::null_mut()) }; NAMES.len()];

        $($(forward!(@ $name $arguments);)*)*
    };
}

// The functions that cust 0.3.2 refers to, and those that this crate calls, by their arguments.
forward! {
    () [
        cuCtxSynchronize
    ]
    (a) [
        cuArrayDestroy cuCtxDestroy_v2 cuCtxGetCacheConfig cuCtxGetCurrent cuCtxGetDevice
        cuCtxGetFlags cuCtxGetSharedMemConfig cuCtxPopCurrent_v2 cuCtxPushCurrent_v2
        cuCtxSetCacheConfig cuCtxSetCurrent cuCtxSetSharedMemConfig cuDestroyExternalMemory
        cuDeviceGetCount cuDevicePrimaryCtxRelease_v2 cuDevicePrimaryCtxReset_v2 cuDriverGetVersion
        cuEventDestroy_v2 cuEventQuery cuEventSynchronize cuGraphDestroy cuGraphExecDestroy cuInit
        cuLinkDestroy cuMemFreeHost cuMemFree_v2 cuMemcpy2D_v2 cuModuleUnload cuStreamDestroy_v2
        cuStreamSynchronize cuSurfObjectDestroy cuTexObjectDestroy
    ]
    (a b) [
        cuArray3DCreate_v2 cuArray3DGetDescriptor_v2 cuCtxEnablePeerAccess cuCtxGetApiVersion
        cuCtxGetLimit
        cuCtxGetStreamPriorityRange cuCtxSetLimit cuDeviceGet cuDeviceGetUuid
        cuDevicePrimaryCtxRetain cuDevicePrimaryCtxSetFlags_v2 cuDeviceTotalMem_v2 cuEventCreate
        cuEventRecord cuFuncSetCacheConfig cuFuncSetSharedMemConfig cuGetErrorName cuGetErrorString
        cuGraphCreate cuGraphKernelNodeGetParams cuGraphLaunch cuGraphNodeGetType
        cuImportExternalMemory cuMemAllocHost_v2 cuMemAlloc_v2 cuMemFreeAsync cuMemGetInfo_v2
        cuModuleLoad cuModuleLoadData cuStreamBeginCapture_v2 cuStreamEndCapture cuStreamGetFlags
        cuStreamGetPriority cuStreamIsCapturing cuSurfObjectCreate cuSurfObjectGetResourceDesc
        cuTexObjectGetResourceDesc cuTexObjectGetResourceViewDesc
    ]
    (a b c) [
        cuCtxCreate_v2 cuDeviceCanAccessPeer cuDeviceGetAttribute cuDeviceGetName
        cuEventElapsedTime
        cuExternalMemoryGetMappedBuffer cuFuncGetAttribute cuFuncSetAttribute cuGraphDebugDotPrint
        cuGraphGetNodes cuLaunchHostFunc cuLinkComplete cuMemAllocAsync cuMemAllocManaged
        cuMemcpyDtoD_v2 cuMemcpyDtoH_v2 cuMemcpyHtoD_v2 cuMemsetD16_v2 cuMemsetD32_v2 cuMemsetD8_v2
        cuModuleGetFunction cuStreamCreateWithPriority cuStreamWaitEvent
    ]
    (a b c d) [
        cuGraphGetEdges cuLaunchKernelEx cuLinkCreate_v2 cuMemAdvise cuMemPrefetchAsync
        cuMemcpyAsync cuMemcpyAtoH_v2 cuMemcpyDtoDAsync_v2 cuMemcpyDtoHAsync_v2 cuMemcpyHtoA_v2
        cuMemcpyHtoDAsync_v2 cuMemsetD16Async cuMemsetD32Async cuMemsetD8Async cuModuleGetGlobal_v2
        cuOccupancyAvailableDynamicSMemPerBlock cuOccupancyMaxActiveBlocksPerMultiprocessor
        cuTexObjectCreate
    ]
    (a b c d e) [
        cuGraphAddKernelNode cuGraphInstantiate_v2 cuModuleLoadDataEx
    ]
    (a b c d e f) [
        cuMemcpyPeerAsync cuOccupancyMaxPotentialBlockSize cuStreamGetCaptureInfo_v2
    ]
    (a b c d e f g h) [
        cuLinkAddData_v2
    ]
    (a b c d e f g h i j k) [
        cuLaunchKernel
    ]
}

/// Why the driver cannot be used, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{finding}; {remedy}")]
pub struct Reason {
    /// The status that the driver returned, if it was loaded.
    pub status: Option<Status>,
    /// The fault: `no NVIDIA driver (libcuda.so.1 not found)`.
    pub finding: String,
    /// A thing to do about it.
    pub remedy: String,
}

/// Opens and initialises the driver, once a process.
///
/// # Errors
/// No driver on this machine, a stub in its place, or one that does not start.
pub fn open() -> Result<(), Reason> {
    static OPENED: OnceLock<Result<(), Reason>> = OnceLock::new();
    let opened = OPENED.get_or_init(|| {
        fill_table(LIBRARY)?;
        // SAFETY: no argument is a pointer.
        let started = unsafe { cuInit(0) };
        match started {
            0 => Ok(()),
            code => Err(not_started(Status::of_raw(code))),
        }
    });
    opened.clone()
}

fn fill_table(library: &str) -> Result<(), Reason> {
    // SAFETY: loading the driver runs its initialisers, which is what it is for.
    let opened = unsafe { Library::open(Some(library), RTLD_NOW | RTLD_GLOBAL) };
    let driver = opened.map_err(|error| {
        // The system's words are the error's cause, where it has one.
        let text = std::error::Error::source(&error).map_or(error.to_string(), |e| e.to_string());
        let (finding, remedy) = match text.contains("No such file") && text.starts_with(library) {
            true => (
                format!("no NVIDIA driver ({library} not found)"),
                "install it, or start the container with its GPUs (--gpus all)",
            ),
            false => (
                format!("the NVIDIA driver does not load ({text})"),
                "install the driver for this system again",
            ),
        };
        Reason { status: None, finding, remedy: remedy.to_owned() }
    })?;
    for (name, slot) in NAMES.iter().zip(&TABLE) {
        // SAFETY: the symbol is only taken as an address; who calls it declares it.
        if let Ok(symbol) = unsafe { driver.get::<*mut ()>(name.as_bytes()) } {
            slot.store(*symbol, Ordering::Release);
        }
    }
    // The addresses in the table are the driver's for as long as the process lives.
    std::mem::forget(driver);
    Ok(())
}

fn not_started(status: Status) -> Reason {
    let mut finding = format!("the NVIDIA driver does not start: {}", status.named());
    if status.is_stub() {
        let file = loaded_file().unwrap_or_else(|| LIBRARY.to_owned());
        finding =
            format!("{file} is the CUDA toolkit's stub library and no driver: {}", status.named());
    }
    let unknown = "see what nvidia-smi and dmesg say";
    Reason { status: Some(status), finding, remedy: status.remedy().unwrap_or(unknown).to_owned() }
}

/// The file that the driver's library was loaded from.
fn loaded_file() -> Option<String> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let file = maps.lines().filter_map(|line| line.split_once('/'));
    let mut paths = file.map(|(_, path)| format!("/{path}"));
    paths.find(|path| path.contains("libcuda.so"))
}

/// The driver's own name of a code, if it is open and knows the code.
fn name_of(code: u32) -> Option<String> {
    type GetErrorName = unsafe extern "C" fn(u32, *mut *const c_char) -> u32;
    let address = TABLE[Symbol::cuGetErrorName as usize].load(Ordering::Acquire);
    if address.is_null() {
        return None;
    }
    // SAFETY: the driver declares the function so.
    let function: GetErrorName = unsafe { std::mem::transmute(address) };
    let mut name = std::ptr::null();
    // SAFETY: the pointer is to a word that lives through the call.
    if unsafe { function(code, &mut name) } != 0 || name.is_null() {
        return None;
    }
    // SAFETY: the driver returns a text that ends in a zero and lives as long as itself.
    let name = unsafe { std::ffi::CStr::from_ptr(name) };
    Some(name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_named() {
        let error = fill_table("libcudamark-no-such-driver.so.1").unwrap_err();
        assert_eq!(error.finding, "no NVIDIA driver (libcudamark-no-such-driver.so.1 not found)");
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
