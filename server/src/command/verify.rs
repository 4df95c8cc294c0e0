//! `siltstone verify`: reads and checks every byte of a data directory.

use std::path::Path;

use clap::ArgMatches;
use siltstone_storage::io::OsDisk;

use super::Failed;

/// Prints what was found whole, or fails naming the damaged file.
pub fn run(flags: &ArgMatches) -> Result<(), Failed> {
    let data = Path::new(flags.get_one::<String>("data").map_or("", String::as_str));
    if !data.is_dir() {
        return Err(Failed::usage(format!("there is no data directory {}", data.display())));
    }
    let disk = OsDisk::open(data)
        .map_err(|error| Failed::usage(format!("cannot open the data directory {}: {error}", data.display())))?;
    let found = siltstone_storage::verify(&disk)?;
    println!(
        "whole: {} tables, {} segments with {} rows, {} commits in the log",
        found.tables, found.segments, found.segment_rows, found.log_commits
    );
    Ok(())
}
