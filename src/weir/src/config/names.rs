//! Names that the configuration gives, and whether what refers to them can ever apply: a policy for an
//! upstream that nobody has would be a guardrail that is not on.

use std::collections::BTreeSet;

use provider::prices::{Prices, nearest};
use sidecar::config::Upstream;
use sidecar::name_fits;

use super::{Config, ConfigError};
use crate::discover;

/// Refuses names that are given twice, and entries of `guard.apply` that can never apply.
pub fn check(config: &Config) -> Result<(), ConfigError> {
    once(
        "upstream",
        config.upstream.iter().map(|upstream| upstream.name.as_str()),
    )?;
    once("client_key", config.client_key.iter().map(|key| key.name.as_str()))?;
    for (index, upstream) in config.upstream.iter().enumerate() {
        if let Some(provider) = &upstream.prices {
            priced(config, &format!("upstream[{index}].prices"), provider)?;
        }
    }
    let keys: Vec<&str> = config.client_key.iter().map(|key| key.name.as_str()).collect();
    let own: Vec<&str> = config.upstream.iter().map(|upstream| upstream.name.as_str()).collect();
    // The same file may be run with other keys in the environment, or with `--upstream`: what only those
    // name is no mistake.
    let from_elsewhere = (provider::catalog::known().iter().map(|known| known.name)).chain([discover::UNKNOWN_SERVER]);
    let upstreams: Vec<&str> = own.iter().copied().chain(from_elsewhere).collect();
    for (index, apply) in config.guard.apply.iter().enumerate() {
        let key = |key: &str| format!("guard.apply[{index}].{key}");
        for pattern in &apply.upstreams {
            known(&key("upstreams"), "upstream", pattern, &upstreams, &own)?;
        }
        for pattern in &apply.keys {
            known(&key("keys"), "client key", pattern, &keys, &keys)?;
        }
        if let Some(endpoint) = apply.endpoints.iter().find(|path| !path.starts_with(['/', '*'])) {
            let message =
                format!("`{endpoint}` fits no path: write it from its first `/`, as in `/v1/chat/completions`");
            return Err(refused(key("endpoints"), message));
        }
    }
    Ok(())
}

/// What entries of `guard.apply` say of upstreams that are not among those in force, though they may be
/// at another time.
pub fn idle(config: &Config, in_force: &[Upstream]) -> Vec<String> {
    let absent = |pattern: &&String| !in_force.iter().any(|upstream| name_fits(pattern, &upstream.name));
    let entries = config.guard.apply.iter().enumerate();
    entries
        .filter(|(_, apply)| !apply.upstreams.is_empty() && apply.upstreams.iter().all(|pattern| absent(&pattern)))
        .map(|(index, apply)| format!("guard.apply[{index}].upstreams: {}", apply.upstreams.join(", ")))
        .collect()
}

fn once<'n>(table: &str, names: impl Iterator<Item = &'n str>) -> Result<(), ConfigError> {
    let mut seen = BTreeSet::new();
    for (index, name) in names.enumerate() {
        if !seen.insert(name) {
            let message =
                format!("`{name}` is the name of another [[{table}]] already: events and metrics tell them by name");
            return Err(refused(format!("{table}[{index}].name"), message));
        }
    }
    Ok(())
}

/// Refuses a provider of whose models nobody has a price: all of its calls would have no cost.
fn priced(config: &Config, key: &str, provider: &str) -> Result<(), ConfigError> {
    let own: Vec<&str> = (config.price.iter())
        .filter_map(|price| price.provider.as_deref())
        .collect();
    if Prices::builtin().models_of(provider).next().is_some() {
        return Ok(());
    }
    let listed = provider::catalog::known().iter().map(|known| known.name);
    let names: Vec<&str> = listed.chain(own.iter().copied()).collect();
    match own.contains(&provider) {
        true => Ok(()),
        false => known(key, "provider with prices", provider, &names, &own),
    }
}

fn known(key: &str, what: &str, pattern: &str, names: &[&str], listed: &[&str]) -> Result<(), ConfigError> {
    if names.iter().any(|name| name_fits(pattern, name)) {
        return Ok(());
    }
    let mut message = match pattern.contains('*') {
        true => format!("no {what} has a name that fits `{pattern}`"),
        false => format!("no {what} is called `{pattern}`"),
    };
    match (nearest(pattern, names.iter().copied(), 1).first(), listed) {
        (Some(near), _) => message.push_str(&format!("\n  did you mean `{near}`?")),
        (None, []) => message.push_str("; there is none"),
        (None, listed) => message.push_str(&format!("; there are: {}", listed.join(", "))),
    }
    Err(refused(key.to_owned(), message))
}

