//! `siltstone user` and `siltstone key`: stored credentials of a server that is not running.

use std::io::BufRead as _;
use std::path::Path;

use clap::ArgMatches;
use siltstone_storage::Engine;

use super::{Failed, open};
use crate::auth::Role;
use crate::auth::store::{self, Kind};
use crate::config::Config;
use crate::system;

/// Runs `add`, `list` or `remove`.
pub fn run(kind: &str, flags: &ArgMatches) -> Result<(), Failed> {
    let kind = if kind == "key" { Kind::Key } else { Kind::User };
    let Some((action, flags)) = flags.subcommand() else {
        return Err(Failed::usage("expected add, list or remove"));
    };
    let text = |name: &str| flags.get_one::<String>(name).map_or("", String::as_str);
    // A data directory made here is a whole one, so that credentials can be stored before the first start.
    let config = Config { data: Path::new(text("data")).to_owned(), ..Config::default() };
    let engine = open(&config.data, config.storage.clone(), action == "add")?;
    let done = match action {
        "add" => add(&engine, &config, kind, text("name"), Role::parse(text("role")).unwrap_or(Role::Read)),
        "list" => list(&engine, kind),
        _ => store::remove(&engine, kind, text("name")).map_err(Failed::from),
    };
    engine.close()?;
    done
}

fn add(engine: &Engine, config: &Config, kind: Kind, name: &str, role: Role) -> Result<(), Failed> {
    if name.is_empty() || name.contains([':', '\0', '\n', '\t']) {
        return Err(Failed::usage("a name is not empty and holds no colon, tab or line break"));
    }
    system::bootstrap(engine, config)?;
    match kind {
        Kind::Key => println!("{}", store::add_key(engine, name, role)?),
        Kind::User => {
            let given = first_line()?;
            let password = if given.is_empty() { store::new_password()? } else { given.clone() };
            store::add_user(engine, name, &password, role)?;
            if given.is_empty() {
                println!("{password}");
            }
        }
    }
    Ok(())
}

fn first_line() -> Result<String, Failed> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Failed::operation(format!("cannot read the password: {error}")))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn list(engine: &Engine, kind: Kind) -> Result<(), Failed> {
    for stored in store::load(engine)?.iter().filter(|stored| stored.kind == kind) {
        println!("{}\t{}", stored.name, stored.role.name());
    }
    Ok(())
}
