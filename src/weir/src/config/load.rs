//! Reading the file: what is wrong with it is said with file, line and the nearest key.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::Config;

/// Environment variables that override keys begin so: `WEIR_SERVER__LISTEN` is `server.listen`.
const PREFIX: &str = "WEIR_";
/// What is in no section: a key, and the lists of tables, as TOML (`[{ name = "…" }]`).
const TOP_KEYS: [&str; 4] = ["DATA", "UPSTREAM", "CLIENT_KEY", "PRICE"];

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{}:{line}:{column}: {message}{}", .path.display(), hint_text(.hint))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong.
        message: String,
        /// What may have been meant.
        hint: Option<String>,
    },
    /// An environment variable is not what it should be.
    #[error("environment variable {name}: {message}{}", hint_text(.hint))]
    Environment {
        /// The variable.
        name: String,
        /// What is wrong.
        message: String,
        /// What may have been meant.
        hint: Option<String>,
    },
    /// A value is well formed and still impossible.
    #[error("{}{key}: {message}", place_text(.place))]
    Value {
        /// The key.
        key: String,
        /// What is wrong and what to do.
        message: String,
        /// Where it was given: file, line and column, or environment variable.
        place: Option<String>,
    },
    /// The sidecar cannot make anything of a value.
    #[error("{place}: {error}")]
    Start {
        /// Where it was given.
        place: String,
        /// What is wrong and what to do.
        error: sidecar::StartError,
    },
}

fn hint_text(hint: &Option<String>) -> String {
    hint.as_ref()
        .map(|hint| format!("\n  did you mean `{hint}`?"))
        .unwrap_or_default()
}

fn place_text(place: &Option<String>) -> String {
    place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default()
}

/// The environment variable that overrides `key`.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"))
}

/// The process's variables. Others' may be of any bytes; what is not text is none of ours, or refused as a value.
pub fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        Some((name, value.to_string_lossy().into_owned()))
    })
}

/// Reads `path` (`None`: the defaults) and applies the overrides in `env`.
pub fn load(path: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> Result<Config, ConfigError> {
    let (mut table, mut config) = match path {
        None => (Table::new(), Config::default()),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
                path: path.to_owned(),
                source,
            })?;
            let config = toml::from_str::<Config>(&text).map_err(|error| invalid(path, &text, &error))?;
            let table = text.parse::<Table>().map_err(|error| invalid(path, &text, &error))?;
            (table, config)
        }
    };
    let mut overrides = Vec::new();
    for (name, value) in env {
        if is_key(&name) {
            overrides.push((name, value));
        } else if let Some(meant) = meant(&name) {
            return Err(ConfigError::Environment {
                name,
                message: "between a section and its key stand two underscores".to_owned(),
                hint: Some(meant),
            });
        }
    }
    overrides.sort();
    for (name, value) in overrides {
        let keys: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_ascii_lowercase).collect();
        set(&mut table, &keys, &value);
        // One at a time, so that the message names the variable at fault.
        config = Config::deserialize(Value::Table(table.clone())).map_err(|error| {
            let message = error.message().to_owned();
            ConfigError::Environment {
                name,
                hint: nearest(&message),
                message,
            }
        })?;
    }
    Ok(config)
}

/// Others set variables with our prefix too: Kubernetes, for a service named `weir`, such as
/// `WEIR_PORT`. A key of a section has two underscores, which those have not; lists of tables have none.
fn is_key(name: &str) -> bool {
    let rest = name.strip_prefix(PREFIX).unwrap_or_default();
    TOP_KEYS.contains(&rest) || rest.contains("__")
}

/// The variable that was meant by one with a single underscore: `WEIR_SERVER__LISTEN`.
fn meant(name: &str) -> Option<String> {
    let rest = name.strip_prefix(PREFIX)?.to_ascii_lowercase();
    let defaults = serde_json::to_value(Config::default()).ok()?;
    let sections = defaults.as_object()?.iter();
    sections
        .filter_map(|(section, keys)| Some((section, rest.strip_prefix(section.as_str())?.strip_prefix('_')?, keys)))
        .find(|(_, key, keys)| keys.get(key).is_some())
        .map(|(section, key, _)| format!("{PREFIX}{}__{}", section.to_ascii_uppercase(), key.to_ascii_uppercase()))
}

fn invalid(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let (line, column) = position(text, error.span());
    let message = error.message().to_owned();
    ConfigError::Invalid {
        path: path.to_owned(),
        line,
        column,
        hint: nearest(&message),
        message,
    }
}

