use super::*;

#[test]
fn short_and_interrupted_writes_are_continued() {
    // Invariant 2: whatever a call takes, every byte lands once, in order, at its place.
    let source: Vec<Vec<u8>> = (0..5000_u32).map(|i| i.to_le_bytes()[..(i % 5) as usize].to_vec()).collect();
    let slices: Vec<IoSlice<'_>> = source.iter().map(|bytes| IoSlice::new(bytes)).collect();
    let mut written = Vec::new();
    let mut calls = 0;
    write_fully(7, &slices, |offset, slices| {
        calls += 1;
        assert!(slices.len() <= SLICES_MAX);
        assert_eq!(offset, 7 + written.len() as u64);
        if calls % 3 == 0 {
            return Err(ErrorKind::Interrupted.into());
        }
        let available: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        let taken = available.len().min(1 + calls % 1000);
        written.extend_from_slice(&available[..taken]);
        Ok(taken)
    })
    .unwrap();
    assert_eq!(written, source.concat());

    let stuck = write_fully(0, &[IoSlice::new(b"x")], |_, _| Ok(0));
    assert_eq!(stuck.unwrap_err().kind(), ErrorKind::WriteZero);
}

#[test]
fn more_slices_than_one_call_takes() {
    // The real system call is given at most what it accepts.
    let folder = tempfile::tempdir().unwrap();
    let file = OsDisk::open(folder.path()).unwrap().create("f").unwrap();
    let bytes: Vec<[u8; 3]> = (0..3000_u32).map(|i| [i as u8, (i >> 8) as u8, 9]).collect();
    let slices: Vec<IoSlice<'_>> = bytes.iter().map(|bytes| IoSlice::new(bytes)).collect();
    file.write_at(1, &slices).unwrap();
    assert_eq!(&file.map().unwrap()[1..], bytes.concat());
}

#[test]
fn a_refused_allocation_leaves_the_length() {
    // Invariant 3: more than any file system holds is refused at once, and the file is as it was.
    let folder = tempfile::tempdir().unwrap();
    let file = OsDisk::open(folder.path()).unwrap().create("f").unwrap();
    file.write_at(0, &[IoSlice::new(b"abc")]).unwrap();
    file.allocate(i64::MAX as u64).unwrap_err();
    assert_eq!(file.map().unwrap().as_slice(), b"abc");
}

#[test]
fn allocated_space_is_really_there() {
    // The blocks are reserved, so that a later overwrite cannot run out of space.
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let disk = OsDisk::open(folder.path()).unwrap();
    let file = disk.create("f").unwrap();
    file.allocate(1 << 20).unwrap();
    file.sync().unwrap();
    let blocks = fs::metadata(folder.path().join("f")).unwrap().blocks();
    assert!(blocks * 512 >= 1 << 20, "{blocks}");
}

#[test]
fn a_directory_is_made_and_kept() {
    // Missing parents are created; a second disk on the same directory sees the files and the lock.
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("a/b");
    let disk = OsDisk::open(&root).unwrap();
    disk.create("f").unwrap();
    fs::create_dir(root.join("sub")).unwrap();
    let held = disk.lock().unwrap();
    let again = OsDisk::open(&root).unwrap();
    assert_eq!(again.list("").unwrap(), ["f"]);
    assert_eq!(again.lock().unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(held);
    again.lock().unwrap();
}

#[test]
fn a_directory_to_be_filled_is_empty() {
    // A missing or empty directory is taken; anything in it, be it a folder that we would never list, is a refusal that names it.
    let folder = tempfile::tempdir().unwrap();
    OsDisk::open_empty(folder.path()).unwrap();
    let made = OsDisk::open_empty(&folder.path().join("made")).unwrap();
    assert_eq!(made.root(), folder.path().join("made").canonicalize().unwrap());
    let error = OsDisk::open_empty(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DirectoryNotEmpty);
    assert!(error.to_string().contains("made"), "{error}");
}

#[test]
fn paths_are_resolved_before_they_exist() {
    // Links and steps upward are followed as far as there is something; a path inside another is seen to be, however it is written.
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    fs::create_dir(root.join("data")).unwrap();
    std::os::unix::fs::symlink(root.join("data"), root.join("link")).unwrap();
    for inside in ["data", "link", "data/new/deep", "link/new", "data/../data/new", "link/../data/x"] {
        let resolved = OsDisk::resolved(&root.join(inside)).unwrap();
        assert!(resolved.starts_with(root.join("data")), "{inside}: {resolved:?}");
    }
    assert_eq!(OsDisk::resolved(&root.join("data2")).unwrap(), root.join("data2"));
    assert_eq!(OsDisk::resolved(&root.join("new/../data")).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(
        OsDisk::resolved(Path::new("new")).unwrap(),
        std::env::current_dir().unwrap().canonicalize().unwrap().join("new")
    );
}
