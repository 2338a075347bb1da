//! Checks: what is looked for that no regular expression can say — lists of thousands of words, text
//! that nobody sees, the prompt of this very call, the form of an answer.
//!
//! ```text
//!  text ─┬▶ view ─▶ engine ─┐
//!        └▶ checks ─────────┴▶ Merge: verdicts in order, once nothing earlier can come
//! ```
//!
//! A check reads the original text, character by character: like the engine's, its state after *n*
//! bytes is a function of those bytes alone, never of how they arrived.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::sync::Arc;

use crate::context::CallContext;
use crate::model::Model;
use crate::pack::Pack;
use crate::policy::{Policy, PolicySpec, RuleOverride};
use crate::rule::ExampleFailure;
use crate::schema::Schema;
use crate::settings::LeakSpec;
use crate::template;
use crate::types::{Action, Kind, Phase, Phases, Verdict};

mod canary;
pub(crate) mod classify;
mod format;
mod gate;
pub(crate) mod invisible;
pub(crate) mod limits;
pub(crate) mod parse;
pub(crate) mod prompt;
pub(crate) mod script;
mod trie;
pub(crate) mod words;

/// One check under way over one text.
pub(crate) trait Check: fmt::Debug + Send {
    /// Takes the next piece, whole characters.
    fn push(&mut self, text: &str, found: &mut Vec<Found>);

    /// The text has ended.
    fn finish(&mut self, found: &mut Vec<Found>);

    /// Takes a whole text.
    fn whole(&mut self, text: &str, found: &mut Vec<Found>) {
        self.push(text, found);
        self.finish(found);
    }

    /// Nothing that is still to be found starts before this byte of the original text. It never
    /// moves back.
    fn frontier(&self) -> usize;
}

/// What a check found, in bytes of the original text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Found {
    /// Index of the rule among the phase's checks.
    pub(crate) rule: u32,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// In place of the rule's own score.
    pub(crate) score: Option<f32>,
}

/// A rule that a check carries out.
#[derive(Clone, Debug)]
pub(crate) struct CheckRule {
    pub(crate) id: Arc<str>,
    #[expect(dead_code, reason = "for those who list the rules")]
    pub(crate) description: String,
    pub(crate) kind: Kind,
    pub(crate) entity: Arc<str>,
    pub(crate) actions: BTreeMap<Phase, Action>,
    pub(crate) score: Option<f32>,
    /// The least score that counts, in place of the policy's.
    pub(crate) threshold: Option<f32>,
    pub(crate) uses: Uses,
    pub(crate) positive: Vec<String>,
    pub(crate) negative: Vec<String>,
}

/// What carries a rule out.
#[derive(Clone, Debug)]
pub(crate) enum Uses {
    /// Text that nobody sees.
    Invisible,
    /// A list of words.
    Words(words::WordList),
    /// The system prompt of the call: so many words of it in a row.
    SystemPrompt(u32),
    /// The canary tokens of the call, and these.
    Canary(Vec<String>),
    /// A classifier's score of the whole text.
    Model(&'static Model),
    /// A limit of a text.
    Limit(limits::Limit),
    /// Some word of these must stand in the text.
    OffTopic(Arc<words::Words>),
    /// JSON of this schema, or of the one that the call asks for.
    Schema { own: Option<Arc<Schema>>, asked: bool },
}

/// A check's rule as the policy wants it in one phase.
#[derive(Debug)]
pub(crate) struct ActiveCheck {
    pub(crate) rule: Arc<CheckRule>,
    /// Index of the rule's pack in the policy.
    pub(crate) pack: usize,
    pub(crate) action: Action,
    pub(crate) threshold: f32,
}

/// All checks of one phase.
#[derive(Debug)]
pub(crate) struct Checks {
    pub(crate) active: Vec<ActiveCheck>,
    words: Option<Arc<words::Words>>,
    /// The classifier, and the rules that use it.
    model: Option<(&'static Model, Arc<[u32]>)>,
}

impl Checks {
    pub(crate) fn new(active: Vec<ActiveCheck>) -> Checks {
        let lists = active
            .iter()
            .zip(0..)
            .filter_map(|(active, index)| match &active.rule.uses {
                Uses::Words(list) => Some((index, list)),
                _ => None,
            });
        let mut lists = lists.peekable();
        let words = lists.peek().is_some().then(|| Arc::new(words::Words::new(lists)));
        let uses = |active: &ActiveCheck| match active.rule.uses {
            Uses::Model(model) => Some(model),
            _ => None,
        };
        let model = active.iter().find_map(uses).map(|model| {
            let rules = active.iter().zip(0..).filter(|(active, _)| uses(active).is_some());
            (model, rules.map(|(_, index)| index).collect())
        });
        Checks { active, words, model }
    }

