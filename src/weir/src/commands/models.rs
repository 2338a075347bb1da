//! `weir models`.

use std::process::ExitCode;

use provider::catalog::{self, Known};
use provider::prices::{Price, Prices, Rate, nearest};

use crate::args::ModelsArgs;
use crate::error::Failure;
use crate::out::say;

/// Runs the command.
pub fn run(args: &ModelsArgs) -> Result<ExitCode, Failure> {
    let prices = Prices::builtin();
    let models = wanted(args, &prices)?;
    if !args.json {
        say(&format!(
            "{:<14} {:<48} {:>12} {:>12}   dollars for a million tokens, table {}",
            "provider",
            "model",
            "input",
            "output",
            prices.version()
        ))?;
    }
    for (known, model, price) in models {
        say(&match args.json {
            true => machine_line(known, model, &price).to_string(),
            false => line(known, model, &price),
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What was asked for, in whatever case; that there is none is a failure, so that a slip of the pen is seen.
fn wanted(args: &ModelsArgs, prices: &Prices) -> Result<Vec<(&'static Known, &'static str, Price)>, Failure> {
    let is_wanted = |known: &&Known| {
        let named = args.provider.as_deref();
        named.is_none_or(|name| name.eq_ignore_ascii_case(known.name))
    };
    let providers: Vec<&'static Known> = catalog::known().iter().filter(is_wanted).collect();
    if let (Some(name), true) = (&args.provider, providers.is_empty()) {
        let lower = name.to_ascii_lowercase();
        let near = nearest(&lower, catalog::known().iter().map(|known| known.name), 1);
        let hint = near.first().map(|near| format!("\n  did you mean `{near}`?"));
        return Err(Failure::Usage(format!(
            "no provider is called `{name}`{}",
            hint.unwrap_or_default()
        )));
    }
    let part = args.filter.as_deref().unwrap_or_default().to_lowercase();
    let mut models = Vec::new();
    for known in providers {
        let names = prices.models_of(known.prices.unwrap_or(known.name));
        for model in names.filter(|model| model.to_lowercase().contains(&part)) {
            models.extend(prices.lookup(known.name, model).map(|price| (known, model, price)));
        }
    }
    if models.is_empty() {
        let of = args.provider.as_ref().map(|name| format!(" of {name}"));
        let named = args.filter.as_ref().map(|part| format!(" with `{part}` in its name"));
        return Err(Failure::Other(format!(
            "the price table has no model{}{}",
            of.unwrap_or_default(),
            named.unwrap_or_default()
        )));
    }
    Ok(models)
}

fn line(known: &Known, model: &str, price: &Price) -> String {
    let shown = |rate: Option<Rate>| rate.map_or_else(|| "-".to_owned(), |rate| rate.to_string());
    let (input, output) = (shown(price.rates.input), shown(price.rates.output));
    format!("{:<14} {model:<48} {input:>12} {output:>12}", known.name)
}

/// Prices are whole nano-dollars for a million tokens, which are femto-dollars for one.
fn machine_line(known: &Known, model: &str, price: &Price) -> serde_json::Value {
    let nano = |rate: Option<Rate>| rate.map(Rate::femto);
    serde_json::json!({
        "provider": known.name, "model": model,
        "input_nano_usd_per_million": nano(price.rates.input),
        "output_nano_usd_per_million": nano(price.rates.output),
        "max_input_tokens": price.max_input, "max_output_tokens": price.max_output,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(filter: Option<&str>, provider: Option<&str>) -> Result<usize, String> {
        let args = ModelsArgs {
            filter: filter.map(str::to_owned),
            provider: provider.map(str::to_owned),
            json: false,
        };
        let models = wanted(&args, &Prices::builtin());
        models.map(|models| models.len()).map_err(|error| error.to_string())
    }

    #[test]
    fn names_are_found_in_whatever_case() {
        let some = found(Some("gpt-4o"), Some("openai")).unwrap();
        assert!(some > 1);
        assert_eq!(found(Some("GPT-4O"), Some("OpenAI")), Ok(some));
    }

    #[test]
    fn nothing_found_is_told() {
        let error = found(None, Some("opanai")).unwrap_err();
        assert_eq!(error, "no provider is called `opanai`\n  did you mean `openai`?");
        let error = found(Some("xyzzy"), Some("openai")).unwrap_err();
        assert_eq!(error, "the price table has no model of openai with `xyzzy` in its name");
    }

    #[test]
    fn prices_are_numbers_for_machines() {
        let prices = Prices::builtin();
        let known = catalog::by_name("openai").unwrap();
        let price = prices.lookup("openai", "gpt-4o-mini").unwrap();
        let row = machine_line(known, "gpt-4o-mini", &price);
        assert_eq!(row["input_nano_usd_per_million"], 150_000_000);
        assert_eq!(row["output_nano_usd_per_million"], 600_000_000);
        let row = machine_line(known, "x", &Price::default());
        assert!(row["output_nano_usd_per_million"].is_null(), "{row}");
    }
}
