//! No text makes a scan cost more than its length allows. Steps of automata are counted, not timed, so
//! that the answer is the same on every machine.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, LazyLock};

use guard::{Pack, Phase, Policy, PolicySpec};

/// Every shipped pack.
static POLICY: LazyLock<Arc<Policy>> = LazyLock::new(|| {
    let packs = Pack::builtin();
    let spec = PolicySpec {
        packs: packs.iter().map(|pack| pack.name().to_owned()).collect(),
        ..PolicySpec::default()
    };
    Arc::new(Policy::compile(&spec, &packs).unwrap())
});

/// `shape` again and again, with another digit for each `#`, in `len` bytes or a little more.
fn filled(shape: &str, len: usize) -> String {
    let mut seed = 88_172_645_463_325_252_u64;
    let mut text = String::with_capacity(len + shape.len());
    while text.len() < len {
        for c in shape.chars() {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            text.push(if c == '#' {
                char::from(b'0' + (seed % 10) as u8)
            } else {
                c
            });
        }
    }
    text
}

/// What tables, logs and lists of numbers look like.
fn ordinary() -> Vec<String> {
    let mut shapes = Vec::new();
    for separator in [",", ", ", ";", " ", "\t", "|", "\n", "\",\"", ".", "-", "/"] {
        for digits in 1..=20 {
            shapes.push("#".repeat(digits) + separator);
        }
    }
    let others = [
        "### ### ###, ",
        "###-###-#### ",
        "####-####-####-####\n",
        "##-##-## ",
        "## ## ## ## ",
        "####-##-## ##:##:##.### ",
        "(###) ###-####\n",
        "+## ### ### ####\n",
        "0.########, -0.####, ",
        "[##.####, -#.######], ",
        "A######B ",
        "AB######,",
        "ABC-#####;",
        "19########,",
        "19#########,",
        "2########1 ",
        "1########\n",
        "0## ####### ",
        "###.###.###.###\n",
        "#a##b#c# ",
        "######## #### #### #### ############\n",
        "{\"id\": ########, \"n\": ##########},\n",
        "$#,###.## ",
        "1. ##########\n",
    ];
    shapes.extend(others.map(str::to_owned));
    shapes
}

/// Steps a byte that no text reaches. The default budget ends before: such a text is blocked.
const MOST: u64 = 400;

/// What is made to keep rules awake.
fn adversarial() -> Vec<String> {
    let mut shapes: Vec<String> = [
        "a",
        "a.",
        "a@",
        "a.b@",
        "A1",
        "7",
        "1-",
        "+1",
        "[",
        "[[(({{",
        "![](",
        "<a <b ",
        "-----BEGIN",
        "-----BEGIN PRIVATE KEY-----\n",
        "eyJ",
        "eyJhbGciOiJIUzI1NiJ9.eyJ",
        "eyJhbGciOi.",
        "\u{200B}",
        "\u{E0041}",
        "e\u{301}",
        "о",
        "%41",
        "&#65;",
        "\\u0041",
        "aWdub3Jl",
        "aWdub3JlIGFsbA== ",
        "41 42 43 ",
        "-.-. ",
        "1gn0r3 ",
        "i g n o r e ",
        "ignore all ",
        "ignore previous ",
        "system:",
        "password=",
        "key: \"",
        "https://",
        "http://a:b",
        "::",
        "a:b:",
        "0x",
        "日本",
    ]
    .map(str::to_owned)
    .to_vec();
    // What wakes the rules themselves, broken off.
    for (number, rule) in Pack::builtin().iter().flat_map(Pack::rules).enumerate() {
        if let Some(example) = rule.examples().0.first() {
            let share = [1, 3][number % 2];
            shapes.push(example[..example.floor_char_boundary(example.len() * share / 4)].to_owned());
        }
    }
    shapes.sort();
    shapes.dedup();
    shapes.retain(|shape| !shape.is_empty());
    shapes
}

#[test]
fn columns_of_numbers_cost_half_the_budget_at_most() {
    let half = u64::from(PolicySpec::default().max_steps_per_byte) / 2;
    for shape in ordinary() {
        let text = filled(&shape, 6000);
        for phase in Phase::ALL {
            let steps = POLICY.steps(phase, &text);
            assert!(
                steps <= half * text.len() as u64,
                "{} steps a byte in {phase} on {shape:?}",
                steps / text.len() as u64
            );
        }
        let outcome = POLICY.scan(Phase::Input, &text);
        assert_eq!(outcome.errors, 0, "{shape:?}");
    }
}

#[test]
fn no_text_costs_more_than_in_proportion_to_its_length() {
    for shape in ordinary().into_iter().step_by(9).chain(adversarial()) {
        // Both lengths exceed the longest match that a rule may have.
        let (short, long) = (filled(&shape, 9000), filled(&shape, 18_000));
        let steps = |text: &str| POLICY.steps(Phase::Output, text).max(POLICY.steps(Phase::Input, text));
        let (few, many) = (steps(&short), steps(&long));
        assert!(
            many <= 3 * few + 20_000 && many <= MOST * long.len() as u64,
            "{shape:?}: {few} steps, {many} for twice the length"
        );
        assert_eq!(
            POLICY.scan(Phase::Output, &long).errors > 0,
            is_starved(&long),
            "{shape:?}: whole text and stream disagree on the budget"
        );
    }
}

/// Views count no steps. A clock is enough for what takes minutes if it is not linear, and a moment if it is.
#[test]
fn undoing_evasions_takes_no_more_than_in_proportion() {
    let more = [
        "/",
        "abcdefgh/",
        "ABCDEFGH/",
        "abcdef01/",
        "&#0",
        "&#x00",
        "\\u{0",
        "\\u{00}",
        "/-",
        "//+",
    ];
    let shapes = adversarial().into_iter().filter(|shape| shape.len() <= 16);
    for shape in shapes.chain(more.map(str::to_owned)) {
        let text = format!("A1b2C3d4E5f6G7h8 {}", filled(&shape, 512 << 10));
        let start = std::time::Instant::now();
        POLICY.scan(Phase::Input, &text);
        let took = start.elapsed();
        assert!(took.as_secs() < 20, "{shape:?}: {took:?} for {} KiB", text.len() >> 10);
    }
}

/// Whether a stream of the text runs out of budget.
fn is_starved(text: &str) -> bool {
    let mut scanner = POLICY.scanner(Phase::Output);
    let mut errors = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at(rest.ceil_char_boundary(500.min(rest.len())));
        errors += scanner.push(piece).errors;
        rest = tail;
    }
    errors + scanner.finish().errors > 0
}
