//! The floors of ARCHITECTURE.md, read from the crates' manifests and sources.

use std::collections::{BTreeMap, BTreeSet};
use strowger_tests::{code_lines, files, workspace};

/// What each crate may depend on in the workspace. An edge that is missing here is refused, so a new one is a decision:
/// it goes into ARCHITECTURE.md too. `sim` is a test kit and may appear in any crate's dev-dependencies.
const EDGES: &[(&str, u8, &[&str])] = &[
    ("core", 2, &[]),
    ("sip-core", 2, &[]),
    ("media-core", 2, &[]),
    ("sip", 3, &["core", "sip-core"]),
    ("media", 3, &["core", "media-core"]),
    ("store", 3, &["core", "flows"]),
    ("notify", 3, &["core", "store"]),
    ("speech", 3, &["core", "media-core"]),
    ("flows", 3, &["core"]),
    ("blobs", 3, &[]),
    (
        "runtime",
        3,
        &[
            "core",
            "sip-core",
            "media-core",
            "sip",
            "media",
            "store",
            "flows",
            "blobs",
        ],
    ),
    ("api", 4, &["core", "store", "runtime", "speech", "flows", "blobs"]),
    ("dialect-aliyun", 4, &["core", "store", "runtime"]),
    ("dialect-tencent", 4, &["core", "store", "runtime"]),
    ("dialect-voicepaas", 4, &["core", "store", "runtime"]),
    (
        "server",
        5,
        &[
            "core",
            "sip-core",
            "media-core",
            "sip",
            "media",
            "store",
            "notify",
            "speech",
            "flows",
            "blobs",
            "runtime",
            "api",
            "dialect-aliyun",
            "dialect-tencent",
            "dialect-voicepaas",
        ],
    ),
    ("sim", 2, &["core", "sip-core", "media-core"]),
];

/// Crates that know no socket, thread, clock or random source.
const PURE: [&str; 3] = ["core", "sip-core", "media-core"];

/// Outside crates that would bring one of those into a pure crate.
const IMPURE: [&str; 14] = [
    "tokio",
    "mio",
    "socket2",
    "libc",
    "rand",
    "rand_core",
    "fastrand",
    "getrandom",
    "uuid",
    "chrono",
    "time",
    "axum",
    "reqwest",
    "rusqlite",
];

struct Manifest {
    normal: BTreeSet<String>,
    dev: BTreeSet<String>,
}

fn manifests() -> BTreeMap<String, Manifest> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(workspace().join("crates")).unwrap().flatten() {
        let Ok(text) = std::fs::read_to_string(entry.path().join("Cargo.toml")) else {
            continue;
        };
        let table: toml::Table = text.parse().unwrap();
        let folder = entry.file_name().into_string().unwrap();
        assert_eq!(
            table["package"]["name"].as_str().unwrap(),
            format!("strowger-{folder}"),
            "a crate is named after its folder"
        );
        let names = |t: &toml::Table, kind: &str| -> Vec<String> {
            let table = t.get(kind).and_then(|t| t.as_table());
            table.map(|t| t.keys().cloned().collect()).unwrap_or_default()
        };
        let mut manifest = Manifest {
            normal: BTreeSet::new(),
            dev: BTreeSet::new(),
        };
        // A dependency under [target.'cfg(…)'] is an edge like any other.
        let targets = table.get("target").and_then(|t| t.as_table());
        let sections = std::iter::once(&table).chain(
            targets
                .into_iter()
                .flat_map(|t| t.values().filter_map(|v| v.as_table())),
        );
        for section in sections {
            manifest.normal.extend(names(section, "dependencies"));
            manifest.normal.extend(names(section, "build-dependencies"));
            manifest.dev.extend(names(section, "dev-dependencies"));
        }
        found.insert(folder, manifest);
    }
    found
}

fn of_ours(names: &BTreeSet<String>) -> impl Iterator<Item = &str> {
    names.iter().filter_map(|n| n.strip_prefix("strowger-"))
}

