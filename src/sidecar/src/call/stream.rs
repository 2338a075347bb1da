//! Streamed answers: every frame is decoded whole, guarded, recorded and passed on.
//!
//! ```text
//!  upstream ─▶ decoder ─▶ frame ─▶ lanes: one scanner for each (choice, channel) ─▶ out ─▶ app
//!                                     └─ held text ─▶ before the choice's finish    └─▶ assembler ─▶ journal
//! ```
//!
//! Back-pressure is the app's: nothing is read from the provider until the app has taken what came
//! before. When the app goes away hyper drops this body, which drops the provider's connection and
//! so cancels its work, and records the partial answer.

mod ending;

use std::pin::Pin;
use std::sync::{Arc, Once};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use event::Body;
use event::body::ResponseStarted;
use guard::Phase;
use http::Response;
use http::header;
use hyper::body::{Body as _, Incoming};
use provider::openai::stream::{self as wire, Assembler};
use provider::sse::{Decoder, Frame};
use tokio::time::{Instant as Deadline, Sleep};

use super::attempt::{Answer, describe};
use super::framing;
use super::lanes::{Lanes, Made, Processed};
use super::masking::mask;
use super::pass::Durable;
use super::read::count_unguarded;
use super::record::CallRecord;
use super::spoken::Spoken;
use super::stopwatch::{Wait, nanos};
use super::unary::kept_text;
use crate::body::{Aborted, AnswerBody};
use crate::config::Record;
use crate::encoding::{Coding, StreamDecoder};
use crate::error::CallError;
use crate::snapshot::Snapshot;
use crate::upstream::PooledConn;
use ending::End;

static PRELOAD: Once = Once::new();

/// Frames kept in memory while one is still incomplete; larger ones end the stream.
const MAX_FRAME: usize = 8 << 20;

/// A streamed answer on its way to the app.
pub struct StreamedAnswer {
    snapshot: Arc<Snapshot>,
    record: CallRecord,
    upstream: Option<Incoming>,
    conn: Option<PooledConn>,
    coding: Option<StreamDecoder>,
    decoder: Decoder,
    frames: Vec<Frame>,
    lanes: Option<Lanes>,
    assembler: Option<Assembler>,
    /// What came, where what leaves may be another text.
    spoken: Spoken,
    hide_usage: bool,
    /// It is recorded that the answer begins.
    started: bool,
    sent: u64,
    out: BytesMut,
    durable: Option<Durable>,
    finished: bool,
    /// The provider's own error in the middle of the stream.
    upstream_error: bool,
    deadline: Deadline,
    timer: Pin<Box<Sleep>>,
    last_piece: Instant,
}

/// How a frame leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// At once.
    Plain,
    /// When the end of the call is written.
    Last,
    /// Not at all: it is the usage for which Weir asked, and not the app.
    Hidden,
}

/// Gives the app a streamed answer.
pub fn respond(
    snapshot: &Arc<Snapshot>,
    record: &mut CallRecord,
    answer: Answer,
) -> Result<Response<AnswerBody>, CallError> {
    let Answer {
        mut head,
        body,
        conn,
        target,
        deadline,
        hide_usage,
        uploaded,
    } = answer;
    let unreadable = |reason| CallError::UnreadableAnswer {
        upstream: target.name.to_string(),
        reason,
    };
    let coding = Coding::of(&head.headers).map_err(unreadable)?;
    let coding = coding.decoder().map_err(|e| unreadable(e.to_string()))?;
    if coding.is_some() {
        head.headers.remove(header::CONTENT_ENCODING);
    }
    head.headers.remove(header::CONTENT_LENGTH);
    // A stream that is cut has no usage of its own: be ready to count its tokens.
    PRELOAD.call_once(|| {
        let thread = std::thread::Builder::new().name("weir-tokenizer".to_owned());
        if let Err(error) = thread.spawn(provider::tokens::preload) {
            tracing::warn!(%error, "the tokenizer loads when it is first needed");
        }
    });
    record.note_upload(uploaded.as_ref());
    record.draft.http_status = Some(head.status.as_u16());
    let active = record.guard.is_active(Phase::Output);
    let known = record.endpoint.streams_chunks();
    if active && !known {
        count_unguarded(record, "stream_dialect");
    }
    let guarding = record.guard.clone();
    let streamed = StreamedAnswer {
        snapshot: Arc::clone(snapshot),
        record: record.hand_over(),
        upstream: Some(body),
        conn: Some(conn),
        coding,
        decoder: Decoder::with_limit(MAX_FRAME),
        frames: Vec::new(),
        lanes: (active && known).then(|| Lanes::new(guarding)),
        assembler: known.then(Assembler::new),
        spoken: Spoken::default(),
        hide_usage,
        started: false,
        sent: 0,
        out: BytesMut::new(),
        durable: None,
        finished: false,
        upstream_error: false,
        deadline,
        timer: Box::pin(tokio::time::sleep_until(
            deadline.min(Deadline::now() + snapshot.limits.idle),
        )),
        last_piece: Instant::now(),
    };
    Ok(Response::from_parts(head, AnswerBody::Streamed(Box::new(streamed))))
}

