//! The configuration: one TOML file, environment overrides, and what follows from both.

mod compile;
mod load;
mod names;
mod place;
mod watch;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[cfg(feature = "analytics")]
pub use compile::kafka;
pub use compile::{Compiled, compile};
pub use load::{ConfigError, load, variables};
pub use place::{placed, placed_start};
pub use watch::watch;

/// The whole configuration file. Every key has a default; an empty file is a good one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folder for journal and lake.
    pub data: PathBuf,
    /// Where apps connect, and what one call may take.
    pub server: sidecar::config::Server,
    /// Time limits of a call.
    pub timeouts: sidecar::config::Timeouts,
    /// What is kept, and what a blocked app sees.
    pub recording: sidecar::config::Recording,
    /// Providers. Without any, those are used whose usual key variables are set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub upstream: Vec<sidecar::config::Upstream>,
    /// Keys that apps must present. Needed to listen on more than a loopback address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub client_key: Vec<sidecar::config::ClientKey>,
    /// Guardrails.
    pub guard: Guard,
    /// The durable local event log.
    pub journal: Journal,
    /// Kafka: where events are shipped to, and landed from by `weir analytics`.
    pub kafka: stream::Settings,
    /// The tables that SQL reads.
    pub lake: Lake,
    /// What `weir analytics` is asked over HTTP.
    pub analytics: Analytics,
    /// Prices that come before those of the built-in table.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub price: Vec<Price>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data: PathBuf::from("weir-data"),
            server: sidecar::config::Server::default(),
            timeouts: sidecar::config::Timeouts::default(),
            recording: sidecar::config::Recording::default(),
            upstream: Vec::new(),
            client_key: Vec::new(),
            guard: Guard::default(),
            journal: Journal::default(),
            kafka: stream::Settings::default(),
            lake: Lake::default(),
            analytics: Analytics::default(),
            price: Vec::new(),
        }
    }
}

/// `[guard]`: packs of your own, and the policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Guard {
    /// Turns all guardrails off.
    pub off: bool,
    /// Rule packs of your own, as TOML files. Relative to the configuration file.
    pub pack_files: Vec<PathBuf>,
    /// Which packs apply and what their rules do.
    pub policy: guard::PolicySpec,
    /// Further policies, by name, for the calls that `apply` gives them. Each has the keys of
    /// `policy` and stands for itself.
    pub policies: BTreeMap<String, guard::PolicySpec>,
    /// Who decides about matches of rules with the action `ask`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<sidecar::config::WebhookSpec>,
    /// Which calls a policy of their own looks at; the first entry that fits counts.
    pub apply: Vec<sidecar::Apply>,
}

/// `[journal]`: how durable, how large.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Journal {
    /// `os`: written before an answer ends, on the device within `sync_milliseconds`; survives the
    /// process. `strict`: on the device before an answer ends; survives the machine.
    pub durability: Durability,
    /// Longest time until a written event is on the device.
    pub sync_milliseconds: u64,
    /// Size of a segment file in MiB.
    pub segment_mib: u64,
    /// The most disk that the journal may hold, in MiB; 0 is no bound but the disk.
    pub quota_mib: u64,
    /// What happens to new calls then.
    pub when_full: WhenFull,
}

impl Default for Journal {
    fn default() -> Self {
        Journal {
            durability: Durability::Os,
            sync_milliseconds: 50,
            segment_mib: 64,
            quota_mib: 0,
            when_full: WhenFull::Block,
        }
    }
}

/// How durable an event is before its answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// It survives the process.
    Os,
    /// It survives the machine.
    Strict,
}

/// What happens to new calls when the quota is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// They are refused: better no call than an unrecorded one.
    Block,
    /// They are served, and their events are given up and counted.
    Shed,
}

/// `[lake]`: how often events land.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lake {
    /// Longest time until an event is committed. SQL sees it within a second in any case.
    pub commit_seconds: u64,
    /// Size of a batch, in MiB of events, that is committed at once.
    pub commit_mib: u64,
    /// Seconds between two rounds of compaction, checkpoints and clean-up; 0 turns them off.
    pub maintenance_seconds: u64,
    /// Days after which calls and events are taken away; 0 keeps them for ever.
    pub retention_days: u32,
    /// Memory for queries, in MiB.
    pub query_memory_mib: u64,
    /// Longest time of one query, in seconds; 0 is no limit.
    pub query_timeout_seconds: u64,
}

impl Default for Lake {
    fn default() -> Self {
        Lake {
            commit_seconds: 10,
            commit_mib: 24,
            maintenance_seconds: 300,
            retention_days: 0,
            query_memory_mib: 1024,
            query_timeout_seconds: 300,
        }
    }
}

/// `[analytics]`: where `weir analytics` answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Analytics {
    /// Address for `/healthz`, `/readyz` and `/metrics`.
    #[serde(deserialize_with = "sidecar::config::read_address")]
    pub listen: SocketAddr,
}

impl Default for Analytics {
    fn default() -> Self {
        Analytics {
            listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
        }
    }
}

/// `[[price]]`: what a model costs, in US dollars for a million tokens, as decimal text so that no
/// digit is lost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The provider; absent: any.
    #[serde(default)]
    pub provider: Option<String>,
    /// The model, as the provider names it.
    pub model: String,
    /// Prompt tokens: `"0.15"`.
    pub input: String,
    /// Answer tokens.
    #[serde(default)]
    pub output: Option<String>,
    /// Prompt tokens read from the provider's cache; absent: as `input`.
    #[serde(default)]
    pub cache_read: Option<String>,
    /// Prompt tokens written to the provider's cache; absent: as `input`.
    #[serde(default)]
    pub cache_write: Option<String>,
}
