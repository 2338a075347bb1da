//! From rows to a model: weights from all of them, its calibration from trainings that had not seen
//! what they judge.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use guard::model::{Loss, Model, Point, Table, loss};

use crate::train::{Plan, Random, quantise, train};
use crate::{Example, PLAN, Row, data, documents, synth};

/// Everything there is to learn from.
pub fn rows(dir: &Path) -> Result<Vec<Row>, String> {
    let mut rows = data::load(dir)?;
    rows.extend(synth::rows(include_str!("templates.toml"), data::harmful(dir)?)?);
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

/// Documents that a training sees beside the rows they are made of: harmless ones, texts that repeat
/// themselves, attacks among harmless rows.
fn documents(rows: &[&Row]) -> Vec<Example> {
    let mut random = Random(0xD0C5);
    let harmless: Vec<&Row> = rows.iter().copied().filter(|r| !r.label).collect();
    let attacks: Vec<&Row> = rows
        .iter()
        .copied()
        .filter(|r| r.label && r.text.len() < 1500)
        .collect();
    let mut examples = Vec::new();
    for index in 0..200 {
        let length = [200, 400, 800, 1600, 3200][index % 5];
        let text = documents::harmless(&harmless, length, &mut random);
        examples.push(Example::new(&text, false, 2.0));
    }
    for _ in 0..150 {
        examples.push(Example::new(&documents::repeated(&harmless, &mut random), false, 0.7));
    }
    for _ in 0..200 {
        let attack = &random.pick(&attacks).text;
        let text = documents::buried(attack, &harmless, 400, &mut random);
        examples.push(Example::new(&text, true, 0.7));
    }
    examples
}

/// What a training says of a text.
#[derive(Clone, Copy, Default)]
pub struct Said {
    /// The margin, whatever the length.
    margin: f32,
    tokens: usize,
}

impl Said {
    fn of(model: &Model, text: &str) -> Said {
        Said {
            margin: model.judge(text).margin,
            tokens: Example::new(text, false, 1.0).tokens,
        }
    }

    /// The margin, where lengths cost so much.
    pub fn margin(self, lengths: &[Loss]) -> f32 {
        self.margin - loss(lengths, self.tokens)
    }
}

/// What trainings say of texts that they had not seen.
#[derive(Default)]
pub struct Unseen {
    /// Of every collected row.
    pub rows: Vec<Said>,
    /// Of harmless documents of the lengths [`documents::LENGTHS`].
    pub harmless: [Vec<Said>; 3],
    /// Of attacks alone and of the same ones in documents of 2,000 tokens.
    pub buried: Vec<(Said, Said)>,
}

/// How many documents of each length are judged.
const JUDGED: [usize; 3] = [3000, 1500, 500];

/// What a training without the rows of a fold says of them, for each fold.
pub fn out_of_fold(
    rows: &[Row],
    examples: &[Example],
    plan: Plan,
    folds: usize,
    fold: impl Fn(&Row) -> usize + Sync,
) -> Unseen {
    let judged: Vec<Judged> = two_at_a_time(folds, |k| judge(rows, examples, plan, folds, k, &fold));
    let mut unseen = Unseen {
        rows: vec![Said::default(); rows.len()],
        ..Unseen::default()
    };
    for judged in judged {
        for (index, said) in judged.rows {
            unseen.rows[index] = said;
        }
        for (all, more) in unseen.harmless.iter_mut().zip(judged.harmless) {
            all.extend(more);
        }
        unseen.buried.extend(judged.buried);
    }
    unseen
}

/// What the training without one fold says.
#[derive(Default)]
struct Judged {
    rows: Vec<(usize, Said)>,
    harmless: [Vec<Said>; 3],
    buried: Vec<(Said, Said)>,
}

/// Each of so many results, in order, by two threads: none depends on another.
fn two_at_a_time<T: Send>(count: usize, one: impl Fn(usize) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let odd = scope.spawn(|| (1..count).step_by(2).map(&one).collect::<Vec<T>>());
        let even: Vec<T> = (0..count).step_by(2).map(&one).collect();
        let odd = odd.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let mut odd = odd.into_iter();
        let mut all = Vec::new();
        for even in even {
            all.push(even);
            all.extend(odd.next());
        }
        all
    })
}

