//! The engine `gpu`: one array, streamed through the GPU while the host's threads copy.
//!
//! The copy engines reach page-locked memory only, so every key is copied within the host's
//! memory before it leaves for the GPU and after it has come back. At level c, c threads do that,
//! through two rings of a few page-locked pieces which stay in the processor's cache, all threads
//! on one piece at a time. One of them is the calling thread. It alone talks to the driver: it
//! hands the pieces that are full to a [`StreamedSort`], takes back those of the result, and
//! copies while it has neither to do.
//!
//! Pieces are short at both ends, so that the copy engines start early and the threads end soon
//! after them, and long in the middle. Threads spin, as a wait for the system would be as long as
//! a piece takes. Where there is a core for each, each stays on its own: two on one core would
//! hold up all others.

use std::ops::Range;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use cust::event::{Event, EventFlags, EventStatus};
use cust::memory::LockedBuffer;
use rayon::ThreadPool;

use host::error::NoGpu;
use host::error::failed;
use host::gpu::Device;
use host::gpu::streamed::StreamedSort;

use crate::engine::Engine;
use crate::engines::GPU;
use crate::error::{Error, Unavailable};
use crate::key::Key;
use crate::threads::{self, Cores};

/// Most threads of a level.
pub(crate) const LEVEL_MAX: usize = 1024;
/// Pieces of a ring at level 1, and at most; one more for each `LEVELS_A_PIECE`. Few threads gain by
/// a small ring, which more of the cache holds, and many by pieces on which they do not wait.
const RING: (usize, usize) = (2, 5);
const LEVELS_A_PIECE: usize = 4;
/// Least and most bytes of the longest pieces: two rings of the longest fit in a cache.
const PIECE_BYTES: (usize, usize) = (128 << 10, 8 << 20);
/// Halvings from the longest piece to the shortest ones, at both ends.
const HALVINGS: u32 = 4;
/// Bytes that a thread copies at a time.
const CHUNK_BYTES: usize = 32 << 10;
/// Looks at what it waits for before a thread lets others run.
const SPINS: u32 = 1 << 10;

/// The engine on the GPU of [`Device::open`].
pub fn open<K: Key>() -> Result<Box<dyn Engine<K>>, Unavailable> {
    Ok(Box::new(Streamed { device: Device::open()?, prepared: None }))
}

impl From<NoGpu> for Unavailable {
    fn from(missing: NoGpu) -> Self {
        Self { engine: GPU, reason: missing.0 }
    }
}

impl From<NoGpu> for Error {
    fn from(missing: NoGpu) -> Self {
        Self::Unavailable(missing.into())
    }
}

/// Refuses a level of 0, and one beyond the most.
pub(crate) fn check_level(engine: &'static str, level: usize) -> Result<(), Error> {
    match level {
        0 => Err(Error::LevelZero),
        _ if level > LEVEL_MAX => Err(Error::LevelTooHigh { engine, level, limit: LEVEL_MAX }),
        _ => Ok(()),
    }
}

/// The engine.
struct Streamed<K: Key> {
    device: Arc<Device>,
    prepared: Option<Prepared<K>>,
}

/// State for sorts of so many keys at one level.
struct Prepared<K: Key> {
    level: usize,
    /// All threads of the level but the calling one; none at level 1.
    others: Option<ThreadPool>,
    cores: Cores,
    sort: StreamedSort<K>,
    pieces: Pieces,
    inward: Ring<K>,
    outward: Ring<K>,
}

impl<K: Key> Engine<K> for Streamed<K> {
    fn name(&self) -> &'static str {
        GPU
    }

    fn scratch_bytes(&self, n: usize, level: usize) -> u64 {
        (2 * ring(level) * Pieces::longest(n * size_of::<K>())) as u64
    }

    fn prepare(&mut self, n: usize, level: usize) -> Result<(), Error> {
        check_level(GPU, level)?;
        // The buffers of an earlier level go first: their memory may be needed.
        self.prepared = None;
        let sort = StreamedSort::new(Arc::clone(&self.device), n.max(1))?;
        let pieces = Pieces::of::<K>(n);
        self.prepared = Some(Prepared {
            level,
            others: (level > 1).then(|| threads::pool(GPU, level - 1)).transpose()?,
            cores: Cores::for_threads(level),
            sort,
            inward: Ring::new(&pieces, level)?,
            outward: Ring::new(&pieces, level)?,
            pieces,
        });
        Ok(())
    }

    fn sort(&mut self, keys: &mut [K]) -> Result<(), Error> {
        let n = keys.len();
        if n == 0 {
            return Ok(());
        }
        let prepared = self.prepared.as_ref().map_or(0, |ready| ready.sort.len());
        match &self.prepared {
            // The runs of fewer keys are others.
            Some(ready) if n < prepared => self.prepare(n, ready.level)?,
            Some(_) if n == prepared => {}
            _ => return Err(Error::NotPrepared { engine: GPU, n, prepared }),
        }
        match &mut self.prepared {
            Some(ready) => ready.sort(keys),
            None => Ok(()),
        }
    }
}

