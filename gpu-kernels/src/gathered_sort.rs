//! Sorts buckets whose keys stand in several places: what each of several devices has of them.
//!
//! Every device has put its own keys in the order of their upper 16 bits, and a range of buckets
//! becomes one device's. It has the keys of all in one array, its own beside what the others have
//! sent, each device's by bucket. A bucket is a run of each; in the order of devices, so that
//! equal keys stay in theirs, they are sorted as in a [local sort](crate::local_sort), to
//! another array. The ranges that arrive one after the other are sorted by a launch each.
//!
//! Where the runs of a bucket begin, the lanes of a block's first warp find out, a lane a device,
//! while the block sorts another one.

use crate::buckets::{BUCKET_BITS, BUCKETS};
use crate::key::Key;
use crate::local_sort::{Bucket, Layout, LocalSort};
use crate::places::{Places, Share};
use crate::policy::Shape;
use crate::scan;
use cuda_std::ext::Word;
use cuda_std::{ext::*, prelude::*};

/// Most devices: the lanes of a warp.
pub const MOST_DEVICES: usize = 32;
/// Words of a device's table of starts.
pub const TABLE: usize = BUCKETS + 1;

#[derive(Clone, Copy)]
pub struct GatheredSort<K> {
    /// All devices' keys and values, and where they go.
    pub keys: Global<K>,
    pub output: Global<K>,
    pub values: Global<u32>,
    pub output_values: Global<u32>,
    /// For each device, where it has each bucket begin and the last one end.
    pub starts: Global<u32>,
    /// For each device, what places in `keys` are more than such starts, wrapping.
    pub bases: Global<u32>,
    /// Devices.
    pub count: u32,
    /// The bucket that is drawn next, and the one that no more are drawn from on.
    pub next: Global<u32>,
    pub end: u32,
    /// Keys of all devices before the first that is written to `output`.
    pub first_key: u32,
    pub order_mask: K,
    pub options: u32,
}

/// Bytes of shared memory.
pub const fn shared_bytes<K: Key>(shape: Shape, paired: bool) -> usize {
    runs_at::<K>(shape.threads, shape.items, paired) + 8 * MOST_DEVICES
}

/// Where a block keeps the runs of its bucket.
const fn runs_at<K: Key>(threads: usize, items: usize, paired: bool) -> usize {
    Layout::<K>::of(threads, items, paired).bytes.next_multiple_of(8)
}

/// The kernel. Any number of blocks of `THREADS` threads, a multiple of 32 and at least 128. No
/// bucket has more than `THREADS * ITEMS` keys.
#[inline(always)]
pub unsafe fn gathered_sort<
    K: Key,
    const THREADS: usize,
    const ITEMS: usize,
    const PAIRED: bool,
>(
    arg: GatheredSort<K>,
) {
    let claimed = const { Layout::<K>::of(THREADS, ITEMS, PAIRED).claimed }.shared();
    let runs = dynamic_shared(runs_at::<K>(THREADS, ITEMS, PAIRED), 2 * MOST_DEVICES);
    let runs = Runs { runs, count: arg.count };
    let claims = thread::thread_idx_x() < 32;
    let mut claim = Claim::default();
    if claims {
        claim.after = draw(arg);
        claim.advance(arg);
    }
    let sort = LocalSort {
        keys: arg.keys,
        output: arg.output,
        values: arg.values,
        output_values: arg.output_values,
        control: arg.next,
        starts: arg.starts,
        n: 0,
        order_mask: arg.order_mask,
        options: arg.options,
    };
    loop {
        if claims {
            claim.publish(arg, claimed, runs.runs);
        }
        thread::sync_threads();
        if claimed.get(0) >= arg.end {
            return;
        }
        if claims {
            claim.advance(arg);
        }
        Bucket::<K, K, BUCKET_BITS, THREADS, ITEMS, PAIRED, Runs>::new(sort, claimed, runs).sort();
    }
}

/// The runs of a bucket: for each device the slot of its first key, and what that key's place is
/// more than it.
#[derive(Clone, Copy)]
struct Runs {
    runs: Shared<u32>,
    count: u32,
}

