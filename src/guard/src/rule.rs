//! Rules: what to look for, when it counts, and how to try it on its own examples.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::allow::Allow;
use crate::cost::{self, Cost};
use crate::pack::Pack;
use crate::pattern::Pattern;
use crate::policy::{Policy, PolicyError, PolicySpec, RuleOverride};
use crate::secret;
use crate::template;
use crate::types::{Action, Kind, Phase, Phases};
use crate::validate::{Validator, entropy};
use crate::views::ViewSet;

/// An example of a pack that did not behave as the pack says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExampleFailure {
    /// Full id of the rule.
    pub rule: String,
    /// Whether the rule should have matched.
    pub expected_match: bool,
    /// The example as the pack writes it.
    pub example: String,
}

/// One rule of a pack, compiled.
#[derive(Debug)]
pub struct Rule {
    pub(crate) id: Arc<str>,
    pub(crate) description: String,
    pub(crate) kind: Kind,
    pub(crate) entity: Arc<str>,
    pub(crate) actions: BTreeMap<Phase, Action>,
    pub(crate) pattern: Pattern,
    pub(crate) validators: Vec<Validator>,
    pub(crate) entropy: Option<f32>,
    pub(crate) stop: Vec<String>,
    /// ASCII characters that, right before a match, show that it is part of something else ...
    pub(crate) not_before: String,
    /// ... or right after it.
    pub(crate) not_after: String,
    /// Of these words, the name before the value must hold one; empty for no such demand.
    pub(crate) named: Vec<String>,
    /// Words that, in the name before the value, say that the value is no secret.
    pub(crate) not_named: Vec<String>,
    /// The first eight bytes of the BLAKE3 hash of values that are published as samples.
    pub(crate) public: Vec<[u8; 8]>,
    /// What the expression still accepts beyond the longest match is covered by further matches.
    pub(crate) continues: bool,
    /// Lists of what is no finding after all.
    pub(crate) allow: Vec<Arc<Allow>>,
    /// Of these, a match must hold one, any case; empty for no such demand.
    pub(crate) keywords: Vec<String>,
    pub(crate) score: Option<f32>,
    pub(crate) context: Option<Context>,
    /// Where the rule looks beside the first view.
    pub(crate) views: ViewSet,
    pub(crate) positive: Vec<String>,
    pub(crate) negative: Vec<String>,
}

/// Words near a match that make it more likely.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    /// Whole words or phrases, any case; `_`, `-` and white space are the same.
    #[serde(default)]
    pub(crate) words: Vec<String>,
    /// Words that speak against the match. The word nearest before it decides.
    #[serde(default)]
    pub(crate) unless: Vec<String>,
    /// How far before the match such a word may end.
    #[serde(default = "default_unless")]
    pub(crate) unless_before: usize,
    /// How far before the match a word may start, bytes of the view.
    #[serde(default = "default_before")]
    pub(crate) before: usize,
    /// How far after the match a word may end. The match is held until that much is seen.
    #[serde(default)]
    pub(crate) after: usize,
    /// Added to the score.
    #[serde(default)]
    pub(crate) boost: f32,
    /// What is done without a word, if that is weaker than the rule's action.
    pub(crate) otherwise: Option<Action>,
    /// Without a word there is no match.
    #[serde(default)]
    pub(crate) required: bool,
}

fn default_before() -> usize {
    64
}

fn default_unless() -> usize {
    8
}

/// How much of a name before a match is looked at, bytes.
pub(crate) const MAX_NAME: usize = 32;

/// The widest context window, bytes.
pub(crate) const MAX_WINDOW: usize = 512;

impl Rule {
    /// Full id, `pack.rule`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the rule finds, for people.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The family of the rule.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What stands in the placeholder.
    pub fn entity(&self) -> &str {
        &self.entity
    }

    /// What the pack wants done in `phase`; `None` if the rule is not active there.
    pub fn action(&self, phase: Phase) -> Option<Action> {
        self.actions.get(&phase).copied()
    }

    /// The longest match, bytes of the normalised text. It bounds what a stream may hold.
    pub fn max_len(&self) -> usize {
        self.pattern.max_len
    }

