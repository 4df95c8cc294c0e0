//! The command line: which commands and flags there are.
//!
//! **Invariants**: the flags of `serve` are exactly the rows of [`settings()`].

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::config::{Arity, Config, ConfigError, Layers, settings};

/// All commands.
pub fn command() -> Command {
    Command::new("siltstone")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A self-hosted columnar database for streams: POST JSON, ask SQL")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(serve())
        .subcommand(sql())
        .subcommand(Command::new("verify").about("Read and check every byte of a data directory").arg(data(true)))
        .subcommand(backup())
        .subcommand(restore())
        .subcommand(inspect())
        .subcommand(principals("user", "Manage stored users"))
        .subcommand(principals("key", "Manage stored API keys"))
}

fn serve() -> Command {
    let flags = settings().map(|setting| {
        let help = format!("{} [env: {}]", setting.help, setting.variable());
        let arg = Arg::new(setting.key).long(setting.flag).help(help);
        match setting.arity {
            Arity::One => arg.value_name(setting.value).num_args(1),
            Arity::Many => arg.value_name(setting.value).num_args(1).action(ArgAction::Append),
            Arity::Switch => arg.action(ArgAction::SetTrue),
        }
    });
    Command::new("serve").about("Run the server").args(flags)
}

fn data(required: bool) -> Arg {
    Arg::new("data")
        .long("data")
        .value_name("DIR")
        .required(required)
        .help("Data directory of a server that is not running")
}

fn sql() -> Command {
    data_or_server(Command::new("sql").about("Run SQL on a data directory or a running server"))
        .arg(Arg::new("statement").required(true).value_name("SQL"))
        .arg(Arg::new("format").long("format").value_parser(["table", "csv", "json", "jsonl"]).default_value("table"))
}

fn backup() -> Command {
    data_or_server(Command::new("backup").about("Copy a database to an empty directory, also while its server runs"))
        .arg(
            Arg::new("target")
                .required(true)
                .value_name("TARGET")
                .help("Directory that is missing or empty; with --url an absolute path on the server's machine"),
        )
        .arg(
            Arg::new("no_verify")
                .long("no-verify")
                .action(ArgAction::SetTrue)
                .help("Do not read the copy back to check its every byte"),
        )
}

fn restore() -> Command {
    Command::new("restore")
        .about("Check a backup, copy it to an empty directory, and check the copy")
        .arg(Arg::new("source").required(true).value_name("SOURCE").help("Directory that holds a backup"))
        .arg(data(true).help("Directory that is missing or empty: the data directory of the server to come"))
}

fn inspect() -> Command {
    let path = Arg::new("path").required(true).value_name("FILE|DIR").help("A file of a data directory, or all of one");
    Command::new("inspect").about("Print what stands in a file, and where it is damaged").arg(path)
}

/// Adds the two ways to a database: a directory, or a server with credentials for it.
fn data_or_server(command: Command) -> Command {
    command
        .arg(data(false).conflicts_with("url"))
        .arg(
            Arg::new("url")
                .long("url")
                .value_name("URL")
                .required_unless_present("data")
                .help("http://HOST:PORT of a running server"),
        )
        .arg(
            Arg::new("user")
                .long("user")
                .value_name("NAME:PASSWORD")
                .env("SILTSTONE_USER")
                .hide_env_values(true)
                .requires("url"),
        )
        .arg(
            Arg::new("api_key")
                .long("api-key")
                .value_name("KEY")
                .env("SILTSTONE_API_KEY")
                .hide_env_values(true)
                .conflicts_with("user"),
        )
}

fn principals(name: &'static str, about: &'static str) -> Command {
    let named = || Arg::new("name").required(true).value_name("NAME");
    let role = Arg::new("role").long("role").value_parser(["admin", "write", "read"]).default_value("admin");
    let add = Command::new("add").arg(named()).arg(role).arg(data(true));
    let add = if name == "user" {
        add.about(
            "Store a user; the password is read from the first line of standard input, or made up if that is empty",
        )
    } else {
        add.about("Make and store an API key; it is printed once")
    };
    Command::new(name)
        .about(about)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(add)
        .subcommand(Command::new("list").about("Names and roles, one per line").arg(data(true)))
        .subcommand(Command::new("remove").about("Remove one").arg(named()).arg(data(true)))
}

/// The configuration that these flags, the environment and the file they name give together.
///
/// # Errors
/// [`ConfigError`].
pub fn config(flags: &ArgMatches, environment: impl Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
    let mut above = Layers::default();
    above.put_environment(&environment);
    put_flags(&mut above, flags);
    let Some(file) = above.text("config").map(str::to_owned) else {
        return above.build();
    };
    let text = std::fs::read_to_string(&file)
        .map_err(|error| ConfigError(format!("cannot read configuration {file}: {error}")))?;
    let mut layers = Layers::default();
    layers.put_file(&text, &file)?;
    layers.put_environment(environment);
    put_flags(&mut layers, flags);
    layers.build()
}

fn put_flags(layers: &mut Layers, flags: &ArgMatches) {
    for setting in settings() {
        let values = match setting.arity {
            Arity::Switch => flags.get_flag(setting.key).then(|| vec!["true".to_owned()]),
            Arity::One | Arity::Many => flags.get_many::<String>(setting.key).map(|values| values.cloned().collect()),
        };
        if let Some(values) = values {
            layers.put(setting, values, format!("of --{}", setting.flag));
        }
    }
}
