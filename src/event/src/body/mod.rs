//! What happened: one struct a type of event.
//!
//! Attribute names are OpenTelemetry's GenAI semantic conventions where it has one
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/>, still experimental), else under `weir.`.
//! An absent attribute is unknown. New attributes may be added within a version; readers pass over
//! those they do not know.

mod attempt;
mod ended;
mod guardrail;
mod life;
mod started;

pub use attempt::{AttemptFailed, AttemptStarted, ResponseStarted};
pub use ended::{CallEnded, CallInterrupted, Latency};
pub use guardrail::{GuardrailEvaluated, GuardrailVerdict};
pub use life::{
    BudgetExhausted, CacheAnswered, CircuitChanged, ConfigChanged, JournalShed, ScoreRecorded, SidecarStarted,
    SidecarStopped,
};
pub use started::CallStarted;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{DecodeError, Json};

macro_rules! events {
    ($($(#[$doc:meta])* $variant:ident($body:ty) = $name:literal,)*) => {
        /// The type of an event, as its envelope names it.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum EventType {
            $($(#[$doc])* $variant,)*
            /// A type that this version does not know.
            Unknown(String),
        }

        impl EventType {
            /// Every known type.
            pub const KNOWN: &'static [&'static str] = &[$($name),*];

            /// The name in the envelope.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(EventType::$variant => $name,)*
                    EventType::Unknown(name) => name,
                }
            }
        }

        impl From<&str> for EventType {
            fn from(name: &str) -> EventType {
                match name {
                    $($name => EventType::$variant,)*
                    other => EventType::Unknown(other.to_owned()),
                }
            }
        }

        /// What happened.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Body {
            $($(#[$doc])* $variant(Box<$body>),)*
            /// A type that this version does not know: kept, and passed over by the fold.
            Unknown {
                /// The envelope's `type`.
                event_type: String,
                /// The body as it came.
                body: Json,
            },
        }

        impl Body {
            /// The type of this body.
            #[must_use]
            pub fn event_type(&self) -> EventType {
                match self {
                    $(Body::$variant(_) => EventType::$variant,)*
                    Body::Unknown { event_type, .. } => EventType::Unknown(event_type.clone()),
                }
            }

            pub(crate) fn to_raw(&self) -> Result<Box<RawValue>, serde_json::Error> {
                match self {
                    $(Body::$variant(body) => raw(body.as_ref()),)*
                    Body::Unknown { body, .. } => raw(body),
                }
            }

            /// Reads the body of an event of type `event_type`.
            pub fn parse(event_type: &str, body: &Json) -> Result<Body, DecodeError> {
                let wrong = |source| DecodeError::Body { event_type: event_type.to_owned(), source };
                Ok(match event_type {
                    $($name => Body::$variant(serde_json::from_str(body.get()).map_err(wrong)?),)*
                    other => Body::Unknown { event_type: other.to_owned(), body: body.clone() },
                })
            }

            pub(crate) fn schemas(generator: &mut schemars::SchemaGenerator) -> Vec<(&'static str, schemars::Schema)> {
                vec![$(($name, generator.subschema_for::<$body>()),)*]
            }
        }
    };
}

events! {
    /// An app's request arrived and was read.
    CallStarted(CallStarted) = "call.started",
    /// A guardrail phase matched something.
    GuardrailEvaluated(GuardrailEvaluated) = "guardrail.evaluated",
    /// The answer came from a cache.
    CacheAnswered(CacheAnswered) = "cache.answered",
    /// A request to one provider began.
    AttemptStarted(AttemptStarted) = "attempt.started",
    /// A request to one provider failed.
    AttemptFailed(AttemptFailed) = "attempt.failed",
    /// The first byte of the answer went to the app.
    ResponseStarted(ResponseStarted) = "response.started",
    /// The call ended with an answer.
    CallCompleted(CallEnded) = "call.completed",
    /// The call ended with an error.
    CallFailed(CallEnded) = "call.failed",
    /// A guardrail ended the call.
    CallBlocked(CallEnded) = "call.blocked",
    /// The app went away before the end.
    CallCancelled(CallEnded) = "call.cancelled",
    /// A crash left the call open; written at the next start.
    CallInterrupted(CallInterrupted) = "call.interrupted",
    /// Somebody judged a call.
    ScoreRecorded(ScoreRecorded) = "score.recorded",
    /// A sidecar began to serve.
    SidecarStarted(SidecarStarted) = "sidecar.started",
    /// A sidecar stopped in order.
    SidecarStopped(SidecarStopped) = "sidecar.stopped",
    /// The configuration was reloaded, or a reload was refused.
    ConfigChanged(ConfigChanged) = "config.changed",
    /// A budget ran out.
    BudgetExhausted(BudgetExhausted) = "budget.exhausted",
    /// A (provider, credential) pair is avoided from now on.
    CircuitOpened(CircuitChanged) = "circuit.opened",
    /// It is used again.
    CircuitClosed(CircuitChanged) = "circuit.closed",
    /// The journal was full and its policy was to shed.
    JournalShed(JournalShed) = "journal.shed",
}

impl EventType {
    /// Whether this event ends a call. Exactly one such event ends each call.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(
            self,
            EventType::CallCompleted
                | EventType::CallFailed
                | EventType::CallBlocked
                | EventType::CallCancelled
                | EventType::CallInterrupted
        )
    }
}

fn raw<T: Serialize>(body: &T) -> Result<Box<RawValue>, serde_json::Error> {
    to_raw_value(body)
}
