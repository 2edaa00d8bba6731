//! Kernels of raw pointers and slices, in the style of Rust-CUDA: one source for the device and for
//! the emulator. A parameter `bug` plants the fault that its kernel is known for.
#![allow(clippy::missing_safety_doc, clippy::too_many_arguments)] // The hosts' contracts are plain.
#![allow(clippy::needless_range_loop)] // Loops over what is in registers are unrolled.

use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, Ordering};
use cuda_std::FloatExt;
use cuda_std::assert_eq;
use cuda_std::atomic::mid;
use cuda_std::{ext::*, prelude::*};

/// `c = a + b`. With the bug, the last thread writes behind the end.
#[kernel]
pub unsafe fn vecadd(a: &[f32], b: &[f32], c: *mut f32, bug: bool) {
    let i = thread::index_1d() as usize;
    if i < a.len() {
        let element = unsafe { &mut *c.add(i + bug as usize) };
        *element = a[i] + b[i];
    }
}

/// `c = alpha * a * b + beta * c`, an element a thread, of row-major matrices of `m * k` and
/// `k * n` elements. With the bug, all threads of a row write one element.
#[kernel]
pub unsafe fn gemm_naive(
    a: &[f32],
    b: &[f32],
    c: *mut f32,
    m: usize,
    n: usize,
    k: usize,
    alpha: f32,
    beta: f32,
    bug: bool,
) {
    let row = thread::index_2d().y as usize;
    let column = thread::index_2d().x as usize;
    if row < m && column < n {
        let mut sum = 0.0;
        for i in 0..k {
            sum += a[row * k + i] * b[i * n + column];
        }
        let element = unsafe { &mut *c.add(row * n + if bug { 0 } else { column }) };
        *element = alpha * sum + beta * *element;
    }
}

/// Columns and rows of a tile, and of a block.
pub const TILE: usize = 16;

/// The same by tiles in shared memory. With the bug, the barrier behind the loads is missing.
#[kernel]
pub unsafe fn gemm_tiled(
    a: &[f32],
    b: &[f32],
    c: *mut f32,
    m: usize,
    n: usize,
    k: usize,
    alpha: f32,
    beta: f32,
    bug: bool,
) {
    const ELEMENTS: usize = TILE * TILE;
    #[address_space(shared)]
    static mut TILE_A: [MaybeUninit<f32>; ELEMENTS] = [MaybeUninit::uninit(); ELEMENTS];
    #[address_space(shared)]
    static mut TILE_B: [MaybeUninit<f32>; ELEMENTS] = [MaybeUninit::uninit(); ELEMENTS];

    let (x, y) = (thread::thread_idx_x() as usize, thread::thread_idx_y() as usize);
    let row = thread::block_idx_y() as usize * TILE + y;
    let column = thread::block_idx_x() as usize * TILE + x;
    let mut sum = 0.0;
    for first in (0..k).step_by(TILE) {
        let of_a = if row < m && first + x < k { a[row * k + first + x] } else { 0.0 };
        let of_b = if column < n && first + y < k { b[(first + y) * n + column] } else { 0.0 };
        unsafe {
            TILE_A[y * TILE + x].write(of_a);
            TILE_B[y * TILE + x].write(of_b);
        }
        if !bug {
            thread::sync_threads();
        }
        for i in 0..TILE {
            sum +=
                unsafe { TILE_A[y * TILE + i].assume_init() * TILE_B[i * TILE + x].assume_init() };
        }
        thread::sync_threads();
    }
    if row < m && column < n {
        let element = unsafe { &mut *c.add(row * n + column) };
        *element = alpha * sum + beta * *element;
    }
}

/// Adds the sum of each block's elements to `total`: by shuffles in a warp, and then over the
/// warps' sums in shared memory. With the bug, the barrier between the two is missing.
#[kernel]
pub unsafe fn reduce(input: &[u32], total: *mut u32, bug: bool) {
    let sums = shared_array![u32; 32];
    let i = thread::index_1d() as usize;
    let mut sum = if i < input.len() { input[i] } else { 0 };
    for distance in [16, 8, 4, 2, 1] {
        let (other, _) = unsafe { warp::warp_shuffle_down(!0, sum, distance, 32) };
        sum += other;
    }
    let (lane, this_warp) = (warp::lane_id(), thread::thread_idx_x() as usize / 32);
    if lane == 0 {
        unsafe { *sums.add(this_warp) = sum };
    }
    if !bug {
        thread::sync_threads();
    }
    if thread::thread_idx_x() == 0 {
        let warps = thread::block_dim_x() as usize / 32;
        let mut block = 0;
        for other in 0..warps {
            block += unsafe { *sums.add(other) };
        }
        unsafe { AtomicU32::from_ptr(total) }.fetch_add(block, Ordering::Relaxed);
    }
}

/// Bins of the histogram.
pub const BINS: usize = 64;

