//! Criterion over the kernel: device time by events, and every result verified.
//!
//! `cuda_builder` compiles the kernel when there is a GPU. Without one it runs in the emulator, and
//! the benchmark's name says so.

use std::fs;
use std::process;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use criterion::{Criterion, Throughput};
use cuda_builder::CudaBuilder;
use cuda_std::emu::{self, Buffer};
use cust::context::CurrentContext;
use cust::event::{Event, EventFlags};
use cust::launch;
use cust::memory::DeviceBuffer;
use cust::module::Module;
use cust::stream::{Stream, StreamFlags};
use your_kernel::{THREADS, scale};

/// The crate of the kernel.
const KERNEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const FACTOR: u32 = 3;
/// Content of an output before the kernel writes it.
const POISON: u8 = 0xA5;

fn main() -> Result<()> {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .without_plots();
    match cuda_driver::open() {
        Ok(()) => {
            let _context = cust::quick_init()?;
            on_device(&mut criterion)?;
        }
        Err(missing) => {
            println!("no GPU: {missing}; the emulator's times say nothing of a GPU's");
            in_emulator(&mut criterion)?;
        }
    }
    criterion.final_summary();
    Ok(())
}

fn on_device(criterion: &mut Criterion) -> Result<()> {
    let numbers = numbers(1 << 24);
    let n = numbers.len() as u32;
    let ptx = CudaBuilder::new(KERNEL).build()?;
    let module = Module::from_ptx(fs::read_to_string(ptx)?, &[])?;
    let kernel = module.get_function("scale")?;
    let stream = Stream::new(StreamFlags::DEFAULT, None)?;
    let (start, end) = (Event::new(EventFlags::DEFAULT)?, Event::new(EventFlags::DEFAULT)?);
    let input = DeviceBuffer::from_slice(&numbers)?;
    let mut output = DeviceBuffer::<u32>::zeroed(numbers.len())?;
    bench(criterion, "device", &numbers, |count| {
        output.set_8(POISON)?;
        CurrentContext::synchronize()?;
        start.record(&stream)?;
        for _ in 0..count {
            let (from, to) = (input.as_device_ptr(), output.as_device_ptr());
            let blocks = n.div_ceil(THREADS);
            // SAFETY: the parameters are the kernel's, a slice as pointer and length; both arrays
            // have as many elements, are apart, and live until the end has come to pass.
            unsafe {
                launch!(kernel<<<blocks, THREADS, 0, stream>>>(from, numbers.len(), to, FACTOR))?
            };
        }
        end.record(&stream)?;
        end.synchronize()?;
        let seconds = f64::from(end.elapsed_time_f32(&start)?) / 1e3;
        Ok((Duration::from_secs_f64(seconds), output.as_host_vec()?))
    })
}

fn in_emulator(criterion: &mut Criterion) -> Result<()> {
    let numbers = numbers(1 << 12);
    let n = numbers.len() as u32;
    let from = Buffer::from_slice(&numbers);
    bench(criterion, "emulator", &numbers, |count| {
        let to = Buffer::<u32>::uninitialised(numbers.len());
        let begin = Instant::now();
        for _ in 0..count {
            let options = emu::Options::in_order();
            // SAFETY: both arrays have n elements and are apart.
            let run = || unsafe { scale(from.slice(), to.as_mut_ptr(), FACTOR) };
            let launched = emu::launch(n.div_ceil(THREADS), THREADS, 0, &options, run);
            launched.map_err(|finding| anyhow!("{finding}"))?;
        }
        Ok((begin.elapsed(), to.to_vec()))
    })
}

/// A benchmark `scale/NAME`. `sample` runs the kernel a number of times, and returns how long
/// that took and the last result; a wrong one ends the program, as an error does.
fn bench(
    criterion: &mut Criterion,
    name: &str,
    numbers: &[u32],
    mut sample: impl FnMut(u64) -> Result<(Duration, Vec<u32>)>,
) -> Result<()> {
    let mut verified = |count| {
        let (time, result) = sample(count)?;
        let expected = |(i, x): (usize, &u32)| FACTOR.wrapping_mul(*x).wrapping_add(i as u32);
        let expected = numbers.iter().enumerate().map(expected);
        let wrong = result.iter().zip(expected).position(|(found, right)| *found != right);
        ensure!(wrong.is_none(), "element {} is wrong", wrong.unwrap_or_default());
        Ok(time)
    };
    let mut group = criterion.benchmark_group("scale");
    group.throughput(Throughput::Elements(numbers.len() as u64));
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|count| {
            verified(count).unwrap_or_else(|error| {
                eprintln!("scale/{name}: {error:#}");
                process::exit(1)
            })
        });
    });
    group.finish();
    Ok(())
}

/// Numbers to scale, of which many wrap around.
fn numbers(n: u32) -> Vec<u32> {
    (0..n).map(|i| i.wrapping_mul(2_654_435_761)).collect()
}