/// Keys of a thread that are looked for at once: the places of all would take more registers than
/// there are.
const GROUP: usize = 6;

impl Runs {
    /// Loads a group of a thread's share, from item `begin` on.
    #[inline(always)]
    unsafe fn load_group<T: Word, const ITEMS: usize>(
        self,
        from: Global<T>,
        share: Share,
        begin: usize,
        loaded: &mut [T; ITEMS],
    ) {
        if begin >= ITEMS {
            return;
        }
        let mut places = [0; GROUP];
        let mut device = 0;
        while device < self.count as usize {
            hint::keep_loop();
            let (first, base) = (self.runs.get(2 * device), self.runs.get(2 * device + 1));
            for i in 0..GROUP {
                let slot = share.first + 32 * (begin + i) as u32;
                if slot >= first {
                    places[i] = base.wrapping_add(slot);
                }
            }
            device += 1;
        }
        for i in 0..GROUP {
            if begin + i < ITEMS && share.has(begin + i) {
                loaded[begin + i] = from.get(places[i] as usize);
            }
        }
    }
}

impl Places for Runs {
    const APART: bool = true;

    #[inline(always)]
    unsafe fn load<T: Word, const ITEMS: usize>(
        self,
        from: Global<T>,
        _begin: u32,
        share: Share,
    ) -> [T; ITEMS] {
        const { assert!(ITEMS <= 3 * GROUP) };
        let mut loaded = [T::default(); ITEMS];
        self.load_group(from, share, 0, &mut loaded);
        self.load_group(from, share, GROUP, &mut loaded);
        self.load_group(from, share, 2 * GROUP, &mut loaded);
        loaded
    }
}

/// The bucket that a block sorts next, drawn by its first warp while the block sorts another. A
/// lane has a device's run of it.
#[derive(Clone, Copy, Default)]
struct Claim {
    number: u32,
    begin: u32,
    end: u32,
    after: u32,
}

impl Claim {
    /// Turns to the bucket drawn last, of which nothing is waited for yet, and draws the one
    /// after it.
    #[inline(always)]
    unsafe fn advance<K: Key>(&mut self, arg: GatheredSort<K>) {
        self.number = lanes::shuffle_idx(lanes::FULL, self.after, 0);
        if self.number < arg.end {
            let lane = warp::lane_id();
            if lane < arg.count {
                let starts = arg.starts.offset(lane as usize * TABLE + self.number as usize);
                self.begin = starts.get(0);
                self.end = starts.get(1);
            }
            self.after = draw(arg);
        }
    }

    /// Passes over empty buckets, and shows the block what it sorts next.
    #[inline(always)]
    unsafe fn publish<K: Key>(
        &mut self,
        arg: GatheredSort<K>,
        claimed: Shared<u32>,
        runs: Shared<u32>,
    ) {
        let lane = warp::lane_id();
        let mut through = self.through(lane);
        let mut count = lanes::shuffle_idx(lanes::FULL, through, 31);
        while self.number < arg.end && count == 0 {
            self.advance(arg);
            through = self.through(lane);
            count = lanes::shuffle_idx(lanes::FULL, through, 31);
        }
        let begins = scan::warp_inclusive(self.begin, lane);
        if lane < arg.count {
            let first = through - (self.end - self.begin);
            let base = arg.bases.get(lane as usize);
            runs.set(2 * lane as usize, first);
            let base = base.wrapping_add(self.begin).wrapping_sub(first);
            runs.set(2 * lane as usize + 1, base);
        }
        if lane == 31 {
            claimed.set(0, self.number);
            claimed.set(1, begins.wrapping_sub(arg.first_key));
            claimed.set(2, count);
        }
    }

    /// Keys of the bucket that this lane's device and those before it have.
    #[inline(always)]
    fn through(&self, lane: u32) -> u32 {
        scan::warp_inclusive(self.end - self.begin, lane)
    }
}

/// Draws a bucket, in the warp's first lane.
#[inline(always)]
unsafe fn draw<K: Key>(arg: GatheredSort<K>) -> u32 {
    match warp::lane_id() {
        0 => arg.next.fetch_add(0, 1, Ordering::Relaxed, Scope::Device),
        _ => 0,
    }
}
