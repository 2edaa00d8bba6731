//! Sorts of one array over several devices: on one GPU opened several times, and on all GPUs of
//! the machine where there are several.

use std::rc::Rc;
use std::sync::Arc;

use host::Error;
use host::gpu::devices::{Devices, DevicesSort, Link, Parts};
use host::gpu::large::LargeSort;
use host::gpu::resident::indices;
use host::gpu::transfer::upload;
use host::gpu::{Bf16, Device, F16, GpuKey, Order, Payload, checks};
use libtest_mimic::{Completion, Trial};
use sort_cases::{Case, Distribution as Spread, KeyType};
use suite::devices_engine;
use suite::engines::GPU;
use suite::key::{F32, Key};
use suite::runner::Runner;
use suite::runners::devices as runners;
use suite::verify::Keys;
use suite::workload::{Distribution, Workload};

use crate::list::{call, directions, expect, keys_of, order, words};
use crate::{SPREADS, keys, sorted, sorts_at_every_level, stream, streams_many_keys};

/// On one GPU.
pub(crate) const TESTS: &[crate::OnDevice] = &[
    ("one_array_goes_over_a_gpu_opened_several_times", one_array_over_one_gpu),
    ("chunks_go_to_all_gpus_and_come_back_sorted", chunks_go_to_all_gpus_and_come_back_sorted),
    ("keys_stream_through_two_gpus", keys_stream_through_two_gpus),
    ("levels_on_a_gpu_opened_several_times", |_| {
        for count in [1, 2, 3] {
            levels(&Devices::open(&vec![0; count]).unwrap());
        }
    }),
    ("arrays_larger_than_gpu_memory_are_sorted_in_runs", larger_arrays_on_one_gpu),
    ("parts_may_be_of_any_lengths", parts_may_be_of_any_lengths),
    ("what_several_gpus_do_not_sort_is_refused", what_several_gpus_do_not_sort_is_refused),
];

/// Sorts of every level from and to host memory, on one GPU opened three times.
fn chunks_go_to_all_gpus_and_come_back_sorted(_: Arc<Device>) {
    from_and_to_host_memory(&Devices::open(&[0; 3]).unwrap(), &[100, 5000, 200_000]);
}

/// The same on one GPU opened twice, which merges from both ends.
fn keys_stream_through_two_gpus(_: Arc<Device>) {
    let devices = Devices::open(&[0; 2]).unwrap();
    from_and_to_host_memory(&devices, &[100, 5000, 200_000]);
    streams_many_keys::<i32>(&mut *devices_engine::over(Arc::clone(&devices)));
    streams_many_keys::<u64>(&mut *devices_engine::over(devices));
}

fn from_and_to_host_memory(devices: &Arc<Devices>, sizes: &[usize]) {
    fn of<K: Key>(devices: &Arc<Devices>, sizes: &[usize]) {
        let mut engine = devices_engine::over::<K>(Arc::clone(devices));
        sorts_at_every_level(&mut *engine, &[1, 2, 7, 64], sizes);
        // Fewer than prepared for.
        let keys = keys::<K>(1000);
        let mut fewer = keys.clone();
        engine.prepare(5000, 4).unwrap();
        engine.sort(&mut fewer).unwrap();
        assert!(fewer == sorted(&keys));
    }
    of::<u32>(devices, sizes);
    of::<i32>(devices, sizes);
    of::<u64>(devices, sizes);
}

/// On one GPU, and on one opened twice.
fn larger_arrays_on_one_gpu(_: Arc<Device>) {
    for count in [1, 2] {
        larger_arrays(&Devices::open(&vec![0; count]).unwrap());
    }
}

