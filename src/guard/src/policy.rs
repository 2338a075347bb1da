//! Policies: what an operator writes, and the compiled form that scans text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::{ActiveCheck, CheckRule, Checks, Found, Merge, Running, classify};
use crate::context::CallContext;
use crate::engine::{ActiveContext, ActiveRule, Engine, Fuel, Settled};
use crate::nearby::{Nearby, Reach};
use crate::outcome::Outcome;
use crate::pack::Pack;
use crate::scanner::{self, Scanner};
use crate::settings::{self, FormatSpec, LeakSpec, LimitSpec, TopicSpec};
use crate::types::{Action, GUARD_ERROR, Kind, Phase, Phases, Verdict};
use crate::views;

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

/// A compiled policy: immutable, shared by all streams.
#[derive(Debug)]
pub struct Policy {
    engines: [Option<Arc<Engine>>; 3],
    checks: [Option<Arc<Checks>>; 3],
    packs: Vec<(Arc<str>, Arc<str>)>,
    version: String,
    monitor: bool,
    views: bool,
    /// What rules and checks do.
    actions: BTreeSet<Action>,
    error: ErrorNames,
}

#[derive(Debug)]
struct ErrorNames {
    rule: Arc<str>,
    pack: Arc<str>,
    version: Arc<str>,
    entity: Arc<str>,
}

impl Policy {
    /// Compiles `spec` over `packs` (those it does not name are ignored).
    pub fn compile(spec: &PolicySpec, packs: &[Pack]) -> Result<Policy, PolicyError> {
        let made = settings::packs(spec, packs)?;
        let mut used = select(spec, packs)?;
        used.retain(|pack| !made.iter().any(|own| own.name == pack.name));
        used.extend(&made);
        check(spec, &used)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(canonical(spec).as_bytes());
        used.iter().for_each(|p| {
            hasher.update(&p.digest);
        });
        let mut version = String::with_capacity(12);
        for byte in &hasher.finalize().as_bytes()[..6] {
            let _ = write!(version, "{byte:02x}");
        }
        let engines = Phase::ALL.map(|phase| engine(spec, &used, phase).map(Arc::new));
        let checks = Phase::ALL.map(|phase| checks(spec, &used, phase).map(Arc::new));
        let of_rules = engines.iter().flatten().flat_map(|e| &e.rules).map(|r| r.action);
        let of_checks = checks.iter().flatten().flat_map(|c| &c.active).map(|c| c.action);
        let actions = of_rules.chain(of_checks).collect();
        Ok(Policy {
            engines,
            checks,
            actions,
            packs: used.iter().map(|p| (p.name.clone(), p.version.clone())).collect(),
            version,
            monitor: spec.monitor,
            views: spec.views,
            error: ErrorNames::new(),
        })
    }

    /// A policy without rules: everything passes at no cost.
    pub fn off() -> Policy {
        Policy {
            engines: [None, None, None],
            checks: [None, None, None],
            packs: Vec::new(),
            version: "off".to_owned(),
            monitor: false,
            views: false,
            actions: BTreeSet::new(),
            error: ErrorNames::new(),
        }
    }

    /// Whether any rule looks at `phase`.
    pub fn is_active(&self, phase: Phase) -> bool {
        self.engine(phase).is_some() || self.checks(phase).is_some()
    }

    /// Whether any rule or check, in any phase, has this action.
    pub fn uses(&self, action: Action) -> bool {
        self.actions.contains(&action)
    }

    /// Twelve hexadecimal digits that change with the spec or with a pack; `off` for no policy.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Looks at a whole text.
    pub fn scan(&self, phase: Phase, text: &str) -> Outcome {
        self.scan_with(phase, text, &CallContext::default())
    }

    /// Automaton steps that the rules of `phase` take over `text` as it stands: what
    /// [`PolicySpec::max_steps_per_byte`] bounds. A count, so it is the same on every machine.
    pub fn steps(&self, phase: Phase, text: &str) -> u64 {
        self.engine(phase).map_or(0, |engine| scanner::steps(engine, text))
    }

