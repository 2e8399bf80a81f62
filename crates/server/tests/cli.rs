//! The command line of the built binary: help, exit codes, what is said when something is wrong.

use std::process::{Command, Output};

fn strowger(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_strowger"))
        .args(arguments)
        .env_remove("STROWGER_CONFIG")
        .env_remove("STROWGER_DATA")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_command_helps_with_an_example() {
    let groups: &[(&str, &[&str])] = &[
        ("tenant", &["list", "create", "set", "erase"]),
        (
            "account",
            &["list", "create", "set", "rotate", "disable", "enable", "remove"],
        ),
        (
            "application",
            &["list", "show", "create", "set", "disable", "enable", "remove"],
        ),
        (
            "trunk",
            &["list", "show", "add", "create", "set", "disable", "enable", "remove"],
        ),
        ("number", &["list", "add", "remove"]),
        (
            "device",
            &["list", "add", "create", "set", "disable", "enable", "remove"],
        ),
        ("route", &["list", "add", "remove"]),
        ("prompt", &["list", "upload", "remove"]),
        ("call", &["place", "list", "show", "ladder", "cancel"]),
        ("registration", &["list", "remove"]),
        ("ban", &["list", "add", "remove"]),
        ("delivery", &["list", "repush"]),
    ];
    let mut all: Vec<Vec<&str>> = vec![
        vec!["serve"],
        vec!["lab"],
        vec!["check-config"],
        vec!["reload-certificates"],
        vec!["backup"],
    ];
    for (group, commands) in groups {
        all.extend(commands.iter().map(|c| vec![*group, *c]));
    }
    for mut command in all {
        command.push("--help");
        let out = strowger(&command);
        let said = text(&out.stdout);
        assert!(out.status.success(), "{command:?}: {}", text(&out.stderr));
        assert!(said.contains("Example"), "{command:?} has no example:\n{said}");
    }
}

#[test]
fn check_config_reports_every_problem_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("strowger.toml");
    std::fs::write(&file, "[sip]\nprot = 1\nport = 0\n[keys]\nmaster_key_file = 3\n").unwrap();
    let out = strowger(&["check-config", "--config", file.to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(2));
    let said = text(&out.stderr);
    for part in [
        ":2:1: unknown key",
        ":3:8: sip.port",
        ":5:19: keys.master_key_file",
        "3 problems",
    ] {
        assert!(said.contains(part), "{part} is missing in:\n{said}");
    }
    std::fs::write(&file, "[keys]\nmaster_key_file = \"/nonexistent/key\"\n").unwrap();
    let out = strowger(&["check-config", "--config", file.to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("/nonexistent/key cannot be read"));
    std::fs::write(&file, "").unwrap();
    let out = strowger(&["check-config", "--config", file.to_str().unwrap()]);
    assert!(out.status.success() && text(&out.stdout).contains("no problems"));
}

#[test]
fn a_command_without_a_server_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let out = strowger(&["call", "list", "--data", folder.path().to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(3));
    let said = text(&out.stderr);
    assert!(
        said.contains("not running") && said.contains("strowger serve"),
        "{said}"
    );
}

#[test]
fn wrong_arguments_end_with_2() {
    assert_eq!(strowger(&["trunk", "add", "only-a-name"]).status.code(), Some(2));
    let both = ["trunk", "add", "t", "192.0.2.1", "--server", "carrier.example"];
    assert_eq!(strowger(&both).status.code(), Some(2));
    // Nothing wrong with this one but that nobody answers.
    let folder = tempfile::tempdir().unwrap();
    let one = [
        "trunk",
        "add",
        "t",
        "--server",
        "carrier.example",
        "--data",
        folder.path().to_str().unwrap(),
    ];
    assert_eq!(strowger(&one).status.code(), Some(3));
    assert_eq!(
        strowger(&["trunk", "add", "a", "1.2.3.4", "--rule", "+1:forbid"])
            .status
            .code(),
        Some(2)
    );
    assert_eq!(strowger(&["lab", "--ports", "5-4"]).status.code(), Some(2));
    assert_eq!(strowger(&["nonsense"]).status.code(), Some(2));
}

#[test]
fn the_lab_lists_its_numbers() {
    let out = strowger(&["lab", "--list"]);
    let said = text(&out.stdout);
    assert!(out.status.success());
    assert!(
        said.contains("13800000021  busy: 486") && said.contains("13900000NNN"),
        "{said}"
    );
}
