//! How good margins are, in words.

use std::collections::BTreeMap;

use guard::model::Model;

use crate::fit::{Said, Unseen};
use crate::{Row, documents};

/// Recall at one and at a tenth of a percent of false positives, and by source.
pub fn print(name: &str, rows: &[Row], unseen: &Unseen) {
    let lengths = crate::fit::lengths(rows, &[unseen]);
    let counted: Vec<(&Row, f32)> = rows
        .iter()
        .zip(unseen.rows.iter().map(|s| s.margin(&lengths)))
        .filter(|(r, _)| r.counts)
        .collect();
    let mut benign: Vec<f32> = counted.iter().filter(|(r, _)| !r.label).map(|(_, m)| *m).collect();
    benign.sort_by(|a, b| b.total_cmp(a));
    let at = |share: f64| benign[(benign.len() as f64 * share) as usize];
    let (flag, block) = (at(0.01), at(0.001));
    let attacks = counted.iter().filter(|(r, _)| r.label).count() as f64;
    let recall = |least: f32| counted.iter().filter(|(r, m)| r.label && *m > least).count() as f64 / attacks;
    println!("{name}: {} harmless texts, {attacks} attacks", benign.len());
    println!("  recall {:.3} at 1% false positives (margin {flag:.2})", recall(flag));
    println!(
        "  recall {:.3} at 0.1% false positives (margin {block:.2})",
        recall(block)
    );
    let shipped = [("flag", 0.5), ("block", 0.9)]
        .map(|(tier, score)| (tier, Model::injection().and_then(|m| m.margin_of(score))));
    for (tier, margin) in shipped.into_iter().filter_map(|(t, m)| Some((t, m?))) {
        let false_positives = benign.iter().filter(|m| **m >= margin).count() as f64 / benign.len() as f64;
        println!(
            "  recall {:.3} at the committed threshold to {tier}, {false_positives:.4} false positives",
            recall(margin)
        );
    }
    println!(
        "  {}",
        lengths
            .iter()
            .map(|l| format!("{} tokens lose {:.2}", l.tokens, l.loss))
            .collect::<Vec<_>>()
            .join(", ")
    );
    for (length, all) in documents::LENGTHS.iter().zip(&unseen.harmless) {
        let share = |least: f32| all.iter().filter(|s| s.margin(&lengths) > least).count() as f64 / all.len() as f64;
        println!(
            "  {} harmless documents of {length} tokens: {:.4} flagged, {:.4} blocked",
            all.len(),
            share(flag),
            share(block)
        );
    }
    let share = |pick: fn(&(Said, Said)) -> Said, least: f32| {
        let over = unseen.buried.iter().filter(|pair| pick(pair).margin(&lengths) > least);
        over.count() as f64 / unseen.buried.len() as f64
    };
    println!(
        "  {} attacks in documents of 2000 tokens: recall {:.3}, {:.3}; alone {:.3}, {:.3}",
        unseen.buried.len(),
        share(|p| p.1, flag),
        share(|p| p.1, block),
        share(|p| p.0, flag),
        share(|p| p.0, block)
    );
    let mut worst: Vec<&(&Row, f32)> = counted.iter().filter(|(r, _)| !r.label).collect();
    worst.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (row, margin) in worst.into_iter().take(12) {
        let start: String = row.text.chars().take(90).collect();
        println!("  {margin:.2} though harmless, {}: {start:?}", row.source);
    }
    let mut sources: BTreeMap<(bool, &str), [f64; 3]> = BTreeMap::new();
    for (row, margin) in &counted {
        let counts = sources.entry((row.label, &row.source)).or_default();
        counts[0] += 1.0;
        counts[1] += f64::from(u8::from(*margin > flag));
        counts[2] += f64::from(u8::from(*margin > block));
    }
    for ((attack, source), [all, flagged, blocked]) in sources {
        let kind = if attack { "attack" } else { "harmless" };
        println!(
            "  {kind:8} {source:26} {all:5} rows, {:.3} at 1%, {:.3} at 0.1%",
            flagged / all,
            blocked / all
        );
    }
}
