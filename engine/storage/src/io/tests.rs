//! One suite over every disk: what the traits promise holds on the real one and on the simulated one.

use std::io::{ErrorKind, IoSlice};

use super::sim::SimDisk;
use super::*;

/// Runs a check on a fresh disk of each kind.
fn on_every_disk(check: impl Fn(&dyn Disk)) {
    let folder = tempfile::tempdir().unwrap();
    check(&OsDisk::open(folder.path()).unwrap());
    check(&SimDisk::new(1));
    check(&*latch::LatchDisk::new(Arc::new(SimDisk::new(2))));
}

fn contents(file: &dyn DiskFile) -> Vec<u8> {
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

fn kind<T>(outcome: Result<T>) -> Option<ErrorKind> {
    outcome.err().map(|error| error.kind())
}

#[test]
fn paths_stay_inside() {
    // Invariant 2: every call refuses a path that could leave the directory or touch the lock, before the disk is touched.
    on_every_disk(|disk| {
        let invalid = Some(ErrorKind::InvalidInput);
        for path in
            ["", "/etc/passwd", "../x", "a/../x", "..", ".", "a/b/c", "a/", "/a", "a//b", "a\\b", "a\0", "LOCK", "./x"]
        {
            assert_eq!(kind(disk.create(path)), invalid, "create {path:?}");
            assert_eq!(kind(disk.open(path)), invalid, "open {path:?}");
            assert_eq!(kind(disk.remove(path)), invalid, "remove {path:?}");
            assert_eq!(kind(disk.rename(path, "x")), invalid, "rename from {path:?}");
            assert_eq!(kind(disk.rename("x", path)), invalid, "rename to {path:?}");
        }
        for folder in ["..", ".", "/", "a/b", "/tmp"] {
            assert_eq!(kind(disk.create_dir(folder)), invalid, "create_dir {folder:?}");
            assert_eq!(kind(disk.list(folder)), invalid, "list {folder:?}");
            assert_eq!(kind(disk.sync_dir(folder)), invalid, "sync_dir {folder:?}");
        }
    });
}

#[test]
fn names_behave() {
    // Creation is exclusive, renames replace, lists are sorted and show files only, missing things are `NotFound`.
    on_every_disk(|disk| {
        let missing = Some(ErrorKind::NotFound);
        assert_eq!(disk.list("log").unwrap(), Vec::<String>::new());
        assert_eq!(kind(disk.create("log/a")), missing);
        disk.create_dir("log").unwrap();
        disk.create_dir("log").unwrap();
        disk.create("log/b").unwrap().write_at(0, &[IoSlice::new(b"old")]).unwrap();
        disk.create("log/a").unwrap().write_at(0, &[IoSlice::new(b"new")]).unwrap();
        disk.create("top").unwrap();
        assert_eq!(kind(disk.create("log/a")), Some(ErrorKind::AlreadyExists));
        assert_eq!(disk.list("log").unwrap(), ["a", "b"]);
        assert_eq!(disk.list("").unwrap(), ["top"]);

        let replaced = disk.open("log/b").unwrap();
        disk.rename("log/a", "log/b").unwrap();
        assert_eq!(contents(&*replaced), b"old", "an open file outlives its name");
        assert_eq!(contents(&*disk.open("log/b").unwrap()), b"new");
        assert_eq!(kind(disk.open("log/a")), missing);
        assert_eq!(kind(disk.rename("log/a", "log/c")), missing);
        disk.remove("log/b").unwrap();
        assert_eq!(kind(disk.remove("log/b")), missing);
        disk.sync_dir("log").unwrap();
        disk.sync_dir("").unwrap();
        assert_eq!(disk.list("log").unwrap(), Vec::<String>::new());
    });
}

#[test]
fn a_missing_folder_cannot_be_synced() {
    // A sync that found nothing to sync says so.
    on_every_disk(|disk| assert_eq!(kind(disk.sync_dir("log")), Some(ErrorKind::NotFound)));
}

#[test]
fn bytes_behave() {
    // Slices land one after the other, a gap reads as zeros, a read past the end fails and fills nothing by halves.
    on_every_disk(|disk| {
        let file = disk.create("f").unwrap();
        file.write_at(3, &[IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")]).unwrap();
        file.write_at(4, &[IoSlice::new(b"X")]).unwrap();
        file.write_at(8, &[]).unwrap();
        file.sync().unwrap();
        assert_eq!(contents(&*disk.open("f").unwrap()), b"\0\0\0aXcde");
        assert_eq!(kind(file.read_at(7, &mut [0; 2])), Some(ErrorKind::UnexpectedEof));
        assert_eq!(kind(file.read_at(1 << 40, &mut [0; 2])), Some(ErrorKind::UnexpectedEof));
    });
}

#[test]
fn allocation_adds_zeros_and_never_shrinks() {
    // What was written stays, the rest is zeros; a shorter length changes nothing.
    on_every_disk(|disk| {
        let file = disk.create("f").unwrap();
        file.write_at(0, &[IoSlice::new(b"abc")]).unwrap();
        file.allocate(3 << 20).unwrap();
        assert_eq!(file.len().unwrap(), 3 << 20);
        let bytes = contents(&*file);
        assert_eq!(&bytes[..4], b"abc\0");
        assert!(bytes[3..].iter().all(|byte| *byte == 0));
        file.allocate(10).unwrap();
        assert_eq!(file.len().unwrap(), 3 << 20);
    });
}

#[test]
fn maps_outlive_the_file() {
    // A map is the whole file, may be empty, and stays readable when file and name are gone.
    on_every_disk(|disk| {
        let file = disk.create("f").unwrap();
        assert_eq!(file.map().unwrap().len(), 0);
        let bytes: Vec<u8> = (0..100_000_u32).map(|i| (i % 251) as u8).collect();
        file.write_at(0, &[IoSlice::new(&bytes)]).unwrap();
        file.sync().unwrap();
        let map = disk.open("f").unwrap().map().unwrap();
        let part = map.slice_with_length(70_000, 10);
        disk.remove("f").unwrap();
        drop((file, disk.create("f").unwrap()));
        assert_eq!(map.as_slice(), bytes);
        drop(map);
        assert_eq!(part.as_slice(), &bytes[70_000..70_010]);
    });
}

#[test]
fn the_lock_is_exclusive_and_invisible() {
    // A second lock is `WouldBlock` until the first drops; the lock file shows in no list.
    on_every_disk(|disk| {
        let held = disk.lock().unwrap();
        assert_eq!(kind(disk.lock()), Some(ErrorKind::WouldBlock));
        assert_eq!(disk.list("").unwrap(), Vec::<String>::new());
        drop(held);
        disk.lock().unwrap();
        assert!(disk.free_bytes().unwrap() > 0);
    });
}

#[test]
fn a_file_can_be_in_two_directories() {
    // A link is the same file under the same name, exclusive like a creation, and outlives the original; unlike disks share nothing.
    let folder = tempfile::tempdir().unwrap();
    let os = |name: &str| -> Arc<dyn Disk> { Arc::new(OsDisk::open(&folder.path().join(name)).unwrap()) };
    let sim = |seed: u64| -> Arc<dyn Disk> { Arc::new(SimDisk::new(seed)) };
    let latched: Arc<dyn Disk> = latch::LatchDisk::new(sim(3));
    for (from, to) in [(os("a"), os("b")), (sim(1), sim(2)), (latched, sim(4))] {
        from.create_dir("d").unwrap();
        from.create("d/f").unwrap().write_at(0, &[IoSlice::new(b"bytes")]).unwrap();
        assert_eq!(kind(from.link_to("d/f", &*to)), Some(ErrorKind::NotFound), "no folder");
        to.create_dir("d").unwrap();
        from.link_to("d/f", &*to).unwrap();
        assert_eq!(kind(from.link_to("d/f", &*to)), Some(ErrorKind::AlreadyExists));
        assert_eq!(kind(from.link_to("d/g", &*to)), Some(ErrorKind::NotFound));
        assert_eq!(kind(from.link_to("../f", &*to)), Some(ErrorKind::InvalidInput));
        from.remove("d/f").unwrap();
        to.sync_dir("d").unwrap();
        assert_eq!(contents(&*to.open("d/f").unwrap()), b"bytes");
    }
    let (real, simulated) = (os("c"), sim(5));
    for (from, to) in [(&real, &simulated), (&simulated, &real)] {
        from.create("f").unwrap();
        assert_eq!(kind(from.link_to("f", &**to)), Some(ErrorKind::Unsupported));
    }
}
