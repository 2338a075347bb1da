//! `[[check]]` tables of a pack.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::words::WordList;
use super::{CheckRule, Uses};
use crate::model::Model;
use crate::pack::{Fault, RawAction, RawExamples, is_entity, is_name};
use crate::template;
use crate::types::{Action, Kind, Phase, Phases};

/// A check as a pack writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawCheck {
    pub(crate) id: Spanned<String>,
    #[serde(default)]
    description: String,
    entity: Spanned<String>,
    kind: Option<Kind>,
    action: Option<RawAction>,
    phase: Option<Phases>,
    uses: Spanned<RawUses>,
    words: Option<RawWords>,
    #[serde(default)]
    unless: Vec<String>,
    least: Option<usize>,
    #[serde(default)]
    tokens: Vec<String>,
    window: Option<usize>,
    score: Option<f32>,
    threshold: Option<f32>,
    #[serde(default)]
    examples: RawExamples,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawUses {
    Invisible,
    Words,
    SystemPrompt,
    Canary,
    InjectionModel,
}

/// Words, or words by language.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum RawWords {
    Plain(Vec<String>),
    ByLanguage(BTreeMap<String, Vec<String>>),
}

/// How many words of the system prompt in a row are a leak.
pub(crate) const LEAK: u32 = 10;

/// How far apart the words may stand that a rule needs several of, bytes.
pub(crate) const WINDOW: usize = 400;

/// The list of a rule that names words.
fn list(raw: &RawCheck) -> Result<WordList, String> {
    let words: Vec<String> = match &raw.words {
        Some(RawWords::Plain(words)) => words.clone(),
        Some(RawWords::ByLanguage(words)) => words.values().flatten().cloned().collect(),
        None => return Err("`words` is missing".to_owned()),
    };
    let least = raw.least.unwrap_or(1).max(1);
    if let Some(word) = words.iter().find(|w| !w.chars().any(char::is_alphanumeric)) {
        return Err(format!("`{word}` is no word"));
    }
    if words.len() < least {
        return Err(format!("needs {least} different words and has {}", words.len()));
    }
    Ok(WordList {
        words,
        unless: raw.unless.clone(),
        least,
        window: raw.window.unwrap_or(WINDOW),
    })
}

/// What is to be done in which phase, from what a rule says or else its pack.
type ActionsOf<'p> = dyn Fn(Option<&RawAction>, Option<Phases>) -> Result<BTreeMap<Phase, Action>, String> + 'p;

/// What a pack says for all its rules.
pub(crate) struct Defaults<'p> {
    pub(crate) pack: &'p str,
    pub(crate) kind: Option<Kind>,
    pub(crate) actions: &'p ActionsOf<'p>,
}

/// A check's rule, or what is wrong with it.
pub(crate) fn rule(defaults: &Defaults<'_>, spanned: &Spanned<RawCheck>) -> Result<CheckRule, Fault> {
    let raw = spanned.get_ref();
    let id_at = raw.id.span().start;
    let fault = |at: usize, reason: String| Fault { at, reason };
    let id = raw.id.get_ref();
    if !is_name(id) {
        let reason = format!("`{id}` is no rule id: use small letters, digits, `_` and `-`");
        return Err(fault(id_at, reason));
    }
    let entity = raw.entity.get_ref();
    if !is_entity(entity) {
        let reason = format!("`{entity}` is no entity: use capitals, digits and `_`");
        return Err(fault(raw.entity.span().start, reason));
    }
    for (key, value) in [("score", raw.score), ("threshold", raw.threshold)] {
        if value.is_some_and(|s| !(0.0..=1.0).contains(&s)) {
            return Err(fault(id_at, format!("`{key}` must be 0 to 1")));
        }
    }
    let kind = raw
        .kind
        .or(defaults.kind)
        .ok_or_else(|| fault(id_at, "no `kind`, neither here nor for the pack".to_owned()))?;
    for example in raw.examples.positive.iter().chain(&raw.examples.negative) {
        template::expand(example, id).map_err(|reason| fault(id_at, reason))?;
    }
    let uses = match raw.uses.get_ref() {
        RawUses::Invisible => Uses::Invisible,
        RawUses::SystemPrompt => Uses::SystemPrompt(raw.least.map_or(LEAK, |n| n.clamp(4, 1000) as u32)),
        RawUses::Canary => Uses::Canary(raw.tokens.clone()),
        RawUses::Words => Uses::Words(list(raw).map_err(|reason| fault(raw.uses.span().start, reason))?),
        RawUses::InjectionModel => {
            let model = Model::injection();
            Uses::Model(model.ok_or_else(|| fault(raw.uses.span().start, "the model is broken".to_owned()))?)
        }
    };
    Ok(CheckRule {
        id: Arc::from(format!("{}.{id}", defaults.pack)),
        description: raw.description.clone(),
        kind,
        entity: entity.as_str().into(),
        actions: (defaults.actions)(raw.action.as_ref(), raw.phase).map_err(|reason| fault(id_at, reason))?,
        score: raw.score,
        threshold: raw.threshold,
        uses,
        positive: raw.examples.positive.clone(),
        negative: raw.examples.negative.clone(),
    })
}
