//! How a streamed answer ends: what was held leaves, the call is recorded, then the last frame follows.

use bytes::Bytes;
use event::{Body, Json, Status, UsageSource};
use guard::Phase;
use hyper::body::Body as _;
use provider::openai::Channel;
use provider::openai::stream::{self as wire, Assembled, Assembler};
use provider::sse::{self, Frame};

use super::StreamedAnswer;
use crate::call::findings::{Findings, Subject};
use crate::call::lanes::Processed;
use crate::call::refusal;
use crate::config::{OnBlock, Record};
use crate::error::CallError;

/// How a stream came to its end.
pub(super) enum End {
    /// With `[DONE]`, or the event that ends a response; the frame as it may leave.
    Done(Bytes),
    /// The provider closed the stream.
    Closed,
    /// A guardrail stopped it.
    Blocked(CallError),
    /// It broke.
    Broken(CallError),
    /// The app went away.
    Cancelled,
}

/// Whether a frame without its blank line is all there.
fn is_whole(frame: &Frame) -> bool {
    match frame.data() {
        Some(data) => data.trim().is_empty() || frame.is_done() || wire::parse(data).is_ok(),
        None => frame.raw.starts_with(b":"),
    }
}

impl StreamedAnswer {
    /// The provider closed the stream without `[DONE]`.
    pub(super) fn closed(&mut self) {
        if let Some(conn) = self.conn.take() {
            conn.release();
        }
        let rest = std::mem::take(&mut self.decoder).finish();
        match rest {
            // Of what nobody reads every byte passes.
            Ok(Some(frame)) if self.assembler.is_none() => self.frame(&frame),
            // Some servers leave out the last blank line. What follows it here must not become a part of it.
            Ok(Some(frame)) if frame.complete || is_whole(&frame) => self.frame(&frame.completed()),
            // Half a frame cannot be looked at, and is of no use to the app either.
            Ok(Some(_)) | Err(_) => self.record.draft.truncated = true,
            Ok(None) => {}
        }
        self.end(End::Closed);
    }

    /// Ends the stream: what was held and is clean leaves, the call is recorded, and only then
    /// follows the last frame.
    pub(super) fn end(&mut self, end: End) {
        if self.finished {
            return;
        }
        self.finished = true;
        let mut end = end;
        if !matches!(end, End::Blocked(_) | End::Cancelled)
            && let Some(lanes) = &mut self.lanes
        {
            let Processed { before, blocked, .. } = lanes.flush();
            for made in before {
                self.give_made(&made);
            }
            if let Some(blocked) = blocked {
                end = End::Blocked(blocked);
            }
        }
        if let End::Blocked(_) = &end {
            self.finish_choices();
        }
        if !matches!(end, End::Cancelled) {
            self.record.time.mark_first_token();
            // All of it was held until now: the beginning is written with the end.
            if !std::mem::replace(&mut self.started, true) {
                // A failure shows when the end is written.
                let _ = self.add_started();
            }
        }
        let assembled = self.assembler.take().map(Assembler::finish);
        let (status, last) = self.verdict(&end, assembled.as_ref());
        self.keep(status, assembled, last.len());
        self.free_upstream(&end);
        let ended = std::mem::take(&mut self.record.draft);
        match self.record.end(status, ended) {
            Ok(offset) => {
                self.out.extend_from_slice(&last);
                self.durable = Some(Box::pin(self.record.shared().journal.durable(offset)));
            }
            Err(error) => self.out.extend_from_slice(&sse::encode(None, &error.body())),
        }
    }

    /// After a block: what tells the app that each choice is over.
    fn finish_choices(&mut self) {
        if self.record.endpoint.answers_responses() {
            let message = serde_json::json!({
                "type": "error", "code": "guardrail_blocked", "message": "stopped by a guardrail", "param": null,
            });
            self.out
                .extend_from_slice(&sse::encode(Some("error"), &message.to_string()));
            return;
        }
        let Some(lanes) = &self.lanes else { return };
        let (template, choices) = (lanes.template().to_owned(), lanes.open_choices());
        let refusal = (self.snapshot.recording.on_block == OnBlock::Refusal)
            .then(|| self.snapshot.recording.refusal_message.clone());
        for choice in choices {
            if let Some(message) = &refusal {
                let data = wire::text_frame(&template, choice, &Channel::Content, message);
                self.give(&data, &sse::encode(None, &data));
            }
            let data = wire::finish_frame(&template, choice, refusal::FINISH_REASON);
            self.give(&data, &sse::encode(None, &data));
        }
    }

