//! From rows to a model: weights from all of them, its calibration from trainings that had not seen
//! what they judge.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use guard::model::{Model, Point, Table};

use crate::train::{Plan, quantise, train};
use crate::{Example, PLAN, Row, data, synth};

/// Everything there is to learn from.
pub fn rows(dir: &Path) -> Result<Vec<Row>, String> {
    let mut rows = data::load(dir)?;
    rows.extend(synth::rows(include_str!("templates.toml"))?);
    Ok(rows)
}

/// The rows as the training sees them. A source of many rows counts for more than one of few, but not
/// as many times more.
pub fn examples(rows: &[Row]) -> Vec<Example> {
    let mut sizes: BTreeMap<(&str, bool), f32> = BTreeMap::new();
    for row in rows {
        *sizes.entry((&row.source, row.label)).or_default() += 1.0;
    }
    let weight = |row: &Row| {
        let size = sizes
            .get(&(row.source.as_str(), row.label))
            .copied()
            .unwrap_or_default();
        (100.0 / (size + 50.0)).sqrt() * if row.label { 1.5 } else { 1.0 }
    };
    rows.iter()
        .map(|row| Example::new(&row.text, row.label, weight(row)))
        .collect()
}

/// A fold of five, by text; nearly the same texts are in the same fold.
pub fn by_text(row: &Row) -> usize {
    (row.group.wrapping_mul(0x9E37_79B1) >> 7) % 5
}

/// Names of the sources.
pub fn sources(rows: &[Row]) -> Vec<String> {
    let mut names: Vec<String> = rows.iter().filter(|r| r.real).map(|r| r.source.clone()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Where the row's source is among `sources`.
pub fn place(sources: &[String], row: &Row) -> usize {
    sources.iter().position(|s| *s == row.source).unwrap_or_default()
}

/// The margin of every collected row, from a training without the rows of its fold.
pub fn out_of_fold(
    rows: &[Row],
    examples: &[Example],
    plan: Plan,
    folds: usize,
    fold: impl Fn(&Row) -> usize,
) -> Vec<f32> {
    let mut margins = vec![0.0; rows.len()];
    for k in 0..folds {
        let seen = rows.iter().zip(examples).filter(|(r, _)| !r.real || fold(r) != k);
        let seen: Vec<&Example> = seen.map(|(_, e)| e).collect();
        let weights = train(&seen, plan);
        let (bytes, scale) = quantise(&weights);
        let Some(model) = Model::new(&bytes, bare(scale, weights.bias)) else {
            continue;
        };
        for (row, margin) in rows.iter().zip(&mut margins).filter(|(r, _)| r.real && fold(r) == k) {
            *margin = model.judge(&row.text).margin;
        }
    }
    margins
}

/// A table without calibration.
fn bare(scale: f32, bias: f32) -> Table {
    let point = Point {
        margin: 0.0,
        score: 0.5,
        benign: 0.0,
        attacks: 0.0,
    };
    Table {
        version: String::new(),
        scale,
        bias,
        calibration: vec![point],
    }
}

/// Shares of harmless texts, and the score of a text at the margin that just so many reach.
const SCORES: [(f64, f32); 9] = [
    (0.9, 0.02),
    (0.5, 0.08),
    (0.2, 0.16),
    (0.1, 0.23),
    (0.05, 0.31),
    (0.02, 0.42),
    (0.01, 0.5),
    (0.003, 0.72),
    (0.001, 0.9),
];

/// The weights and the table of a model of all rows.
pub fn model(rows: &[Row], examples: &[Example]) -> (Vec<u8>, String) {
    let sources = sources(rows);
    let by_source = |row: &Row| place(&sources, row) % 7;
    let unseen = out_of_fold(rows, examples, PLAN, 7, by_source);
    let random = out_of_fold(rows, examples, PLAN, 5, by_text);
    let weights = train(&examples.iter().collect::<Vec<_>>(), PLAN);
    let (bytes, scale) = quantise(&weights);
    // A text is judged half by a model that knows its source and half by one that does not: the world
    // is neither.
    let margins = |label: bool| -> Vec<f32> {
        let of = |margins: &[f32]| -> Vec<f32> {
            let wanted = rows.iter().zip(margins).filter(|(r, _)| r.counts && r.label == label);
            wanted.map(|(_, m)| *m).collect()
        };
        let mut all = of(&unseen);
        all.extend(of(&random));
        all.sort_by(|a, b| b.total_cmp(a));
        all
    };
    let (benign, attacks) = (margins(false), margins(true));
    let mut points = Vec::new();
    for (share, score) in SCORES {
        let margin = benign[(benign.len() as f64 * share) as usize];
        points.push((margin, score, share));
    }
    let last = points.last().map_or(0.0, |p| p.0);
    points.push((last + 3.0, 0.99, 0.0));
    points.push((last + 9.0, 1.0, 0.0));

    let digest = bytes.iter().fold(0xCBF2_9CE4_8422_2325_u64, |h, b| {
        (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01B3)
    });
    let mut table = format!(
        "# Written by examples/train-injection; the weights are in injection.i8. `benign` and `attacks` are the\n\
         # shares of texts that reach the margin, judged by trainings that had not seen them.\n\
         version = \"{digest:016x}\"\nscale = {scale:?}\nbias = {:?}\n",
        weights.bias
    );
    for (margin, score, benign) in points {
        let caught = attacks.iter().filter(|m| **m >= margin).count() as f64 / attacks.len() as f64;
        let _ = write!(
            table,
            "\n[[calibration]]\nmargin = {margin:?}\nscore = {score:?}\nbenign = {benign:?}\nattacks = {caught:.4}\n"
        );
    }
    (bytes, table)
}
