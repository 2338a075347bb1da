//! The events of one call, from its arrival to the one event that ends it.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use event::body::CallEnded;
use event::{Body, CallId, Draft, Scope, Status, Usage, UsageSource};
use journal::clock;
use provider::openai::{Endpoint, request};
use provider::tokens;

use super::guarding::Guarding;
use super::stopwatch::Stopwatch;
use super::upload::{Progress, Tally};

use crate::config::Record;
use crate::error::CallError;
use crate::metrics::{Ended, ReasonLabels};
use crate::open_calls::OpenCall;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::upstream::Target;

/// Texts up to this size are counted token by token.
const MAX_COUNTED_BYTES: usize = 256 << 10;

/// Writes a call's events, in order, and sees to it that exactly one ends the call: dropped before
/// that, it records `call.cancelled`, because hyper drops a call whose app went away.
pub struct CallRecord {
    shared: Arc<Shared>,
    /// The configuration that the call began with.
    snapshot: Arc<Snapshot>,
    /// The call's key.
    pub call_id: CallId,
    /// Whom it belongs to.
    pub scope: Scope,
    /// Name of the client key that the app presented.
    pub client_key: Option<String>,
    /// The app as policies know it; what is kept of its name is in the scope.
    pub app: Option<String>,
    /// Its session, apart for each tenant, or client key of none, and app, as a hash: what is masked in the
    /// history must not make one session of several.
    pub session: Option<String>,
    /// The guardrails that look at it.
    pub guard: Guarding,
    /// Where its time goes.
    pub time: Stopwatch,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The model asked for, as it may be kept.
    pub model: Option<String>,
    /// The same as the provider is asked for it, where that is another: where the history masks what is only
    /// flagged, it is still that model.
    pub asked_model: Option<String>,
    /// Whether all of the request's body was read.
    pub was_read: bool,
    /// The provider asked last.
    pub target: Option<Arc<Target>>,
    /// Whether a provider has the request, or some of it, and has not said that it refuses it: then the prompt
    /// may cost something, whatever becomes of the call.
    pub asked: bool,
    /// When the attempt began of which nothing bad is recorded yet.
    pub attempt_began: Option<Instant>,
    /// What is known of the end while the call runs.
    pub draft: CallEnded,
    /// What was sent to the provider, if it is JSON: tokens are estimated from it where the
    /// provider counts none.
    pub sent: Option<Bytes>,
    /// `service_tier` of the answer, on which the price may depend.
    pub service_tier: Option<String>,
    /// Whether audio or images were counted, which have prices of their own.
    pub media: bool,
    seq: u32,
    pending: Vec<Draft>,
    open: Option<OpenCall>,
    started: bool,
    ended: bool,
    /// The beginning of this call is not in the journal: what follows would be without a start.
    shed: bool,
    /// Why the journal gave that beginning up, if it did: what follows is counted with it.
    given_up: Option<journal::FullReason>,
    /// The beginning of this call is in the journal.
    begun: bool,
}

impl CallRecord {
    /// A call that has just arrived.
    pub fn new(shared: Arc<Shared>, snapshot: Arc<Snapshot>, endpoint: Endpoint, arrived: Instant) -> CallRecord {
        let guard = Guarding::new(Arc::clone(snapshot.policies.fallback()), None);
        let time = Stopwatch::new(arrived);
        let mut record = CallRecord::shell(shared, snapshot, guard, CallId::new(), endpoint, time);
        record.pending.reserve(4);
        record
    }

    /// The record itself, for the body that streams the answer; what stays behind has nothing to
    /// record any more.
    pub fn hand_over(&mut self) -> CallRecord {
        let (shared, snapshot, guard) = (Arc::clone(&self.shared), Arc::clone(&self.snapshot), self.guard.clone());
        let shell = CallRecord::shell(shared, snapshot, guard, self.call_id, self.endpoint, self.time);
        std::mem::replace(self, shell)
    }