impl<K: Key> Prepared<K> {
    fn sort(&mut self, keys: &mut [K]) -> Result<(), Error> {
        self.sort.begin()?;
        let crew = Crew {
            keys: keys.as_mut_ptr(),
            pieces: &self.pieces,
            inward: Way::new(
                &mut self.inward,
                &self.pieces,
                ring(self.level),
                |slot, keys, count| {
                    // SAFETY: the contract of the crew.
                    unsafe { slot.copy_from_nonoverlapping(keys, count) };
                },
            ),
            outward: Way::new(&mut self.outward, &self.pieces, 0, |slot, keys, count| {
                // SAFETY: as above.
                unsafe { copy_past_cache(slot.cast(), keys.cast(), count * size_of::<K>()) };
            }),
            is_stopped: AtomicBool::new(false),
        };
        let (sort, cores, crew) = (&mut self.sort, &self.cores, &crew);
        let _bound = cores.bind_for_now(0);
        let Some(others) = &self.others else {
            return crew.drive(sort);
        };
        others.in_place_scope(|scope| {
            let _stop = Stop(&crew.is_stopped);
            scope.spawn_broadcast(move |_, thread| {
                cores.bind(thread.index() + 1);
                crew.copy();
            });
            crew.drive(sort)
        })
    }
}

/// Pieces of a ring at a level.
fn ring(level: usize) -> usize {
    (RING.0 + level / LEVELS_A_PIECE).min(RING.1)
}

/// The pieces of an array, and the chunks of these that threads copy.
struct Pieces {
    pieces: Vec<Range<usize>>,
    /// The piece of each chunk, and its keys.
    chunks: Vec<(usize, Range<usize>)>,
    /// Chunks of each piece.
    counts: Vec<usize>,
    /// Keys of the longest piece.
    longest: usize,
}

impl Pieces {
    /// Bytes of the longest piece of so many.
    fn longest(bytes: usize) -> usize {
        (bytes / 8).clamp(PIECE_BYTES.0, PIECE_BYTES.1)
    }

    /// The pieces of `n` keys.
    fn of<K>(n: usize) -> Self {
        let keys = |bytes: usize| (bytes / size_of::<K>()).max(1);
        let longest = keys(Self::longest(n * size_of::<K>()));
        let short: Vec<usize> = (1..=HALVINGS).rev().map(|halvings| longest >> halvings).collect();
        let ends: usize = 2 * short.iter().sum::<usize>();
        // Too few keys to begin with short ones are cut evenly.
        let short = if n < ends + longest { Vec::new() } else { short };
        let rest = n - 2 * short.iter().sum::<usize>();
        let mut lengths = short.clone();
        lengths.extend(vec![longest; rest / longest]);
        lengths.push(rest % longest);
        lengths.extend(short.iter().rev());
        let (mut pieces, mut start) = (Vec::new(), 0);
        for length in lengths.into_iter().filter(|&length| length > 0) {
            pieces.push(start..start + length);
            start += length;
        }
        let chunk = keys(CHUNK_BYTES);
        let (mut chunks, mut counts) = (Vec::new(), Vec::new());
        for (index, piece) in pieces.iter().enumerate() {
            let starts = piece.clone().step_by(chunk);
            counts.push(starts.len());
            chunks.extend(starts.map(|at| (index, at..(at + chunk).min(piece.end))));
        }
        Pieces { pieces, chunks, counts, longest }
    }
}

/// Page-locked memory for a few pieces, and what says that a copy engine is through with each.
struct Ring<K: Key> {
    slots: Vec<(LockedBuffer<K>, Event)>,
}

impl<K: Key> Ring<K> {
    fn new(pieces: &Pieces, level: usize) -> Result<Self, host::Error> {
        let slot = |_| {
            let buffer = LockedBuffer::new(&K::least(), pieces.longest);
            let event = Event::new(EventFlags::DISABLE_TIMING);
            Ok::<_, host::Error>((
                buffer.map_err(failed("allocating pinned memory"))?,
                event.map_err(failed("creating an event"))?,
            ))
        };
        Ok(Ring { slots: (0..ring(level)).map(slot).collect::<Result<_, _>>()? })
    }
}

/// The way of all pieces through a ring, in one direction.
struct Way<'a, K: Key> {
    slots: Vec<(*mut K, &'a Event)>,
    /// Copies the keys of a chunk, the first pointer being to the ring.
    copy: unsafe fn(*mut K, *mut K, usize),
    /// Pieces that threads may copy beside those that the copy engine is through with.
    ahead: usize,
    /// The chunk that a thread copies next.
    next: AtomicUsize,
    /// Chunks of each piece that threads have copied.
    copied: Vec<AtomicUsize>,
    /// Pieces that the copy engine is through with.
    passed: AtomicUsize,
}

