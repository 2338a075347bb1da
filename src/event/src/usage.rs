//! Token counts, in buckets that never overlap.

use serde::{Deserialize, Serialize};

/// Tokens of one call. The buckets are disjoint: their sum is what the call used. `None` is
/// unknown, which is not 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Prompt tokens that were neither read from nor written to the provider's cache.
    pub input: Option<u64>,
    /// Prompt tokens read from the provider's prompt cache.
    pub cache_read: Option<u64>,
    /// Prompt tokens written to the provider's prompt cache.
    pub cache_write: Option<u64>,
    /// Answer tokens, without the reasoning.
    pub output: Option<u64>,
    /// Reasoning tokens.
    pub reasoning: Option<u64>,
}

impl Usage {
    /// All prompt tokens, cached ones included (OpenTelemetry's `gen_ai.usage.input_tokens`).
    #[must_use]
    pub fn input_total(&self) -> Option<u64> {
        total(self.input, &[self.cache_read, self.cache_write])
    }

    /// All answer tokens, reasoning included (OpenTelemetry's `gen_ai.usage.output_tokens`).
    #[must_use]
    pub fn output_total(&self) -> Option<u64> {
        total(self.output, &[self.reasoning])
    }

    /// From OpenTelemetry's overlapping totals to disjoint buckets.
    #[must_use]
    pub fn from_totals(
        input: Option<u64>,
        cache_read: Option<u64>,
        cache_write: Option<u64>,
        output: Option<u64>,
        reasoning: Option<u64>,
    ) -> Usage {
        let cached = cache_read.unwrap_or(0).saturating_add(cache_write.unwrap_or(0));
        Usage {
            input: input.map(|n| n.saturating_sub(cached)),
            cache_read,
            cache_write,
            output: output.map(|n| n.saturating_sub(reasoning.unwrap_or(0))),
            reasoning,
        }
    }

    /// Whether nothing at all is known.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Usage::default()
    }
}

fn total(base: Option<u64>, parts: &[Option<u64>]) -> Option<u64> {
    base.map(|n| parts.iter().flatten().fold(n, |sum, part| sum.saturating_add(*part)))
}

/// Who counted the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsageSource {
    /// The provider said so.
    Provider,
    /// Weir counted, with a tokenizer that may not be the model's own.
    Estimated,
}

impl UsageSource {
    /// As it is written in events and columns.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            UsageSource::Provider => "provider",
            UsageSource::Estimated => "estimated",
        }
    }
}
