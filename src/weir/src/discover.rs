//! Which providers the environment has keys for.

use sidecar::config::Upstream;

/// One upstream for each provider of the catalog whose key variable is set, in the catalog's order.
pub fn from_environment(env: impl Fn(&str) -> Option<String>) -> Vec<Upstream> {
    provider::catalog::known()
        .iter()
        .filter(|known| known.key_env.iter().any(|name| is_set(&env, name)))
        .map(|known| Upstream {
            name: known.name.to_owned(),
            ..Upstream::default()
        })
        .collect()
}

/// Whether a variable holds a key: one that is empty holds none.
fn is_set(env: &impl Fn(&str) -> Option<String>, name: &str) -> bool {
    env(name).is_some_and(|key| !key.trim().is_empty())
}

/// What `--upstream` calls a server that the catalog does not know.
pub const UNKNOWN_SERVER: &str = "upstream";

/// The upstream of `--upstream URL`.
pub fn from_url(url: &str, env: impl Fn(&str) -> Option<String>) -> Upstream {
    let known = provider::catalog::by_url(url);
    Upstream {
        name: known.map_or(UNKNOWN_SERVER, |known| known.name).to_owned(),
        base_url: Some(url.to_owned()),
        api_key_env: known
            .and_then(|known| known.key_env.iter().find(|name| is_set(&env, name)))
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
        assert_eq!(from_url("https://api.groq.com/openai/v1", env).api_key_env, None);
        let openai = from_url("https://api.openai.com/v1", env);
        assert_eq!(openai.api_key_env.as_deref(), Some("OPENAI_API_KEY"));
    }
}
