//! One rule at the places of a text where it wakes.

use serde::Serialize;

use super::Look;
use crate::engine::{ActiveRule, Engine};
use crate::nearby::Says;
use crate::pattern::{Pattern, before_class};
use crate::rule::Rule;
use crate::types::{Action, Verdict};
use crate::validate::entropy;

/// One place where a rule woke, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// The form of the text in which it woke: `text`, or how it was decoded.
    pub view: String,
    /// The literal that woke it; `None` for a rule that wakes at kinds of bytes.
    pub literal: Option<String>,
    /// First byte of the original text.
    pub start: usize,
    /// One past the last byte of the match in the original text; of the literal, if nothing matched.
    pub end: usize,
    /// What matched, as the rule sees it.
    pub matched: String,
    /// Context words that speak for the match.
    pub words_for: Vec<String>,
    /// Context words that speak against it.
    pub words_against: Vec<String>,
    /// `None` if the rule does not grade its matches.
    pub score: Option<Score>,
    /// What came of it.
    pub fate: Fate,
}

/// How sure a rule is of a match.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Score {
    /// The rule's own.
    pub base: f32,
    /// With what context words add.
    pub total: f32,
}

/// What came of a rule that woke.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "fate")]
pub enum Fate {
    /// It counts.
    Verdict {
        /// What is done.
        action: Action,
    },
    /// It would count, but lies within a match of another rule, or of its own.
    Covered {
        /// That rule.
        by: String,
    },
    /// The expression matched, the score is too low.
    BelowThreshold {
        /// What would be enough.
        threshold: f32,
    },
    /// The expression matched, something else refused.
    Refused {
        /// What.
        by: String,
    },
    /// The expression does not match.
    NoMatch {
        /// How many bytes it went along.
        bytes: usize,
    },
}

impl Fate {
    /// How far it came: 0 is all the way.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Fate::Verdict { .. } => 0,
            Fate::Covered { .. } => 1,
            Fate::BelowThreshold { .. } => 2,
            Fate::Refused { .. } => 3,
            Fate::NoMatch { .. } => 4,
        }
    }
}

/// Tries a rule wherever it wakes in `look`.
pub(super) fn run(
    engine: &Engine,
    active: &ActiveRule,
    look: &Look<'_>,
    verdicts: &[Verdict],
    trials: &mut Vec<Trial>,
) {
    let pattern = &active.rule.pattern;
    let mut done = 0;
    for start in 0..look.bytes.len() {
        let Some(literal) = wakes(pattern, look.bytes, start) else {
            continue;
        };
        let before = before_class(start.checked_sub(1).map(|i| look.bytes[i]));
        let run = pattern.run(look.bytes, start, start, pattern.start(before));
        let (end, steps) = (run.end, run.at - start);
        let shown = if end > 0 {
            end
        } else {
            start + literal.map_or(0, <[u8]>::len)
        };
        let mut trial = Trial {
            view: look.name.to_owned(),
            literal: literal.map(|l| String::from_utf8_lossy(l).into_owned()),
            start: look.map.start(start),
            end: look.map.end(shown).max(look.map.start(start)),
            matched: String::from_utf8_lossy(&look.bytes[start..shown]).into_owned(),
            words_for: Vec::new(),
            words_against: Vec::new(),
            score: None,
            // The last step was the one that failed, unless the text ended first.
            fate: Fate::NoMatch {
                bytes: steps - usize::from(start + steps < look.bytes.len()),
            },
        };
        if end > 0 {
            let own = start < done;
            trial.fate = judge(engine, active, look, (start, end), &mut trial, verdicts, own);
            if matches!(trial.fate, Fate::Verdict { .. } | Fate::Covered { .. }) {
                done = done.max(end);
            }
        } else if literal.is_none() {
            // Kinds of bytes wake at every other word: only what matches is worth a line.
            continue;
        }
        trials.push(trial);
    }
}

/// Whether the rule is tried at `start`, and the literal there, if it has any.
#[expect(clippy::option_option, reason = "asleep, awake without a literal, awake with one")]
fn wakes<'p>(pattern: &'p Pattern, bytes: &[u8], start: usize) -> Option<Option<&'p [u8]>> {
    if pattern.prefixes.is_some() {
        return pattern.literal_at(bytes, start).map(Some);
    }
    let first = pattern.first.as_ref()?;
    let before = start.checked_sub(1).map(|i| bytes[i]);
    first.bytes[before_class(before)].has(bytes[start]).then_some(None)
}

