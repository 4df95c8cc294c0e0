//! What the machine allows a process: memory.
//!
//! **Invariants**: a limit of the control group counts as much as the machine's own memory; what cannot be read is no limit.

use std::fs;
use std::path::{Path, PathBuf};

/// Bytes that the process may use: the machine's memory, or less if a control group of the process says so (a container's limit, a
/// service's `MemoryMax`). `None` if the system does not say, as outside Linux.
pub fn memory_bytes() -> Option<u64> {
    let total = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_of(&text));
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = limit_files(&own).into_iter().filter_map(|file| limit_of(&fs::read_to_string(file).ok()?));
    total.into_iter().chain(limits).min()
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Where the limits of the process's groups, and of all groups around them, stand. The lines of `/proc/self/cgroup` are
/// `number:controllers:path`; version 2 names no controllers.
fn limit_files(own_groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in own_groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        let (root, name) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|controller| controller == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let group = Path::new(group.trim_start_matches('/'));
        files.extend(group.ancestors().map(|group| Path::new(root).join(group).join(name)));
    }
    files
}

/// A limit in bytes; none if it says `max`.
fn limit_of(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests;
