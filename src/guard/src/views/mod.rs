//! Views: a text as it reads once evasions are undone, each with a map back to the original.
//!
//! ```text
//!  text ─▶ folded ─▶ looks ─▶ escapes ─▶ runs of code ─┬▶ the decoded view
//!                                                      ├▶ joined ─▶ leet ─▶ the joined view
//!                                                      └▶ rot13, reversed
//! ```
//!
//! Each step is taken only where a cheap look says that there may be something to undo, and a view
//! exists only if it differs from the one before. No step makes a text longer than a small multiple of
//! its own length, and steps nest [`DEPTH`] deep, so time and memory are linear in the text.

mod escapes;
mod flip;
mod fold;
mod join;
mod leet;
mod map;
mod run;
mod runs;
mod scan;
mod starts;
mod tables;
mod tokens;
mod trigger;
mod words;

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use fold::compat;
pub(crate) use map::OffsetMap;
pub(crate) use scan::{judge, scan};

/// How deep codes within codes are undone.
const DEPTH: usize = 2;

/// What was undone to see a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum View {
    /// Look-alikes of other scripts, letters with marks.
    Looks,
    /// Invisible tag characters.
    Tags,
    /// Bytes in variation selectors.
    Selectors,
    /// HTML entities.
    Entity,
    /// Percent-encoding.
    Percent,
    /// Backslash escapes.
    Escape,
    /// Base64.
    Base64,
    /// Base32.
    Base32,
    /// Hexadecimal digits.
    Hex,
    /// Decimal character codes.
    Decimal,
    /// Binary digits.
    Binary,
    /// Morse code.
    Morse,
    /// Letters turned by 13.
    Rot13,
    /// Written from behind.
    Reversed,
    /// Letters written one by one, or syllables.
    Joined,
    /// Digits and symbols for letters.
    Leet,
}

impl View {
    /// The name, as it stands in verdicts.
    pub fn name(self) -> &'static str {
        match self {
            View::Looks => "looks",
            View::Tags => "tags",
            View::Selectors => "selectors",
            View::Entity => "entity",
            View::Percent => "percent",
            View::Escape => "escape",
            View::Base64 => "base64",
            View::Base32 => "base32",
            View::Hex => "hex",
            View::Decimal => "decimal",
            View::Binary => "binary",
            View::Morse => "morse",
            View::Rot13 => "rot13",
            View::Reversed => "reversed",
            View::Joined => "joined",
            View::Leet => "leet",
        }
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Classes of views that a rule looks at beside the first view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ViewSet(u8);

impl ViewSet {
    pub(crate) const NONE: ViewSet = ViewSet(0);
    /// Characters one by one: look-alikes, tags, escapes.
    pub(crate) const ESCAPED: ViewSet = ViewSet(1);
    /// Runs in another code, ciphers.
    pub(crate) const DECODED: ViewSet = ViewSet(2);
    /// Letters taken apart, leet.
    pub(crate) const JOINED: ViewSet = ViewSet(4);
    pub(crate) const ALL: ViewSet = ViewSet(7);

    /// This set and the class of `view`.
    pub(crate) fn with(self, view: View) -> ViewSet {
        self.and(match view {
            View::Looks | View::Tags | View::Selectors | View::Entity | View::Percent | View::Escape => {
                ViewSet::ESCAPED
            }
            View::Joined | View::Leet => ViewSet::JOINED,
            _ => ViewSet::DECODED,
        })
    }

    /// Both sets.
    pub(crate) fn and(self, other: ViewSet) -> ViewSet {
        ViewSet(self.0 | other.0)
    }

    /// Whether this set holds all of `needs`.
    pub(crate) fn holds(self, needs: ViewSet) -> bool {
        self.0 & needs.0 == needs.0
    }

    /// Whether this set holds any of `needs`, or there are none.
    pub(crate) fn shares(self, needs: ViewSet) -> bool {
        needs == ViewSet::NONE || self.0 & needs.0 != 0
    }

