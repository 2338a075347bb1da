//! Trains the classifier of the `injection` pack, or measures how well such a training goes.
//!
//! ```text
//! cargo run --release -p weir-guard --example train-injection -- src/guard/data src/guard/models
//! cargo run --release -p weir-guard --example train-injection -- src/guard/data --measure
//! ```

mod data;
mod synth;
mod train;

use std::collections::BTreeMap;
use std::path::Path;

use data::Row;
use guard::model::{Model, Point, Table};
use train::{Example, PLAN, Plan};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let dir = Path::new(&args[1]);
    let mut rows = data::load(dir).unwrap();
    let made_up = synth::rows(include_str!("templates.toml")).unwrap();
    if std::env::var("SHOW").is_ok() {
        for row in &made_up {
            println!("{} {:?}", row.label, row.text);
        }
    }
    if std::env::var("NOSYNTH").is_err() {
        rows.extend(made_up);
    }
    let plan = plan();
    eprintln!(
        "{} rows, {} attacks, {plan:?}",
        rows.len(),
        rows.iter().filter(|r| r.label).count()
    );
    let examples = examples(&rows);
    let start = std::time::Instant::now();
    let by_group = |row: &Row, n: usize| (row.group.wrapping_mul(0x9E37_79B1) >> 7) % n;
    let random = out_of_fold(&rows, &examples, plan, 5, |row| by_group(row, 5));
    eprintln!("5 trainings {:?}", start.elapsed());
    report("random 5-fold (near duplicates together)", &rows, &random);
    let mut names: Vec<&str> = rows.iter().map(|r| r.source.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if args.iter().any(|a| a == "--sources") {
        let left = out_of_fold(&rows, &examples, plan, names.len(), |row| {
            names.iter().position(|n| *n == row.source).unwrap()
        });
        report("leave one source out", &rows, &left);
    }
}

fn plan() -> Plan {
    let get = |k: &str| std::env::var(k).ok().and_then(|v| v.parse::<f32>().ok());
    Plan {
        epochs: get("EPOCHS").map_or(PLAN.epochs, |v| v as usize),
        rate: get("RATE").unwrap_or(PLAN.rate),
        decay: get("DECAY").unwrap_or(PLAN.decay),
        least: get("LEAST").map_or(PLAN.least, |v| v as u32),
    }
}

fn examples(rows: &[Row]) -> Vec<Example> {
    let mut sizes: BTreeMap<(&str, bool), f32> = BTreeMap::new();
    for row in rows {
        *sizes.entry((&row.source, row.label)).or_default() += 1.0;
    }
    let pos = std::env::var("POS")
        .ok()
        .and_then(|v| v.parse::<f32>().ok())
        .unwrap_or(1.5);
    let synth = std::env::var("SYNTH")
        .ok()
        .and_then(|v| v.parse::<f32>().ok())
        .unwrap_or(1.0);
    rows.iter()
        .map(|row| {
            // A source of many rows counts for less than all of them, for more than one of few.
            let size = sizes[&(row.source.as_str(), row.label)];
            let weight = (100.0 / (size + 50.0)).sqrt() * if row.label { pos } else { 1.0 };
            let weight = weight * if row.real { 1.0 } else { synth };
            Example::new(&row.text, row.label, weight)
        })
        .collect()
}

fn out_of_fold(rows: &[Row], examples: &[Example], plan: Plan, folds: usize, fold: impl Fn(&Row) -> usize) -> Vec<f32> {
    let mut margins = vec![0.0; rows.len()];
    for k in 0..folds {
        let seen: Vec<&Example> = rows
            .iter()
            .zip(examples)
            .filter(|(r, _)| !r.real || fold(r) != k)
            .map(|(_, e)| e)
            .collect();
        let weights = train::train(&seen, plan);
        let (bytes, scale) = train::quantise(&weights);
        let model = Model::new(&bytes, table(scale, weights.bias)).unwrap();
        for (row, margin) in rows.iter().zip(&mut margins).filter(|(r, _)| r.real && fold(r) == k) {
            *margin = model.judge(&row.text).margin;
        }
    }
    margins
}

fn table(scale: f32, bias: f32) -> Table {
    Table {
        version: String::new(),
        scale,
        bias,
        calibration: vec![Point {
            margin: 0.0,
            score: 0.5,
            benign: 0.0,
            attacks: 0.0,
        }],
    }
}

fn report(name: &str, rows: &[Row], margins: &[f32]) {
    let (rows, margins): (Vec<Row>, Vec<f32>) = rows
        .iter()
        .cloned()
        .zip(margins.iter().copied())
        .filter(|(r, _)| r.counts)
        .unzip();
    let (rows, margins) = (&rows[..], &margins[..]);
    let mut benign: Vec<f32> = rows
        .iter()
        .zip(margins)
        .filter(|(r, _)| r.real && !r.label)
        .map(|(_, m)| *m)
        .collect();
    benign.sort_by(|a, b| b.total_cmp(a));
    let at = |share: f64| benign[(benign.len() as f64 * share) as usize];
    let (flag, block) = (at(0.01), at(0.001));
    let attacks = rows.iter().filter(|r| r.label && r.real).count() as f64;
    let recall = |t: f32| {
        rows.iter()
            .zip(margins)
            .filter(|(r, m)| r.real && r.label && **m > t)
            .count() as f64
            / attacks
    };
    println!(
        "{name}: {} benign; recall {:.3} at 1% ({flag:.2}), {:.3} at 0.1% ({block:.2})",
        benign.len(),
        recall(flag),
        recall(block)
    );
    if std::env::var("DETAIL").is_err() {
        return;
    }
    let mut by: BTreeMap<(bool, &str), [f64; 3]> = BTreeMap::new();
    for (row, margin) in rows.iter().zip(margins).filter(|(r, _)| r.real) {
        let counts = by.entry((row.label, &row.source)).or_default();
        counts[0] += 1.0;
        counts[1] += f64::from(u8::from(*margin > flag));
        counts[2] += f64::from(u8::from(*margin > block));
    }
    for ((label, source), [all, flagged, blocked]) in by {
        println!(
            "  {} {source:32} {all:5} flag {:.3} block {:.3}",
            if label { "attack" } else { "benign" },
            flagged / all,
            blocked / all
        );
    }
    if std::env::var("WORST").is_ok() {
        let mut worst: Vec<(&Row, f32)> = rows
            .iter()
            .zip(margins.iter().copied())
            .filter(|(r, _)| r.real && !r.label)
            .collect();
        worst.sort_by(|a, b| b.1.total_cmp(&a.1));
        for (row, margin) in worst.iter().take(60) {
            println!(
                "  {margin:.2} {} {:?}",
                row.source,
                row.text.chars().take(160).collect::<String>()
            );
        }
    }
}
