//! Policies: what an operator writes, and the compiled form that scans text.

mod build;
mod spec;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::check::{Checks, Found, Merge, Running, classify};
use crate::context::CallContext;
use crate::engine::{Engine, Settled};
use crate::outcome::Outcome;
use crate::pack::Pack;
use crate::scanner::{self, Scanner};
use crate::settings;
use crate::types::{Action, GUARD_ERROR, Kind, Phase, Verdict};
use crate::views;
use build::{checks, engine};
pub use spec::{OnError, PolicyError, PolicySpec, RuleOverride};
use spec::{canonical, check, select};

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

    /// Whether a check, of whatever pack, compares answers with the system prompt of their call.
    pub fn compares_with_prompt(&self) -> bool {
        self.checks(Phase::Output)
            .is_some_and(|checks| checks.compare_with_prompt())
    }

    /// Whether a check, of whatever pack, holds answers to the form that their call asks for.
    pub fn follows_schema(&self) -> bool {
        self.checks(Phase::Output).is_some_and(|checks| checks.follow_schema())
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
