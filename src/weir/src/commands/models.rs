//! `weir models`.

use std::process::ExitCode;

use provider::prices::{Prices, Rate};

use crate::args::ModelsArgs;
use crate::error::Failure;
use crate::out::say;

/// Runs the command.
pub fn run(args: &ModelsArgs) -> Result<ExitCode, Failure> {
    let prices = Prices::builtin();
    let shown = |rate: Option<Rate>| rate.map_or_else(|| "-".to_owned(), |rate| rate.to_string());
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
    for known in provider::catalog::known() {
        if args.provider.as_deref().is_some_and(|name| name != known.name) {
            continue;
        }
        for model in prices.models_of(known.prices.unwrap_or(known.name)) {
            if args.filter.as_deref().is_some_and(|filter| !model.contains(filter)) {
                continue;
            }
            let Some(price) = prices.lookup(known.name, model) else {
                continue;
            };
            let (input, output) = (shown(price.rates.input), shown(price.rates.output));
            if args.json {
                let row = serde_json::json!({
                    "provider": known.name, "model": model, "input_usd_per_million": input,
                    "output_usd_per_million": output, "max_input_tokens": price.max_input,
                    "max_output_tokens": price.max_output,
                });
                say(&row.to_string())?;
            } else {
                say(&format!("{:<14} {model:<48} {input:>12} {output:>12}", known.name))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
