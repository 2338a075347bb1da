//! Where what is wrong was said: the line of the file, or the environment variable.

use std::path::Path;

use sidecar::StartError;
use toml::de::{DeTable, DeValue};

use super::load::{load, position, variable, variables};
use super::{Config, ConfigError};
use crate::error::Failure;

/// Adds to a value that cannot be where it was given, `file` or the environment.
pub fn placed(error: ConfigError, file: Option<&Path>) -> ConfigError {
    match error {
        ConfigError::Value {
            key,
            message,
            place: None,
        } => {
            let place = place(&key, file);
            ConfigError::Value { key, message, place }
        }
        other => other,
    }
}

/// The same for what the sidecar says of `config`.
pub fn placed_start(error: StartError, config: &Config, file: Option<&Path>) -> Failure {
    let named =
        |mut names: &mut dyn Iterator<Item = &String>, wanted: &str| (&mut names).position(|name| name == wanted);
    let key = match &error {
        StartError::Upstream { name, reason } => {
            let index = named(&mut config.upstream.iter().map(|upstream| &upstream.name), name);
            let key = if reason.starts_with("base_url") {
                "base_url"
            } else {
                "name"
            };
            index.map(|index| format!("upstream[{index}].{key}"))
        }
        StartError::ClientKey { name } => {
            let index = named(&mut config.client_key.iter().map(|key| &key.name), name);
            index.map(|index| format!("client_key[{index}].hash"))
        }
        StartError::Webhook { .. } => Some("guard.webhook.url".to_owned()),
        // The command line may have said something else than the file.
        StartError::OpenToTheWorld { listen } => load(file, variables())
            .is_ok_and(|config| config.server.listen == *listen)
            .then(|| "server.listen".to_owned()),
        _ => None,
    };
    match key.and_then(|key| place(&key, file)) {
        Some(place) => Failure::Config(ConfigError::Start { place, error }),
        None => Failure::Start(error),
    }
}

/// Where `key` (`guard.apply[0].share`) was given.
fn place(key: &str, file: Option<&Path>) -> Option<String> {
    // A list of tables has one variable for all of it.
    let list = key.split_once('[').map_or(key, |(list, _)| list);
    let mut variables = [key, list].map(variable).into_iter();
    if let Some(variable) = variables.find(|variable| std::env::var_os(variable).is_some()) {
        return Some(format!("environment variable {variable}"));
    }
    let file = file?;
    let text = std::fs::read_to_string(file).ok()?;
    let (line, column) = found(&text, key)?;
    Some(format!("{}:{line}:{column}", file.display()))
}

/// Line and column of `key`, or of the last table on the way to it that the text has, if it has any.
fn found(text: &str, key: &str) -> Option<(usize, usize)> {
    let whole = DeTable::parse(text).ok()?;
    let (mut table, mut span) = (Some(whole.get_ref()), None);
    for part in key.split('.') {
        let (name, index) = match part.strip_suffix(']').and_then(|part| part.split_once('[')) {
            Some((name, index)) => (name, index.parse::<usize>().ok()),
            None => (part, None),
        };
        let name = name.trim_matches('"');
        let Some((key, value)) = table.and_then(|table| table.iter().find(|(key, _)| key.get_ref() == name)) else {
            break;
        };
        let value = match (value.get_ref(), index) {
            (DeValue::Array(array), Some(index)) => array.get(index)?,
            _ => value,
        };
        // The keys of an array of tables are all the same one: the first.
        span = Some(if index.is_some() { value.span() } else { key.span() });
        table = match value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => None,
        };
    }
    Some(position(text, Some(span?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# weir.toml
[timeouts]
idle = -1

[[upstream]]
name = "openai"

[[upstream]]
name = "mine"
base_url = "htp://x"

[guard]
apply = [{ policy = "a" }, { share = 2.0, policy = "b" }]

[kafka.properties]
"acks" = "1"
"#;

    #[test]
    fn keys_have_a_line() {
        for (key, line) in [
            ("timeouts.idle", 3),
            ("upstream[0].name", 6),
            ("upstream[1].base_url", 10),
            ("guard.apply[1].share", 13),
            ("kafka.properties.\"acks\"", 16),
            // What is not there is told by the table that it would be in.
            ("timeouts.total", 2),
            ("upstream[1].prices", 8),
        ] {
            assert_eq!(found(TEXT, key).map(|(line, _)| line), Some(line), "{key}");
        }
        assert_eq!(found(TEXT, "guard.apply[1].share"), Some((13, 30)));
        assert_eq!(found(TEXT, "server.listen"), None);
    }
}
