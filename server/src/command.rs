//! What the binary does: one module per command, and how their failures become exit codes.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use siltstone_storage::io::OsDisk;
use siltstone_storage::{Engine, ErrorKind, Options};

mod backup;
mod credentials;
mod inspect;
mod remote;
mod serve;
mod sql;
mod verify;

use crate::cli;
use crate::error::with_causes;

/// A command that did not work: what to say, and the exit code.
#[derive(Debug)]
pub struct Failed {
    code: u8,
    message: String,
}

impl Failed {
    /// The operation failed, or data is damaged: exit code 1.
    pub fn operation(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into() }
    }

    /// Wrong usage or configuration: exit code 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, message: message.into() }
    }
}

impl From<siltstone_storage::Error> for Failed {
    fn from(error: siltstone_storage::Error) -> Self {
        let message = with_causes(&error);
        match error.kind() {
            ErrorKind::Invalid | ErrorKind::Unavailable => Self::usage(message),
            _ => Self::operation(message),
        }
    }
}

impl From<crate::config::ConfigError> for Failed {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::usage(error.0)
    }
}

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    let arguments = match cli::command().try_get_matches() {
        Ok(arguments) => arguments,
        // Help and version go to stdout with code 0, wrong usage to stderr with code 2.
        Err(error) => error.exit(),
    };
    let outcome = match arguments.subcommand() {
        Some(("serve", flags)) => serve::run(flags),
        Some(("sql", flags)) => sql::run(flags),
        Some(("verify", flags)) => verify::run(flags),
        Some(("backup", flags)) => backup::run(flags),
        Some(("restore", flags)) => backup::restore(flags),
        Some(("inspect", flags)) => inspect::run(flags),
        Some((kind @ ("user" | "key"), flags)) => credentials::run(kind, flags),
        _ => Err(Failed::usage("no such command")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("siltstone: {}", failed.message);
            ExitCode::from(failed.code)
        }
    }
}

/// Opens a data directory; `create` makes it if it is missing.
fn open(data: &Path, options: Options, create: bool) -> Result<Engine, Failed> {
    if create {
        std::fs::create_dir_all(data)
            .map_err(|error| Failed::usage(format!("cannot make the data directory {}: {error}", data.display())))?;
    }
    let disk = disk_of(data)?;
    Engine::open(Arc::new(disk), options).map_err(|error| {
        let failed = Failed::from(error);
        Failed { message: format!("cannot open the data directory {}: {}", data.display(), failed.message), ..failed }
    })
}

/// The files of a data directory that is there.
fn disk_of(data: &Path) -> Result<OsDisk, Failed> {
    if !data.is_dir() {
        return Err(Failed::usage(format!("there is no data directory {}", data.display())));
    }
    OsDisk::open(data)
        .map_err(|error| Failed::usage(format!("cannot open the data directory {}: {error}", data.display())))
}
