//! How good margins are, in words.

use std::collections::BTreeMap;

use guard::model::Model;

use crate::Row;

/// Recall at one and at a tenth of a percent of false positives, and by source.
pub fn print(name: &str, rows: &[Row], margins: &[f32]) {
    let counted: Vec<(&Row, f32)> = rows
        .iter()
        .zip(margins.iter().copied())
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