    /// Memory of the rule's automaton, bytes.
    pub fn memory(&self) -> usize {
        self.pattern.memory()
    }

    /// The rule's examples, placeholders expanded: those it must match, those it must not.
    pub fn examples(&self) -> (Vec<String>, Vec<String>) {
        let expand = |texts: &[String]| {
            texts
                .iter()
                .filter_map(|t| template::expand(t, &self.id).ok())
                .collect()
        };
        (expand(&self.positive), expand(&self.negative))
    }

    /// What the rule costs on the dearest text that can be found for it.
    pub fn worst_cost(&self) -> Cost {
        cost::worst(&self.pattern, &self.examples().0)
    }

    /// The accepted prefix of a matched text, bytes.
    pub(crate) fn accept(&self, text: &str) -> Option<usize> {
        let mut end = text.len();
        for validator in &self.validators {
            end = validator.accept(&text[..end])?;
        }
        let text = &text[..end];
        if self.entropy.is_some_and(|least| entropy(text) < least) {
            return None;
        }
        if !self.stop.is_empty() {
            let lower = text.to_ascii_lowercase();
            if self.stop.iter().any(|word| lower.contains(word.as_str())) {
                return None;
            }
        }
        if !self.public.is_empty() {
            let hash = blake3::hash(text.as_bytes());
            if self.public.iter().any(|known| hash.as_bytes().starts_with(known)) {
                return None;
            }
        }
        Some(end)
    }

    /// A policy of this rule alone, in every phase.
    pub(crate) fn alone(&self, pack: &Pack) -> Result<(Policy, PolicySpec), PolicyError> {
        let alone = Pack {
            rules: pack.rules.iter().filter(|r| r.id == self.id).cloned().collect(),
            checks: Vec::new(),
            ..pack.clone()
        };
        let change = RuleOverride {
            phase: Some(Phases::All),
            ..RuleOverride::default()
        };
        let spec = PolicySpec {
            packs: vec![pack.name.to_string()],
            rules: [(self.id.to_string(), change)].into(),
            ..PolicySpec::default()
        };
        Policy::compile(&spec, &[alone]).map(|policy| (policy, spec))
    }

    /// Whether the name of a value lets it count: `within` is the part of the match before the value.
    pub(crate) fn is_named_well(&self, before: &[u8], within: &[u8]) -> bool {
        if self.named.is_empty() && self.not_named.is_empty() {
            return true;
        }
        let before = secret::name_before(&before[before.len().saturating_sub(MAX_NAME)..]);
        let name = [before, within].concat();
        (self.named.is_empty() || secret::is_named(&name, &self.named)) && !secret::is_named(&name, &self.not_named)
    }

    /// Whether the lists that came with the rule let a match count.
    pub(crate) fn allows(&self, value: &str, matched: &[u8]) -> bool {
        let holds = |word: &String| {
            matched
                .windows(word.len())
                .any(|w| w.eq_ignore_ascii_case(word.as_bytes()))
        };
        (self.keywords.is_empty() || self.keywords.iter().any(holds))
            && !self.allow.iter().any(|list| list.covers(value, matched))
    }

    /// Runs the rule alone on its examples. A rule with a context is given the same policy as always:
    /// the examples must hold the words.
    pub(crate) fn test(&self, pack: &Pack) -> Vec<ExampleFailure> {
        let failure = |expected_match: bool, example: &str| ExampleFailure {
            rule: self.id.to_string(),
            expected_match,
            example: example.to_owned(),
        };
        let Ok((policy, _)) = self.alone(pack) else {
            return vec![failure(true, "(the rule does not compile alone)")];
        };
        let examples = self
            .positive
            .iter()
            .map(|e| (true, e))
            .chain(self.negative.iter().map(|e| (false, e)));
        let wrong = |(expected, example): &(bool, &String)| {
            let matched = template::expand(example, &self.id)
                .is_ok_and(|text| !policy.scan(Phase::Input, &text).verdicts.is_empty());
            matched != *expected
        };
        examples
            .filter(wrong)
            .map(|(expected, example)| failure(expected, example))
            .collect()
    }
}
