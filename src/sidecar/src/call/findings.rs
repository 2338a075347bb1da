//! What the guardrails find in a whole body, and the edits that follow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use event::body::{GuardrailEvaluated, GuardrailVerdict};
use guard::{Action, Escaping, Phase, Verdict};
use provider::json::{self, Edit};
use provider::{Role, TextSpan};

use super::ask::{MAX_QUESTIONS, Question};
use super::guarding::Guarding;
use super::unescape::{looks_like_json, unescape};
use crate::error::CallError;
use crate::metrics::{GuardLabels, Metrics};

/// Verdicts listed in one event; beyond that they are counted.
const MAX_LISTED: usize = 200;

/// The verdicts of one phase.
#[derive(Debug)]
pub struct PhaseFindings {
    phase: Phase,
    listed: Vec<GuardrailVerdict>,
    /// Verdicts that are not listed, by rule and action.
    omitted: BTreeMap<(Arc<str>, Action), u64>,
    action: Option<Action>,
}

/// What the guardrails found in the texts of one body.
#[derive(Debug, Default)]
pub struct Findings {
    /// Redactions, for what travels on.
    pub edits: Vec<Edit>,
    /// Redactions and masks, for what is kept.
    pub rest_edits: Vec<Edit>,
    /// The first verdict that blocks.
    pub blocked: Option<CallError>,
    /// Matches that somebody has to decide about.
    pub questions: Vec<Question>,
    phases: Vec<PhaseFindings>,
    errors: u64,
    time: Duration,
}

/// A text to look at, and whose rules apply to it.
pub struct Subject<'t, 'a> {
    /// The phase.
    pub phase: Phase,
    /// Whether it is an answer, which may have to have a form.
    pub answer: bool,
    /// The text and where it lies in the body.
    pub span: &'t TextSpan<'a>,
}

/// A text of a JSON body that was looked at as a whole.
pub struct Looked {
    /// What was found.
    pub verdicts: Vec<Verdict>,
    /// Errors that the policy let pass.
    pub errors: u32,
    /// Its literal as it goes on its way, where it is not as it came.
    pub passed: Option<Vec<u8>>,
    /// Its literal as it may be kept, where it is not as it came.
    pub kept: Option<Vec<u8>>,
    /// Matches that nobody has decided about.
    pub questions: Vec<Question>,
}

impl Looked {
    /// Looks at a text; of JSON within it, escapes are undone first, and what is changed is JSON again.
    /// `None`: nothing looks at its phase.
    pub fn at(guarding: &Guarding, subject: &Subject<'_, '_>, keep_flagged: bool) -> Option<Looked> {
        let Subject { phase, answer, span } = *subject;
        if !guarding.is_active(phase) {
            return None;
        }
        // What is put back into JSON must not end a string of it.
        let like_json = looks_like_json(&span.text);
        let json = span.text.contains('\\') && (like_json || matches!(span.role, Role::ToolCall | Role::Tool));
        let unescaped = json.then(|| unescape(&span.text));
        let seen = unescaped.as_ref().map_or(&*span.text, |unescaped| &unescaped.said);
        let escaping = if json || like_json {
            Escaping::Json
        } else {
            Escaping::Plain
        };
        let looked = match answer {
            true => guarding.look_at_answer(seen, keep_flagged, escaping),
            false => guarding.look(phase, seen, keep_flagged, escaping),
        };
        let literal = |text: &str| match &unescaped {
            _ if text == seen => None,
            Some(unescaped) => Some(json::quote(&unescaped.escape_again(text)).into_bytes()),
            None => Some(json::quote(text).into_bytes()),
        };
        Some(Looked {
            passed: literal(&looked.passed),
            kept: literal(&looked.kept),
            verdicts: looked.verdicts,
            errors: looked.errors,
            questions: looked.questions,
        })
    }
}

