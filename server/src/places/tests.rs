use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

fn folder(files: &[&str]) -> (TempDir, FilesFolder) {
    let home = tempfile::tempdir().expect("a folder");
    let root = home.path().join("files");
    fs::create_dir(&root).expect("a folder");
    for file in files {
        let path = root.join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, "x").expect("a file");
    }
    let folder = FilesFolder::open(&root, &[], 0).expect("a folder");
    (home, folder)
}

fn names(folder: &FilesFolder, pattern: &str) -> Vec<String> {
    match folder.found(pattern) {
        Ok(found) => found.into_iter().map(|file| file.name).collect(),
        Err(error) => vec![error.message.split(':').next().unwrap_or_default().to_owned()],
    }
}

#[test]
fn patterns_find_what_they_say() {
    // Each name of a path is matched by itself, ** any number of folders; results are in order, dots need a dot.
    let (_home, folder) = folder(&["a.csv", "b.csv", "x/a.csv", "x/y/c.csv", "x/y/.d.csv", "[z].csv", "x/e.txt"]);
    for (pattern, expected) in [
        ("a.csv", vec!["a.csv"]),
        ("*.csv", vec!["[z].csv", "a.csv", "b.csv"]),
        ("?.csv", vec!["a.csv", "b.csv"]),
        ("[ab].csv", vec!["a.csv", "b.csv"]),
        ("[!a].csv", vec!["b.csv"]),
        ("x/*", vec!["x/a.csv", "x/e.txt"]),
        ("x/*/*", vec!["x/y/c.csv"]),
        ("x/y/.*", vec!["x/y/.d.csv"]),
        ("**/a.csv", vec!["a.csv", "x/a.csv"]),
        ("**", vec!["[z].csv", "a.csv", "b.csv", "x/a.csv", "x/e.txt", "x/y/c.csv"]),
        ("**/**/c.csv", vec!["x/y/c.csv"]),
        ("x", vec!["IO Error"]),
        ("", vec!["IO Error"]),
        ("a.csv/b", vec!["IO Error"]),
        ("x/**/e.*", vec!["x/e.txt"]),
        ("a[.csv", vec!["Invalid Input Error"]),
        ("..", vec!["Permission Error"]),
        ("x/../a.csv", vec!["Permission Error"]),
    ] {
        assert_eq!(names(&folder, pattern), expected, "{pattern}");
    }
}

#[test]
fn links_are_followed_only_within_the_folder() {
    // One that leads out is refused by itself and in a pattern; a circle of links ends.
    let (home, folder) = folder(&["a.csv"]);
    let root = home.path().join("files");
    symlink(&root, root.join("circle")).expect("a link");
    symlink(root.join("a.csv"), root.join("b.csv")).expect("a link");
    assert_eq!(names(&folder, "**/*.csv"), ["a.csv", "b.csv"]);
    assert_eq!(names(&folder, "circle/circle/a.csv"), ["circle/circle/a.csv"]);
    symlink(home.path(), root.join("out")).expect("a link");
    assert_eq!(names(&folder, "out/files/a.csv"), ["out/files/a.csv"]);
    fs::write(home.path().join("secret"), "x").expect("a file");
    assert_eq!(names(&folder, "out/secret"), ["Permission Error"]);
    assert_eq!(names(&folder, "out/*"), ["Permission Error"]);
    symlink("/nothing", root.join("broken")).expect("a link");
    assert_eq!(names(&folder, "broken"), ["IO Error"]);
}

#[test]
fn a_file_that_changed_is_another_one() {
    // Longer, newer, gone, or a link by now: what was found is not read.
    let (home, folder) = folder(&["a.csv"]);
    let path = home.path().join("files/a.csv");
    let found = folder.found("a.csv").expect("a file").remove(0);
    folder.open_found(&found).expect("the same file");
    fs::write(&path, "longer").expect("a file");
    assert!(folder.open_found(&found).expect_err("changed").message.contains("changed"));
    fs::remove_file(&path).expect("a file");
    assert!(folder.open_found(&found).is_err());
    symlink("/etc/passwd", &path).expect("a link");
    assert!(folder.open_found(&found).expect_err("outside").message.starts_with("Permission Error"));
}

#[test]
fn a_folder_may_not_hold_what_is_the_servers() {
    // Neither around nor within the server's own folders, by whatever path.
    let home = tempfile::tempdir().expect("a folder");
    let data = home.path().join("data");
    fs::create_dir_all(data.join("inside")).expect("a folder");
    fs::create_dir(home.path().join("files")).expect("a folder");
    let ours = [data.clone(), home.path().join("not yet")];
    FilesFolder::open(&home.path().join("files"), &ours, 0).expect("apart");
    FilesFolder::open(&home.path().join("data/../files"), &ours, 0).expect("apart");
    for path in [home.path().to_owned(), data.clone(), data.join("inside"), home.path().join("missing")] {
        FilesFolder::open(&path, &ours, 0).expect_err("refused");
    }
}
