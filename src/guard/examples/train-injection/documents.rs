//! Long texts made of short ones: harmless rows in a row, one sentence over and over, an attack in
//! between. The same rows give the same documents.

use crate::data::Row;
use crate::train::Random;

/// Tokens of the documents by which a long text's margin is set.
pub const LENGTHS: [usize; 3] = [1000, 4000, 16_000];

/// What stands between two texts of a document.
const JOINTS: [&str; 6] = ["\n\n", "\n", " ", "\n\n---\n\n", "\n\n# ", "\n- "];

/// Roughly how many tokens a text has.
fn tokens(text: &str) -> usize {
    let wide = text.chars().filter(|c| *c >= '\u{2E80}').count();
    let words = text.split(|c: char| !c.is_alphanumeric() || c >= '\u{2E80}');
    wide + words.filter(|w| !w.is_empty()).count()
}

/// A document of about `length` tokens of these rows; half of the documents hold one source only, as
/// long as it has rows. None is there twice in a row.
pub fn harmless(rows: &[&Row], length: usize, random: &mut Random) -> String {
    let joint = *random.pick(&JOINTS);
    let source = &random.pick(rows).source;
    let mut own: Vec<&Row> = match random.below(2) {
        0 => rows.iter().copied().filter(|r| r.source == *source).collect(),
        _ => Vec::new(),
    };
    random.shuffle(&mut own);
    let mut text = String::new();
    let mut size = 0;
    while size < length {
        let row = own.pop().unwrap_or_else(|| *random.pick(rows));
        let part = cut(&row.text, ((length - size) * 6).max(120));
        size += tokens(part);
        text.push_str(part);
        text.push_str(joint);
    }
    text
}

/// The start of a text, at most so many bytes.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// A text said again and again.
pub fn repeated(rows: &[&Row], random: &mut Random) -> String {
    let text = cut(&random.pick(rows).text, 400).to_owned();
    let joint = *random.pick(&JOINTS);
    format!("{text}{joint}").repeat(2 + random.below(30))
}

/// An attack with harmless text around it, about `length` tokens in all.
pub fn buried(attack: &str, rows: &[&Row], length: usize, random: &mut Random) -> String {
    let before = random.below(length) + 1;
    let (head, tail) = (
        harmless(rows, before, random),
        harmless(rows, length - before.min(length) + 1, random),
    );
    format!("{head}\n{attack}\n{tail}")
}
