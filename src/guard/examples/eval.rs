//! Evaluates the shipped policy on files of labelled rows (JSON lines, gzipped or not):
//! `cargo run --release -p weir-guard --example eval -- FILES`, with `--misses` to see what was wrong.
#![expect(clippy::unwrap_used, reason = "a tool for developers fails by panicking")]

use std::io::Read as _;

use guard::eval::{Row, evaluate};
use guard::{Pack, Phase, Policy, PolicySpec};

fn main() {
    let (flags, files): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|a| a.starts_with("--"));
    let policy = Policy::compile(&PolicySpec::default(), &Pack::builtin()).unwrap();
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let mut text = String::new();
        if file.ends_with(".gz") {
            flate2::read::MultiGzDecoder::new(&bytes[..])
                .read_to_string(&mut text)
                .unwrap();
        } else {
            text = String::from_utf8(bytes).unwrap();
        }
        let rows: Vec<Row> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        if flags.iter().any(|f| f == "--misses") {
            for row in &rows {
                let caught: Vec<String> = policy
                    .scan(Phase::Input, &row.text)
                    .verdicts
                    .iter()
                    // A row is right or wrong by the findings of its own kind, if it is one of the kinds of rules.
                    .filter(|v| row.kind == v.kind.to_string() || !matches!(row.kind.as_str(), "pii" | "secret"))
                    .map(|v| format!("{}={:?}", v.rule, &row.text[v.start..v.end]))
                    .collect();
                if row.label == Some(caught.is_empty()) {
                    let start: String = row.text.chars().take(600).collect();
                    println!(
                        "{} {} {start:?} {caught:?}",
                        u8::from(row.label == Some(true)),
                        row.source
                    );
                }
            }
            continue;
        }
        println!(
            "{}",
            serde_json::to_string_pretty(&evaluate(&policy, None, &rows)).unwrap()
        );
    }
}