fn refused(key: String, message: String) -> ConfigError {
    ConfigError::Value {
        key,
        message,
        place: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<(), String> {
        let apply = "[[guard.apply]]\npolicy = \"strict\"\n";
        let text = text.replace("[apply]", apply);
        check(&toml::from_str(&text).unwrap()).map_err(|error| error.to_string())
    }

    const TWO: &str = "[[upstream]]\nname = \"openai\"\n[[upstream]]\nname = \"local\"\nbase_url = \"http://h/v1\"\n\
         [[client_key]]\nname = \"support-bot\"\nhash = \"sha256:0\"\n";

    #[test]
    fn what_can_never_apply_is_refused() {
        for (list, said) in [
            (
                "upstreams = [\"opanai\"]",
                "guard.apply[0].upstreams: no upstream is called `opanai`\n  did you mean `openai`?",
            ),
            (
                "upstreams = [\"openai\", \"loc\"]",
                "guard.apply[0].upstreams: no upstream is called `loc`",
            ),
            (
                "upstreams = [\"house-*\"]",
                "guard.apply[0].upstreams: no upstream has a name that fits `house-*`; there are: openai, local",
            ),
            (
                "keys = [\"suport-bot\"]",
                "guard.apply[0].keys: no client key is called `suport-bot`\n  did you mean `support-bot`?",
            ),
            (
                "keys = [\"nope\"]",
                "guard.apply[0].keys: no client key is called `nope`; there are: support-bot",
            ),
            (
                "endpoints = [\"chat/completions\"]",
                "guard.apply[0].endpoints: `chat/completions` fits no path",
            ),
        ] {
            let error = checked(&format!("[apply]{list}\n{TWO}")).unwrap_err();
            assert!(error.starts_with(said), "{list}: {error}");
        }
        let error = checked("[apply]keys = [\"*\"]\n").unwrap_err();
        assert_eq!(
            error,
            "guard.apply[0].keys: no client key has a name that fits `*`; there is none"
        );
    }

    #[test]
    fn what_may_apply_is_good() {
        for list in [
            "upstreams = [\"local\", \"open*\"]\nkeys = [\"support-*\"]",
            "endpoints = [\"/v1/chat/completions\", \"*/embeddings\"]",
            // Of the environment, or of `--upstream`.
            "upstreams = [\"groq\"]",
            "upstreams = [\"upstream\"]",
        ] {
            assert_eq!(checked(&format!("[apply]{list}\n{TWO}")), Ok(()), "{list}");
        }
        assert_eq!(checked("[apply]upstreams = [\"openai\", \"gro*\"]\n"), Ok(()));
    }

    #[test]
    fn prices_are_somebodys() {
        let upstream = |prices: &str| format!("[[upstream]]\nname = \"local\"\nprices = \"{prices}\"\n");
        for prices in ["openai", "groq", "vertex_ai"] {
            assert_eq!(checked(&upstream(prices)), Ok(()), "{prices}");
        }
        let own = "[[price]]\nprovider = \"house\"\nmodel = \"m\"\ninput = \"1\"\n";
        assert_eq!(checked(&format!("{}{own}", upstream("house"))), Ok(()));
        let error = checked(&upstream("opnai")).unwrap_err();
        assert_eq!(
            error,
            "upstream[0].prices: no provider with prices is called `opnai`\n  did you mean `openai`?"
        );
        let error = checked(&format!("{}{own}", upstream("nosuchprovider"))).unwrap_err();
        assert!(
            error.ends_with("is called `nosuchprovider`; there are: house"),
            "{error}"
        );
    }

    #[test]
    fn names_that_only_others_have_are_told() {
        let of = |names: &str| {
            let text = format!("[[guard.apply]]\npolicy = \"p\"\nupstreams = {names}\n{TWO}");
            let config: Config = toml::from_str(&text).unwrap();
            idle(&config, &config.upstream)
        };
        assert_eq!(of("[\"groq\"]"), ["guard.apply[0].upstreams: groq"]);
        assert!(of("[\"groq\", \"local\"]").is_empty());
        assert!(of("[]").is_empty());
    }

    #[test]
    fn a_name_is_given_once() {
        let error = checked("[[upstream]]\nname = \"openai\"\n[[upstream]]\nname = \"openai\"\n").unwrap_err();
        assert!(
            error.starts_with("upstream[1].name: `openai` is the name of another [[upstream]]"),
            "{error}"
        );
        let key = "[[client_key]]\nname = \"bot\"\nhash = \"sha256:0\"\n";
        let error = checked(&key.repeat(2)).unwrap_err();
        assert!(error.starts_with("client_key[1].name: `bot`"), "{error}");
    }
}
