//! Text in pieces: what may leave now, and what must wait.

use std::sync::Arc;

use crate::engine::{Engine, Settled, State, View};
use crate::normalize::{OffsetMap, append_view};
use crate::outcome::{Release, push_placeholder};
use crate::policy::Policy;
use crate::types::{Action, Phase, Verdict};

/// The view is handed to the engine in pieces of this many bytes, so that its queues stay short.
const BLOCK: usize = 8 << 10;

/// One stream's guard. Give each stream (each choice, each tool call, the reasoning) its own.
///
/// Concatenated, the released texts, verdicts and errors equal those of a whole-text scan
/// ([`Outcome::release`](crate::Outcome::release)), however the text was cut.
#[derive(Debug)]
pub struct Scanner {
    policy: Arc<Policy>,
    engine: Option<Arc<Engine>>,
    state: Option<State>,
    map: OffsetMap,
    /// The view from `view_base` on: what is held, and a little before it.
    view: Vec<u8>,
    view_base: usize,
    /// The original text from `text_base` on, not yet released.
    text: String,
    text_base: usize,
    /// Up to here the original text was released, or replaced by a placeholder.
    done: usize,
    blocked: bool,
    finished: bool,
}

impl Scanner {
    pub(crate) fn new(policy: Arc<Policy>, phase: Phase) -> Scanner {
        let engine = policy.engine(phase).cloned();
        Scanner {
            state: engine.as_ref().map(|e| e.state()),
            engine,
            policy,
            map: OffsetMap::default(),
            view: Vec::new(),
            view_base: 0,
            text: String::new(),
            text_base: 0,
            done: 0,
            blocked: false,
            finished: false,
        }
    }

    /// Takes the next piece of text and releases what no rule can still match.
    ///
    /// After a block, pieces are still looked at (so that all that must not be stored is known) but
    /// never released. After [`Scanner::finish`], pieces are dropped.
    pub fn push(&mut self, chunk: &str) -> Release {
        if self.finished {
            return Release {
                blocked: self.blocked,
                ..Release::default()
            };
        }
        if self.engine.is_none() {
            return Release {
                text: chunk.to_owned(),
                ..Release::default()
            };
        }
        let mut release = Release::default();
        let mut rest = chunk;
        // A large piece is taken in blocks; where they are cut makes no difference.
        while rest.len() > BLOCK {
            let (block, tail) = rest.split_at(rest.floor_char_boundary(BLOCK));
            self.take(block, &mut release);
            rest = tail;
        }
        self.take(rest, &mut release);
        release
    }

    /// The text has ended: releases the rest, or blocks.
    pub fn finish(&mut self) -> Release {
        let mut release = Release {
            blocked: self.blocked,
            ..Release::default()
        };
        if let (false, Some(engine), Some(state)) = (self.finished, &self.engine, &mut self.state) {
            let view = View {
                bytes: &self.view,
                base: self.view_base,
            };
            engine.finish(state, view);
            self.collect(usize::MAX, &mut release);
        }
        self.finished = true;
        release
    }

    /// Bytes of original text that are held back now.
    pub fn held(&self) -> usize {
        if self.blocked || self.finished {
            0
        } else {
            (self.text_base + self.text.len()).saturating_sub(self.done)
        }
    }

    fn take(&mut self, chunk: &str, release: &mut Release) {
        let (Some(engine), Some(state)) = (&self.engine, &mut self.state) else {
            return;
        };
        append_view(chunk, &mut self.view, self.view_base, &mut self.map);
        if !self.blocked {
            self.text.push_str(chunk);
        }
        let view = View {
            bytes: &self.view,
            base: self.view_base,
        };
        engine.advance(state, view);
        let frontier = engine.frontier(state, view);
        self.collect(frontier, release);
        self.forget(frontier);
    }

    /// Turns what the engine has settled into verdicts and text.
    fn collect(&mut self, frontier: usize, release: &mut Release) {
        let (Some(engine), Some(state)) = (&self.engine, &mut self.state) else {
            return;
        };
        release.errors += std::mem::take(&mut state.errors);
        let (policy, map) = (&self.policy, &self.map);
        let (text, base, done, blocked) = (&self.text, self.text_base, &mut self.done, &mut self.blocked);
        let release_up_to = |end: usize, done: &mut usize, out: &mut String| {
            if end > *done {
                let end = end.min(base + text.len());
                out.push_str(text.get(*done - base..end - base).unwrap_or_default());
                *done = end;
            }
        };
        engine.settle(state, frontier, |settled| {
            let (start, end) = (
                map.start(settled.start),
                map.end(settled.end).max(map.start(settled.start)),
            );
            let verdict = policy.verdict(engine, &settled, start, end);
            match settled.action {
                _ if *blocked => {}
                Action::Flag => {}
                Action::Redact => {
                    if start >= *done {
                        release_up_to(start, done, &mut release.text);
                        push_placeholder(&mut release.text, &verdict.entity);
                    }
                    *done = end.max(*done);
                }
                Action::Block => {
                    release_up_to(start, done, &mut release.text);
                    *blocked = true;
                }
            }
            release.verdicts.push(verdict);
        });
        if !*blocked {
            let end = if frontier == usize::MAX {
                base + text.len()
            } else {
                map.start(frontier)
            };
            release_up_to(end, done, &mut release.text);
        }
        release.blocked = *blocked;
    }

    /// Drops what was released, save the little that the engine looks back at.
    fn forget(&mut self, frontier: usize) {
        if self.blocked {
            self.text = String::new();
            self.text_base = self.done;
        } else if self.done - self.text_base >= self.text.len() {
            self.text.clear();
            self.text_base = self.done;
        } else if self.done - self.text_base > 256 {
            self.text.drain(..self.done - self.text_base);
            self.text_base = self.done;
        }
        let (Some(engine), Some(state)) = (&self.engine, &self.state) else {
            return;
        };
        let needed = frontier.min(state.at).saturating_sub(engine.look_back());
        if needed > self.view_base + 256 {
            self.view.drain(..needed - self.view_base);
            self.view_base = needed;
            self.map.forget_before(needed);
        }
    }
}

/// The verdicts of `text`, in order, and the number of errors.
pub(crate) fn scan(policy: &Policy, engine: &Engine, text: &str) -> (Vec<Verdict>, u32) {
    let (mut map, mut folded) = (OffsetMap::default(), Vec::new());
    let bytes = if crate::normalize::is_plain(text) {
        text.as_bytes()
    } else {
        append_view(text, &mut folded, 0, &mut map);
        &folded
    };
    let mut verdicts = Vec::new();
    let verdict = |settled: Settled| {
        let start = map.start(settled.start);
        policy.verdict(engine, &settled, start, map.end(settled.end).max(start))
    };
    if engine.scan_whole(bytes, |settled| verdicts.push(verdict(settled))) {
        return (verdicts, 0);
    }
    verdicts.clear();
    let mut state = engine.state();
    let mut end = 0;
    loop {
        end = bytes.len().min(end + BLOCK);
        while bytes.get(end).is_some_and(|byte| byte & 0xC0 == 0x80) {
            end -= 1;
        }
        let view = View {
            bytes: &bytes[..end],
            base: 0,
        };
        engine.advance(&mut state, view);
        let frontier = if end == bytes.len() {
            engine.finish(&mut state, view);
            usize::MAX
        } else {
            engine.frontier(&mut state, view)
        };
        engine.settle(&mut state, frontier, |settled| verdicts.push(verdict(settled)));
        if end == bytes.len() {
            return (verdicts, state.errors);
        }
    }
}
