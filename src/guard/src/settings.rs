//! What a policy says itself, beside the packs it uses: topics, limits, and the form of answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::limits::{Limit, Script, is_language};
use crate::check::words::{WordList, Words};
use crate::check::{CheckRule, Uses, parse};
use crate::pack::{Pack, is_name};
use crate::policy::{PolicyError, PolicySpec};
use crate::schema::Schema;
use crate::types::{Action, Kind, Phase, Phases};

/// What the pack `leak` looks for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LeakSpec {
    /// How many words of the system prompt in a row are a leak, 4 to 1000; 10 if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<u32>,
    /// Canary tokens of at least eight letters and digits: what must never be seen in an answer.
    pub canaries: Vec<String>,
}

/// A topic, by its words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TopicSpec {
    /// Words and phrases, in any case; `x*` stands for words that begin with `x`. Empty: the shipped list
    /// of this name (medical, legal, financial, politics, religion, gambling, weapons, drugs).
    pub words: Vec<String>,
    /// Phrases in which these words do not count.
    pub unless: Vec<String>,
    /// How many different words must stand within 400 bytes; 1 if not given, or as in the shipped list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub least: Option<usize>,
    /// `true`: the topic is an allowed one. A text of some length with no word of any allowed topic is off
    /// topic (rule `topics.off-topic`), which is known at its end only.
    pub allow: bool,
    /// What is done; off topic: flag or block.
    pub action: Action,
    /// Where.
    pub phase: Phases,
}

impl Default for TopicSpec {
    fn default() -> Self {
        TopicSpec {
            words: Vec::new(),
            unless: Vec::new(),
            least: None,
            allow: false,
            action: Action::Flag,
            phase: Phases::Both,
        }
    }
}

/// The limits of the texts of one phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSpec {
    /// The most characters of a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub characters: Option<u64>,
    /// The most tokens of a text, estimated: four characters of English, one of Chinese.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// The scripts allowed: latin, cyrillic, greek, arabic, hebrew, devanagari, thai, han, kana, hangul,
    /// other. Empty: all.
    pub scripts: Vec<String>,
    /// The languages allowed, by ISO 639-1 code, of those that can be told. Empty: all.
    pub languages: Vec<String>,
    /// What is done beyond a limit: flag or block.
    pub action: Action,
}

impl Default for LimitSpec {
    fn default() -> Self {
        LimitSpec {
            characters: None,
            tokens: None,
            scripts: Vec::new(),
            languages: Vec::new(),
            action: Action::Flag,
        }
    }
}

/// The form of answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FormatSpec {
    /// A JSON Schema as JSON text, for every answer. `{}`: any JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Whether the schema that a request asks for (`response_format`) is checked; it goes before `schema`.
    pub response_format: bool,
    /// What is done where an answer can no longer be valid: flag or block.
    pub action: Action,
}

impl Default for FormatSpec {
    fn default() -> Self {
        FormatSpec {
            schema: None,
            response_format: true,
            action: Action::Flag,
        }
    }
}

/// The name of the pack of topics, shipped and own.
pub(crate) const TOPICS: &str = "topics";

/// The packs that `spec` itself makes. `packs`: all that there are.
pub(crate) fn packs(spec: &PolicySpec, packs: &[Pack]) -> Result<Vec<Pack>, PolicyError> {
    let mut made = Vec::new();
    if !spec.topics.is_empty() {
        made.push(topics(spec, packs.iter().find(|p| p.name() == TOPICS))?);
    }
    let mut limits = Vec::new();
    for (phase, limit) in &spec.limits {
        limits.extend(limits_of(*phase, limit)?);
    }
    if !limits.is_empty() {
        made.push(pack("limits", limits));
    }
    if let Some(format) = &spec.format {
        made.push(pack("format", vec![format_of(format)?]));
    }
    Ok(made)
}

fn pack(name: &str, checks: Vec<CheckRule>) -> Pack {
    Pack {
        name: name.into(),
        version: "policy".into(),
        description: "What the policy says itself".to_owned(),
        digest: [0; 32],
        rules: Vec::new(),
        checks: checks.into_iter().map(Arc::new).collect(),
        warnings: Vec::new(),
    }
}

fn rule(id: String, entity: String, kind: Kind, phases: Phases, action: Action, uses: Uses) -> CheckRule {
    let phases = Phase::ALL.into_iter().filter(|p| phases.contains(*p));
    CheckRule {
        id: id.into(),
        description: "What the policy says itself".to_owned(),
        kind,
        entity: entity.into(),
        actions: phases.map(|p| (p, action)).collect(),
        score: None,
        threshold: None,
        uses,
        positive: Vec::new(),
        negative: Vec::new(),
    }
}

fn wrong(key: String, range: &'static str, value: impl ToString) -> PolicyError {
    let value = value.to_string();
    PolicyError::Range { key, range, value }
}

/// Refuses actions that have no place to act on.
fn whole(key: String, action: Action) -> Result<(), PolicyError> {
    match action {
        Action::Redact | Action::Vault => Err(wrong(
            key,
            "`flag` or `block`: there is no single place to redact",
            action,
        )),
        Action::Flag | Action::Ask | Action::Block => Ok(()),
    }
}

