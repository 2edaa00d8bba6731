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
//!
//! An array that the GPU does not hold is sorted in runs ([`Larger`]).

use std::ops::Range;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use cust::event::{Event, EventStatus};
use cust::memory::LockedBuffer;
use rayon::ThreadPool;

use host::error::NoGpu;
use host::error::failed;
use host::gpu::Device;
use host::gpu::devices::Devices;
use host::gpu::stream::event;
use host::gpu::streamed::StreamedSort;

use crate::engine::Engine;
use crate::engines::GPU;
use crate::error::{Error, Unavailable};
use crate::key::Key;
use crate::large_engine::Larger;
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
    let device = Device::open()?;
    let all = vec![Arc::clone(&device)];
    let new = move |n| StreamedSort::new(&device, n);
    Ok(Larger::of(Box::new(Streamed { lanes: 1, new: Box::new(new), prepared: None }), all))
}

/// The engine over two GPUs, which [`StreamedSort::over`] takes.
pub(crate) fn over<K: Key>(devices: Arc<Devices>) -> Box<dyn Engine<K>> {
    let lanes = devices.all().len();
    let new = move |n| StreamedSort::over(&devices, n);
    Box::new(Streamed { lanes, new: Box::new(new), prepared: None })
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
    /// Number of GPUs.
    lanes: usize,
    new: Box<dyn Fn(usize) -> Result<StreamedSort<K>, host::Error> + Send>,
    prepared: Option<Prepared<K>>,
}

/// State for sorts of so many keys at one level.
struct Prepared<K: Key> {
    level: usize,
    /// All threads of the level but the calling one; none at level 1.
    others: Option<ThreadPool>,
    cores: Cores,
    sort: StreamedSort<K>,
    inward: Pieces,
    outward: Pieces,
    rings: [Vec<Ring<K>>; 2],
}

/// Page-locked memory for a few pieces on their way to a GPU, or from it, and what says that its
/// copy engine is through with each.
type Ring<K> = Vec<(LockedBuffer<K>, Event)>;

