//! `siltstone inspect`: prints what stands in a file, or in all files of a data directory.

use std::io::{BufWriter, Write as _};
use std::path::Path;

use clap::ArgMatches;
use siltstone_storage::{inspect_directory, inspect_file};

use super::{Failed, disk_of};

/// Describes a file or a directory on standard output; fails naming the first damage.
pub fn run(flags: &ArgMatches) -> Result<(), Failed> {
    let path = Path::new(flags.get_one::<String>("path").map_or("", String::as_str));
    let mut out = BufWriter::new(std::io::stdout().lock());
    let outcome = if path.is_dir() {
        inspect_directory(&disk_of(path)?, &mut out)
    } else {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|_| path.is_file()) else {
            return Err(Failed::usage(format!("there is no file {}", path.display())));
        };
        inspect_file(&disk_of(folder)?, name, &mut out)
    };
    // What was found comes before what is wrong with it.
    out.flush().map_err(|error| Failed::operation(format!("cannot write to standard output: {error}")))?;
    Ok(outcome?)
}
