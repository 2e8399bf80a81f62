//! `strowger serve`: the life of the process, from the configuration to the last signal.

use crate::cli::{Common, Serve, exit};
use crate::config::{self, Config, show_duration};
use crate::data::{DataError, DataFolder};
use crate::demo::{self, Demo};
use crate::log;
use crate::wire::{self, Running, StartError};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How often a drain looks whether the last call has ended.
const DRAIN_LOOK: Duration = Duration::from_millis(100);

/// Runs the server until a signal stops it.
pub fn main(common: &Common, options: &Serve) -> ExitCode {
    let config = match common.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let problems = config::check_surroundings(&config);
    if !problems.is_empty() {
        for p in &problems {
            eprintln!("{p}");
        }
        return exit::USAGE.into();
    }
    log::start(&config.log);
    let data = match DataFolder::open(&config.server.data) {
        Ok(data) => data,
        Err(e) => return fail(&e, exit::DATA),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            return fail(
                &format!("the system refuses what an event loop needs: {e}"),
                exit::FAILED,
            );
        }
    };
    let code = runtime.block_on(run(&config, data, options));
    // A blocking task that hangs, such as a look-up of a name, must not hold the process.
    runtime.shutdown_timeout(Duration::from_secs(2));
    code
}

fn fail(why: &dyn std::fmt::Display, code: u8) -> ExitCode {
    eprintln!("error: {why}");
    code.into()
}

async fn run(config: &Config, data: DataFolder, options: &Serve) -> ExitCode {
    // Before anything starts, so that a signal during the start is not lost.
    let (mut terminate, mut interrupt) = match signals() {
        Ok(both) => both,
        Err(e) => return fail(&format!("signals cannot be received: {e}"), exit::FAILED),
    };
    let path = data.path().to_owned();
    let running = match wire::start(config, data).await {
        Ok(running) => running,
        Err(e @ StartError::Data(DataError::Locked { .. } | DataError::Folder { .. })) => return fail(&e, exit::DATA),
        Err(e) => return fail(&e, exit::FAILED),
    };
    let shown = if options.demo {
        match demo::furnish(&running.store).await {
            Ok(demo) => Some(demo),
            Err(e) => {
                running.stop(Duration::ZERO).await;
                return fail(&format!("the demonstration could not be set up: {e}"), exit::FAILED);
            }
        }
    } else {
        None
    };
    announce(&running, config, &path, shown.as_ref());
    tracing::info!(sip = %running.sip, http = %running.http, "ready");
    first_signal(&mut terminate, &mut interrupt).await;
    stop(running, config.server.drain, &mut terminate, &mut interrupt).await;
    exit::OK.into()
}

/// Says where everything is. Nobody may be reading: a closed standard output is no reason to stop.
fn announce(running: &Running, config: &Config, data: &Path, demo: Option<&Demo>) {
    let mut text = format!("strowger {} is ready\n", env!("CARGO_PKG_VERSION"));
    let http = match &config.http.public_url {
        Some(url) => format!("{} ({url})", running.http),
        None => format!("http://{}", running.http),
    };
    text.push_str(&format!("  SIP      udp {}\n", running.sip));
    text.push_str(&format!("  HTTP     {http}, also /health, /ready and /metrics\n"));
    text.push_str(&format!("  data     {}\n", data.display()));
    if let Some(demo) = demo {
        text.push_str(&demo.text(running.http, data));
    }
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// SIGTERM and SIGINT.
pub(crate) fn signals() -> std::io::Result<(Signal, Signal)> {
    Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
}

/// Waits for either.
pub(crate) async fn first_signal(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Drains for `patience` or until a second signal, then ends what is left.
async fn stop(running: Running, patience: Duration, terminate: &mut Signal, interrupt: &mut Signal) {
    running.drain();
    let left = running.conversations();
    if left > 0 {
        eprintln!(
            "draining: {left} calls may end by themselves for {}; another signal ends them now",
            show_duration(patience)
        );
    }
    let idle = async {
        while running.conversations() > 0 {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
    };
    tokio::select! {
        () = idle => {}
        () = tokio::time::sleep(patience) => {}
        () = first_signal(terminate, interrupt) => {}
    }
    running.stop(Duration::ZERO).await;
    tracing::info!("stopped");
}
