//! How a server process is started: binary, arguments, environment.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::data::DataDir;
use crate::http::{KEY, PASSWORD, USER};

/// A recipe for a server process. It inherits none of the caller's `SILTSTONE_` settings.
#[derive(Clone, Debug)]
pub struct Launch {
    binary: PathBuf,
    data: DataDir,
    credentials: bool,
    listen: String,
    arguments: Vec<OsString>,
    environment: Vec<(String, String)>,
}

impl Launch {
    /// `binary serve` on a fresh data directory and a free port, with the harness's user and key.
    pub fn new(binary: &str) -> Self {
        Self {
            binary: binary.into(),
            data: DataDir::fresh(),
            credentials: true,
            listen: "127.0.0.1:0".to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// On this data directory.
    #[must_use]
    pub fn data(mut self, data: &DataDir) -> Self {
        self.data = data.clone();
        self
    }

    /// Without any credential on the command line.
    #[must_use]
    pub fn without_credentials(mut self) -> Self {
        self.credentials = false;
        self
    }

    /// Listening on this address.
    #[must_use]
    pub fn listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.listen);
        self
    }

    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// With an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn data_dir(&self) -> &DataDir {
        &self.data
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SILTSTONE_") {
                command.env_remove(name);
            }
        }
        command.arg("serve").arg("--data").arg(self.data.path()).args(["--listen", &self.listen]);
        if self.credentials {
            command.arg("--user").arg(format!("{USER}:{PASSWORD}")).args(["--api-key", KEY]);
        }
        command.args(&self.arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}
