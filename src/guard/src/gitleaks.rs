//! Import of a `gitleaks.toml`: its rules as a pack of Weir's, as it is.
//!
//! What has no meaning for a text that has no path, and what the engine cannot do, is not dropped in
//! silence: each case is a warning with file, line and rule ([`Pack::warnings`](crate::Pack::warnings)).

mod syntax;

use std::collections::BTreeMap;
use std::sync::Arc;

use regex_automata::nfa::thompson::pikevm::PikeVM;
use serde::Deserialize;
use toml::Spanned;

use crate::allow::Allow;
use crate::pack::{Pack, PackError};
use crate::pattern::{self, Pattern, PatternError};
use crate::rule::Rule;
use crate::types::{Action, Kind, Phase};
use crate::views::ViewSet;

/// The longest match of a rule that states no end of it.
const CAP: usize = 4096;

#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    extend: Option<Spanned<Extend>>,
    rules: Vec<Spanned<RawRule>>,
    allowlist: Option<Spanned<List>>,
    allowlists: Vec<Spanned<List>>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Extend {
    path: String,
    url: String,
    #[serde(rename = "useDefault", alias = "usedefault")]
    use_default: bool,
    #[serde(rename = "disabledRules", alias = "disabledrules")]
    disabled: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawRule {
    id: String,
    description: String,
    path: String,
    regex: String,
    #[serde(rename = "secretGroup", alias = "secretgroup")]
    secret_group: usize,
    entropy: f32,
    keywords: Vec<String>,
    allowlist: Option<Spanned<List>>,
    allowlists: Vec<Spanned<List>>,
    required: Vec<toml::Value>,
    #[serde(rename = "skipReport", alias = "skipreport")]
    skip_report: bool,
    /// Words for people.
    #[serde(rename = "tags")]
    _tags: Option<toml::Value>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct List {
    condition: String,
    commits: Vec<String>,
    paths: Vec<String>,
    #[serde(rename = "regexTarget", alias = "regextarget")]
    target: String,
    regexes: Vec<String>,
    #[serde(alias = "stopWords")]
    stopwords: Vec<String>,
    #[serde(rename = "targetRules", alias = "targetrules")]
    target_rules: Vec<String>,
}

/// Whether a TOML file is a configuration of gitleaks and not a pack.
pub(crate) fn is_gitleaks(table: &toml::Table) -> bool {
    !table.contains_key("name")
        && ["rules", "extend", "allowlist", "allowlists"]
            .iter()
            .any(|key| table.contains_key(*key))
}

/// Reads the file. Only what is no TOML of that form is an error.
pub(crate) fn import(file_name: &str, toml: &str) -> Result<Pack, PackError> {
    let mut import = Import {
        file: file_name,
        toml,
        warnings: Vec::new(),
    };
    let file: File = toml::from_str(toml)
        .map_err(|e| import.said(e.span().map_or(0, |s| s.start), None, e.message().trim().to_owned()))?;
    import.extends(file.extend.as_ref());
    let mut global: Vec<Arc<Allow>> = Vec::new();
    let mut targeted: BTreeMap<&str, Vec<Arc<Allow>>> = BTreeMap::new();
    for list in file.allowlist.iter().chain(&file.allowlists) {
        if let Some(allow) = import.allow(list, None).map(Arc::new) {
            if list.get_ref().target_rules.is_empty() {
                global.push(allow);
            } else {
                for id in &list.get_ref().target_rules {
                    targeted.entry(id).or_default().push(Arc::clone(&allow));
                }
            }
        }
    }
    let name = pack_name(file_name);
    let mut rules: Vec<Arc<Rule>> = Vec::with_capacity(file.rules.len());
    for raw in &file.rules {
        let Some(mut rule) = import.rule(&name, raw) else {
            continue;
        };
        rule.allow
            .extend(targeted.get(raw.get_ref().id.as_str()).into_iter().flatten().cloned());
        rule.allow.extend(global.iter().cloned());
        if let Some(at) = rules.iter().position(|known| known.id == rule.id) {
            import.warn(
                raw.span().start,
                Some(&raw.get_ref().id),
                "the id is used twice: this rule takes the place of the one above",
            );
            rules.remove(at);
        }
        rules.push(Arc::new(rule));
    }
    Ok(Pack {
        name: name.into(),
        version: "1".into(),
        description: "Rules imported from a gitleaks configuration".to_owned(),
        digest: *blake3::hash(toml.as_bytes()).as_bytes(),
        rules,
        checks: Vec::new(),
        warnings: import.warnings,
    })
}

struct Import<'t> {
    file: &'t str,
    toml: &'t str,
    warnings: Vec<PackError>,
}

impl Import<'_> {
    fn said(&self, at: usize, rule: Option<&str>, reason: String) -> PackError {
        PackError {
            file: self.file.to_owned(),
            line: 1 + self.toml.bytes().take(at).filter(|b| *b == b'\n').count(),
            rule: rule.map(str::to_owned),
            reason,
        }
    }

    fn warn(&mut self, at: usize, rule: Option<&str>, reason: impl Into<String>) {
        let warning = self.said(at, rule, reason.into());
        self.warnings.push(warning);
    }

    fn extends(&mut self, extend: Option<&Spanned<Extend>>) {
        let Some(extend) = extend else { return };
        let (at, extend) = (extend.span().start, extend.get_ref());
        if extend.use_default {
            self.warn(
                at,
                None,
                "`useDefault`: Weir's own pack `secrets` stands for the default rules; name it in `guard.policy.packs`",
            );
        }
        if !extend.path.is_empty() || !extend.url.is_empty() {
            self.warn(
                at,
                None,
                "`extend.path` and `extend.url` are not followed: name that file in `pack_files` as well",
            );
        }
        if !extend.disabled.is_empty() {
            let reason = format!(
                "`disabledRules` ({}) has no effect: switch the rules off in `guard.policy.rules`",
                extend.disabled.join(", ")
            );
            self.warn(at, None, reason);
        }
    }

    /// `None` for a list that cannot say anything about a text.
    fn allow(&mut self, list: &Spanned<List>, rule: Option<&str>) -> Option<Allow> {
        let (at, list) = (list.span().start, list.get_ref());
        let both = matches!(list.condition.to_ascii_uppercase().as_str(), "AND" | "&&");
        if !list.paths.is_empty() || !list.commits.is_empty() {
            let reason = if both {
                "an allow list that asks for a path or a commit too never applies: a text has none"
            } else {
                "`paths` and `commits` of an allow list are not looked at: a text has none"
            };
            self.warn(at, rule, reason);
            if both {
                return None;
            }
        }
        if list.target == "line" {
            self.warn(
                at,
                rule,
                "`regexTarget = \"line\"`: the expressions look at the match, not at its line",
            );
        }
        let mut regexes = Vec::with_capacity(list.regexes.len());
        for regex in &list.regexes {
            let hir = pattern::parse(&syntax::translate(regex).regex, false);
            let vm = hir.and_then(|hir| pattern::searcher(&hir));
            match vm {
                Ok(vm) => regexes.push(Arc::new(vm)),
                Err(error) => self.warn(at, rule, format!("`{regex}` of an allow list is left out: {error}")),
            }
        }
        let regexes: Vec<Arc<PikeVM>> = regexes;
        (!regexes.is_empty() || !list.stopwords.is_empty()).then(|| Allow {
            regexes,
            stop_words: list.stopwords.iter().map(|w| w.to_ascii_lowercase()).collect(),
            whole_match: matches!(list.target.as_str(), "match" | "line"),
            both,
        })
    }

    fn rule(&mut self, pack: &str, raw: &Spanned<RawRule>) -> Option<Rule> {
        let (at, raw) = (raw.span().start, raw.get_ref());
        let id = Some(raw.id.as_str());
        if raw.regex.is_empty() {
            self.warn(at, id, "left out: it looks at paths alone, and a text has none");
            return None;
        }
        if !raw.required.is_empty() || raw.skip_report {
            self.warn(
                at,
                id,
                "left out: it counts only together with other rules (`required`, `skipReport`)",
            );
            return None;
        }
        if !raw.path.is_empty() {
            self.warn(at, id, "`path` is not looked at: the rule holds for every text");
        }
        let pattern = self.pattern(at, raw)?;
        let keywords: Vec<String> = raw.keywords.iter().map(|k| k.to_ascii_lowercase()).collect();
        let implied = keywords.is_empty() || pattern::always_holds(&pattern.1, &keywords);
        if !implied {
            self.warn(
                at,
                id,
                "a match counts only if it holds a keyword itself; gitleaks looks for one in the whole file",
            );
        }
        let lists = raw.allowlist.iter().chain(&raw.allowlists);
        let allow = lists.filter_map(|list| self.allow(list, id)).map(Arc::new).collect();
        let clean = |c: char, other: char| if c.is_ascii_alphanumeric() { c } else { other };
        Some(Rule {
            id: format!(
                "{pack}.{}",
                raw.id
                    .chars()
                    .map(|c| clean(c.to_ascii_lowercase(), '-'))
                    .collect::<String>()
            )
            .into(),
            description: raw.description.clone(),
            kind: Kind::Secret,
            entity: raw
                .id
                .chars()
                .map(|c| clean(c.to_ascii_uppercase(), '_'))
                .collect::<String>()
                .into(),
            actions: [
                (Phase::Input, Action::Redact),
                (Phase::Output, Action::Redact),
                (Phase::Tool, Action::Flag),
            ]
            .into(),
            pattern: pattern.0,
            validators: Vec::new(),
            entropy: (raw.entropy > 0.0).then_some(raw.entropy),
            stop: Vec::new(),
            not_before: String::new(),
            not_after: String::new(),
            named: Vec::new(),
            not_named: Vec::new(),
            public: Vec::new(),
            continues: false,
            allow,
            keywords: if implied { Vec::new() } else { keywords },
            score: None,
            context: None,
            views: ViewSet::ESCAPED,
            positive: Vec::new(),
            negative: Vec::new(),
        })
    }

    /// The rule's expression, and its text.
    fn pattern(&mut self, at: usize, raw: &RawRule) -> Option<(Pattern, String)> {
        let id = Some(raw.id.as_str());
        let translated = syntax::translate(&raw.regex);
        if translated.lost_boundary {
            self.warn(
                at,
                id,
                "`\\B` is not looked at: the rule matches a little more than it says",
            );
        }
        let mut regex = syntax::without_optional_start(&translated.regex);
        let (mut bounded, mut loosened) = (false, false);
        let mut pattern = loop {
            match compile(&regex) {
                Ok(pattern) => break pattern,
                Err(PatternError::WeakStart) if !bounded => {
                    bounded = true;
                    regex = format!("\\b(?:{regex})");
                }
                Err(PatternError::TooBig) if !loosened => {
                    loosened = true;
                    regex = syntax::loosen(&regex);
                }
                Err(error) => {
                    self.warn(at, id, format!("left out: {error}"));
                    return None;
                }
            }
        };
        if bounded {
            self.warn(
                at,
                id,
                "it begins at a word boundary only: anything else would be tried at every letter",
            );
        }
        if loosened {
            self.warn(
                at,
                id,
                "great repetitions are not counted: the rule matches a little more than it says",
            );
        }
        let groups = pattern::group_count(&regex);
        if raw.secret_group > groups {
            self.warn(
                at,
                id,
                format!(
                    "`secretGroup` is {}, but there are {groups} groups: the whole match counts",
                    raw.secret_group
                ),
            );
        }
        pattern.groups = match raw.secret_group {
            0 => (1..=groups).collect(),
            group if group > groups => Vec::new(),
            group => vec![group],
        };
        Some((pattern, regex))
    }
}

/// Bounds what is endless by [`CAP`].
fn compile(regex: &str) -> Result<Pattern, PatternError> {
    match Pattern::new(regex, regex, false, None, false) {
        Err(PatternError::Unbounded | PatternError::TooLong(_)) => Pattern::new(regex, regex, false, Some(CAP), false),
        result => result,
    }
}

/// The name of a pack from that of its file: `conf/.gitleaks.toml` is `gitleaks`.
fn pack_name(file: &str) -> String {
    let base = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let stem = base.trim_start_matches('.').split('.').next().unwrap_or_default();
    let clean = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    if stem.is_empty() {
        "gitleaks".to_owned()
    } else {
        stem.chars().map(clean).collect()
    }
}
