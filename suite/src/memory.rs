//! Large allocations, which are errors where there is too little memory.

use std::ptr;

pub use host::memory::{Room, available, bytes_of, mappable, require};

use crate::error::Error;
use crate::key::{Key, bytes, bytes_mut};
use crate::threads;

/// Room for `n` items and no more.
fn reserved<T>(n: usize) -> Result<Vec<T>, Error> {
    let needed = bytes_of::<T>(n);
    require(n, needed)?;
    let mut all = Vec::new();
    let reserved = all.try_reserve_exact(n);
    reserved.map_err(|_| host::Error::Refused { n, needed })?;
    Ok(all)
}

/// `n` items, made by all threads: `item` makes the one at an index.
pub fn collect<T: Copy + Send>(
    n: usize,
    item: impl Fn(usize) -> T + Sync,
) -> Result<Vec<T>, Error> {
    let mut all = reserved(n)?;
    let blocks = all.spare_capacity_mut()[..n].chunks_mut(threads::BLOCK);
    threads::each(blocks.enumerate(), |(block, room)| {
        for (place, index) in room.iter_mut().zip(block * threads::BLOCK..) {
            place.write(item(index));
        }
    });
    // SAFETY: each of the first n was written.
    unsafe { all.set_len(n) };
    Ok(all)
}

/// `n` keys of which every byte is `byte`, written by all threads.
pub(crate) fn filled<K: Key>(byte: u8, n: usize) -> Result<Vec<K>, Error> {
    let mut keys = reserved(n)?;
    threads::each(keys.spare_capacity_mut()[..n].chunks_mut(threads::BLOCK), |room| {
        // SAFETY: the room is as long as that, and every pattern of bits is a key.
        unsafe { ptr::write_bytes(room.as_mut_ptr(), byte, room.len()) };
    });
    // SAFETY: each of the first n was written.
    unsafe { keys.set_len(n) };
    Ok(keys)
}

/// `n` keys to be overwritten. Their memory is the process's already, so that the first to write
/// there does not wait for it.
pub(crate) fn buffer<K: Key>(n: usize) -> Result<Vec<K>, Error> {
    filled(POISON, n)
}

/// A copy of keys, as [`collect`] makes it.
pub(crate) fn copied<K: Key>(keys: &[K]) -> Result<Vec<K>, Error> {
    collect(keys.len(), |index| keys[index])
}

/// Bytes that a thread copies or overwrites at a time.
const BLOCK_BYTES: usize = 1 << 20;

/// Copies keys to as many others, by all threads.
pub(crate) fn copy<K: Key>(to: &mut [K], from: &[K]) {
    copy_bytes(bytes_mut(to), bytes(from), BLOCK_BYTES);
}

/// Copies bytes to as many others, by all threads of the current pool, `block` at a time.
pub(crate) fn copy_bytes(to: &mut [u8], from: &[u8], block: usize) {
    threads::each(to.chunks_mut(block).zip(from.chunks(block)), |(to, from)| {
        to.copy_from_slice(from);
    });
}

/// Byte in a result before it is written.
pub(crate) const POISON: u8 = 0xA5;

/// Overwrites keys, so that what they are afterwards is what was written to them.
pub(crate) fn poison<K: Key>(keys: &mut [K]) {
    threads::each(bytes_mut(keys).chunks_mut(BLOCK_BYTES), |block| block.fill(POISON));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_there_is_is_refused_before_it_is_taken() {
        let error = buffer::<u64>(usize::MAX / 4).unwrap_err().to_string();
        assert!(error.contains("choose a smaller n"), "{error}");
        assert_eq!(filled::<u32>(7, 3).unwrap(), [0x0707_0707; 3]);
        assert_eq!(collect(3, |index| index).unwrap(), [0, 1, 2]);
    }
}
