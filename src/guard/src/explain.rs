//! Why a text gets the verdicts it gets: every rule that woke, how far it came, and what stopped it.
//!
//! This walks the rules one by one, slowly, beside the engine and with the engine's own parts
//! (automata, validators, context words). What is final comes from a real scan.

mod trial;

use serde::Serialize;

use crate::engine::{ActiveRule, Engine};
use crate::normalize::{OffsetMap, append_view};
use crate::pack::Pack;
use crate::policy::{Policy, PolicySpec};
use crate::rule::ExampleFailure;
use crate::template;
use crate::types::{Action, Kind, Phase, Verdict};

pub use trial::{Fate, Score, Trial};

/// Trials that are told of each rule; a text may wake one a thousand times.
const MOST_TRIALS: usize = 8;

/// What became of a text, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// Whose rules were tried.
    pub phase: Phase,
    /// Number of rules that look at this phase.
    pub rules_active: usize,
    /// The rules that woke, those with a verdict first.
    pub rules: Vec<Trace>,
    /// Verdicts that no trial led to: those of checks and models, of limits of the engine, and on forms of
    /// the text that are not tried here.
    pub others: Vec<Verdict>,
    /// The strongest action; `None`: the text passes as it is.
    pub action: Option<Action>,
}

/// One rule that woke.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trace {
    /// Full id.
    pub rule: String,
    /// What the rule finds.
    pub description: String,
    /// The family of the rule.
    pub kind: Kind,
    /// What stands in the placeholder.
    pub entity: String,
    /// What is done about a match.
    pub action: Action,
    /// Who says so.
    pub decided_by: DecidedBy,
    /// The least score that counts; `None` if the rule does not grade its matches.
    pub threshold: Option<f32>,
    /// Where it woke, and what came of it, first the furthest.
    pub trials: Vec<Trial>,
    /// Trials that are not listed.
    pub further: usize,
}

/// Who decides the action of a rule, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DecidedBy {
    /// The policy, for this rule: `[guard.policy.rules."pack.rule"]`.
    Rule,
    /// The policy, for all rules of the kind: `[guard.policy.actions]`.
    Kind,
    /// The pack.
    Pack,
}

/// One form of the text in which rules look.
struct Look<'t> {
    name: &'static str,
    bytes: &'t [u8],
    map: &'t OffsetMap,
}

/// Explains what `policy`, compiled from `spec`, makes of `text`.
pub fn explain(policy: &Policy, spec: &PolicySpec, phase: Phase, text: &str) -> Explanation {
    let outcome = policy.scan(phase, text);
    let mut explanation = Explanation {
        phase,
        rules_active: policy.rule_count(phase),
        rules: Vec::new(),
        others: Vec::new(),
        action: outcome.action(),
    };
    let (mut map, mut view) = (OffsetMap::default(), Vec::new());
    append_view(text, &mut view, 0, &mut map);
    let looks = [Look {
        name: "text",
        bytes: &view,
        map: &map,
    }];
    let mut told = vec![false; outcome.verdicts.len()];
    if let Some(engine) = policy.engine(phase) {
        for active in &engine.rules {
            let trace = trace(engine, active, spec, &looks, &outcome.verdicts, &mut told);
            explanation.rules.extend(trace);
        }
    }
    let untold = outcome.verdicts.iter().zip(&told).filter(|(_, told)| !**told);
    explanation.others = untold.map(|(verdict, _)| verdict.clone()).collect();
    let rank = |trace: &Trace| trace.trials.iter().map(|t| t.fate.rank()).min();
    explanation.rules.sort_by_key(rank);
    explanation
}

/// What its rule makes of an example that did not behave, the rule alone; `None` if it never woke.
pub fn explain_example(pack: &Pack, failure: &ExampleFailure) -> Option<Trace> {
    let rule = pack.rules.iter().find(|r| *r.id == *failure.rule)?;
    let text = template::expand(&failure.example, &rule.id).ok()?;
    let (policy, spec) = rule.alone(pack).ok()?;
    explain(&policy, &spec, Phase::Input, &text).rules.pop()
}

