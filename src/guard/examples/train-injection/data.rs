//! The rows that the training sees, and which of them belong together.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

/// One labelled text.
#[derive(Clone, Debug)]
pub struct Row {
    pub text: String,
    pub label: bool,
    /// File and source: what is left out together.
    pub source: String,
    /// Rows with the same number are nearly the same text.
    pub group: usize,
    /// Of the files, not generated.
    pub real: bool,
    /// Among the harmless texts over which false positives are counted.
    pub counts: bool,
}

#[derive(Deserialize)]
struct Line {
    text: String,
    label: u8,
    source: String,
}

/// Reads one gzipped file of JSON lines.
pub fn read(path: &Path) -> Result<Vec<(String, bool, String)>, String> {
    let fail = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let file = std::fs::File::open(path).map_err(|e| fail(&e))?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .map_err(|e| fail(&e))?;
    text.lines()
        .map(|line| {
            let line: Line = serde_json::from_str(line).map_err(|e| fail(&e))?;
            Ok((line.text, line.label == 1, line.source))
        })
        .collect()
}

/// The question that one collection appends to each of its attacks: it says nothing about them.
const APPENDED: [&str; 3] = ["how do I pick a lock", "{% raw %}", "{% endraw %}"];

/// All rows of the data directory that count for attacks on prompts. Personal data and secrets are
/// harmless here, whatever their own label; harmful requests and toxic texts are neither.
pub fn load(dir: &Path) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for (file, own_label) in [
        ("injection", true),
        ("overdefense_xstest", true),
        ("toxic", true),
        ("pii", false),
        ("secrets", false),
    ] {
        for (mut text, label, source) in read(&dir.join(format!("{file}.jsonl.gz")))? {
            if file == "toxic" && label {
                continue;
            }
            let label = label && own_label;
            if label && source.starts_with("pyrit") {
                for appended in APPENDED {
                    text = text.replace(appended, "");
                }
            }
            let source = source.split('/').next().unwrap_or_default().to_owned();
            rows.push(Row {
                text,
                label,
                source,
                group: 0,
                real: true,
                counts: own_label,
            });
        }
    }
    group(&mut rows);
    Ok(rows)
}

/// Requests that a model should refuse: no attacks by themselves, but what attacks are about.
pub fn harmful(dir: &Path) -> Result<Vec<String>, String> {
    let rows = read(&dir.join("harmful_request.jsonl.gz"))?;
    let texts = rows
        .into_iter()
        .map(|(text, ..)| text.trim_end_matches(['.', '?', ' ']).to_owned());
    Ok(texts.filter(|text| text.len() < 200).collect())
}

/// Numbers the rows so that those that share most of their five-word sequences get one number.
fn group(rows: &mut [Row]) {
    let mut parents: Vec<usize> = (0..rows.len()).collect();
    let mut seen: BTreeMap<(usize, u64, u64), usize> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        let least = sketch(&row.text);
        for (slot, pair) in least.windows(2).enumerate() {
            let other = *seen.entry((slot, pair[0], pair[1])).or_insert(index);
            let (a, b) = (root(&mut parents, index), root(&mut parents, other));
            parents[a.max(b)] = a.min(b);
        }
    }
    for (index, row) in rows.iter_mut().enumerate() {
        row.group = root(&mut parents, index);
    }
}

fn root(parents: &mut [usize], mut at: usize) -> usize {
    while parents[at] != at {
        parents[at] = parents[parents[at]];
        at = parents[at];
    }
    at
}

/// The least hashes, under several hash functions, of the sequences of five words.
fn sketch(text: &str) -> [u64; 6] {
    let words: Vec<u64> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(|w| {
            w.to_lowercase()
                .bytes()
                .fold(7, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
        })
        .collect();
    let length = words.len().clamp(1, 5);
    let mut least = [u64::MAX; 6];
    for run in words.windows(length) {
        let hash = run.iter().fold(1, |h: u64, w| h.rotate_left(9).wrapping_mul(31) ^ w);
        for (slot, least) in (1_u64..).zip(least.iter_mut()) {
            let mut x = hash ^ slot.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            x = (x ^ (x >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
            *least = (*least).min(x ^ (x >> 29));
        }
    }
    least
}