/// Counts each byte's upper six bits: in shared memory, and then on the device. With the bug, the
/// counts are no atomic operations.
#[kernel]
pub unsafe fn histogram(input: &[u8], bins: *mut u32, bug: bool) {
    let counts = shared_array![u32; BINS];
    let t = thread::thread_idx_x() as usize;
    if t < BINS {
        unsafe { *counts.add(t) = 0 };
    }
    thread::sync_threads();
    let i = thread::index_1d() as usize;
    if i < input.len() {
        let bin = unsafe { counts.add(input[i] as usize >> 2) };
        if bug {
            unsafe { *bin += 1 };
        } else {
            unsafe { AtomicU32::from_ptr(bin) }.fetch_add(1, Ordering::Relaxed);
        }
    }
    thread::sync_threads();
    if t < BINS {
        let bin = unsafe { AtomicU32::from_ptr(bins.add(t)) };
        bin.fetch_add(unsafe { *counts.add(t) }, Ordering::Relaxed);
    }
}

/// A place, a mass, and a speed.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Debug)]
#[allow(missing_docs)]
pub struct Body {
    pub x: f32,
    pub y: f32,
    pub z: f32,
    pub mass: f32,
}

/// The time of a step, and what keeps bodies from meeting.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Step {
    pub seconds: f32,
    pub softening: f32,
}

/// Moves bodies by the gravity of all others. With the bug, it writes to the bodies that the other
/// threads still read.
#[kernel]
pub unsafe fn n_body(bodies: &[Body], moved: *mut Body, step: Step, bug: bool) {
    let i = thread::index_1d() as usize;
    if i >= bodies.len() {
        return;
    }
    let body = bodies[i];
    let mut force = [0.0; 3];
    for other in bodies {
        let away = [other.x - body.x, other.y - body.y, other.z - body.z];
        let square = away[0] * away[0] + away[1] * away[1] + away[2] * away[2] + step.softening;
        let strength = other.mass / (square * GpuFloat::sqrt(square));
        for axis in 0..3 {
            force[axis] += away[axis] * strength;
        }
    }
    let [x, y, z] = force.map(|part| part * step.seconds);
    let result = Body { x: body.x + x, y: body.y + y, z: body.z + z, ..body };
    let output = if bug { bodies.as_ptr().cast_mut() } else { moved };
    unsafe { *output.add(i) = result };
}

/// Averages the 3 * 3 neighbours of each pixel, of which there are fewer at the edge. With the bug,
/// the last row has neighbours too many.
#[kernel]
pub unsafe fn blur(image: *const u8, blurred: *mut u8, width: u32, height: u32, bug: bool) {
    let thread::UVec2 { x, y } = thread::index_2d();
    if x >= width || y >= height {
        return;
    }
    let (mut sum, mut count) = (0, 0);
    let last_row = height - 1 + bug as u32;
    for row in y.saturating_sub(1)..=(y + 1).min(last_row) {
        for column in x.saturating_sub(1)..=(x + 1).min(width - 1) {
            sum += unsafe { *image.add((row * width + column) as usize) } as u32;
            count += 1;
        }
    }
    unsafe { *blurred.add((y * width + x) as usize) = (sum / count) as u8 };
}

/// Products, quotients and remainders of 128 bits. With the bug, `b` is not looked at for zero.
#[kernel]
pub unsafe fn wide(
    a: &[u128],
    b: &[u128],
    product: *mut u128,
    quotient: *mut u128,
    remainder: *mut i128,
    bug: bool,
) {
    let i = thread::index_1d() as usize;
    if i >= a.len() {
        return;
    }
    let divisor = if bug || b[i] != 0 { b[i] } else { 1 };
    unsafe {
        *product.add(i) = a[i].wrapping_mul(b[i]);
        *quotient.add(i) = a[i] / divisor;
        *remainder.add(i) = (a[i] as i128).wrapping_rem(divisor as i128);
    }
}

/// Increments a counter under a lock that is taken by compare-and-swap. With the bug, the lock is
/// given back without a release.
#[kernel]
pub unsafe fn locked(lock: *mut u32, counter: *mut u32, bug: bool) {
    if warp::lane_id() != 0 {
        return;
    }
    let lock = unsafe { AtomicU32::from_ptr(lock) };
    while lock.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {}
    unsafe { *counter += 1 };
    lock.store(0, if bug { Ordering::Relaxed } else { Ordering::Release });
}

/// Adds up each element and its mirror image, by accessors and by pointers, and keeps the greatest
/// sum. With the bug, the barrier between the writes and the reads is missing.
#[kernel]
pub unsafe fn mirrored(words: Global<u32>, greatest: *mut u32, bug: bool) {
    let by_accessor = shared_words![u32; 64];
    let by_pointer = shared_array![u64; 64];
    let t = thread::thread_idx_x() as usize;
    unsafe {
        by_accessor.set(t, words.get(t));
        *by_pointer.add(t) = words.get(t) as u64;
        if !bug {
            thread::sync_threads();
        }
        let sum = by_accessor.get(t) + *by_pointer.add(63 - t) as u32;
        words.fetch_add(64, sum, Ordering::Relaxed, Scope::Device);
        mid::atomic_fetch_max_u32_device(greatest, Ordering::Relaxed, sum);
    }
}

