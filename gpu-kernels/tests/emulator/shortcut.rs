//! The launch behind the plan that may sort without passes.

use crate::alone::{Arrays, Kernel, check_sorted};
use crate::case::{Emulated, both_ways, draws, patient};
use crate::cases;
use crate::sorter::{Kernels, Sorter};
use cuda_std::emu::{Buffer, Options};
use cuda_std::ext::AtomicWord;
use gpu_kernels::control::{self, ASCENDING, DESCENDING, FEW};
use gpu_kernels::few;
use gpu_kernels::key::Key;
use gpu_kernels::policy::Shape;
use gpu_kernels::shortcut;
use gpu_kernels::tile::{Buffers, WholeSort};
use sort_cases::{Case, KeyType, Payload};
use std::collections::HashSet;

/// Its blocks, but for those that a seed leaves out.
const BLOCKS: usize = 3;

/// In a small shape, of keys alone or `paired` with values.
pub fn small<K: Key + AtomicWord>(paired: bool) -> Kernel<WholeSort<K>> {
    let shape = Shape::new(128, 0, 1);
    let bytes = few::shared_bytes::<K>();
    match paired {
        true => Kernel::of_shape(shortcut::shortcut::<K, 128, true>, shape, 0).early(),
        false => Kernel::of_shape(shortcut::shortcut::<K, 128, false>, shape, bytes).early(),
    }
}

/// Plans the keys and runs the shortcut, by the suggestion that it is `told` or, if that is 0, by
/// the plan's. Returns whether they are sorted then; if not, all is as it was.
pub fn sorts<K: Key>(
    case: &Case,
    keys: &[K],
    kernel: Kernel<WholeSort<K>>,
    (told, is_patient): (u32, bool),
) -> Result<bool, String> {
    let bits = (0, K::BITS);
    let case = Case { bits, numeric: false, ..*case };
    let (paired, indexed) = (case.payload != Payload::None, case.payload == Payload::Index);
    let mut sorter = Sorter::new(&case, Kernels::small(paired));
    sorter.suggests = true;
    // Wherever that is aligned.
    let skip = case.seed as usize % 3;
    let skipped = |words: &[K]| [&vec![K::default(); skip], words].concat();
    let input = Buffer::from_slice(&skipped(keys)).named("input");
    let output = Buffer::uninitialised(keys.len()).named("output");
    let (output, begin) = if case.in_place { (&input, skip) } else { (&output, 0) };
    let values: Vec<u32> = match indexed {
        true => (0..keys.len() as u32).collect(),
        false => case.some_words(keys.len(), 2),
    };
    let given = match indexed {
        true => Buffer::uninitialised(keys.len()),
        false => Buffer::from_slice(&values),
    };
    let of_values = Arrays::of_values(given, case.in_place);
    let scratch = Buffer::uninitialised(BLOCKS * few::ROW).named("scratch");
    sorter.plan(&input, skip, indexed)?;
    let ascents = keys.windows(2).filter(|pair| case.rank(pair[0]) < case.rank(pair[1])).count();
    let descents = keys.windows(2).filter(|pair| case.rank(pair[0]) > case.rank(pair[1])).count();
    let copies = sorter.control.read(control::SHORTCUT) & (ASCENDING | DESCENDING) != 0;
    if copies && ascents.min(descents) > keys.len() / 4 {
        return Err("a copy is suggested of keys that are in no order".to_owned());
    }
    if told != 0 {
        sorter.control.write(control::SHORTCUT, told);
    }
    sorter.control.write(control::LOCALLY, 1);
    let plan = || -> Vec<u32> { (0..K::DIGITS).map(|word| sorter.control.read(word)).collect() };
    let planned = plan();
    let counted = sorter.counted(&input, skip, indexed);
    let arg = WholeSort {
        keys: Buffers {
            input: counted.input,
            // SAFETY: the buffer has as many keys behind.
            output: unsafe { output.global().offset(begin) },
            scratch: scratch.global(),
        },
        values: of_values.buffers(),
        control: sorter.control.global(),
        n: keys.len() as u32,
        order_mask: counted.order_mask,
        options: counted.options | sorter.planned(),
    };
    let blocks = BLOCKS - case.seed as usize % 2;
    let options = case.options(blocks as u32, kernel.threads as u32);
    let options = if is_patient { patient(options) } else { options };
    let options = Options { early: kernel.early, ..options }.named("shortcut");
    kernel.launch_as(&options, blocks, arg)?;
    let sorted = sorter.control.read(control::LOCALLY) == 0;
    if !sorted {
        return match plan() == planned && input.to_vec() == skipped(keys) {
            true => Ok(false),
            false => Err("not sorted, but changed".to_owned()),
        };
    }
    let found = paired.then(|| of_values.output().to_vec());
    check_sorted(
        (keys, &values),
        |key| case.rank(key),
        &output.to_vec()[begin..],
        found.as_deref(),
    )?;
    match plan().iter().all(|&step| step == 0) && (case.in_place || input.to_vec() == skipped(keys))
    {
        true => Ok(true),
        false => Err("passes are left, or the input has changed".to_owned()),
    }
}

#[test]
fn shortcut() {
    let draws = draws("shortcut", cases::SHORTCUT, (1024, 9000));
    both_ways(draws, 20, |case| {
        let how = ([0, ASCENDING, DESCENDING, FEW][case.seed as usize % 4], false);
        let paired = case.payload != Payload::None;
        match case.key.bits {
            32 => sorts(case, &case.words::<u32>(), small(paired), how),
            _ => sorts(case, &case.words::<u64>(), small(paired), how),
        }
    });
}

/// As many distinct keys as there may be, and one more, of which a block may see fewer.
#[test]
fn so_many_distinct_keys_are_few() {
    let few = |keys: Vec<u64>, seed| {
        let case = Case { payload: Payload::None, ..Case::uniform(KeyType::U64, keys.len(), seed) };
        sorts(&case, &keys, small(false), (FEW, true))
    };
    let none: u64 = 0x9e37_79b9_7f4a_7c15;
    for (distinct, expected) in [(255, true), (256, true), (257, false), (2000, false)] {
        let key = |i| none.wrapping_add(((i % distinct) << 40) | (i % distinct));
        assert_eq!(few((0..5000).map(key).collect(), distinct), Ok(expected), "{distinct}");
    }
    // A vector a thread, of two blocks in turns.
    let key = |i: u64| ((i / 2 / 128 % 2) << 60) | (i % 129);
    let keys: Vec<u64> = (0..4096).map(key).collect();
    assert_eq!(keys.iter().collect::<HashSet<_>>().len(), 258);
    assert_eq!(few(keys, 1), Ok(false));
}
