use proptest::prelude::*;

use super::*;

fn usage(input: u64, cache_read: u64, output: u64) -> Usage {
    Usage {
        input: Some(input),
        cache_read: Some(cache_read),
        output: Some(output),
        ..Usage::default()
    }
}

#[test]
fn known_prices() {
    let prices = Prices::builtin();
    let price = prices.lookup("openai", "gpt-4o-2024-08-06").unwrap();
    // 1000 × $2.50 + 500 × $1.25 + 200 × $10, each for a million: $0.005125.
    assert_eq!(price.cost(&usage(1000, 500, 200)), Some(NanoUsd(5_125_000)));
    assert_eq!(price.max_input, Some(128_000));
    // 10 × $0.05 + 1 × $0.08 for a million, on Groq.
    let small = prices.lookup("groq", "groq/openai/gpt-oss-20b").unwrap();
    assert_eq!(Some(&small), prices.lookup("groq", "openai/gpt-oss-20b").as_ref());
    assert_eq!(
        prices.lookup("openai", "gpt-3.5-turbo-instruct").unwrap().rates.output,
        Rate::per_million("2").ok()
    );
    assert!(
        prices.version().starts_with("litellm-1.109.1/2026-"),
        "{}",
        prices.version()
    );
}

#[test]
fn a_price_is_never_guessed() {
    let prices = Prices::builtin();
    for (provider, model) in [
        ("openai", "gpt-4o-2099-01-01"),
        ("openai", "GPT-4o"),
        ("openai", "gpt-4o "),
        ("groq", "gpt-4o"),
        ("openrouter", "gpt-4o"),
        ("my-vllm", "gpt-4o"),
        ("", ""),
        ("openai", ""),
    ] {
        assert_eq!(prices.lookup(provider, model), None, "{provider} {model}");
    }
    assert!(prices.lookup("gemini", "models/gemini-2.5-pro").is_some());
    assert!(prices.lookup("openai", "ft:gpt-4o-2024-08-06:org:name:id").is_some());
}

#[test]
fn what_is_unknown_has_no_cost() {
    let price = Prices::builtin().lookup("openai", "gpt-4o").unwrap();
    assert_eq!(price.cost(&Usage::default()), None);
    assert_eq!(
        price.cost(&Usage {
            input: Some(1),
            ..Usage::default()
        }),
        None
    );
    assert_eq!(
        price.cost(&Usage {
            output: Some(1),
            ..Usage::default()
        }),
        None
    );
    let written = Usage {
        cache_write: Some(1),
        ..usage(1, 0, 1)
    };
    assert_eq!(price.cost(&written), None, "there is no price of cache writes");
    let nothing_written = Usage {
        cache_write: Some(0),
        ..usage(1, 0, 1)
    };
    assert!(price.cost(&nothing_written).is_some());
    // Reasoning is billed as output where it has no price of its own.
    let reasoned = Usage {
        reasoning: Some(7),
        ..usage(1, 0, 0)
    };
    assert_eq!(price.cost(&reasoned), price.cost(&usage(1, 0, 7)));
}

#[test]
fn embeddings_have_no_output() {
    let price = Prices::builtin().lookup("openai", "text-embedding-3-small").unwrap();
    let usage = Usage {
        input: Some(1_000_000),
        ..Usage::default()
    };
    assert_eq!(price.cost(&usage), Some(NanoUsd(20_000_000)));
}

#[test]
fn long_prompts_and_service_tiers() {
    let price = Prices::builtin().lookup("gemini", "gemini-2.5-pro").unwrap();
    let cost = |input, tier| price.cost_in(&usage(input, 0, 0), tier).map(|nano| nano.0);
    assert_eq!(cost(200_000, None), Some(250_000_000));
    assert_eq!(cost(200_001, None), Some(500_002_500));
    assert_eq!(cost(200_000, Some("default")), cost(200_000, None));
    assert_eq!(cost(200_000, Some("flex")), Some(125_000_000));
    assert_eq!(cost(200_001, Some("flex")), None, "flex says nothing of long prompts");
    assert_eq!(cost(200_001, Some("priority")), Some(900_004_500));
    assert_eq!(cost(1, Some("scale")), None);
    // Cached tokens count towards the length.
    assert_eq!(
        price.cost(&usage(100_000, 100_001, 0)),
        Some(NanoUsd(250_000_000 + 25_000_250))
    );
}