impl<'a, K: Key> Way<'a, K> {
    fn new(
        ring: &'a mut Ring<K>,
        pieces: &Pieces,
        ahead: usize,
        copy: unsafe fn(*mut K, *mut K, usize),
    ) -> Self {
        let slots = ring.slots.iter_mut().map(|(slot, event)| (slot.as_mut_ptr(), &*event));
        Way {
            slots: slots.collect(),
            copy,
            ahead,
            next: AtomicUsize::new(0),
            copied: pieces.pieces.iter().map(|_| AtomicUsize::new(0)).collect(),
            passed: AtomicUsize::new(0),
        }
    }

    fn slot(&self, piece: usize) -> (*mut K, &'a Event) {
        self.slots[piece % self.slots.len()]
    }

    /// Returns true if threads may copy a piece.
    fn is_ready(&self, piece: usize) -> bool {
        self.passed.load(Ordering::Acquire) + self.ahead > piece
    }

    /// Finds out if the copy engine is through with one more of the pieces before `begun`.
    fn look(&self, begun: usize) -> Result<(), Error> {
        let passed = self.passed.load(Ordering::Relaxed);
        if passed < begun {
            let status = self.slot(passed).1.query().map_err(failed("copying keys"))?;
            if status == EventStatus::Ready {
                self.passed.store(passed + 1, Ordering::Release);
            }
        }
        Ok(())
    }
}

/// The threads of a level at work.
///
/// A slot of the ring inward belongs to the threads from when the copy engine is through with it
/// until all chunks of its next piece are copied, and then to the copy engine; one of the ring
/// outward, the other way about. Chunks are apart, and each is one thread's. The first key of the
/// result is copied when the last of the input has been.
struct Crew<'a, K: Key> {
    /// The array, input and result.
    keys: *mut K,
    pieces: &'a Pieces,
    inward: Way<'a, K>,
    outward: Way<'a, K>,
    is_stopped: AtomicBool,
}

// SAFETY: threads access keys and slots by turns, as said above.
unsafe impl<K: Key> Sync for Crew<'_, K> {}

impl<K: Key> Crew<'_, K> {
    /// Copies chunks until there are none left: the work of all threads but the calling one.
    fn copy(&self) {
        for way in [&self.inward, &self.outward] {
            loop {
                let next = way.next.fetch_add(1, Ordering::Relaxed);
                let Some((piece, _)) = self.pieces.chunks.get(next) else {
                    break;
                };
                let mut spins = Spins::default();
                while !way.is_ready(*piece) {
                    if self.is_stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    spins.spin();
                }
                self.copy_chunk(way, next);
            }
        }
    }

    /// Copies the next chunk of a direction, if it is ready; returns false if it is not.
    fn copy_next(&self, way: &Way<K>) -> bool {
        let next = way.next.load(Ordering::Relaxed);
        let chunk = self.pieces.chunks.get(next);
        if !chunk.is_some_and(|(piece, _)| way.is_ready(*piece)) {
            return false;
        }
        let taken = way.next.compare_exchange(next, next + 1, Ordering::Relaxed, Ordering::Relaxed);
        if taken.is_ok() {
            self.copy_chunk(way, next);
        }
        true
    }

    /// Copies a chunk, which is ready and this thread's.
    fn copy_chunk(&self, way: &Way<K>, chunk: usize) {
        let (piece, keys) = &self.pieces.chunks[chunk];
        let offset = keys.start - self.pieces.pieces[*piece].start;
        // SAFETY: a chunk is within the array, and its offset within the piece and so the slot.
        // Both are this thread's for now.
        unsafe {
            (way.copy)(way.slot(*piece).0.add(offset), self.keys.add(keys.start), keys.len());
        }
        way.copied[*piece].fetch_add(1, Ordering::Release);
    }

    /// Returns true if the threads have copied all of a piece.
    fn is_copied(&self, way: &Way<K>, piece: usize) -> bool {
        way.copied[piece].load(Ordering::Acquire) == self.pieces.counts[piece]
    }

    /// Hands all pieces to the sort, and takes back those of the result.
    fn drive(&self, sort: &mut StreamedSort<K>) -> Result<(), Error> {
        let (inward, outward, pieces) = (&self.inward, &self.outward, &self.pieces.pieces);
        for (index, piece) in pieces.iter().enumerate() {
            self.until(inward, index, || self.is_copied(inward, index))?;
            let (slot, copied) = inward.slot(index);
            // SAFETY: the slot is the copy engine's, and as long as the longest piece.
            unsafe { sort.push(slice::from_raw_parts(slot, piece.len()), copied)? };
        }
        for (index, piece) in pieces.iter().enumerate() {
            let last = index.checked_sub(outward.slots.len());
            self.until(outward, index, || last.is_none_or(|last| self.is_copied(outward, last)))?;
            let (slot, copied) = outward.slot(index);
            // SAFETY: as above.
            unsafe { sort.pull(slice::from_raw_parts_mut(slot, piece.len()), copied)? };
        }
        self.until(outward, pieces.len(), || {
            (0..pieces.len()).rev().all(|piece| self.is_copied(outward, piece))
        })
    }

    /// Copies until something `is`, and looks after the copy engine, which has been given `begun`
    /// pieces of this direction.
    fn until(&self, way: &Way<K>, begun: usize, is: impl Fn() -> bool) -> Result<(), Error> {
        let mut spins = Spins::default();
        loop {
            way.look(begun)?;
            if is() {
                return Ok(());
            }
            if !self.copy_next(way) {
                spins.spin();
            }
        }
    }
}

