//! Which provider serves a model.

use std::sync::Arc;

use provider::openai::Endpoint;
use provider::prices::Prices;

use crate::error::CallError;
use crate::upstream::Target;

/// The providers of a configuration and what each serves.
#[derive(Debug, Default)]
pub struct Routes {
    targets: Vec<Arc<Target>>,
}

/// The choice for one call.
#[derive(Clone, Debug)]
pub struct Route {
    /// The provider.
    pub target: Arc<Target>,
    /// Why it was chosen: `only`, `prefix`, `model`, `catalog` or `first`.
    pub reason: &'static str,
    /// The model to ask it for, where that is not the one the app named (`groq/llama` asks groq for
    /// `llama`).
    pub model: Option<String>,
}

impl Routes {
    /// Routes over `targets`, in the order of their preference.
    #[must_use]
    pub fn new(targets: Vec<Arc<Target>>) -> Routes {
        Routes { targets }
    }

    /// The providers.
    #[must_use]
    pub fn targets(&self) -> &[Arc<Target>] {
        &self.targets
    }

    /// The provider for a call. An only one gets every model of endpoints that Weir does not know, and all
    /// questions of what models there are.
    pub fn choose_for(&self, endpoint: Endpoint, model: Option<&str>, prices: &Prices) -> Result<Route, CallError> {
        let chosen = self.choose(model, prices);
        let passes = self.targets.len() == 1 && matches!(endpoint, Endpoint::Other | Endpoint::Models);
        match chosen {
            Err(CallError::UnknownModel { .. }) if passes => self.choose(None, prices),
            chosen => chosen,
        }
    }

    /// The provider for `model`; for calls without a model (`None`), the first.
    fn choose(&self, model: Option<&str>, prices: &Prices) -> Result<Route, CallError> {
        let (Some(first), Some(model)) = (self.targets.first(), model) else {
            let target = self.targets.first().cloned().ok_or(CallError::NoUpstream)?;
            let reason = if self.targets.len() == 1 { "only" } else { "first" };
            return Ok(Route {
                target,
                reason,
                model: None,
            });
        };
        if self.targets.len() == 1 && first.models.is_empty() {
            return Ok(Route {
                target: Arc::clone(first),
                reason: "only",
                model: None,
            });
        }
        if let Some(target) = self
            .targets
            .iter()
            .find(|target| target.models.iter().any(|p| matches(p, model)))
        {
            return Ok(Route {
                target: Arc::clone(target),
                reason: "model",
                model: None,
            });
        }
        if let Some((prefix, rest)) = model.split_once('/')
            && let Some(target) = self
                .targets
                .iter()
                .find(|target| &*target.name == prefix && serves(target, rest))
        {
            return Ok(Route {
                target: Arc::clone(target),
                reason: "prefix",
                model: Some(rest.to_owned()),
            });
        }
        let listed = |target: &&Arc<Target>| target.models.is_empty() && prices.lookup(&target.prices, model).is_some();
        if let Some(target) = self.targets.iter().find(listed) {
            return Ok(Route {
                target: Arc::clone(target),
                reason: "catalog",
                model: None,
            });
        }
        Err(CallError::UnknownModel {
            model: model.chars().take(200).collect(),
            nearest: self.nearest(model, prices),
        })
    }

    /// Served models whose names are most like `model`, at most three.
    fn nearest(&self, model: &str, prices: &Prices) -> Vec<String> {
        let mut scored: Vec<(f64, String)> = Vec::new();
        for target in &self.targets {
            let names: Vec<String> = match target.models.is_empty() {
                true => prices.models_of(&target.prices).map(str::to_owned).collect(),
                false => target.models.clone(),
            };
            for name in names {
                let score = strsim::jaro_winkler(&name, model);
                if score > 0.75 {
                    scored.push((score, name));
                }
            }
        }
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        scored.dedup_by(|a, b| a.1 == b.1);
        scored.into_iter().take(3).map(|(_, name)| name).collect()
    }
}

fn serves(target: &Target, model: &str) -> bool {
    target.models.is_empty() || target.models.iter().any(|pattern| matches(pattern, model))
}

/// Whether `name` fits `pattern`, where `*` stands for any run of characters.
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|head| name.strip_prefix(head)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((tail, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    let mut rest = rest;
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Upstream;

    fn routes(upstreams: &[(&str, &[&str])]) -> Routes {
        let targets = upstreams.iter().map(|(name, models)| {
            let upstream = Upstream {
                name: (*name).to_owned(),
                base_url: Some("http://127.0.0.1:1/v1".to_owned()),
                models: models.iter().map(|m| (*m).to_owned()).collect(),
                ..Upstream::default()
            };
            Arc::new(Target::new(&upstream, |_| None).unwrap())
        });
        Routes::new(targets.collect())
    }

    #[test]
    fn patterns() {
        for (pattern, name, fits) in [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-*", "gpt-4o", true),
            ("*", "", true),
            ("*-mini", "gpt-4o-mini", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("ab*b", "ab", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn choices() {
        let prices = &Prices::builtin();
        let one = routes(&[("mine", &[])]);
        assert_eq!(one.choose(Some("whatever"), prices).unwrap().reason, "only");
        let two = routes(&[("openai", &[]), ("local", &["llama-*"])]);
        assert_eq!(&*two.choose(Some("llama-3"), prices).unwrap().target.name, "local");
        assert_eq!(two.choose(Some("gpt-4o"), prices).unwrap().reason, "catalog");
        assert_eq!(
            two.choose(Some("openai/new-thing"), prices).unwrap().model.as_deref(),
            Some("new-thing")
        );
        assert_eq!(two.choose(None, prices).unwrap().reason, "first");
        let Err(CallError::UnknownModel { nearest, .. }) = two.choose(Some("gpt-4o-minni"), prices) else {
            panic!("no such model")
        };
        assert!(nearest.contains(&"gpt-4o-mini".to_owned()), "{nearest:?}");
        let listed = routes(&[("local", &["llama-*"])]);
        let other = listed.choose_for(Endpoint::Other, Some("tts-1"), prices).unwrap();
        assert_eq!((other.reason, other.model), ("only", None));
        let renamed = listed
            .choose_for(Endpoint::Other, Some("local/llama-3"), prices)
            .unwrap();
        assert_eq!(renamed.model.as_deref(), Some("llama-3"));
        assert!(listed.choose_for(Endpoint::Embeddings, Some("tts-1"), prices).is_err());
        assert!(two.choose_for(Endpoint::Other, Some("nobody-s"), prices).is_err());
        assert_eq!(
            routes(&[]).choose(Some("x"), prices).unwrap_err(),
            CallError::NoUpstream
        );
    }
}
