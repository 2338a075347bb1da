//! The prefilter against no prefilter: every rule tried at every position must find the same.

use super::*;
use crate::{Pack, Phase, Policy, PolicySpec};

/// Matches of every rule from every position, in the order of settling.
fn naive(engine: &Engine, text: &str) -> Vec<(u32, usize, usize)> {
    let view = View {
        bytes: text.as_bytes(),
        base: 0,
    };
    let mut state = engine.state();
    engine.advance(&mut state, view);
    state.live.clear();
    state.waiting.clear();
    state.ready.clear();
    state.going_on.clear();
    for rule in 0..engine.rules.len() as u32 {
        for start in 0..text.len() {
            engine.launch(&mut state, view, rule, start);
        }
    }
    // What the pass left for the end of the text was launched above.
    for mut candidate in std::mem::take(&mut state.live) {
        if engine.rules[candidate.rule as usize]
            .rule
            .pattern
            .matches_at_end(candidate.state)
        {
            candidate.end = state.at;
        }
        let at = state.at;
        engine.resolve(&mut state, view, candidate, at);
    }
    engine.judge_waiting(&mut state, view, true);
    settled(engine, &mut state)
}

fn settled(engine: &Engine, state: &mut State) -> Vec<(u32, usize, usize)> {
    let mut all = Vec::new();
    engine.settle(state, usize::MAX, |s| {
        all.push((s.rule.unwrap_or(u32::MAX), s.start, s.end))
    });
    all
}

#[test]
fn the_prefilter_misses_nothing() {
    let spec = PolicySpec {
        max_steps_per_byte: 4096,
        ..PolicySpec::default()
    };
    let policy = Policy::compile(&spec, &Pack::builtin()).unwrap();
    let engine = policy.engine(Phase::Input).unwrap();
    let mut found = 0;
    for pack in Pack::builtin() {
        for rule in pack.rules() {
            let (positive, negative) = rule.examples();
            for text in positive.iter().chain(&negative).filter(|t| t.len() < 400) {
                let text = format!("x{text} {text}-{text}");
                let view = View {
                    bytes: text.as_bytes(),
                    base: 0,
                };
                let mut state = engine.state();
                engine.advance(&mut state, view);
                engine.finish(&mut state, view);
                let fast = settled(engine, &mut state);
                assert_eq!(fast, naive(engine, &text), "{} on {text:?}", rule.id());
                found += fast.len();
            }
        }
    }
    assert!(found > 200, "only {found} matches: the test tests nothing");
}

#[test]
fn the_frontier_never_moves_back() {
    let policy = Policy::compile(&PolicySpec::default(), &Pack::builtin()).unwrap();
    let engine = policy.engine(Phase::Input).unwrap();
    for pack in Pack::builtin() {
        for text in pack.rules().flat_map(|r| r.examples().0) {
            let (mut state, mut last) = (engine.state(), 0);
            for end in 0..=text.len() {
                let view = View {
                    bytes: &text.as_bytes()[..end],
                    base: 0,
                };
                engine.advance(&mut state, view);
                let frontier = engine.frontier(&mut state, view);
                assert!(frontier >= last && frontier <= end, "{last} to {frontier} of {text:?}");
                last = frontier;
            }
        }
    }
}

/// The pass in lock-step, in pieces of 1,000 bytes; its matches, and how often the budget ended.
fn in_lock_step(engine: &Engine, text: &str) -> (Vec<(u32, usize, usize)>, u32) {
    let (mut state, mut all, mut end) = (engine.state(), Vec::new(), 0);
    loop {
        end = text.len().min(end + 1000);
        let view = View {
            bytes: &text.as_bytes()[..end],
            base: 0,
        };
        engine.advance(&mut state, view);
        let mut frontier = engine.frontier(&mut state, view);
        if end == text.len() {
            engine.finish(&mut state, view);
            frontier = usize::MAX;
        }
        engine.settle(&mut state, frontier, |s| {
            all.push((s.rule.unwrap_or(u32::MAX), s.start, s.end))
        });
        if end == text.len() {
            return (all, state.errors);
        }
    }
}

