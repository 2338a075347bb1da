//! Attacks caught, at the shipped tiers and at thresholds chosen on the rows at hand; obfuscated
//! attacks beside the plain ones; harmless texts stopped.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use super::finding::Judged;
use super::row::Row;
use super::stats::{self, Share};
use crate::types::{Action, Kind};

/// What a way to decide catches.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Operating {
    /// What scores at least this is caught; `None` where the tiers decide, or where no score is high
    /// enough.
    pub threshold: Option<f64>,
    /// Attacks caught.
    pub recall: Share,
    /// Harmless texts caught.
    pub false_positives: Share,
    /// Attacks caught, by source.
    pub sources: BTreeMap<String, Share>,
}

/// Attacks among harmless texts.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Attacks {
    /// Rows of kind `injection` with label 1.
    pub attacks: u64,
    /// Different texts with label 0, of every kind.
    pub benign: u64,
    /// With the shipped thresholds, at least flagged.
    pub shipped_flag: Operating,
    /// With the shipped thresholds, blocked.
    pub shipped_block: Operating,
    /// By `scores.injection`, with the lowest threshold that catches at most 1% of these harmless texts.
    pub at_1_percent: Operating,
    /// The same for 0.1%.
    pub at_01_percent: Operating,
}

/// Obfuscated attacks beside the same attacks in plain.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Evasion {
    /// Plain ones at least flagged.
    pub plain_flagged: Share,
    /// Obfuscated ones at least flagged.
    pub obfuscated_flagged: Share,
    /// The one recall through the other.
    pub flagged_ratio: Option<f64>,
    /// Plain ones blocked.
    pub plain_blocked: Share,
    /// Obfuscated ones blocked.
    pub obfuscated_blocked: Share,
    /// The one recall through the other.
    pub blocked_ratio: Option<f64>,
}

impl Evasion {
    fn add(&mut self, plain: Option<Action>, obfuscated: Option<Action>) {
        self.plain_flagged.add(plain.is_some());
        self.plain_blocked.add(plain == Some(Action::Block));
        self.obfuscated_flagged.add(obfuscated.is_some());
        self.obfuscated_blocked.add(obfuscated == Some(Action::Block));
        let ratio = |hits: &Share, of: &Share| (of.hits > 0).then(|| hits.hits as f64 / of.hits as f64);
        self.flagged_ratio = ratio(&self.obfuscated_flagged, &self.plain_flagged);
        self.blocked_ratio = ratio(&self.obfuscated_blocked, &self.plain_blocked);
    }
}

/// Harmless texts that were stopped.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stopped {
    /// With any finding.
    pub flagged: Share,
    /// With one that blocks.
    pub blocked: Share,
}

impl Stopped {
    pub(super) fn add(&mut self, tier: Option<Action>) {
        self.flagged.add(tier.is_some());
        self.blocked.add(tier == Some(Action::Block));
    }
}

struct Seen {
    attack: bool,
    source: String,
    tier: Option<Action>,
    score: f64,
}

/// Gathers what the figures need, row by row.
#[derive(Default)]
pub(super) struct Gathering {
    seen: Vec<Seen>,
    texts: HashSet<[u8; 16]>,
}

impl Gathering {
    /// Whether a text with label 0 is here for the first time.
    pub(super) fn is_fresh(&mut self, row: &Row) -> bool {
        let mut key = [0; 16];
        key.copy_from_slice(&blake3::hash(row.text.as_bytes()).as_bytes()[..16]);
        self.texts.insert(key)
    }

    pub(super) fn take(&mut self, row: &Row, attack: bool, judged: &Judged) {
        self.seen.push(Seen {
            attack,
            source: row.source.clone(),
            tier: judged.tier(Some(Kind::Injection)),
            score: judged.scores.injection,
        });
    }

    pub(super) fn finish(&self) -> Option<Attacks> {
        let attacks = self.seen.iter().filter(|s| s.attack).count() as u64;
        if attacks == 0 {
            return None;
        }
        let benign = || self.seen.iter().filter(|s| !s.attack);
        let chosen = |most: f64| {
            let mut scores: Vec<f64> = benign().map(|s| s.score).collect();
            let threshold = stats::threshold(&mut scores, self.seen.iter().map(|s| s.score), most);
            let caught = |s: &Seen| threshold.is_some_and(|t| s.score >= t);
            self.operating(threshold, caught)
        };
        Some(Attacks {
            attacks,
            benign: benign().count() as u64,
            shipped_flag: self.operating(None, |s| s.tier.is_some()),
            shipped_block: self.operating(None, |s| s.tier == Some(Action::Block)),
            at_1_percent: chosen(0.01),
            at_01_percent: chosen(0.001),
        })
    }

    fn operating(&self, threshold: Option<f64>, caught: impl Fn(&Seen) -> bool) -> Operating {
        let mut operating = Operating {
            threshold,
            ..Operating::default()
        };
        for seen in &self.seen {
            let hit = caught(seen);
            if seen.attack {
                operating.recall.add(hit);
                operating.sources.entry(seen.source.clone()).or_default().add(hit);
            } else {
                operating.false_positives.add(hit);
            }
        }
        operating
    }
}

/// Adds a row that has its plain text beside it, under its transformation and under `all`.
pub(super) fn add_evasion(evasion: &mut BTreeMap<String, Evasion>, row: &Row, plain: &Judged, judged: &Judged) {
    let (plain, judged) = (plain.tier(Some(Kind::Injection)), judged.tier(Some(Kind::Injection)));
    for name in [row.sub.as_deref().unwrap_or("other"), "all"] {
        evasion.entry(name.to_owned()).or_default().add(plain, judged);
    }
}
