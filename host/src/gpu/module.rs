//! The PTX, and how a kernel is launched.
//!
//! `host/build.rs` has `cuda_builder` compile the kernels for a portable baseline and for each
//! chip that gains by it. The texts are part of the program, packed until the first use of each.
//! The driver compiles the newest that fits the GPU, and of it only the kernels that are used,
//! each when it is first asked for: all of them together would take seconds. `CUDAMARK_PTX` names
//! a file to take instead: kernels under work.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_void};
use std::fs;
use std::io::Read;
use std::sync::{Mutex, OnceLock, PoisonError};

use cust::module::Module;
use cust::stream::Stream;
use cust::sys;
use gpu_kernels::entry::Entry;
use gpu_kernels::policy::Shape;
use lzma_rust2::LzipReader;

use crate::driver::Status;
use crate::error::{Error, check};

// `EMBEDDED`, the texts, newest first, and none where the program was built without a kernel
// compiler; `SHA256`, the hash of all texts, one after the other.
include!(concat!(env!("OUT_DIR"), "/embedded_ptx.rs"));

/// A compiled text of all kernels.
struct Ptx {
    /// The least compute capability it runs on.
    capability: (u32, u32),
    packed: &'static [u8],
    text: OnceLock<String>,
}

impl Ptx {
    const fn new(capability: (u32, u32), packed: &'static [u8]) -> Self {
        Self { capability, packed, text: OnceLock::new() }
    }

    fn text(&self) -> &str {
        self.text.get_or_init(|| {
            let mut text = String::new();
            LzipReader::new(self.packed)
                .read_to_string(&mut text)
                .expect("it was packed by build.rs");
            text
        })
    }
}

/// The texts that are part of the program, the newest first.
pub fn embedded_texts() -> impl Iterator<Item = &'static str> {
    EMBEDDED.iter().map(Ptx::text)
}

/// The hash of the texts that are part of the program, one after the other, if there are any.
pub fn embedded_sha256() -> Option<&'static str> {
    (!EMBEDDED.is_empty()).then_some(SHA256)
}

/// A function of a loaded module.
#[derive(Clone, Copy)]
struct Function(sys::CUfunction);

// SAFETY: a function's handle is an address that the driver allows from any thread.
unsafe impl Send for Function {}
// SAFETY: as above.
unsafe impl Sync for Function {}

/// A loaded kernel that takes `A`.
pub struct Kernel<A> {
    function: Function,
    entry: Entry<A>,
}

impl<A> Clone for Kernel<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Kernel<A> {}

/// The kernels of one context.
pub struct KernelModule {
    /// The text before the first kernel, and the kernels by name.
    prelude: String,
    texts: HashMap<String, String>,
    origin: String,
    loaded: Mutex<HashMap<&'static str, (Module, Function)>>,
}

impl KernelModule {
    /// The kernels for a GPU of this `capability`, none of them loaded yet.
    pub(super) fn find(capability: (u32, u32)) -> Result<Self, Error> {
        match std::env::var_os("CUDAMARK_PTX") {
            Some(file) => {
                let name = file.to_string_lossy().into_owned();
                let text = fs::read_to_string(&file).map_err(|error| Error::Ptx {
                    origin: name.clone(),
                    reason: error.to_string(),
                    remedy: "CUDAMARK_PTX names the file: correct or unset it".to_owned(),
                })?;
                Self::of(name, &text)
            }
            None => {
                let ptx = embedded(capability)?;
                let (major, minor) = ptx.capability;
                let origin = format!("the kernels for compute capability {major}.{minor}");
                Self::of(origin, ptx.text())
            }
        }
    }

    fn of(origin: String, text: &str) -> Result<Self, Error> {
        let (prelude, texts) = split(text);
        if texts.is_empty() {
            return Err(Error::Ptx {
                origin,
                reason: "it has no kernels".to_owned(),
                remedy: "it is not PTX, or cut off: build it again".to_owned(),
            });
        }
        Ok(KernelModule { prelude, texts, origin, loaded: Mutex::default() })
    }

    /// The kernel of `entry`, loaded into the current context if it is not yet.
    ///
    /// # Errors
    /// No kernel has its name; the driver does not load it.
    pub fn load<A>(&self, entry: &Entry<A>) -> Result<Kernel<A>, Error> {
        let function = self.function(entry.name, entry.shared_bytes)?;
        Ok(Kernel { function, entry: *entry })
    }