/// A wait that lets other threads run now and then.
#[derive(Default)]
struct Spins(u32);

impl Spins {
    fn spin(&mut self) {
        self.0 += 1;
        match self.0 % SPINS {
            0 => thread::yield_now(),
            _ => std::hint::spin_loop(),
        }
    }
}

/// Has the threads stop when the one that sends has ended, by an error as well.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Copies bytes to where nobody reads them soon: past the cache, which the rings take.
///
/// # Safety
/// As of `copy_nonoverlapping`.
unsafe fn copy_past_cache(from: *const u8, to: *mut u8, bytes: usize) {
    let done = {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the caller's contract.
        unsafe {
            stream_lines(from, to, bytes)
        }
        #[cfg(not(target_arch = "x86_64"))]
        0
    };
    // SAFETY: the caller's contract; no more bytes were copied than there are.
    unsafe { to.add(done).copy_from_nonoverlapping(from.add(done), bytes - done) };
}

/// Copies whole lines by stores that go past the cache; returns the bytes copied: all but the last
/// few, and none to an address that such stores do not take.
///
/// # Safety
/// As of `copy_nonoverlapping`.
#[cfg(target_arch = "x86_64")]
unsafe fn stream_lines(from: *const u8, to: *mut u8, bytes: usize) -> usize {
    use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_sfence, _mm_stream_si128};
    const LINE: usize = 64;
    if !to.cast::<__m128i>().is_aligned() {
        return 0;
    }
    let whole = bytes / LINE * LINE;
    for line in (0..whole).step_by(LINE) {
        // SAFETY: within both ranges; the target is aligned, as lines are.
        unsafe {
            let (from, to) = (from.add(line).cast::<__m128i>(), to.add(line).cast::<__m128i>());
            let words = [0, 1, 2, 3].map(|word| _mm_loadu_si128(from.add(word)));
            (0..4).for_each(|word| _mm_stream_si128(to.add(word), words[word]));
        }
    }
    // SAFETY: every processor of this architecture has it. The count of copied chunks, which
    // follows, is to be seen after these stores.
    unsafe { _mm_sfence() };
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_copied_from_and_to_any_address() {
        let from: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for (start, bytes) in [(0, 1000), (16, 640), (3, 200), (5, 63), (9, 0)] {
            let mut to = vec![0; 1000];
            let target = &mut to[start..start + bytes.min(1000 - start)];
            // SAFETY: both are as long, and apart.
            unsafe { copy_past_cache(from.as_ptr(), target.as_mut_ptr(), target.len()) };
            assert_eq!(*target, from[..target.len()]);
            assert!(to[..start].iter().all(|&byte| byte == 0), "{start}, {bytes}");
        }
    }

    #[test]
    fn pieces_leave_nothing_out_and_are_short_at_both_ends() {
        for n in [1, 1000, 100_000, 1_000_003, 50_000_000] {
            let pieces = Pieces::of::<u32>(n);
            let all = &pieces.pieces;
            assert_eq!((all[0].start, all[all.len() - 1].end), (0, n));
            assert!(all.windows(2).all(|two| two[0].end == two[1].start));
            assert!(all.iter().all(|piece| piece.len() <= pieces.longest));
            let chunks = &pieces.chunks;
            assert_eq!((chunks[0].1.start, chunks[chunks.len() - 1].1.end), (0, n));
            assert!(chunks.windows(2).all(|two| two[0].1.end == two[1].1.start));
            assert_eq!(pieces.counts.iter().sum::<usize>(), chunks.len());
        }
        let all = Pieces::of::<u32>(50_000_000).pieces;
        assert_eq!((all[0].len(), all[all.len() - 1].len()), (1 << 17, 1 << 17));
        assert_eq!(all[6].len(), 1 << 21);
    }
}
