//! What the kernel knows of the server: CPU time, peak memory, bytes on disk.

use std::path::Path;

use crate::LoadError;

/// CPU seconds (user and system) that a process has used since it started.
///
/// # Errors
/// `Observation` if it is gone or its numbers cannot be read.
pub fn cpu_seconds(pid: u32) -> Result<f64, LoadError> {
    let path = format!("/proc/{pid}/stat");
    let text = read(&path)?;
    // The command name, in parentheses, may hold anything; the fields after it are numbers.
    let ticks = text.rsplit_once(')').and_then(|(_, fields)| {
        let mut fields = fields.split_whitespace().skip(11);
        let user: u64 = fields.next()?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some(user + system)
    });
    let ticks = ticks.ok_or_else(|| unexpected(&path))?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Most memory a process has had resident, in bytes.
///
/// # Errors
/// `Observation` if it is gone or its numbers cannot be read.
pub fn peak_memory_bytes(pid: u32) -> Result<u64, LoadError> {
    let path = format!("/proc/{pid}/status");
    let text = read(&path)?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    Ok(kib.ok_or_else(|| unexpected(&path))? * 1024)
}

/// Bytes of a data directory: its logs, which are preallocated and recycled, and all the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskBytes {
    /// In `log/`.
    pub log: u64,
    /// Everywhere else.
    pub other: u64,
}

/// Adds up the files of a data directory.
///
/// # Errors
/// `Observation` if it cannot be read. A file that vanishes meanwhile counts as nothing.
pub fn disk_bytes(data_dir: &Path) -> Result<DiskBytes, LoadError> {
    let log = data_dir.join("log");
    let total = folder_bytes(data_dir)?;
    let log = if log.is_dir() { folder_bytes(&log)? } else { 0 };
    Ok(DiskBytes { log, other: total.saturating_sub(log) })
}

fn folder_bytes(folder: &Path) -> Result<u64, LoadError> {
    let failed = |source| LoadError::Observation { path: folder.display().to_string(), source };
    let mut total = 0;
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => total += folder_bytes(&entry.path())?,
            Ok(metadata) => total += metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(total)
}

fn read(path: &str) -> Result<String, LoadError> {
    std::fs::read_to_string(path).map_err(|source| LoadError::Observation { path: path.to_owned(), source })
}

fn unexpected(path: &str) -> LoadError {
    LoadError::Observation { path: path.to_owned(), source: std::io::ErrorKind::InvalidData.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_can_be_observed() {
        // The numbers are real: memory is resident, and burning CPU shows.
        let pid = std::process::id();
        assert!(peak_memory_bytes(pid).expect("own memory") > 100_000);
        let (before, start) = (cpu_seconds(pid).expect("own time"), std::time::Instant::now());
        while start.elapsed().as_millis() < 300 {}
        assert!(cpu_seconds(pid).expect("own time") > before);
    }

    #[test]
    fn log_and_data_are_counted_apart() {
        // A preallocated log must not look like stored rows.
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("log")).expect("created");
        std::fs::create_dir_all(folder.path().join("segments")).expect("created");
        std::fs::write(folder.path().join("log/1"), [0; 100]).expect("written");
        std::fs::write(folder.path().join("segments/1"), [0; 7]).expect("written");
        std::fs::write(folder.path().join("manifest"), [0; 3]).expect("written");
        assert_eq!(disk_bytes(folder.path()).expect("counted"), DiskBytes { log: 100, other: 10 });
    }
}
