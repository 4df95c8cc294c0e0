//! `siltstone backup` and `siltstone restore`: consistent copies, of a directory or of a running server.

use std::path::Path;
use std::sync::Arc;

use clap::ArgMatches;
use http::Method;
use serde_json::json;
use siltstone_storage::io::Disk;

use super::remote::Remote;
use super::verify::contents;
use super::{Failed, disk_of};
use crate::backup;

/// Copies a database to an empty directory.
pub fn run(flags: &ArgMatches) -> Result<(), Failed> {
    let text = |name: &str| flags.get_one::<String>(name).map_or("", String::as_str);
    let (target, verify) = (text("target"), !flags.get_flag("no_verify"));
    if let Some(remote) = Remote::of(flags)? {
        let answer =
            remote.administer(Method::POST, "/admin/backup", Some(&json!({"to": target, "verify": verify})))?;
        println!("{}", answer["summary"].as_str().unwrap_or_default());
        return Ok(());
    }
    let data = disk_of(Path::new(text("data")))?;
    let target = backup::empty_directory(Path::new(target), data.root())?;
    println!("{}", backup::make(target, verify, |target| siltstone_storage::backup(&data, target))?);
    Ok(())
}

/// Copies a backup to an empty directory.
pub fn restore(flags: &ArgMatches) -> Result<(), Failed> {
    let text = |name: &str| Path::new(flags.get_one::<String>(name).map_or("", String::as_str));
    let (source, data) = (disk_of(text("source"))?, text("data"));
    let target: Arc<dyn Disk> = Arc::new(backup::empty_directory(data, source.root())?);
    let found = siltstone_storage::restore(&source, &target)?;
    println!("restored to {}: {}", data.display(), contents(&found));
    Ok(())
}