pub(super) fn position(text: &str, span: Option<Range<usize>>) -> (usize, usize) {
    let before = &text[..span.map_or(0, |span| span.start).min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    (line, column)
}

/// The known name nearest to the unknown one, from serde's own message
/// (``unknown field `x`, expected one of `a`, `b` ``).
fn nearest(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let wrong = quoted.next().filter(|_| message.starts_with("unknown "))?;
    quoted
        .map(|known| (strsim::jaro_winkler(wrong, known), known))
        .filter(|(score, _)| *score > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known.to_owned())
}

fn set(table: &mut Table, keys: &[String], value: &str) {
    let Some((last, parents)) = keys.split_last() else {
        return;
    };
    let mut table = table;
    for key in parents {
        let entry = table.entry(key.clone()).or_insert_with(|| Value::Table(Table::new()));
        if !entry.is_table() {
            *entry = Value::Table(Table::new());
        }
        let Value::Table(inner) = entry else { return };
        table = inner;
    }
    // `8080`, `true` and `["a"]` are TOML; anything that is not is text.
    let parsed = format!("v = {value}")
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("v"));
    table.insert(last.clone(), parsed.unwrap_or_else(|| Value::String(value.to_owned())));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("weir.toml");
        std::fs::write(&path, text).unwrap();
        load(Some(&path), env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(from("", &[]).unwrap(), Config::default());
    }

    #[test]
    fn unknown_keys_are_refused_with_line_and_nearest_key() {
        let error = from("data = \"d\"\n\n[server]\nlistn = \"127.0.0.1:1\"\n", &[])
            .unwrap_err()
            .to_string();
        assert!(error.contains("weir.toml:4:1: unknown field `listn`"), "{error}");
        assert!(error.contains("did you mean `listen`?"), "{error}");
    }

    #[test]
    fn wrong_values_are_refused_with_their_line() {
        let error = from("[journal]\ndurability = \"maybe\"\n", &[])
            .unwrap_err()
            .to_string();
        assert!(error.contains("weir.toml:2:"), "{error}");
    }

    #[test]
    fn the_environment_overrides() {
        let env = [
            ("WEIR_SERVER__LISTEN", "127.0.0.1:9"),
            ("WEIR_JOURNAL__QUOTA_MIB", "12"),
            ("WEIR_LOG", "debug"),
            ("WEIR_PORT", "tcp://10.0.0.1:8080"),
            ("HOME", "/"),
        ];
        let config = from("[server]\nthreads = 3\n", &env).unwrap();
        assert_eq!(config.server.listen.port(), 9);
        assert_eq!((config.server.threads, config.journal.quota_mib), (3, 12));
    }

    #[test]
    fn lists_of_tables_may_stand_in_the_environment() {
        let key = "[{ name = \"app\", hash = \"sha256:0\" }]";
        let env = [
            ("WEIR_CLIENT_KEY", key),
            ("WEIR_UPSTREAM", "[{ name = \"openai\" }, { name = \"groq\" }]"),
        ];
        let config = from("[[upstream]]\nname = \"local\"\n", &env).unwrap();
        let names: Vec<&str> = config.upstream.iter().map(|upstream| upstream.name.as_str()).collect();
        assert_eq!((names, config.client_key.len()), (vec!["openai", "groq"], 1));
        assert!(from("", &[("WEIR_CLIENT_KEY", "app")]).is_err());
    }

    #[test]
    fn a_single_underscore_is_told() {
        let error = from("", &[("WEIR_SERVER_LISTEN", "127.0.0.1:9")])
            .unwrap_err()
            .to_string();
        assert!(error.contains("did you mean `WEIR_SERVER__LISTEN`?"), "{error}");
        let error = from("", &[("WEIR_CLIENT_KEYS", "x"), ("WEIR_JOURNAL_QUOTA_MIB", "1")]).unwrap_err();
        assert!(error.to_string().contains("`WEIR_JOURNAL__QUOTA_MIB`"), "{error}");
        // What others set.
        for name in [
            "WEIR_SERVICE_PORT",
            "WEIR_SERVER_PORT",
            "WEIR_KAFKA_SERVICE_HOST",
            "WEIR_LOG",
        ] {
            assert!(from("", &[(name, "1")]).is_ok(), "{name}");
        }
    }

    #[test]
    fn unknown_variables_are_named() {
        let error = from("", &[("WEIR_SERVER__LISTN", "x")]).unwrap_err().to_string();
        assert!(
            error.contains("WEIR_SERVER__LISTN") && error.contains("did you mean `listen`?"),
            "{error}"
        );
    }
}
