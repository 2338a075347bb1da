//! Packs: the TOML files that hold rules, and the rules themselves.

mod compile;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::Deserialize;
use toml::Spanned;

use crate::check::CheckRule;
use crate::check::parse::{self, RawCheck};
use crate::gitleaks;
use crate::policy::PolicySpec;
use crate::rule::{Context, ExampleFailure, Rule};
use crate::settings::TOPICS;
use crate::types::{Action, Kind, Phase, Phases};
use crate::validate::Validator;
use compile::{actions, compile};

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

/// A pack that Weir ships, parsed when it is first asked for.
struct Shipped {
    name: &'static str,
    file: &'static str,
    text: &'static str,
    parsed: OnceLock<Option<Pack>>,
}

impl Shipped {
    const fn new(name: &'static str, file: &'static str, text: &'static str) -> Shipped {
        Shipped {
            name,
            file,
            text,
            parsed: OnceLock::new(),
        }
    }

    /// A test parses each of them as any other pack, so that none is ever missing here.
    fn pack(&self) -> Option<Pack> {
        let parse = || Pack::read(self.file, self.text, true).ok();
        self.parsed.get_or_init(parse).clone()
    }
}

static SHIPPED: [Shipped; 7] = [
    Shipped::new("pii", "packs/pii.toml", include_str!("../packs/pii.toml")),
    Shipped::new("secrets", "packs/secrets.toml", SECRETS),
    Shipped::new(
        "injection",
        "packs/injection.toml",
        include_str!("../packs/injection.toml"),
    ),
    Shipped::new("exfil", "packs/exfil.toml", include_str!("../packs/exfil.toml")),
    Shipped::new("leak", "packs/leak.toml", include_str!("../packs/leak.toml")),
    Shipped::new(
        "toxicity",
        "packs/toxicity.toml",
        include_str!("../packs/toxicity.toml"),
    ),
    Shipped::new(TOPICS, "packs/topics.toml", include_str!("../packs/topics.toml")),
];

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
        SHIPPED.iter().filter_map(Shipped::pack).collect()
    }

    /// Those of them that policies use. The others take neither time nor memory.
    pub fn builtin_for<'s>(specs: impl IntoIterator<Item = &'s PolicySpec>) -> Vec<Pack> {
        let mut used = BTreeSet::new();
        for spec in specs {
            used.extend(spec.packs.iter().map(String::as_str));
            used.extend((!spec.topics.is_empty()).then_some(TOPICS));
        }
        let shipped = SHIPPED.iter().filter(|shipped| used.contains(shipped.name));
        shipped.filter_map(Shipped::pack).collect()
    }

    /// The names of the packs that Weir ships.
    pub(crate) fn builtin_names<'n>() -> impl Iterator<Item = &'n str> {
        SHIPPED.iter().map(|shipped| shipped.name)
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
