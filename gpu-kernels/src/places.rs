//! Where the keys of a bucket stand, for a [local sort](crate::local_sort): in one place, or with
//! [several devices](crate::gathered_sort).

use cuda_std::ext::Word;
use cuda_std::ext::memory::Global;

/// A thread's keys of a bucket: `first` and every 32nd after it, as far as there are any `left`
/// from there on.
#[derive(Clone, Copy)]
pub(crate) struct Share {
    pub(crate) first: u32,
    pub(crate) left: u32,
}

impl Share {
    #[inline(always)]
    pub(crate) fn has(self, i: usize) -> bool {
        32 * (i as u32) < self.left
    }
}

/// Where the keys of a bucket stand.
pub(crate) trait Places: Copy {
    /// True if finding them takes so many registers that keys and values are not loaded at once.
    const APART: bool;

    /// A thread's share of what stands `from` some array's start on, for a bucket that begins
    /// `begin` places after it.
    unsafe fn load<T: Word, const ITEMS: usize>(
        self,
        from: Global<T>,
        begin: u32,
        share: Share,
    ) -> [T; ITEMS];
}

/// One place: they stand where they go.
#[derive(Clone, Copy)]
pub(crate) struct Together;

impl Places for Together {
    const APART: bool = false;

    #[inline(always)]
    unsafe fn load<T: Word, const ITEMS: usize>(
        self,
        from: Global<T>,
        begin: u32,
        share: Share,
    ) -> [T; ITEMS] {
        let from = from.offset((begin + share.first) as usize);
        let mut loaded = [T::default(); ITEMS];
        for i in 0..ITEMS {
            if share.has(i) {
                loaded[i] = from.get(32 * i);
            }
        }
        loaded
    }
}
