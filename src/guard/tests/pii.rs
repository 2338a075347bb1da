//! The `pii` pack on the labelled rows of the tree, and on what such rows do not hold.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Read as _;

use guard::eval::{Row, Span};
use guard::{Pack, Phase, Policy, PolicySpec};

/// What patterns cannot see: names of people, places and organisations, ages, titles, dates that are not
/// of birth, and addresses of web sites that are nobody's.
const UNSEEN: &[&str] = &[
    "PERSON",
    "ADDRESS",
    "LOCATION",
    "ORGANIZATION",
    "TITLE",
    "NRP",
    "AGE",
    "PREFIX",
    "DATE",
    "DOMAIN",
    "URL",
];
/// Other names for the same thing.
const ALIASES: &[(&str, &str)] = &[
    ("FI_PERSONAL_IDENTITY_CODE", "FI_HETU"),
    ("MAC_ADDRESS", "MAC"),
    ("TR_NATIONAL_ID", "TR_TCKN"),
    ("PH_MOBILE_NUMBER", "PHONE"),
    ("TR_PHONE_NUMBER", "PHONE"),
];

fn policy() -> Policy {
    let spec = PolicySpec {
        packs: vec!["pii".into()],
        ..PolicySpec::default()
    };
    Policy::compile(&spec, &Pack::builtin()).unwrap()
}

#[test]
fn labelled_rows_reach_the_target() {
    let bytes = include_bytes!("../data/pii.jsonl.gz");
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(&bytes[..])
        .read_to_string(&mut text)
        .unwrap();
    let policy = policy();
    let (mut right, mut missed, mut wrong, mut flagged, mut clean) = (0u32, 0u32, 0u32, 0u32, 0u32);
    for line in text.lines() {
        let row: Row = serde_json::from_str(line).unwrap();
        let found = policy.scan(Phase::Input, &row.text).verdicts;
        if row.source.contains("hard-negative") {
            clean += 1;
            flagged += u32::from(!found.is_empty());
        }
        let mut offsets: Vec<usize> = row.text.char_indices().map(|(at, _)| at).collect();
        offsets.push(row.text.len());
        let gold: Vec<(usize, usize, &str)> = row
            .spans
            .iter()
            .flatten()
            .filter_map(|span| match span {
                Span::Typed(start, end, name) => {
                    let name = ALIASES
                        .iter()
                        .find(|(other, _)| other == name)
                        .map_or(name.as_str(), |a| a.1);
                    Some((offsets[*start], offsets[*end], name))
                }
                Span::Untyped(..) => None,
            })
            .collect();
        let same = |span: &(usize, usize, &str), v: &guard::Verdict| {
            v.start < span.1 && span.0 < v.end && &*v.entity == span.2
        };
        for span in gold.iter().filter(|span| !UNSEEN.contains(&span.2)) {
            let hit = found.iter().any(|v| same(span, v));
            right += u32::from(hit);
            missed += u32::from(!hit);
            if !hit {
                println!("missed {} {:?}", span.2, &row.text[span.0..span.1]);
            }
        }
        for v in found.iter().filter(|v| !gold.iter().any(|span| same(span, v))) {
            wrong += 1;
            println!("wrong {} {:?} in {:?}", v.rule, &row.text[v.start..v.end], row.source);
        }
    }
    let f1 = f64::from(2 * right) / f64::from(2 * right + missed + wrong);
    println!("typed F1 {f1:.4}: {right} right, {missed} missed, {wrong} wrong; hard negatives {flagged} of {clean}");
    assert!(clean > 100 && right > 1000, "these are not the rows");
    assert!(f1 >= 0.92, "{f1}");
    assert!(f64::from(flagged) <= 0.04 * f64::from(clean), "{flagged} of {clean}");
}

#[test]
fn spans_are_tight() {
    let policy = policy();
    for (text, expected) in [
        ("Card: 4111 1111 1111 1111.", "4111 1111 1111 1111"),
        ("(CPF: 390.533.447-05)", "390.533.447-05"),
        ("phone=739-957-7217x7656. Thanks!", "739-957-7217x7656"),
        ("tel: +46 (0)071 872 83, ok", "+46 (0)071 872 83"),
        ("{\"ssn\": \"536-90-4399\"}", "536-90-4399"),
        ("name,PESEL\nAda,44051401458\n", "44051401458"),
        ("user_phone_number=0588309047;", "0588309047"),
        ("Route is 10.0.0.0/8.", "10.0.0.0/8"),
        ("cvv: 123, exp", "123"),
    ] {
        let verdicts = policy.scan(Phase::Input, text).verdicts;
        let spans: Vec<&str> = verdicts.iter().map(|v| &text[v.start..v.end]).collect();
        assert_eq!(spans, [expected], "{text}");
    }
}

#[test]
fn a_weak_form_needs_its_word() {
    let policy = policy();
    for number in [
        "111222333",
        "5010000000",
        "123456782",
        "0101006500006",
        "12345678",
        "F162823540116",
    ] {
        for text in [
            format!("{number} units"),
            format!("order {number}"),
            format!("x = {number} + 1"),
        ] {
            let verdicts = policy.scan(Phase::Input, &text).verdicts;
            assert!(verdicts.is_empty(), "{text}: {verdicts:?}");
        }
    }
}
