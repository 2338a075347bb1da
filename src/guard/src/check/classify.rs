//! A classifier as a check: one look at the whole text, for all the rules that use it.

use std::sync::Arc;

use super::{Check, Found};
use crate::model::{Judgement, Model};
use crate::normalize::{OffsetMap, append_view, is_plain};

/// The check for one text. It keeps the text until the end: only then the worst window is known.
#[derive(Debug)]
pub(crate) struct Classify {
    model: &'static Model,
    rules: Arc<[u32]>,
    text: String,
    finished: bool,
}

impl Classify {
    /// One check for all the rules that `model` serves.
    pub(crate) fn new(model: &'static Model, rules: Arc<[u32]>) -> Classify {
        Classify {
            model,
            rules,
            text: String::new(),
            finished: false,
        }
    }
}

/// What the model thinks of a text, as it is or with what is invisible or typographic undone, whichever
/// looks worse. The span is one of the original text.
pub(crate) fn judge(model: &Model, text: &str) -> Judgement {
    if is_plain(text) {
        return model.judge(text);
    }
    let both = model.judge_both(text);
    let plain = both.map_or_else(|| model.judge(text), |[plain, _]| plain);
    if both.is_some_and(|[_, folded]| folded.score <= plain.score) {
        return plain;
    }
    let (mut view, mut map) = (Vec::new(), OffsetMap::default());
    append_view(text, &mut view, 0, &mut map);
    let folded = both.map(|[_, folded]| folded);
    let folded = folded.or_else(|| std::str::from_utf8(&view).ok().map(|view| model.judge(view)));
    match folded.filter(|folded| folded.score > plain.score) {
        Some(folded) => {
            let start = map.start(folded.start);
            let end = map.end(folded.end).max(start);
            Judgement { start, end, ..folded }
        }
        None => plain,
    }
}

impl Check for Classify {
    fn push(&mut self, text: &str, _found: &mut Vec<Found>) {
        self.text.push_str(text);
    }

    fn finish(&mut self, found: &mut Vec<Found>) {
        let text = std::mem::take(&mut self.text);
        self.whole(&text, found);
    }

    fn whole(&mut self, text: &str, found: &mut Vec<Found>) {
        if std::mem::replace(&mut self.finished, true) || text.is_empty() {
            return;
        }
        let Judgement { score, start, end, .. } = judge(self.model, text);
        found.extend(self.rules.iter().map(|rule| Found {
            rule: *rule,
            start,
            end,
            score: Some(score),
        }));
    }

    fn frontier(&self) -> usize {
        if self.finished { usize::MAX } else { 0 }
    }
}
