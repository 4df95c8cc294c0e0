use super::*;

#[test]
fn memory_is_read_as_the_system_writes_it() {
    // Proves the units, and that a text of another form is no answer.
    assert_eq!(total_of("MemTotal:       24680616 kB\nMemFree:         1 kB\n"), Some(24_680_616 * 1024));
    assert_eq!(total_of("MemFree: 1 kB\n"), None);
    assert_eq!(total_of("MemTotal: many kB\n"), None);
    assert_eq!(limit_of("536870912\n"), Some(536_870_912));
    assert_eq!(limit_of("max\n"), None);
}

#[test]
fn the_limits_of_all_groups_around_count() {
    // Proves that a slice's limit is found as well as the service's, in both versions of control groups.
    let unified = limit_files("0::/system.slice/siltstone.service\n");
    let expected = ["system.slice/siltstone.service/memory.max", "system.slice/memory.max", "memory.max"];
    assert_eq!(unified, expected.map(|file| Path::new("/sys/fs/cgroup").join(file)));
    let split = limit_files("5:cpu,cpuacct:/a\n4:memory:/docker/b\n");
    let expected = ["docker/b/memory.limit_in_bytes", "docker/memory.limit_in_bytes", "memory.limit_in_bytes"];
    assert_eq!(split, expected.map(|file| Path::new("/sys/fs/cgroup/memory").join(file)));
    assert!(limit_files("no group\n").is_empty());
}

#[test]
#[cfg(target_os = "linux")]
fn this_machine_has_memory() {
    // Proves that what is read here is an amount that a process can live with.
    assert!(memory_bytes().is_some_and(|bytes| bytes > 64 << 20));
}
