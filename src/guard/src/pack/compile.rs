//! From a rule as it is written to the rule that scans.

use std::collections::BTreeMap;

use toml::Spanned;

use super::{Fault, RawAction, RawPack, RawRule, is_entity, is_name};
use crate::pattern::{Pattern, PatternError};
use crate::rule::{MAX_WINDOW, Rule};
use crate::secret;
use crate::template;
use crate::types::{Action, Kind, Phase, Phases};
use crate::views::ViewSet;

/// What is to be done in which phase, from what the rule says or else its pack.
pub(super) fn actions(
    pack: &RawPack,
    action: Option<&RawAction>,
    phase: Option<Phases>,
) -> Result<BTreeMap<Phase, Action>, String> {
    Ok(match (action.or(pack.action.as_ref()), phase) {
        (Some(RawAction::ByPhase(_)), Some(_)) if action.is_some() => {
            return Err("give either a `phase` or an action for each phase".to_owned());
        }
        (Some(RawAction::ByPhase(by_phase)), None) => by_phase.clone(),
        (Some(RawAction::ByPhase(by_phase)), Some(phases)) => by_phase
            .iter()
            .filter(|(p, _)| phases.contains(**p))
            .map(|(p, a)| (*p, *a))
            .collect(),
        (same, phases) => {
            let action = if let Some(RawAction::Same(action)) = same {
                *action
            } else {
                Action::Flag
            };
            let phases = phases.or(pack.phase).unwrap_or(Phases::All);
            Phase::ALL
                .into_iter()
                .filter(|p| phases.contains(*p))
                .map(|p| (p, action))
                .collect()
        }
    })
}

/// What may stand for a space of a phrase: white space, and what Markdown or a quote puts there.
const GAP: &str = r#"[\s_*"'`~-]"#;
/// The bytes that a gap counts for in the longest match.
const GAP_LEN: usize = 8;

/// `(...){0,5}` as `(...)*`: in a phrase, the counts of groups say how long it may get, and the longest
/// match sees to that. The automaton of a loop is several times smaller than that of a count.
fn loosen(regex: &str) -> String {
    let mut out = String::with_capacity(regex.len());
    let mut rest = regex;
    while let Some(at) = rest.find("){") {
        let counts = rest[at + 2..]
            .split_once('}')
            .and_then(|(counts, tail)| Some((counts.split_once(',')?, tail)));
        let (keep, tail) = match counts {
            Some((("0", _), tail)) => ("*", tail),
            Some((("1", _), tail)) => ("+", tail),
            _ => ("{", &rest[at + 2..]),
        };
        out.push_str(&rest[..=at]);
        out.push_str(keep);
        rest = tail;
    }
    out + rest
}

/// A phrase as a regex: any case, loose spaces, whole words at its ASCII ends.
fn phrase(text: &str, gap: &str) -> String {
    let edge = |c: Option<char>| {
        if c.is_some_and(|c| c.is_ascii_alphanumeric()) {
            r"\b"
        } else {
            ""
        }
    };
    let text = text.trim();
    let first = text.chars().find(|c| !"(?:[".contains(*c));
    let last = text.chars().rev().find(|c| !")?+*]}".contains(*c));
    format!("{}(?:{}){}", edge(first), text.replace(' ', gap), edge(last))
}