/// Arrays from and to host memory of which the devices may hold a quarter, input and second buffer
/// together.
fn larger_arrays(devices: &Arc<Devices>) {
    fn of<K: Key>(devices: &[Arc<Device>], n: usize, lanes: usize) {
        let bytes = (n * size_of::<K>() / 4 / devices.len()) as u64;
        let mut sort = LargeSort::within(devices, n, lanes, bytes).unwrap();
        assert!(sort.runs() >= 8, "{} runs", sort.runs());
        for distribution in SPREADS {
            let workload = Workload { n, distribution, seed: n as u64 };
            let input = Keys::new(workload.generate::<K>().unwrap());
            let mut work = input.keys().to_vec();
            sort.sort(&mut work).unwrap();
            input.check(&work, GPU, lanes).unwrap();
        }
    }
    let all = devices.all();
    for (n, lanes) in [(3_000_001, 1), (3_000_001, 3), (200_003, 2)] {
        of::<u32>(all, n, lanes);
        of::<u64>(all, n, lanes);
        of::<F32>(all, n, lanes);
    }
    for n in [0, 1, 5] {
        let mut keys: Vec<u32> = (0..n).rev().collect();
        let mut sort = LargeSort::new(all, keys.len(), 2).unwrap();
        sort.sort(&mut keys).unwrap();
        assert!(keys.into_iter().eq(0..n));
    }
    let none = LargeSort::<u32>::within(all, 1000, 2, 7).err().unwrap();
    assert!(none.is_too_large_for_gpu(), "{none}");
    let many = LargeSort::<u32>::new(all, 1 << 50, 2).err().unwrap();
    assert!(matches!(many, Error::Memory { .. }) && !many.is_too_large_for_gpu(), "{many}");
    let mut sort = LargeSort::<u32>::new(all, 5, 1).unwrap();
    assert!(matches!(sort.sort(&mut [2, 1]), Err(Error::Lengths { .. })));
}

/// Cases of `split` and `batch`, whose runners verify every result.
fn levels(devices: &Arc<Devices>) {
    let input = |n, seed| {
        let workload = Workload { n, distribution: Distribution::Uniform, seed };
        Keys::new(workload.generate::<u32>().unwrap())
    };
    for level in [1, 2, 7, 64] {
        for n in [0, 1, 5, 100_003, 3_000_001] {
            let mut split = runners::Split::over(devices, Rc::new(input(n, 1)), level).unwrap();
            let sample = split.sample(2);
            let sample = sample.unwrap_or_else(|error| panic!("{n} keys, level {level}: {error}"));
            assert!(sample.host_s.is_some());
        }
        for n in [1, 5000, 300_007] {
            let arrays = Rc::new((0..level).map(|seed| input(n, seed as u64)).collect());
            let mut batch = runners::Batch::over(devices, &arrays).unwrap();
            assert!(batch.sample(2).unwrap().host_s.is_some());
        }
    }
}

