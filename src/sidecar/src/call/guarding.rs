//! What guards one call: its policy, what checks know of the call, and its session's vault.

use std::borrow::Cow;
use std::sync::Arc;

use guard::{Action, CallContext, Escaping, Outcome, Phase, Policy, Scanner, Schema, SessionVault, Verdict};

use super::ask::{Decided, MAX_QUESTIONS, Question};

/// The guardrails of one call.
#[derive(Clone, Debug)]
pub struct Guarding {
    /// The policy.
    pub policy: Arc<Policy>,
    /// Its name; `None` for the one of calls that no other is for.
    pub name: Option<Arc<str>>,
    context: CallContext,
    vault: Option<SessionVault>,
    decided: Vec<Decided>,
}

/// A whole text as the guardrails leave it.
pub struct Seen<'t> {
    /// What was found.
    pub verdicts: Vec<Verdict>,
    /// Errors that the policy let pass.
    pub errors: u32,
    /// What goes on its way.
    pub passed: Cow<'t, str>,
    /// What may be kept.
    pub kept: Cow<'t, str>,
    /// Matches that nobody has decided about; they stop the text.
    pub questions: Vec<Question>,
}

impl Guarding {
    /// `policy`, with nothing known of the call yet.
    pub fn new(policy: Arc<Policy>, name: Option<Arc<str>>) -> Guarding {
        Guarding {
            policy,
            name,
            decided: Vec::new(),
            context: CallContext::default(),
            vault: None,
        }
    }

    /// Whether anything looks at `phase`, or answers have values to be put back.
    pub fn is_active(&self, phase: Phase) -> bool {
        self.policy.is_active(phase) || (phase == Phase::Output && self.vault.is_some())
    }

    /// The system prompt of the call, if a check compares answers with it.
    pub fn learn_prompt(&mut self, prompt: &str) {
        self.context = std::mem::take(&mut self.context).with_system_prompt(prompt);
    }

    /// Whether a check wants to know the system prompt.
    pub fn wants_prompt(&self) -> bool {
        self.policy.compares_with_prompt()
    }

    /// Whether a check wants to know the form that was asked for.
    pub fn wants_schema(&self) -> bool {
        self.policy.follows_schema()
    }

    /// The form that was asked for. One that cannot be followed is told and not checked.
    pub fn learn_schema(&mut self, schema: &str) {
        match Schema::parse(schema) {
            Ok(schema) => self.context = std::mem::take(&mut self.context).with_response_schema(Arc::new(schema)),
            Err(error) => tracing::debug!(%error, "the form of an answer is not checked"),
        }
    }

    /// Values of rules with the action `vault` go to `session` and come back from it.
    pub fn use_vault(&mut self, session: SessionVault) {
        self.context = std::mem::take(&mut self.context).with_vault(session.clone());
        self.vault = Some(session);
    }

    /// Takes in what was decided about questions of [`Seen`]: texts are to be looked at again.
    pub fn decide(&mut self, decided: Vec<Decided>) {
        self.decided.extend(decided);
    }

