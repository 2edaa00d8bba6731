//! Inputs by the names of types and distributions. The last one is kept, because many
//! cases in a row sort the same.

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;

use crate::case::Case;
use crate::error::Error;
use crate::key::Key;
use crate::verify::{Fingerprint, Verifier};
use crate::workload::Workload;

/// Keys, and the fingerprint that their sorted form has.
#[derive(Debug)]
pub struct Keys<K> {
    keys: Vec<K>,
    fingerprint: Fingerprint,
}

impl<K: Key> Keys<K> {
    /// Takes the fingerprint of `keys`.
    pub fn new(keys: Vec<K>) -> Self {
        Self { fingerprint: Fingerprint::of(&keys), keys }
    }

    /// The keys.
    pub fn keys(&self) -> &[K] {
        &self.keys
    }

    /// Verifier of results.
    pub fn verifier(&self) -> Verifier<'_, K> {
        Verifier::with_fingerprint(&self.keys, self.fingerprint)
    }

    /// Verifies the result of an engine at a level.
    pub fn check(&self, result: &[K], engine: &'static str, level: usize) -> Result<(), Error> {
        let checked = self.verifier().check(result);
        checked.map_err(|difference| Error::WrongResult { engine, level, difference })
    }
}

/// Generates inputs, and keeps the last.
#[derive(Debug)]
pub struct Inputs {
    seed: u64,
    last: RefCell<Option<(String, Rc<dyn Any>)>>,
}

impl Inputs {
    /// Inputs drawn from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed, last: RefCell::default() }
    }

    /// How to generate the input of a case.
    pub fn workload(&self, name: &Case) -> Result<Workload, Error> {
        Ok(Workload { n: name.n, distribution: name.distribution.parse()?, seed: self.seed })
    }

    /// The keys of a case.
    pub fn keys<K: Key>(&self, name: &Case) -> Result<Rc<Keys<K>>, Error> {
        let workload = self.workload(name)?;
        self.kept(name.input(), || Ok(Keys::new(workload.generate()?)))
    }

    /// As many arrays as the level of a case, each from a seed of its own.
    pub fn arrays<K: Key>(&self, name: &Case) -> Result<Rc<Vec<Keys<K>>>, Error> {
        let workload = self.workload(name)?;
        let array = |index: usize| {
            let seed = workload.seed.wrapping_add(index as u64);
            Ok(Keys::new(Workload { seed, ..workload }.generate()?))
        };
        let key = format!("{} arrays of {}", name.level, name.input());
        self.kept(key, || (0..name.level).map(array).collect())
    }

    /// The value made last under this key, or else the one that `make` makes. The one before is
    /// dropped first: memory may not hold both.
    fn kept<T: 'static>(
        &self,
        key: String,
        make: impl FnOnce() -> Result<T, Error>,
    ) -> Result<Rc<T>, Error> {
        let mut last = self.last.borrow_mut();
        if let Some((_, kept)) = last.as_ref().filter(|(known, _)| *known == key)
            && let Ok(kept) = Rc::clone(kept).downcast()
        {
            return Ok(kept);
        }
        *last = None;
        let made = Rc::new(make()?);
        *last = Some((key, made.clone()));
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_input_is_kept_and_another_is_made() {
        let inputs = Inputs::new(7);
        let name: Case = "cpu/u32-uniform/cpu-std/1/1000".parse().unwrap();
        let first = inputs.keys::<u32>(&name).unwrap();
        let again = inputs.keys::<u32>(&name.of_engine("cpu-radix")).unwrap();
        assert!(Rc::ptr_eq(&first, &again));
        let other: Case = "cpu/u32-sorted/cpu-std/1/1000".parse().unwrap();
        assert!(inputs.keys::<u32>(&other).unwrap().keys().is_sorted());
    }

    #[test]
    fn arrays_differ() {
        let name: Case = "batch/u32-uniform-100/cpu-std/3".parse().unwrap();
        let arrays = Inputs::new(7).arrays::<u32>(&name).unwrap();
        assert_eq!(arrays.len(), 3);
        assert_ne!(arrays[0].keys(), arrays[1].keys());
    }
}
