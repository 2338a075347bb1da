//! Which providers the environment has keys for.

use sidecar::config::Upstream;

/// One upstream for each provider of the catalog whose key variable is set, in the catalog's order.
pub fn from_environment(env: impl Fn(&str) -> Option<String>) -> Vec<Upstream> {
    provider::catalog::known()
        .iter()
        .filter(|known| {
            known
                .key_env
                .iter()
                .any(|name| env(name).is_some_and(|key| !key.trim().is_empty()))
        })
        .map(|known| Upstream {
            name: known.name.to_owned(),
            ..Upstream::default()
        })
        .collect()
}

/// What `--upstream` calls a server that the catalog does not know.
pub const UNKNOWN_SERVER: &str = "upstream";

/// The upstream of `--upstream URL`.
pub fn from_url(url: &str) -> Upstream {
    let known = provider::catalog::by_url(url);
    Upstream {
        name: known.map_or(UNKNOWN_SERVER, |known| known.name).to_owned(),
        base_url: Some(url.to_owned()),
        api_key_env: known
            .and_then(|known| known.key_env.iter().find(|name| std::env::var_os(name).is_some()))
            .map(|name| (*name).to_owned()),
        ..Upstream::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_and_empty_ones_are_not() {
        let env = |name: &str| match name {
            "OPENAI_API_KEY" => Some("k".to_owned()),
            "GROQ_API_KEY" => Some("  ".to_owned()),
            _ => None,
        };
        let found: Vec<String> = from_environment(env)
            .into_iter()
            .map(|upstream| upstream.name)
            .collect();
        assert_eq!(found, ["openai"]);
    }
}