fn topics(spec: &PolicySpec, shipped: Option<&Pack>) -> Result<Pack, PolicyError> {
    let all = spec.packs.iter().any(|name| name == TOPICS);
    let given = shipped.into_iter().flat_map(|p| &p.checks);
    let mut checks: Vec<CheckRule> = (given.clone().filter(|_| all)).map(|c| (**c).clone()).collect();
    let mut allowed: Vec<WordList> = Vec::new();
    let mut off_topic: BTreeMap<Phase, Action> = BTreeMap::new();
    for (name, topic) in &spec.topics {
        let id = format!("{TOPICS}.{name}");
        if !is_name(name) {
            return Err(wrong(id, "named by small letters, digits, `_` and `-`", name));
        }
        let list = if topic.words.is_empty() {
            let list = given.clone().find(|c| *c.id == *id).and_then(|c| match &c.uses {
                Uses::Words(list) => Some(list.clone()),
                _ => None,
            });
            list.ok_or_else(|| wrong(id.clone(), "a shipped topic, or have `words`", name))?
        } else {
            WordList {
                words: topic.words.clone(),
                least: 1,
                window: parse::WINDOW,
                ..WordList::default()
            }
        };
        let least = topic.least.unwrap_or(list.least);
        if let Some(word) = list.words.iter().find(|w| !w.chars().any(char::is_alphanumeric)) {
            return Err(wrong(format!("{id}.words"), "words", word));
        }
        if least == 0 || least > list.words.len() {
            return Err(wrong(format!("{id}.least"), "1 to the number of words", least));
        }
        let unless = list.unless.iter().chain(&topic.unless).cloned().collect();
        let list = WordList { least, unless, ..list };
        if topic.allow {
            whole(format!("{id}.action"), topic.action)?;
            allowed.push(list);
            for phase in Phase::ALL.into_iter().filter(|p| topic.phase.contains(*p)) {
                let action = off_topic.entry(phase).or_insert(topic.action);
                *action = topic.action.max(*action);
            }
            continue;
        }
        let entity = format!("TOPIC_{}", name.to_ascii_uppercase().replace('-', "_"));
        checks.retain(|c| *c.id != *id);
        checks.push(rule(
            id,
            entity,
            Kind::Topic,
            topic.phase,
            topic.action,
            Uses::Words(list),
        ));
    }
    if !allowed.is_empty() {
        let words = Words::new(allowed.iter().enumerate().map(|(i, list)| (i as u32, list)));
        let uses = Uses::OffTopic(Arc::new(words));
        let id = format!("{TOPICS}.off-topic");
        let mut rule = rule(id, "OFF_TOPIC".to_owned(), Kind::Topic, Phases::All, Action::Flag, uses);
        rule.actions = off_topic;
        checks.push(rule);
    }
    Ok(pack(TOPICS, checks))
}

fn limits_of(phase: Phase, spec: &LimitSpec) -> Result<Vec<CheckRule>, PolicyError> {
    let phases = match phase {
        Phase::Input => Phases::Input,
        Phase::Output => Phases::Output,
        Phase::Tool => Phases::Tool,
    };
    whole(format!("limits.{phase}.action"), spec.action)?;
    let mut rules = Vec::new();
    let mut add = |name: &str, entity: &str, limit: Limit| {
        let id = format!("limits.{name}");
        rules.push(rule(
            id,
            entity.to_owned(),
            Kind::Format,
            phases,
            spec.action,
            Uses::Limit(limit),
        ));
    };
    if let Some(most) = spec.characters {
        add("characters", "TOO_LONG", Limit::Characters(most));
    }
    if let Some(most) = spec.tokens {
        add("tokens", "TOO_LONG", Limit::Tokens(most));
    }
    if !spec.scripts.is_empty() {
        let known = |name: &String| Script::NAMED.iter().find(|(n, _)| n == name).map(|(_, script)| *script);
        let scripts: Result<Vec<Script>, &String> = spec.scripts.iter().map(|n| known(n).ok_or(n)).collect();
        let scripts = scripts.map_err(|name| {
            let range = "of latin, cyrillic, greek, arabic, hebrew, devanagari, thai, han, kana, hangul, other";
            wrong(format!("limits.{phase}.scripts"), range, name)
        })?;
        add("scripts", "SCRIPT", Limit::Scripts(scripts));
    }
    if !spec.languages.is_empty() {
        if let Some(name) = spec.languages.iter().find(|code| !is_language(code)) {
            let range =
                "of en, de, fr, es, pt, it, nl, pl, tr, sv, cs, id, vi, ru, uk, bg, zh, ja, ko, ar, hi, el, he, th";
            return Err(wrong(format!("limits.{phase}.languages"), range, name));
        }
        add("languages", "LANGUAGE", Limit::Languages(spec.languages.clone()));
    }
    Ok(rules)
}

fn format_of(spec: &FormatSpec) -> Result<CheckRule, PolicyError> {
    whole("format.action".to_owned(), spec.action)?;
    let schema = match &spec.schema {
        Some(text) => Some(Schema::parse(text).map_err(|e| {
            let found = format!("one that says at `{}`: {}", e.at, e.reason);
            wrong("format.schema".to_owned(), "a JSON Schema that can be checked", found)
        })?),
        None => None,
    };
    let uses = Uses::Schema {
        own: schema.map(Arc::new),
        asked: spec.response_format,
    };
    let (id, entity) = ("format.json".to_owned(), "NOT_THE_FORM".to_owned());
    Ok(rule(id, entity, Kind::Format, Phases::Output, spec.action, uses))
}