impl StreamedAnswer {
    /// The next bytes for the app.
    pub fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Aborted>>> {
        self.record.time.go_on(Wait::Client);
        loop {
            if let Some(durable) = &mut self.durable {
                let result = ready!(durable.as_mut().poll(cx));
                self.durable = None;
                if let Err(error) = result {
                    // The promise cannot be kept: the app must not see a clean end.
                    self.out.clear();
                    self.finished = true;
                    return Poll::Ready(Some(Err(Aborted(error.to_string()))));
                }
            }
            if !self.out.is_empty() {
                self.sent += self.out.len() as u64;
                self.record.time.wait(Wait::Client);
                return Poll::Ready(Some(Ok(self.out.split().freeze())));
            }
            if self.finished {
                return Poll::Ready(None);
            }
            if self.record.shared().is_cut_off() {
                self.end(End::Broken(CallError::ShuttingDown));
                continue;
            }
            let Some(upstream) = &mut self.upstream else {
                return Poll::Ready(None);
            };
            match Pin::new(upstream).poll_frame(cx) {
                Poll::Pending => {
                    self.record.time.wait(Wait::Upstream);
                    ready!(self.timer.as_mut().poll(cx));
                    self.timer_fired();
                }
                Poll::Ready(next) => {
                    self.record.time.go_on(Wait::Upstream);
                    self.last_piece = Instant::now();
                    // An app that takes its answer slowly always finds the next piece there.
                    if Deadline::from_std(self.last_piece) >= self.deadline {
                        self.timer_fired();
                        continue;
                    }
                    match next {
                        Some(Ok(frame)) => {
                            if let Ok(data) = frame.into_data() {
                                self.take_in(data);
                            }
                        }
                        Some(Err(error)) => {
                            let upstream = self.upstream_name();
                            self.end(End::Broken(CallError::Reset {
                                upstream,
                                reason: describe(&error),
                            }));
                        }
                        None => self.closed(),
                    }
                }
            }
        }
    }

    fn timer_fired(&mut self) {
        let idle_at = Deadline::from_std(self.last_piece + self.snapshot.limits.idle);
        let now = Deadline::now();
        let phase = if now >= self.deadline {
            "total"
        } else if now >= idle_at {
            "idle"
        } else {
            // Pieces came since the timer was set: it is moved only now, not at each piece.
            self.timer.as_mut().reset(idle_at.min(self.deadline));
            return;
        };
        let upstream = self.upstream_name();
        self.end(End::Broken(CallError::Timeout { upstream, phase }));
    }

    /// Takes in one piece of the provider's bytes.
    fn take_in(&mut self, data: Bytes) {
        let data = match &mut self.coding {
            None => data,
            Some(decoder) => match decoder.push(&data) {
                Ok(plain) => Bytes::from(plain),
                Err(error) => return self.unreadable(format!("content-encoding: {error}")),
            },
        };
        let mut frames = std::mem::take(&mut self.frames);
        let decoded = self.decoder.push(&data, &mut frames);
        for frame in frames.drain(..) {
            if self.finished {
                break;
            }
            self.frame(&frame);
        }
        self.frames = frames;
        if let Err(error) = decoded
            && !self.finished
        {
            self.unreadable(error.to_string());
        }
    }