    fn function(&self, name: &'static str, shared_bytes: usize) -> Result<Function, Error> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&(_, function)) = loaded.get(name) {
            return Ok(function);
        }
        let text = self.texts.get(name).ok_or_else(|| Error::Ptx {
            origin: self.origin.clone(),
            reason: format!("it has no kernel {name}"),
            remedy: "it is of another version: build it again".to_owned(),
        })?;
        let module = load_module(&self.origin, &format!("{}{text}", self.prelude))?;
        let function = function(&module, name, shared_bytes)?;
        loaded.insert(name, (module, function));
        Ok(function)
    }
}

/// The text before the first kernel, and the kernels. Each ends with a brace at the beginning of
/// a line.
fn split(text: &str) -> (String, HashMap<String, String>) {
    const ENTRY: &str = ".visible .entry ";
    let begin = text.find(ENTRY).unwrap_or(text.len());
    let mut texts = HashMap::new();
    let mut rest = &text[begin..];
    while let Some(at) = rest.find(ENTRY) {
        let Some(length) = rest[at..].find("\n}") else {
            break;
        };
        let entry = &rest[at..at + length + 2];
        let name = entry[ENTRY.len()..].split('(').next().unwrap_or_default();
        texts.insert(name.trim().to_owned(), format!("{entry}\n"));
        rest = &rest[at + length + 2..];
    }
    (text[..begin].to_owned(), texts)
}

/// One kernel of a loaded module, allowed its shared memory.
fn function(module: &Module, name: &str, shared_bytes: usize) -> Result<Function, Error> {
    let function = module
        .get_function(name)
        .map_err(|error| Error::Ptx {
            origin: format!("kernel {name}"),
            reason: Status::of_error(error).map_or_else(|| format!("{error:?}"), Status::named),
            remedy: "build it again".to_owned(),
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
    Ok(Function(function))
}

/// The resources that a kernel takes of its GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// Registers of a thread.
    pub registers: u32,
    /// Local memory of a thread, in bytes: arrays, and what is spilled.
    pub local_bytes: u32,
    /// Blocks that a multiprocessor holds at once.
    pub blocks: u32,
}

impl<A> Kernel<A> {
    /// How it splits its input.
    pub fn shape(&self) -> Shape {
        self.entry.shape
    }

    /// Blocks that `n` elements take, a tile each.
    pub fn blocks(&self, n: u64) -> u64 {
        n.div_ceil(self.entry.shape.tile() as u64)
    }

    pub fn resources(&self) -> Result<Resources, Error> {
        use sys::CUfunction_attribute_enum as attribute;
        let read = |which| {
            let mut value = 0;
            // SAFETY: the pointer is to a word that lives through the call; the handle lives as
            // long as its module.
            let status = unsafe { sys::cuFuncGetAttribute(&mut value, which, self.function.0) };
            check(status, "reading what a kernel takes")?;
            Ok::<u32, Error>(value as u32)
        };
        let mut blocks = 0;
        // SAFETY: as above.
        let status = unsafe {
            sys::cuOccupancyMaxActiveBlocksPerMultiprocessor(
                &mut blocks,
                self.function.0,
                self.entry.shape.threads as i32,
                self.entry.shared_bytes,
            )
        };
        check(status, "reading how many blocks of a kernel fit")?;
        Ok(Resources {
            registers: read(attribute::CU_FUNC_ATTRIBUTE_NUM_REGS)?,
            local_bytes: read(attribute::CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES)?,
            blocks: blocks as u32,
        })
    }

    /// Launches `blocks` blocks on `stream`.
    ///
    /// # Safety
    /// The memory that `arguments` refer to is valid until the launch has run, and no other work
    /// on the device conflicts with it.
    pub unsafe fn launch(&self, stream: &Stream, blocks: u32, arguments: &A) -> Result<(), Error> {
        let mut parameters = (self.entry.parameters)(arguments);
        // SAFETY: the caller's contract; the parameters are those of the entry point, which made
        // the list; the handle lives as long as its module.
        let status = unsafe {
            sys::cuLaunchKernel(
                self.function.0,
                blocks,
                1,
                1,
                self.entry.shape.threads as u32,
                1,
                1,
                self.entry.shared_bytes as u32,
                stream.as_inner(),
                parameters.as_mut_ptr(),
                std::ptr::null_mut(),
            )
        };
        check(status, "launching a kernel")
    }
}

/// An attribute of a launch by `cuLaunchKernelEx` (CUDA 11.8 and later, which cust's declarations
/// precede).
#[repr(C)]
struct LaunchAttribute {
    id: u32,
    padding: u32,
    value: [u32; 16],
}

/// The attribute that lets a launch begin before the launch before it on the stream has ended.
const PROGRAMMATIC_STREAM_SERIALIZATION: u32 = 6;

#[repr(C)]
struct LaunchConfig {
    grid: [u32; 3],
    block: [u32; 3],
    shared_bytes: u32,
    stream: sys::CUstream,
    attributes: *mut LaunchAttribute,
    count: u32,
}

unsafe extern "C" {
    fn cuLaunchKernelEx(
        config: *const LaunchConfig,
        function: sys::CUfunction,
        arguments: *mut *mut c_void,
        extra: *mut *mut c_void,
    ) -> u32;
}

impl<A> Kernel<A> {
    /// Launches as [`launch`](Self::launch) does, but so that the launch may begin while the one
    /// before it on the stream ends; a driver that does not know how launches it in the ordinary
    /// way.
    ///
    /// # Safety
    /// As [`launch`](Self::launch), and the kernel waits for its predecessor before it touches
    /// memory.
    pub unsafe fn launch_early(
        &self,
        stream: &Stream,
        blocks: u32,
        arguments: &A,
    ) -> Result<(), Error> {
        let mut parameters = (self.entry.parameters)(arguments);
        let (id, mut value) = (PROGRAMMATIC_STREAM_SERIALIZATION, [0; 16]);
        value[0] = 1;
        let mut attribute = LaunchAttribute { id, padding: 0, value };
        let config = LaunchConfig {
            grid: [blocks, 1, 1],
            block: [self.entry.shape.threads as u32, 1, 1],
            shared_bytes: self.entry.shared_bytes as u32,
            stream: stream.as_inner(),
            attributes: &mut attribute,
            count: 1,
        };
        let (arguments_at, extra) = (parameters.as_mut_ptr(), std::ptr::null_mut());
        // SAFETY: the caller's contract; the structures are laid out as the driver's.
        unsafe {
            if cuLaunchKernelEx(&config, self.function.0, arguments_at, extra) == 0 {
                return Ok(());
            }
            self.launch(stream, blocks, arguments)
        }
    }
}

/// The newest embedded text that the GPU takes.
fn embedded(capability: (u32, u32)) -> Result<&'static Ptx, Error> {
    let action = "loading the kernels";
    let Some(oldest) = EMBEDDED.last() else {
        let reason = "built without a kernel compiler; run `cargo xtask setup`, then build again";
        return Err(Error::gpu(action, reason));
    };
    let fits = EMBEDDED.iter().find(|ptx| capability >= ptx.capability);
    fits.ok_or_else(|| {
        let reason = format!(
            "the GPU has compute capability {}.{}, the kernels need {}.{} or later",
            capability.0, capability.1, oldest.capability.0, oldest.capability.1
        );
        Error::gpu(action, reason)
    })
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
        Err(_) => Err(match jit_log(&text) {
            (sys::cudaError_enum::CUDA_ERROR_UNSUPPORTED_PTX_VERSION, log) => {
                corrupt(format!("the driver is too old for it{log}"), "update the NVIDIA driver")
            }
            (sys::cudaError_enum::CUDA_ERROR_INVALID_PTX, log) => corrupt(
                format!("the driver cannot read it{log}"),
                "build it again: `cargo xtask ptx` shows what the assembler says",
            ),
            (status, log) => {
                let status = Status::of(status);
                let unknown = "see what else uses the GPU, and its memory";
                corrupt(format!("{}{log}", status.named()), status.remedy().unwrap_or(unknown))
            }
        }),
    }
}