impl Findings {
    /// Scans `subjects`, the texts of the JSON body `raw`. `keep_flagged`: whether what is only
    /// flagged may be kept.
    pub fn of_texts<'t, 'a: 't>(
        guarding: &Guarding,
        raw: &str,
        subjects: impl Iterator<Item = Subject<'t, 'a>>,
        keep_flagged: bool,
    ) -> Findings {
        let mut findings = Findings::default();
        let began = Instant::now();
        let mut matched: Vec<(Phase, usize, Vec<Verdict>)> = Vec::new();
        for subject in subjects {
            let Some(looked) = Looked::at(guarding, &subject, keep_flagged) else {
                continue;
            };
            let span = subject.span;
            findings.errors += u64::from(looked.errors);
            findings
                .edits
                .extend(looked.passed.map(|new| (span.range.clone(), new)));
            findings
                .rest_edits
                .extend(looked.kept.map(|new| (span.range.clone(), new)));
            if !looked.verdicts.is_empty() {
                matched.push((subject.phase, span.range.start, looked.verdicts));
                findings.questions.extend(looked.questions);
                findings.questions.truncate(MAX_QUESTIONS);
            }
        }
        // One walk finds all their places.
        let starts: Vec<usize> = matched.iter().map(|(_, start, _)| *start).collect();
        let paths = if starts.is_empty() {
            Vec::new()
        } else {
            json::paths(raw, &starts)
        };
        for ((phase, _, verdicts), path) in matched.iter().zip(&paths) {
            findings.add(guarding, *phase, path, verdicts);
        }
        findings.time += began.elapsed();
        findings
    }

    /// Scans a body that is plain text.
    pub fn of_text(guarding: &Guarding, phase: Phase, text: &str, keep_flagged: bool) -> Findings {
        let mut findings = Findings::default();
        if !guarding.is_active(phase) {
            return findings;
        }
        let began = Instant::now();
        let looked = guarding.look(phase, text, keep_flagged, Escaping::Plain);
        findings.errors = u64::from(looked.errors);
        for (edits, said) in [
            (&mut findings.edits, looked.passed),
            (&mut findings.rest_edits, looked.kept),
        ] {
            if said != text {
                edits.push((0..text.len(), said.into_owned().into_bytes()));
            }
        }
        findings.add(guarding, phase, "body", &looked.verdicts);
        findings.questions = looked.questions;
        findings.time = began.elapsed();
        findings
    }

    /// Takes in verdicts of `phase` on the text at `location`.
    pub fn add(&mut self, guarding: &Guarding, phase: Phase, location: &str, verdicts: &[Verdict]) {
        if verdicts.is_empty() {
            return;
        }
        let at = match self.phases.iter().position(|p| p.phase == phase) {
            Some(at) => at,
            None => {
                self.phases.push(PhaseFindings {
                    phase,
                    listed: Vec::new(),
                    omitted: BTreeMap::new(),
                    action: None,
                });
                self.phases.len() - 1
            }
        };
        let found = &mut self.phases[at];
        for verdict in verdicts {
            // Where nobody can be asked the text stops.
            let action = if verdict.action.stops() {
                Action::Block
            } else {
                verdict.action
            };
            found.action = found.action.max(Some(action));
            if verdict.action.stops() && self.blocked.is_none() {
                self.blocked = Some(CallError::Blocked {
                    rule: verdict.rule.to_string(),
                    entity: verdict.entity.to_string(),
                    phase: phase_name(phase),
                });
            }
            if found.listed.len() == MAX_LISTED {
                *found.omitted.entry((Arc::clone(&verdict.rule), action)).or_default() += 1;
                continue;
            }
            found.listed.push(GuardrailVerdict {
                rule: verdict.rule.to_string(),
                pack: format!("{}@{}", verdict.pack, verdict.pack_version),
                kind: verdict.kind.to_string(),
                entity: verdict.entity.to_string(),
                action: action.to_string(),
                location: location.to_owned(),
                start: verdict.start as u64,
                end: verdict.end as u64,
                score: verdict.score.map(f64::from),
                would: verdict.would.map(|action| action.to_string()),
                decided_by: match verdict.action {
                    Action::Ask => Some("nobody".to_owned()),
                    _ => guarding.decided_by(phase, &verdict.rule).map(str::to_owned),
                },
            });
        }
    }

    /// Adds errors that the policy let pass, and time spent.
    pub fn spend(&mut self, errors: u32, time: Duration) {
        self.errors += u64::from(errors);
        self.time += time;
    }

    /// Time spent looking.
    pub fn time(&self) -> Duration {
        self.time
    }

    /// One event for each phase in which something matched; the matches are counted.
    pub fn events(&self, guarding: &Guarding, metrics: &Metrics) -> Vec<GuardrailEvaluated> {
        metrics.guardrail_fail_open.inc_by(self.errors);
        let events = self.phases.iter().map(|found| {
            for verdict in &found.listed {
                let labels = GuardLabels {
                    rule: verdict.rule.clone(),
                    action: verdict.action.clone(),
                    phase: phase_name(found.phase),
                };
                metrics.guardrail_matches.get_or_create(&labels).inc();
            }
            for ((rule, action), count) in &found.omitted {
                let labels = GuardLabels {
                    rule: rule.to_string(),
                    action: action.to_string(),
                    phase: phase_name(found.phase),
                };
                metrics.guardrail_matches.get_or_create(&labels).inc_by(*count);
            }
            GuardrailEvaluated {
                phase: phase_name(found.phase).to_owned(),
                action: found.action.map(|action| action.to_string()),
                verdicts: found.listed.clone(),
                verdicts_omitted: found.omitted.values().sum(),
                policy_version: guarding.policy.version().to_owned(),
                policy: guarding.name.as_deref().map(str::to_owned),
                errors: self.errors,
                duration_ns: u64::try_from(self.time.as_nanos()).unwrap_or(u64::MAX),
            }
        });
        events.collect()
    }
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Input => "input",
        Phase::Output => "output",
        Phase::Tool => "tool",
    }
}