/// A test on several GPUs: its name, and what it does on them.
type OnDevices = (&'static str, fn(&Arc<Devices>));

const ON_ALL: &[OnDevices] = &[
    ("keys_stream_through_all_gpus", |devices| {
        streams_many_keys::<i32>(&mut *devices_engine::over(Arc::clone(devices)));
    }),
    ("arrays_larger_than_gpu_memory_go_over_all_gpus", larger_arrays),
    ("every_input_goes_over_all_gpus", every_input),
    ("levels_go_over_all_gpus", levels),
    ("large_inputs_go_over_all_gpus", |devices| {
        large_inputs(devices, &[1 << 24, (1 << 27) + 12_345]);
    }),
    ("chunks_in_host_memory_go_over_all_gpus", |devices| {
        from_and_to_host_memory(devices, &[100, 200_000]);
    }),
];

/// The tests on several GPUs, which are ignored where there is one.
pub(crate) fn trials() -> impl Iterator<Item = Trial> {
    ON_ALL.iter().map(|&(name, test)| {
        Trial::ignorable_test(name, move || {
            let devices = match Devices::open_all() {
                Ok(devices) if devices.all().len() > 1 => devices,
                Ok(_) => return Ok(Completion::ignored_with("one GPU")),
                Err(missing) => return Ok(Completion::ignored_with(missing.to_string())),
            };
            let count = devices.all().len();
            println!("{count} GPUs, from the first to the second {:?}", devices.link(0, 1));
            crate::in_turn(name, || test(&devices));
            Ok(Completion::Completed)
        })
    })
}

fn one_array_over_one_gpu(_: Arc<Device>) {
    for count in [1, 2, 3, 5, 6] {
        let devices = Devices::open(&vec![0; count]).unwrap();
        assert_eq!(devices.link(0, count - 1), Link::Within);
        every_input(&devices);
    }
    // In several pieces.
    large_inputs(&Devices::open(&[0; 2]).unwrap(), &[(1 << 25) + 77, (1 << 26) + 5]);
    large_inputs(&Devices::open(&[0; 3]).unwrap(), &[(1 << 25) + 77]);
}

/// Edge cases, and every type of 4 and 8 bytes.
fn every_input(devices: &Arc<Devices>) {
    fn of<K: GpuKey>(devices: &Arc<Devices>) {
        if ![32, 64].contains(&K::TYPE.bits) {
            return;
        }
        for n in [1, 2, 1000, 300_001] {
            for distribution in [Spread::Uniform, Spread::Few] {
                for case in directions(Case { distribution, ..Case::uniform(K::TYPE, n, 1) }) {
                    check::<K>(devices, &case, None);
                }
            }
        }
    }
    sort_cases::for_every_type!(call of (devices));
    for case in Case::about(KeyType::U32, &[32, 5632, 100_000]) {
        check::<u32>(devices, &case, None);
    }
}

/// Sorts keys alone and with values, in parts of these lengths or of equal ones.
fn check<K: GpuKey>(devices: &Arc<Devices>, case: &Case, lengths: Option<&[usize]>) {
    let keys: Vec<K> = keys_of(case);
    let input = match lengths {
        Some(lengths) => parts(devices, lengths, &keys),
        None => Parts::upload(devices, &keys).unwrap(),
    };
    let lengths = input.lengths();
    let mut sort = DevicesSort::new(devices, &lengths, Payload::None, order(case)).unwrap();
    let mut output = Parts::blank(devices, case.n).unwrap();
    for _ in 0..2 {
        output.fill(0xA5).unwrap();
        sort.keys(&input, &mut output).unwrap();
        expect(case, &output.download().unwrap(), &[] as &[u32]);
    }
    assert!(words(&input.download().unwrap()) == words(&keys), "{case}: the input changed");

    let paired = Case { payload: Payload::Value(4), ..*case };
    let values: Vec<u32> = paired.values().into_iter().map(|word| word as u32).collect();
    let values = parts(devices, &lengths, &values);
    let mut sort = DevicesSort::new(devices, &lengths, Payload::Value(4), order(case)).unwrap();
    let mut values_out = Parts::blank(devices, case.n).unwrap();
    output.fill(0xA5).unwrap();
    sort.pairs((&input, &values), (&mut output, &mut values_out)).unwrap();
    expect(&paired, &output.download().unwrap(), &values_out.download().unwrap());
}

/// `all` over the devices, in parts of these lengths.
fn parts<T: GpuKey>(devices: &Arc<Devices>, lengths: &[usize], all: &[T]) -> Parts<T> {
    let mut rest = all;
    let parts = lengths.iter().zip(devices.all()).map(|(&length, device)| {
        let (here, behind) = rest.split_at(length);
        rest = behind;
        device.enter().unwrap();
        upload(here).unwrap()
    });
    Parts::new(devices, parts.collect()).unwrap()
}

/// Inputs that are exchanged in pieces, of evenly spread keys by bucket, verified on the first
/// device.
fn large_inputs(devices: &Arc<Devices>, sizes: &[usize]) {
    fn of<K: Key>(devices: &Arc<Devices>, workload: Workload) {
        let (n, first, ascending) = (workload.n, &devices.all()[0], Order::ascending);
        let input = Parts::upload(devices, &workload.generate::<K>().unwrap()).unwrap();
        let lengths = input.lengths();
        let values = Parts::upload(devices, &indices(n).unwrap()).unwrap();
        let gathered = input.gather(0).unwrap();
        first.enter().unwrap();
        let stream = stream();
        let hash = checks::keys(first, &gathered, &ascending(), &stream).unwrap().hash;
        for paired in [false, true] {
            let payload = Payload::of(paired);
            let mut sort = DevicesSort::new(devices, &lengths, payload, ascending()).unwrap();
            let mut keys_out = Parts::blank(devices, n).unwrap();
            let mut values_out = Parts::blank(devices, n).unwrap();
            match paired {
                true => sort.pairs((&input, &values), (&mut keys_out, &mut values_out)),
                false => sort.keys(&input, &mut keys_out),
            }
            .unwrap();
            drop(sort);
            let (keys, values) = (keys_out.gather(0).unwrap(), values_out.gather(0).unwrap());
            first.enter().unwrap();
            let found = checks::keys(first, &keys, &ascending(), &stream).unwrap();
            let checked = found.check(hash).and_then(|()| match paired {
                true => checks::values(first, &gathered, (&keys, &values), &stream),
                false => Ok(()),
            });
            let failed = |error| panic!("{} {workload:?}, paired {paired}: {error}", K::NAME);
            checked.unwrap_or_else(failed);
        }
    }
    for &n in sizes {
        for distribution in SPREADS {
            let workload = Workload { n, distribution, seed: n as u64 };
            of::<u32>(devices, workload);
            of::<u64>(devices, workload);
        }
    }
}

/// Parts of unequal lengths, some of them empty.
fn parts_may_be_of_any_lengths(_: Arc<Device>) {
    let devices = Devices::open(&[0; 4]).unwrap();
    for lengths in [[0, 100_000, 1, 0], [7, 0, 0, 0], [0, 0, 0, 0], [5000, 20_000, 300, 100_000]] {
        let case = Case::uniform(KeyType::U32, lengths.iter().sum(), 1);
        check::<u32>(&devices, &case, Some(&lengths));
    }
}

/// Each is one line that names the value at fault.
fn what_several_gpus_do_not_sort_is_refused(_: Arc<Device>) {
    let devices = Devices::open(&[0, 0]).unwrap();
    let refused =
        |payload, order| DevicesSort::<f32>::new(&devices, &[5, 5], payload, order).err().unwrap();
    let ascending = Order::ascending;
    let numeric = refused(Payload::None, ascending().numeric());
    assert!(matches!(numeric, Error::Order { .. }), "{numeric}");
    let wide = refused(Payload::Value(8), ascending());
    assert!(wide.to_string().contains("payload Value(8)"), "{wide}");
    let narrow = DevicesSort::<u16>::new(&devices, &[5, 5], Payload::None, ascending());
    let narrow = narrow.err().unwrap().to_string();
    assert!(narrow.contains("of u16 keys"), "{narrow}");
    let one = DevicesSort::<u32>::new(&devices, &[5], Payload::None, ascending());
    assert!(matches!(one, Err(Error::Parts { given: 1, devices: 2 })));
    let many = DevicesSort::<u32>::new(&devices, &[1 << 32, 0], Payload::None, ascending());
    assert!(matches!(many, Err(Error::TooManyToMerge { .. })));
    let mut sort = DevicesSort::<u32>::new(&devices, &[5, 5], Payload::None, ascending()).unwrap();
    let input = Parts::upload(&devices, &[7u32; 11]).unwrap();
    let mut output = Parts::blank(&devices, 11).unwrap();
    assert!(matches!(sort.keys(&input, &mut output), Err(Error::Lengths { .. })));
    let missing = Devices::open(&[0, 99]).err().unwrap().to_string();
    assert!(missing.starts_with("GPU 99: ") && !missing.contains('\n'), "{missing}");
}
