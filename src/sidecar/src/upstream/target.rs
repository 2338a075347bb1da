//! One provider's address and credential, ready for use.

use std::sync::Arc;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::{Scheme, Uri};
use provider::prices::nearest;

use crate::config::Upstream;
use crate::error::StartError;

/// A provider as calls see it.
#[derive(Debug)]
pub struct Target {
    /// Its configured name.
    pub name: Arc<str>,
    /// Provider in the price table.
    pub prices: Arc<str>,
    /// Host to connect to.
    pub host: Arc<str>,
    /// Port to connect to.
    pub port: u16,
    /// Whether to speak TLS.
    pub tls: bool,
    /// The `Host` header.
    pub authority: HeaderValue,
    /// Path before the endpoint's own, with its version: `/v1`.
    pub base_path: String,
    /// `Authorization`, if a key is configured.
    pub authorization: Option<HeaderValue>,
    /// Name of that credential, never the key.
    pub credential_id: Option<String>,
    /// Headers added to each request.
    pub headers: HeaderMap,
    /// Model patterns; empty if it serves whatever it is asked for.
    pub models: Vec<String>,
}

/// What to do about a name that stands for no address.
fn unknown(name: &str) -> String {
    let names = provider::catalog::known().iter().map(|known| known.name);
    let near = nearest(name, names, 1);
    let hint = near.first().map(|near| format!("\n  did you mean `{near}`?"));
    format!(
        "base_url is missing, and the catalog knows no provider of that name{}",
        hint.unwrap_or_default()
    )
}

impl Target {
    /// Reads one `[[upstream]]`. `env` looks up environment variables.
    pub fn new(upstream: &Upstream, env: impl Fn(&str) -> Option<String>) -> Result<Target, StartError> {
        let wrong = |reason: String| StartError::Upstream {
            name: upstream.name.clone(),
            reason,
        };
        let known = provider::catalog::known()
            .iter()
            .find(|known| known.name == upstream.name);
        let base_url = upstream
            .base_url
            .as_deref()
            .or(known.map(|known| known.base_url))
            .ok_or_else(|| wrong(unknown(&upstream.name)))?;
        let uri: Uri = base_url
            .parse()
            .map_err(|e| wrong(format!("base_url {base_url:?} is not a URL: {e}")))?;
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => {
                return Err(wrong(format!(
                    "base_url {base_url:?} must begin with http:// or https://"
                )));
            }
        };
        let authority = uri
            .authority()
            .ok_or_else(|| wrong(format!("base_url {base_url:?} names no host")))?;
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let key_env = upstream.api_key_env.clone();
        let (key, credential_id) = match key_env {
            Some(name) => {
                let key = env(&name).ok_or_else(|| wrong(format!("the environment variable {name} is not set")))?;
                if key.trim().is_empty() {
                    return Err(wrong(format!("the environment variable {name} is empty")));
                }
                (Some(key), Some(name))
            }
            None => known
                .filter(|_| upstream.base_url.is_none())
                .and_then(|known| {
                    known
                        .key_env
                        .iter()
                        .filter_map(|name| env(name).map(|key| (key, (*name).to_owned())))
                        .find(|(key, _)| !key.trim().is_empty())
                })
                .unzip(),
        };
        let authorization = key
            .map(|key| {
                let mut value = HeaderValue::try_from(format!("Bearer {}", key.trim()))
                    .map_err(|_| wrong("the API key has characters that a header cannot carry".to_owned()))?;
                value.set_sensitive(true);
                Ok::<_, StartError>(value)
            })
            .transpose()?;
        let mut headers = HeaderMap::new();
        for (name, value) in &upstream.headers {
            let parsed = (
                HeaderName::try_from(name.as_str()),
                HeaderValue::try_from(value.as_str()),
            );
            let (Ok(name), Ok(value)) = parsed else {
                return Err(wrong(format!("header {name:?} is not a valid HTTP header")));
            };
            headers.insert(name, value);
        }
        let path = uri.path().trim_end_matches('/');
        Ok(Target {
            name: upstream.name.as_str().into(),
            prices: upstream
                .prices
                .as_deref()
                .or(known.and_then(|known| known.prices))
                .unwrap_or(&upstream.name)
                .into(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            authority: HeaderValue::try_from(authority.as_str())
                .map_err(|_| wrong(format!("base_url {base_url:?} names an impossible host")))?,
            host: host.into(),
            tls,
            base_path: if path.is_empty() {
                "/v1".to_owned()
            } else {
                path.to_owned()
            },
            authorization,
            credential_id,
            headers,
            models: upstream.models.clone(),
        })
    }

    /// The request target for an app's path: the app's `/v1` becomes this provider's base path.
    #[must_use]
    pub fn path(&self, path: &str, query: Option<&str>) -> String {
        let own = path.strip_prefix("/v1").unwrap_or(path);
        let mut out = String::with_capacity(self.base_path.len() + own.len() + query.map_or(0, |q| q.len() + 1));
        out.push_str(&self.base_path);
        out.push_str(own);
        if let Some(query) = query {
            out.push('?');
            out.push_str(query);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(base_url: &str) -> Result<Target, StartError> {
        let upstream = Upstream {
            name: "mine".to_owned(),
            base_url: Some(base_url.to_owned()),
            ..Upstream::default()
        };
        Target::new(&upstream, |_| None)
    }

    #[test]
    fn urls() {
        for (url, host, port, tls, path) in [
            (
                "http://127.0.0.1:9100/v1",
                "127.0.0.1",
                9100,
                false,
                "/v1/chat/completions?a=b",
            ),
            (
                "http://127.0.0.1:9100",
                "127.0.0.1",
                9100,
                false,
                "/v1/chat/completions?a=b",
            ),
            (
                "https://api.groq.com/openai/v1/",
                "api.groq.com",
                443,
                true,
                "/openai/v1/chat/completions?a=b",
            ),
            ("http://[::1]:80/v1", "::1", 80, false, "/v1/chat/completions?a=b"),
        ] {
            let target = target(url).unwrap();
            assert_eq!((&*target.host, target.port, target.tls), (host, port, tls), "{url}");
            assert_eq!(target.path("/v1/chat/completions", Some("a=b")), path, "{url}");
        }
        for url in ["ftp://x/v1", "api.openai.com", "http://"] {
            assert!(target(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_missing_key_variable_is_named() {
        let upstream = Upstream {
            name: "openai".to_owned(),
            api_key_env: Some("MY_KEY".to_owned()),
            ..Upstream::default()
        };
        let error = Target::new(&upstream, |_| None).unwrap_err().to_string();
        assert!(error.contains("MY_KEY"), "{error}");
    }
}
