//! Tests of the workspace as a whole: its layering, and scenarios against the real binary.

pub mod baresip;
pub mod bed;
pub mod browser;
pub mod bucket;
pub mod cable;
pub mod centre;
pub mod coturn;
pub mod digest;
pub mod floor;
pub mod hall;
pub mod honest;
pub mod http;
pub mod journal;
pub mod kamailio;
pub mod line;
pub mod msg;
pub mod names;
pub mod nat;
pub mod node;
pub mod office;
pub mod party;
pub mod peers;
pub mod phone;
pub mod push;
pub mod recogniser;
pub mod script;
pub mod server;
pub mod sipp;
pub mod site;
pub mod sound;
pub mod tls;
pub mod voice;
pub mod wait;

use std::path::{Path, PathBuf};

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests' package lies in the workspace")
        .to_owned()
}

/// Every file below `folder` with this extension, in a stable order; nothing if the folder does not exist.
pub fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&next) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                if !matches!(entry.file_name().to_str(), Some("target" | "node_modules")) {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The lines of a Rust source that are code, with their numbers from 1: comments and documentation are taken out.
/// Good enough for a search by words; a `//` inside a string cuts the line there.
pub fn code_lines(source: &str) -> impl Iterator<Item = (usize, &str)> {
    source.lines().enumerate().filter_map(|(n, line)| {
        let code = match line.find("//") {
            // `https://` in a string is no comment.
            Some(at) if !line[..at].ends_with(':') => &line[..at],
            _ => line,
        };
        (!code.trim().is_empty()).then_some((n + 1, code))
    })
}
