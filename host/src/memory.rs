//! How much host memory there is, asked before any is taken: what does not fit ends a process by
//! the kernel's hand, with no message at all.
//!
//! Memory is bounded by the machine, by each of the control groups that the process is
//! nested in, and by limits of the process itself. The least of them counts.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Left free by what is [`require`]d, for all that is small.
pub const RESERVE: u64 = 32 << 20;

/// One of the bounds of host memory, and what it leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes that can be had without swapping.
    pub bytes: u64,
    /// Kind of memory: `memory`, `address space (ulimit -v)`, `memory of the
    /// control group /a/b`.
    pub what: String,
}

/// The least of what the machine, the control groups (v1 and v2) and the limits of this
/// process leave. `None` on a system that does not say.
pub fn available() -> Option<Room> {
    let root = Path::new("/");
    let mut rooms = in_limits(root);
    rooms.extend(in_control_groups(root));
    rooms.extend(in_machine(root));
    rooms.into_iter().min_by_key(|room| room.bytes)
}

/// The least of what the limits of this process leave, which count memory that is mapped
/// and never touched, such as the stacks of threads.
pub fn mappable() -> Option<Room> {
    let rooms = in_limits(Path::new("/"));
    rooms.into_iter().min_by_key(|room| room.bytes)
}

fn in_machine(root: &Path) -> Option<Room> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    Some(Room { bytes: kilobytes(&text, "MemAvailable:")?, what: "memory".to_owned() })
}

fn in_limits(root: &Path) -> Vec<Room> {
    let read = |file: &str| fs::read_to_string(root.join(file)).unwrap_or_default();
    let (limits, status) = (read("proc/self/limits"), read("proc/self/status"));
    let room = |limit: &str, used: &str, what: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(limit))?;
        let most: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(Room { bytes: most.saturating_sub(kilobytes(&status, used)?), what: what.to_owned() })
    };
    let address_space = room("Max address space", "VmSize:", "address space (ulimit -v)");
    let data = room("Max data size", "VmData:", "data memory (ulimit -d)");
    address_space.into_iter().chain(data).collect()
}

/// Bytes in a line such as `VmSize:   2048 kB`.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(number << 10)
}

/// Room in each of the control groups that the process is in, up to the outermost
/// that is mounted.
fn in_control_groups(root: &Path) -> Vec<Room> {
    let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
    let groups = read(root.join("proc/self/cgroup"));
    let mounts = read(root.join("proc/self/mountinfo"));
    let mut rooms = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else {
            continue;
        };
        let is_v2 = controllers.is_empty();
        if !is_v2 && !controllers.split(',').any(|name| name == "memory") {
            continue;
        }
        let Some((mount, inside)) = mounts.lines().find_map(|line| mounted(line, is_v2)) else {
            continue;
        };
        let relative = match group.strip_prefix(inside.trim_end_matches('/')) {
            Some(within) if !within.contains("..") => within.trim_matches('/'),
            // Of a group outside, the mount shows what it has.
            _ => "",
        };
        let top = root.join(mount.trim_start_matches('/'));
        let mut folder = top.join(relative);
        while folder.starts_with(&top) {
            rooms.extend(in_control_group(&folder, &top, is_v2));
            folder.pop();
        }
    }
    rooms
}

/// Mount point of the control groups that count memory, and the group that is mounted
/// there, if a line of `mountinfo` is of them.
fn mounted(line: &str, v2: bool) -> Option<(&str, &str)> {
    let (mount, kind) = line.split_once(" - ")?;
    let mut kind = kind.split(' ');
    let is_it = match kind.next()? {
        "cgroup2" => v2,
        "cgroup" => !v2 && kind.nth(1)?.split(',').any(|option| option == "memory"),
        _ => false,
    };
    let mut fields = mount.split(' ').skip(3);
    let (inside, point) = (fields.next()?, fields.next()?);
    is_it.then_some((point, inside))
}

/// Room in one control group: its limit less what is in use but for cached files, which
/// make room.
fn in_control_group(folder: &Path, top: &Path, v2: bool) -> Option<Room> {
    let number = |file: &str| -> Option<u64> {
        let text = fs::read_to_string(folder.join(file)).ok()?;
        text.trim().parse().ok()
    };
    let (limits, used, cached): (&[&str], _, _) = match v2 {
        true => (&["memory.max", "memory.high"], "memory.current", "inactive_file "),
        false => (&["memory.limit_in_bytes"], "memory.usage_in_bytes", "total_inactive_file "),
    };
    let limit = limits.iter().filter_map(|file| number(file)).min()?;
    let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let cached = stat.lines().find_map(|line| line.strip_prefix(cached));
    let cached: u64 = cached.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let group = folder.strip_prefix(top).unwrap_or(folder);
    Some(Room {
        bytes: limit.saturating_sub(number(used)?.saturating_sub(cached)),
        what: format!("memory of the control group /{}", group.display()),
    })
}

/// Bytes of `n` elements of type `T`, saturating: what does not fit into 64 bits
/// does not fit into memory either.
pub fn bytes_of<T>(n: usize) -> u64 {
    (n as u64).saturating_mul(size_of::<T>() as u64)
}

