//! Packs: the TOML files that hold rules, and the rules themselves.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::Deserialize;
use toml::Spanned;

use crate::check::CheckRule;
use crate::check::parse::{self, RawCheck};
use crate::gitleaks;
use crate::pattern::{Pattern, PatternError};
use crate::rule::{Context, ExampleFailure, MAX_WINDOW, Rule};
use crate::secret;
use crate::template;
use crate::types::{Action, Kind, Phase, Phases};
use crate::validate::Validator;
use crate::views::ViewSet;

/// Why a pack was refused: where, which rule, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PackError {
    /// Name of the file as it was given.
    pub file: String,
    /// Line in that file, from 1.
    pub line: usize,
    /// The rule's id, if the fault lies in a rule that has one.
    pub rule: Option<String>,
    /// What is wrong, and the way out.
    pub reason: String,
}

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if let Some(rule) = &self.rule {
            write!(f, "rule `{rule}`: ")?;
        }
        f.write_str(&self.reason)
    }
}

/// A parsed pack. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Pack {
    pub(crate) name: Arc<str>,
    pub(crate) version: Arc<str>,
    pub(crate) description: String,
    pub(crate) digest: [u8; 32],
    pub(crate) rules: Vec<Arc<Rule>>,
    pub(crate) checks: Vec<Arc<CheckRule>>,
    pub(crate) warnings: Vec<PackError>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPack {
    name: Spanned<String>,
    version: String,
    #[serde(default)]
    description: String,
    kind: Option<Kind>,
    action: Option<RawAction>,
    phase: Option<Phases>,
    #[serde(default)]
    rule: Vec<Spanned<RawRule>>,
    #[serde(default)]
    check: Vec<Spanned<RawCheck>>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum RawAction {
    Same(Action),
    ByPhase(BTreeMap<Phase, Action>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    id: Spanned<String>,
    #[serde(default)]
    description: String,
    entity: Spanned<String>,
    kind: Option<Kind>,
    action: Option<RawAction>,
    phase: Option<Phases>,
    regex: Option<Spanned<String>>,
    literals: Option<Spanned<Vec<String>>>,
    phrases: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    ignore_case: bool,
    max_len: Option<usize>,
    #[serde(default)]
    validators: Vec<Validator>,
    entropy: Option<f32>,
    #[serde(default)]
    stop: Vec<String>,
    #[serde(default)]
    not_before: String,
    #[serde(default)]
    not_after: String,
    assigned: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    named: Vec<String>,
    #[serde(default)]
    not_named: Vec<String>,
    #[serde(default)]
    public: Vec<Spanned<String>>,
    #[serde(default)]
    continues: bool,
    score: Option<f32>,
    context: Option<Spanned<Context>>,
    views: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    examples: RawExamples,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawExamples {
    #[serde(default)]
    pub(crate) positive: Vec<String>,
    #[serde(default)]
    pub(crate) negative: Vec<String>,
}

/// The pack `secrets` is one file in parts.
const SECRETS: &str = concat!(
    include_str!("../packs/secrets.toml"),
    include_str!("../packs/secrets/ai.toml"),
    include_str!("../packs/secrets/ai-named.toml"),
    include_str!("../packs/secrets/cloud.toml"),
    include_str!("../packs/secrets/cloud-named.toml"),
    include_str!("../packs/secrets/code.toml"),
    include_str!("../packs/secrets/code-named.toml"),
    include_str!("../packs/secrets/saas.toml"),
    include_str!("../packs/secrets/saas-named.toml"),
);

/// A fault at a byte of the file.
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) reason: String,
}

impl Pack {
    /// Parses and compiles a pack. `file_name` is used in errors only.
    ///
    /// A `gitleaks.toml` is one too: see [`Pack::warnings`] for what could not be taken over.
    pub fn parse(file_name: &str, toml: &str) -> Result<Pack, PackError> {
        if toml::from_str::<toml::Table>(toml).is_ok_and(|table| gitleaks::is_gitleaks(&table)) {
            return gitleaks::import(file_name, toml);
        }
        Pack::read(file_name, toml, false)
    }

    /// Of a `trusted` pack, a test has seen that no rule's automaton is too big.
    fn read(file_name: &str, toml: &str, trusted: bool) -> Result<Pack, PackError> {
        let fail = |rule: Option<&str>, fault: Fault| PackError {
            file: file_name.to_owned(),
            line: 1 + toml.bytes().take(fault.at).filter(|b| *b == b'\n').count(),
            rule: rule.map(str::to_owned),
            reason: fault.reason,
        };
        let raw: RawPack = toml::from_str(toml).map_err(|e| {
            let at = e.span().map_or(0, |s| s.start);
            fail(
                enclosing_rule(toml, at),
                Fault {
                    at,
                    reason: e.message().trim().to_owned(),
                },
            )
        })?;
        if !is_name(raw.name.get_ref()) {
            let reason = format!(
                "`{}` is no pack name: use small letters, digits, `_` and `-`",
                raw.name.get_ref()
            );
            return Err(fail(
                None,
                Fault {
                    at: raw.name.span().start,
                    reason,
                },
            ));
        }
        let mut rules: Vec<Arc<Rule>> = Vec::with_capacity(raw.rule.len());
        // One after the other: each is taken apart in the memory that the one before left, and threads
        // would gain a few milliseconds for memory that no allocator gives back.
        for rule in &raw.rule {
            let id = rule.get_ref().id.get_ref();
            let compiled = compile(&raw, rule, trusted).map_err(|fault| fail(Some(id), fault))?;
            if rules.iter().any(|r| r.id == compiled.id) {
                let fault = Fault {
                    at: rule.get_ref().id.span().start,
                    reason: "the id is used twice".to_owned(),
                };
                return Err(fail(Some(id), fault));
            }
            rules.push(Arc::new(compiled));
        }
        let mut checks: Vec<Arc<CheckRule>> = Vec::with_capacity(raw.check.len());
        let defaults = parse::Defaults {
            pack: raw.name.get_ref(),
            kind: raw.kind,
            actions: &|action, phase| actions(&raw, action, phase),
        };
        for check in &raw.check {
            let id = check.get_ref().id.get_ref();
            let compiled = parse::rule(&defaults, check).map_err(|fault| fail(Some(id), fault))?;
            if checks.iter().any(|c| c.id == compiled.id) || rules.iter().any(|r| r.id == compiled.id) {
                let fault = Fault {
                    at: check.get_ref().id.span().start,
                    reason: "the id is used twice".to_owned(),
                };
                return Err(fail(Some(id), fault));
            }
            checks.push(Arc::new(compiled));
        }
        Ok(Pack {
            name: raw.name.into_inner().into(),
            version: raw.version.into(),
            description: raw.description,
            digest: *blake3::hash(toml.as_bytes()).as_bytes(),
            rules,
            checks,
            warnings: Vec::new(),
        })
    }

    /// The packs that Weir ships: `pii`, `secrets`, `injection`, `exfil`, `leak`, `toxicity` and `topics`.
    pub fn builtin() -> Vec<Pack> {
        static PACKS: OnceLock<Vec<Pack>> = OnceLock::new();
        let shipped = [
            ("packs/pii.toml", include_str!("../packs/pii.toml")),
            ("packs/secrets.toml", SECRETS),
            ("packs/injection.toml", include_str!("../packs/injection.toml")),
            ("packs/exfil.toml", include_str!("../packs/exfil.toml")),
            ("packs/leak.toml", include_str!("../packs/leak.toml")),
            ("packs/toxicity.toml", include_str!("../packs/toxicity.toml")),
            ("packs/topics.toml", include_str!("../packs/topics.toml")),
        ];
        // A test parses each of them as any other pack, so that none is ever missing here.
        PACKS
            .get_or_init(|| {
                shipped
                    .iter()
                    .filter_map(|(file, text)| Pack::read(file, text, true).ok())
                    .collect()
            })
            .clone()
    }

    /// The pack's name, the first part of its rules' ids.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The pack's version, as it says itself.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What the pack is for.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The rules, in the order of the file.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &Rule> {
        self.rules.iter().map(AsRef::as_ref)
    }

    /// Number of rules, those that no expression says included, and of their examples.
    pub fn counts(&self) -> (usize, usize) {
        let of_rules = self.rules.iter().map(|r| r.positive.len() + r.negative.len());
        let of_checks = self.checks.iter().map(|c| c.positive.len() + c.negative.len());
        (self.rules.len() + self.checks.len(), of_rules.chain(of_checks).sum())
    }

    /// What an imported file asked for and does not get, rule by rule. Empty for Weir's own format.
    pub fn warnings(&self) -> &[PackError] {
        &self.warnings
    }

    /// Runs every rule on its own examples. Empty if all behave.
    pub fn test(&self) -> Vec<ExampleFailure> {
        let checks = self.checks.iter().flat_map(|check| check.test(self));
        self.rules
            .iter()
            .flat_map(|rule| rule.test(self))
            .chain(checks)
            .collect()
    }
}

/// The id of the rule in which byte `at` of a file lies, read off the text: it may not have parsed.
fn enclosing_rule(toml: &str, at: usize) -> Option<&str> {
    let start = toml
        .get(..at.min(toml.len()))?
        .rfind("[[rule]]")
        .or_else(|| toml.get(at..)?.starts_with("[[rule]]").then_some(at))?;
    let rule = &toml[start..];
    let rule = &rule[..rule[1..].find("\n[[").map_or(rule.len(), |end| end + 1)];
    rule.lines().find_map(|l| {
        l.trim()
            .strip_prefix("id")?
            .trim_start()
            .strip_prefix('=')?
            .trim()
            .strip_prefix('"')?
            .split('"')
            .next()
    })
}

pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

pub(crate) fn is_entity(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// What is to be done in which phase, from what the rule says or else its pack.
fn actions(
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

fn compile(pack: &RawPack, spanned: &Spanned<RawRule>, trusted: bool) -> Result<Rule, Fault> {
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