    /// The call's status, and the last bytes for the app.
    fn verdict(&mut self, end: &End, assembled: Option<&Assembled>) -> (Status, Bytes) {
        let draft = &mut self.record.draft;
        let broken = |draft: &mut event::body::CallEnded, error: &CallError| {
            draft.error_code = Some(error.kind().1.to_owned());
            draft.error_message = Some(error.to_string());
        };
        match end {
            End::Done(_) | End::Closed if self.upstream_error => {
                let last = if let End::Done(raw) = end {
                    raw.clone()
                } else {
                    Bytes::new()
                };
                (Status::Failed, last)
            }
            End::Done(raw) => (Status::Completed, raw.clone()),
            End::Closed => {
                let complete = assembled.is_none_or(|assembled| assembled.complete);
                if complete && !draft.truncated {
                    return (Status::Completed, Bytes::new());
                }
                draft.truncated = true;
                let error = CallError::Reset {
                    upstream: self
                        .record
                        .target
                        .as_ref()
                        .map_or_else(String::new, |t| t.name.to_string()),
                    reason: "the stream ended before its end mark".to_owned(),
                };
                broken(draft, &error);
                (Status::Failed, sse::encode(None, &error.body()))
            }
            End::Blocked(error) => {
                broken(draft, error);
                // The Responses API has no end mark.
                let done: &[u8] = match self.record.endpoint.answers_responses() {
                    true => b"",
                    false => b"data: [DONE]\n\n",
                };
                (Status::Blocked, Bytes::from_static(done))
            }
            End::Broken(error) => {
                draft.truncated = true;
                broken(draft, error);
                (Status::Failed, sse::encode(None, &error.body()))
            }
            // The provider failed first, whoever hung up on that.
            End::Cancelled if self.upstream_error => (Status::Failed, Bytes::new()),
            End::Cancelled => {
                draft.truncated = true;
                (Status::Cancelled, Bytes::new())
            }
        }
    }

    /// Fills in what the answer was, as far as it came. `last`: bytes that are still to leave.
    fn keep(&mut self, status: Status, assembled: Option<Assembled>, last: usize) {
        if let Some(lanes) = &mut self.lanes {
            let findings = lanes.findings();
            self.record.time.add_guard(findings.time());
            for event in findings.events(&self.record.guard, &self.record.shared().metrics) {
                // The end follows in the same write; a failure shows there.
                let _ = self.record.add(&Body::GuardrailEvaluated(Box::new(event)));
            }
        }
        self.record.draft.response_size = Some(self.sent + (self.out.len() + last) as u64);
        let Some(assembled) = assembled else { return };
        let draft = &mut self.record.draft;
        draft.response_id = assembled.id;
        draft.response_model = assembled.model;
        draft.finish_reasons = assembled.finish_reasons;
        draft.truncated |= assembled.truncated;
        self.record.service_tier = assembled.service_tier;
        if assembled.usage.is_unknown() {
            let spoken = std::mem::take(&mut self.spoken);
            if self.lanes.is_some() && (status != Status::Failed || spoken.texts().next().is_some()) {
                self.record.estimate(spoken.texts());
            } else if status != Status::Failed || !assembled.texts.is_empty() {
                self.record
                    .estimate(assembled.texts.iter().map(|(_, _, text)| text.as_str()));
            }
        } else if !self.record.endpoint.is_retrieval() {
            self.record.draft.set_usage(&assembled.usage, UsageSource::Provider);
        }
        self.record.draft.response_body = match self.snapshot.recording.record {
            Record::Metadata => None,
            Record::Full => Json::parse(assembled.body).ok(),
            Record::Redacted => self.mask(assembled.body).and_then(|body| Json::parse(body).ok()),
        };
    }

    /// `body` without what a guardrail flagged; nothing, if that cannot be told.
    fn mask(&self, body: String) -> Option<String> {
        let view = provider::openai::response::parse(self.record.endpoint, &body).ok()?;
        let texts = view.texts.iter().map(|piece| &piece.span).chain(&view.others);
        let subjects = texts.map(|span| Subject {
            answer: false,
            phase: Phase::Output,
            span,
        });
        let mut findings = Findings::of_texts(&self.record.guard, &body, subjects, false);
        let mut edits = std::mem::take(&mut findings.rest_edits);
        if !edits.is_empty() {
            edits.extend(view.event_logprobs.iter().map(|range| (range.clone(), b"[]".to_vec())));
        }
        if edits.is_empty() {
            return Some(body);
        }
        edits.extend(view.logprobs.iter().map(|(_, range)| (range.clone(), b"null".to_vec())));
        String::from_utf8(provider::json::splice(body.as_bytes(), &mut edits)).ok()
    }

    /// Lets go of the provider: after its end mark its connection is read to the end in the background
    /// and used again; in any other case it is dropped, which cancels the request.
    fn free_upstream(&mut self, end: &End) {
        let (Some(mut upstream), Some(conn)) = (self.upstream.take(), self.conn.take()) else {
            return;
        };
        if !matches!(end, End::Done(_)) {
            return;
        }
        if upstream.is_end_stream() {
            return conn.release();
        }
        tokio::spawn(async move {
            let rest = async {
                use http_body_util::BodyExt as _;
                while let Some(Ok(_)) = upstream.frame().await {}
            };
            let limit = std::time::Duration::from_secs(1);
            if tokio::time::timeout(limit, rest).await.is_ok() {
                conn.release();
            }
        });
    }
}

impl Drop for StreamedAnswer {
    fn drop(&mut self) {
        self.end(End::Cancelled);
    }
}