/// The rule that its table describes. A `trusted` one is known to compile.
pub(super) fn compile(pack: &RawPack, spanned: &Spanned<RawRule>, trusted: bool) -> Result<Rule, Fault> {
    let rule = spanned.get_ref();
    let fault = |at: usize, reason: String| Fault { at, reason };
    let id_at = rule.id.span().start;
    let id = rule.id.get_ref();
    if !is_name(id) {
        return Err(fault(
            id_at,
            format!("`{id}` is no rule id: use small letters, digits, `_` and `-`"),
        ));
    }
    let entity = rule.entity.get_ref();
    if !is_entity(entity) {
        return Err(fault(
            rule.entity.span().start,
            format!("`{entity}` is no entity: use capitals, digits and `_`"),
        ));
    }
    let kind = rule
        .kind
        .or(pack.kind)
        .ok_or_else(|| fault(id_at, "no `kind`, neither here nor for the pack".to_owned()))?;

    let (at, regex, lengths, ignore_case) = source(rule).map_err(|reason| fault(id_at, reason))?;
    let pattern = Pattern::new(&regex, &lengths, ignore_case, rule.max_len, trusted)
        .map_err(|e: PatternError| fault(at, e.to_string()))?;

    let mut public = Vec::with_capacity(rule.public.len());
    for hash in &rule.public {
        public.push(secret::short_hash(hash.get_ref()).ok_or_else(|| {
            fault(
                hash.span().start,
                format!(
                    "`{}` is no hash: give the first 16 hexadecimal digits of the value's BLAKE3 hash",
                    hash.get_ref()
                ),
            )
        })?);
    }
    if rule.continues && rule.context.is_some() {
        return Err(fault(
            id_at,
            "a rule that `continues` cannot have a `context`".to_owned(),
        ));
    }

    let context = rule.context.as_ref().map(|c| (c.span().start, c.get_ref()));
    if let Some((at, context)) = context {
        let only_unless = context.words.is_empty() && !context.unless.is_empty() && !context.required;
        let mut words = context.words.iter().chain(&context.unless);
        if (context.words.is_empty() && !only_unless) || words.any(|w| w.trim().is_empty()) {
            return Err(fault(at, "`context.words` must hold words".to_owned()));
        }
        if context.before.max(context.after).max(context.unless_before) > MAX_WINDOW {
            return Err(fault(
                at,
                format!("a context window may span {MAX_WINDOW} bytes at most"),
            ));
        }
        if !(0.0..=1.0).contains(&context.boost) {
            return Err(fault(at, "`context.boost` must be 0 to 1".to_owned()));
        }
        let matters = context.required || context.otherwise.is_some() || only_unless;
        if !matters && (context.boost == 0.0 || rule.score.is_none()) {
            let reason = "the context has no effect: set `required`, `otherwise`, or a `score` and a `boost`";
            return Err(fault(at, reason.to_owned()));
        }
    }
    if rule.score.is_some_and(|s| !(0.0..=1.0).contains(&s)) {
        return Err(fault(id_at, "`score` must be 0 to 1".to_owned()));
    }
    if !rule.not_before.is_ascii() || !rule.not_after.is_ascii() {
        return Err(fault(
            id_at,
            "`not_before` and `not_after` hold ASCII characters only".to_owned(),
        ));
    }
    for example in rule.examples.positive.iter().chain(&rule.examples.negative) {
        template::expand(example, id).map_err(|reason| fault(id_at, reason))?;
    }

    let actions = actions(pack, rule.action.as_ref(), rule.phase).map_err(|reason| fault(id_at, reason))?;
    Ok(Rule {
        id: format!("{}.{id}", pack.name.get_ref()).into(),
        description: rule.description.clone(),
        kind,
        entity: entity.as_str().into(),
        actions,
        pattern,
        validators: rule.validators.clone(),
        entropy: rule.entropy,
        stop: rule.stop.iter().map(|s| s.to_ascii_lowercase()).collect(),
        not_before: rule.not_before.clone(),
        not_after: rule.not_after.clone(),
        named: rule.named.iter().map(|w| w.to_ascii_lowercase()).collect(),
        not_named: rule.not_named.iter().map(|w| w.to_ascii_lowercase()).collect(),
        public,
        continues: rule.continues,
        allow: Vec::new(),
        keywords: Vec::new(),
        score: rule.score,
        context: context.map(|(_, c)| c.clone()),
        views: views(rule.views.as_ref(), kind)?,
        positive: rule.examples.positive.clone(),
        negative: rule.examples.negative.clone(),
    })
}

/// The views that a rule names, or else those of its kind: what has digits for letters, or letters taken
/// apart, looks like personal data and keys too often.
fn views(names: Option<&Spanned<Vec<String>>>, kind: Kind) -> Result<ViewSet, Fault> {
    let Some(names) = names else {
        return Ok(if kind.is_sensitive() {
            ViewSet::ESCAPED
        } else {
            ViewSet::ALL
        });
    };
    let mut views = ViewSet::NONE;
    for name in names.get_ref() {
        let view = ViewSet::parse(name).ok_or_else(|| Fault {
            at: names.span().start,
            reason: format!("`{name}` is no view: there are `folded`, `escaped`, `decoded` and `joined`"),
        })?;
        views = views.and(view);
    }
    Ok(views)
}

/// The regex of a rule, the regex that tells its longest match, and whether case is ignored.
fn source(rule: &RawRule) -> Result<(usize, String, String, bool), String> {
    match (&rule.regex, &rule.literals, &rule.phrases) {
        (Some(regex), None, None) if rule.assigned.is_some() => {
            let names = rule.assigned.as_ref().map_or(&[][..], |names| names.get_ref());
            let (text, bounds) = secret::assigned(names, regex.get_ref(), rule.ignore_case);
            Ok((regex.span().start, text, bounds, false))
        }
        (Some(regex), None, None) => {
            let text = regex.get_ref().clone();
            Ok((regex.span().start, text.clone(), text, rule.ignore_case))
        }
        (None, Some(literals), None) if !literals.get_ref().is_empty() => {
            let escaped: Vec<String> = literals.get_ref().iter().map(|l| regex_syntax::escape(l)).collect();
            let text = escaped.join("|");
            Ok((literals.span().start, text.clone(), text, rule.ignore_case))
        }
        (None, None, Some(phrases)) if !phrases.get_ref().is_empty() => {
            let all = |gap: &str| {
                phrases
                    .get_ref()
                    .iter()
                    .map(|p| phrase(p, gap))
                    .collect::<Vec<_>>()
                    .join("|")
            };
            Ok((
                phrases.span().start,
                loosen(&all(&format!("(?:{GAP}+)"))),
                all(&format!("(?:{GAP}{{1,{GAP_LEN}}})")),
                true,
            ))
        }
        _ => Err("give exactly one of `regex`, `literals` and `phrases`, not empty".to_owned()),
    }
}
