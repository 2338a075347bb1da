//! Asking a webhook what is to be done about matches of rules with the action `ask`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use event::CallId;
use guard::{Action, Phase};
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::config::{Upstream, WebhookSpec};
use crate::error::StartError;
use crate::upstream::{Pool, PooledConn, RequestBody, Target, tls_setup};

/// Matches that one call may ask about; what lies beyond stops the text.
pub const MAX_QUESTIONS: usize = 64;
/// Bytes of a text that are shown around a match.
const AROUND: usize = 4096;
/// Bytes of an answer.
const MAX_ANSWER: usize = 64 << 10;

/// Whom to ask, and what if there is no answer.
#[derive(Debug)]
pub struct Webhook {
    target: Target,
    path: String,
    timeout: Duration,
    /// What is done where no answer comes.
    on_error: Decision,
    pool: Pool,
}

/// What is done about a match, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It is no match.
    Allow,
    /// The text passes, the match is recorded.
    Flag,
    /// A placeholder takes its place.
    Redact,
    /// The text stops before it.
    Block,
}

impl Decision {
    /// The same as an action; `None`: no match.
    pub fn action(self) -> Option<Action> {
        match self {
            Decision::Allow => None,
            Decision::Flag => Some(Action::Flag),
            Decision::Redact => Some(Action::Redact),
            Decision::Block => Some(Action::Block),
        }
    }
}

/// A match that somebody has to decide about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Question {
    /// The rule's full id.
    pub rule: Arc<str>,
    /// Its family.
    pub kind: guard::Kind,
    /// What was found.
    pub entity: Arc<str>,
    /// How sure the rule is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
    /// Whose text it is.
    pub phase: Phase,
    /// What matched.
    #[serde(rename = "match")]
    pub matched: String,
    /// The text around it.
    pub text: String,
    /// Where the match lies in `text`, bytes.
    pub start: usize,
    /// One past its end.
    pub end: usize,
}

impl Question {
    /// The question about `verdict` on `text`.
    pub fn new(verdict: &guard::Verdict, phase: Phase, text: &str) -> Question {
        let from = text.floor_char_boundary(verdict.start.saturating_sub(AROUND));
        let to = text.ceil_char_boundary((verdict.end + AROUND).min(text.len()));
        Question {
            rule: Arc::clone(&verdict.rule),
            kind: verdict.kind,
            entity: Arc::clone(&verdict.entity),
            score: verdict.score,
            phase,
            matched: text.get(verdict.start..verdict.end).unwrap_or_default().to_owned(),
            text: text.get(from..to).unwrap_or_default().to_owned(),
            start: verdict.start - from,
            end: verdict.end - from,
        }
    }

    /// Whether this is the question about `verdict` on `text`.
    pub fn is_about(&self, verdict: &guard::Verdict, phase: Phase, text: &str) -> bool {
        self.rule == verdict.rule && self.phase == phase && text.get(verdict.start..verdict.end) == Some(&*self.matched)
    }
}

/// What was decided about the matches of a call, and by whom.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The question.
    pub question: Question,
    /// Its answer.
    pub decision: Decision,
    /// `webhook`, or `on_error` where that gave no answer.
    pub by: &'static str,
}

#[derive(Serialize)]
struct Asked<'q> {
    call_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<&'q str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'q str>,
    questions: &'q [Question],
}

#[derive(Deserialize)]
struct Answered {
    decisions: Vec<Decision>,
}

/// Which call asks.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'c> {
    /// The call.
    pub call_id: CallId,
    /// Its app.
    pub app: Option<&'c str>,
    /// Its model.
    pub model: Option<&'c str>,
}

/// Why a webhook decided nothing.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("cannot connect: {0}")]
    Connect(std::io::Error),
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("it answered with status {0}")]
    Status(u16),
    #[error("its answer cannot be read: {0}")]
    Unreadable(String),
}

