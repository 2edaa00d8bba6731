//! The kernels of the example raw-kernels, in Rust-CUDA's style, on a device: the source that the
//! emulator checks, with the same inputs.

#[path = "../../../examples/raw-kernels/tests/oracle/mod.rs"]
mod oracle;

use std::env;
use std::process::Command;
use std::sync::Arc;

use cust::context::{CurrentContext, ResourceLimit};
use cust::function::{BlockSize, GridSize};
use cust::launch;
use cust::memory::{DeviceBuffer, DeviceCopy};
use cust::module::Module;
use cust::stream::Stream;
use host::gpu::Device;
use raw_kernels_ptx::PTX;

use crate::{OnDevice, stream};
use oracle::{drawn, floats};

const TESTS: &[OnDevice] = &[
    ("raw_vecadd", vecadd),
    ("raw_gemm_naive", |_| gemm("gemm_naive")),
    ("raw_gemm_tiled", |_| gemm("gemm_tiled")),
    ("raw_reduce", reduce),
    ("raw_histogram", histogram),
    ("raw_n_body", n_body),
    ("raw_blur", blur),
    ("raw_wide", wide),
    ("raw_locked", locked),
    ("raw_functions_f32", functions_f32),
    ("raw_functions_f64", functions_f64),
    ("raw_last_block_adds", last_block_adds),
    ("raw_outliers_are_printed", outliers_are_printed),
    ("raw_failed_assertion_says_both_values", failed_assertion_says_both_values),
    ("raw_halves", halves),
];

/// Set to the kernel that a process launches in place of the tests: its output is read, or its
/// context is lost.
const CHILD: &str = "CUDAMARK_TEST_KERNEL";

/// The launches of such processes, by the kernel.
const CHILDREN: &[OnDevice] = &[("outliers", outliers), ("compare", compare)];

/// The launch that this process is for, if it is for one alone.
pub(crate) fn as_child() -> Option<fn(Arc<Device>)> {
    let name = env::var_os(CHILD)?;
    CHILDREN.iter().find(|(child, _)| name == *child).map(|(_, launch)| *launch)
}

