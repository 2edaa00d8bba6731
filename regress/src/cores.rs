//! Which cores the processes of a comparison run on.
//!
//! A process that moves from core to core pays for it at random. So all processes are
//! bound to the same cores: the last ones, because the first takes most interrupts, and as
//! many as the cases have threads.

use std::num::ParseIntError;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use suite::{Case, session, threads};

/// Cores that processes are bound to.
#[derive(Clone, Debug)]
pub enum Cores {
    /// The last ones, as many as the cases have threads.
    Auto,
    /// These; where there are none, processes are not bound.
    These(Vec<usize>),
}

impl Cores {
    /// The cores for `cases`; none if processes are not to be bound.
    pub fn choose(&self, cases: impl FnOnce() -> Result<Vec<Case>>) -> Result<Vec<usize>> {
        match self {
            Self::Auto => Ok(for_cases(&cases()?, &allowed()?)),
            Self::These(cores) => Ok(cores.clone()),
        }
    }
}

impl FromStr for Cores {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let cores = || text.split(',').map(|core| core.trim().parse()).collect::<Result<_, _>>();
        match text {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::These(Vec::new())),
            _ => cores().map(Self::These).map_err(|_: ParseIntError| {
                "neither `auto` nor `none` nor a list of cores; write it like 0,1"
            }),
        }
    }
}

/// The cores that this process may use, in ascending order.
pub(crate) fn allowed() -> Result<Vec<usize>> {
    threads::allowed_cores().context("cannot ask which cores there are")
}

/// The last of `allowed`, as many as `cases` have threads; one more where a GPU's driver
/// has threads of its own.
fn for_cases(cases: &[Case], allowed: &[usize]) -> Vec<usize> {
    let threads = |case: &Case| {
        let driver = session::any_needs_gpu(std::slice::from_ref(case));
        case.level.saturating_add(usize::from(driver))
    };
    let wanted = cases.iter().map(threads).max().unwrap_or(1);
    allowed[allowed.len().saturating_sub(wanted)..].to_vec()
}

/// Binds this process, and with it those that it starts, to `cores`; leaves it as it is
/// where there are none.
pub fn bind(cores: &[usize]) -> Result<()> {
    if cores.is_empty() {
        return Ok(());
    }
    let said = || format!("--cores: cannot bind to {cores:?}; name cores of this machine");
    threads::bind(cores).with_context(said)?;
    // Linux takes a list of which it has a part.
    let bound = allowed()?;
    match cores.iter().all(|core| bound.contains(core)) {
        true => Ok(()),
        false => bail!(said()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(cases: &[&str], allowed: &[usize]) -> Vec<usize> {
        let cases: Vec<Case> = cases.iter().map(|case| case.parse().unwrap()).collect();
        for_cases(&cases, allowed)
    }

    #[test]
    fn there_are_as_many_cores_as_threads_and_no_more_than_are_allowed() {
        let one = "cpu/cpu-std/u32-uniform-9/1";
        let three = "cpu/cpu-rayon/u32-uniform-9/3";
        assert_eq!(wanted(&[one], &[0, 2, 5, 6]), [6]);
        assert_eq!(wanted(&[one, three], &[0, 2, 5, 6]), [2, 5, 6]);
        assert_eq!(wanted(&[three], &[4]), [4]);
        assert_eq!(wanted(&["device/gpu/u32-uniform-9/1"], &[0, 1, 2]), [1, 2]);
        assert!(!allowed().unwrap().is_empty());
    }
}