    /// Who decided about the matches of `rule`.
    pub fn decided_by(&self, phase: Phase, rule: &str) -> Option<&'static str> {
        let mut decided = self.decided.iter();
        decided
            .find(|d| d.question.phase == phase && *d.question.rule == *rule)
            .map(|d| d.by)
    }

    /// The session's vault.
    pub fn vault(&self) -> Option<&SessionVault> {
        self.vault.as_ref()
    }

    /// A scanner for a stream of this call. `answer`: whether it is the answer itself, which may have
    /// to have a form.
    pub fn scanner(&self, phase: Phase, answer: bool) -> Scanner {
        match answer {
            true => self.policy.scanner_with(phase, &self.context),
            false => self.policy.scanner_with(phase, &self.context.aside()),
        }
    }

    /// Looks at a whole text that is not the answer itself: [`Guarding::look_at`].
    pub fn look<'t>(&self, phase: Phase, text: &'t str, keep_flagged: bool, escaping: Escaping) -> Seen<'t> {
        self.look_at(phase, text, keep_flagged, escaping, &self.context.aside())
    }

    /// Looks at the answer itself: [`Guarding::look_at`].
    pub fn look_at_answer<'t>(&self, text: &'t str, keep_flagged: bool, escaping: Escaping) -> Seen<'t> {
        self.look_at(Phase::Output, text, keep_flagged, escaping, &self.context)
    }

    /// Looks at a whole text. `keep_flagged`: whether what is only flagged may be kept. `escaping`:
    /// how values that are put back are written.
    fn look_at<'t>(
        &self,
        phase: Phase,
        text: &'t str,
        keep_flagged: bool,
        escaping: Escaping,
        context: &CallContext,
    ) -> Seen<'t> {
        let mut outcome = self.policy.scan_with(phase, text, context);
        let mut questions = Vec::new();
        outcome.decide(|verdict| {
            // The same match may stand in several texts, and be judged by what is around it: the strongest counts.
            let about = self
                .decided
                .iter()
                .filter(|d| d.question.is_about(verdict, phase, text));
            let decided = about.max_by_key(|d| d.decision);
            if decided.is_none() && questions.len() < MAX_QUESTIONS {
                questions.push(Question::new(verdict, phase, text));
            }
            decided.map_or(Some(Action::Ask), |decided| decided.decision.action())
        });
        let (passed, kept) = match (&self.vault, phase) {
            (None, _) => (outcome.redacted(text), outcome.at_rest(text, keep_flagged)),
            (Some(vault), Phase::Output) => {
                let kept = outcome.at_rest(text, keep_flagged);
                (restored(vault, &outcome, text, escaping), kept)
            }
            (Some(vault), _) => (
                outcome.vaulted(text, vault),
                outcome.at_rest_vaulted(text, keep_flagged, vault),
            ),
        };
        Seen {
            verdicts: outcome.verdicts,
            errors: outcome.errors,
            passed,
            kept,
            questions,
        }
    }
}

/// An answer as the app gets it: with the values of its session, and with those of its own that
/// would only have gone to the vault and come back. What the vault does not take stays redacted, as in a
/// stream.
fn restored<'t>(vault: &SessionVault, outcome: &Outcome, text: &'t str, escaping: Escaping) -> Cow<'t, str> {
    let mut acted = outcome.clone();
    acted.verdicts.retain(|verdict| {
        let value = text.get(verdict.start..verdict.end);
        verdict.action != Action::Vault || !value.is_some_and(|value| vault.takes(&verdict.entity, value))
    });
    let redacted = acted.redacted(text);
    let restored = vault.restore(&redacted, escaping);
    if restored == text {
        return Cow::Borrowed(text);
    }
    Cow::Owned(restored)
}

#[cfg(test)]
mod tests {
    use guard::{Kind, Pack, PolicySpec, Vault, VaultLimits};

    use super::*;

    /// A session that is full takes no more values, of an answer that streams as of one that does not.
    #[test]
    fn a_full_session_is_the_same_for_streams() {
        let spec = PolicySpec {
            actions: [(Kind::Pii, Action::Vault)].into_iter().collect(),
            ..PolicySpec::default()
        };
        let policy = Arc::new(Policy::compile(&spec, &Pack::builtin()).unwrap());
        let answer = "Write to ann@example.org or bob@example.org, not to joe@example.org.";
        let vault = Vault::new(VaultLimits {
            entries: 2,
            ..VaultLimits::default()
        });
        let guarding = || {
            let mut guarding = Guarding::new(Arc::clone(&policy), None);
            guarding.use_vault(vault.alone());
            guarding
        };
        let whole = guarding();
        let seen = whole.look_at_answer(answer, true, Escaping::Plain);
        assert_eq!(
            seen.passed,
            "Write to ann@example.org or bob@example.org, not to [EMAIL]."
        );
        let streamed = guarding();
        let mut scanner = streamed.scanner(Phase::Output, true);
        let mut restorer = streamed.vault().unwrap().restorer(Escaping::Plain);
        let mut passed = String::new();
        for piece in answer.as_bytes().chunks(5) {
            passed.push_str(&restorer.push(&scanner.push(std::str::from_utf8(piece).unwrap()).text));
        }
        passed.push_str(&restorer.push(&scanner.finish().text));
        passed.push_str(&restorer.finish());
        assert_eq!(passed, seen.passed);
    }
}
