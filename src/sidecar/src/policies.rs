//! Which guardrail policy looks at a call.

use std::sync::Arc;

use guard::{Action, Policy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::route::matches;

/// `[[guard.apply]]`: calls that a policy of their own looks at. A list that is empty matches every
/// call; the first entry of which all lists match counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// Which of `guard.policies`.
    pub policy: String,
    /// Apps, by name or pattern with `*`: the client key's, else `x-weir-app`.
    #[serde(default)]
    pub apps: Vec<String>,
    /// Client keys, by name.
    #[serde(default)]
    pub keys: Vec<String>,
    /// Models that the app asks for, by name or pattern.
    #[serde(default)]
    pub models: Vec<String>,
    /// Upstreams that the call goes to, by name.
    #[serde(default)]
    pub upstreams: Vec<String>,
    /// Endpoints, such as `/v1/chat/completions`, by path or pattern.
    #[serde(default)]
    pub endpoints: Vec<String>,
    /// Share of these calls, 0 to 1: a canary. All calls of a session fall on the same side.
    #[serde(default = "all")]
    pub share: f64,
}

fn all() -> f64 {
    1.0
}

/// What is known of a call when its policy is chosen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'c> {
    /// The app.
    pub app: Option<&'c str>,
    /// Name of the client key.
    pub key: Option<&'c str>,
    /// The model asked for.
    pub model: Option<&'c str>,
    /// The upstream it goes to.
    pub upstream: Option<&'c str>,
    /// The path.
    pub endpoint: &'c str,
    /// The session, or the call where it has none: what canaries are drawn by.
    pub draw: &'c [u8],
}

/// The policies of a configuration.
#[derive(Clone, Debug)]
pub struct Policies {
    /// Where no entry matches.
    fallback: Arc<Policy>,
    entries: Vec<(Apply, Arc<str>, Arc<Policy>)>,
}

impl Policies {
    /// `fallback` for all calls but those of `entries`.
    #[must_use]
    pub fn new(fallback: Arc<Policy>, entries: Vec<(Apply, Arc<Policy>)>) -> Policies {
        let entries = entries
            .into_iter()
            .map(|(apply, policy)| (apply.clone(), apply.policy.as_str().into(), policy))
            .collect();
        Policies { fallback, entries }
    }

    /// The policy of calls that no entry matches.
    #[must_use]
    pub fn fallback(&self) -> &Arc<Policy> {
        &self.fallback
    }

    /// Whether the choice needs the upstream.
    #[must_use]
    pub fn ask_for_upstream(&self) -> bool {
        self.entries.iter().any(|(apply, ..)| !apply.upstreams.is_empty())
    }

    /// The policy of the call of which `facts` are known, and its name if it has one.
    #[must_use]
    pub fn choose(&self, facts: &Facts<'_>) -> (&Arc<Policy>, Option<&Arc<str>>) {
        let entry = self.entries.iter().find(|(apply, ..)| apply.covers(facts));
        entry.map_or((&self.fallback, None), |(_, name, policy)| (policy, Some(name)))
    }

    /// Whether any policy has rules that ask.
    #[must_use]
    pub fn ask(&self) -> bool {
        let own = self.entries.iter().map(|(_, _, policy)| policy);
        own.chain([&self.fallback]).any(|policy| policy.uses(Action::Ask))
    }
}

impl Apply {
    fn covers(&self, facts: &Facts<'_>) -> bool {
        let any = |patterns: &[String], name: Option<&str>| {
            patterns.is_empty() || name.is_some_and(|name| patterns.iter().any(|pattern| matches(pattern, name)))
        };
        any(&self.apps, facts.app)
            && any(&self.keys, facts.key)
            && any(&self.models, facts.model)
            && any(&self.upstreams, facts.upstream)
            && any(&self.endpoints, Some(facts.endpoint))
            && (self.share >= 1.0 || drawn(facts.draw) < self.share)
    }
}

/// A number from 0 to 1 that depends on `draw` alone.
fn drawn(draw: &[u8]) -> f64 {
    let hash = blake3::hash(draw);
    let mut word = [0; 4];
    word.copy_from_slice(&hash.as_bytes()[..4]);
    f64::from(u32::from_le_bytes(word)) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(change: impl FnOnce(&mut Apply)) -> Apply {
        let mut apply = Apply {
            policy: "p".to_owned(),
            apps: Vec::new(),
            keys: Vec::new(),
            models: Vec::new(),
            upstreams: Vec::new(),
            endpoints: Vec::new(),
            share: 1.0,
        };
        change(&mut apply);
        apply
    }

    #[test]
    fn every_list_has_to_match() {
        let facts = Facts {
            app: Some("billing-eu"),
            key: Some("k1"),
            model: Some("gpt-4o-mini"),
            upstream: Some("openai"),
            endpoint: "/v1/chat/completions",
            draw: b"s",
        };
        let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        assert!(apply(|_| {}).covers(&facts));
        assert!(apply(|a| a.apps = words(&["support", "billing-*"])).covers(&facts));
        assert!(apply(|a| (a.apps, a.models) = (words(&["billing-*"]), words(&["gpt-4o*"]))).covers(&facts));
        assert!(!apply(|a| (a.apps, a.models) = (words(&["billing-*"]), words(&["o1"]))).covers(&facts));
        assert!(!apply(|a| a.keys = words(&["k2"])).covers(&facts));
        assert!(!apply(|a| a.upstreams = words(&["groq"])).covers(&facts));
        assert!(!apply(|a| a.endpoints = words(&["/v1/embeddings"])).covers(&facts));
        assert!(!apply(|a| a.apps = words(&["x"])).covers(&Facts { app: None, ..facts }));
    }

    #[test]
    fn a_canary_takes_its_share_and_whole_sessions() {
        let canary = apply(|a| a.share = 0.2);
        let covered = |n: u32| {
            let draw = n.to_le_bytes();
            let facts = Facts {
                draw: &draw,
                ..Facts::default()
            };
            assert_eq!(canary.covers(&facts), canary.covers(&facts));
            canary.covers(&facts)
        };
        let share = (0..10_000).filter(|n| covered(*n)).count();
        assert!((1_800..2_200).contains(&share), "{share}");
        assert!(!apply(|a| a.share = 0.0).covers(&Facts::default()));
    }
}
