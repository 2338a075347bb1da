//! What tokens cost.
//!
//! The table is a text of the binary, sorted, and searched where it lies: nothing is parsed or
//! allocated before a model is looked up. Prices are whole femto-dollars a token, so that sums are
//! exact; a cost is rounded half up to nano-dollars once, at its end. What is not known for
//! certain has no cost: a model that is not in the table, a token count or a price that is
//! missing, a service tier without prices, a fee per request, a call during which the prices changed.

mod hours;
mod rate;
mod table;

use std::borrow::Cow;

use event::{NanoUsd, Usage};

use crate::catalog;
pub use hours::{OffPeak, Window};
pub use rate::{Rate, RateError};

/// Femto-dollars of a nano-dollar.
const FEMTO: u128 = 1_000_000;

/// Prices of the kinds of tokens; `None` where there is no price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Prompt tokens that no cache helps with.
    pub input: Option<Rate>,
    /// Prompt tokens read from the cache.
    pub cache_read: Option<Rate>,
    /// Prompt tokens written to the cache.
    pub cache_write: Option<Rate>,
    /// Answer tokens.
    pub output: Option<Rate>,
    /// Reasoning tokens; `None`: as `output`.
    pub reasoning: Option<Rate>,
}

/// Prices that hold under a condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tier {
    /// The service tier, such as `flex` or `priority`; `None` is the standard one.
    pub service: Option<String>,
    /// Holds for a whole call whose prompt has more tokens than this.
    pub above: Option<u64>,
    /// The prices.
    pub rates: Rates,
}

/// Why a model's tokens do not tell its whole price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unpriceable {
    /// There is a fee for each request or search.
    Fee,
    /// The price depends on the hour of the day: see [`Price::during`].
    TimeOfDay,
}

/// What a model costs, and what it can hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// The standard prices.
    pub rates: Rates,
    /// Prices under conditions.
    pub tiers: Vec<Tier>,
    /// The longest prompt in tokens.
    pub max_input: Option<u64>,
    /// The longest answer in tokens.
    pub max_output: Option<u64>,
    /// The model has no answer tokens (embeddings).
    pub input_only: bool,
    /// Other prices at some hours.
    pub off_peak: Option<OffPeak>,
    /// Set where tokens alone do not make the price.
    pub unpriceable: Option<Unpriceable>,
}

impl Price {
    /// What `usage` costs in the standard service tier; `None` if anything needed is unknown.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Option<NanoUsd> {
        self.cost_in(usage, None)
    }

    /// The price as it was during a call, for models whose price depends on the hour; any other
    /// price as it is. A call across a change of prices keeps [`Unpriceable::TimeOfDay`]. Times are
    /// seconds of the Unix epoch.
    #[must_use]
    pub fn during(mut self, started: i64, ended: i64) -> Price {
        if let (Some(Unpriceable::TimeOfDay), Some(off)) = (self.unpriceable, &self.off_peak)
            && let Some(held) = off.holds(started, ended)
        {
            self.unpriceable = None;
            if held {
                self.rates = off.rates;
            }
        }
        self
    }

    /// What `usage` costs in the service tier that the answer names.
    ///
    /// Unknown cache and reasoning buckets count as none: a provider that does not tell of them
    /// has counted their tokens in the other buckets.
    #[must_use]
    pub fn cost_in(&self, usage: &Usage, service_tier: Option<&str>) -> Option<NanoUsd> {
        if self.unpriceable.is_some() {
            return None;
        }
        let rates = self.rates_for(usage.input_total()?, service_tier)?;
        let output = match usage.output {
            None if self.input_only => Some(0),
            output => output,
        };
        let femto = [
            (Some(usage.input?), rates.input),
            (usage.cache_read, rates.cache_read),
            (usage.cache_write, rates.cache_write),
            (Some(output?), rates.output),
            (usage.reasoning, rates.reasoning.or(rates.output)),
        ]
        .into_iter()
        .try_fold(0u128, |sum, (tokens, rate)| match tokens {
            None | Some(0) => Some(sum),
            Some(tokens) => sum.checked_add(u128::from(tokens) * u128::from(rate?.femto())),
        })?;
        i64::try_from((femto + FEMTO / 2) / FEMTO).ok().map(NanoUsd)
    }

    /// The dearest that a call can come to with these bounds, for reservations: every prompt
    /// token at the dearest of its prices.
    #[must_use]
    pub fn upper_bound(&self, prompt_tokens: u64, answer_tokens: u64) -> Option<NanoUsd> {
        if self.unpriceable == Some(Unpriceable::Fee) {
            return None;
        }
        let all = || {
            let conditional = self.tiers.iter().map(|tier| &tier.rates);
            std::iter::once(&self.rates)
                .chain(conditional)
                .chain(self.off_peak.iter().map(|off| &off.rates))
        };
        let prompt = all().filter_map(|r| r.input.max(r.cache_write).max(r.cache_read)).max();
        let answer = all().filter_map(|r| r.output.max(r.reasoning)).max();
        let usage = Usage {
            input: Some(prompt_tokens),
            output: Some(answer_tokens),
            ..Usage::default()
        };
        Price {
            rates: Rates {
                input: prompt,
                output: answer,
                ..Rates::default()
            },
            ..Price::default()
        }
        .cost(&usage)
    }

    fn rates_for(&self, prompt_tokens: u64, service_tier: Option<&str>) -> Option<&Rates> {
        let best = |service: Option<&str>| {
            let held =
                |tier: &&Tier| tier.service.as_deref() == service && tier.above.is_none_or(|n| prompt_tokens > n);
            self.tiers.iter().filter(held).max_by_key(|tier| tier.above)
        };
        let standard = best(None);
        match service_tier {
            None | Some("default" | "auto" | "standard" | "on_demand" | "") => {
                Some(standard.map_or(&self.rates, |tier| &tier.rates))
            }
            // A long prompt costs more in every tier: a tier that does not say how much is unknown.
            Some(service) => {
                let tier = best(Some(service))?;
                (tier.above >= standard.and_then(|tier| tier.above)).then_some(&tier.rates)
            }
        }
    }
}