#[test]
fn fees_and_hours_have_no_cost() {
    let prices = Prices::builtin();
    let sonar = prices.lookup("perplexity", "sonar").unwrap();
    assert_eq!(
        (sonar.unpriceable, sonar.cost(&usage(1, 0, 1))),
        (Some(Unpriceable::Fee), None)
    );
    let flash = prices.lookup("deepseek", "deepseek-v4-flash").unwrap();
    let million = usage(1_000_000, 0, 0);
    assert_eq!(
        (flash.unpriceable, flash.cost(&million)),
        (Some(Unpriceable::TimeOfDay), None)
    );
    // Friday 2026-11-20, 02:00 and 05:00 UTC; then from 03:59 to 04:00.
    let friday = 1_795_132_800;
    let cost = |from: i64, to: i64| {
        flash
            .clone()
            .during(friday + from * 60, friday + to * 60)
            .cost(&million)
    };
    assert_eq!(cost(120, 121), Some(NanoUsd(300_000_000)));
    assert_eq!(cost(300, 301), Some(NanoUsd(150_000_000)));
    assert_eq!(cost(239, 240), None);
    assert_eq!(flash.upper_bound(1_000_000, 0), Some(NanoUsd(300_000_000)));
    let steady = prices.lookup("openai", "gpt-4o").unwrap();
    assert_eq!(steady.clone().during(0, 0), steady);
    assert_eq!(sonar.clone().during(0, 0), sonar);
}

#[test]
fn overrides_come_first() {
    let rates = Rates {
        input: Rate::per_million("0.05").ok(),
        output: Rate::per_million("0.08").ok(),
        ..Rates::default()
    };
    let price = Price {
        rates,
        ..Price::default()
    };
    let entry = |provider: Option<&str>, model: &str| Override {
        provider: provider.map(str::to_owned),
        model: model.to_owned(),
        price: price.clone(),
    };
    let prices = Prices::builtin().with_overrides([
        entry(Some("my-vllm"), "llama"),
        entry(None, "gpt-4o"),
        entry(Some("together"), "x"),
    ]);
    assert_eq!(prices.lookup("my-vllm", "llama"), Some(price.clone()));
    assert_eq!(prices.lookup("other", "llama"), None);
    assert_eq!(prices.lookup("openai", "gpt-4o"), Some(price.clone()));
    assert_eq!(prices.lookup("together", "together/x"), Some(price.clone()));
    assert_ne!(prices.version(), Prices::builtin().version());
    assert_eq!(
        Prices::builtin().with_overrides([]).version(),
        Prices::builtin().version()
    );
    // 3 × 50 + 2 × 80 pico-dollars are 0.31 nano-dollars, and round to none; 10 tokens round up.
    assert_eq!(price.cost(&usage(3, 0, 2)), Some(NanoUsd(310)));
    let tiny = Price {
        rates: Rates {
            input: Rate::per_million("0.0001").ok(),
            output: Some(Rate::default()),
            ..Rates::default()
        },
        ..Price::default()
    };
    assert_eq!(tiny.cost(&usage(4, 0, 0)), Some(NanoUsd(0)));
    assert_eq!(tiny.cost(&usage(5, 0, 0)), Some(NanoUsd(1)), "half is rounded up");
}

#[test]
fn near_names() {
    let prices = Prices::builtin();
    assert_eq!(prices.nearest("openai", "gpt-4o-mimi", 1), ["gpt-4o-mini"]);
    assert!(prices.nearest("openai", "zzzzzzzz", 3).is_empty());
}

proptest! {
    #[test]
    fn costs_are_rounded_once(input in 0u64..10_000_000, output in 0u64..10_000_000, cached in 0u64..10_000_000) {
        let price = Prices::builtin().lookup("openai", "gpt-4o-mini").unwrap();
        // $0.15, $0.075 and $0.60 for a million are 150, 75 and 600 nano-dollars for one.
        let exact = input * 150 + cached * 75 + output * 600;
        prop_assert_eq!(price.cost(&usage(input, cached, output)), Some(NanoUsd(exact as i64)));
        prop_assert!(price.upper_bound(input + cached, output) >= price.cost(&usage(input, cached, output)));
    }

    #[test]
    fn lookups_never_panic(provider in ".{0,12}", model in ".{0,20}") {
        let _ = Prices::builtin().lookup(&provider, &model);
    }
}
