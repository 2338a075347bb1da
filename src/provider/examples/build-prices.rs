//! Makes `data/prices.tsv` from a price list in JSON:
//! `cargo run -p weir-provider --example build-prices -- ../shared/catalog/prices.json`

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use provider::prices::Rate;
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct List {
    _meta: Meta,
    models: Vec<Model>,
}

#[derive(Deserialize)]
struct Meta {
    source: String,
    licence: String,
    retrieved: String,
}

/// Numbers stay text: a float would not be exact.
type Numbers = BTreeMap<String, Box<RawValue>>;

#[derive(Deserialize)]
struct Model {
    model: String,
    provider: String,
    mode: String,
    #[serde(default)]
    usd: BTreeMap<String, Box<RawValue>>,
    #[serde(default)]
    usd_above_input_tokens: BTreeMap<u64, BTreeMap<String, Box<RawValue>>>,
    #[serde(default)]
    usd_service_tier: BTreeMap<String, BTreeMap<String, Box<RawValue>>>,
    #[serde(default)]
    tiered_pricing: Vec<BTreeMap<String, Box<RawValue>>>,
    off_peak_pricing: Option<OffPeak>,
    search_per_query: Option<Box<RawValue>>,
    max_input: Option<Box<RawValue>>,
    max_output: Option<Box<RawValue>>,
}

