//! The sidecar's part of the configuration file.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};

pub use crate::call::Decision;

/// An address to listen on, as people write it: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let numbers = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numbers
        .as_deref()
        .unwrap_or(text)
        .parse()
        .map_err(|_| format!("`{text}` is no {ADDRESS} (0.0.0.0:8080 for all interfaces)"))
}

const ADDRESS: &str = "address to listen on: write IP:PORT, as in 127.0.0.1:8080";

/// [`address`], from the configuration.
pub fn read_address<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    struct Address;
    impl Visitor<'_> for Address {
        type Value = SocketAddr;

        fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(to, "an {ADDRESS}")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<SocketAddr, E> {
            address(text).map_err(E::custom)
        }
    }
    from.deserialize_str(Address)
}

/// `[server]`: where apps connect, and what one call may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address to listen on. Anything but a loopback address needs `[[client_key]]`.
    #[serde(deserialize_with = "read_address")]
    pub listen: SocketAddr,
    /// Worker threads; 0 means one for each core.
    pub threads: usize,
    /// Largest request body, in bytes.
    pub max_request_bytes: usize,
    /// Largest answer that is not streamed, in bytes.
    pub max_response_bytes: usize,
    /// Seconds that calls in flight get to finish after SIGTERM. What is left then fails with `shutting_down`.
    pub shutdown_seconds: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            threads: 0,
            max_request_bytes: 32 << 20,
            max_response_bytes: 64 << 20,
            shutdown_seconds: 30,
        }
    }
}

/// `[timeouts]`: in seconds; fractions are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// For an app to send the head of a request on a new connection.
    pub request_head: f64,
    /// To reach the provider: DNS, TCP and TLS together.
    pub connect: f64,
    /// From the request sent to the head of the answer.
    pub first_byte: f64,
    /// Between two pieces of an answer, or of a request that is passed on as it comes.
    pub idle: f64,
    /// The whole call, from arrival to last byte.
    pub total: f64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            request_head: 30.0,
            connect: 10.0,
            first_byte: 300.0,
            idle: 120.0,
            total: 900.0,
        }
    }
}

impl Timeouts {
    /// `seconds` as a duration; nonsense (negative, not a number) is refused by `weir config check`
    /// and counts as no time at all here.
    #[must_use]
    pub fn duration(seconds: f64) -> Duration {
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO)
    }

    /// The key of the first value that is not a positive number of seconds.
    #[must_use]
    pub fn invalid_key(&self) -> Option<&'static str> {
        [
            ("request_head", self.request_head),
            ("connect", self.connect),
            ("first_byte", self.first_byte),
            ("idle", self.idle),
            ("total", self.total),
        ]
        .into_iter()
        .find(|(_, seconds)| Timeouts::duration(*seconds).is_zero())
        .map(|(key, _)| key)
    }
}

/// `[[upstream]]`: one provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// A name for it, shown in events and metrics; one that the catalog knows (`openai`, `groq`, …)
    /// brings its base URL, key variable and prices.
    pub name: String,
    /// Base URL, with its version path: `https://api.openai.com/v1`.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Environment variable that holds the API key. Without a key the app's own `Authorization`
    /// header is passed on.
    #[serde(default)]
    pub api_key_env: Option<String>,
    /// Models it serves: names, or patterns with `*`. Empty: those that the price table lists for
    /// it, and everything where it is the only upstream.
    #[serde(default)]
    pub models: Vec<String>,
    /// Provider whose prices apply, where that is not `name`.
    #[serde(default)]
    pub prices: Option<String>,
    /// Headers added to each request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// `[[client_key]]`: a key that an app must present as `Authorization: Bearer …`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientKey {
    /// A name for it.
    pub name: String,
    /// `sha256:` and the hex SHA-256 of the key, as `weir config hash-key` prints it.
    pub hash: String,
    /// Tenant recorded for its calls.
    #[serde(default)]
    pub tenant: Option<String>,
    /// App recorded for its calls; `x-weir-app` cannot override it.
    #[serde(default)]
    pub app: Option<String>,
}

/// What is kept of prompts and answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// Everything but what a guardrail redacted.
    #[default]
    Full,
    /// What a guardrail flagged is masked too.
    Redacted,
    /// No bodies: who, when, how long, how much.
    Metadata,
}

/// What an app gets for a blocked call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnBlock {
    /// An error with the code `guardrail_blocked`, or, once a stream has begun, its end with
    /// `finish_reason: "content_filter"`.
    #[default]
    Error,
    /// An ordinary answer that says `refusal_message`, with `finish_reason: "content_filter"`.
    Refusal,
}

/// `[guard.webhook]`: who decides about matches of rules with the action `ask`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookSpec {
    /// Where questions go, by POST.
    pub url: String,
    /// Environment variable that holds a key, sent as `Authorization: Bearer …`.
    #[serde(default)]
    pub key_env: Option<String>,
    /// How long a call waits for the answer, seconds.
    #[serde(default = "half_a_second")]
    pub timeout: f64,
    /// What is done where no answer comes, or none that can be read.
    #[serde(default = "block")]
    pub on_error: Decision,
}

fn half_a_second() -> f64 {
    0.5
}

fn block() -> Decision {
    Decision::Block
}

/// `[recording]`: what is kept, and what a blocked app sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Recording {
    /// What is kept of prompts and answers.
    pub record: Record,
    /// What an app gets for a blocked call.
    pub on_block: OnBlock,
    /// The answer of `on_block = "refusal"`.
    pub refusal_message: String,
}

impl Default for Recording {
    fn default() -> Self {
        Self {
            record: Record::Full,
            on_block: OnBlock::Error,
            refusal_message: "I can't help with that: the request or its answer was stopped by a guardrail.".to_owned(),
        }
    }
}