#[test]
fn long_texts_give_what_lock_step_gives_on_any_budget() {
    let packs = Pack::builtin();
    let examples: Vec<String> = packs
        .iter()
        .flat_map(Pack::rules)
        .flat_map(|r| r.examples().0)
        .collect();
    let mut all = String::new();
    for (index, example) in examples.iter().enumerate() {
        let filler = ["is what we wrote, Microsoft said on page 12. ", "a.b.c-d_e@", "\n"][index % 3];
        all.push_str(&format!(
            "{} {example} {}",
            &"x y z "[..index % 6],
            filler.repeat(1 + index % 4)
        ));
    }
    let texts = [
        all.clone(),
        all.repeat(3),
        "a.".repeat(9000),
        "1.2-".repeat(5000),
        format!("{}@b.io {}", "a.".repeat(4095), "tel 2125550147 ".repeat(900)),
        // Matches that go on within one that goes on, and again behind it.
        format!("{0}. {0}", "ZXlKaGJHY2lPaUq1Q2w3E4r5T6y7".repeat(600)),
        // An address over the end of a piece, and another match within it before that end.
        format!("{}a%212-555-0147@b.io", " ".repeat((8 << 10) - 14)),
    ];
    let (mut fast, mut slow, mut found) = (0, 0, 0);
    for max_steps_per_byte in [1, 4, 8, 16, 32, 64, 4096] {
        let spec = PolicySpec {
            max_steps_per_byte,
            ..PolicySpec::default()
        };
        let policy = Policy::compile(&spec, &packs).unwrap();
        for engine in Phase::ALL.iter().filter_map(|phase| policy.engine(*phase)) {
            for text in &texts {
                let mut whole = Vec::new();
                let noted = |s: Settled| whole.push((s.rule.unwrap_or(u32::MAX), s.start, s.end));
                if engine.scan_until(text.as_bytes(), text.len(), noted).is_none() {
                    slow += 1;
                    continue;
                }
                let (expected, errors) = in_lock_step(engine, text);
                assert_eq!(errors, 0, "{max_steps_per_byte} steps a byte do not do");
                assert_eq!(whole, expected);
                (fast, found) = (fast + 1, found + whole.len());
            }
        }
    }
    assert!(fast > 30 && slow > 10 && found > 10_000, "{fast} {slow} {found}");
}

#[test]
fn a_mark_beside_a_number_joins_it_to_digits_only() {
    let pack = r#"
        name = "t"
        version = "1"
        kind = "pii"
        action = "redact"
        [[rule]]
        id = "number"
        entity = "NUMBER"
        regex = '\b\d{6}\b'
        not_before = ".-/,$"
        not_after = "-/%"
        [[rule]]
        id = "version"
        entity = "VERSION"
        regex = '\bv\d\b'
        not_before = "-"
        not_after = "-b"
    "#;
    let packs = [Pack::parse("t.toml", pack).unwrap()];
    let spec = PolicySpec {
        packs: vec!["t".into()],
        ..PolicySpec::default()
    };
    let policy = Arc::new(Policy::compile(&spec, &packs).unwrap());
    for (text, found) in [
        ("No.123456", true),
        ("SSN-123456—please", true),
        ("номер–123456", true),
        ("(id)-123456", true),
        ("id--123456--", true),
        ("Jane,123456-", true),
        ("wait...123456/x", true),
        ("1-123456", false),
        ("x = -123456", false),
        ("-123456", false),
        (".123456", false),
        ("1,123456", false),
        ("path/123456", false),
        ("US$123456", false),
        ("123456-1", false),
        ("123456–1", false),
        ("123456/7", false),
        ("123456%", false),
        ("v1-c", true),
        ("v1-beta", false),
        ("a-v1", false),
    ] {
        let whole = policy.scan(Phase::Input, text);
        assert_eq!(whole.verdicts.len(), usize::from(found), "{text}");
        for (cut, _) in text.char_indices() {
            let mut stream = policy.scanner(Phase::Input);
            let mut out = stream.push(&text[..cut]).text;
            out += &stream.push(&text[cut..]).text;
            out += &stream.finish().text;
            assert_eq!(out, whole.redacted(text), "{text} at {cut}");
        }
    }
}
