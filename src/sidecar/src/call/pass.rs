//! Answers that no guardrail can read, audio and files: passed on as they arrive, counted and
//! hashed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use event::Status;
use guard::Phase;
use http::Response;
use hyper::body::{Body, Incoming};
use tokio::time::{Instant as Deadline, Sleep};

use super::attempt::{Answer, describe};
use super::durable;
use super::read::count_unguarded;
use super::record::CallRecord;
use super::stopwatch::Wait;
use super::upload::Tally;
use crate::body::{Aborted, AnswerBody};
use crate::error::CallError;
use crate::snapshot::Snapshot;
use crate::upstream::PooledConn;

/// An answer on its way through.
pub struct PassThrough {
    record: CallRecord,
    body: Incoming,
    conn: Option<PooledConn>,
    tally: Tally,
    /// What the app sent, if that was passed through, too.
    uploaded: Option<Tally>,
    failed: bool,
    deadline: Deadline,
    idle: Duration,
    timer: Pin<Box<Sleep>>,
    durable: Option<Durable>,
    /// The last piece, which leaves when the end of the call is written.
    last: Option<Bytes>,
    done: bool,
}

/// Resolves when an event is as durable as the policy promises.
pub type Durable = Pin<Box<dyn Future<Output = Result<(), journal::AppendError>> + Send>>;

/// Gives the app an answer that passes through.
pub async fn respond(
    snapshot: &Arc<Snapshot>,
    record: &mut CallRecord,
    answer: Answer,
) -> Result<Response<AnswerBody>, CallError> {
    if record.guard.is_active(Phase::Output) {
        count_unguarded(record, "response_content_type");
    }
    record.time.mark_first_token();
    record.draft.http_status = Some(answer.head.status.as_u16());
    let failed = answer.head.status.is_client_error() || answer.head.status.is_server_error();
    if answer.body.is_end_stream() {
        // Nobody asks for the pieces of a body that has none.
        answer.conn.release();
        record.note_upload(answer.uploaded.as_ref());
        let offset = finish(record, &Tally::default(), ended_as(failed))?;
        durable(record, offset).await?;
        return Ok(Response::from_parts(answer.head, AnswerBody::Whole(None)));
    }
    let passing = PassThrough {
        record: record.hand_over(),
        body: answer.body,
        conn: Some(answer.conn),
        tally: Tally::default(),
        uploaded: answer.uploaded,
        failed,
        deadline: answer.deadline,
        idle: snapshot.limits.idle,
        timer: Box::pin(tokio::time::sleep_until(answer.deadline)),
        durable: None,
        last: None,
        done: false,
    };
    Ok(Response::from_parts(
        answer.head,
        AnswerBody::PassThrough(Box::new(passing)),
    ))
}

impl PassThrough {
    /// The next piece for the app.
    pub fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Aborted>>> {
        self.record.time.go_on(Wait::Client);
        loop {
            if let Some(durable) = &mut self.durable {
                let result = ready!(durable.as_mut().poll(cx));
                self.durable = None;
                if let Err(error) = result {
                    self.last = None;
                    return Poll::Ready(Some(Err(Aborted(error.to_string()))));
                }
            }
            if let Some(last) = self.last.take() {
                return Poll::Ready(Some(Ok(last)));
            }
            if self.done {
                return Poll::Ready(None);
            }
            let began = self.record.time.wait(Wait::Upstream);
            // An app that takes its answer slowly always finds the next piece there.
            if Deadline::from_std(began) >= self.deadline {
                return Poll::Ready(Some(Err(self.too_late())));
            }
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                self.timer
                    .as_mut()
                    .reset(self.deadline.min(Deadline::from_std(began + self.idle)));
                ready!(self.timer.as_mut().poll(cx));
                return Poll::Ready(Some(Err(self.too_late())));
            };
            self.record.time.go_on(Wait::Upstream);
            match frame {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    self.tally.add(&data);
                    if !self.body.is_end_stream() {
                        self.record.time.wait(Wait::Client);
                        return Poll::Ready(Some(Ok(data)));
                    }
                    // Of a body whose length is stated, no more is asked for once all of it was given.
                    self.last = Some(data);
                    if let Err(aborted) = self.end() {
                        return Poll::Ready(Some(Err(aborted)));
                    }
                }
                Some(Err(error)) => {
                    let reason = describe(&error);
                    return Poll::Ready(Some(Err(self.broken("upstream_reset", &reason))));
                }
                None => {
                    if let Err(aborted) = self.end() {
                        return Poll::Ready(Some(Err(aborted)));
                    }
                }
            }
        }
    }

    /// All of the answer is there: what is still to leave waits until that is durable.
    fn end(&mut self) -> Result<(), Aborted> {
        match self.complete() {
            Ok(offset) => {
                self.durable = Some(Box::pin(self.record.shared().journal.durable(offset)));
                Ok(())
            }
            Err(error) => {
                // The app must not see a clean end of what is not recorded.
                self.last = None;
                Err(Aborted(error.to_string()))
            }
        }
    }

    fn complete(&mut self) -> Result<i64, CallError> {
        if let Some(conn) = self.conn.take() {
            conn.release();
        }
        self.done = true;
        self.finish(ended_as(self.failed))
    }

    fn too_late(&mut self) -> Aborted {
        self.broken("upstream_timeout", "the answer did not go on in time")
    }

    fn broken(&mut self, code: &str, reason: &str) -> Aborted {
        self.done = true;
        self.record.draft.error_code = Some(code.to_owned());
        self.record.draft.error_message = Some(reason.to_owned());
        self.record.draft.truncated = true;
        // A failure is logged and counted where it happens, and the app's connection is cut anyway.
        let _ = self.finish(Status::Failed);
        Aborted(reason.to_owned())
    }

    fn finish(&mut self, status: Status) -> Result<i64, CallError> {
        self.record.note_upload(self.uploaded.as_ref());
        finish(&mut self.record, &self.tally, status)
    }
}

fn ended_as(failed: bool) -> Status {
    if failed { Status::Failed } else { Status::Completed }
}

/// Ends the call with what was counted of its answer.
fn finish(record: &mut CallRecord, tally: &Tally, status: Status) -> Result<i64, CallError> {
    let mut ended = std::mem::take(&mut record.draft);
    let (size, blake3) = tally.result();
    ended.response_size = Some(size);
    ended.response_blake3 = Some(blake3);
    record.end(status, ended)
}

impl Drop for PassThrough {
    fn drop(&mut self) {
        if !self.record.is_ended() {
            let _ = self.finish(Status::Cancelled);
        }
    }
}
