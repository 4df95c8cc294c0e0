use std::collections::HashMap;

use super::*;
use crate::cli;

fn configured(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let environment: HashMap<&str, &str> = environment.iter().copied().collect();
    let matches = cli::command().try_get_matches_from(["siltstone", "serve"].iter().chain(arguments)).expect("usage");
    let (_, flags) = matches.subcommand().expect("serve");
    cli::config(flags, |name| environment.get(name).map(|value| (*value).to_owned()))
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("temporary file");
    std::fs::write(file.path(), text).expect("temporary file");
    file
}

#[test]
fn flag_beats_environment_beats_file_beats_default() {
    // Proves the order of the layers, setting by setting.
    let file = file(
        "listen = \"127.0.0.1:1\"\ndefault_schema = \"from_file\"\ncatalogs = [\"a\", \"b\"]\n[stream]\nmax_rows = 7\n",
    );
    let path = file.path().to_str().expect("text path");
    let environment = [("SILTSTONE_LISTEN", "127.0.0.1:2"), ("SILTSTONE_DEFAULT_CATALOG", "ENV")];
    let config = configured(&["--config", path, "--listen", "127.0.0.1:3"], &environment).expect("valid");
    assert_eq!(config.listen, "127.0.0.1:3");
    assert_eq!(config.default_catalog, "ENV");
    assert_eq!(config.default_schema, "from_file");
    assert_eq!(config.catalogs, ["a", "b"]);
    assert_eq!(config.stream_rows_max, 7);
    assert_eq!(config.shutdown_timeout, Duration::from_secs(10));
}

#[test]
fn lists_come_from_repeated_flags_commas_and_arrays() {
    // Proves that a list is read the same from every layer, and that a higher layer replaces a lower one.
    let environment = [("SILTSTONE_USERS", "a:b,c:d:e"), ("SILTSTONE_API_KEYS", "k1, k2")];
    let config = configured(&["--user", "x:y", "--user", "z:w"], &environment).expect("valid");
    let names: Vec<&str> = config.users.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["x", "z"]);
    assert_eq!(config.api_keys, [Hidden("k1".to_owned()), Hidden("k2".to_owned())]);
    let config = configured(&[], &environment).expect("valid");
    assert_eq!(config.users[1], ("c".to_owned(), Hidden("d:e".to_owned())));
}

#[test]
fn a_bad_value_or_an_unknown_key_stops_with_its_name() {
    // Proves that the message names the setting and its origin.
    let message = |arguments: &[&str], environment: &[(&str, &str)]| {
        configured(arguments, environment).expect_err("must be refused").to_string()
    };
    assert!(message(&["--listen", "nowhere"], &[]).contains("`listen` of --listen"));
    assert!(message(&[], &[("SILTSTONE_LOG_FORMAT", "xml")]).contains("SILTSTONE_LOG_FORMAT"));
    assert!(message(&["--query-memory-bytes", "12XB"], &[]).contains("`query.memory_bytes`"));
    assert!(message(&["--default-catalog", "System"], &[]).contains("`default_catalog`"));
    let file = file("[stream]\nmax_rowz = 7\n");
    let path = file.path().to_str().expect("text path");
    assert!(message(&["--config", path], &[]).contains("unknown setting `stream.max_rowz`"));
    assert!(message(&["--config", "/nonexistent/x.toml"], &[]).contains("/nonexistent/x.toml"));
}

#[test]
fn secrets_are_never_shown() {
    // Proves that neither errors nor debug output hold what was given for a secret.
    let error = configured(&["--user", "no-colon-hunter2"], &[]).expect_err("must be refused");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    let config = configured(&["--user", "a:hunter2", "--api-key", "sesame"], &[]).expect("valid");
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("sesame"), "{shown}");
}

#[test]
fn settings_do_not_collide() {
    // Proves that keys, flags and variables are unique, and that the command line is well-formed.
    for pick in [|s: &Setting| s.key.to_owned(), |s: &Setting| s.flag.to_owned(), |s: &Setting| s.variable()] {
        let mut names: Vec<String> = settings().map(pick).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), settings().count());
    }
    cli::command().debug_assert();
}

#[test]
fn sizes_have_units() {
    // Proves the arithmetic of the unit suffixes.
    let config =
        configured(&["--stream-max-decoded-bytes", "3MiB", "--append-body-bytes-max", "4096"], &[]).expect("valid");
    assert_eq!(config.stream.decoded_bytes_max, 3 << 20);
    assert_eq!(config.append, BodyLimits { wire_bytes_max: 4096, decoded_bytes_max: 4096 });
}

#[test]
fn every_setting_is_in_the_manual() {
    // Proves that the manual's table names each key, flag and variable.
    let manual = include_str!("../../../docs/operating.md");
    for setting in settings() {
        let (flag, variable) = (format!("`--{}`", setting.flag), format!("`{}`", setting.variable()));
        let row = manual.lines().find(|line| line.starts_with('|') && line.contains(&flag));
        let row = row.unwrap_or_else(|| panic!("{flag} is not in the manual"));
        assert!(row.contains(&variable), "{variable}: {row}");
        assert!(!setting.in_file || row.starts_with(&format!("| `{}`", setting.key)), "{}: {row}", setting.key);
    }
}