    /// A record of which nothing is written yet.
    fn shell(
        shared: Arc<Shared>,
        snapshot: Arc<Snapshot>,
        guard: Guarding,
        call_id: CallId,
        endpoint: Endpoint,
        time: Stopwatch,
    ) -> CallRecord {
        CallRecord {
            shared,
            snapshot,
            call_id,
            scope: Scope::default(),
            client_key: None,
            app: None,
            session: None,
            guard,
            time,
            endpoint,
            model: None,
            asked_model: None,
            was_read: false,
            target: None,
            asked: false,
            attempt_began: None,
            draft: CallEnded::default(),
            sent: None,
            service_tier: None,
            media: false,
            seq: 0,
            pending: Vec::new(),
            open: None,
            started: false,
            ended: false,
            shed: false,
            given_up: None,
            begun: false,
        }
    }

    /// What all workers share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The model asked for: what routes, prices and tokenizers go by. Never to be kept.
    pub fn asked_model(&self) -> Option<&str> {
        self.asked_model.as_deref().or(self.model.as_deref())
    }

    /// What is kept of bodies.
    pub fn recorded(&self) -> Record {
        self.snapshot.recording.record
    }

    /// The largest request body, in bytes.
    pub fn max_request_bytes(&self) -> usize {
        self.snapshot.max_request_bytes
    }

    /// Whether the call took all the time that it may.
    pub(super) fn is_overdue(&self) -> bool {
        self.time.arrived().elapsed() >= self.snapshot.limits.total
    }

    /// Whether the call has ended.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Adds an event; it is written by the next [`CallRecord::write`].
    pub fn add(&mut self, body: &Body) -> Result<(), CallError> {
        let mut time = clock::unix_nano();
        if matches!(body, Body::CallStarted(_)) {
            self.started = true;
            // It is added when the request was read and looked at, and tells when it arrived.
            let since = i64::try_from(self.time.arrived().elapsed().as_nanos()).unwrap_or(0);
            time = time.saturating_sub(since);
        }
        let draft = Draft::new(&self.scope, Some(self.call_id), self.seq, time, body)
            .map_err(|e| CallError::Journal(e.to_string()))?;
        self.seq += 1;
        self.pending.push(draft);
        Ok(())
    }

    /// Writes what was added, in one batch. Returns the offset of the last event.
    pub fn write(&mut self) -> Result<i64, CallError> {
        let count = self.pending.len() as u64;
        if self.shed {
            match self.given_up {
                Some(reason) => self.shared.journal.shed(&self.pending, reason),
                None => self.count_unwritten("shed", count),
            }
            self.pending.clear();
            return Ok(self.shared.journal.end() - 1);
        }
        if !self.begun && self.open.is_none() {
            // Before the append: the call must never be in the journal and not among the open ones.
            self.open = Some(self.shared.open_calls.open(self.shared.journal.end()));
        }
        let result = self.shared.journal.append(&self.pending);
        self.begun |= result.is_ok();
        self.shed |= !self.begun;
        // What comes next may be short enough to find room, and these come with it.
        match &result {
            Err(journal::AppendError::Full { .. }) if self.begun => return Err(CallError::JournalFull),
            Err(journal::AppendError::Shed { .. }) if self.begun => return Ok(self.shared.journal.end() - 1),
            _ => {}
        }
        if result.is_err() {
            // Never written: their numbers are free again.
            self.seq -= u32::try_from(count).unwrap_or(self.seq).min(self.seq);
        }
        self.pending.clear();
        match result {
            Ok(appended) => Ok(appended.last),
            // By the operator's choice; the journal counts it and records it itself.
            Err(journal::AppendError::Shed { reason, .. }) => {
                self.given_up = Some(reason);
                Ok(self.shared.journal.end() - 1)
            }
            Err(error) => {
                tracing::error!(%error, call_id = %self.call_id, "events of a call cannot be written");
                let reason = if matches!(error, journal::AppendError::Full { .. }) {
                    "full"
                } else {
                    "io"
                };
                self.count_unwritten(reason, count);
                Err(match error {
                    journal::AppendError::Full { .. } => CallError::JournalFull,
                    other => CallError::Journal(other.to_string()),
                })
            }
        }
    }

    /// Takes back what was added last.
    fn take_back(&mut self) {
        self.seq -= u32::from(self.pending.pop().is_some());
    }