    /// Memory of the tables, bytes.
    pub(crate) fn memory(&self) -> usize {
        let words = self.words.as_ref().map_or(0, |w| w.memory());
        self.active.len() * size_of::<ActiveCheck>() + words + self.model().map_or(0, Model::memory)
    }

    /// Whether any of them compares texts with the system prompt.
    pub(crate) fn compare_with_prompt(&self) -> bool {
        self.any(|uses| matches!(uses, Uses::SystemPrompt(_)))
    }

    /// Whether any of them holds answers to the form that was asked for.
    pub(crate) fn follow_schema(&self) -> bool {
        self.any(|uses| matches!(uses, Uses::Schema { asked: true, .. }))
    }

    fn any(&self, of: impl Fn(&Uses) -> bool) -> bool {
        self.active.iter().any(|active| of(&active.rule.uses))
    }

    /// The classifier among the checks.
    pub(crate) fn model(&self) -> Option<&'static Model> {
        self.model.as_ref().map(|(model, _)| *model)
    }

    /// The rules that a classifier carries out.
    pub(crate) fn models(&self) -> impl Iterator<Item = u32> + '_ {
        self.model.iter().flat_map(|(_, rules)| rules.iter().copied())
    }

    /// Whether the rule called `id` is one of those.
    pub(crate) fn is_of_model(&self, id: &str) -> bool {
        let mut rules = self.active.iter().map(|active| &active.rule);
        rules.any(|rule| &*rule.id == id && matches!(rule.uses, Uses::Model(_)))
    }

    /// The word lists alone; `None` if there are none.
    pub(crate) fn start_words(&self) -> Option<Running> {
        let words = self.words.as_ref()?;
        Some(Running {
            checks: vec![Box::new(words::WordCheck::new(Arc::clone(words)))],
            found: Vec::new(),
        })
    }

    /// Everything that looks at one text; `None` if nothing does in this call.
    pub(crate) fn start(&self, context: &CallContext) -> Option<Running> {
        self.start_for(context, false)
    }

    /// Everything that may find something in one text, of which it is known whether all of it is ASCII.
    pub(crate) fn start_for(&self, context: &CallContext, ascii: bool) -> Option<Running> {
        // All lists are one check, and so are all rules of a classifier.
        let mut checks: Vec<Box<dyn Check>> = Vec::with_capacity(self.active.len().min(4));
        if let Some(words) = &self.words {
            checks.push(Box::new(words::WordCheck::new(Arc::clone(words))));
        }
        for (active, index) in self.active.iter().zip(0..) {
            match &active.rule.uses {
                // All of ASCII is seen.
                Uses::Invisible if ascii => {}
                Uses::Invisible => checks.push(Box::new(invisible::Invisible::new(index))),
                Uses::Words(_) | Uses::Model(_) => {}
                Uses::Limit(limit) => checks.push(Box::new(limits::LimitCheck::new(index, limit.clone()))),
                Uses::OffTopic(words) => checks.push(Box::new(limits::OffTopic::new(index, Arc::clone(words)))),
                Uses::Schema { own, asked } => {
                    let schema = context.schema.as_ref().filter(|_| *asked).or(own.as_ref());
                    let schema = schema.filter(|_| !context.aside);
                    let check = schema.map(|schema| format::FormatCheck::new(index, Arc::clone(schema)));
                    checks.extend(check.map(|check| Box::new(check) as Box<dyn Check>));
                }
                Uses::SystemPrompt(words) => {
                    let prompt = context.prompt.as_ref();
                    let check = prompt.and_then(|prompt| prompt::PromptCheck::new(index, prompt, *words));
                    checks.extend(check.map(|check| Box::new(check) as Box<dyn Check>));
                }
                Uses::Canary(tokens) => {
                    let tokens = tokens.iter().map(String::as_str);
                    let canaries = canary::Canaries::new(tokens.chain(context.canaries.iter().map(AsRef::as_ref)));
                    let check = canaries.map(|c| canary::CanaryCheck::new(index, Arc::new(c)));
                    checks.extend(check.map(|check| Box::new(check) as Box<dyn Check>));
                }
            }
        }
        let model = self.model.as_ref();
        let check = model.map(|(model, rules)| classify::Classify::new(model, Arc::clone(rules)));
        checks.extend(check.map(|check| Box::new(check) as Box<dyn Check>));
        (!checks.is_empty()).then(|| Running {
            checks,
            found: Vec::new(),
        })
    }
}

/// The checks of one text.
#[derive(Debug)]
pub(crate) struct Running {
    checks: Vec<Box<dyn Check>>,
    found: Vec<Found>,
}

impl Running {
    pub(crate) fn push(&mut self, text: &str) {
        for check in &mut self.checks {
            check.push(text, &mut self.found);
        }
    }

    pub(crate) fn finish(&mut self) {
        for check in &mut self.checks {
            check.finish(&mut self.found);
        }
    }

    /// Takes a whole text.
    pub(crate) fn whole(&mut self, text: &str) {
        for check in &mut self.checks {
            check.whole(text, &mut self.found);
        }
    }

