//! Sends the demo's calls and counts how they end.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::script::{self, Call, Kind};

/// What to send, and where.
#[derive(Clone, Debug)]
pub struct Drive {
    /// Where: `http://HOST:PORT`, without a path.
    pub base_url: String,
    /// How many calls.
    pub calls: u64,
    /// The same seed sends the same calls.
    pub seed: u64,
    /// How many at a time.
    pub concurrency: usize,
}

/// How the calls ended, as their sender saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls to send.
    pub total: u64,
    /// Answered with a success status, to the end.
    pub answered: u64,
    /// Stopped by a guardrail.
    pub blocked: u64,
    /// Answered with an error, by status.
    pub failed: BTreeMap<u16, u64>,
    /// Left by us before the end.
    pub cancelled: u64,
    /// No answer at all: this should not happen.
    pub lost: u64,
    /// Calls that ended otherwise than they should have, for people.
    pub surprises: Vec<String>,
    /// Ids that the answers' heads carried (`x-weir-call-id`).
    pub call_ids: Vec<String>,
}

impl Tally {
    /// How many calls ended so far.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.answered + self.blocked + self.failed.values().sum::<u64>() + self.cancelled + self.lost
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed: u64 = self.failed.values().sum();
        write!(
            f,
            "{}/{} calls: {} answered, {} blocked, ",
            self.done(),
            self.total,
            self.answered,
            self.blocked
        )?;
        write!(f, "{failed} failed, {} cancelled", self.cancelled)?;
        if self.lost > 0 {
            write!(f, ", {} lost", self.lost)?;
        }
        Ok(())
    }
}

/// The base URL is none that the demo can call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadBaseUrl(pub String);

impl fmt::Display for BadBaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot call `{}`: give http://HOST:PORT", self.0)
    }
}

impl std::error::Error for BadBaseUrl {}

/// Sends the calls, `concurrency` at a time, and shows the tally after each that ended.
///
/// # Errors
/// If the base URL is not `http://HOST:PORT`. What goes wrong with a call is counted.
pub async fn drive(plan: &Drive, mut progress: impl FnMut(&Tally)) -> Result<Tally, BadBaseUrl> {
    let authority = plan
        .base_url
        .parse::<Uri>()
        .ok()
        .filter(|uri| uri.scheme_str() == Some("http"))
        .and_then(|uri| uri.authority().map(ToString::to_string))
        .ok_or_else(|| BadBaseUrl(plan.base_url.clone()))?;
    let calls = Arc::new(script::calls(plan.seed, plan.calls));
    let next = Arc::new(AtomicUsize::new(0));
    let (ended, mut endings) = mpsc::channel(plan.concurrency.max(1));
    for _ in 0..plan.concurrency.max(1) {
        let (calls, next, ended) = (Arc::clone(&calls), Arc::clone(&next), ended.clone());
        let mut client = Client {
            authority: authority.clone(),
            sender: None,
        };
        tokio::spawn(async move {
            while let Some(call) = calls.get(next.fetch_add(1, Ordering::Relaxed)) {
                let end = (call.kind, client.call(call).await);
                if ended.send(end).await.is_err() {
                    break;
                }
            }
        });
    }
    drop(ended);
    let mut tally = Tally {
        total: plan.calls,
        ..Tally::default()
    };
    while let Some((kind, Ended { ending, call_id })) = endings.recv().await {
        if !ending.is_expected_of(kind) {
            let call_id = call_id.as_deref().unwrap_or("without an id");
            tally
                .surprises
                .push(format!("{kind:?} call {call_id} ended as {ending:?}"));
        }
        match ending {
            Ending::Answered => tally.answered += 1,
            Ending::Blocked => tally.blocked += 1,
            Ending::Failed(status) => *tally.failed.entry(status).or_default() += 1,
            Ending::Cancelled => tally.cancelled += 1,
            Ending::Lost => tally.lost += 1,
        }
        tally.call_ids.extend(call_id);
        progress(&tally);
    }
    Ok(tally)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Answered,
    Blocked,
    Failed(u16),
    Cancelled,
    Lost,
}

impl Ending {
    /// Whether a call of this kind may end so. What the guardrails do is the policy's business.
    fn is_expected_of(self, kind: Kind) -> bool {
        match kind {
            Kind::Plain | Kind::Streamed | Kind::Tools | Kind::Json | Kind::Embeddings => self == Ending::Answered,
            Kind::PersonalData | Kind::Card | Kind::Secret | Kind::Injection | Kind::Leak => {
                matches!(self, Ending::Answered | Ending::Blocked)
            }
            Kind::UpstreamError => self == Ending::Failed(500),
            Kind::RateLimited => self == Ending::Failed(429),
            Kind::Dropped => self == Ending::Failed(502),
            Kind::UnknownModel => self == Ending::Failed(404),
            Kind::Malformed => self == Ending::Failed(400),
            Kind::Cancelled => self == Ending::Cancelled,
        }
    }
}

struct Ended {
    ending: Ending,
    call_id: Option<String>,
}

/// A connection that is kept as long as it lives.
struct Client {
    authority: String,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    async fn call(&mut self, call: &Call) -> Ended {
        let Some(response) = self.send(call).await else {
            self.sender = None;
            return Ended {
                ending: Ending::Lost,
                call_id: None,
            };
        };
        let call_id = response
            .headers()
            .get("x-weir-call-id")
            .and_then(|id| id.to_str().ok())
            .map(str::to_owned);
        let status = response.status();
        let mut body = response.into_body();
        let mut read = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame.map(hyper::body::Frame::into_data) {
                Ok(Ok(data)) => read.extend_from_slice(&data),
                Ok(Err(_)) => {}
                Err(_) => {
                    self.sender = None;
                    return Ended {
                        ending: Ending::Lost,
                        call_id,
                    };
                }
            }
            if call.leave_after.is_some_and(|bytes| read.len() >= bytes) {
                // To close the connection is how a client goes away in HTTP/1.1.
                self.sender = None;
                return Ended {
                    ending: Ending::Cancelled,
                    call_id,
                };
            }
        }
        let ending = if is_blocked(&read) {
            Ending::Blocked
        } else if status.is_success() {
            Ending::Answered
        } else {
            Ending::Failed(status.as_u16())
        };
        Ended { ending, call_id }
    }

    async fn send(&mut self, call: &Call) -> Option<Response<Incoming>> {
        let mut request = Request::builder()
            .method(&call.method)
            .uri(call.path)
            .header("host", &self.authority)
            .header("user-agent", "weir-demo")
            .header("content-type", "application/json");
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::from(call.body.clone()))).ok()?;
        let mut sender = match self.sender.take() {
            Some(mut kept) => match kept.ready().await {
                Ok(()) => kept,
                Err(_) => self.connect().await?,
            },
            None => self.connect().await?,
        };
        let response = sender.send_request(request).await.ok()?;
        self.sender = Some(sender);
        Some(response)
    }

    async fn connect(&self) -> Option<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(&self.authority).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(async move {
            // A broken connection shows at the next request.
            drop(connection.await);
        });
        Some(sender)
    }
}

/// Whether an answer says that a guardrail stopped the call: an error, or the end of a choice.
fn is_blocked(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    ["guardrail", "content_filter"].iter().any(|mark| text.contains(mark))
}
