//! `[[check]]` tables of a pack.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::{CheckRule, Uses};
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
    score: Option<f32>,
    #[serde(default)]
    examples: RawExamples,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawUses {
    Invisible,
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
    if raw.score.is_some_and(|s| !(0.0..=1.0).contains(&s)) {
        return Err(fault(id_at, "`score` must be 0 to 1".to_owned()));
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
    };
    Ok(CheckRule {
        id: Arc::from(format!("{}.{id}", defaults.pack)),
        description: raw.description.clone(),
        kind,
        entity: entity.as_str().into(),
        actions: (defaults.actions)(raw.action.as_ref(), raw.phase).map_err(|reason| fault(id_at, reason))?,
        score: raw.score,
        uses,
        positive: raw.examples.positive.clone(),
        negative: raw.examples.negative.clone(),
    })
}