/// Checks that there is room for `needed` bytes for `n` elements.
///
/// # Errors
/// More than what is [`available`].
pub fn require(n: usize, needed: u64) -> Result<(), Error> {
    let room = available().filter(|room| needed > room.bytes.saturating_sub(RESERVE));
    match room {
        Some(room) if needed > 0 => Err(Error::Memory {
            n,
            what: room.what,
            needed,
            available: room.bytes.saturating_sub(RESERVE),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of a machine, by their paths from its root.
    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn found(rooms: Vec<Room>) -> Vec<(u64, String)> {
        let rooms = rooms.into_iter();
        rooms.map(|room| (room.bytes, room.what)).collect()
    }

    fn group(path: &str) -> String {
        format!("memory of the control group {path}")
    }

    #[test]
    fn every_control_group_of_version_2_up_to_the_root_counts() {
        let root = machine(&[
            ("proc/self/cgroup", "0::/slurm/job/step\n"),
            (
                "proc/self/mountinfo",
                "30 25 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n",
            ),
            ("sys/fs/cgroup/slurm/job/step/memory.max", "max\n"),
            ("sys/fs/cgroup/slurm/job/step/memory.current", "1000\n"),
            ("sys/fs/cgroup/slurm/job/memory.max", "9000\n"),
            ("sys/fs/cgroup/slurm/job/memory.current", "5000\n"),
            ("sys/fs/cgroup/slurm/job/memory.stat", "anon 3\ninactive_file 2000\n"),
            ("sys/fs/cgroup/slurm/memory.max", "50000\n"),
            ("sys/fs/cgroup/slurm/memory.high", "20000\n"),
            ("sys/fs/cgroup/slurm/memory.current", "5000\n"),
        ]);
        let rooms = found(in_control_groups(root.path()));
        assert_eq!(rooms, [(6000, group("/slurm/job")), (15_000, group("/slurm"))]);
    }

    #[test]
    fn every_control_group_of_version_1_up_to_the_mount_counts() {
        let root = machine(&[
            ("proc/self/cgroup", "9:cpu:/x\n4:memory:/docker/c1/a\n0::/\n"),
            (
                "proc/self/mountinfo",
                "34 31 0:30 / /cg/cpu rw - cgroup cgroup rw,cpu\n\
                 35 31 0:31 /docker/c1 /cg/memory rw,relatime - cgroup cgroup rw,memory\n",
            ),
            ("cg/memory/a/memory.limit_in_bytes", "9223372036854771712\n"),
            ("cg/memory/a/memory.usage_in_bytes", "100\n"),
            ("cg/memory/memory.limit_in_bytes", "7000\n"),
            ("cg/memory/memory.usage_in_bytes", "9000\n"),
            ("cg/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 3000\n"),
        ]);
        let rooms = found(in_control_groups(root.path()));
        assert_eq!(rooms[0], (9_223_372_036_854_771_612, group("/a")));
        assert_eq!(rooms[1..], [(1000, group("/"))]);
    }

    #[test]
    fn a_group_outside_of_what_is_mounted_has_the_limits_of_the_mount() {
        let root = machine(&[
            ("proc/self/cgroup", "0::/../other\n"),
            ("proc/self/mountinfo", "30 25 0:26 / /cg rw - cgroup2 cgroup2 rw\n"),
            ("cg/memory.max", "700\n"),
            ("cg/memory.current", "800\n"),
        ]);
        assert_eq!(found(in_control_groups(root.path())), [(0, group("/"))]);
    }

    #[test]
    fn limits_of_the_process_leave_what_is_not_in_use() {
        let limits = |address_space: &str, data: &str| {
            let limits = format!(
                "Limit                     Soft Limit           Hard Limit           Units\n\
                 Max data size             {data}            unlimited            bytes\n\
                 Max address space         {address_space}            unlimited            bytes\n"
            );
            let root = machine(&[
                ("proc/self/limits", &limits),
                ("proc/self/status", "VmPeak:\t 9 kB\nVmSize:\t  30 kB\nVmData:\t 10 kB\n"),
            ]);
            found(in_limits(root.path()))
        };
        assert_eq!(limits("unlimited", "unlimited"), []);
        let address_space = "address space (ulimit -v)".to_owned();
        let data = "data memory (ulimit -d)".to_owned();
        assert_eq!(limits("40960", "20480"), [(10_240, address_space.clone()), (10_240, data)]);
        assert_eq!(limits("10240", "unlimited"), [(0, address_space)]);
    }

    #[test]
    fn more_than_there_is_names_the_figures() {
        let message = require(7, u64::MAX).unwrap_err().to_string();
        assert!(message.starts_with("n = 7 needs 18.4 EB of "), "{message}");
        assert!(message.ends_with("choose a smaller n"), "{message}");
    }

    #[test]
    fn nothing_always_fits() {
        require(0, 0).unwrap();
        assert!(available().is_none_or(|room| room.bytes > 0));
    }
}