    /// Counts what never found room.
    fn give_up(&mut self) {
        let count = self.pending.len() as u64;
        self.pending.clear();
        if count > 0 {
            tracing::error!(call_id = %self.call_id, count, "events of a call found no room in the journal");
            self.count_unwritten("full", count);
        }
    }

    fn count_unwritten(&self, reason: &str, count: u64) {
        let labels = ReasonLabels {
            reason: reason.to_owned(),
        };
        let unwritten = &self.shared.metrics.unwritten_events;
        unwritten.get_or_create(&labels).inc_by(count);
    }

    /// Ends the call and writes it. The last byte of the answer may leave only after this, and, by
    /// the `strict` policy, after the returned offset is durable.
    pub fn end(&mut self, status: Status, mut ended: CallEnded) -> Result<i64, CallError> {
        if self.ended {
            return Ok(self.shared.journal.end() - 1);
        }
        self.ended = true;
        let status = self.settle(status, &mut ended);
        self.time.close(&mut ended);
        let unpriced = self.price(&mut ended);
        self.shared.metrics.ended(&Ended {
            operation: self.endpoint.operation().unwrap_or(self.endpoint.as_str()),
            provider: self.target.as_ref().map_or("", |target| &target.name),
            model: self.model.as_deref().unwrap_or(""),
            status: status.as_str(),
            ended: &ended,
            unpriced,
        });
        if status == Status::Failed {
            // The end of the call matters more; a journal that fails shows there.
            let _ = self.attempt_broke(&ended);
        }
        let mut body = end_body(status, ended);
        let mut result = self.add(&body).and_then(|()| self.write());
        // A full journal has room for the fact, if not for the text.
        if self.found_no_room(&result) && drop_text(&mut body) {
            self.take_back();
            result = self.add(&body).and_then(|()| self.write());
        }
        let lost = result.is_err() || self.found_no_room(&result);
        self.give_up();
        // The next start finds a call that began open, and ends it with `call.interrupted`.
        if let Some(open) = self.open.take().filter(|_| lost && self.begun) {
            open.abandon();
        }
        result
    }

    /// The status of a call that ends: what Weir itself cuts as it stops looks as if the app had gone away. A
    /// failure always has a code.
    fn settle(&self, status: Status, ended: &mut CallEnded) -> Status {
        let cut = status == Status::Cancelled && self.shared.is_cut_off();
        if cut {
            let error = CallError::ShuttingDown;
            ended.error_code = Some(error.kind().1.to_owned());
            ended.error_message = Some(error.to_string());
        }
        let status = if cut { Status::Failed } else { status };
        if status == Status::Failed && ended.error_code.as_deref().unwrap_or_default().is_empty() {
            ended.error_code = Some(match ended.http_status {
                Some(http @ 400..) => format!("upstream_http_{http}"),
                _ => "upstream_error".to_owned(),
            });
        }
        status
    }

    /// Whether events of a call that began wait for room in the journal.
    fn found_no_room(&self, result: &Result<i64, CallError>) -> bool {
        self.begun && !self.pending.is_empty() && matches!(result, Ok(_) | Err(CallError::JournalFull))
    }

    /// Ends the call with an error of our own.
    pub fn fail(&mut self, error: &CallError, status: Status) -> Result<i64, CallError> {
        let (http_status, code, _, _) = error.kind();
        let mut ended = std::mem::take(&mut self.draft);
        ended.http_status = Some(http_status.as_u16());
        ended.error_code = Some(code.to_owned());
        ended.error_message = Some(error.to_string());
        self.end(status, ended)
    }

    /// What the app sent in a body that was passed through unread, if that is all there; of a part there is
    /// nothing to say.
    pub fn note_upload(&mut self, tally: Option<&Tally>) {
        let whole = tally.filter(|tally| tally.progress().0 == Progress::Done);
        if let Some((size, blake3)) = whole.map(Tally::result) {
            self.draft.request_size = Some(size);
            self.draft.request_blake3 = Some(blake3);
        }
    }