    /// Looks at a whole text of the call that `context` tells about.
    pub fn scan_with(&self, phase: Phase, text: &str, context: &CallContext) -> Outcome {
        let mut outcome = Outcome::default();
        if let Some(engine) = self.engine(phase) {
            (outcome.verdicts, outcome.errors) = scanner::scan(self, engine, text);
        }
        if let Some(checks) = self.checks(phase)
            && let Some(mut running) = checks.start_for(context, text.is_ascii())
        {
            running.whole(text);
            outcome.verdicts = self.merge(checks, &mut running, outcome.verdicts);
        }
        if self.views(phase) {
            let (engine, checks) = (self.engine(phase), self.checks(phase));
            views::scan(
                self,
                engine.map(Arc::as_ref),
                checks.map(Arc::as_ref),
                text,
                &mut outcome,
            );
        }
        outcome.verdicts.iter_mut().for_each(|verdict| self.watch(verdict));
        outcome
    }

    /// Where the policy only watches, `verdict` becomes a flag that tells what it would have been.
    pub(crate) fn watch(&self, verdict: &mut Verdict) {
        if self.monitor && verdict.action != Action::Flag {
            verdict.would = Some(std::mem::replace(&mut verdict.action, Action::Flag));
        }
    }

    /// Whether matches are only flagged, whatever their rules say.
    pub fn is_monitor(&self) -> bool {
        self.monitor
    }

    /// The verdicts of the engine and what the checks have found, in order.
    fn merge(&self, checks: &Checks, running: &mut Running, verdicts: Vec<Verdict>) -> Vec<Verdict> {
        let mut found = running.found().peekable();
        if found.peek().is_none() {
            return verdicts;
        }
        let mut merge = Merge::default();
        for found in found {
            let source = found.rule + 1;
            if let Some(verdict) = self.found(checks, found) {
                merge.add(verdict, source);
            }
        }
        verdicts.into_iter().for_each(|verdict| merge.add(verdict, 0));
        std::iter::from_fn(|| merge.next(usize::MAX)).collect()
    }

    /// The verdict on what a check has found, if it is sure enough.
    pub(crate) fn found(&self, checks: &Checks, found: Found) -> Option<Verdict> {
        let active = checks.active.get(found.rule as usize)?;
        let score = found.score.or(active.rule.score);
        if score.is_some_and(|s| s < active.threshold) {
            return None;
        }
        let (pack, pack_version) = self.packs[active.pack].clone();
        Some(Verdict {
            rule: active.rule.id.clone(),
            pack,
            pack_version,
            kind: active.rule.kind,
            entity: active.rule.entity.clone(),
            action: active.action,
            would: None,
            start: found.start,
            end: found.end,
            score,
            view: None,
        })
    }

    /// How much `text` looks like an attack on the prompt to the classifier of `phase`, 0 to 1; `None`
    /// if there is none. Rules have no part in it.
    pub fn injection_score(&self, phase: Phase, text: &str) -> Option<f32> {
        let model = self.checks(phase)?.model()?;
        let plain = classify::judge(model, text).score;
        let seen = self
            .views(phase)
            .then(|| views::judge(model, text, &views::texts(text)))
            .flatten();
        Some(seen.map_or(plain, |(judgement, _)| plain.max(judgement.score)))
    }

    /// A guard for one stream of text.
    pub fn scanner(self: &Arc<Self>, phase: Phase) -> Scanner {
        self.scanner_with(phase, &CallContext::default())
    }

    /// A guard for one stream of text of the call that `context` tells about.
    pub fn scanner_with(self: &Arc<Self>, phase: Phase, context: &CallContext) -> Scanner {
        Scanner::new(Arc::clone(self), phase, context)
    }