    /// The class called `name` in packs.
    pub(crate) fn parse(name: &str) -> Option<ViewSet> {
        Some(match name {
            "folded" => ViewSet::NONE,
            "escaped" => ViewSet::ESCAPED,
            "decoded" => ViewSet::DECODED,
            "joined" => ViewSet::JOINED,
            _ => return None,
        })
    }
}

/// A text as it reads in one view.
#[derive(Clone, Debug)]
pub(crate) struct ViewText {
    /// What there is to read.
    pub(crate) text: String,
    /// Where each part of it comes from.
    pub(crate) map: OffsetMap,
}

/// The views of `text` beside the first one: none for plain text, six at most. Only what
/// [`OffsetMap::rewritten`] tells is new in them.
pub(crate) fn texts(text: &str) -> Vec<ViewText> {
    let mut views = Vec::new();
    let Base { text: base, map, found } = unfolded(text, DEPTH);
    flipped(&base, map.as_ref(), found, &mut views);
    if let Some((text, later)) = joined(&base, found) {
        let map = map.as_ref().map_or_else(|| later.clone(), |map| map.then(&later));
        flipped(&text, Some(&map), trigger::triggers(&text), &mut views);
        views.push(ViewText { text, map });
    }
    if let Some(map) = map.filter(OffsetMap::is_rewritten) {
        let text = base.into_owned();
        views.push(ViewText { text, map });
    }
    views
}

/// Letters and syllables as words, twice taken apart even, then codes, then digits as letters.
fn joined(base: &str, found: trigger::Triggers) -> Option<(String, OffsetMap)> {
    let mut made: Option<(String, OffsetMap)> = None;
    let mut step = |of: &dyn Fn(&str) -> Option<(String, OffsetMap)>| {
        let next = of(made.as_ref().map_or(base, |(text, _)| text));
        let Some((text, later)) = next else { return false };
        let map = made.as_ref().map_or_else(|| later.clone(), |(_, map)| map.then(&later));
        made = Some((text, map));
        true
    };
    let apart = found.letters || found.syllables;
    if apart && step(&|text| join::joined(text, found.letters)) {
        step(&|text| join::joined(text, true));
        step(&|text| runs::runs(text, 1));
    }
    if apart || found.leet {
        step(&leet::leet);
    }
    made
}

/// What ciphers hide in `base`, which `map` leads back from.
fn flipped(base: &str, map: Option<&OffsetMap>, found: trigger::Triggers, views: &mut Vec<ViewText>) {
    let rot13 = found.rot13.then(|| flip::rot13(base)).flatten();
    // Codes may be turned, too.
    let rot13 = rot13.map(|(text, map)| match runs::runs(&text, 1) {
        Some((text, later)) => (text, map.then(&later)),
        None => (text, map),
    });
    let reversed = found.reversed.then(|| flip::reversed(base)).flatten();
    for (text, later) in rot13.into_iter().chain(reversed) {
        let map = map.map_or_else(|| later.clone(), |map| map.then(&later));
        views.push(ViewText { text, map });
    }
}

/// A text with characters and codes undone.
struct Base<'t> {
    text: Cow<'t, str>,
    /// `None` if it is the original.
    map: Option<OffsetMap>,
    /// What more there may be to undo.
    found: trigger::Triggers,
}

impl Base<'_> {
    /// Takes over what a step has made. Returns whether it made anything.
    fn step(&mut self, made: Option<(String, OffsetMap)>) -> bool {
        let changes = made.is_some();
        if let Some((text, later)) = made {
            self.map = Some(self.map.as_ref().map_or_else(|| later.clone(), |map| map.then(&later)));
            self.text = Cow::Owned(text);
        }
        changes
    }
}

fn unfolded(text: &str, depth: usize) -> Base<'_> {
    let mut base = Base {
        text: Cow::Borrowed(text),
        map: None,
        found: trigger::Triggers::default(),
    };
    if !text.is_ascii() {
        let hides = trigger::may_hide(text);
        if hides || !crate::normalize::is_plain(text) {
            base.step(fold::folded(text));
            if hides || trigger::may_hide(&base.text) {
                let made = fold::looks(&base.text);
                base.step(made);
            }
        }
    }
    base.found = trigger::triggers(&base.text);
    let mut changed = false;
    if base.found.escapes {
        let made = escapes::escapes(&base.text, depth);
        changed |= base.step(made);
    }
    if base.found.runs {
        let made = runs::runs(&base.text, depth);
        changed |= base.step(made);
    }
    if changed {
        base.found = trigger::triggers(&base.text);
    }
    base
}

/// What a decoded text reads as once it is decoded further; `None` if as it is.
fn decoded(text: &str, depth: usize) -> Option<(String, OffsetMap)> {
    let Base { text: base, map, found } = unfolded(text, depth);
    if found.rot13
        && let Some((turned, later)) = flip::rot13(&base)
    {
        let map = map.map_or_else(|| later.clone(), |map| map.then(&later));
        return Some((turned, map));
    }
    map.map(|map| (base.into_owned(), map))
}

#[cfg(test)]
mod tests;
