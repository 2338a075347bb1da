//! Attacks that are hidden are found like those in plain, and harmless texts stay harmless.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Read as _;
use std::sync::LazyLock;

use guard::eval::{Row, evaluate};
use guard::{Action, Kind, Pack, Phase, Policy, PolicySpec};

static SHIPPED: LazyLock<Policy> = LazyLock::new(|| Policy::compile(&PolicySpec::default(), &Pack::builtin()).unwrap());

fn rows(name: &str) -> Vec<Row> {
    let path = format!("{}/data/{name}.jsonl.gz", env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::MultiGzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn tier(policy: &Policy, text: &str) -> Option<Action> {
    let verdicts = policy.scan(Phase::Input, text).verdicts;
    let of_kind = verdicts.iter().filter(|v| v.kind == Kind::Injection);
    of_kind.map(|v| v.action).max()
}

#[test]
fn hidden_attacks_are_caught_like_plain_ones() {
    let report = evaluate(&SHIPPED, Some(Phase::Input), &rows("evasion"));
    let all = &report.evasion["all"];
    assert!(all.flagged_ratio.unwrap() >= 0.98, "{all:?}");
    assert!(all.blocked_ratio.unwrap() >= 0.95, "{all:?}");
    for (how, figures) in &report.evasion {
        assert!(figures.flagged_ratio.unwrap() >= 0.9, "{how}: {figures:?}");
    }
}

#[test]
fn harmless_texts_pay_little_for_views() {
    let spec = PolicySpec {
        views: false,
        ..PolicySpec::default()
    };
    let without = Policy::compile(&spec, &Pack::builtin()).unwrap();
    let (mut all, mut flagged, mut blocked) = (0, 0, 0);
    for file in ["injection", "overdefense_xstest", "toxic", "evasion"] {
        for row in rows(file).iter().filter(|r| r.label == Some(false)) {
            let (before, after) = (tier(&without, &row.text), tier(&SHIPPED, &row.text));
            all += 1;
            flagged += usize::from(after > before && before.is_none());
            blocked += usize::from(after > before && after == Some(Action::Block));
            if after > before {
                let caught = SHIPPED.scan(Phase::Input, &row.text).verdicts;
                let caught: Vec<_> = caught
                    .iter()
                    .filter(|v| v.view.is_some())
                    .map(|v| (&v.rule, v.view, v.score, &row.text[v.start..v.end]))
                    .collect();
                println!("{} {caught:?}", row.source);
            }
        }
    }
    assert!(
        flagged * 1000 <= all && blocked * 2000 <= all,
        "of {all}: {flagged} more flagged, {blocked} more blocked"
    );
}