    /// Memory of the compiled tables and automata, bytes (automata that phases share count once).
    pub fn memory(&self) -> usize {
        let mut seen = std::collections::BTreeSet::new();
        let engines = self.engines.iter().flatten();
        engines
            .map(|e| {
                let fresh = e.rules.iter().filter(|r| seen.insert(r.rule.id.clone()));
                e.memory() + fresh.map(|r| r.rule.memory()).sum::<usize>()
            })
            .chain(self.checks.iter().flatten().map(|c| c.memory()))
            .sum()
    }

    /// The entities that rules looking at `phase` can name.
    pub fn entities(&self, phase: Phase) -> std::collections::BTreeSet<&str> {
        let rules = self.engine(phase).into_iter().flat_map(|e| &e.rules);
        let checks = self.checks(phase).into_iter().flat_map(|c| &c.active);
        rules
            .map(|r| &*r.rule.entity)
            .chain(checks.map(|c| &*c.rule.entity))
            .collect()
    }

    /// The packs in use, name and version.
    pub fn packs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.packs.iter().map(|(name, version)| (&**name, &**version))
    }

    /// Number of rules that look at `phase`.
    pub fn rule_count(&self, phase: Phase) -> usize {
        self.engine(phase).map_or(0, |e| e.rules.len()) + self.checks(phase).map_or(0, |c| c.active.len())
    }

    pub(crate) fn engine(&self, phase: Phase) -> Option<&Arc<Engine>> {
        self.engines[phase.index()].as_ref()
    }

    /// Whether texts of `phase` are looked at in all their views. Answers stream, and have the first
    /// view only.
    pub(crate) fn views(&self, phase: Phase) -> bool {
        self.views && phase != Phase::Output && (self.engine(phase).is_some() || self.checks(phase).is_some())
    }

    pub(crate) fn checks(&self, phase: Phase) -> Option<&Arc<Checks>> {
        self.checks[phase.index()].as_ref()
    }

    pub(crate) fn verdict(&self, engine: &Engine, settled: &Settled, start: usize, end: usize) -> Verdict {
        let Settled { action, score, .. } = *settled;
        match settled.rule.map(|r| &engine.rules[r as usize]) {
            Some(active) => {
                let (pack, pack_version) = self.packs[active.pack].clone();
                let rule = &active.rule;
                let (id, kind, entity) = (rule.id.clone(), rule.kind, rule.entity.clone());
                Verdict {
                    rule: id,
                    pack,
                    pack_version,
                    kind,
                    entity,
                    action,
                    would: None,
                    start,
                    end,
                    score,
                    view: None,
                }
            }
            None => Verdict {
                rule: self.error.rule.clone(),
                pack: self.error.pack.clone(),
                pack_version: self.error.version.clone(),
                kind: Kind::Format,
                entity: self.error.entity.clone(),
                action,
                would: None,
                start,
                end,
                score,
                view: None,
            },
        }
    }
}

impl ErrorNames {
    fn new() -> ErrorNames {
        ErrorNames {
            rule: GUARD_ERROR.into(),
            pack: "weir".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            entity: "GUARD_ERROR".into(),
        }
    }
}

fn select<'p>(spec: &PolicySpec, packs: &'p [Pack]) -> Result<Vec<&'p Pack>, PolicyError> {
    for (i, pack) in packs.iter().enumerate() {
        if packs[..i].iter().any(|p| p.name == pack.name) {
            return Err(PolicyError::DuplicatePack(pack.name.to_string()));
        }
    }
    let mut used: Vec<&Pack> = Vec::new();
    for name in &spec.packs {
        let Some(pack) = packs.iter().find(|p| *p.name == **name) else {
            let known = packs.iter().map(|p| &*p.name).collect::<Vec<_>>().join(", ");
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

fn check(spec: &PolicySpec, packs: &[&Pack]) -> Result<(), PolicyError> {
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
fn canonical(spec: &PolicySpec) -> String {
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

/// The checks of `phase`, with what the policy changes about them.
fn checks(spec: &PolicySpec, packs: &[&Pack], phase: Phase) -> Option<Checks> {
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

fn engine(spec: &PolicySpec, packs: &[&Pack], phase: Phase) -> Option<Engine> {
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