/// A price that the configuration sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Of which provider; `None` is of any.
    pub provider: Option<String>,
    /// The model, as the provider names it.
    pub model: String,
    /// Its price.
    pub price: Price,
}

/// The price table.
#[derive(Clone, Debug)]
pub struct Prices {
    overrides: Vec<Override>,
    version: Cow<'static, str>,
}

impl Default for Prices {
    fn default() -> Prices {
        Prices::builtin()
    }
}

impl Prices {
    /// The table of the binary. Costs nothing: the table is read as models are looked up.
    #[must_use]
    pub fn builtin() -> Prices {
        Prices {
            overrides: Vec::new(),
            version: Cow::Borrowed(table::version()),
        }
    }

    /// The same with prices that come first; of two for one model the later counts. The version
    /// then ends in a digest of them, so that records tell which prices they were made with.
    #[must_use]
    pub fn with_overrides(mut self, overrides: impl IntoIterator<Item = Override>) -> Prices {
        self.overrides.extend(overrides);
        self.version = match self.overrides.as_slice() {
            [] => Cow::Borrowed(table::version()),
            overrides => Cow::Owned(format!("{}+{:08x}", table::version(), digest(overrides))),
        };
        self
    }

    /// Which table this is: source, version and date.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The price of a model at a provider, by the catalog's name of the provider or the table's
    /// id. The model may have the provider's name in front (`groq/llama-…`). A name that is not
    /// in the table has no price, however near another one is.
    #[must_use]
    pub fn lookup(&self, provider: &str, model: &str) -> Option<Price> {
        let id = catalog::by_name(provider).map_or(Some(provider), |known| known.prices);
        let names = spellings(provider, id.unwrap_or(provider), model);
        for name in &names {
            let matches = |o: &&Override| {
                o.model == *name && o.provider.as_deref().is_none_or(|p| p == provider || Some(p) == id)
            };
            if let Some(found) = self.overrides.iter().rev().find(matches) {
                return Some(found.price.clone());
            }
        }
        names.iter().find_map(|name| table::find(id?, name))
    }

    /// Every model of a provider in the table, sorted.
    pub fn models_of(&self, provider: &str) -> impl Iterator<Item = &'static str> + use<> {
        let id = catalog::by_name(provider).map_or(Some(provider), |known| known.prices);
        table::models_of(id.unwrap_or(""))
    }

    /// The models of a provider whose names are nearest to `model`, the nearest first.
    #[must_use]
    pub fn nearest(&self, provider: &str, model: &str, at_most: usize) -> Vec<&'static str> {
        nearest(model, self.models_of(provider), at_most)
    }
}

/// Of `names` those that look like `wanted`, the nearest first; empty if none is near.
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>, at_most: usize) -> Vec<&'a str> {
    const NEAR: f64 = 0.6;
    let mut scored: Vec<(f64, &str)> = names
        .into_iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(wanted, name), name))
        .filter(|(score, _)| *score >= NEAR)
        .collect();
    scored.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.cmp(y)));
    scored.into_iter().take(at_most).map(|(_, name)| name).collect()
}

/// The ways in which one and the same model is written.
fn spellings<'a>(provider: &str, id: &str, model: &'a str) -> Vec<Cow<'a, str>> {
    let mut names = vec![Cow::Borrowed(model)];
    let bare = [provider, id]
        .iter()
        .find_map(|prefix| model.strip_prefix(prefix)?.strip_prefix('/'));
    names.extend(bare.map(Cow::Borrowed));
    if id == "gemini" {
        names.extend(model.strip_prefix("models/").map(Cow::Borrowed));
    }
    // `ft:gpt-4o-2024-08-06:org:name:id` is priced as `ft:gpt-4o-2024-08-06`.
    let base = model
        .strip_prefix("ft:")
        .and_then(|rest| rest.split_once(':'))
        .map(|(base, _)| format!("ft:{base}"));
    names.extend(base.map(Cow::Owned));
    names
}

/// FNV-1a: to tell tables apart, not against forgery.
fn digest(overrides: &[Override]) -> u32 {
    let text = format!("{overrides:?}");
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests;
