//! What an operator writes of a policy, and what may be wrong with it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pack::Pack;
use crate::settings::{FormatSpec, LeakSpec, LimitSpec, TopicSpec};
use crate::types::{Action, Kind, Phase, Phases};

/// What happens when the engine reaches its step budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// The text is blocked where the engine gave up.
    #[default]
    Block,
    /// The candidates at that point are dropped, the text passes, the error is counted.
    Pass,
}

/// A change to one rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RuleOverride {
    /// What is done about a match, in every phase in which the rule is active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// `false` switches the rule off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Where the rule is active, in place of what its pack says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phases>,
    /// The least score that counts, 0 to 1. Has no effect on rules without a score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f32>,
}

/// A guardrail policy as it is written in the configuration. The default is the shipped policy: the
/// built-in packs that suit any app, with the actions that they recommend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySpec {
    /// The packs in use, by name.
    pub packs: Vec<String>,
    /// What happens when the engine reaches its step budget.
    pub on_error: OnError,
    /// The least score that counts for rules that grade their matches, 0 to 1.
    pub threshold: f32,
    /// The step budget: automaton steps that each byte of text may cost on average, 1 to 4096.
    pub max_steps_per_byte: u32,
    /// Only watch: whatever rules say, a match is flagged, and the verdict tells what would have been
    /// done. Errors of the engine pass, too.
    pub monitor: bool,
    /// Whether requests and tool texts are looked at with evasions undone, too.
    pub views: bool,
    /// One action for all rules of a kind, in place of what their packs say.
    pub actions: BTreeMap<Kind, Action>,
    /// Changes to single rules, by full id (`pii.email`). They go before everything else.
    pub rules: BTreeMap<String, RuleOverride>,
    /// What the pack `leak` looks for.
    pub leak: LeakSpec,
    /// Topics by name: those to be kept out, and those allowed.
    pub topics: BTreeMap<String, TopicSpec>,
    /// How long texts may be, and in which scripts and languages, by phase.
    pub limits: BTreeMap<Phase, LimitSpec>,
    /// The form of answers. Not checked if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<FormatSpec>,
}

impl Default for PolicySpec {
    fn default() -> Self {
        PolicySpec {
            packs: ["pii", "secrets", "injection", "exfil", "leak"]
                .map(str::to_owned)
                .to_vec(),
            on_error: OnError::Block,
            threshold: 0.5,
            max_steps_per_byte: 160,
            monitor: false,
            views: true,
            actions: BTreeMap::new(),
            rules: BTreeMap::new(),
            leak: LeakSpec::default(),
            topics: BTreeMap::new(),
            limits: BTreeMap::new(),
            format: None,
        }
    }
}

/// Why a policy was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// `packs` names one that is not there.
    #[error("no pack is called `{name}`; there are: {known}")]
    UnknownPack {
        /// The name as written.
        name: String,
        /// The names that exist, comma separated.
        known: String,
    },
    /// Two packs have one name.
    #[error("two packs are called `{0}`: rename one of them")]
    DuplicatePack(String),
    /// `rules` names one that no pack in use holds.
    #[error("no rule is called `{id}` in the packs of this policy{}", hint(.nearest))]
    UnknownRule {
        /// The id as written.
        id: String,
        /// The most similar id.
        nearest: Option<String>,
    },
    /// A number is out of its range.
    #[error("`{key}` must be {range}, not {value}")]
    Range {
        /// The key.
        key: String,
        /// What is allowed.
        range: &'static str,
        /// What was written.
        value: String,
    },
}

fn hint(nearest: &Option<String>) -> String {
    nearest
        .as_ref()
        .map(|n| format!("; did you mean `{n}`?"))
        .unwrap_or_default()
}

pub(super) fn select<'p>(spec: &PolicySpec, packs: &'p [Pack]) -> Result<Vec<&'p Pack>, PolicyError> {
    for (i, pack) in packs.iter().enumerate() {
        if packs[..i].iter().any(|p| p.name == pack.name) {
            return Err(PolicyError::DuplicatePack(pack.name.to_string()));
        }
    }
    let mut used: Vec<&Pack> = Vec::new();
    for name in &spec.packs {
        let Some(pack) = packs.iter().find(|p| *p.name == **name) else {
            let own = packs.iter().map(|p| &*p.name);
            let own = own.filter(|own| Pack::builtin_names().all(|shipped| shipped != *own));
            let known = Pack::builtin_names().chain(own).collect::<Vec<_>>().join(", ");
            return Err(PolicyError::UnknownPack {
                name: name.clone(),
                known,
            });
        };
        if !used.iter().any(|p| p.name == pack.name) {
            used.push(pack);
        }
    }
    Ok(used)
}

pub(super) fn check(spec: &PolicySpec, packs: &[&Pack]) -> Result<(), PolicyError> {
    let rules = packs.iter().flat_map(|p| &p.rules).map(|r| &*r.id);
    let checks = packs.iter().flat_map(|p| &p.checks).map(|c| &*c.id);
    let ids: Vec<&str> = rules.chain(checks).collect();
    for (id, change) in &spec.rules {
        if !ids.contains(&id.as_str()) {
            let similar = |other: &&&str| strsim::normalized_damerau_levenshtein(other, id);
            let nearest = ids
                .iter()
                .filter(|other| similar(other) > 0.5)
                .max_by(|a, b| similar(a).total_cmp(&similar(b)))
                .map(|s| (*s).to_owned());
            return Err(PolicyError::UnknownRule {
                id: id.clone(),
                nearest,
            });
        }
        if let Some(threshold) = change.threshold {
            in_unit(&format!("rules.\"{id}\".threshold"), threshold)?;
        }
    }
    if let Some(words) = spec.leak.words.filter(|words| !(4..=1000).contains(words)) {
        return Err(PolicyError::Range {
            key: "leak.words".to_owned(),
            range: "4 to 1000",
            value: words.to_string(),
        });
    }
    for token in &spec.leak.canaries {
        let length = token.chars().filter(|c| c.is_alphanumeric()).count();
        if length < 8 {
            return Err(PolicyError::Range {
                key: "leak.canaries".to_owned(),
                range: "tokens of at least 8 letters and digits",
                value: format!("one of {length}"),
            });
        }
    }
    in_unit("threshold", spec.threshold)?;
    if !(1..=4096).contains(&spec.max_steps_per_byte) {
        let value = spec.max_steps_per_byte.to_string();
        return Err(PolicyError::Range {
            key: "max_steps_per_byte".to_owned(),
            range: "1 to 4096",
            value,
        });
    }
    Ok(())
}

fn in_unit(key: &str, value: f32) -> Result<(), PolicyError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(PolicyError::Range {
        key: key.to_owned(),
        range: "0 to 1",
        value: value.to_string(),
    })
}

/// The spec as text that depends on nothing but its values.
pub(super) fn canonical(spec: &PolicySpec) -> String {
    let mut out = format!(
        "{} {} {:?} {} {} {}",
        env!("CARGO_PKG_VERSION"),
        spec.packs.join(","),
        spec.on_error,
        spec.threshold,
        spec.max_steps_per_byte,
        spec.views
    );
    for (kind, action) in &spec.actions {
        let _ = write!(out, " {kind}={action}");
    }
    for (id, change) in &spec.rules {
        let RuleOverride {
            action,
            enabled,
            phase,
            threshold,
        } = change;
        let _ = write!(out, " {id}={action:?},{enabled:?},{phase:?},{threshold:?}");
    }
    let _ = write!(
        out,
        " {:?} {:?} {:?} {:?} {}",
        spec.leak, spec.topics, spec.limits, spec.format, spec.monitor
    );
    out
}
