//! The `strowger` binary.

use clap::Parser;
use std::process::ExitCode;
use strowger_server::cli::{self, Cli, Command};

// Calls are made of many small, short-lived values that cross threads; the system's allocator spends a sixth of the
// signalling thread on them and does not give memory back (docs/adr/0006-dependencies.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Command::CheckConfig => cli::check_config(&cli.common),
        Command::Serve(options) => strowger_server::serve::main(&cli.common, &options),
        Command::Lab(options) => strowger_server::lab::main(&options),
        command => {
            // `strowger call list | head` ends quietly, as other programs do; Rust ignores the signal by default.
            // SAFETY: no other thread runs yet, and the default action is always valid.
            unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
            // One request needs no worker threads.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(cli::run(&cli.common, command)),
                Err(e) => {
                    eprintln!("error: the system refuses what an event loop needs: {e}");
                    cli::exit::FAILED.into()
                }
            }
        }
    }
}