impl Webhook {
    /// Reads `[guard.webhook]`; `env` looks up environment variables.
    pub fn new(spec: &WebhookSpec, env: impl Fn(&str) -> Option<String>) -> Result<Webhook, StartError> {
        let upstream = Upstream {
            name: "guard.webhook".to_owned(),
            base_url: Some(spec.url.clone()),
            api_key_env: spec.key_env.clone(),
            ..Upstream::default()
        };
        let target = Target::new(&upstream, env).map_err(|error| match error {
            StartError::Upstream { reason, .. } => StartError::Webhook {
                reason: reason.replacen("base_url", "url", 1),
            },
            other => other,
        })?;
        let path = spec.url.parse::<Uri>().ok();
        let path = path.as_ref().and_then(Uri::path_and_query);
        Ok(Webhook {
            path: path.map_or("/".to_owned(), ToString::to_string),
            target,
            timeout: Duration::try_from_secs_f64(spec.timeout).unwrap_or(Duration::ZERO),
            on_error: spec.on_error,
            pool: Pool::new(tls_setup()?),
        })
    }

    /// Asks about `questions`. Always decides all of them, in the time that is given.
    pub async fn ask(&self, asker: Asker<'_>, questions: Vec<Question>) -> Vec<Decided> {
        let answer = match timeout(self.timeout, self.answer(asker, &questions)).await {
            Ok(answer) => answer,
            Err(_) => Err(AskError::Timeout(self.timeout)),
        };
        let decisions = answer.inspect_err(|error| {
            tracing::warn!(call_id = %asker.call_id, %error, on_error = ?self.on_error, "the guardrail webhook decided nothing");
        });
        let by = if decisions.is_ok() { "webhook" } else { "on_error" };
        let decisions = decisions.unwrap_or_else(|_| vec![self.on_error; questions.len()]);
        questions
            .into_iter()
            .zip(decisions)
            .map(|(question, decision)| Decided { question, decision, by })
            .collect()
    }

    async fn answer(&self, asker: Asker<'_>, questions: &[Question]) -> Result<Vec<Decision>, AskError> {
        let body = serde_json::to_vec(&Asked {
            call_id: asker.call_id.to_string(),
            app: asker.app,
            model: asker.model,
            questions,
        })
        .map_err(|e| AskError::Unreadable(e.to_string()))?;
        let body = Bytes::from(body);
        // An idle connection may have been closed by the other side: one more try, on another.
        let (conn, response) = match self.send(&body).await {
            Err(AskError::Broken(_)) => self.send(&body).await?,
            sent => sent?,
        };
        let status = response.status();
        if !status.is_success() {
            return Err(AskError::Status(status.as_u16()));
        }
        let read = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        let read = read.map_err(|e| AskError::Broken(e.to_string()))?.to_bytes();
        let Answered { decisions } = serde_json::from_slice(&read).map_err(|e| AskError::Unreadable(e.to_string()))?;
        if decisions.len() != questions.len() {
            let counted = format!("{} decisions for {} questions", decisions.len(), questions.len());
            return Err(AskError::Unreadable(counted));
        }
        conn.release();
        Ok(decisions)
    }

    async fn send(&self, body: &Bytes) -> Result<(PooledConn, Response<Incoming>), AskError> {
        let mut conn = self.pool.get(&self.target).await.map_err(AskError::Connect)?;
        let uri = match conn.is_http2() {
            true => format!(
                "{}://{}{}",
                if self.target.tls { "https" } else { "http" },
                self.target.authority.to_str().unwrap_or_default(),
                self.path
            ),
            false => self.path.clone(),
        };
        let mut request = Request::new(RequestBody::Left(Full::new(body.clone())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri
            .parse()
            .map_err(|e: http::uri::InvalidUri| AskError::Unreadable(e.to_string()))?;
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if !conn.is_http2() {
            headers.insert(header::HOST, self.target.authority.clone());
        }
        if let Some(authorization) = &self.target.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        match conn.send(request).await {
            Ok(response) => Ok((conn, response)),
            Err(failed) => Err(AskError::Broken(
                failed
                    .error
                    .map_or("closed".to_owned(), |error| super::attempt::describe(&error)),
            )),
        }
    }
}
