//! Accesses by raw pointers, references and slices, of crates that the compiler instruments.
//!
//! rustc's thread sanitizer puts a call before each access that may be to shared data
//! (`__tsan_read4(address)` and its kin) and calls in place of atomic operations and copies. The
//! emulator owns these symbols: it finds the buffer or shared array by the address, and checks as
//! it checks an accessor's access. The line is that of the call's return address.
//!
//! Three kinds of accesses are not checked: those of a thread to its own stack, those to the
//! program's constants, and those that the emulator's inline functions make within a kernel, for
//! which a flag is set whenever one of them runs.

mod hooks;
mod symbols;

use super::access::Access;
use super::access_kind::AccessKind;
use super::addresses::{Inside, Program};
use super::allocation::Allocation;
use super::atomics::MemoryOrder;
use super::finding::Kind;
use super::launch::{Launch, current_or_none};
use super::location::{Line, SourceLocation};

impl Launch {
    /// Runs `f` on the checked pieces of an access: powers of two, aligned to their size.
    fn pieces(
        &self,
        address: usize,
        size: usize,
        kind: AccessKind,
        at: SourceLocation,
        mut f: impl FnMut(&Access),
    ) {
        let program = Program::here();
        let is_constant = (program.begin..program.statics).contains(&address);
        if size == 0 || (is_constant && !kind.has(AccessKind::WRITE)) {
            return;
        }
        let mut done = 0;
        while done < size {
            let address = address + done;
            let Some((memory, offset)) = self.addresses.find(address, &self.shared, self.me().slot)
            else {
                self.fail_unknown(address, size - done, kind, at);
            };
            let aligned = if offset == 0 { 16 } else { 1 << offset.trailing_zeros().min(4) };
            let rest = size - done;
            let size = aligned.min(1 << rest.ilog2().min(4));
            f(&Access { memory, offset, size, kind, at });
            done += size;
        }
    }

    /// Checks a plain access, which the kernel then makes.
    fn plain(&self, address: usize, size: usize, kind: AccessKind, at: SourceLocation) {
        self.pieces(address, size, kind, at, |access| {
            self.begin(access);
            if self.buffers_stores {
                // It is made at once, and so after what the buffers hold for the same bytes.
                self.state.borrow_mut().commit_overlapping(self.me().lane, access);
            }
            if kind.has(AccessKind::WRITE) {
                self.note_progress();
                if self.has_sleepers.get() {
                    let mut state = self.state.borrow_mut();
                    state.wake(access.pointer() as usize, access.size);
                    self.has_sleepers.set(!state.sleepers.by_address.is_empty());
                }
            }
        });
    }

    #[cold]
    fn fail_unknown(&self, address: usize, size: usize, kind: AccessKind, at: SourceLocation) -> ! {
        /// An address farther away is not that of a neighbouring element.
        const NEAR: usize = 1 << 16;
        let mut nearest: Option<(&Allocation, usize)> = None;
        let mut consider = |memory: &Allocation| {
            // SAFETY: buffers and shared arrays exist as long as the launch.
            let memory = unsafe { &*std::ptr::from_ref(memory) };
            let distance = address.wrapping_sub(memory.base as usize);
            if distance < memory.bytes + NEAR && nearest.is_none_or(|(_, least)| distance < least) {
                nearest = Some((memory, distance));
            }
        };
        self.shared.for_each(self.me().slot, &mut consider);
        if let Some(live) = self.addresses.nearest_buffer(address) {
            // SAFETY: the buffer exists.
            consider(unsafe { &*live.memory });
        }
        let size = 1 << size.ilog2().min(4);
        if let Some((memory, offset)) = nearest {
            let access = Access { memory, offset, size, kind, at };
            self.fail(Kind::OutOfBounds, at, None, access.report());
        }
        let message = format!(
            "{} of {size} bytes at {address:#x}, which is in no buffer, in no shared array of the \
             block, and no local variable of the thread",
            kind.describe()
        );
        self.fail(Kind::OutOfBounds, at, None, message)
    }

    /// Lets the running thread make an atomic operation on a word of 4 or 8 bytes.
    pub(super) fn atomic<R>(
        &self,
        (address, size): (usize, usize),
        kind: AccessKind,
        at: SourceLocation,
        f: impl FnOnce(&Access) -> R,
    ) -> R {
        let Some((memory, offset)) = self.addresses.find(address, &self.shared, self.me().slot)
        else {
            self.fail_unknown(address, size, kind, at);
        };
        let access = Access { memory, offset, size, kind, at };
        f(&access)
    }

    /// Runs the emulator's own code for an access.
    pub(super) fn inside<R>(&self, f: impl FnOnce() -> R) -> R {
        let _inside = Inside::enter(&self.addresses);
        f()
    }
}

/// The launch whose kernel makes an access to `address` that is to be checked.
pub(super) fn checked_launch(address: usize) -> Option<&'static Launch> {
    let launch = current_or_none()?;
    let own = &launch.addresses;
    let is_checked = !own.is_inside.get() && !own.is_on_stack(launch.me().lane, address);
    is_checked.then_some(launch)
}
