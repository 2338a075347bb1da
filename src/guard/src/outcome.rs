//! What a scan found, and the texts that follow from it.

use std::borrow::Cow;

use crate::types::{Action, GUARD_ERROR, Verdict};
use crate::vault::SessionVault;

/// The verdicts on one whole text, in order: by start, then stronger action, then longer match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Every match that counts. A match that lies within another of the same family and of at least
    /// its action is left out.
    pub verdicts: Vec<Verdict>,
    /// How often the engine reached its step budget. With `on_error = "block"` there is a verdict of
    /// rule [`GUARD_ERROR`] as well.
    pub errors: u32,
}

/// Text that may leave now, and what was found since the last one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Release {
    /// Released text, redacted where the policy says so.
    pub text: String,
    /// The verdicts that became certain, in order; offsets count from the start of the stream.
    pub verdicts: Vec<Verdict>,
    /// Whether the stream is blocked, by this or an earlier verdict. Nothing is released any more.
    pub blocked: bool,
    /// How often the engine reached its step budget since the last release.
    pub errors: u32,
}

impl Outcome {
    /// The strongest action among the verdicts; `None` if there are none.
    pub fn action(&self) -> Option<Action> {
        self.verdicts.iter().map(|v| v.action).max()
    }

    /// The first verdict that blocks.
    pub fn blocking(&self) -> Option<&Verdict> {
        self.verdicts.iter().find(|v| v.action.stops())
    }

    /// `text` with each redacted span replaced by its placeholder, such as `[EMAIL]`. Spans that
    /// overlap become one, under the first one's name. A caller that passes on a blocked text all
    /// the same gets the blocked spans replaced, too, and nothing after a guard error.
    pub fn redacted<'t>(&self, text: &'t str) -> Cow<'t, str> {
        mask(text, self.verdicts.iter().filter(|v| v.action >= Action::Redact))
    }

    /// `text` with the values of rules with the action `vault` replaced by tokens of `session`, and redacted
    /// as in [`Outcome::redacted`]. For texts on their way to a model: what looks like a token of the
    /// session already, and was typed by somebody, is replaced as well, so that it comes back as typed.
    pub fn vaulted<'t>(&self, text: &'t str, session: &SessionVault) -> Cow<'t, str> {
        let verdicts = self.verdicts.iter().filter(|v| v.action >= Action::Redact);
        session.mask(text, verdicts)
    }

    /// [`Outcome::at_rest`] with the tokens of `session`: the value itself is never stored.
    pub fn at_rest_vaulted<'t>(&self, text: &'t str, keep_flagged: bool, session: &SessionVault) -> Cow<'t, str> {
        let masked = |v: &&Verdict| is_masked(v, keep_flagged);
        session.mask(text, self.verdicts.iter().filter(masked))
    }

    /// What may be stored of `text`: redacted spans are masked; blocked ones are masked if they are
    /// personal data or secrets; flagged ones, and blocked ones of other kinds, unless
    /// `keep_flagged`. Nothing after a guard error is kept: nobody looked at it.
    pub fn at_rest<'t>(&self, text: &'t str, keep_flagged: bool) -> Cow<'t, str> {
        let masked = |v: &&Verdict| is_masked(v, keep_flagged);
        mask(text, self.verdicts.iter().filter(masked))
    }

    /// Puts what `decide` says in place of [`Action::Ask`]; `None` takes the verdict back.
    pub fn decide(&mut self, mut decide: impl FnMut(&Verdict) -> Option<Action>) {
        self.verdicts.retain_mut(|verdict| {
            if verdict.action != Action::Ask {
                return true;
            }
            let decided = decide(verdict);
            verdict.action = decided.unwrap_or(Action::Ask);
            decided.is_some()
        });
    }

    /// What a stream of `text` releases in all: everything if nothing blocks, else everything before
    /// the first blocking match, redacted in both cases.
    pub fn release(&self, text: &str) -> Release {
        self.release_with(text, None)
    }

    /// The same, with the tokens of `session`.
    pub(crate) fn release_with(&self, text: &str, session: Option<&SessionVault>) -> Release {
        let end = self.blocking().map_or(text.len(), |v| v.start);
        let redacted = self
            .verdicts
            .iter()
            .filter(|v| matches!(v.action, Action::Redact | Action::Vault) && v.start < end);
        let text = match session {
            // A value that begins before the block and reaches into it is kept whole.
            Some(session) => {
                let end = redacted.clone().map(|v| v.end).fold(end, usize::max);
                session.mask(&text[..end], redacted)
            }
            None => mask(&text[..end], redacted),
        };
        Release {
            text: text.into_owned(),
            verdicts: self.verdicts.clone(),
            blocked: self.blocking().is_some(),
            errors: self.errors,
        }
    }
}