/// What the training without fold `k` says of that fold.
fn judge(
    rows: &[Row],
    examples: &[Example],
    plan: Plan,
    folds: usize,
    k: usize,
    fold: &(impl Fn(&Row) -> usize + Sync),
) -> Judged {
    let mut judged = Judged::default();
    let left_out = |row: &Row| row.real && fold(row) == k;
    let seen: Vec<&Row> = rows.iter().filter(|r| !left_out(r)).collect();
    let long = documents(&seen);
    let seen = rows.iter().zip(examples).filter(|(r, _)| !left_out(r));
    let seen: Vec<&Example> = seen.map(|(_, e)| e).chain(&long).collect();
    let weights = train(&seen, plan);
    let (bytes, scale) = quantise(&weights);
    let Some(model) = Model::new(&bytes, bare(scale, weights.bias)) else {
        return judged;
    };
    for (index, row) in rows.iter().enumerate().filter(|(_, r)| left_out(r)) {
        judged.rows.push((index, Said::of(&model, &row.text)));
    }
    let mut random = Random(0xBEEF + k as u64);
    let harmless: Vec<&Row> = rows.iter().filter(|r| left_out(r) && !r.label).collect();
    if harmless.len() < 100 {
        return judged;
    }
    for ((length, count), all) in documents::LENGTHS.iter().zip(JUDGED).zip(&mut judged.harmless) {
        for _ in 0..count / folds {
            let text = documents::harmless(&harmless, *length, &mut random);
            all.push(Said::of(&model, &text));
        }
    }
    for (index, alone) in &judged.rows {
        let row = &rows[*index];
        if row.label && row.counts {
            let text = documents::buried(&row.text, &harmless, 2000, &mut random);
            judged.buried.push((*alone, Said::of(&model, &text)));
        }
    }
    judged
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
        lengths: Vec::new(),
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

/// Margins of the rows that count, falling.
fn falling(rows: &[Row], unseen: &[&Unseen], lengths: &[Loss], label: bool) -> Vec<f32> {
    let said = unseen.iter().flat_map(|u| rows.iter().zip(&u.rows));
    let wanted = said.filter(|(r, _)| r.counts && r.label == label);
    let mut all: Vec<f32> = wanted.map(|(_, s)| s.margin(lengths)).collect();
    all.sort_by(|a, b| b.total_cmp(a));
    all
}

/// The least losses by which no more long documents reach the two thresholds than short texts.
pub fn lengths(rows: &[Row], unseen: &[&Unseen]) -> Vec<Loss> {
    // What repeats is not counted: nearly all documents of a length have at least so many tokens.
    let tokens = |index: usize| {
        let mut tokens: Vec<usize> = unseen
            .iter()
            .flat_map(|u| &u.harmless[index])
            .map(|s| s.tokens)
            .collect();
        tokens.sort_unstable();
        tokens
            .get(tokens.len() / 20)
            .map_or(documents::LENGTHS[index], |t| t - t % 50)
    };
    let mut lengths = [0, 1, 2].map(|index| Loss {
        tokens: tokens(index),
        loss: 0.0,
    });
    // A loss changes the thresholds, too, since some of the rows are long.
    for _ in 0..4 {
        let benign = falling(rows, unseen, &lengths, false);
        let mut least = 0.0_f32;
        for (index, length) in lengths.iter_mut().enumerate() {
            let mut all: Vec<f32> = unseen
                .iter()
                .flat_map(|u| &u.harmless[index])
                .map(|s| s.margin)
                .collect();
            all.sort_by(|a, b| b.total_cmp(a));
            for share in [0.01, 0.001] {
                let at = |of: &[f32]| of[(of.len() as f64 * share) as usize];
                least = least.max(at(&all) - at(&benign));
            }
            length.loss = least;
        }
    }
    lengths.to_vec()
}

/// The weights and the table of a model of all rows.
pub fn model(rows: &[Row], examples: &[Example]) -> (Vec<u8>, String) {
    let sources = sources(rows);
    let by_source = |row: &Row| place(&sources, row) % 7;
    let unseen = out_of_fold(rows, examples, PLAN, 7, by_source);
    let random = out_of_fold(rows, examples, PLAN, 5, by_text);
    let long = documents(&rows.iter().collect::<Vec<_>>());
    let weights = train(&examples.iter().chain(&long).collect::<Vec<_>>(), PLAN);
    let (bytes, scale) = quantise(&weights);
    // A text is judged half by a model that knows its source and half by one that does not: the world
    // is neither.
    let lengths = lengths(rows, &[&unseen, &random]);
    let (benign, attacks) = (
        falling(rows, &[&unseen, &random], &lengths, false),
        falling(rows, &[&unseen, &random], &lengths, true),
    );
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
    table.push_str("\n# By these, a long document reaches a threshold as rarely as a short text does.\n");
    for Loss { tokens, loss } in lengths {
        let _ = write!(table, "[[lengths]]\ntokens = {tokens}\nloss = {loss:?}\n");
    }
    for (margin, score, benign) in points {
        let caught = attacks.iter().filter(|m| **m >= margin).count() as f64 / attacks.len() as f64;
        let _ = write!(
            table,
            "\n[[calibration]]\nmargin = {margin:?}\nscore = {score:?}\nbenign = {benign:?}\nattacks = {caught:.4}\n"
        );
    }
    (bytes, table)
}
