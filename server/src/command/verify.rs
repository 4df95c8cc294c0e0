//! `siltstone verify`: reads and checks every byte of a data directory.

use std::path::Path;

use clap::ArgMatches;
use siltstone_storage::Verified;

use super::{Failed, disk_of};

/// Prints what was found whole, or fails naming the damaged file.
pub fn run(flags: &ArgMatches) -> Result<(), Failed> {
    let data = Path::new(flags.get_one::<String>("data").map_or("", String::as_str));
    let found = siltstone_storage::verify(&disk_of(data)?)?;
    println!("whole: {}", contents(&found));
    Ok(())
}

/// What was found whole, in words.
pub(super) fn contents(found: &Verified) -> String {
    format!(
        "{} tables, {} segments with {} rows, {} commits in the log",
        found.tables, found.segments, found.segment_rows, found.log_commits
    )
}
