//! The vocabulary of a verdict: where a rule looks, what it found, and what is to be done about it.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::views::View;

/// Whose text is being looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// What the app sends to the model: prompts, system messages, history.
    Input,
    /// What the model answers, reasoning included.
    Output,
    /// Results of tools. The arguments of a call are output where the model makes it, input in what is sent.
    Tool,
}

impl Phase {
    /// Every phase, in a fixed order.
    pub const ALL: [Phase; 3] = [Phase::Input, Phase::Output, Phase::Tool];

    pub(crate) fn index(self) -> usize {
        match self {
            Phase::Input => 0,
            Phase::Output => 1,
            Phase::Tool => 2,
        }
    }
}

/// The phases in which a rule is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phases {
    /// Only what the app sends.
    Input,
    /// Only what the model answers.
    Output,
    /// Input and output, not tools.
    Both,
    /// Only results of tools.
    Tool,
    /// Everywhere.
    All,
}

impl Phases {
    /// Whether `phase` is among these.
    pub fn contains(self, phase: Phase) -> bool {
        match self {
            Phases::Input => phase == Phase::Input,
            Phases::Output => phase == Phase::Output,
            Phases::Both => phase != Phase::Tool,
            Phases::Tool => phase == Phase::Tool,
            Phases::All => true,
        }
    }
}

/// What is done about a match, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The text passes, the match is recorded.
    Flag,
    /// The matched span is replaced by a typed placeholder such as `[EMAIL]`.
    Redact,
    /// The matched span is replaced by a token such as `[EMAIL_1]`, which the session's vault turns back
    /// into the value where it comes back; where there is no session, by a placeholder.
    Vault,
    /// Somebody else decides, a webhook in Weir. Where nobody can be asked, as in a stream under way, the
    /// text stops.
    Ask,
    /// The text stops before the match.
    Block,
}

impl Action {
    /// Whether nothing of a text travels on from such a match.
    pub fn stops(self) -> bool {
        matches!(self, Action::Ask | Action::Block)
    }

    /// Whether a match with this action leaves nothing to do about one with `inner` that lies within it. What
    /// is asked about may turn out to be nothing, and what goes to a vault comes back.
    pub(crate) fn covers(self, inner: Action) -> bool {
        match self {
            Action::Ask => false,
            Action::Vault => matches!(inner, Action::Vault | Action::Flag),
            _ => self >= inner,
        }
    }
}

/// The family of what a rule looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Personal data.
    Pii,
    /// Credentials and keys.
    Secret,
    /// Attempts to override the instructions of the model.
    Injection,
    /// Text that gives away a system prompt or internal data.
    Leak,
    /// Ways to carry data out: image links, scripts, shell commands.
    Exfil,
    /// Insults, hate, threats.
    Toxicity,
    /// Subjects that the operator excludes.
    Topic,
    /// Answers of the wrong form.
    Format,
}

impl Kind {
    /// Every kind, in a fixed order.
    pub const ALL: [Kind; 8] = [
        Kind::Pii,
        Kind::Secret,
        Kind::Injection,
        Kind::Leak,
        Kind::Exfil,
        Kind::Toxicity,
        Kind::Topic,
        Kind::Format,
    ];

    /// Whether a value of this kind must never be stored once a rule acts on it.
    pub(crate) fn is_sensitive(self) -> bool {
        matches!(self, Kind::Pii | Kind::Secret)
    }

    /// Whether a match of this kind stands for one of kind `inner` within it. Personal data does not stand
    /// for a secret: what looks like an address may be `password@host` of a URL.
    pub(crate) fn stands_for(self, inner: Kind) -> bool {
        self == inner || (self == Kind::Secret && inner == Kind::Pii)
    }
}

macro_rules! display_lowercase {
    ($($type:ident { $($variant:ident => $text:literal),+ $(,)? })+) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($type::$variant => $text),+ })
            }
        }
    )+};
}
display_lowercase! {
    Phase { Input => "input", Output => "output", Tool => "tool" }
    Action { Flag => "flag", Redact => "redact", Vault => "vault", Ask => "ask", Block => "block" }
    Kind {
        Pii => "pii", Secret => "secret", Injection => "injection", Leak => "leak",
        Exfil => "exfil", Toxicity => "toxicity", Topic => "topic", Format => "format",
    }
}

/// One match of one rule, and what the policy makes of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The rule's full id, `pack.rule`, such as `pii.email`; [`GUARD_ERROR`] if the engine gave up.
    pub rule: Arc<str>,
    /// The name of the pack that holds the rule.
    pub pack: Arc<str>,
    /// That pack's version.
    pub pack_version: Arc<str>,
    /// The family of the rule.
    pub kind: Kind,
    /// What was found, in capitals, as it stands in the placeholder: `EMAIL`.
    pub entity: Arc<str>,
    /// What is to be done.
    pub action: Action,
    /// What would have been done if the policy did more than watch; `None` where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would: Option<Action>,
    /// First byte of the match in the original text of this scan or stream.
    pub start: usize,
    /// One past the last byte of the match in the original text of this scan or stream.
    pub end: usize,
    /// How sure the rule is, 0 to 1; `None` if the rule does not grade its matches.
    pub score: Option<f32>,
    /// What was undone to see it, such as base64; `None` if it is plain to see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view: Option<View>,
}

/// Rule id of the verdict that says: the engine reached a limit and the rest was not looked at.
pub const GUARD_ERROR: &str = "weir.guard_error";
