use super::*;
use crate::error::{Error as StorageError, ErrorKind as StorageErrorKind};
use crate::io::sim::SimDisk;

fn write(file: &dyn DiskFile, offset: u64, count: usize) -> Result<()> {
    file.write_at(offset, &[IoSlice::new(&vec![1; count])])
}

fn disk_with_file() -> (SimDisk, Arc<LatchDisk>, Arc<dyn DiskFile>) {
    let sim = SimDisk::new(1);
    let disk = LatchDisk::new(Arc::new(sim.clone()));
    let file = disk.create("f").unwrap();
    write(&*file, 0, 100).unwrap();
    (sim, disk, file)
}

/// Invariants 1 and 3: no change reaches the disk, every refusal is told from a failure, reads go on.
fn assert_latched(sim: &SimDisk, disk: &LatchDisk, file: &dyn DiskFile, reason: &str) {
    assert!(disk.latched().unwrap().contains(reason), "{:?}", disk.latched());
    let before = sim.counts();
    let refused = [
        disk.create_dir("d").unwrap_err(),
        disk.create("g").unwrap_err(),
        disk.rename("f", "g").unwrap_err(),
        disk.remove("f").unwrap_err(),
        disk.sync_dir("").unwrap_err(),
        write(file, 0, 1).unwrap_err(),
        file.allocate(4096).unwrap_err(),
        file.sync().unwrap_err(),
    ];
    assert_eq!(sim.counts(), before);
    for error in refused {
        assert!(is_refusal(&error));
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(StorageError::io("write", "f", error).kind(), StorageErrorKind::Latched);
    }
    assert_eq!(disk.list("").unwrap(), ["f"]);
    disk.open("f").unwrap().read_at(0, &mut [0; 100]).unwrap();
    assert!(file.map().unwrap().len() >= 100);
    disk.free_bytes().unwrap();
}

#[test]
fn a_failed_sync_latches() {
    // Of a file or of a folder.
    let (sim, disk, file) = disk_with_file();
    sim.fail_sync(1);
    assert!(!is_refusal(&file.sync().unwrap_err()), "the first failure is the disk's own");
    assert_latched(&sim, &disk, &*file, "sync of f failed");

    let (sim, disk, file) = disk_with_file();
    sim.fail_sync(1);
    disk.sync_dir("").unwrap_err();
    assert_latched(&sim, &disk, &*file, "sync of folder \"\" failed");
}

#[test]
fn a_failed_write_latches() {
    // And so does another handle of the same disk, opened before.
    let (sim, disk, file) = disk_with_file();
    let other = disk.open("f").unwrap();
    sim.fail_write(2);
    write(&*file, 0, 10).unwrap_err();
    assert_latched(&sim, &disk, &*other, "write failed: file=f");
}

#[test]
fn running_out_of_space_while_growing_does_not_latch() {
    // Invariant 2: neither a write nor an allocation; both succeed once space returns.
    let (sim, disk, file) = disk_with_file();
    sim.set_capacity(Some(100));
    assert_eq!(write(&*file, 50, 51).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.allocate(200).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(disk.latched(), None);
    sim.set_capacity(None);
    file.allocate(200).unwrap();
    write(&*file, 50, 51).unwrap();
}

/// A file system that runs out of space even where a file already has it.
#[derive(Debug)]
struct FullFile;

impl DiskFile for FullFile {
    fn len(&self) -> Result<u64> {
        Ok(100)
    }
    fn read_at(&self, _: u64, _: &mut [u8]) -> Result<()> {
        Ok(())
    }
    fn write_at(&self, _: u64, _: &[IoSlice<'_>]) -> Result<()> {
        Err(ErrorKind::StorageFull.into())
    }
    fn allocate(&self, _: u64) -> Result<()> {
        Err(ErrorKind::StorageFull.into())
    }
    fn sync(&self) -> Result<()> {
        Ok(())
    }
    fn map(&self) -> Result<Buffer> {
        Ok(Buffer::from(vec![0; 100]))
    }
}

#[test]
fn running_out_of_space_in_reserved_space_latches() {
    // Invariant 2: the same error latches when the file already had the space.
    let disk = LatchDisk::new(Arc::new(SimDisk::new(1)));
    let file = disk.wrap("f", Arc::new(FullFile));
    write(&*file, 0, 101).unwrap_err();
    assert_eq!(disk.latched(), None);
    write(&*file, 0, 100).unwrap_err();
    assert!(disk.latched().is_some());
}

#[test]
fn the_first_reason_stands() {
    // Latching from outside works, and later failures do not hide why.
    let (sim, disk, file) = disk_with_file();
    disk.latch("a job panicked: flush");
    disk.latch("something later");
    assert_latched(&sim, &disk, &*file, "a job panicked: flush");
}