fn judge(
    engine: &Engine,
    active: &ActiveRule,
    look: &Look<'_>,
    (start, end): (usize, usize),
    trial: &mut Trial,
    verdicts: &[Verdict],
    own: bool,
) -> Fate {
    let rule = &active.rule;
    let (from, to) = rule.pattern.value(look.bytes, start, end);
    let whole = (from, to) == (start, end);
    let Ok(value) = std::str::from_utf8(&look.bytes[from..to]) else {
        let by = "a match ends within a character".to_owned();
        return Fate::Refused { by };
    };
    let mut place = (look.map.start(from), look.map.end(to).max(look.map.start(from)));
    let mut refusal = refusal(rule, value);
    let mut claim_end = end;
    if refusal.is_none() {
        match rule.accept(value) {
            Some(0) | None => refusal = Some("a condition of the rule".to_owned()),
            Some(accepted) => {
                if whole {
                    claim_end = from + accepted;
                }
                place.1 = look.map.end(from + accepted).max(place.0);
                (trial.start, trial.end) = place;
                trial.matched = value[..accepted].to_owned();
            }
        }
    }
    if let Some(context) = active.context
        && let Some(words) = engine.contexts.get(context.group as usize)
    {
        (trial.words_for, trial.words_against) = words.found(look.bytes, start, claim_end, context.reach);
        let says = words.judge(look.bytes, start, claim_end, context.reach);
        let base = rule.score;
        let boost = if says == Says::Yes { context.boost } else { 0.0 };
        trial.score = base.map(|base| Score {
            base,
            total: (base + boost).min(1.0),
        });
        if refusal.is_none() {
            refusal = match says {
                Says::No => Some(format!("context word `{}`", trial.words_against.join("`, `"))),
                Says::Nothing if context.required => Some("no context word near it".to_owned()),
                _ => None,
            };
        }
    } else {
        trial.score = rule.score.map(|base| Score { base, total: base });
    }
    if !rule.is_named_well(&look.bytes[..start], &look.bytes[start..from]) {
        refusal.get_or_insert("the name before the value (`named`, `not_named`)".to_owned());
    }
    if !rule.allows(value, &look.bytes[start..end]) {
        refusal.get_or_insert("an allow list, or no keyword in the match".to_owned());
    }
    if let Some(byte) = Engine::refused_before(rule, look.bytes, start) {
        refusal.get_or_insert(format!("`not_before`: `{}` stands before it", char::from(byte)));
    }
    if let Some(byte) = Engine::refused_after(rule, look.bytes, claim_end) {
        refusal.get_or_insert(format!("`not_after`: `{}` stands after it", char::from(byte)));
    }
    let overlaps = |v: &&Verdict| v.start < place.1 && place.0 < v.end;
    let mine = |v: &&Verdict| *v.rule == *rule.id;
    if let Some(by) = refusal {
        return Fate::Refused { by };
    }
    if let Some(score) = trial.score
        && score.total < active.threshold
    {
        return Fate::BelowThreshold {
            threshold: active.threshold,
        };
    }
    if let Some(verdict) = verdicts.iter().filter(overlaps).find(mine)
        && !own
    {
        return Fate::Verdict { action: verdict.action };
    }
    match verdicts.iter().find(overlaps) {
        Some(other) => Fate::Covered {
            by: other.rule.to_string(),
        },
        None => Fate::Refused {
            by: "a condition of the rule".to_owned(),
        },
    }
}

/// The first of a rule's own conditions that a value fails.
fn refusal(rule: &Rule, value: &str) -> Option<String> {
    let mut end = value.len();
    for validator in &rule.validators {
        match validator.accept(&value[..end]) {
            Some(accepted) => end = accepted,
            None => {
                let name = serde_plain(validator);
                return Some(format!("validator `{name}`"));
            }
        }
    }
    let value = &value[..end];
    if let Some(least) = rule.entropy.filter(|least| entropy(value) < *least) {
        return Some(format!(
            "entropy {:.2}, at least {least:.2} is asked for",
            entropy(value)
        ));
    }
    let lower = value.to_ascii_lowercase();
    let word = rule.stop.iter().find(|word| lower.contains(word.as_str()))?;
    Some(format!("stop word `{word}`"))
}

/// A validator's name as packs write it.
fn serde_plain(validator: &crate::Validator) -> String {
    toml::Value::try_from(validator)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_else(|| format!("{validator:?}"))
}