/// The standard output and error of a process that launches `kernel` alone.
fn output_of(kernel: &str) -> [String; 2] {
    let mut child = Command::new(env::current_exe().unwrap());
    let output = child.env(CHILD, kernel).output().unwrap();
    [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The tests, if there are kernels for them.
pub(crate) fn tests() -> &'static [OnDevice] {
    if PTX.is_empty() {
        eprintln!("raw_*: not there: built without a kernel compiler; run `cargo xtask setup`");
        return &[];
    }
    if raw_kernels_ptx::HAS_HALF { TESTS } else { &TESTS[..TESTS.len() - 1] }
}

/// The kernels' parameter of this name is off on a device.
const BUG: bool = false;

/// Loads the kernels and runs `launches` with them, and waits.
fn run(launches: impl FnOnce(&Module, &Stream) -> cust::error::CudaResult<()>) {
    let module = Module::from_ptx(PTX, &[]).unwrap();
    let stream = stream();
    launches(&module, &stream).unwrap();
    stream.synchronize().unwrap();
}

/// Launches a kernel with the module and stream of [`run`]: name, grid, block, and arguments, of
/// which a slice is a pointer and a length.
macro_rules! launched {
    ($name:expr, $grid:expr, $block:expr, ($($argument:expr),*)) => {
        run(|module, stream| {
            let kernel = module.get_function($name)?;
            let (grid, block) = (GridSize::from($grid), BlockSize::from($block));
            // SAFETY: the parameters are the kernel's, and each buffer has the elements that the
            // kernel reads and writes.
            unsafe { launch!(kernel<<<grid, block, 0, stream>>>($($argument),*)) }
        })
    };
}

fn buffer<T: DeviceCopy>(values: &[T]) -> DeviceBuffer<T> {
    DeviceBuffer::from_slice(values).unwrap()
}

fn get<T: DeviceCopy + Default>(from: &DeviceBuffer<T>) -> Vec<T> {
    from.as_host_vec().unwrap()
}

fn vecadd(_: Arc<Device>) {
    let n = 1000;
    let (a, b) = (floats(n), floats(n).into_iter().rev().collect::<Vec<_>>());
    let (of_a, of_b, c) = (buffer(&a), buffer(&b), buffer(&vec![0f32; n]));
    let (p, q, r) = (of_a.as_device_ptr(), of_b.as_device_ptr(), c.as_device_ptr());
    launched!("vecadd", 4, 256, (p, n, q, n, r, BUG));
    let sums: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
    assert_eq!(get(&c), sums);
}

fn gemm(name: &str) {
    let (m, n, k) = oracle::GEMM;
    let (a, b, c) = (floats(m * k), floats(k * n), floats(m * n));
    let (of_a, of_b, of_c) = (buffer(&a), buffer(&b), buffer(&c));
    let (p, q, r) = (of_a.as_device_ptr(), of_b.as_device_ptr(), of_c.as_device_ptr());
    let (alpha, beta) = (2f32, 0.5f32);
    launched!(name, (3, 2), (16, 16), (p, a.len(), q, b.len(), r, m, n, k, alpha, beta, BUG));
    assert_eq!(get(&of_c), oracle::gemm(&a, &b, &c));
}

fn reduce(_: Arc<Device>) {
    let input: Vec<u32> = drawn(1000).collect();
    let (of_input, total) = (buffer(&input), buffer(&[5u32]));
    let (p, q) = (of_input.as_device_ptr(), total.as_device_ptr());
    launched!("reduce", 4, 256, (p, input.len(), q, BUG));
    assert_eq!(get(&total), [input.iter().fold(5u32, |a, &b| a.wrapping_add(b))]);
}

fn histogram(_: Arc<Device>) {
    let input: Vec<u8> = drawn(900).map(|v| v as u8).collect();
    let (of_input, bins) = (buffer(&input), buffer(&[0u32; 64]));
    let (p, q) = (of_input.as_device_ptr(), bins.as_device_ptr());
    launched!("histogram", 4, 256, (p, input.len(), q, BUG));
    assert_eq!(get(&bins), oracle::histogram(&input));
}

fn n_body(_: Arc<Device>) {
    let n = 70usize;
    let places = floats(4 * n);
    let (bodies, moved) = (buffer(&places), buffer(&vec![0f32; 4 * n]));
    let (p, q) = (bodies.as_device_ptr(), moved.as_device_ptr());
    let step = [oracle::STEP.0, oracle::STEP.1];
    launched!("n_body", 3, 32, (p, n, q, step, BUG));
    oracle::assert_moved(&places, &get(&moved));
}

fn blur(_: Arc<Device>) {
    let (width, height) = oracle::IMAGE;
    let pixels: Vec<u8> = drawn((width * height) as usize).map(|v| v as u8).collect();
    let (image, blurred) = (buffer(&pixels), buffer(&vec![0u8; pixels.len()]));
    let (p, q) = (image.as_device_ptr(), blurred.as_device_ptr());
    launched!("blur", (3, 3), (16, 8), (p, q, width, height, BUG));
    assert_eq!(get(&blurred), oracle::blurred(&pixels));
}

fn wide(_: Arc<Device>) {
    let n = 100usize;
    let (a, b) = oracle::wide_inputs(n);
    let (of_a, of_b) = (buffer(&a), buffer(&b));
    let outputs = [0; 3].map(|_| buffer(&vec![0u128; n]));
    let (p, q) = (of_a.as_device_ptr(), of_b.as_device_ptr());
    let [r, s, t] = [0, 1, 2].map(|i: usize| outputs[i].as_device_ptr());
    launched!("wide", 4, 32, (p, n, q, n, r, s, t, BUG));
    for (output, expected) in outputs.iter().zip(oracle::wide(&a, &b)) {
        assert_eq!(get(output), expected);
    }
}

fn locked(_: Arc<Device>) {
    let (lock, counter) = (buffer(&[0u32]), buffer(&[0u32]));
    let (p, q) = (lock.as_device_ptr(), counter.as_device_ptr());
    launched!("locked", 3, 64, (p, q, BUG));
    assert_eq!(get(&counter), [6]);
}

fn last_block_adds(_: Arc<Device>) {
    let input: Vec<u32> = drawn(7).collect();
    let (of_input, parts) = (buffer(&input), buffer(&[0u32; 7]));
    let [arrived, total] = [0; 2].map(|_| buffer(&[0u32]));
    let (p, q) = (of_input.as_device_ptr(), parts.as_device_ptr());
    let (r, s) = (arrived.as_device_ptr(), total.as_device_ptr());
    launched!("last_block_adds", 7, 64, (p, input.len(), q, r, s, BUG));
    assert_eq!(get(&total), [input.iter().sum::<u32>()]);
}

fn outliers(_: Arc<Device>) {
    CurrentContext::set_resource_limit(ResourceLimit::StackSize, 8192).unwrap();
    let input = floats(1000);
    let of_input = buffer(&input);
    let p = of_input.as_device_ptr();
    launched!("outliers", 4, 256, (p, input.len(), oracle::LIMIT, BUG));
}

fn outliers_are_printed(_: Arc<Device>) {
    let [output, errors] = output_of("outliers");
    let mut lines: Vec<&str> = output.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, oracle::outliers(&floats(1000)), "{errors}");
}

fn compare(_: Arc<Device>) {
    let (a, b) = (buffer(&[1, 2, 3]), buffer(&[1, 2, 4]));
    let (p, q) = (a.as_device_ptr(), b.as_device_ptr());
    launched!("compare", 1, 32, (p, 3usize, q, 3usize));
}

fn failed_assertion_says_both_values(_: Arc<Device>) {
    let output = output_of("compare").concat();
    for part in ["src/lib.rs:", "thread: [2,0,0]", "left: 3, right: 4", "element 2"] {
        assert!(output.contains(part), "no {part:?} in {output}");
    }
}

/// Runs a kernel `functions` on the oracle's points.
macro_rules! functions {
    ($name:literal, $float:ident) => {{
        let points = oracle::POINTS.map(|x| x as $float);
        let results = buffer(&vec![0 as $float; oracle::FUNCTIONS * points.len()]);
        let of_points = buffer(&points);
        let (p, q) = (of_points.as_device_ptr(), results.as_device_ptr());
        launched!($name, 1, 32, (p, points.len(), q, BUG));
        let results: Vec<f64> = get(&results).into_iter().map(f64::from).collect();
        oracle::assert_functions(&results, $float::EPSILON as f64);
    }};
}

fn functions_f32(_: Arc<Device>) {
    functions!("functions_f32", f32);
}

fn functions_f64(_: Arc<Device>) {
    functions!("functions_f64", f64);
}

fn halves(_: Arc<Device>) {
    let (a, b) = oracle::HALVES;
    let (of_a, of_b, sums) = (buffer(&a), buffer(&b), buffer(&[0u16; 2 * oracle::HALVES.0.len()]));
    let (p, q, r) = (of_a.as_device_ptr(), of_b.as_device_ptr(), sums.as_device_ptr());
    launched!("halves", 1, 32, (p, a.len(), q, b.len(), r, BUG));
    assert_eq!(get(&sums), oracle::HALVES_ADDED);
}
