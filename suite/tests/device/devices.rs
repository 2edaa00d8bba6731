//! Sorts of one array over several devices: on one GPU opened several times, and on all GPUs of
//! the machine where there are several.

use std::sync::Arc;

use host::Error;
use host::gpu::devices::{Devices, DevicesSort, Link, Parts};
use host::gpu::resident::indices;
use host::gpu::transfer::upload;
use host::gpu::{Bf16, Device, F16, Order, Payload, checks};
use libtest_mimic::{Completion, Trial};
use suite::devices_engine::DevicesSplit;
use suite::edge_inputs::edge_inputs;
use suite::engine::Engine;
use suite::key::Key;
use suite::workload::{Distribution, Workload};

use crate::oracle::{Ranked, call, keys, oracle, stream};
use crate::sorted;

/// On one GPU.
pub(crate) const TESTS: &[crate::OnDevice] = &[
    ("one_array_goes_over_a_gpu_opened_several_times", one_array_over_one_gpu),
    ("chunks_go_to_all_gpus_and_come_back_sorted", chunks_go_to_all_gpus_and_come_back_sorted),
    ("parts_may_be_of_any_lengths", parts_may_be_of_any_lengths),
    ("what_several_gpus_do_not_sort_is_refused", what_several_gpus_do_not_sort_is_refused),
];

/// Sorts of every level from and to host memory, on one GPU opened three times.
fn chunks_go_to_all_gpus_and_come_back_sorted(_: Arc<Device>) {
    from_and_to_host_memory(&Devices::open(&[0; 3]).unwrap(), &[100, 5000, 200_000]);
}

fn from_and_to_host_memory(devices: &Arc<Devices>, sizes: &[usize]) {
    fn of<K: Key>(devices: &Arc<Devices>, sizes: &[usize]) {
        let mut engine = DevicesSplit::<K>::new(Arc::clone(devices));
        for level in [1, 2, 7, 64] {
            for case in edge_inputs::<K>(sizes) {
                engine.prepare(case.keys.len(), level).unwrap();
                let mut keys = case.keys.clone();
                engine.sort(&mut keys).unwrap();
                let same = keys == sorted(&case.keys);
                assert!(same, "{} level {level}, {}", K::NAME, case.name);
            }
        }
        // Fewer than prepared for.
        let keys = keys::<u32>(1000).into_iter().map(|word| K::from_bits(word.into()));
        let keys: Vec<K> = keys.collect();
        let mut fewer = keys.clone();
        engine.prepare(5000, 4).unwrap();
        engine.sort(&mut fewer).unwrap();
        assert!(fewer == sorted(&keys));
    }
    of::<u32>(devices, sizes);
    of::<i32>(devices, sizes);
    of::<u64>(devices, sizes);
}

/// On several.
pub(crate) fn trial() -> Trial {
    let several = || {
        let devices = match Devices::open_all() {
            Ok(devices) if devices.all().len() > 1 => devices,
            Ok(_) => return Ok(Completion::ignored_with("one GPU")),
            Err(missing) => return Ok(Completion::ignored_with(missing.to_string())),
        };
        let count = devices.all().len();
        println!("{count} GPUs, from the first to the second {:?}", devices.link(0, 1));
        every_input(&devices);
        large_inputs(&devices, &[1 << 24, (1 << 27) + 12_345]);
        from_and_to_host_memory(&devices, &[200_000, 5_000_000]);
        Ok(Completion::Completed)
    };
    Trial::ignorable_test("one_array_goes_over_all_gpus", several)
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
    fn of<K: Ranked>(devices: &Arc<Devices>) {
        if ![32, 64].contains(&K::TYPE.bits) {
            return;
        }
        for n in [1, 2, 1000, 300_001] {
            let keys = keys::<K>(n);
            let input = Parts::upload(devices, &keys).unwrap();
            for (order, descending) in [(Order::ascending(), false), (Order::descending(), true)] {
                check(devices, &keys, &input, order, descending);
            }
        }
    }
    sort_cases::for_every_type!(call of (devices));
    for case in edge_inputs::<u32>(&[32, 5632, 100_000]) {
        let input = Parts::upload(devices, &case.keys).unwrap();
        check(devices, &case.keys, &input, Order::ascending(), false);
    }
}

