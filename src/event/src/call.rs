//! The fold: what a call is, given its events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::body::{CallEnded, CallStarted, GuardrailEvaluated, Latency};
use crate::{Body, CallId, Envelope, Event, JournalId, Json, NanoUsd, Usage, UsageSource};

/// How a call stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// No event ended it yet.
    #[default]
    Open,
    /// It ended with an answer.
    Completed,
    /// It ended with an error.
    Failed,
    /// A guardrail ended it.
    Blocked,
    /// The app went away.
    Cancelled,
    /// A crash cut it.
    Interrupted,
}

impl Status {
    /// As it stands in the `status` column.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Open => "open",
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Blocked => "blocked",
            Status::Cancelled => "cancelled",
            Status::Interrupted => "interrupted",
        }
    }
}

/// What [`Call::apply`] did with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The event changed the call.
    Yes,
    /// Its `seq` was seen before: a redelivery, ignored.
    Duplicate,
    /// A second event that ends the call, ignored: a fault of the producer, to be counted.
    SecondEnd,
    /// A type this version does not know, or one that says nothing of a call.
    Ignored,
}

/// One call: the fold of its events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The call's key; `None` before the first event.
    pub call_id: Option<CallId>,
    /// The journal that recorded it.
    pub journal_id: Option<JournalId>,
    /// Offset of its first event.
    pub first_offset: Option<i64>,
    /// Offset of the last event applied.
    pub last_offset: Option<i64>,
    /// The `seq` that its next event has.
    pub next_seq: u32,
    /// How it stands.
    pub status: Status,
    /// The tenant.
    pub tenant: Option<String>,
    /// The app.
    pub app: Option<String>,
    /// W3C trace id.
    pub trace_id: Option<String>,
    /// The request.
    pub started: CallStarted,
    /// When the request arrived, nanoseconds since 1970.
    pub started_unix_nano: Option<i64>,
    /// When it ended, nanoseconds since 1970.
    pub ended_unix_nano: Option<i64>,
    /// Time of the last event, nanoseconds since 1970.
    pub last_seen_unix_nano: Option<i64>,
    /// How it ended. While it is open, and where a crash cut it, only the status that the app got may be known.
    pub ended: CallEnded,
    /// From arrival to the first byte of the answer, nanoseconds.
    pub ttft_ns: Option<u64>,
    /// The provider of the last attempt.
    pub provider: Option<String>,
    /// Attempts begun.
    pub attempts: u32,
    /// Class of the last failed attempt's error.
    pub attempt_error: Option<String>,
    /// The strongest guardrail action: `block`, `redact` or `flag`.
    pub guardrail_action: Option<String>,
    /// Ids of the rules that matched, in the order they first did.
    pub guardrail_rules: Vec<String>,
    /// `exact` or `semantic`, if a cache answered.
    pub cache: Option<String>,
    /// Scores by name; the last one of a name counts.
    pub scores: BTreeMap<String, f64>,
}

impl Call {
    /// Takes in one more event of this call. The only fold there is: SQL, console, tail and replay
    /// all show its result.
    ///
    /// Events come in the order of `seq`; one whose `seq` is behind changes nothing, so a
    /// redelivered event does no harm.
    pub fn apply(&mut self, event: &Event) -> Applied {
        let e = &event.envelope;
        let Some(call_id) = e.call_id else {
            return Applied::Ignored;
        };
        if e.seq < self.next_seq {
            return Applied::Duplicate;
        }
        if self.call_id.is_none() {
            self.call_id = Some(call_id);
            self.journal_id = Some(e.journal_id);
            self.first_offset = Some(e.offset);
        }
        self.next_seq = e.seq.saturating_add(1);
        self.last_offset = Some(e.offset);
        self.last_seen_unix_nano = Some(e.time_unix_nano);
        match &event.body {
            Body::CallStarted(body) => self.start(e, body),
            Body::GuardrailEvaluated(body) => self.judge(body),
            Body::CacheAnswered(body) => self.cache = Some(body.kind.clone()),
            Body::AttemptStarted(body) => {
                self.provider = Some(body.provider.clone());
                self.attempts = self.attempts.saturating_add(1);
            }
            Body::AttemptFailed(body) => self.attempt_error = Some(body.error_type.clone()),
            Body::ResponseStarted(body) => {
                self.ttft_ns = Some(body.time_to_first_token_ns).filter(|ns| *ns > 0);
                self.ended.http_status = Some(body.http_status).filter(|status| *status > 0);
            }
            Body::CallCompleted(body) => return self.end(e, Status::Completed, body),
            Body::CallFailed(body) => return self.end(e, Status::Failed, body),
            Body::CallBlocked(body) => return self.end(e, Status::Blocked, body),
            Body::CallCancelled(body) => return self.end(e, Status::Cancelled, body),
            Body::CallInterrupted(body) => {
                let ended = CallEnded {
                    error_code: Some(body.reason.clone()),
                    ..CallEnded::default()
                };
                return self.end(e, Status::Interrupted, &ended);
            }
            Body::ScoreRecorded(body) => {
                if let Some(value) = body.value {
                    self.scores.insert(body.name.clone(), value);
                }
            }
            _ => return Applied::Ignored,
        }
        Applied::Yes
    }

