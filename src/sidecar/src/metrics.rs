//! What the sidecar counts, for Prometheus.
//!
//! Names follow OpenTelemetry's GenAI metrics where it has one
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/>), in Prometheus spelling;
//! the rest is under `weir_`. The [`name`] module is the list that dashboards are tested against.

pub mod extra;
mod labels;

use std::collections::HashSet;
use std::sync::{Arc, RwLock};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Metric names as registered; counters get `_total`, and units are appended, when they are shown.
pub mod name {
    /// Duration of calls.
    pub const OPERATION_DURATION: &str = "gen_ai_client_operation_duration";
    /// Tokens of a call, all of the prompt and all of the answer.
    pub const TOKEN_USAGE: &str = "gen_ai_client_token_usage";
    /// Tokens in disjoint types.
    pub const TOKENS: &str = "weir_tokens";
    /// Time to the first byte of an answer.
    pub const TIME_TO_FIRST_TOKEN: &str = "gen_ai_server_time_to_first_token";
    /// Calls by how they ended.
    pub const CALLS: &str = "weir_calls";
    /// Calls open now.
    pub const OPEN_CALLS: &str = "weir_open_calls";
    /// Spend.
    pub const COST: &str = "weir_cost_nano_usd";
    /// Weir's own share of a call's time.
    pub const OVERHEAD: &str = "weir_overhead";
    /// Calls without a cost, by reason.
    pub const UNPRICED: &str = "weir_unpriced_calls";
    /// Calls whose tokens were estimated.
    pub const ESTIMATED: &str = "weir_estimated_usage_calls";
    /// Guardrail matches.
    pub const GUARDRAIL_MATCHES: &str = "weir_guardrail_matches";
    /// Guardrail errors that the policy let pass.
    pub const GUARDRAIL_FAIL_OPEN: &str = "weir_guardrail_fail_open";
    /// Matches that the webhook was asked about, by who decided.
    pub const GUARDRAIL_ASKED: &str = "weir_guardrail_asked";
    /// Bodies that no guardrail looked at, by reason.
    pub const UNGUARDED: &str = "weir_unguarded_bodies";
    /// Failed attempts.
    pub const ATTEMPT_FAILURES: &str = "weir_attempt_failures";
    /// Events that could not be written.
    pub const LOST_EVENTS: &str = "weir_unwritten_events";
    /// Label values that were folded into `other`.
    pub const FOLDED_LABELS: &str = "weir_folded_label_values";
}

/// Labels of a call, by OpenTelemetry's names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallLabels {
    gen_ai_operation_name: String,
    gen_ai_provider_name: String,
    gen_ai_request_model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    gen_ai_operation_name: String,
    gen_ai_provider_name: String,
    gen_ai_request_model: String,
    status: &'static str,
    error_type: String,
}

/// A call and what went wrong with it; empty where nothing did.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    gen_ai_operation_name: String,
    gen_ai_provider_name: String,
    gen_ai_request_model: String,
    error_type: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    gen_ai_operation_name: String,
    gen_ai_provider_name: String,
    gen_ai_request_model: String,
    gen_ai_token_type: &'static str,
}

/// A guardrail match.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct GuardLabels {
    /// The rule's id.
    pub rule: String,
    /// `block`, `redact` or `flag`.
    pub action: String,
    /// `input`, `output` or `tool`.
    pub phase: &'static str,
}

/// A reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabels {
    /// Why.
    pub reason: String,
}

/// A failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AttemptLabels {
    /// The provider.
    pub gen_ai_provider_name: String,
    /// Class of the error.
    pub error_type: String,
}

/// Why bodies are not looked at.
const UNGUARDED_REASONS: [&str; 7] = [
    "no_output_rules",
    "request_content_type",
    "request_file",
    "response_content_type",
    "stream_dialect",
    "token_ids",
    "upstream_error",
];

fn reason_label(reason: &str) -> ReasonLabels {
    ReasonLabels {
        reason: reason.to_owned(),
    }
}

type Times<L> = Family<L, Histogram, fn() -> Histogram>;

/// All counters of a sidecar.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    models: Arc<RwLock<HashSet<String>>>,
    duration: Times<DurationLabels>,
    first_token: Times<CallLabels>,
    token_usage: Times<TokenLabels>,
    tokens: Family<TokenLabels, Counter>,
    calls: Family<StatusLabels, Counter>,
    cost: Family<CallLabels, Counter>,
    overhead: Histogram,
    unpriced: Family<ReasonLabels, Counter>,
    estimated: Counter,
    folded: Counter,
    /// Calls open now.
    pub open_calls: Gauge,
    /// Guardrail matches.
    pub guardrail_matches: Family<GuardLabels, Counter>,
    /// Guardrail errors that the policy let pass.
    pub guardrail_fail_open: Counter,
    /// Matches that the webhook was asked about.
    pub guardrail_asked: Family<ReasonLabels, Counter>,
    /// Bodies that no guardrail looked at.
    pub unguarded: Family<ReasonLabels, Counter>,
    /// Failed attempts.
    pub attempt_failures: Family<AttemptLabels, Counter>,
    /// Events that could not be written.
    pub unwritten_events: Family<ReasonLabels, Counter>,
}

