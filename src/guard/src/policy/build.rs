//! From the rules of packs, and what a policy changes about them, to what scans a phase.

use std::sync::Arc;

use super::{OnError, PolicySpec, RuleOverride};
use crate::check::{ActiveCheck, CheckRule, Checks};
use crate::engine::{ActiveContext, ActiveRule, Engine, Fuel};
use crate::nearby::{Nearby, Reach};
use crate::pack::Pack;
use crate::types::{Action, Phase};

/// The checks of `phase`, with what the policy changes about them.
pub(super) fn checks(spec: &PolicySpec, packs: &[&Pack], phase: Phase) -> Option<Checks> {
    let mut active = Vec::new();
    let rules = packs.iter().enumerate();
    for (pack, rule) in rules.flat_map(|(i, p)| p.checks.iter().map(move |r| (i, r))) {
        let change = spec.rules.get(&*rule.id).cloned().unwrap_or_default();
        if !is_in(rule, &change, phase) {
            continue;
        }
        let own = rule.actions.get(&phase).or_else(|| rule.actions.values().min());
        let action = change.action.or_else(|| spec.actions.get(&rule.kind).copied());
        active.push(ActiveCheck {
            rule: rule.configured(spec),
            pack,
            action: rule.action(action.or(own.copied()).unwrap_or(Action::Flag)),
            threshold: change.threshold.or(rule.threshold).unwrap_or(spec.threshold),
        });
    }
    (!active.is_empty()).then(|| Checks::new(active))
}

fn is_in(rule: &CheckRule, change: &RuleOverride, phase: Phase) -> bool {
    change.enabled != Some(false)
        && match change.phase {
            Some(phases) => phases.contains(phase),
            None => rule.actions.contains_key(&phase),
        }
}

/// The engine of `phase`: its rules, with what the policy changes about them.
pub(super) fn engine(spec: &PolicySpec, packs: &[&Pack], phase: Phase) -> Option<Engine> {
    let mut rules = Vec::new();
    let mut groups: Vec<(&[String], &[String])> = Vec::new();
    for (pack_index, rule) in packs
        .iter()
        .enumerate()
        .flat_map(|(i, p)| p.rules.iter().map(move |r| (i, r)))
    {
        let change = spec.rules.get(&*rule.id).cloned().unwrap_or_default();
        let active = match change.phase {
            Some(phases) => phases.contains(phase),
            None => rule.actions.contains_key(&phase),
        };
        if !active || change.enabled == Some(false) {
            continue;
        }
        let own = rule.actions.get(&phase).or_else(|| rule.actions.values().min());
        let action = change
            .action
            .or_else(|| spec.actions.get(&rule.kind).copied())
            .or(own.copied());
        let threshold = change.threshold.unwrap_or(spec.threshold);
        let context = rule.context.as_ref().map(|context| {
            let words = (context.words.as_slice(), context.unless.as_slice());
            let group = groups.iter().position(|g| *g == words).unwrap_or_else(|| {
                groups.push(words);
                groups.len() - 1
            });
            let unsure = context.required || context.otherwise.is_some();
            let needed = unsure || rule.score.is_some_and(|s| s < threshold);
            ActiveContext {
                group: group as u32,
                reach: Reach {
                    before: context.before,
                    after: if needed { context.after } else { 0 },
                    unless: context.unless_before,
                },
                boost: context.boost,
                required: context.required,
                otherwise: context.otherwise,
            }
        });
        let action = action.unwrap_or(Action::Flag);
        rules.push(ActiveRule {
            rule: Arc::clone(rule),
            pack: pack_index,
            action,
            threshold,
            context,
        });
    }
    if rules.is_empty() {
        return None;
    }
    let contexts = groups
        .iter()
        .map(|(words, unless)| Nearby::new(words, unless))
        .collect();
    let per_byte = i64::from(spec.max_steps_per_byte);
    let fuel = Fuel {
        per_byte,
        cap: per_byte * 1024,
        block: spec.on_error == OnError::Block,
    };
    Some(Engine::new(rules, contexts, fuel))
}
