//! The `siltstone` binary: arguments to a command, its outcome to an exit code; nothing else.

use std::process::ExitCode;

/// Small, short-lived allocations on every request: mimalloc frees them without the system allocator's locks.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    siltstone::command::main()
}
