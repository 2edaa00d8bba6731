//! Whose store it is. Times of two machines do not compare, and what another one measured
//! is not mistaken for what this one did.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Result, bail};

use crate::history;
use crate::schema::Store;

/// Advice where `folder` has stores, and none of this machine: its name may have changed,
/// which until version 0.1 was made of the kernel, the cores in use and the memory as well.
pub fn renamed(folder: &Path, machine_id: &str) -> Option<String> {
    let own = folder.join(format!("{machine_id}.jsonl"));
    if own.is_file() {
        return None;
    }
    let files = fs::read_dir(folder).ok()?.flatten();
    let paths = files.map(|file| file.path());
    let stores = paths.filter(|path| path.extension().is_some_and(|end| end == "jsonl"));
    let stores: BTreeSet<String> = stores.map(|path| path.display().to_string()).collect();
    let first = stores.first()?;
    Some(format!(
        "no store of this machine, {machine_id}, yet; machines are named by CPU and GPU now: if one \
         of these is its store under a former name, `mv {first} {}` goes on with it: {}",
        own.display(),
        stores.iter().cloned().collect::<Vec<_>>().join(", ")
    ))
}

/// A store, and the machines that its times are of.
#[derive(Debug)]
pub struct Source {
    /// The store.
    pub store: Store,
    /// The machines: by its name, and by its lines where they say.
    pub machines: BTreeSet<String>,
}

impl Source {
    /// The store of this machine, which need not be there yet.
    pub fn here(folder: &Path, machine_id: &str) -> Self {
        let machines = BTreeSet::from([machine_id.to_owned()]);
        Self { store: Store::of_machine(folder, machine_id), machines }
    }

    /// The store of a machine by its name.
    pub fn of_machine(folder: &Path, machine_id: &str) -> Result<Self> {
        let path = folder.join(format!("{machine_id}.jsonl"));
        if !path.is_file() {
            bail!("--machine: there is no store of `{machine_id}` in {}", folder.display());
        }
        Self::at(&path)
    }

    /// The store that this file is.
    pub fn at(path: &Path) -> Result<Self> {
        if !path.is_file() {
            bail!("there is no store {}", path.display());
        }
        let store = Store::at(path);
        let processes = history::processes(&store)?;
        let silent = processes.iter().any(|process| process.machine_id.is_none());
        let said = processes.into_iter().filter_map(|process| process.machine_id);
        let mut machines: BTreeSet<String> = said.collect();
        if silent || machines.is_empty() {
            // Comparisons do not say; the store's name does.
            machines.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
        Ok(Self { store, machines })
    }

    /// True if it is of another machine than `here`.
    ///
    /// # Errors
    /// It is, and that is not forced.
    pub fn require(&self, here: &str, force: bool) -> Result<bool> {
        let other = self.machines.iter().any(|machine| machine != here);
        if other && !force {
            bail!(
                "{} is of {}, and this is {here}: times of different machines do not compare; \
                 --force shows them all the same",
                self.store.path().display(),
                self.named()
            );
        }
        Ok(other)
    }

    fn named(&self) -> String {
        let machines: Vec<&str> = self.machines.iter().map(String::as_str).collect();
        format!("machine {}", machines.join(" and "))
    }

    /// The machine in words.
    pub fn label(&self, other: bool) -> String {
        match other {
            true => format!("{}: NOT THIS ONE, shown by --force", self.named()),
            false => format!("{}, which is this one", self.named()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_under_a_former_name_is_pointed_to_until_it_is_moved() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(renamed(folder.path(), "new"), None);
        let [former, own] = ["old.jsonl", "new.jsonl"].map(|name| folder.path().join(name));
        fs::write(&former, "").unwrap();
        let said = renamed(folder.path(), "new").unwrap();
        let command = format!("`mv {} {}`", former.display(), own.display());
        assert!(said.contains(&command) && !said.contains('\n'), "{said}");
        fs::rename(former, own).unwrap();
        assert_eq!(renamed(folder.path(), "new"), None);
    }
}
