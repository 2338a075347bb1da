//! Text in pieces: what may leave now, and what must wait.

use std::sync::Arc;

use crate::check::{Checks, Merge, Running};
use crate::context::CallContext;
use crate::engine::{Engine, Settled, State, View};
use crate::normalize::{OffsetMap, append_view};
use crate::outcome::{Release, push_placeholder};
use crate::policy::Policy;
use crate::types::{Action, Phase, Verdict};
use crate::vault::SessionVault;

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
    checks: Option<Watch>,
    vault: Option<SessionVault>,
    map: OffsetMap,
    /// The view from `view_base` on: what is held, and a little before it.
    view: Vec<u8>,
    view_base: usize,
    /// The original text from `text_base` on, not yet released.
    text: String,
    text_base: usize,
    /// Bytes of original text that came so far.
    taken: usize,
    /// Up to here the original text was released, or replaced by a placeholder.
    done: usize,
    blocked: bool,
    finished: bool,
    /// The call, where the text is judged when it has ended: its views are those of the whole.
    whole: Option<(Phase, CallContext)>,
}

/// The checks of a stream, and the verdicts that wait for their place among the others.
#[derive(Debug)]
struct Watch {
    checks: Arc<Checks>,
    running: Running,
    merge: Merge,
}

impl Scanner {
    pub(crate) fn new(policy: Arc<Policy>, phase: Phase, context: &CallContext) -> Scanner {
        let whole = policy.views(phase).then(|| (phase, context.clone()));
        let engine = policy.engine(phase).cloned();
        let checks = policy.checks(phase).cloned();
        let checks = checks.and_then(|checks| {
            let running = checks.start(context)?;
            Some(Watch {
                checks,
                running,
                merge: Merge::default(),
            })
        });
        Scanner {
            checks,
            vault: context.vault.clone(),
            state: engine.as_ref().map(|e| e.state()),
            engine,
            policy,
            map: OffsetMap::default(),
            view: Vec::new(),
            view_base: 0,
            text: String::new(),
            text_base: 0,
            taken: 0,
            done: 0,
            blocked: false,
            finished: false,
            whole,
        }
    }

