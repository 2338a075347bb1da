//! From what the file says to what the parts of Weir take.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use guard::{Pack, Policy, PolicySpec};
use provider::prices::{Override, Price as ModelPrice, Prices, Rate, Rates};

use sidecar::Policies;
use sidecar::config::Upstream;

use super::{Config, ConfigError, Durability, WhenFull, names};
use crate::discover;

/// A configuration ready for use.
pub struct Compiled {
    /// The sidecar's part.
    pub parts: sidecar::Parts,
    /// The journal's part.
    pub journal: journal::Options,
    /// Kafka's part, if a broker is named.
    pub kafka: Option<stream::Settings>,
}

/// Checks and compiles `config`. `instead` takes the place of its upstreams; `base` is the folder that
/// relative pack files are looked up in; `env` finds provider keys.
pub fn compile(
    config: &Config,
    instead: Option<&Upstream>,
    base: &Path,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Compiled, ConfigError> {
    if let Some(key) = config.timeouts.invalid_key() {
        let message = "must be a positive number of seconds".to_owned();
        return Err(value(format!("timeouts.{key}"), message));
    }
    if config.journal.segment_mib == 0 {
        let message = "must be at least 1".to_owned();
        return Err(value("journal.segment_mib".to_owned(), message));
    }
    let upstreams = match (instead, config.upstream.is_empty()) {
        (Some(upstream), _) => vec![upstream.clone()],
        (None, true) => discover::from_environment(&env),
        (None, false) => config.upstream.clone(),
    };
    names::check(config)?;
    if !upstreams.is_empty() {
        for entry in names::idle(config, &upstreams) {
            tracing::warn!("{entry}: none of the upstreams in force is called so, and no call gets this policy");
        }
    }
    if config.lake.commit_mib == 0 {
        return Err(value("lake.commit_mib".to_owned(), "must be 1 or more".to_owned()));
    }
    let policies = policies(config, base)?;
    webhook(config, &policies)?;
    let parts = sidecar::Parts {
        server: config.server.clone(),
        timeouts: config.timeouts,
        upstreams,
        client_keys: config.client_key.clone(),
        recording: config.recording.clone(),
        policies,
        webhook: config.guard.webhook.clone(),
        prices: Arc::new(prices(config)?),
    };
    Ok(Compiled {
        parts,
        journal: journal_options(config),
        kafka: kafka(config, base)?,
    })
}

/// Kafka's settings with the paths of files resolved; `None` without brokers.
pub fn kafka(config: &Config, base: &Path) -> Result<Option<stream::Settings>, ConfigError> {
    let mut settings = config.kafka.clone();
    if !settings.is_set() {
        return Ok(None);
    }
    if settings.topic.is_empty() {
        return Err(value("kafka.topic".to_owned(), "must not be empty".to_owned()));
    }
    if let Err(stream::StreamError::Settings { key, message }) = settings.check_values() {
        return Err(value(format!("kafka.{key}"), message));
    }
    let security = &mut settings.security;
    for (key, file) in [
        ("ca_file", &mut security.ca_file),
        ("certificate_file", &mut security.certificate_file),
        ("key_file", &mut security.key_file),
    ] {
        if let Some(file) = file {
            *file = base.join(&*file);
            if !file.is_file() {
                let message = format!("there is no file {}", file.display());
                return Err(value(format!("kafka.security.{key}"), message));
            }
        }
    }
    Ok(Some(settings))
}

fn policies(config: &Config, base: &Path) -> Result<Policies, ConfigError> {
    if config.guard.off {
        return Ok(Policies::new(Arc::new(Policy::off()), Vec::new()));
    }
    let packs = packs(config, base)?;
    let compile = |key: String, spec: &PolicySpec| {
        Policy::compile(spec, &packs)
            .map(Arc::new)
            .map_err(|error| value(key, error.to_string()))
    };
    let named = config
        .guard
        .policies
        .iter()
        .map(|(name, spec)| Ok((name.as_str(), compile(format!("guard.policies.{name}"), spec)?)));
    let named = named.collect::<Result<BTreeMap<_, _>, ConfigError>>()?;
    let entries = config.guard.apply.iter().enumerate().map(|(index, apply)| {
        let key = |key: &str| format!("guard.apply[{index}].{key}");
        if !(0.0..=1.0).contains(&apply.share) {
            return Err(value(key("share"), format!("must be 0 to 1, not {}", apply.share)));
        }
        let policy = named.get(apply.policy.as_str()).ok_or_else(|| {
            let known = named.keys().copied().collect::<Vec<_>>().join(", ");
            let known = match known.is_empty() {
                true => "there is none: add [guard.policies.NAME]".to_owned(),
                false => format!("there are: {known}"),
            };
            let message = format!("no policy is called `{}` under guard.policies; {known}", apply.policy);
            value(key("policy"), message)
        })?;
        Ok((apply.clone(), Arc::clone(policy)))
    });
    let entries = entries.collect::<Result<Vec<_>, ConfigError>>()?;
    let fallback = compile("guard.policy".to_owned(), &config.guard.policy)?;
    Ok(Policies::new(fallback, entries))
}

fn webhook(config: &Config, policies: &Policies) -> Result<(), ConfigError> {
    match &config.guard.webhook {
        None if policies.ask() => {
            let message = "a rule has the action `ask`, and nobody to be asked is named: set guard.webhook.url";
            Err(value("guard.webhook".to_owned(), message.to_owned()))
        }
        Some(spec) if !(spec.timeout > 0.0 && spec.timeout <= 60.0) => {
            let message = format!("must be more than 0 and at most 60 seconds, not {}", spec.timeout);
            Err(value("guard.webhook.timeout".to_owned(), message))
        }
        _ => Ok(()),
    }
}

fn value(key: String, message: String) -> ConfigError {
    ConfigError::Value {
        key,
        message,
        place: None,
    }
}

fn packs(config: &Config, base: &Path) -> Result<Vec<Pack>, ConfigError> {
    let guard = &config.guard;
    let mut packs = Pack::builtin_for(guard.policies.values().chain([&guard.policy]));
    for file in &config.guard.pack_files {
        let path = base.join(file);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            let message = format!("cannot read {}: {error}", path.display());
            value("guard.pack_files".to_owned(), message)
        })?;
        let pack = Pack::parse(&path.display().to_string(), &text)
            .map_err(|error| value("guard.pack_files".to_owned(), error.to_string()))?;
        for difference in pack.warnings() {
            tracing::warn!(%difference, "an imported pack is not taken over as it is");
        }
        packs.retain(|known| known.name() != pack.name());
        packs.push(pack);
    }
    Ok(packs)
}