    /// Counts tokens ourselves, for an answer without usage: those of the prompt, and those of
    /// `texts`, the answer as far as it came.
    pub fn estimate<'t>(&mut self, texts: impl Iterator<Item = &'t str>) {
        if self.endpoint.operation().is_none() {
            return;
        }
        let model = self
            .draft
            .response_model
            .clone()
            .or_else(|| self.asked_model().map(str::to_owned))
            .unwrap_or_default();
        let usage = Usage {
            input: self.prompt_tokens(&model),
            output: Some(texts.map(|text| count(&model, text)).sum()),
            ..Usage::default()
        };
        self.draft.set_usage(&usage, UsageSource::Estimated);
    }

    /// Counts the tokens of the prompt alone, where nothing is known of an answer.
    fn estimate_prompt(&mut self) {
        let usage = Usage {
            input: self.prompt_tokens(self.asked_model().unwrap_or_default()),
            ..Usage::default()
        };
        if self.endpoint.operation().is_some() && !usage.is_unknown() {
            self.draft.set_usage(&usage, UsageSource::Estimated);
        }
    }

    fn prompt_tokens(&self, model: &str) -> Option<u64> {
        let prompt = std::str::from_utf8(self.sent.as_deref()?).ok()?;
        let view = request::parse(self.endpoint, prompt).ok()?;
        Some(match prompt.len() <= MAX_COUNTED_BYTES {
            true => tokens::estimate_chat(model, &view),
            false => {
                let texts = view.texts.iter().map(|span| tokens::estimate_bytes(&span.text));
                texts.sum::<u64>() + view.token_ids
            }
        })
    }

    /// Sets the cost where price and tokens are known; says why not where one is missing.
    fn price(&self, ended: &mut CallEnded) -> Option<&'static str> {
        let target = self.target.as_ref()?;
        let usage = ended.usage();
        if usage.is_unknown() {
            let answered = ended.error_code.is_none() && ended.http_status.is_none_or(|status| status < 400);
            return (answered && self.endpoint.operation().is_some()).then_some("no_usage");
        }
        let prices = &self.snapshot.prices;
        let asked = self.asked_model();
        let answered = ended.response_model.as_deref();
        let models = [answered, asked].into_iter().flatten();
        let Some(price) = models
            .into_iter()
            .find_map(|model| prices.lookup(&target.prices, model))
        else {
            return Some("unknown_model");
        };
        if self.media {
            return Some("media_tokens");
        }
        let seconds = clock::unix_nano() / 1_000_000_000;
        let began = seconds - i64::try_from(self.time.arrived().elapsed().as_secs()).unwrap_or(0);
        ended.cost = price
            .during(began, seconds)
            .cost_in(&usage, self.service_tier.as_deref());
        if ended.cost.is_none() {
            let known = usage.input.is_some() && usage.output.is_some();
            return Some(if known { "unknown_price" } else { "no_usage" });
        }
        ended.price_version = Some(prices.version().to_owned());
        None
    }
}

fn end_body(status: Status, ended: CallEnded) -> Body {
    let ended = Box::new(ended);
    match status {
        Status::Completed => Body::CallCompleted(ended),
        Status::Blocked => Body::CallBlocked(ended),
        Status::Cancelled => Body::CallCancelled(ended),
        _ => Body::CallFailed(ended),
    }
}

/// Takes the answer out of an event that ends a call; whether there was one.
fn drop_text(body: &mut Body) -> bool {
    match body {
        Body::CallCompleted(ended)
        | Body::CallBlocked(ended)
        | Body::CallCancelled(ended)
        | Body::CallFailed(ended) => ended.response_body.take().is_some(),
        _ => false,
    }
}

/// Tokens of a text. Counting goes on between two calls of this core: what is large is estimated by its size.
fn count(model: &str, text: &str) -> u64 {
    match text.len() <= MAX_COUNTED_BYTES {
        true => tokens::count(model, text),
        false => tokens::estimate_bytes(text),
    }
}

impl Drop for CallRecord {
    fn drop(&mut self) {
        if self.started && !self.ended {
            if self.asked && self.draft.usage().is_unknown() {
                self.estimate_prompt();
            }
            let ended = std::mem::take(&mut self.draft);
            // A failure is logged and counted by `write`.
            let _ = self.end(Status::Cancelled, ended);
        }
    }
}