#[test]
fn dependencies_point_down() {
    let mut wrong = Vec::new();
    for (name, manifest) in manifests() {
        let Some((_, _, allowed)) = EDGES.iter().find(|(n, _, _)| *n == name) else {
            wrong.push(format!("{name} has no floor: add it to EDGES and to ARCHITECTURE.md"));
            continue;
        };
        for edge in of_ours(&manifest.normal) {
            if !allowed.contains(&edge) {
                wrong.push(format!("{name} → {edge} is not an allowed edge"));
            }
        }
        for edge in of_ours(&manifest.dev) {
            if edge != "sim" && !allowed.contains(&edge) {
                wrong.push(format!("{name} → {edge} (dev) is not an allowed edge"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_of_edges_itself_never_points_up() {
    let floor = |name: &str| EDGES.iter().find(|(n, _, _)| *n == name).map(|(_, f, _)| *f);
    let mut inside = Vec::new();
    for (name, own, allowed) in EDGES {
        for edge in *allowed {
            let below = floor(edge).unwrap_or_else(|| panic!("{edge} has no floor"));
            assert!(below <= *own, "{name} → {edge} points up");
            if below == *own && *name != "sim" {
                inside.push(format!("{name} → {edge}"));
            }
        }
    }
    // Engines meet in runtime; the pure crates and the faces do not know one another.
    assert_eq!(
        inside,
        [
            "store → flows",
            "notify → store",
            "runtime → sip",
            "runtime → media",
            "runtime → store",
            "runtime → flows",
            "runtime → blobs"
        ]
    );
}

#[test]
fn pure_crates_take_nothing_impure_from_outside() {
    for (name, manifest) in manifests() {
        if PURE.contains(&name.as_str()) {
            for banned in IMPURE {
                assert!(
                    !manifest.normal.contains(banned),
                    "{name} is pure and may not use {banned}"
                );
            }
        }
    }
}

/// The second line of defence behind the crates' `clippy.toml`, which knows only functions and types by name.
#[test]
fn pure_crates_have_no_clock_randomness_or_io_in_their_sources() {
    const WORDS: [&str; 14] = [
        "Instant::now",
        "SystemTime::now",
        "tokio",
        "rand::",
        "getrandom",
        "std::thread",
        "std::fs",
        "std::env",
        "std::process",
        "UdpSocket",
        "TcpStream",
        "TcpListener",
        "RandomState",
        "println!",
    ];
    let mut wrong = Vec::new();
    for name in PURE {
        for path in files(&workspace().join("crates").join(name).join("src"), "rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            // The unit tests of a file come last in it and may read golden files.
            let tested = source.split("\n#[cfg(test)]").next().unwrap();
            for (n, line) in code_lines(tested) {
                for word in WORDS.iter().filter(|w| line.contains(**w)) {
                    // `include_str!(concat!(env!("CARGO_MANIFEST_DIR"), …))` is read by the compiler.
                    wrong.push(format!("{}:{n}: {word}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "not pure:\n{}", wrong.join("\n"));
}

/// Floor rule 5: five dialects on one model. Comments may cite a specification.
#[test]
fn a_vendors_name_is_in_its_dialect_and_the_wiring_only() {
    const VENDORS: [&str; 8] = [
        "aliyun",
        "alibaba",
        "tencent",
        "tccc",
        "aiccs",
        "voicepaas",
        "dingtalk",
        "lingyun",
    ];
    let crates = workspace().join("crates");
    let mut wrong = Vec::new();
    for path in files(&crates, "rs") {
        let short = path.strip_prefix(&crates).unwrap().to_string_lossy().into_owned();
        // One test compares the dialects with one another.
        if short.starts_with("dialect-") || short.starts_with("server/src/wire") || short == "server/tests/ids.rs" {
            continue;
        }
        for (n, line) in code_lines(&std::fs::read_to_string(&path).unwrap()) {
            let lower = line.to_lowercase();
            for vendor in VENDORS.iter().filter(|v| lower.contains(**v)) {
                wrong.push(format!("crates/{short}:{n}: {vendor}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "vendor names outside their dialect:\n{}",
        wrong.join("\n")
    );
}

/// Files that may be longer than the ratchet, each with its reason. Keep it short.
const LONG: &[(&str, &str)] = &[];

#[test]
fn no_source_file_grows_past_800_lines_without_a_reason() {
    let root = workspace();
    let mut wrong = Vec::new();
    let mut long = BTreeSet::new();
    for folder in ["crates", "tests", "benches", "fuzz"] {
        for path in files(&root.join(folder), "rs") {
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            let short = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            if lines > 800 {
                if LONG.iter().any(|(name, _)| *name == short) {
                    long.insert(short);
                } else {
                    wrong.push(format!("{short} has {lines} lines: split it, or give a reason in LONG"));
                }
            }
        }
    }
    for (name, reason) in LONG {
        assert!(reason.len() > 20, "{name}: the reason says nothing");
        if !long.contains(*name) {
            wrong.push(format!("{name} is short again: take it off the list"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