/// Distinct model names kept as labels: apps choose them, so their number needs a bound.
const MAX_MODELS: usize = 200;

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl Metrics {
    /// Fresh counters in a registry of their own.
    #[must_use]
    pub fn new() -> Metrics {
        let mut r = Registry::default();
        let duration: Times<DurationLabels> = Family::new_with_constructor(seconds);
        let first_token: Times<CallLabels> = Family::new_with_constructor(seconds);
        let token_usage: Times<TokenLabels> = Family::new_with_constructor(powers_of_four);
        let overhead = Histogram::new([0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 1.0]);
        let (tokens, calls, cost) = (Family::default(), Family::default(), Family::default());
        let (unpriced, estimated, folded) = (Family::default(), Counter::default(), Counter::default());
        let (open_calls, guardrail_matches) = (Gauge::default(), Family::default());
        let guardrail_fail_open = Counter::default();
        let unguarded: Family<ReasonLabels, Counter> = Family::default();
        let guardrail_asked: Family<ReasonLabels, Counter> = Family::default();
        let (attempt_failures, unwritten_events) = (Family::default(), Family::default());
        r.register_with_unit(
            name::OPERATION_DURATION,
            "Duration of calls",
            Unit::Seconds,
            duration.clone(),
        );
        let first = "Time from a call's arrival to the first byte of its answer";
        r.register_with_unit(name::TIME_TO_FIRST_TOKEN, first, Unit::Seconds, first_token.clone());
        r.register_with_unit(
            name::OVERHEAD,
            "Weir's own share of a call's time",
            Unit::Seconds,
            overhead.clone(),
        );
        let used = "Tokens of a call: input with what was cached, output with reasoning";
        r.register(name::TOKEN_USAGE, used, token_usage.clone());
        r.register(name::TOKENS, "Tokens of calls, in disjoint types", tokens.clone());
        r.register(name::CALLS, "Calls by how they ended", calls.clone());
        r.register(name::OPEN_CALLS, "Calls open now", open_calls.clone());
        r.register(
            name::COST,
            "Spend in nano-USD, of calls whose cost is known",
            cost.clone(),
        );
        r.register(name::UNPRICED, "Calls without a cost, by reason", unpriced.clone());
        r.register(name::ESTIMATED, "Calls whose tokens were estimated", estimated.clone());
        r.register(name::GUARDRAIL_MATCHES, "Guardrail matches", guardrail_matches.clone());
        let open = "Guardrail errors that the policy let pass";
        r.register(name::GUARDRAIL_FAIL_OPEN, open, guardrail_fail_open.clone());
        r.register(
            name::GUARDRAIL_ASKED,
            "Matches that the webhook was asked about, by who decided",
            guardrail_asked.clone(),
        );
        r.register(
            name::UNGUARDED,
            "Bodies that no guardrail looked at, by reason",
            unguarded.clone(),
        );
        r.register(
            name::ATTEMPT_FAILURES,
            "Failed requests to providers",
            attempt_failures.clone(),
        );
        r.register(
            name::LOST_EVENTS,
            "Events that could not be written, by reason",
            unwritten_events.clone(),
        );
        r.register(name::FOLDED_LABELS, "Model names shown as `other`", folded.clone());
        // What is counted from the first time on must be there before it: 0.
        for reason in ["webhook", "on_error"] {
            drop(guardrail_asked.get_or_create(&reason_label(reason)));
        }
        for reason in UNGUARDED_REASONS {
            drop(unguarded.get_or_create(&reason_label(reason)));
        }
        Metrics {
            registry: Arc::new(r),
            models: Arc::default(),
            duration,
            first_token,
            token_usage,
            tokens,
            calls,
            cost,
            overhead,
            unpriced,
            estimated,
            folded,
            open_calls,
            guardrail_matches,
            guardrail_fail_open,
            guardrail_asked,
            unguarded,
            attempt_failures,
            unwritten_events,
        }
    }

    /// Counts a call that ended.
    pub fn ended(&self, call: &Ended<'_>) {
        let labels = CallLabels {
            gen_ai_operation_name: call.operation.to_owned(),
            gen_ai_provider_name: call.provider.to_owned(),
            gen_ai_request_model: self.model_label(call.model),
        };
        let ended = call.ended;
        #[expect(
            clippy::cast_precision_loss,
            reason = "a histogram of seconds does not need the nanosecond"
        )]
        let seconds = |ns: u64| ns as f64 / 1e9;
        let error_type = labels::error_type(ended.error_code.as_deref());
        self.duration
            .get_or_create(&DurationLabels {
                gen_ai_operation_name: labels.gen_ai_operation_name.clone(),
                gen_ai_provider_name: labels.gen_ai_provider_name.clone(),
                gen_ai_request_model: labels.gen_ai_request_model.clone(),
                error_type: error_type.clone(),
            })
            .observe(seconds(ended.latency.total_ns));
        if let Some(ns) = ended.time_to_first_token_ns {
            self.first_token.get_or_create(&labels).observe(seconds(ns));
        }
        self.overhead.observe(seconds(ended.latency.self_ns));
        let usage = ended.usage();
        let of_type = |gen_ai_token_type| TokenLabels {
            gen_ai_operation_name: labels.gen_ai_operation_name.clone(),
            gen_ai_provider_name: labels.gen_ai_provider_name.clone(),
            gen_ai_request_model: labels.gen_ai_request_model.clone(),
            gen_ai_token_type,
        };
        for (kind, count) in [("input", usage.input_total()), ("output", usage.output_total())] {
            if let Some(count) = count {
                #[expect(clippy::cast_precision_loss, reason = "no call has 2^53 tokens")]
                self.token_usage.get_or_create(&of_type(kind)).observe(count as f64);
            }
        }
        let buckets = [
            ("input", usage.input),
            ("cache_read", usage.cache_read),
            ("cache_write", usage.cache_write),
            ("output", usage.output),
            ("reasoning", usage.reasoning),
        ];
        for (gen_ai_token_type, count) in buckets {
            if let Some(count) = count.filter(|count| *count > 0) {
                self.tokens.get_or_create(&of_type(gen_ai_token_type)).inc_by(count);
            }
        }
        match ended.cost {
            Some(cost) => {
                self.cost
                    .get_or_create(&labels)
                    .inc_by(u64::try_from(cost.0).unwrap_or(0));
            }
            None => {
                if let Some(reason) = call.unpriced {
                    self.unpriced
                        .get_or_create(&ReasonLabels {
                            reason: reason.to_owned(),
                        })
                        .inc();
                }
            }
        }
        if ended.usage_source == Some(event::UsageSource::Estimated) {
            self.estimated.inc();
        }
        let labels = StatusLabels {
            gen_ai_operation_name: labels.gen_ai_operation_name,
            gen_ai_provider_name: labels.gen_ai_provider_name,
            gen_ai_request_model: labels.gen_ai_request_model,
            status: call.status,
            error_type,
        };
        self.calls.get_or_create(&labels).inc();
    }

    /// Counts calls that the last run left open.
    pub fn interrupted(&self, count: u64) {
        let labels = StatusLabels {
            gen_ai_operation_name: String::new(),
            gen_ai_provider_name: String::new(),
            gen_ai_request_model: String::new(),
            status: event::Status::Interrupted.as_str(),
            error_type: String::new(),
        };
        self.calls.get_or_create(&labels).inc_by(count);
    }

    /// The metrics in OpenMetrics text, which Prometheus reads.
    pub fn encode(&self, extra: &str) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode_registry(&mut text, &self.registry)?;
        text.push_str(extra);
        text.push_str("# EOF\n");
        Ok(text)
    }

    fn model_label(&self, model: &str) -> String {
        let model = if model.len() > 128 { "other" } else { model };
        let known = self.models.read().is_ok_and(|models| models.contains(model));
        if known {
            return model.to_owned();
        }
        let Ok(mut models) = self.models.write() else {
            return "other".to_owned();
        };
        if models.len() < MAX_MODELS {
            models.insert(model.to_owned());
            return model.to_owned();
        }
        self.folded.inc();
        "other".to_owned()
    }
}

/// What [`Metrics::ended`] needs of a call.
pub struct Ended<'a> {
    /// `chat`, …
    pub operation: &'a str,
    /// The provider, or empty if none was asked.
    pub provider: &'a str,
    /// The model asked for.
    pub model: &'a str,
    /// `completed`, …
    pub status: &'static str,
    /// How it ended.
    pub ended: &'a event::body::CallEnded,
    /// Why there is no cost, for a call that should have one.
    pub unpriced: Option<&'static str>,
}

/// OpenTelemetry's advice for `gen_ai.client.token.usage`.
fn powers_of_four() -> Histogram {
    Histogram::new((0..14).map(|power| f64::from(1u32 << (2 * power))))
}

/// OpenTelemetry's advice for `gen_ai.client.operation.duration`.
fn seconds() -> Histogram {
    Histogram::new([
        0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
    ])
}
