//! Inputs by the names of types and distributions, of which a file of keys can be one. The
//! last input is kept, because many cases in a row sort the same.

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;

use crate::case::Case;
use crate::error::Error;
use crate::key::Key;
use crate::verify::Keys;
use crate::workload::{KeyFile, Workload};

/// The settings that inputs are made from.
#[derive(Clone, Debug)]
struct Source {
    seed: u64,
    file: Option<KeyFile>,
}

/// Generates inputs, and keeps the last.
#[derive(Debug)]
pub struct Inputs {
    source: Source,
    last: RefCell<Option<(String, Rc<dyn Any>)>>,
}

impl Source {
    /// The keys of array `index` of a case: of a file, the same in each.
    fn make<K: Key>(&self, case: &Case, index: usize) -> Result<Vec<K>, Error> {
        let name = &case.distribution;
        if let Some(file) = self.file.as_ref().filter(|file| file.name() == name) {
            return file.read(case.n);
        }
        if name.contains('@') {
            let given = self.file.as_ref().map(|file| format!(", and not {}", file.name()));
            return Err(Error::Setting {
                setting: "--keys",
                given: name.clone(),
                reason: format!("give the file of these keys{}", given.unwrap_or_default()),
            });
        }
        let seed = self.seed.wrapping_add(index as u64);
        let workload = Workload { n: case.n, distribution: name.parse()?, seed };
        workload.generate()
    }
}

impl Inputs {
    /// Inputs drawn from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { source: Source { seed, file: None }, last: RefCell::default() }
    }

    /// The seed that they are drawn from.
    pub fn seed(&self) -> u64 {
        self.source.seed
    }

    /// Has the cases that name `file` sort its keys.
    pub fn take_file(&mut self, file: KeyFile) {
        self.source.file = Some(file);
    }

    /// The keys of a case.
    pub fn keys<K: Key>(&self, name: &Case) -> Result<Rc<Keys<K>>, Error> {
        self.kept(name.input(), || self.source.make(name, 0).map(Keys::new))
    }

    /// A way to make the keys of a case again and again, which are not kept here.
    pub fn again<K: Key>(&self, name: &Case) -> impl Fn() -> Result<Vec<K>, Error> + use<K> {
        *self.last.borrow_mut() = None;
        let (source, name) = (self.source.clone(), name.clone());
        move || source.make(&name, 0)
    }

    /// As many arrays as the level of a case, each from a seed of its own.
    pub fn arrays<K: Key>(&self, name: &Case) -> Result<Rc<Vec<Keys<K>>>, Error> {
        let key = format!("{} arrays of {}", name.level, name.input());
        let array = |index| self.source.make(name, index).map(Keys::new);
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
        let draw = inputs.again::<u32>(&name);
        assert!(draw().unwrap() == first.keys() && draw().unwrap() == first.keys());
        assert!(!Rc::ptr_eq(&first, &inputs.keys(&name).unwrap()));
        let other: Case = "cpu/u32-sorted/cpu-std/1/1000".parse().unwrap();
        assert!(inputs.keys::<u32>(&other).unwrap().keys().is_sorted());
    }

    #[test]
    fn cases_that_name_a_file_have_its_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own");
        std::fs::write(&path, [3, 0, 0, 0, 1, 0, 0, 0]).unwrap();
        let file = KeyFile::open(&path, Some("u32"), &[("u32", 4)]).unwrap();
        let case = file.of_case("batch/u32-uniform-9/cpu-std/2".parse().unwrap());
        let mut inputs = Inputs::new(7);
        let error = inputs.keys::<u32>(&case).unwrap_err().to_string();
        assert!(error.ends_with("`: give the file of these keys"), "{error}");
        inputs.take_file(file);
        assert_eq!(inputs.keys::<u32>(&case).unwrap().keys(), [3, 1]);
        let arrays = inputs.arrays::<u32>(&case).unwrap();
        assert!(arrays.iter().all(|array| array.keys() == [3, 1]) && arrays.len() == 2);
        let other = Case { distribution: "own@00000000".to_owned(), ..case };
        let error = inputs.keys::<u32>(&other).unwrap_err().to_string();
        assert!(
            error.contains("--keys: `own@00000000`: give the file")
                && error.contains("and not own@")
        );
    }

    #[test]
    fn arrays_differ() {
        let name: Case = "batch/u32-uniform-100/cpu-std/3".parse().unwrap();
        let arrays = Inputs::new(7).arrays::<u32>(&name).unwrap();
        assert_eq!(arrays.len(), 3);
        assert_ne!(arrays[0].keys(), arrays[1].keys());
    }
}