fn is_masked(verdict: &Verdict, keep_flagged: bool) -> bool {
    match verdict.action {
        Action::Redact | Action::Vault => true,
        Action::Ask | Action::Block if verdict.kind.is_sensitive() || &*verdict.rule == GUARD_ERROR => true,
        Action::Ask | Action::Block | Action::Flag => !keep_flagged,
    }
}

/// Replaces the spans of `verdicts`, which come in order of their start and may reach beyond `text`.
fn mask<'t, 'v>(text: &'t str, verdicts: impl Iterator<Item = &'v Verdict>) -> Cow<'t, str> {
    let mut out = String::new();
    let mut done = 0;
    for verdict in verdicts {
        let unseen = &*verdict.rule == GUARD_ERROR;
        if verdict.start >= done && (verdict.start < text.len() || unseen) {
            out.push_str(&text[done..verdict.start]);
            push_placeholder(&mut out, &verdict.entity);
        }
        done = done.max(if unseen {
            text.len()
        } else {
            verdict.end.min(text.len())
        });
    }
    if done == 0 && out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

pub(crate) fn push_placeholder(out: &mut String, entity: &str) {
    out.push('[');
    out.push_str(entity);
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Kind;

    fn verdict(action: Action, kind: Kind, entity: &str, start: usize, end: usize) -> Verdict {
        Verdict {
            rule: "t.r".into(),
            pack: "t".into(),
            pack_version: "1".into(),
            kind,
            entity: entity.into(),
            action,
            would: None,
            start,
            end,
            score: None,
            view: None,
        }
    }

    #[test]
    fn what_is_asked_stops_until_it_is_decided() {
        let mut outcome = Outcome {
            verdicts: vec![
                verdict(Action::Ask, Kind::Pii, "A", 0, 1),
                verdict(Action::Ask, Kind::Pii, "B", 1, 2),
                verdict(Action::Ask, Kind::Pii, "C", 2, 3),
            ],
            errors: 0,
        };
        assert!(outcome.blocking().is_some());
        assert_eq!(outcome.at_rest("abcd", true), "[A][B][C]d");
        outcome.decide(|verdict| match &*verdict.entity {
            "A" => Some(Action::Redact),
            "B" => Some(Action::Flag),
            _ => None,
        });
        assert_eq!(outcome.blocking(), None);
        assert_eq!(outcome.redacted("abcd"), "[A]bcd");
        assert_eq!(outcome.verdicts.len(), 2);
    }

    #[test]
    fn overlapping_spans_become_one_placeholder() {
        let outcome = Outcome {
            verdicts: vec![
                verdict(Action::Redact, Kind::Pii, "A", 2, 5),
                verdict(Action::Redact, Kind::Pii, "B", 4, 8),
                verdict(Action::Redact, Kind::Pii, "C", 8, 9),
            ],
            errors: 0,
        };
        assert_eq!(outcome.redacted("0123456789"), "01[A][C]9");
    }

    #[test]
    fn nothing_found_borrows() {
        assert!(matches!(Outcome::default().redacted("abc"), Cow::Borrowed("abc")));
    }

    #[test]
    fn at_rest_keeps_only_what_it_may() {
        let outcome = Outcome {
            verdicts: vec![
                verdict(Action::Flag, Kind::Pii, "FLAG", 0, 1),
                verdict(Action::Redact, Kind::Pii, "MASK", 1, 2),
                verdict(Action::Block, Kind::Secret, "KEY", 2, 3),
                verdict(Action::Block, Kind::Injection, "ATTACK", 3, 4),
            ],
            errors: 0,
        };
        assert_eq!(outcome.at_rest("abcde", true), "a[MASK][KEY]de");
        assert_eq!(outcome.at_rest("abcde", false), "[FLAG][MASK][KEY][ATTACK]e");
        assert_eq!(outcome.release("abcde").text, "a[MASK]");
        assert_eq!(outcome.redacted("abcde"), "a[MASK][KEY][ATTACK]e");
    }

    #[test]
    fn nothing_unseen_is_stored() {
        let mut error = verdict(Action::Block, Kind::Format, "GUARD_ERROR", 2, 2);
        error.rule = GUARD_ERROR.into();
        let outcome = Outcome {
            verdicts: vec![error],
            errors: 1,
        };
        assert_eq!(outcome.at_rest("abcde", true), "ab[GUARD_ERROR]");
        assert_eq!(outcome.release("abcde").text, "ab");
    }
}
