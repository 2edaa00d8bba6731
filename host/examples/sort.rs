//! Sorts a `Vec` and a buffer on the GPU; says why where there is none.

use cust::memory::DeviceBuffer;
use host::gpu::{Device, GpuSorter, Order};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = match Device::open() {
        Ok(device) => device,
        Err(missing) => {
            println!("no GPU: {missing}");
            return Ok(());
        }
    };
    device.enter()?;
    let sorter = GpuSorter::new(device);
    let mut keys = vec![2.5, -1.0, 0.0];
    sorter.sort_slice(&mut keys, Order::descending())?;
    let mut buffer = DeviceBuffer::from_slice(&[3u64, 1, 2])?;
    sorter.sort(&mut buffer)?;
    println!("{keys:?} {:?}", buffer.as_host_vec()?);
    Ok(())
}