/// Loads `text` once more for the driver's status, which `cust` folds together with others, and
/// the first line of its log.
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
    (status, first.map(|line| format!(": {}", line.trim())).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn the_hash_is_that_of_the_texts_one_after_the_other() {
        let texts: Vec<&str> = embedded_texts().collect();
        let Some(expected) = embedded_sha256() else {
            assert!(texts.is_empty());
            return;
        };
        assert!(texts.iter().all(|text| !split(text).1.is_empty()));
        let hash = Sha256::digest(texts.concat());
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, expected);
    }

    #[test]
    fn a_text_is_split_into_its_kernels() {
        let text = ".version 8.0\n.target sm_90\n\n\t// .globl a\n.visible .entry a(\n\
                    \t.param .u64 p\n)\n.maxntid 32\n{\n\tret;\n}\n\n.visible .entry b()\n{\n\
                    \tret;\n}\n";
        let (prelude, texts) = split(text);
        assert!(prelude.starts_with(".version 8.0\n.target sm_90"));
        assert_eq!(texts.len(), 2);
        assert!(texts["a"].contains(".maxntid 32") && texts["a"].ends_with("}\n"));
        assert_eq!(texts["b"], ".visible .entry b()\n{\n\tret;\n}\n");
        assert_eq!(split("no PTX").1.len(), 0);
    }
}