    pub(crate) fn frontier(&self) -> usize {
        self.checks.iter().map(|c| c.frontier()).min().unwrap_or(usize::MAX)
    }

    /// What was found since the last time.
    pub(crate) fn found(&mut self) -> std::vec::Drain<'_, Found> {
        self.found.drain(..)
    }
}

/// Brings the verdicts of several sources into one order: by start, then stronger action, then longer.
#[derive(Debug, Default)]
pub(crate) struct Merge {
    pending: BinaryHeap<Reverse<Pending>>,
    /// Verdicts handed out that later ones may lie within.
    kept: Vec<(usize, Action, Kind)>,
    count: usize,
}

#[derive(Debug)]
struct Pending {
    verdict: Verdict,
    /// 0 for the engine, then the checks: the order of verdicts on the very same span.
    source: u32,
    count: usize,
}

impl Pending {
    fn key(&self) -> (usize, Reverse<Action>, Reverse<usize>, u32, usize) {
        let v = &self.verdict;
        (v.start, Reverse(v.action), Reverse(v.end), self.source, self.count)
    }
}
impl PartialEq for Pending {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl Eq for Pending {}
impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Pending {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Merge {
    /// Takes a verdict that is certain. `source`: 0 for the engine, 1 and up for checks.
    pub(crate) fn add(&mut self, verdict: Verdict, source: u32) {
        let count = self.count;
        self.count += 1;
        self.pending.push(Reverse(Pending { verdict, source, count }));
    }

    /// The next verdict that starts before `frontier`; those within another of the same family and of
    /// at least their action are left out.
    pub(crate) fn next(&mut self, frontier: usize) -> Option<Verdict> {
        loop {
            let start = self.pending.peek()?.0.verdict.start;
            if start >= frontier && frontier != usize::MAX {
                return None;
            }
            let Reverse(Pending { verdict, .. }) = self.pending.pop()?;
            let (action, kind) = (verdict.action, verdict.kind);
            self.kept.retain(|(end, ..)| *end > start);
            let within = self
                .kept
                .iter()
                .any(|(end, outer, other)| *end >= verdict.end && outer.covers(action) && other.stands_for(kind));
            if !within {
                self.kept.push((verdict.end, action, kind));
                return Some(verdict);
            }
        }
    }
}

impl CheckRule {
    /// What is done about a finding if `action` is wanted. A limit, a form and a missing topic mark a
    /// place from which on a text is wrong: there is nothing to put in its stead.
    pub(crate) fn action(&self, action: Action) -> Action {
        match (&self.uses, action) {
            (Uses::Limit(_) | Uses::OffTopic(_) | Uses::Schema { .. }, Action::Redact | Action::Vault) => Action::Block,
            _ => action,
        }
    }

    /// The rule with what the policy says about its kind of check.
    pub(crate) fn configured(self: &Arc<CheckRule>, spec: &PolicySpec) -> Arc<CheckRule> {
        let uses = match (&self.uses, &spec.leak) {
            (Uses::SystemPrompt(_), LeakSpec { words: Some(words), .. }) => Uses::SystemPrompt(*words),
            (Uses::Canary(tokens), leak) if !leak.canaries.is_empty() => {
                Uses::Canary(tokens.iter().chain(&leak.canaries).cloned().collect())
            }
            _ => return Arc::clone(self),
        };
        Arc::new(CheckRule {
            uses,
            ..(**self).clone()
        })
    }

    /// Runs the rule alone on its examples.
    pub(crate) fn test(&self, pack: &Pack) -> Vec<ExampleFailure> {
        let alone = Pack {
            rules: Vec::new(),
            checks: pack.checks.iter().filter(|c| c.id == self.id).cloned().collect(),
            ..pack.clone()
        };
        let everywhere = RuleOverride {
            phase: Some(Phases::All),
            ..RuleOverride::default()
        };
        let spec = PolicySpec {
            packs: vec![pack.name().to_owned()],
            rules: [(self.id.to_string(), everywhere)].into(),
            ..PolicySpec::default()
        };
        let failure = |expected_match: bool, example: &str| ExampleFailure {
            rule: self.id.to_string(),
            expected_match,
            example: example.to_owned(),
        };
        let Ok(policy) = Policy::compile(&spec, &[alone]) else {
            return vec![failure(true, "(the rule does not compile alone)")];
        };
        let examples = (self.positive.iter().map(|e| (true, e))).chain(self.negative.iter().map(|e| (false, e)));
        let wrong = |(expected, example): &(bool, &String)| {
            let matched = template::expand(example, &self.id)
                .is_ok_and(|text| !policy.scan(Phase::Input, &text).verdicts.is_empty());
            matched != *expected
        };
        (examples.filter(wrong))
            .map(|(expected, example)| failure(expected, example))
            .collect()
    }
}