/// Adds up, in the block that comes last, what each block has left in `parts`. With the bug, blocks
/// are counted by an operation that orders the threads of one block alone.
#[kernel]
pub unsafe fn last_block_adds(
    input: &[u32],
    parts: *mut u32,
    arrived: *mut u32,
    total: *mut u32,
    bug: bool,
) {
    if thread::thread_idx_x() != 0 {
        return;
    }
    let (block, blocks) = (thread::block_idx_x() as usize, thread::grid_dim_x() as usize);
    unsafe {
        *parts.add(block) = input[block];
        let earlier = match bug {
            true => mid::atomic_fetch_add_u32_block(arrived, Ordering::AcqRel, 1),
            false => mid::atomic_fetch_add_u32_device(arrived, Ordering::AcqRel, 1),
        };
        if earlier as usize + 1 == blocks {
            let mut sum = 0;
            for other in 0..blocks {
                sum += *parts.add(other);
            }
            *total = sum;
        }
    }
}

/// Prints the elements above a limit. With the bug, one thread too many reads one.
#[kernel]
pub unsafe fn outliers(input: &[f32], limit: f32, bug: bool) {
    let i = thread::index_1d() as usize;
    if i < input.len() + bug as usize {
        let element = unsafe { *input.as_ptr().add(i) };
        if element > limit {
            println!("element {i} is {element:?}, {:.1} over the limit", element - limit);
        }
    }
}

/// Asserts that both arrays are equal. On a device a difference ends the launch.
#[kernel]
pub unsafe fn compare(a: &[i32], b: &[i32]) {
    let i = thread::index_1d() as usize;
    if i < a.len() {
        assert_eq!(a[i], b[i], "element {i}");
    }
}

/// Kernels of one body for several types, by accessors.
macro_rules! neighbours {
    ($($name:ident, $word:ident;)*) => { $(
        /// Takes each element from its right neighbour. With the bug, a barrier is missing.
        #[kernel]
        pub unsafe fn $name(words: Global<$word>, bug: bool) {
            let (t, n) = (thread::thread_idx_x() as usize, thread::block_dim_x() as usize);
            unsafe {
                let next = words.get((t + 1) % n);
                if !bug {
                    thread::sync_threads();
                }
                words.set(t, next);
            }
        }
    )* };
}

neighbours! {
    neighbours_u16, u16;
    neighbours_f64, f64;
}

macro_rules! functions {
    ($($kernel:ident: $float:ident;)*) => { $(
        /// Applies functions of `std` and others to each point. With the bug, all threads write the
        /// first point's results.
        #[kernel]
        pub unsafe fn $kernel(points: &[$float], results: *mut $float, bug: bool) {
            let i = thread::index_1d() as usize;
            if i >= points.len() {
                return;
            }
            let x = points[i];
            let (sin, cos) = x.sin_cos();
            let (sinpi, cospi) = x.sincospi();
            let (fraction, exponent) = x.frexp();
            let of_x = [
                x.sqrt(), x.round(), x.exp(), x.ln(), sin, cos, x.cbrt(), x.tanh(), x.powf(2.5),
                x.powi(-3), x.hypot(3.0), x.atan2(2.0),
                sinpi, cospi, x.error_function(), x.complementary_error_function(),
                x.scaled_complementary_error_function(),
                (x / 8.0).inv_complementary_error_function(), x.norm_cdf(),
                (x / 16.0).inv_norm_cdf(), FloatExt::gamma(x), x.log_gamma(), x.j0(), x.jn(2),
                x.y1(), x.rcbrt(),
                fraction, exponent as $float, x.unbiased_exp() as $float, x.saturate().ldexp(5),
            ];
            let first = if bug { 0 } else { of_x.len() * i };
            for k in 0..of_x.len() {
                let result = unsafe { &mut *results.add(first + k) };
                *result = of_x[k];
            }
        }
    )* };
}

functions! {
    functions_f32: f32;
    functions_f64: f64;
}

/// Adds 16-bit numbers, rounded to 16 bits, and behind all sums each sum as a `bf16`. With the bug,
/// it looks at one element too many.
#[cfg(feature = "half")]
#[kernel]
pub unsafe fn halves(a: &[f16], b: &[f16], sums: *mut u16, bug: bool) {
    let i = thread::index_1d() as usize;
    if i < a.len() + bug as usize {
        let sum = a[i] + b[i];
        unsafe {
            *sums.add(i) = sum.to_bits();
            *sums.add(a.len() + i) = cuda_std::bf16::from_f32(sum.to_f32()).to_bits();
        }
    }
}
