//! `siltstone serve`: from configuration to a listening server, and back to a clean stop.
//!
//! **Invariants**
//! 1. Exactly one line goes to standard output, once requests are accepted.
//! 2. A generated credential is printed once, after it is durable.

use std::io::Write as _;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::ArgMatches;
use siltstone_query::{FileAccess, QueryEngine, QueryOptions};
use siltstone_storage::Engine;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, oneshot};

use super::{Failed, open};
use crate::auth::{Auth, Role, store};
use crate::config::{Config, LogFormat};
use crate::ingest::Ingest;
use crate::limits::Limits;
use crate::places::FilesFolder;
use crate::rates::Rates;
use crate::receipts::Receipts;
use crate::shutdown::{self, Signals};
use crate::sql::Sql;
use crate::telemetry::{self, RequestMetrics};
use crate::upload::Uploads;
use crate::{State, app, cli, system};

/// Name of the user and the key that a first start makes up.
const FIRST_NAME: &str = "admin";

/// How long queries may take to notice that the process ends.
const QUERIES_STOP: Duration = Duration::from_millis(500);

/// Runs the server until a signal stops it.
pub fn run(flags: &ArgMatches) -> Result<(), Failed> {
    let config = cli::config(flags, |name| std::env::var(name).ok())?;
    telemetry::start_logging(&config);
    let address = listen_address(&config)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let requests = runtime("siltstone-http", or_cores(config.worker_threads, cores), STACK_BYTES)?;
    let queries = runtime("siltstone-sql", or_cores(config.query_parallelism, cores), SQL_STACK_BYTES)?;
    // Taken over before anything is opened: from here on a signal means a clean stop.
    let signals = requests.block_on(async { Signals::new() });
    let mut signals = signals.map_err(|error| Failed::operation(format!("cannot handle signals: {error}")))?;
    let listener = requests.block_on(TcpListener::bind(address));
    let listener = listener.map_err(|error| Failed::usage(format!("cannot listen on {address}: {error}")))?;
    let bound = listener.local_addr().map_err(|error| Failed::operation(format!("cannot listen: {error}")))?;

    let engine = open(&config.data, config.storage.clone(), true)?;
    let state = Arc::new(state(config, engine.clone(), &queries, cores)?);
    let (stop, stopped) = oneshot::channel();
    let (drain, connections_max) = (state.config.shutdown_timeout, state.config.connections_max);
    let served = requests.spawn(shutdown::serve(listener, app(Arc::clone(&state)), connections_max, stopped, drain));
    announce(bound)?;

    requests.block_on(async {
        signals.next().await;
        tracing::info!("stopping");
        state.stopping.store(true, Ordering::Relaxed);
        // The receiver is gone only if serving ended by itself.
        let _ = stop.send(());
        tokio::select! {
            _ = served => {}
            () = signals.next() => std::process::exit(1),
        }
    });
    queries.shutdown_timeout(QUERIES_STOP);
    // Closing may have to wait for a flush; a second signal still ends the process.
    requests.spawn(async move {
        signals.next().await;
        std::process::exit(1);
    });
    engine.close()?;
    tracing::info!("stopped");
    Ok(())
}

/// Stack of a thread: tokio's own choice.
const STACK_BYTES: usize = 2 << 20;
/// Stack of a thread that plans: plans are trees, and as deep as statements may make them. Only what is used takes memory.
const SQL_STACK_BYTES: usize = 64 << 20;

fn or_cores(threads: usize, cores: usize) -> usize {
    if threads == 0 { cores } else { threads }
}

fn runtime(name: &str, threads: usize, stack_bytes: usize) -> Result<Runtime, Failed> {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_stack_size(stack_bytes)
        .thread_name(name)
        .enable_all()
        .build()
        .map_err(|error| Failed::operation(format!("cannot start threads: {error}")))
}

