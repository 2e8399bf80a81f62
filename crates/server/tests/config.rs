//! Every wrong configuration file in `golden/config` and the exact words it is refused with. `GOLDEN=write` writes the
//! answers anew; read the difference before committing it.

use std::path::Path;
use strowger_server::config::{self, Config};

fn golden() -> Vec<(String, String, std::path::PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/config");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "toml"))
        .map(|p| {
            let name = p.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&p).unwrap(), p.with_extension("txt"))
        })
        .collect();
    found.sort();
    found
}

#[test]
fn wrong_files_are_refused_in_these_words() {
    let cases = golden();
    assert!(cases.len() >= 15);
    for (name, text, answer) in cases {
        let (_, problems) = config::parse(&name, &text);
        let said: String = problems.iter().map(|p| format!("{p}\n")).collect();
        if std::env::var_os("GOLDEN").is_some() {
            std::fs::write(&answer, &said).unwrap();
        }
        let wanted = std::fs::read_to_string(&answer).unwrap_or_default();
        assert_eq!(said, wanted, "{name}");
    }
}

#[test]
fn no_file_and_an_empty_file_are_the_defaults() {
    let (empty, problems) = config::parse("x", "");
    assert_eq!(problems, []);
    assert_eq!(empty, Config::default());
    assert_eq!(empty.sip.port, 5060);
    assert!(
        empty.interface().address.is_loopback(),
        "nothing is offered to a network unasked"
    );
    assert!(empty.http.listen.ip().is_loopback());
}

#[test]
fn certificate_files_are_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    std::fs::write(&certificate, "-----BEGIN CERTIFICATE-----\n").unwrap();
    std::fs::write(&key, "not PEM").unwrap();
    let text = format!(
        "[sip]\ntls_port = 5061\ncertificate = {certificate:?}\nkey = {key:?}\nverify_ca = \"/nonexistent/ca.pem\"\n"
    );
    let (config, problems) = config::parse("x", &text);
    assert_eq!(problems, []);
    let said: Vec<String> = config::check_surroundings(&config)
        .iter()
        .map(|p| p.to_string())
        .collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].starts_with("sip.key: ") && said[0].ends_with("has no PEM block \"PRIVATE KEY\""),
        "{said:?}"
    );
    assert!(
        said[1].starts_with("sip.verify_ca: /nonexistent/ca.pem cannot be read"),
        "{said:?}"
    );
}

#[test]
fn the_guard_gets_what_the_file_says_and_its_own_defaults() {
    let (config, problems) = config::parse("x", "[guard]\nban = \"2h\"\nexempt = [\"192.0.2.0/24\"]\n");
    assert_eq!(problems, []);
    let settings = config.guard.settings();
    let default = strowger_sip_core::guard::GuardSettings::default();
    assert_eq!(settings.ban, 7200);
    assert_eq!((settings.rate, settings.burst), (default.rate, default.burst));
    assert!(settings.exempt[0].contains("192.0.2.9".parse().unwrap()));
    assert!(!format!("{:?}", config::parse("x", "[hep]\npassword = \"s3cret\"\n").0.hep).contains("s3cret"));
}

#[test]
fn a_file_that_is_not_there_is_said_so() {
    let problems = config::load(Some(Path::new("/nonexistent/strowger.toml"))).unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "/nonexistent/strowger.toml: the file does not exist"
    );
}

/// docs/configuration.md shows the whole file; what it shows must be what is read.
#[test]
fn the_documented_file_is_valid_and_shows_the_defaults() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = std::fs::read_to_string(page).unwrap();
    let shown = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let (config, problems) = config::parse("docs/configuration.md", shown);
    assert_eq!(problems, []);
    let defaults = Config::default();
    assert_eq!(
        Config {
            server: defaults.server.clone(),
            ..config.clone()
        },
        defaults,
        "apart from the data folder, which depends on the user"
    );
    assert_eq!(config.server.drain, defaults.server.drain);
}

#[test]
fn durations_are_read_and_shown() {
    for text in ["0ms", "250ms", "10s", "90s", "5m", "2h", "7d"] {
        assert_eq!(config::show_duration(config::parse_duration(text).unwrap()), text);
    }
    for text in ["", "s", "10", "-1s", "1.5s", "10 s", "99999999999999999999s", "1w"] {
        assert_eq!(config::parse_duration(text), None, "{text}");
    }
}
