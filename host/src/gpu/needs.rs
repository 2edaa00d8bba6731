//! What memory a sort needs beside its arguments.

use cust::memory::DeviceBuffer;
use gpu_kernels::control;

use super::device::failed;
use super::workspace::{Cleared, Layout, Parts, Workspace};
use super::{GpuKey, Payload, Sort};
use crate::error::Error;

impl<K: GpuKey> Sort<K> {
    pub(super) fn layout(&self) -> Layout {
        let words = || self.control_words(self.capacity);
        Layout::of(&Parts {
            n: self.capacity,
            width: self.form().width,
            words: self.kernels.block.is_none().then(words),
            by_bucket: self.kernels.passes.locally.is_some(),
            paired: self.paired(),
            numeric: self.numeric(),
            gathered_width: self.gathered_width(),
            indexed: self.gathered_width() > 0 || self.numeric() && self.payload == Payload::None,
        })
    }

    /// Tiles of a pass over `n` keys.
    fn tiles(&self, n: u64) -> usize {
        n.div_ceil(u64::from(self.kernels.passes.onesweep.tile)) as usize
    }

    fn control_words(&self, n: u64) -> usize {
        if self.kernels.passes.few {
            control::words_of_few(self.tiles(n))
        } else {
            control::words(self.form().width, self.tiles(n))
        }
    }

    /// Bytes of GPU memory that a run needs beside its arguments: none where one block
    /// sorts all keys, with values of 4 bytes, indices or nothing, and not in numeric
    /// order.
    pub fn workspace_bytes(&self) -> u64 {
        self.layout().end
    }

    /// The same when the caller gives second buffers
    /// ([`keys_ping_pong`](Self::keys_ping_pong),
    /// [`pairs_ping_pong`](Self::pairs_ping_pong)). No less in numeric order, and with
    /// values that are not of 4 bytes: those are not moved by each pass.
    pub fn ping_pong_bytes(&self) -> u64 {
        let layout = self.layout();
        if self.takes_second() {
            layout.values
        } else {
            layout.end
        }
    }

    /// Whether second buffers of the caller's are used.
    pub(super) fn takes_second(&self) -> bool {
        !self.numeric() && self.gathered_width() == 0
    }

    /// Allocates what a run needs.
    ///
    /// # Errors
    /// Too little GPU memory.
    pub fn workspace(&self) -> Result<Workspace, Error> {
        self.allocate(self.workspace_bytes())
    }

    /// Allocates what a run with the caller's second buffers needs.
    ///
    /// # Errors
    /// Too little GPU memory.
    pub fn ping_pong_workspace(&self) -> Result<Workspace, Error> {
        self.allocate(self.ping_pong_bytes())
    }

    fn allocate(&self, needed: u64) -> Result<Workspace, Error> {
        let (available, _) = self.device.memory()?;
        if needed > available {
            return Err(Error::Memory {
                n: self.capacity(),
                what: "GPU memory".to_owned(),
                needed,
                available,
            });
        }
        // SAFETY: what a run reads of a workspace, it has written.
        let memory = unsafe { DeviceBuffer::uninitialized(needed as usize) };
        Ok(Workspace::over(
            memory.map_err(failed("allocating a workspace"))?,
        ))
    }

    /// What control words have to be before a sort.
    pub(super) fn to_be_clear(&self) -> Cleared {
        if self.kernels.passes.few {
            let tiles = self.tiles(self.capacity);
            Cleared::Rows { tiles }
        } else {
            let width = self.form().width;
            Cleared::Bins { width }
        }
    }
}