impl<K: Key> Engine<K> for Streamed<K> {
    fn name(&self) -> &'static str {
        GPU
    }

    fn scratch_bytes(&self, n: usize, level: usize) -> u64 {
        (2 * self.lanes * ring(level) * longest_bytes::<K>(n, self.lanes)) as u64
    }

    fn prepare(&mut self, n: usize, level: usize) -> Result<(), Error> {
        check_level(GPU, level)?;
        // The buffers of an earlier level go first: their memory may be needed.
        self.prepared = None;
        let sort = (self.new)(n.max(1))?;
        let shares = sort.shares();
        let longest = longest_bytes::<K>(n, shares.len()) / size_of::<K>();
        let ring = |lane| {
            sort.enter(lane)?;
            (0..ring(level)).map(|_| slot(longest)).collect::<Result<_, _>>()
        };
        let rings = || (0..shares.len()).map(ring).collect::<Result<Vec<_>, host::Error>>();
        self.prepared = Some(Prepared {
            level,
            others: (level > 1).then(|| threads::pool(GPU, level - 1)).transpose()?,
            cores: Cores::for_threads(level),
            rings: [rings()?, rings()?],
            inward: Pieces::of::<K>(&shares, longest, |_| false),
            outward: Pieces::of::<K>(&shares, longest, |lane| sort.is_backward(lane)),
            sort,
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
        let [inward, outward] = &mut self.rings;
        let ahead = ring(self.level);
        let crew = Crew {
            keys: keys.as_mut_ptr(),
            inward: Way::new(inward, &self.inward, ahead, |slot, keys, count| {
                // SAFETY: the contract of the crew.
                unsafe { slot.copy_from_nonoverlapping(keys, count) };
            }),
            outward: Way::new(outward, &self.outward, 0, |slot, keys, count| {
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

/// Bytes of the longest pieces of `n` keys over so many GPUs, whose rings share a cache.
fn longest_bytes<K>(n: usize, lanes: usize) -> usize {
    (n * size_of::<K>() / lanes / 8).clamp(PIECE_BYTES.0, PIECE_BYTES.1 / lanes)
}

/// Room for a piece, of the device that was entered.
fn slot<K: Key>(length: usize) -> Result<(LockedBuffer<K>, Event), host::Error> {
    let buffer = LockedBuffer::new(&K::least(), length);
    Ok((buffer.map_err(failed("allocating pinned memory"))?, event()?))
}

/// The pieces of an array in one direction, and the chunks of these that threads copy.
struct Pieces {
    pieces: Vec<Piece>,
    /// The piece of each chunk, and its keys.
    chunks: Vec<(usize, Range<usize>)>,
    /// Chunks of each piece.
    counts: Vec<usize>,
}

/// A piece of a GPU's share, of which it is the one of this `order`.
struct Piece {
    lane: usize,
    order: usize,
    keys: Range<usize>,
}

impl Pieces {
    /// The pieces of `shares`, of `longest` keys at most, one of each GPU by turns, from each
    /// share's last key back where it `is_backward`.
    fn of<K>(shares: &[Range<usize>], longest: usize, is_backward: impl Fn(usize) -> bool) -> Self {
        let mut pieces = Vec::new();
        for (lane, share) in shares.iter().enumerate() {
            let mut start = share.start;
            let mut lengths = lengths(share.len(), longest);
            if is_backward(lane) {
                lengths.reverse();
            }
            let mut of_lane: Vec<Range<usize>> = Vec::new();
            for length in lengths {
                of_lane.push(start..start + length);
                start += length;
            }
            if is_backward(lane) {
                of_lane.reverse();
            }
            let piece = |(order, keys)| Piece { lane, order, keys };
            pieces.extend(of_lane.into_iter().enumerate().map(piece));
        }
        pieces.sort_by_key(|piece| (piece.order, piece.lane));
        let chunk = CHUNK_BYTES / size_of::<K>();
        let (mut chunks, mut counts) = (Vec::new(), Vec::new());
        for (index, piece) in pieces.iter().enumerate() {
            let starts = piece.keys.clone().step_by(chunk);
            counts.push(starts.len());
            chunks.extend(starts.map(|at| (index, at..(at + chunk).min(piece.keys.end))));
        }
        Pieces { pieces, chunks, counts }
    }
}

/// The lengths of pieces of `n` keys, in order.
fn lengths(n: usize, longest: usize) -> Vec<usize> {
    let short: Vec<usize> = (1..=HALVINGS).rev().map(|halvings| longest >> halvings).collect();
    let ends = 2 * short.iter().sum::<usize>();
    // Too few keys to begin with short ones are cut evenly.
    let short = if n < ends + longest { Vec::new() } else { short };
    let rest = n - 2 * short.iter().sum::<usize>();
    let mut lengths = short.clone();
    lengths.extend(vec![longest; rest / longest]);
    lengths.push(rest % longest);
    lengths.extend(short.iter().rev());
    lengths.retain(|&length| length > 0);
    lengths
}

/// The way of all pieces through the rings, in one direction.
struct Way<'a, K: Key> {
    pieces: &'a Pieces,
    /// Of each GPU, room for a piece and what says that its copy engine is through with it.
    rings: Vec<Vec<(*mut K, &'a Event)>>,
    /// Copies the keys of a chunk, the first pointer being to the ring.
    copy: unsafe fn(*mut K, *mut K, usize),
    /// Pieces of a GPU that threads may copy beside those that its copy engine is through with.
    ahead: usize,
    /// The chunk that a thread copies next.
    next: AtomicUsize,
    /// Chunks of each piece that threads have copied.
    copied: Vec<AtomicUsize>,
    /// Pieces that each copy engine is through with.
    passed: Vec<AtomicUsize>,
}

impl<'a, K: Key> Way<'a, K> {
    fn new(
        rings: &'a mut [Ring<K>],
        pieces: &'a Pieces,
        ahead: usize,
        copy: unsafe fn(*mut K, *mut K, usize),
    ) -> Self {
        let zeros = |count| (0..count).map(|_| AtomicUsize::new(0)).collect();
        Way {
            copied: zeros(pieces.pieces.len()),
            passed: zeros(rings.len()),
            pieces,
            rings: rings
                .iter_mut()
                .map(|ring| ring.iter_mut().map(|(slot, event)| (slot.as_mut_ptr(), &*event)))
                .map(Iterator::collect)
                .collect(),
            copy,
            ahead,
            next: AtomicUsize::new(0),
        }
    }

    fn slot(&self, lane: usize, order: usize) -> (*mut K, &'a Event) {
        let ring = &self.rings[lane];
        ring[order % ring.len()]
    }

    /// Returns true if threads may copy a piece.
    fn is_ready(&self, piece: usize) -> bool {
        let Piece { lane, order, .. } = self.pieces.pieces[piece];
        self.passed[lane].load(Ordering::Acquire) + self.ahead > order
    }

    /// Returns true if threads have copied all of a piece.
    fn is_copied(&self, piece: usize) -> bool {
        self.copied[piece].load(Ordering::Acquire) == self.pieces.counts[piece]
    }

    /// Finds out if the copy engines are through with one more of the pieces that they were given.
    fn look(&self, given: &[Vec<usize>]) -> Result<(), Error> {
        for (lane, (passed, given)) in self.passed.iter().zip(given).enumerate() {
            let order = passed.load(Ordering::Relaxed);
            if order < given.len() {
                let status = self.slot(lane, order).1.query().map_err(failed("copying keys"))?;
                if status == EventStatus::Ready {
                    passed.store(order + 1, Ordering::Release);
                }
            }
        }
        Ok(())
    }
}

/// The threads of a level at work.
///
/// A slot of a ring inward belongs to the threads from when the copy engine is through with it
/// until all chunks of its next piece are copied, and then to the copy engine; one of a ring
/// outward, the other way about. Chunks are apart, and each is one thread's. The first key of the
/// result is copied when the last of the input has been.
struct Crew<'a, K: Key> {
    /// The array, input and result.
    keys: *mut K,
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
                let Some((piece, _)) = way.pieces.chunks.get(next) else {
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
        let chunk = way.pieces.chunks.get(next);
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
        let (piece, keys) = &way.pieces.chunks[chunk];
        let Piece { lane, order, keys: ref of } = way.pieces.pieces[*piece];
        let (slot, _) = way.slot(lane, order);
        // SAFETY: a chunk is within the array, and its offset within the piece and so the slot.
        // Both are this thread's for now.
        unsafe {
            (way.copy)(slot.add(keys.start - of.start), self.keys.add(keys.start), keys.len());
        }
        way.copied[*piece].fetch_add(1, Ordering::Release);
    }

    /// Hands all pieces to the sort, and takes back those of the result.
    fn drive(&self, sort: &mut StreamedSort<K>) -> Result<(), Error> {
        let way = &self.inward;
        let mut given = vec![Vec::new(); way.rings.len()];
        for (index, piece) in way.pieces.pieces.iter().enumerate() {
            self.until(way, &given, || way.is_copied(index))?;
            let (slot, copied) = way.slot(piece.lane, piece.order);
            // SAFETY: the slot is the copy engine's, and as long as the longest piece.
            unsafe {
                sort.push(piece.lane, slice::from_raw_parts(slot, piece.keys.len()), copied)?;
            }
            given[piece.lane].push(index);
        }
        let way = &self.outward;
        let mut given = vec![Vec::new(); way.rings.len()];
        for (index, piece) in way.pieces.pieces.iter().enumerate() {
            let last = piece.order.checked_sub(way.rings[piece.lane].len());
            let last = last.map(|order| given[piece.lane][order]);
            self.until(way, &given, || last.is_none_or(|last| way.is_copied(last)))?;
            let (slot, copied) = way.slot(piece.lane, piece.order);
            // SAFETY: as above.
            unsafe {
                sort.pull(piece.lane, slice::from_raw_parts_mut(slot, piece.keys.len()), copied)?;
            }
            given[piece.lane].push(index);
        }
        let all = 0..way.pieces.pieces.len();
        self.until(way, &given, || all.clone().rev().all(|piece| way.is_copied(piece)))
    }

    /// Copies until something `is`, and looks after the copy engines, which have been given these
    /// pieces of this direction.
    fn until(
        &self,
        way: &Way<K>,
        given: &[Vec<usize>],
        is: impl Fn() -> bool,
    ) -> Result<(), Error> {
        let mut spins = Spins::default();
        loop {
            way.look(given)?;
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
            let longest = longest_bytes::<u32>(n, 1) / 4;
            let share = 0..n;
            let shares = slice::from_ref(&share);
            let Pieces { pieces, chunks, counts } = Pieces::of::<u32>(shares, longest, |_| false);
            let all: Vec<_> = pieces.into_iter().map(|piece| piece.keys).collect();
            assert_eq!((all[0].start, all[all.len() - 1].end), (0, n));
            assert!(all.windows(2).all(|two| two[0].end == two[1].start));
            assert!(all.iter().all(|piece| piece.len() <= longest));
            assert_eq!((chunks[0].1.start, chunks[chunks.len() - 1].1.end), (0, n));
            assert!(chunks.windows(2).all(|two| two[0].1.end == two[1].1.start));
            assert_eq!(counts.iter().sum::<usize>(), chunks.len());
        }
        let lengths = lengths(50_000_000, 1 << 21);
        assert_eq!(
            (lengths[0], lengths[lengths.len() - 1], lengths[6]),
            (1 << 17, 1 << 17, 1 << 21)
        );
    }

    #[test]
    fn pieces_of_two_gpus_take_turns_and_leave_from_both_ends() {
        let shares = [0..5_000_000, 5_000_000..10_000_001];
        let pieces = Pieces::of::<u32>(&shares, 1 << 18, |lane| lane == 1).pieces;
        assert_eq!((pieces[0].keys.start, pieces[1].keys.end), (0, 10_000_001));
        assert!(pieces.iter().take(8).map(|piece| piece.lane).eq([0, 1, 0, 1, 0, 1, 0, 1]));
        for lane in [0, 1] {
            let of_lane: Vec<_> = pieces.iter().filter(|piece| piece.lane == lane).collect();
            assert!(of_lane.iter().enumerate().all(|(order, piece)| piece.order == order));
            let total: usize = of_lane.iter().map(|piece| piece.keys.len()).sum();
            assert_eq!(total, shares[lane].len());
        }
    }
}
