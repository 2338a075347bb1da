//! Makes journals full of calls, sealed and chained as the real one does.

use event::body::{
    AttemptStarted, CallEnded, CallInterrupted, CallStarted, GuardrailEvaluated, GuardrailVerdict, Latency,
    ResponseStarted, SidecarStarted,
};
use event::{Body, CallId, Chain, Digest, Draft, JournalId, Json, NanoUsd, Record, Scope, Usage, UsageSource};
use lake::source::Item;

/// 2026-01-31 23:59:50 UTC: a history of some seconds crosses midnight.
pub const START: i64 = 1_769_903_990_000_000_000;
const SECOND: i64 = 1_000_000_000;

/// A journal under construction.
pub struct History {
    pub journal: JournalId,
    pub items: Vec<Item>,
    /// The same events as drafts, for a real journal.
    pub drafts: Vec<Draft>,
    /// Calls that ended, in the order of their ends.
    pub ended: Vec<CallId>,
    chain: Chain,
    now: i64,
    begun: u64,
}

impl History {
    pub fn new() -> History {
        History::at(START)
    }

    /// A history that begins at this time, nanoseconds since 1970.
    pub fn at(start: i64) -> History {
        History {
            journal: JournalId::new(),
            items: Vec::new(),
            drafts: Vec::new(),
            ended: Vec::new(),
            chain: Chain::START,
            now: start,
            begun: 0,
        }
    }

    pub fn next(&self) -> i64 {
        self.items.len() as i64
    }

    /// Seals one event.
    pub fn event(&mut self, call: Option<CallId>, seq: u32, body: &Body) {
        let scope = Scope {
            tenant: Some("acme".to_owned()),
            app: Some("shop".to_owned()),
            trace_id: call.map(|id| id.0.simple().to_string()),
            span_id: None,
        };
        let draft = Draft::new(&scope, call, seq, self.now, body).unwrap();
        let bytes = self.seal(draft.bytes().to_vec());
        self.items.push(Item::Record(Record::parse(&bytes).unwrap()));
        self.drafts.push(draft);
        self.now += SECOND / 50;
    }

    fn seal(&mut self, mut draft: Vec<u8>) -> Vec<u8> {
        let offset = self.next();
        self.chain = self.chain.next(self.journal, offset, &Digest::of(&draft));
        Draft::seal_into(self.journal, offset, &self.chain, &mut draft);
        draft
    }

    /// An event of a call as a newer version may write it: with more in its envelope. (It is no draft of ours.)
    pub fn newer(&mut self, call: CallId, seq: u32, body: &Body) {
        let draft = Draft::new(&Scope::default(), Some(call), seq, self.now, body).unwrap();
        let mut draft = draft.bytes().to_vec();
        draft.extend_from_slice(br#","zone":"eu-west""#);
        let offset = self.next();
        let bytes = self.seal(draft);
        self.items.push(Item::read(self.journal, offset, bytes));
    }

    /// The sidecar's own life.
    pub fn sidecar_started(&mut self) {
        self.event(None, 0, &Body::SidecarStarted(Box::<SidecarStarted>::default()));
    }

    /// A call that begins, and stays open.
    pub fn begin(&mut self, model: &str) -> CallId {
        // Ids that are the same in every run, and in the order of their calls, as UUIDv7 are.
        self.begun += 1;
        let id = (0x019c_0000_0000_7000_u128 << 64) | (0x8000_0000_0000_0000_u128 + u128::from(self.begun));
        let call = CallId(uuid::Uuid::from_u128(id));
        let body = CallStarted {
            method: "POST".to_owned(),
            endpoint: "/v1/chat/completions".to_owned(),
            operation: Some("chat".to_owned()),
            request_model: Some(model.to_owned()),
            session_id: Some(format!("session-{}", self.next() % 7)),
            tags: vec!["blue".to_owned(), "team:a".to_owned()],
            request_body: Some(
                Json::parse(r#"{"messages":[{"role":"user","content":"how deep is the weir?"}]}"#.to_owned()).unwrap(),
            ),
            ..CallStarted::default()
        };
        self.event(Some(call), 0, &Body::CallStarted(Box::new(body)));
        call
    }

    /// Its end: `seq` 3 after [`History::begin`] and [`History::middle`].
    pub fn end(&mut self, call: CallId, seq: u32, how: fn(Box<CallEnded>) -> Body) {
        let mut ended = CallEnded {
            http_status: Some(200),
            response_model: Some("m-2026".to_owned()),
            finish_reasons: vec!["stop".to_owned()],
            cost: Some(NanoUsd(12_500)),
            price_version: Some("2026-01".to_owned()),
            response_body: Some(
                Json::parse(r#"{"choices":[{"message":{"content":"two metres"}}]}"#.to_owned()).unwrap(),
            ),
            latency: Latency {
                total_ns: 1_500_000,
                self_ns: 50_000,
                ..Latency::default()
            },
            attempts: 1,
            ..CallEnded::default()
        };
        let usage = Usage {
            input: Some(10),
            cache_read: Some(4),
            cache_write: None,
            output: Some(7),
            reasoning: None,
        };
        ended.set_usage(&usage, UsageSource::Provider);
        self.event(Some(call), seq, &how(Box::new(ended)));
        self.ended.push(call);
    }

    pub fn interrupt(&mut self, call: CallId, seq: u32) {
        let body = CallInterrupted {
            reason: "crash".to_owned(),
            last_seen_unix_nano: None,
        };
        self.event(Some(call), seq, &Body::CallInterrupted(Box::new(body)));
        self.ended.push(call);
    }

    /// Attempt, guardrail and first byte: `seq` 1 to 3.
    pub fn middle(&mut self, call: CallId) {
        let attempt = AttemptStarted {
            provider: "openai".to_owned(),
            ..AttemptStarted::default()
        };
        self.event(Some(call), 1, &Body::AttemptStarted(Box::new(attempt)));
        let guard = GuardrailEvaluated {
            phase: "input".to_owned(),
            action: Some("flag".to_owned()),
            verdicts: vec![GuardrailVerdict {
                rule: "pii.email".to_owned(),
                ..GuardrailVerdict::default()
            }],
            ..GuardrailEvaluated::default()
        };
        self.event(Some(call), 2, &Body::GuardrailEvaluated(Box::new(guard)));
        let first = ResponseStarted {
            http_status: 200,
            time_to_first_token_ns: 400_000,
            ..ResponseStarted::default()
        };
        self.event(Some(call), 3, &Body::ResponseStarted(Box::new(first)));
    }

    /// `count` whole calls of five events, a few of them overlapping, one in ten not completed.
    pub fn calls(&mut self, count: usize) {
        let mut open: Option<CallId> = None;
        for n in 0..count {
            let call = self.begin(if n % 3 == 0 { "small" } else { "large" });
            self.middle(call);
            if let Some(before) = open.take() {
                self.end(before, 4, Body::CallCompleted);
            }
            match n % 10 {
                3 => self.end(call, 4, Body::CallFailed),
                6 => self.end(call, 4, Body::CallBlocked),
                9 => self.interrupt(call, 4),
                5 => open = Some(call),
                _ => self.end(call, 4, Body::CallCompleted),
            }
        }
        if let Some(before) = open {
            self.end(before, 4, Body::CallCompleted);
        }
    }
}

/// A history of `count` calls.
pub fn history(count: usize) -> History {
    let mut history = History::new();
    history.sidecar_started();
    history.calls(count);
    history
}