fn prices(config: &Config) -> Result<Prices, ConfigError> {
    let overrides = config.price.iter().enumerate().map(|(index, price)| {
        let rate = |text: &String| {
            Rate::per_million(text).map_err(|error| {
                let message = format!("{error}: write dollars for a million tokens, as in \"0.15\"");
                value(format!("price[{index}]"), format!("{:?}: {message}", price.model))
            })
        };
        let input = rate(&price.input)?;
        let output = price.output.as_ref().map(rate).transpose()?;
        let rates = Rates {
            input: Some(input),
            cache_read: Some(price.cache_read.as_ref().map(rate).transpose()?.unwrap_or(input)),
            cache_write: Some(price.cache_write.as_ref().map(rate).transpose()?.unwrap_or(input)),
            output,
            reasoning: None,
        };
        let model_price = ModelPrice {
            rates,
            input_only: output.is_none(),
            ..ModelPrice::default()
        };
        Ok(Override {
            provider: price.provider.clone(),
            model: price.model.clone(),
            price: model_price,
        })
    });
    let overrides = overrides.collect::<Result<Vec<_>, ConfigError>>()?;
    Ok(Prices::builtin().with_overrides(overrides))
}

fn journal_options(config: &Config) -> journal::Options {
    let mib = |n: u64| n.saturating_mul(1 << 20);
    journal::Options {
        durability: match config.journal.durability {
            Durability::Os => journal::Durability::Os,
            Durability::Strict => journal::Durability::Strict,
        },
        segment_bytes: mib(config.journal.segment_mib),
        sync_interval: Duration::from_millis(config.journal.sync_milliseconds),
        quota: (config.journal.quota_mib > 0).then(|| journal::Quota {
            bytes: mib(config.journal.quota_mib),
            when_full: match config.journal.when_full {
                WhenFull::Block => journal::WhenFull::Block,
                WhenFull::Shed => journal::WhenFull::Shed,
            },
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_compile() {
        assert!(compile(&Config::default(), None, Path::new("."), |_| None).is_ok());
    }

    #[test]
    fn kafka_needs_its_files() {
        let mut config = Config::default();
        assert_eq!(kafka(&config, Path::new(".")).unwrap(), None);
        config.kafka.brokers = vec!["k:9092".to_owned()];
        config.kafka.security.ca_file = Some("ca.pem".into());
        let error = kafka(&config, Path::new("/nowhere")).unwrap_err().to_string();
        assert_eq!(error, "kafka.security.ca_file: there is no file /nowhere/ca.pem");
    }

    /// `weir config check` says it, too.
    #[test]
    fn kafka_keeps_its_promises() {
        let mut config = Config::default();
        config.kafka.brokers = vec!["k:9092".to_owned()];
        config.kafka.properties.insert("acks".to_owned(), "1".to_owned());
        let error = kafka(&config, Path::new(".")).unwrap_err().to_string();
        assert!(
            error.starts_with("kafka.properties.\"acks\": it must not be 1, or "),
            "{error}"
        );
    }

    #[test]
    fn impossible_values_name_their_key() {
        let mut config = Config::default();
        config.timeouts.idle = -1.0;
        let error = compile(&config, None, Path::new("."), |_| None)
            .err()
            .map(|e| e.to_string());
        assert_eq!(
            error.as_deref(),
            Some("timeouts.idle: must be a positive number of seconds")
        );
    }

    #[test]
    fn prices_are_exact() {
        let price = super::super::Price {
            model: "mine".to_owned(),
            input: "0.15".to_owned(),
            output: Some("0.60".to_owned()),
            ..super::super::Price::default()
        };
        let config = Config {
            price: vec![price],
            ..Config::default()
        };
        let prices = prices(&config).unwrap();
        let usage = event::Usage {
            input: Some(1_000_000),
            output: Some(1_000_000),
            ..event::Usage::default()
        };
        assert_eq!(
            prices.lookup("any", "mine").unwrap().cost(&usage),
            Some(event::NanoUsd(750_000_000))
        );
    }
}