/// Weekdays may be those of another time zone; the only one in the list is Shanghai's, and there
/// the hours in question (16 to 24 UTC) cost the same on every day.
#[derive(Deserialize)]
struct OffPeak {
    windows: Vec<Window>,
    #[serde(flatten)]
    usd: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct Window {
    hours_utc: OneOrMany,
    weekdays: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

const KINDS: [(&str, &str, &str); 5] = [
    ("i", "input", "input_cost_per_token"),
    ("r", "cache_read", "cache_read_input_token_cost"),
    ("w", "cache_write", "cache_creation_input_token_cost"),
    ("o", "output", "output_cost_per_token"),
    ("t", "reasoning", "output_cost_per_reasoning_token"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: build-prices PRICES.json")?;
    let list: List = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let mut rows: BTreeMap<(String, String), Option<String>> = BTreeMap::new();
    let mut conflicts = Vec::new();
    for model in &list.models {
        let Some(row) = row(model)? else { continue };
        let provider = model
            .provider
            .strip_prefix("text-completion-")
            .unwrap_or(&model.provider)
            .to_owned();
        let bare = model
            .model
            .strip_prefix(&format!("{provider}/"))
            .unwrap_or(&model.model);
        let key = (
            provider,
            bare.strip_prefix("text-completion-").unwrap_or(bare).to_owned(),
        );
        match rows.get(&key) {
            // One model under two names, at two prices: neither can be trusted.
            Some(other) if !other.as_ref().is_some_and(|other| same(other, &row)) => {
                conflicts.push(key.clone());
                rows.insert(key, None);
            }
            Some(_) => {}
            None => drop(rows.insert(key, Some(row))),
        }
    }
    let date = &list._meta.retrieved;
    let source = list._meta.source.split(',').next().unwrap_or("");
    let number = source.split(' ').nth(1).ok_or("the source names no version")?;
    let mut out = format!(
        "# litellm-{number}/{date} {}; {}\n",
        list._meta.source, list._meta.licence
    );
    let mut count = 0;
    for ((provider, model), row) in &rows {
        if let Some(row) = row {
            writeln!(out, "{provider}\t{model}\t{row}")?;
            count += 1;
        }
    }
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/prices.tsv");
    std::fs::write(&target, &out)?;
    eprintln!(
        "{count} models, {} bytes; left out for two prices: {conflicts:?}",
        out.len()
    );
    Ok(())
}

/// Two rows that differ in a cache write for nothing at most.
fn same(a: &str, b: &str) -> bool {
    a.replace(" w0", "") == b.replace(" w0", "")
}

fn row(model: &Model) -> Result<Option<String>, Box<dyn Error>> {
    let mut flags = String::new();
    match model.mode.as_str() {
        "embedding" => flags.push('e'),
        "chat" | "responses" | "completion" => {}
        _ => return Ok(None),
    }
    let fee = ["per_query", "per_request", "citation"]
        .iter()
        .any(|key| model.usd.contains_key(*key));
    // These search on every request, and each search costs.
    let searches = model.provider == "perplexity" || model.model.contains("-search-");
    if fee || (searches && model.search_per_query.is_some()) {
        flags.push('f');
    }
    let mut sections = vec![rates(&model.usd, |kind| kind.1)?];
    if let Some(off) = &model.off_peak_pricing {
        flags.push('h');
        sections.push(format!("@{} {}", hours(off)?, off_peak(off, &sections[0])?));
    }
    for (above, usd) in &model.usd_above_input_tokens {
        sections.push(format!(">{above} {}", rates(usd, |kind| kind.1)?));
    }
    for usd in &model.tiered_pricing {
        let range: Vec<Box<RawValue>> = serde_json::from_str(usd.get("range").ok_or("a tier without a range")?.get())?;
        let rates = rates(usd, |kind| kind.2)?;
        match range.first() {
            Some(start) if start.get() != "0" => {
                let start: u64 = start.get().strip_suffix(".0").unwrap_or(start.get()).parse()?;
                sections.push(format!(">{start} {rates}"));
            }
            _ => sections[0] = rates,
        }
    }
    for (service, usd) in &model.usd_service_tier {
        // Batches are no calls through a gateway.
        if service == "batches" {
            continue;
        }
        let standing = rates(usd, |kind| kind.1)?;
        if !standing.is_empty() {
            sections.push(format!("{service} {standing}"));
        }
        if let Some(tiers) = usd.get("tiers") {
            let tiers: BTreeMap<u64, BTreeMap<String, Box<RawValue>>> = serde_json::from_str(tiers.get())?;
            for (above, usd) in &tiers {
                sections.push(format!("{service}>{above} {}", rates(usd, |kind| kind.1)?));
            }
        }
    }
    if !sections[0].starts_with('i') {
        return Ok(None);
    }
    let limit = |limit: &Option<Box<RawValue>>| {
        let digits = limit.as_ref().map_or("", |limit| limit.get());
        digits
            .strip_suffix(".0")
            .unwrap_or(digits)
            .parse::<u64>()
            .map_or(String::new(), |limit| limit.to_string())
    };
    let (input, output) = (limit(&model.max_input), limit(&model.max_output));
    Ok(Some(format!("{flags}\t{input}\t{output}\t{}", sections.join("|"))))
}

fn rates(
    usd: &Numbers,
    name: fn(&(&str, &'static str, &'static str)) -> &'static str,
) -> Result<String, Box<dyn Error>> {
    let mut words = Vec::new();
    for kind in &KINDS {
        if let Some(number) = usd.get(name(&(kind.0, kind.1, kind.2))) {
            words.push(format!("{}{}", kind.0, Rate::per_token(number.get())?));
        }
    }
    Ok(words.join(" "))
}

fn hours(off: &OffPeak) -> Result<String, Box<dyn Error>> {
    let minute = |time: &str| -> Result<u32, Box<dyn Error>> {
        let (hours, minutes) = time.split_once(':').ok_or("an hour without minutes")?;
        Ok(hours.parse::<u32>()? * 60 + minutes.parse::<u32>()?)
    };
    let mut groups = Vec::new();
    for window in &off.windows {
        let spans = match &window.hours_utc {
            OneOrMany::One(span) => std::slice::from_ref(span),
            OneOrMany::Many(spans) => spans,
        };
        let mut minutes = Vec::new();
        for span in spans {
            let (from, to) = span.split_once('-').ok_or("hours without an end")?;
            let to = match minute(to)? {
                0 => 1440,
                to => to,
            };
            minutes.push(format!("{}-{to}", minute(from)?));
        }
        let days: String = window.weekdays.iter().map(u8::to_string).collect();
        groups.push(format!("{days}:{}", minutes.join(",")));
    }
    Ok(groups.join(";"))
}

fn off_peak(off: &OffPeak, standing: &str) -> Result<String, Box<dyn Error>> {
    let mut words = Vec::new();
    for (letter, _, name) in &KINDS {
        if let Some(number) = off.usd.get(*name) {
            // A flattened number has been a float; its shortest text is the one that was read.
            words.push(format!("{letter}{}", Rate::per_token(&number.to_string())?));
        } else if let Some(word) = standing.split(' ').find(|word| **word == format!("{letter}0")) {
            words.push(word.to_owned());
        }
    }
    Ok(words.join(" "))
}