    /// Whether an event ended the call.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.status != Status::Open
    }

    /// The token counts, disjoint.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.ended.usage()
    }

    /// Who counted the tokens.
    #[must_use]
    pub fn usage_source(&self) -> Option<UsageSource> {
        self.ended.usage_source
    }

    /// The cost, if it is known.
    #[must_use]
    pub fn cost(&self) -> Option<NanoUsd> {
        self.ended.cost
    }

    /// From arrival to the end, nanoseconds, as measured. `None` while the call is open, where a crash cut it,
    /// and where its end does not say.
    #[must_use]
    pub fn duration_ns(&self) -> Option<u64> {
        self.latency().map(|latency| latency.total_ns)
    }

    /// Weir's own share of [`Call::duration_ns`], nanoseconds; `None` where that is unknown.
    #[must_use]
    pub fn overhead_ns(&self) -> Option<u64> {
        self.latency().map(|latency| latency.self_ns)
    }

    /// Nothing takes no time: a total of 0 is an end that says nothing of it, or one that could not be read.
    fn latency(&self) -> Option<&Latency> {
        Some(&self.ended.latency).filter(|latency| latency.total_ns > 0)
    }

    /// The prompt as plain text, from the request body.
    #[must_use]
    pub fn request_text(&self) -> Option<String> {
        self.started
            .request_body
            .as_ref()
            .map(Json::get)
            .and_then(crate::text::of_request)
    }

    /// The answer as plain text, from the response body.
    #[must_use]
    pub fn response_text(&self) -> Option<String> {
        self.ended
            .response_body
            .as_ref()
            .map(Json::get)
            .and_then(crate::text::of_response)
    }

    fn start(&mut self, e: &Envelope, body: &CallStarted) {
        self.tenant.clone_from(&e.tenant);
        self.app.clone_from(&e.app);
        self.trace_id.clone_from(&e.trace_id);
        self.started_unix_nano = Some(e.time_unix_nano);
        self.started = body.clone();
    }

    fn judge(&mut self, body: &GuardrailEvaluated) {
        if strength(body.action.as_deref()) > strength(self.guardrail_action.as_deref()) {
            self.guardrail_action.clone_from(&body.action);
        }
        for verdict in &body.verdicts {
            if !self.guardrail_rules.contains(&verdict.rule) {
                self.guardrail_rules.push(verdict.rule.clone());
            }
        }
    }

    fn end(&mut self, e: &Envelope, status: Status, body: &CallEnded) -> Applied {
        if self.is_ended() {
            return Applied::SecondEnd;
        }
        self.status = status;
        self.ended_unix_nano = Some(e.time_unix_nano);
        // A stream may begin with bytes that are no part of the answer: the end knows better.
        self.ttft_ns = body.time_to_first_token_ns.or(self.ttft_ns);
        // An end that knows of no status, as after a crash, takes nothing back from what the app got.
        let http_status = body.http_status.or(self.ended.http_status);
        self.ended = CallEnded {
            http_status,
            ..body.clone()
        };
        Applied::Yes
    }
}

fn strength(action: Option<&str>) -> u8 {
    match action {
        None => 0,
        Some("flag") => 1,
        Some("redact") => 2,
        // An action of a newer version is at least as strong as a redaction.
        Some("block") => 4,
        Some(_) => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{CallInterrupted, ResponseStarted};
    use crate::{Chain, EventId};

    fn folded(bodies: Vec<Body>) -> Call {
        let (call_id, journal_id) = (CallId::new(), JournalId::new());
        let mut call = Call::default();
        for (body, seq) in bodies.into_iter().zip(0u32..) {
            let envelope = Envelope {
                v: 1,
                event_id: EventId::new(),
                event_type: body.event_type().as_str().to_owned(),
                call_id: Some(call_id),
                seq,
                time_unix_nano: i64::from(seq) + 1,
                tenant: None,
                app: None,
                trace_id: None,
                span_id: None,
                journal_id,
                offset: i64::from(seq),
                chain: Chain::START,
            };
            assert_eq!(call.apply(&Event { envelope, body }), Applied::Yes);
        }
        call
    }

    fn stream(http_status: u16, end: Body) -> Call {
        let began = ResponseStarted {
            http_status,
            time_to_first_token_ns: 7,
            ..ResponseStarted::default()
        };
        folded(vec![
            Body::CallStarted(Box::default()),
            Body::ResponseStarted(Box::new(began)),
            end,
        ])
    }

    #[test]
    fn a_stream_that_a_crash_cut_keeps_the_status_that_the_app_got() {
        let cut = || Body::CallInterrupted(Box::<CallInterrupted>::default());
        let call = stream(200, cut());
        assert_eq!((call.ended.http_status, call.ttft_ns), (Some(200), Some(7)));
        assert_eq!(stream(0, cut()).ended.http_status, None, "unknown");
        let end = |http_status| {
            Body::CallFailed(Box::new(CallEnded {
                http_status,
                ..CallEnded::default()
            }))
        };
        assert_eq!(stream(200, end(None)).ended.http_status, Some(200));
        assert_eq!(stream(200, end(Some(502))).ended.http_status, Some(502));
    }

    #[test]
    fn what_an_end_does_not_say_is_unknown_and_not_nothing() {
        let ended = |latency| {
            let end = CallEnded {
                latency,
                ..CallEnded::default()
            };
            stream(200, Body::CallCompleted(Box::new(end)))
        };
        let known = ended(Latency {
            total_ns: 9,
            ..Latency::default()
        });
        assert_eq!((known.duration_ns(), known.overhead_ns()), (Some(9), Some(0)));
        let unknown = ended(Latency::default());
        assert_eq!((unknown.duration_ns(), unknown.overhead_ns()), (None, None));
    }
}