    /// Takes the next piece of text and releases what no rule can still match. Where the phase's texts
    /// are looked at in all their views, that is nothing before the end.
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
        if self.engine.is_none() && self.checks.is_none() {
            return Release {
                text: chunk.to_owned(),
                ..Release::default()
            };
        }
        if self.whole.is_some() {
            self.text.push_str(chunk);
            return Release::default();
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
        if let (false, Some((phase, context))) = (self.finished, &self.whole) {
            let text = std::mem::take(&mut self.text);
            let outcome = self.policy.scan_with(*phase, &text, context);
            release = outcome.release_with(&text, self.vault.as_ref());
            self.blocked = release.blocked;
        } else if !self.finished && (self.engine.is_some() || self.checks.is_some()) {
            if let (Some(engine), Some(state)) = (&self.engine, &mut self.state) {
                let view = View {
                    bytes: &self.view,
                    base: self.view_base,
                };
                engine.finish(state, view);
            }
            if let Some(watch) = &mut self.checks {
                watch.running.finish();
            }
            self.collect(usize::MAX, true, &mut release);
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
        self.taken += chunk.len();
        if !self.blocked {
            self.text.push_str(chunk);
        }
        if let Some(watch) = &mut self.checks {
            watch.running.push(chunk);
        }
        let mut frontier = usize::MAX;
        if let (Some(engine), Some(state)) = (&self.engine, &mut self.state) {
            append_view(chunk, &mut self.view, self.view_base, &mut self.map);
            let view = View {
                bytes: &self.view,
                base: self.view_base,
            };
            engine.advance(state, view);
            frontier = engine.frontier(state, view);
        }
        self.collect(frontier, false, release);
        self.forget(frontier);
    }

    /// Turns what the engine and the checks have settled into verdicts and text. `frontier` is the
    /// engine's; nothing of it is open at the greatest number.
    fn collect(&mut self, frontier: usize, ended: bool, release: &mut Release) {
        let Scanner { policy, map, .. } = self;
        let (text, base) = (&self.text, self.text_base);
        let (done, blocked) = (&mut self.done, &mut self.blocked);
        let release_up_to = |end: usize, done: &mut usize, out: &mut String| {
            if end > *done {
                let end = end.min(base + text.len());
                out.push_str(text.get(*done - base..end - base).unwrap_or_default());
                *done = end;
            }
        };
        let vault = self.vault.as_ref();
        let mut apply = |mut verdict: Verdict, release: &mut Release| {
            policy.watch(&mut verdict);
            let (start, end) = (verdict.start, verdict.end);
            match verdict.action {
                _ if *blocked => {}
                Action::Flag => {}
                Action::Redact | Action::Vault => {
                    let fresh = start >= *done;
                    release_up_to(start, done, &mut release.text);
                    match vault {
                        None if fresh => push_placeholder(&mut release.text, &verdict.entity),
                        None => {}
                        Some(vault) => {
                            let value = text.get(*done - base..end.max(*done) - base).unwrap_or_default();
                            match fresh {
                                true => vault.replace(&verdict, value, &mut release.text),
                                false if value.is_empty() => {}
                                false => vault.replace_rest(&verdict, value, &mut release.text),
                            }
                        }
                    }
                    *done = end.max(*done);
                }
                Action::Ask | Action::Block => {
                    release_up_to(start, done, &mut release.text);
                    *blocked = true;
                }
            }
            release.verdicts.push(verdict);
        };
        let mut until = if frontier == usize::MAX {
            self.taken
        } else {
            map.start(frontier)
        };
        if let (Some(engine), Some(state)) = (&self.engine, &mut self.state) {
            release.errors += std::mem::take(&mut state.errors);
            engine.settle(state, frontier, |settled| {
                let start = map.start(settled.start);
                let end = map.end(settled.end).max(start);
                let verdict = policy.verdict(engine, &settled, start, end);
                match &mut self.checks {
                    Some(watch) => watch.merge.add(verdict, 0),
                    None => apply(verdict, release),
                }
            });
        }
        if let Some(Watch { checks, running, merge }) = &mut self.checks {
            for found in running.found() {
                let source = found.rule + 1;
                if let Some(verdict) = policy.found(checks, found) {
                    merge.add(verdict, source);
                }
            }
            until = if ended { until } else { until.min(running.frontier()) };
            let before = if ended { usize::MAX } else { until };
            while let Some(verdict) = merge.next(before) {
                apply(verdict, release);
            }
        }
        if !*blocked {
            release_up_to(until, done, &mut release.text);
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

/// The first view of `text`, in `folded` if it is not the text itself.
fn view<'t>(text: &'t str, folded: &'t mut Vec<u8>, map: &mut OffsetMap) -> &'t [u8] {
    if crate::normalize::is_plain(text) {
        return text.as_bytes();
    }
    append_view(text, folded, 0, map);
    folded
}

/// Automaton steps that `engine` takes over `text`.
pub(crate) fn steps(engine: &Engine, text: &str) -> u64 {
    engine.steps(view(text, &mut Vec::new(), &mut OffsetMap::default()))
}

/// The verdicts of `text`, in order, and the number of errors.
pub(crate) fn scan(policy: &Policy, engine: &Engine, text: &str) -> (Vec<Verdict>, u32) {
    let (mut map, mut folded) = (OffsetMap::default(), Vec::new());
    let bytes = view(text, &mut folded, &mut map);
    let mut verdicts = Vec::new();
    let errors = matches(engine, bytes, |settled| {
        let start = map.start(settled.start);
        verdicts.push(policy.verdict(engine, &settled, start, map.end(settled.end).max(start)));
    });
    (verdicts, errors)
}

/// Hands out the matches in a whole view, in order, and tells the number of errors.
pub(crate) fn matches(engine: &Engine, bytes: &[u8], emit: impl FnMut(Settled)) -> u32 {
    matches_until(engine, bytes, bytes.len(), emit).0
}

/// The same of the matches that begin before `until`; tells how far it had to look, too. Where the step budget
/// might not do, nothing beyond `until` is looked at.
pub(crate) fn matches_until(
    engine: &Engine,
    bytes: &[u8],
    until: usize,
    mut emit: impl FnMut(Settled),
) -> (u32, usize) {
    let mut found = Vec::new();
    if let Some(seen) = engine.scan_until(bytes, until, |settled| found.push(settled)) {
        found.into_iter().for_each(emit);
        return (0, seen.max(until));
    }
    let bytes = &bytes[..until];
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
        engine.settle(&mut state, frontier, &mut emit);
        if end == bytes.len() {
            return (state.errors, end);
        }
    }
}