    fn frame(&mut self, frame: &Frame) {
        let Some(data) = frame.data().filter(|data| !data.trim().is_empty()) else {
            // Comments, and events without data, keep connections alive. Where a guardrail looks, their text stays here.
            if !self.start() {
                return;
            }
            match self.lanes {
                Some(_) => self.out.extend_from_slice(b":\n\n"),
                None => self.out.extend_from_slice(&frame.raw),
            }
            return;
        };
        if self.assembler.is_none() {
            if self.start_token() {
                self.out.extend_from_slice(&frame.raw);
            }
            return;
        }
        if frame.is_done() {
            let raw = match self.lanes {
                // A comment beside the mark would leave unseen.
                Some(_) => Bytes::from_static(b"data: [DONE]\n\n"),
                None => frame.raw.clone(),
            };
            return self.end(End::Done(raw));
        }
        let view = match wire::parse(data) {
            Ok(view) => view,
            Err(error) if self.lanes.is_some() => return self.unreadable(error.to_string()),
            Err(_) => {
                if self.start_token() {
                    self.out.extend_from_slice(&frame.raw);
                }
                return;
            }
        };
        if let Some(reported) = &view.reported {
            self.record.media |= reported.media.is_some_and(|tokens| tokens > 0);
        }
        if let Some(error) = &view.error {
            self.upstream_error = true;
            let mut code = error.code.clone().or_else(|| error.kind.clone());
            let keep_flagged = self.snapshot.recording.record == Record::Full;
            let policy = &self.record.guard.policy;
            code.iter_mut()
                .for_each(|code| mask(policy, Phase::Output, code, keep_flagged));
            self.record.draft.error_code = code;
            self.record.draft.error_message = kept_text(&self.snapshot, &self.record.guard.policy, &error.message);
        }
        let way = match (
            self.hide_usage && view.usage_only,
            view.event && !view.finishes.is_empty(),
        ) {
            (true, _) => Way::Hidden,
            // The Responses API has no `[DONE]`: there this is the end mark.
            (false, true) => Way::Last,
            (false, false) => Way::Plain,
        };
        let Some(lanes) = &mut self.lanes else {
            if let Some(assembler) = &mut self.assembler {
                assembler.push(data, &view);
            }
            if way == Way::Hidden || self.start_token() {
                self.leave(frame.raw.clone(), way);
            }
            return;
        };
        if lanes.is_beyond_measure(&view) {
            return self.unreadable("it has thousands of texts at once".to_owned());
        }
        self.spoken.take_in(&view);
        let Processed {
            before,
            mut edits,
            kept_edits,
            held,
            blocked,
        } = lanes.process(frame, data, &view, way == Way::Hidden);
        let leaves = !before.is_empty() || (!held && way != Way::Hidden);
        if leaves && !self.start_token() {
            return;
        }
        for made in before {
            self.give_made(&made);
        }
        if let Some(blocked) = blocked {
            return self.end(End::Blocked(blocked));
        }
        if held {
            return;
        }
        let kept = kept_edits.map(|mut edits| String::from_utf8(provider::json::splice(data.as_bytes(), &mut edits)));
        let kept = match kept.transpose() {
            Ok(kept) => kept,
            Err(error) => return self.unreadable(error.to_string()),
        };
        if edits.is_empty() && kept.is_none() {
            if let Some(assembler) = &mut self.assembler {
                assembler.push(data, &view);
            }
            return self.leave(framing::bytes(frame, data), way);
        }
        let edited = provider::json::splice(data.as_bytes(), &mut edits);
        match std::str::from_utf8(&edited) {
            Ok(edited) => {
                self.assemble(kept.as_deref().unwrap_or(edited));
                self.leave(framing::with_data(frame, edited), way);
            }
            Err(error) => self.unreadable(error.to_string()),
        }
    }

    /// Something of the answer itself is about to leave: [`StreamedAnswer::start`].
    fn start_token(&mut self) -> bool {
        self.record.time.mark_first_token();
        self.start()
    }

    /// Bytes are about to leave: the first ones only after it is recorded that they do. Whether they may.
    fn start(&mut self) -> bool {
        if self.finished {
            return false;
        }
        if std::mem::replace(&mut self.started, true) {
            return true;
        }
        let added = self.add_started();
        if let Err(error) = added.and_then(|()| self.record.write().map(drop)) {
            // What cannot be recorded is not given out.
            self.end(End::Broken(error));
        }
        !self.finished
    }

    fn add_started(&mut self) -> Result<(), CallError> {
        let started = ResponseStarted {
            index: 0,
            http_status: self.record.draft.http_status.unwrap_or(200),
            time_to_first_token_ns: nanos(self.record.time.arrived().elapsed()),
        };
        self.record.add(&Body::ResponseStarted(Box::new(started)))
    }

    /// What was held of a text leaves.
    fn give_made(&mut self, made: &Made) {
        let bytes: &[u8] = if made.hidden { b"" } else { &made.bytes };
        self.give(made.kept.as_deref().unwrap_or(&made.data), bytes);
    }

    /// Gives the app a frame of our own making, and keeps it.
    fn give(&mut self, data: &str, bytes: &[u8]) {
        self.assemble(data);
        self.out.extend_from_slice(bytes);
    }

    /// A frame goes its way.
    fn leave(&mut self, bytes: Bytes, way: Way) {
        match way {
            Way::Plain => self.out.extend_from_slice(&bytes),
            Way::Last => self.end(End::Done(bytes)),
            Way::Hidden => {}
        }
    }

    fn assemble(&mut self, data: &str) {
        if let (Some(assembler), Ok(view)) = (&mut self.assembler, wire::parse(data)) {
            assembler.push(data, &view);
        }
    }

    fn unreadable(&mut self, reason: String) {
        let upstream = self.upstream_name();
        self.end(End::Broken(CallError::UnreadableAnswer { upstream, reason }));
    }

    fn upstream_name(&self) -> String {
        self.record
            .target
            .as_ref()
            .map_or_else(String::new, |target| target.name.to_string())
    }
}
