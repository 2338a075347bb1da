//! `cerberust-verdicts FILE…`: one line of JSON a row to standard output.

use std::io::{Read, Write};
use std::time::Instant;

use cerberust::scanner::detect::{Span, detect_secrets, detect_structured};
use serde_json::{Value, json};

fn text_of(path: &str) -> std::io::Result<String> {
    let bytes = std::fs::read(path)?;
    let mut text = String::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text)?;
        return Ok(text);
    }
    String::from_utf8(bytes).map_err(std::io::Error::other)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for path in std::env::args().skip(1) {
        for (number, line) in text_of(&path)?.lines().enumerate() {
            let row: Value = serde_json::from_str(line)?;
            let text = row["text"].as_str().ok_or("a row without text")?;
            let mut times = [0.0; 3];
            let (mut pii, mut secrets) = (Vec::new(), Vec::new());
            for time in &mut times {
                let start = Instant::now();
                pii = detect_structured(text);
                secrets = detect_secrets(text);
                *time = start.elapsed().as_secs_f64() * 1e6;
            }
            times.sort_by(f64::total_cmp);
            let finding = |kind: &str, span: &Span| {
                let code_points = |at: usize| text[..at].chars().count();
                json!({"rule": format!("cerberust.{}", span.ty.to_lowercase()), "kind": kind, "type": span.ty,
                    "start": code_points(span.start), "end": code_points(span.end), "tier": "redact",
                    "score": span.confidence})
            };
            let mut findings: Vec<Value> = pii.iter().map(|s| finding("pii", s)).collect();
            findings.extend(secrets.iter().map(|s| finding("secret", s)));
            let line = json!({"file": path, "row": number, "findings": findings, "scores": {"injection": 0.0},
                "micros": times[1]});
            writeln!(out, "{line}")?;
        }
    }
    Ok(out.flush()?)
}
