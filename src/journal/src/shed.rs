//! What is dropped while the journal is full, and how it is told of.

use std::sync::MutexGuard;

use event::body::JournalShed;
use event::{Body, Draft, Scope};

use crate::append::prepare;
use crate::core::{Core, State, lock};
use crate::stats::add;
use crate::{AppendError, FullReason};

impl Core {
    pub fn shed(&self, drafts: &[Draft], reason: FullReason) {
        let events = drafts.len() as u64;
        let bytes: u64 = drafts.iter().map(|d| d.bytes().len() as u64).sum();
        add(&self.counters.shed_events, events);
        add(&self.counters.shed_bytes, bytes);
        let mut state = lock(&self.state);
        // The rest of a call whose beginning was given up may come when there is room again.
        if state.shed.is_none() && self.full().is_some() {
            tracing::error!(dir = %self.dir.display(), reason = reason.as_str(), "the journal is full: shedding events");
        }
        let (e, b, _) = state.shed.unwrap_or((0, 0, reason));
        state.shed = Some((e + events, b + bytes, reason));
    }

    /// There is room again: says first what was dropped.
    pub fn tell_shed<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>, AppendError> {
        let Some((count, bytes, reason)) = state.shed.take() else {
            return Ok(state);
        };
        drop(state);
        let body = Body::JournalShed(Box::new(JournalShed {
            count,
            bytes,
            reason: reason.as_str().to_owned(),
        }));
        let told = match Draft::new(&Scope::default(), None, 0, crate::clock::unix_nano(), &body) {
            Ok(draft) => prepare(std::slice::from_ref(&draft))
                .and_then(|p| self.place(&p))
                .map(|_| ()),
            Err(_) => Ok(()),
        };
        let mut state = lock(&self.state);
        if let Err(e) = told {
            let (c, b, _) = state.shed.unwrap_or((0, 0, reason));
            state.shed = Some((count + c, bytes + b, reason));
            return Err(e);
        }
        Ok(state)
    }

    /// Tells of what was shed if there is room for it now.
    pub fn settle_shed(&self) {
        let state = lock(&self.state);
        if state.shed.is_some() && self.full().is_none() {
            // No room after all: the next append tries again.
            drop(self.tell_shed(state));
        }
    }
}
