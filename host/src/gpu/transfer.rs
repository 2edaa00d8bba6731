//! Copies between pageable host memory and the device.
//!
//! The copy engines read and write pinned memory only. For pageable memory the driver stages the
//! bytes through pinned memory of its own, on one thread. Here the thread that owns a chunk does
//! the staging, through two pinned pieces: while the copy engine has one, the thread fills or
//! empties the other. At a higher level more threads stage, which is what makes the copies scale.

use cust::context::CurrentContext;
use cust::event::Event;
use cust::memory::{AsyncCopyDestination, DeviceBuffer, DeviceCopy, DeviceSlice, LockedBuffer};
use cust::stream::Stream;

use super::GpuKey;
use super::stream::{event, record};
use crate::error::{Error, failed};

/// Most bytes of a piece: long enough for the copy engine to run at full speed.
const PIECE_BYTES_MAX: usize = 4 << 20;
/// Least bytes of a piece.
const PIECE_BYTES_MIN: usize = 64 << 10;

/// Elements of the host, on the device.
///
/// A copy from pageable memory may return with its last bytes still on their way, and the streams
/// here wait for nobody's: so this waits until they are there.
pub fn upload<T: DeviceCopy>(elements: &[T]) -> Result<DeviceBuffer<T>, Error> {
    let copied = DeviceBuffer::from_slice(elements);
    let there = copied.and_then(|buffer| CurrentContext::synchronize().map(|()| buffer));
    there.map_err(failed("copying keys to the GPU"))
}

/// Two pinned pieces and what says that the copy engine is done with each.
pub struct Staging<K: GpuKey> {
    pieces: [Piece<K>; 2],
}

struct Piece<K: GpuKey> {
    buffer: LockedBuffer<K>,
    copied: Event,
}

impl<K: GpuKey> Staging<K> {
    /// Staging for chunks of up to `keys` keys: pieces of a quarter of that, within bounds, so
    /// that a small chunk overlaps its copies too.
    pub fn new(keys: usize) -> Result<Self, Error> {
        let bytes = Self::bytes(keys) as usize / 2;
        let piece = || {
            Ok::<_, Error>(Piece {
                buffer: LockedBuffer::new(&K::default(), bytes / size_of::<K>())
                    .map_err(failed("allocating pinned memory"))?,
                copied: event()?,
            })
        };
        Ok(Staging { pieces: [piece()?, piece()?] })
    }

    /// Bytes of pinned memory that staging for `keys` keys takes.
    pub fn bytes(keys: usize) -> u64 {
        2 * (keys * size_of::<K>() / 4).clamp(PIECE_BYTES_MIN, PIECE_BYTES_MAX) as u64
    }

    /// Copies `from` to `to` on `stream`. `from` may be used again on return; `to` is complete
    /// when the stream has run.
    pub fn upload(
        &mut self,
        from: &[K],
        to: &DeviceSlice<K>,
        stream: &Stream,
    ) -> Result<(), Error> {
        let length = self.pieces[0].buffer.len();
        for (i, keys) in from.chunks(length).enumerate() {
            let piece = &mut self.pieces[i % 2];
            piece.wait()?;
            let pinned = &mut piece.buffer.as_mut_slice()[..keys.len()];
            pinned.copy_from_slice(keys);
            let mut target = to.index(i * length..i * length + keys.len());
            // SAFETY: the piece stays as it is until its event says that the copy has run; the
            // target is the caller's until the stream has.
            unsafe { target.async_copy_from(pinned, stream) }
                .map_err(failed("copying keys to the GPU"))?;
            record(&piece.copied, stream)?;
        }
        Ok(())
    }

    /// Copies `from` to `to` after what is on `stream`. Returns when `to` is complete.
    pub fn download(
        &mut self,
        from: &DeviceSlice<K>,
        to: &mut [K],
        stream: &Stream,
    ) -> Result<(), Error> {
        let length = self.pieces[0].buffer.len();
        let count = to.len().div_ceil(length);
        let start = |staging: &mut Self, i: usize| {
            let end = (i * length + length).min(from.len());
            let piece = &mut staging.pieces[i % 2];
            let pinned = &mut piece.buffer.as_mut_slice()[..end - i * length];
            // SAFETY: the piece is not looked at until its event says that the copy has run; the
            // source is the caller's until the stream has.
            unsafe { from.index(i * length..end).async_copy_to(pinned, stream) }
                .map_err(failed("copying keys from the GPU"))?;
            record(&piece.copied, stream)
        };
        for i in 0..count.min(2) {
            start(self, i)?;
        }
        for (i, keys) in to.chunks_mut(length).enumerate() {
            let piece = &mut self.pieces[i % 2];
            piece.wait()?;
            keys.copy_from_slice(&piece.buffer.as_slice()[..keys.len()]);
            if i + 2 < count {
                start(self, i + 2)?;
            }
        }
        Ok(())
    }
}

impl<K: GpuKey> Piece<K> {
    fn wait(&self) -> Result<(), Error> {
        self.copied.synchronize().map_err(failed("copying keys"))
    }
}
