//! `siltstone-load`: drives a running server and prints what an append costs.

use std::process::ExitCode;

use siltstone_benches::args::Args;
use siltstone_benches::{LoadError, load, report};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("siltstone-load: {error}");
            ExitCode::from(if matches!(error, LoadError::Usage(_)) { 2 } else { 1 })
        }
    }
}

fn run() -> Result<(), LoadError> {
    let args = Args::from_command_line()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| LoadError::Connection { address: args.address.clone(), source })?;
    let outcome = runtime.block_on(load::run(&args))?;
    if args.json {
        println!("{}", report::json(&args, &outcome));
    } else {
        print!("{}", report::table(&args, &outcome));
    }
    match outcome.counted_rows {
        Some(counted) if counted < outcome.rows => Err(LoadError::Malformed(format!(
            "acknowledged rows are missing: acknowledged={}, counted={counted}",
            outcome.rows
        ))),
        _ => Ok(()),
    }
}
