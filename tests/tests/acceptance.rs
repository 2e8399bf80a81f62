//! The lines of the domain model that a test has to name.

use std::collections::BTreeSet;
use strowger_tests::{files, workspace};

/// The invariants of the domain model, §14.
const INVARIANTS: std::ops::RangeInclusive<u32> = 1..=38;
/// How far below its comment a test may begin: other comments and attributes lie between.
const BELOW: usize = 12;

/// The lines that `// accept: domain-model …` names above this line of a test.
fn named(comment: &str) -> impl Iterator<Item = &str> {
    let of = comment.trim().strip_prefix("// accept: domain-model ");
    let lines = of.unwrap_or_default().split(';').next().unwrap_or_default();
    lines.split([',', ' ']).map(str::trim).filter(|l| !l.is_empty())
}

// accept: domain-model M31
#[test]
fn every_invariant_has_a_test() {
    let root = workspace();
    let mut proven: BTreeSet<u32> = BTreeSet::new();
    for folder in ["crates", "tests", "benches"] {
        for path in files(&root.join(folder), "rs") {
            let text = std::fs::read_to_string(&path).expect("a source file is text");
            let lines: Vec<&str> = text.lines().collect();
            for (n, line) in lines.iter().enumerate() {
                let numbers = named(line).filter_map(|l| l.strip_prefix('I')?.parse::<u32>().ok());
                let numbers: Vec<u32> = numbers.collect();
                if numbers.is_empty() {
                    continue;
                }
                let below = lines[n..].iter().take(BELOW);
                let tests = below.clone().any(|l| l.contains("#[test]") || l.contains("::test"));
                let runs = below.clone().any(|l| l.contains("fn "));
                assert!(
                    tests && runs,
                    "{}:{}: no test follows this comment",
                    path.display(),
                    n + 1
                );
                proven.extend(numbers);
            }
        }
    }
    let missing: Vec<u32> = INVARIANTS.filter(|n| !proven.contains(n)).collect();
    assert!(missing.is_empty(), "no test names I{missing:?}");
    let unknown: Vec<u32> = proven.into_iter().filter(|n| !INVARIANTS.contains(n)).collect();
    assert!(unknown.is_empty(), "there is no I{unknown:?}");
}

#[test]
fn comments_are_read_as_they_are_written() {
    let all: Vec<&str> = named("    // accept: domain-model I1, I16, M32").collect();
    assert_eq!(all, ["I1", "I16", "M32"]);
    assert_eq!(named("// accept: voice-paas 39, 40").count(), 0);
}
