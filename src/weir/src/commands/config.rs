//! `weir config`.

use std::io::{IsTerminal, Read};
use std::path::Path;
use std::process::ExitCode;

use super::config_file;
use crate::args::{ConfigArgs, ConfigCommand};
use crate::config::{Config, compile, load, placed, placed_start, variables};
use crate::error::Failure;
use crate::out::say;

/// Runs the command.
pub fn run(args: ConfigArgs) -> Result<ExitCode, Failure> {
    match args.command {
        ConfigCommand::Check { file } => check(file.path())?,
        ConfigCommand::Schema => {
            let schema = serde_json::to_string_pretty(&schemars::schema_for!(Config)).map_err(Failure::other)?;
            say(&schema)?;
        }
        ConfigCommand::Show { file } => {
            let mut config = load(config_file(file.path()).as_deref(), variables())?;
            hide_secrets(&mut config);
            say(toml::to_string_pretty(&config).map_err(Failure::other)?.trim_end())?;
        }
        ConfigCommand::HashKey => hash_key()?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What may be a secret does not belong on a screen.
fn hide_secrets(config: &mut Config) {
    const WORDS: [&str; 9] = [
        "auth",
        "cookie",
        "credential",
        "jaas",
        "key",
        "password",
        "pem",
        "secret",
        "token",
    ];
    // Names of files are none, and their contents are not in the configuration.
    let is_secret = |name: &str| {
        let name = name.to_ascii_lowercase();
        WORDS.iter().any(|word| name.contains(word)) && !name.ends_with(".location")
    };
    let headers = config.upstream.iter_mut().flat_map(|upstream| &mut upstream.headers);
    for (_, value) in headers
        .chain(&mut config.kafka.properties)
        .filter(|(name, _)| is_secret(name))
    {
        "(hidden)".clone_into(value);
    }
}

fn check(file: Option<&Path>) -> Result<(), Failure> {
    let file = config_file(file);
    let config = load(file.as_deref(), variables())?;
    let base = file.as_deref().and_then(Path::parent).unwrap_or(Path::new("."));
    let env = |name: &str| std::env::var(name).ok();
    let compiled = compile(&config, None, base, env).map_err(|error| placed(error, file.as_deref()))?;
    let snapshot =
        sidecar::Snapshot::new(&compiled.parts, env).map_err(|error| placed_start(error, &config, file.as_deref()))?;
    let name = file.map_or_else(|| "the defaults".to_owned(), |file| file.display().to_string());
    say(&format!("{name}: good"))?;
    say(&format!("  listen    {}", config.server.listen))?;
    say(&format!("  data      {}", config.data.display()))?;
    for target in snapshot.routes.targets() {
        let key = match target.credential_id.as_deref() {
            Some(name) => name,
            None if snapshot.wants_client_key() => "without a key",
            None => "the app's own key",
        };
        say(&format!("  upstream  {} at {} ({key})", target.name, target.host))?;
    }
    say(&format!(
        "  guardrail policy {}",
        snapshot.policies.fallback().version()
    ))?;
    Ok(())
}

fn hash_key() -> Result<(), Failure> {
    let mut key = String::new();
    if !std::io::stdin().is_terminal() {
        std::io::stdin().read_to_string(&mut key)?;
    }
    let key = key.trim();
    if key.is_empty() {
        // Two UUIDv4 have 244 random bits.
        let made = format!(
            "weir-{}{}",
            uuid::Uuid::new_v4().simple(),
            uuid::Uuid::new_v4().simple()
        );
        say(&format!("key   {made}"))?;
        say(&format!("hash  {}", sidecar::hash_key(&made)))?;
    } else {
        say(&sidecar::hash_key(key))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let mut config: Config = toml::from_str(
            "[[upstream]]\nname = \"openai\"\nheaders = { \"X-Api-Key\" = \"sk-1\", \"x-team\" = \"shop\" }\n\
             [kafka.properties]\n\"sasl.password\" = \"p-2\"\n\"ssl.key.pem\" = \"k-3\"\n\"linger.ms\" = \"5\"\n\
             \"ssl.key.location\" = \"/etc/key\"\n",
        )
        .unwrap();
        hide_secrets(&mut config);
        let shown = toml::to_string_pretty(&config).unwrap();
        assert!(
            !["sk-1", "p-2", "k-3"].iter().any(|secret| shown.contains(secret)),
            "{shown}"
        );
        assert!(
            shown.contains("\"5\"") && shown.contains("shop") && shown.contains("/etc/key"),
            "{shown}"
        );
    }
}