fn trace(
    engine: &Engine,
    active: &ActiveRule,
    spec: &PolicySpec,
    looks: &[Look<'_>],
    verdicts: &[Verdict],
    told: &mut [bool],
) -> Option<Trace> {
    let mut trials = Vec::new();
    for look in looks {
        trial::run(engine, active, look, verdicts, &mut trials);
    }
    if trials.is_empty() {
        return None;
    }
    for (verdict, told) in verdicts.iter().zip(told) {
        let tells =
            |t: &Trial| matches!(t.fate, Fate::Verdict { .. }) && t.start < verdict.end && verdict.start < t.end;
        *told |= *verdict.rule == *active.rule.id && trials.iter().any(tells);
    }
    trials.sort_by_key(|t: &Trial| (t.fate.rank(), t.start));
    let further = trials.len().saturating_sub(MOST_TRIALS);
    trials.truncate(MOST_TRIALS);
    let rule = &active.rule;
    let decided_by = if spec.rules.get(&*rule.id).is_some_and(|change| change.action.is_some()) {
        DecidedBy::Rule
    } else if spec.actions.contains_key(&rule.kind) {
        DecidedBy::Kind
    } else {
        DecidedBy::Pack
    };
    Some(Trace {
        rule: rule.id.to_string(),
        description: rule.description.clone(),
        kind: rule.kind,
        entity: rule.entity.to_string(),
        action: active.action,
        decided_by,
        threshold: rule.score.map(|_| active.threshold),
        trials,
        further,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACK: &str = r#"
        name = "t"
        version = "1"
        kind = "pii"
        action = "redact"
        [[rule]]
        id = "card"
        entity = "CARD"
        regex = 'no \d{4} \d{4} \d{4} \d{4}'
        validators = ["luhn"]
        [[rule]]
        id = "number"
        entity = "NUMBER"
        regex = '\b\d{8}\b'
        score = 0.3
        context = { words = ["customer"], unless = ["bytes"], before = 20, boost = 0.4 }
        [[rule]]
        id = "wide"
        entity = "WIDE"
        regex = 'customer \d{8}\b'
        [[rule]]
        id = "key"
        entity = "KEY"
        kind = "secret"
        regex = 'key-[a-z]{8,20}\b'
        entropy = 2.0
        stop = ["example"]
        not_after = "!"
    "#;

    fn explained(text: &str) -> Explanation {
        let spec = PolicySpec {
            packs: vec!["t".to_owned()],
            actions: [(Kind::Secret, Action::Block)].into(),
            ..PolicySpec::default()
        };
        let policy = Policy::compile(&spec, &[Pack::parse("t.toml", PACK).unwrap()]).unwrap();
        explain(&policy, &spec, Phase::Input, text)
    }

    fn fate(text: &str, rule: &str) -> Fate {
        let explanation = explained(text);
        let trace = explanation.rules.iter().find(|t| t.rule == rule);
        trace
            .unwrap_or_else(|| panic!("{rule} did not wake: {explanation:#?}"))
            .trials[0]
            .fate
            .clone()
    }

    fn refused(text: &str, rule: &str) -> String {
        match fate(text, rule) {
            Fate::Refused { by } => by,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_thing_that_stops_a_rule_is_named() {
        assert!(matches!(fate("no 4111 1111", "t.card"), Fate::NoMatch { bytes: 12 }));
        assert_eq!(refused("no 4111 1111 1111 1112", "t.card"), "validator `luhn`");
        assert!(matches!(fate("no 4111 1111 1111 1111", "t.card"), Fate::Verdict { .. }));
        assert!(matches!(fate("12345678", "t.number"), Fate::BelowThreshold { .. }));
        assert!(refused("bytes 12345678", "t.number").contains("bytes"));
        assert!(refused("key-aaaaaaaabb", "t.key").starts_with("entropy"));
        assert!(refused("key-exampleqwert", "t.key").contains("`example`"));
        assert!(refused("key-qwertzuiop!", "t.key").contains('!'));
        assert!(matches!(
            fate("customer 12345678", "t.number"),
            Fate::Covered { by } if by == "t.wide"
        ));
    }

    #[test]
    fn words_and_scores_are_told() {
        let explanation = explained("customer: 12345678");
        let trial = &explanation.rules[0].trials[0];
        assert_eq!(trial.words_for, ["customer"]);
        let score = trial.score.unwrap();
        assert!((score.base - 0.3).abs() < 1e-6 && (score.total - 0.7).abs() < 1e-6);
        assert_eq!(&trial.matched, "12345678");
    }

    #[test]
    fn the_action_says_who_decided_it() {
        let explanation = explained("key-qwertzuiop");
        assert_eq!(explanation.action, Some(Action::Block));
        assert_eq!(explanation.rules[0].decided_by, DecidedBy::Kind);
        assert_eq!(explained("no 4111 1111 1111 1111").rules[0].decided_by, DecidedBy::Pack);
        assert_eq!(explained("nothing").rules, []);
    }

    #[test]
    fn no_verdict_goes_unexplained() {
        let packs = Pack::builtin();
        let spec = PolicySpec::default();
        let policy = Policy::compile(&spec, &packs).unwrap();
        for pack in &packs {
            for rule in pack.rules() {
                for text in rule.examples().0 {
                    let verdicts = policy.scan(Phase::Input, &text).verdicts;
                    let explanation = explain(&policy, &spec, Phase::Input, &text);
                    for verdict in verdicts {
                        let told = explanation.rules.iter().any(|t| {
                            *t.rule == *verdict.rule && t.trials.iter().any(|t| matches!(t.fate, Fate::Verdict { .. }))
                        });
                        assert!(
                            told || explanation.others.contains(&verdict),
                            "{text:?}: {verdict:?}, but {explanation:#?}"
                        );
                    }
                }
            }
        }
    }
}