fn listen_address(config: &Config) -> Result<SocketAddr, Failed> {
    let resolved = config.listen.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    let address = resolved.ok_or_else(|| Failed::usage(format!("cannot resolve `listen` {:?}", config.listen)))?;
    if config.insecure_no_auth && !address.ip().is_loopback() {
        return Err(Failed::usage(format!("insecure_no_auth needs a loopback address, and {address} is none")));
    }
    Ok(address)
}

fn state(config: Config, engine: Engine, queries: &Runtime, cores: usize) -> Result<State, Failed> {
    let first = system::bootstrap(&engine, &config)?;
    let configured = !config.users.is_empty() || !config.api_keys.is_empty() || config.insecure_no_auth;
    if first && !configured {
        make_first_credentials(&engine, config.log_format)?;
    }
    let auth = Auth::new(&config, store::load(&engine)?);
    if auth.is_hopeless() {
        tracing::warn!("there is no user and no key: nobody can log in until one is added with `siltstone user add`");
    }
    let limits = Limits::new(config.body_bytes_in_flight_max, cores);
    let options = QueryOptions {
        default_database: config.default_catalog.clone(),
        default_schema: config.default_schema.clone(),
        read_only_databases: vec![system::DATABASE.to_owned()],
        hidden_tables: system::hidden_tables(),
        memory_bytes: config.query_memory_bytes,
        query_memory_bytes: config.bytes_per_query(),
        spill_folder: config.spill_folder(),
        spill_bytes_max: config.query_spill_bytes_max,
        parallelism: or_cores(config.query_parallelism, cores),
        files: files(&config)?,
    };
    let query = QueryEngine::new(engine.clone(), options).map_err(|error| Failed::operation(error.to_string()))?;
    Ok(State {
        secret: system::secret(&engine)?,
        auth,
        ingest: Ingest::new(engine.clone(), limits.clone()),
        uploads: Uploads::new(engine.clone(), config.upload_limits()),
        sql: Sql::new(query, queries.handle().clone(), config.sql_limits(cores)),
        limits,
        receipts: Arc::new(Receipts::open(engine.clone(), config.stream_idempotency_keys_max)?),
        rates: Rates::new(config.stream_requests_per_second, config.stream_rows_per_second),
        requests: RequestMetrics::default(),
        backups: Arc::new(Semaphore::new(1)),
        stopping: AtomicBool::new(false),
        engine,
        config,
    })
}

/// What SQL may use of the machine's files.
fn files(config: &Config) -> Result<Option<Arc<dyn FileAccess>>, Failed> {
    let Some(folder) = &config.query_files_folder else { return Ok(None) };
    let ours = [config.data.clone(), config.spill_folder(), config.upload_limits().folder];
    let folder = FilesFolder::open(folder, &ours, config.storage.disk_reserve_bytes)
        .map_err(|error| Failed::usage(format!("cannot use `query.files_folder` {}: {error}", folder.display())))?;
    Ok(Some(Arc::new(folder)))
}

fn make_first_credentials(engine: &Engine, format: LogFormat) -> Result<(), Failed> {
    let password = store::new_password()?;
    store::add_user(engine, FIRST_NAME, &password, Role::Admin)?;
    let key = store::add_key(engine, FIRST_NAME, Role::Admin)?;
    match format {
        LogFormat::Text => eprintln!(
            "\nThis is a new data directory. Credentials were made for it; they are shown only now:\n\n  \
             user      {FIRST_NAME}\n  password  {password}\n  API key   {key}\n"
        ),
        LogFormat::Json => eprintln!(
            "{{\"message\":\"credentials of a new data directory, shown only now\",\"user\":\"{FIRST_NAME}\",\
             \"password\":\"{password}\",\"api_key\":\"{key}\"}}"
        ),
    }
    Ok(())
}

fn announce(address: SocketAddr) -> Result<(), Failed> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "siltstone listening on http://{address}")
        .and_then(|()| out.flush())
        .map_err(|error| Failed::operation(format!("cannot write to standard output: {error}")))
}
