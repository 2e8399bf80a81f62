//! Programs that the tests run beside the server.

use std::path::PathBuf;

/// The program's path, or `None` after a loud note where it is not installed.
///
/// # Panics
/// Under `CI=true`: there, a peer that is missing is a failure.
pub fn find(program: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|p| p.join(program))
        .find(|p| p.is_file());
    if found.is_none() {
        missing(program, &format!("apt-get install {package}"));
    }
    found
}

/// A loud note that a peer is not installed, and how it is.
///
/// # Panics
/// Under `CI=true`: there, a peer that is missing is a failure.
pub fn missing(program: &str, remedy: &str) {
    let note = format!("{program} is not installed: {remedy}");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{note}");
    eprintln!("\n************ SKIPPED: {note} ************\n");
}
