use super::*;
use std::ffi::c_void;

#[test]
fn parameters_are_the_arguments_in_order() {
    let at = Global::<u32>::on_device;
    let from = |first| Buffers { input: at(first), output: at(first + 1), scratch: at(first + 2) };
    let pass = Pass {
        keys: from(100),
        values: from(200),
        control: at(3),
        n: 4 << 32,
        position: 5,
        shift: 6,
        mask: 7,
        order_mask: 8,
        portion: 9,
        first_tile: 10,
        options: 11,
        bits: Bits { begin: 12, end: 13 },
    };
    let read = |entry: Entry<Pass<u32>>, words: &[bool]| -> Vec<u64> {
        let pointers = (entry.parameters)(&pass);
        assert_eq!(pointers.len(), words.len());
        let read = |(pointer, wide): (*mut c_void, &bool)| match wide {
            // SAFETY: they point into `pass`, to 8 or to 4 bytes.
            true => unsafe { *pointer.cast::<u64>() },
            false => unsafe { *pointer.cast::<u32>() }.into(),
        };
        pointers.into_iter().zip(words).map(read).collect()
    };
    let rest = [3, 4 << 32, 5, 6, 7, 8, 9, 10, 11, 12, 13];
    let wide = |pointers: usize| -> Vec<bool> { (0..pointers + 9).map(|i| i < pointers).collect() };
    let keys = read(onesweep_keys_u32::ENTRY, &wide(5));
    assert_eq!(keys, [&[100, 101, 102], &rest[..]].concat());
    let pairs = read(onesweep_pairs_u32::ENTRY, &wide(8));
    assert_eq!(pairs, [&[100, 101, 102, 200, 201, 202], &rest[..]].concat());
}