/// Sorts keys alone and with their indices, and compares both with the host's stable sort.
fn check<K: Ranked>(
    devices: &Arc<Devices>,
    keys: &[K],
    input: &Parts<K>,
    order: Order,
    descending: bool,
) {
    let (n, count) = (keys.len(), devices.all().len());
    let what = format!("{n} keys of {}, {order:?}, over {count}", K::TYPE.name);
    let expected = oracle(keys, K::rank, descending);
    let lengths = input.lengths();
    let words = |keys: &[K]| keys.iter().map(|key| key.to_word()).collect::<Vec<_>>();
    let in_order: Vec<u128> = expected.iter().map(|&i| keys[i as usize].to_word()).collect();

    let mut sort = DevicesSort::new(devices, &lengths, Payload::None, order.clone()).unwrap();
    let mut output = Parts::blank(devices, n).unwrap();
    for _ in 0..2 {
        output.fill(0xA5).unwrap();
        sort.keys(input, &mut output).unwrap();
        assert!(words(&output.download().unwrap()) == in_order, "{what}");
    }
    assert!(words(&input.download().unwrap()) == words(keys), "{what}, input changed");

    let all = indices(n).unwrap();
    let mut rest = &all[..];
    let values = lengths.iter().enumerate().map(|(device, &length)| {
        let (here, behind) = rest.split_at(length);
        rest = behind;
        devices.all()[device].enter().unwrap();
        upload(here).unwrap()
    });
    let values = Parts::new(devices, values.collect()).unwrap();
    let mut sort = DevicesSort::new(devices, &lengths, Payload::Value(4), order).unwrap();
    let mut values_out = Parts::blank(devices, n).unwrap();
    output.fill(0xA5).unwrap();
    sort.pairs((input, &values), (&mut output, &mut values_out)).unwrap();
    assert!(values_out.download().unwrap() == expected, "{what}, values");
    assert!(words(&output.download().unwrap()) == in_order, "{what}, keys of values");
}

/// Inputs that are exchanged in pieces, of evenly spread keys by bucket, verified on the first
/// device.
fn large_inputs(devices: &Arc<Devices>, sizes: &[usize]) {
    fn of<K: Key>(devices: &Arc<Devices>, workload: Workload) {
        let n = workload.n;
        let order = Order::ascending();
        let input = Parts::upload(devices, &workload.generate::<K>().unwrap()).unwrap();
        let gathered = input.gather(0).unwrap();
        let first = &devices.all()[0];
        first.enter().unwrap();
        let stream = stream();
        let hash = checks::keys(first, &gathered, &order, &stream).unwrap().hash;

        let mut alone =
            DevicesSort::new(devices, &input.lengths(), Payload::None, order.clone()).unwrap();
        let mut keys_out = Parts::blank(devices, n).unwrap();
        alone.keys(&input, &mut keys_out).unwrap();
        drop(alone);
        let keys = keys_out.gather(0).unwrap();
        first.enter().unwrap();
        let checked = checks::keys(first, &keys, &order, &stream).unwrap().check(hash);
        checked.unwrap_or_else(|error| panic!("{} {workload:?}, alone: {error}", K::NAME));

        let values = Parts::upload(devices, &indices(n).unwrap()).unwrap();
        let lengths = input.lengths();
        let mut sort =
            DevicesSort::new(devices, &lengths, Payload::Value(4), order.clone()).unwrap();
        let mut values_out = Parts::blank(devices, n).unwrap();
        sort.pairs((&input, &values), (&mut keys_out, &mut values_out)).unwrap();
        let (input, keys) = (gathered, keys_out.gather(0).unwrap());
        let values = values_out.gather(0).unwrap();
        first.enter().unwrap();
        let found = checks::keys(first, &keys, &order, &stream).unwrap();
        let checked = found.check(hash);
        let checked =
            checked.and_then(|()| checks::values(first, &input, (&keys, &values), &stream));
        checked.unwrap_or_else(|error| panic!("{} {workload:?}: {error}", K::NAME));
    }
    for &n in sizes {
        for distribution in [
            Distribution::Uniform,
            Distribution::Classic,
            Distribution::Constant,
            Distribution::Sorted,
            Distribution::Reversed,
            Distribution::FewDistinct,
        ] {
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
        let keys = keys::<u32>(lengths.iter().sum());
        let mut rest = &keys[..];
        let parts = lengths.map(|length| {
            let (here, behind) = rest.split_at(length);
            rest = behind;
            upload(here).unwrap()
        });
        let input = Parts::new(&devices, parts.into()).unwrap();
        check(&devices, &keys, &input, Order::ascending(), false);
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
