//! Cheap checks of the repository's shape: what a reviewer would otherwise have to remember.

use std::path::{Path, PathBuf};

/// Longest source file, in lines.
const FILE_LINES_MAX: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is one folder below the root").to_owned()
}

/// Files below a folder of the repository with this extension, as paths relative to the root.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let root = root();
    let (mut found, mut folders) = (Vec::new(), vec![root.join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("a readable entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path.strip_prefix(&root).expect("below the root").to_owned());
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no {extension} files below {folder}");
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| {
        let name = part.as_os_str().to_string_lossy();
        name == "tests" || name == "tests.rs" || name.ends_with("_tests.rs")
    })
}

/// What a line says, without a comment that takes the whole line.
fn code(line: &str) -> &str {
    if line.trim_start().starts_with("//") { "" } else { line }
}

/// Fails with the list of offences, if there are any.
fn assert_none(offences: &[String], rule: &str) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

#[test]
fn crates_depend_in_one_direction() {
    // The layers of the architecture hold only as long as the manifests enforce them.
    const HTTP: [&str; 8] =
        ["axum", "hyper", "hyper-util", "http", "http-body", "http-body-util", "tower", "tower-http"];
    let rules: [(&str, &[&str], &[&str]); 3] = [
        ("engine/storage", &[], &["tokio", "datafusion", "serde", "serde_json"]),
        ("engine/ingest", &["siltstone-storage"], &["tokio", "datafusion"]),
        ("engine/query", &["siltstone-storage"], &["siltstone-ingest"]),
    ];
    let mut offences = Vec::new();
    for (folder, ours, banned) in rules {
        let manifest: toml::Table = read(&Path::new(folder).join("Cargo.toml")).parse().expect("a manifest is TOML");
        for name in manifest["dependencies"].as_table().expect("a table").keys() {
            let foreign = name.starts_with("siltstone") && !ours.contains(&name.as_str());
            if foreign || banned.contains(&name.as_str()) || HTTP.contains(&name.as_str()) {
                offences.push(format!("{folder} depends on {name}"));
            }
        }
    }
    let server: toml::Table = read(Path::new("server/Cargo.toml")).parse().expect("a manifest is TOML");
    if server["dependencies"].as_table().expect("a table").contains_key("datafusion") {
        offences.push("server names datafusion, which is the query crate's".to_owned());
    }
    assert_none(&offences, "dependencies against the layers");
}

#[test]
fn storage_touches_files_only_through_the_seam() {
    // A file operation beside the seam would escape the simulated disk, and with it every crash test.
    let seam = Path::new("engine/storage/src/io/os.rs");
    let mut offences = Vec::new();
    for path in files("engine/storage/src", "rs") {
        if path == seam || is_test(&path) {
            continue;
        }
        for (number, line) in read(&path).lines().enumerate() {
            let code = code(line);
            if ["std::fs", "memmap2::", "rustix::fs"].iter().any(|word| code.contains(word)) {
                offences.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    assert_none(&offences, "file access beside the seam");
}

#[test]
fn no_dialect_imports_another() {
    // Deleting a dialect's folder and its line in the routes must remove it.
    let api = root().join("server/src/api");
    let dialects: Vec<String> = std::fs::read_dir(&api)
        .expect("the dialects' folder")
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.is_dir())
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect();
    assert!(dialects.len() >= 2, "dialects: {dialects:?}");
    let mut offences = Vec::new();
    for dialect in &dialects {
        for path in files(&format!("server/src/api/{dialect}"), "rs") {
            let text = read(&path);
            for other in dialects.iter().filter(|other| *other != dialect) {
                if text.lines().any(|line| code(line).contains(&format!("{other}::"))) {
                    offences.push(format!("{} names {other}", path.display()));
                }
            }
        }
    }
    assert_none(&offences, "a dialect leans on another");
}

#[test]
fn no_stub_and_no_silenced_lint() {
    // Unfinished code and lints turned off without a reason do not reach the main branch.
    let banned =
        [concat!("to", "do!("), concat!("unimpl", "emented!("), concat!("#[al", "low("), concat!("#[ig", "nore")];
    let mut offences = Vec::new();
    for folder in ["engine", "server", "tests", "benches"] {
        for path in files(folder, "rs") {
            for (number, line) in read(&path).lines().enumerate() {
                // Golden files are made by an explicit command only: a test that does not run by itself.
                let makes_golden = line.contains("= \"makes the golden");
                if banned.iter().any(|word| code(line).contains(word)) && !makes_golden {
                    offences.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
                }
            }
        }
    }
    assert_none(&offences, "left-overs");
}

#[test]
fn source_files_stay_readable() {
    // A file over the limit holds more than one idea; split it by meaning.
    let mut offences = Vec::new();
    for folder in ["engine", "server", "tests", "benches"] {
        for path in files(folder, "rs") {
            let lines = read(&path).lines().count();
            if lines > FILE_LINES_MAX {
                offences.push(format!("{}: {lines} lines", path.display()));
            }
        }
    }
    assert_none(&offences, "files that are too long");
}

#[test]
fn modules_say_what_they_are() {
    // The first line of a source file tells a newcomer whether to read on.
    let mut offences = Vec::new();
    for folder in ["engine", "server", "tests", "benches"] {
        for path in files(folder, "rs") {
            let text = read(&path);
            if !is_test(&path) && (!text.starts_with("//!") || text.starts_with("//! placeholder")) {
                offences.push(path.display().to_string());
            }
        }
    }
    assert_none(&offences, "files without a module doc");
}

#[test]
fn every_format_on_disk_has_a_page() {
    // A file that outlives the program must be readable without it.
    let pages = files("docs/formats", "md");
    let mut offences = Vec::new();
    for format in ["delete-vector", "key-index", "log", "manifest", "segment"] {
        if !pages.contains(&PathBuf::from(format!("docs/formats/{format}.md"))) {
            offences.push(format!("docs/formats/{format}.md is missing"));
        }
    }
    assert_none(&offences, "formats without a page");
}

/// The files that a format's page names as its codec: `Codec: `a.rs`, `folder/`; hash `0123abcd`.`
fn codec(page: &str, text: &str) -> Option<(Vec<PathBuf>, String)> {
    let line = text.lines().find_map(|line| line.strip_prefix("Codec: "))?;
    let (named, hash) = line.split_once("; hash ")?;
    let mut found = Vec::new();
    for name in named.split(", ").map(|name| name.trim_matches('`')) {
        match name.strip_suffix('/') {
            Some(folder) => found.extend(files(folder, "rs").into_iter().filter(|path| !is_test(path))),
            None => found.push(PathBuf::from(name)),
        }
    }
    assert!(!found.is_empty(), "{page} names no file");
    Some((found, hash.trim_end_matches('.').trim_matches('`').to_owned()))
}

#[test]
fn format_pages_and_their_codecs_change_together() {
    // Whoever touches a codec looks at its page, and renews the hash there only then.
    let mut offences = Vec::new();
    for page in files("docs/formats", "md") {
        let name = page.display().to_string();
        let Some((sources, written)) = codec(&name, &read(&page)) else {
            offences.push(format!("{name}: no line \"Codec: `…`; hash `…`.\""));
            continue;
        };
        let mut hasher = crc32fast::Hasher::new();
        for source in sources {
            hasher.update(read(&source).as_bytes());
        }
        let hash = format!("{:08x}", hasher.finalize());
        if hash != written {
            offences.push(format!("{name}: the codec changed; when the page is true again, its hash is {hash}"));
        }
    }
    assert_none(&offences, "format pages behind their codecs");
}

#[test]
fn links_between_pages_resolve() {
    // A reader who follows a relative link finds the page.
    let mut pages = files("docs", "md");
    pages.push(PathBuf::from("README.md"));
    let mut offences = Vec::new();
    for page in pages {
        let text = read(&page);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap_or_default();
            let elsewhere = target.is_empty() || target.contains("://") || target.contains(' ');
            let folder = page.parent().unwrap_or(Path::new(""));
            if !elsewhere && !root().join(folder).join(target).exists() {
                offences.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert_none(&offences, "links that lead nowhere");
}
