//! Sorts by kernels of one shape, as engines: `gpu@passes-512x25x2-match`. All shapes sort
//! one input on the device, and every result is verified.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use host::gpu::sweep::{Family, Fit, Name, Ranking, sorts};
use host::gpu::{GpuKey, Order, Payload, Resident, Sort};

use super::gpu::sorter;
use crate::engines::GPU;
use crate::error::Error;
use crate::lines::ShapeLine;
use crate::runner::{Runner, Times};

struct Shaped<K: GpuKey> {
    /// Input and output, which all shapes share.
    resident: Rc<RefCell<Resident<'static, K>>>,
    sort: Arc<Sort<K>>,
}

impl<K: GpuKey> Runner for Shaped<K> {
    fn once(&mut self) -> Result<Times, Error> {
        let mut resident = self.resident.borrow_mut();
        resident.set_sort(Arc::clone(&self.sort))?;
        Ok(Times::of_device(resident.verified_sample()?.as_secs_f64()))
    }

    /// The first sort of a turn may have to clear what another shape has left.
    fn turn(&mut self, count: usize) -> Result<Vec<Times>, Error> {
        self.once()?;
        (0..count).map(|_| self.once()).collect()
    }
}

/// A shape: its line in the records, and its runner or why it is skipped.
pub struct Shape {
    /// Line of the records.
    pub line: ShapeLine,
    /// Runner.
    pub runner: Result<Box<dyn Runner>, String>,
}

/// Every shape, ready to sort `keys`, with their indices if `paired`.
pub fn shapes<K: GpuKey>(keys: &[K], paired: bool) -> Result<Vec<Shape>, Error> {
    let sorter = sorter()?;
    let resident = Resident::new(sorter, keys, Payload::of(paired), Order::ascending())?;
    let resident = Rc::new(RefCell::new(resident));
    let shape = |fit| match fit {
        Fit::Runs(shaped) => {
            let runner = Shaped { resident: Rc::clone(&resident), sort: shaped.sort };
            Shape {
                line: ShapeLine {
                    engine: engine(&shaped.name),
                    in_use: shaped.name.in_use,
                    registers: shaped.resources.registers,
                    resident_blocks: shaped.resources.blocks,
                },
                runner: Ok(Box::new(runner)),
            }
        }
        Fit::Skipped { name, reason } => {
            let (engine, in_use) = (engine(&name), name.in_use);
            let line = ShapeLine { engine, in_use, registers: 0, resident_blocks: 0 };
            Shape { line, runner: Err(reason) }
        }
    };
    Ok(sorts::<K>(sorter, keys.len(), paired)?.into_iter().map(shape).collect())
}

fn engine(shape: &Name) -> String {
    let family = match shape.family {
        Family::Passes => "passes",
        Family::SingleWave => "single-wave",
        Family::LocalSort => "local-sort",
        Family::Fused => "one-launch",
    };
    let ranking = match shape.ranking {
        Ranking::Atomics => "atomics",
        Ranking::Match => "match",
        Ranking::AsInUse => "as-in-use",
    };
    let blocks = shape.blocks.map(|blocks| format!("x{blocks}")).unwrap_or_default();
    format!("{GPU}@{family}-{}x{}{blocks}-{ranking}", shape.threads, shape.items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Case;

    #[test]
    fn a_shape_is_an_engine_whose_case_has_a_name() {
        let shape = Name {
            family: Family::SingleWave,
            threads: 512,
            items: 24,
            blocks: Some(2),
            ranking: Ranking::Match,
            in_use: false,
        };
        assert_eq!(engine(&shape), "gpu@single-wave-512x24x2-match");
        let name = format!("device/u8-uniform/{}/1/1024", engine(&shape));
        assert_eq!(name.parse::<Case>().unwrap().to_string(), name);
    }
}
