//! The second tier: every size up to 20,000, the powers of two up to 2^30, sizes that
//! 32 bits do not count, every type and every distribution.
//!
//! Each test prints what it has sorted and verified, so that its output is a record.
//! Inputs that the memory of this machine is too small for are named, and the test then
//! counts as ignored. The tests take turns, because each takes the memory it can get.

use std::fmt::Display;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use host::error::{Bytes, NoGpu};
use host::gpu::{Bf16, Device, F16, GpuKey, GpuSorter, Order, Payload, Resident};
use libtest_mimic::{Completion, Failed, Trial};
use sort_cases::{Case, KeyType};
use suite::key::{F32, Key};
use suite::memory;
use suite::workload::{Distribution, Workload};

use crate::keys;
use crate::list::{call, check, directions, every_way, keys_of, order};

/// A test: its name, and what it does.
type Test = (&'static str, fn(&GpuSorter, &mut Coverage));

const TESTS: [Test; 7] = [
    ("every_size_to_20000", every_size_to_20000),
    ("powers_of_two", powers_of_two),
    ("in_portions", in_portions),
    ("about_2_to_the_32", about_2_to_the_32),
    ("2_to_the_33", two_to_the_33),
    ("every_type", every_type),
    ("every_distribution", every_distribution),
];

/// Sorts that a test has verified, and inputs it could not.
#[derive(Default)]
struct Coverage {
    sorts: u64,
    /// Inputs that the memory does not hold, and what they need.
    left_out: Vec<String>,
}

/// The tests, as ones that run only when asked for.
pub(crate) fn trials(device: &Result<Arc<Device>, NoGpu>) -> Vec<Trial> {
    let trial = |&(name, test): &Test| {
        let device = device.clone();
        Trial::ignorable_test(format!("full::{name}"), move || {
            let device = device.map_err(|skipped| Failed::from(skipped.to_string()))?;
            Ok(run(name, test, device))
        })
        .with_ignored_flag(true)
    };
    TESTS.iter().map(trial).collect()
}

fn run(name: &str, test: fn(&GpuSorter, &mut Coverage), device: Arc<Device>) -> Completion {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    device.enter().unwrap();
    let mut covered = Coverage::default();
    let begin = Instant::now();
    test(&GpuSorter::new(device), &mut covered);
    let seconds = begin.elapsed().as_secs_f64();
    println!("full::{name}: {} sorts verified in {seconds:.1} s", covered.sorts);
    if covered.left_out.is_empty() {
        return Completion::Completed;
    }
    let reason = format!("too little memory for {}", covered.left_out.join("; "));
    println!("full::{name}: {reason}");
    Completion::ignored_with(reason)
}

impl Coverage {
    /// Sorts `keys` on the device and verifies the result there: order, the same keys
    /// and, with values, that each stands beside its key and equal keys have kept their
    /// order.
    fn sort<K: GpuKey>(
        &mut self,
        sorter: &GpuSorter,
        keys: &[K],
        paired: bool,
        order: Order,
        what: impl Display,
    ) {
        let kind = if paired { "pairs" } else { "keys" };
        let what = format!("{} {kind} of {}, {what}", keys.len(), K::TYPE.name);
        if !self.fits::<K>(sorter, keys.len(), paired, &what) {
            return;
        }
        let sorted = Resident::new(sorter, keys, Payload::of(paired), order)
            .and_then(|mut resident| resident.verified_sample());
        if let Err(error) = sorted {
            panic!("{what}: {error}");
        }
        self.sorts += 1;
    }

    /// Returns true if the GPU has memory for input, output and workspace of a sort.
    fn fits<K: GpuKey>(&mut self, sorter: &GpuSorter, n: usize, paired: bool, what: &str) -> bool {
        let sort = sorter.prepare::<K>(n, Payload::of(paired), Order::ascending()).unwrap();
        let element = size_of::<K>() + if paired { 4 } else { 0 };
        // The verification and the driver take little.
        let needed = 2 * (n * element) as u64 + sort.workspace_bytes() + (64 << 20);
        self.holds(what, "GPU", needed, sorter.device().memory().unwrap().0)
    }

    /// Returns true if the host has memory for `n` keys, and as many indices if `paired`.
    fn fits_host<K>(&mut self, n: usize, paired: bool, what: &str) -> bool {
        let element = size_of::<K>() + if paired { 4 } else { 0 };
        let available = memory::available().map_or(u64::MAX, |room| room.bytes);
        self.holds(what, "host", (n * element) as u64 + (1 << 30), available)
    }

    fn holds(&mut self, what: &str, where_: &str, needed: u64, available: u64) -> bool {
        if needed > available {
            self.left_out.push(format!(
                "{what}: {} of {where_} memory, {} is free",
                Bytes(needed),
                Bytes(available)
            ));
        }
        needed <= available
    }
}

fn workload<K: Key>(n: usize, distribution: Distribution) -> Vec<K> {
    let workload = Workload { n, distribution, seed: n as u64 };
    workload.generate().unwrap()
}

/// Keys alone, in place and not, and pairs of which many have equal keys, by every
/// host thread at once.
fn every_size_to_20000(sorter: &GpuSorter, covered: &mut Coverage) {
    const MOST: usize = 20_000;
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicUsize::new(0);
    let sorts = thread::scope(|scope| {
        let worker = || {
            sorter.device().enter().unwrap();
            let mut sorts = 0;
            loop {
                let n = next.fetch_add(1, Relaxed);
                if n > MOST {
                    return sorts;
                }
                let keys = Case::uniform(KeyType::U32, n, n as u64);
                check::<u32>(sorter, &keys);
                check::<u32>(sorter, &Case { in_place: true, ..keys });
                let payload = Payload::Value(4);
                check::<u32>(sorter, &Case { payload, ..keys });
                sorts += 3;
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let counts = workers.into_iter().map(|worker| worker.join().unwrap());
        counts.sum::<u64>()
    });
    assert_eq!(sorts, 3 * (MOST as u64 + 1));
    covered.sorts += sorts;
}

/// For each power of two up to 2^30 that size, one less and one more.
fn powers_of_two(sorter: &GpuSorter, covered: &mut Coverage) {
    for k in 0..=30 {
        let power = 1usize << k;
        let sizes = (power - 1).max(1)..=power + 1;
        let what = format!("about 2^{k}");
        if !covered.fits_host::<u32>(power + 1, true, &what) {
            continue;
        }
        let keys = workload::<u32>(power + 1, Distribution::Uniform);
        for n in sizes.clone() {
            covered.sort(sorter, &keys[..n], false, Order::ascending(), "uniform");
        }
        // Of 17 bits' entropy: many keys are equal, and all places are sorted by.
        let keys = workload::<u32>(power + 1, Distribution::Entropy544);
        for n in sizes {
            covered.sort(sorter, &keys[..n], true, Order::ascending(), "entropy-0.544");
        }
    }
}

/// Keys of every width, more than one portion holds, alone and with values.
fn in_portions(sorter: &GpuSorter, covered: &mut Coverage) {
    fn of<K: GpuKey>(sorter: &GpuSorter, covered: &mut Coverage, times: usize) {
        let some = keys::<K>((1 << 20) + 3);
        let n = some.len() * times;
        if covered.fits_host::<K>(n, false, &format!("{n} keys")) {
            let keys = some.repeat(times);
            for paired in [false, true] {
                let what = "any bits, over and over";
                covered.sort(sorter, &keys, paired, Order::ascending(), what);
            }
        }
    }
    of::<u8>(sorter, covered, 1 << 10);
    of::<u16>(sorter, covered, 1 << 10);
    // Three portions: places that 31 bits do not count.
    of::<u32>(sorter, covered, 1 << 11);
    of::<u64>(sorter, covered, 1 << 10);
    of::<u128>(sorter, covered, 1 << 10);
}

/// Sizes about the first that 32 bits do not hold.
fn about_2_to_the_32(sorter: &GpuSorter, covered: &mut Coverage) {
    let most = (1usize << 32) + 1;
    if covered.fits_host::<u32>(most, false, "about 2^32") {
        let keys = workload::<u32>(most, Distribution::Uniform);
        for n in most - 2..=most {
            covered.sort(sorter, &keys[..n], false, Order::ascending(), "uniform");
        }
    }
}

fn two_to_the_33(sorter: &GpuSorter, covered: &mut Coverage) {
    let n = 1usize << 33;
    if covered.fits_host::<u32>(n, false, "2^33") {
        let keys = workload::<u32>(n, Distribution::Uniform);
        covered.sort(sorter, &keys, false, Order::ascending(), "uniform");
    }
}

/// Three sizes of each type, both ways: in blocks, in small and in large tiles.
fn every_type(sorter: &GpuSorter, covered: &mut Coverage) {
    fn of<K: GpuKey>(sorter: &GpuSorter, covered: &mut Coverage) {
        for n in [3_001, 300_007, 5_000_011] {
            for case in directions(Case::uniform(K::TYPE, n, 1)) {
                every_way::<K>(sorter, &case);
                covered.sorts += 3;
                covered.sort(sorter, &keys_of::<K>(&case), true, order(&case), "any bits");
            }
        }
    }
    sort_cases::for_every_type!(call of (sorter, covered));
}

/// Every distribution at a size for each of a block, small tiles and large ones.
fn every_distribution(sorter: &GpuSorter, covered: &mut Coverage) {
    fn of<K: Key>(sorter: &GpuSorter, covered: &mut Coverage, distribution: Distribution) {
        for n in [3_001, 50_021, 1_000_003, 1 << 25] {
            let keys = workload::<K>(n, distribution);
            let ascending = Order::ascending;
            covered.sort(sorter, &keys, false, ascending(), distribution);
            covered.sort(sorter, &keys, false, ascending().match_ranking(), distribution);
            covered.sort(sorter, &keys, false, Order::descending(), distribution);
            covered.sort(sorter, &keys, true, ascending(), distribution);
        }
    }
    for distribution in Distribution::ALL {
        of::<u32>(sorter, covered, distribution);
        of::<i32>(sorter, covered, distribution);
        of::<u64>(sorter, covered, distribution);
        of::<F32>(sorter, covered, distribution);
    }
}
