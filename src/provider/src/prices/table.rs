//! The table of the binary: tab-separated lines, sorted by provider and model.
//!
//! `provider ⇥ model ⇥ flags ⇥ longest prompt ⇥ longest answer ⇥ prices`, where prices are
//! `i2.5 r1.25 w3 o10 t10` (input, cache read, cache write, output, reasoning; dollars for a
//! million tokens) and, after `|`, the same under a condition: `flex`, `>200000` or
//! `priority>200000`; `@12345:0-60;67:0-1440` stands for hours (see [`OffPeak::windows`]). Flags:
//! `e` embeddings, `f` a fee besides, `h` by the hour.

use super::{OffPeak, Price, Rate, Rates, Tier, Unpriceable};

static TABLE: &str = include_str!("../../data/prices.tsv");

/// The first line: `# version …`.
pub(super) fn version() -> &'static str {
    TABLE
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("# "))
        .and_then(|line| line.split(' ').next())
        .unwrap_or("unknown")
}

fn key(line: &str) -> (&str, &str) {
    let mut parts = line.split('\t');
    (parts.next().unwrap_or(""), parts.next().unwrap_or(""))
}

/// The offset of the first line whose key is not below `wanted`. A comment sorts before all.
fn lower_bound(wanted: (&str, &str)) -> usize {
    let (mut low, mut high) = (0, TABLE.len());
    while low < high {
        let middle = low + (high - low) / 2;
        // Byte offsets: newlines are never inside a character, but the middle may be.
        let start = memchr::memrchr(b'\n', &TABLE.as_bytes()[..middle])
            .map_or(0, |at| at + 1)
            .max(low);
        let end = memchr::memchr(b'\n', &TABLE.as_bytes()[start..]).map_or(TABLE.len(), |at| start + at + 1);
        if key(TABLE.get(start..end).unwrap_or("")) < wanted {
            low = end;
        } else {
            high = start;
        }
    }
    low
}

fn lines_from(offset: usize) -> impl Iterator<Item = &'static str> {
    TABLE.get(offset..).unwrap_or("").lines()
}

pub(super) fn find(provider: &str, model: &str) -> Option<Price> {
    let line = lines_from(lower_bound((provider, model))).next()?;
    (key(line) == (provider, model)).then(|| parse(line)).flatten()
}

pub(super) fn models_of(provider: &str) -> impl Iterator<Item = &'static str> + use<> {
    let provider = provider.to_owned();
    lines_from(lower_bound((&provider, "")))
        .map(key)
        .take_while(move |(of, _)| *of == provider)
        .map(|(_, model)| model)
}

fn parse(line: &str) -> Option<Price> {
    let mut fields = line.split('\t').skip(2);
    let flags = fields.next()?;
    let mut price = Price {
        input_only: flags.contains('e'),
        unpriceable: match flags {
            flags if flags.contains('f') => Some(Unpriceable::Fee),
            flags if flags.contains('h') => Some(Unpriceable::TimeOfDay),
            _ => None,
        },
        max_input: fields.next()?.parse().ok(),
        max_output: fields.next()?.parse().ok(),
        ..Price::default()
    };
    for (index, section) in fields.next()?.split('|').enumerate() {
        let mut words = section.split(' ');
        if index == 0 {
            price.rates = rates(words)?;
            continue;
        }
        let condition = words.next()?;
        if let Some(hours) = condition.strip_prefix('@') {
            let windows = OffPeak::windows(hours)?;
            let rates = rates(words)?;
            price.off_peak = Some(OffPeak { rates, windows });
            continue;
        }
        let (service, above) = match condition.split_once('>') {
            Some((service, above)) => (service, Some(above.parse().ok()?)),
            None => (condition, None),
        };
        let service = (!service.is_empty()).then(|| service.to_owned());
        price.tiers.push(Tier {
            service,
            above,
            rates: rates(words)?,
        });
    }
    Some(price)
}

fn rates<'a>(words: impl Iterator<Item = &'a str>) -> Option<Rates> {
    let mut rates = Rates::default();
    for word in words {
        let (kind, number) = word.split_at_checked(1)?;
        let rate = Some(Rate::per_million(number).ok()?);
        match kind {
            "i" => rates.input = rate,
            "r" => rates.cache_read = rate,
            "w" => rates.cache_write = rate,
            "o" => rates.output = rate,
            "t" => rates.reasoning = rate,
            _ => return None,
        }
    }
    Some(rates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read_and_found() {
        let lines: Vec<&str> = TABLE.lines().skip(1).collect();
        assert!(lines.len() > 3000, "{}", lines.len());
        assert!(lines.is_sorted_by(|a, b| key(a) < key(b)), "sorted, without duplicates");
        for line in lines {
            let (provider, model) = key(line);
            let price = parse(line);
            assert!(price.is_some(), "{line}");
            assert_eq!(find(provider, model), price, "{line}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for (provider, model) in [
            ("", ""),
            ("openai", "gpt-4o-2099-01-01"),
            ("openai", "gpt-4"),
            ("zzz", "x"),
            ("#", ""),
        ] {
            assert_eq!(find(provider, model).is_some(), model == "gpt-4", "{provider} {model}");
        }
    }
}
