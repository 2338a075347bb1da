//! Calls that wait in a journal: nobody can erase them yet, but whoever asks has to know of them.

use std::collections::HashSet;
use std::path::Path;

use super::{Theirs, Whose};
use crate::LakeError;
use crate::batch::txn;
use crate::journal_source::JournalDir;
use crate::source::SourceError;
use crate::store::Table;

/// What is read at once, bytes.
const READ_BYTES: usize = 4 << 20;

/// Their calls of which the journal has something that is not in `events`.
pub(super) async fn waiting(events: &Table, journal: &Path, whose: &Whose) -> Result<HashSet<String>, LakeError> {
    let dir = journal.to_owned();
    let Some(here) = tokio::task::spawn_blocking(move || JournalDir::open(&dir)).await?? else {
        return Ok(HashSet::new());
    };
    let app = txn::offset(here.id);
    let mut next = events.load().await?.txn(&app).await?.unwrap_or(0);
    loop {
        let (dir, whose) = (here.clone(), whose.clone());
        match tokio::task::spawn_blocking(move || tail(&dir, next, &whose)).await? {
            Ok(found) => return Ok(found),
            // What has landed is not there any more: a journal that was replaced. Nothing waits in it.
            Err(SourceError::Damaged { .. }) => return Ok(HashSet::new()),
            Err(error) => {
                // Perhaps only that it landed and was released under the reader's hands.
                let landed = events.load().await?.txn(&app).await?.unwrap_or(0);
                if landed <= next {
                    return Err(error.into());
                }
                next = landed;
            }
        }
    }
}

/// Blocking.
fn tail(journal: &JournalDir, next: i64, whose: &Whose) -> Result<HashSet<String>, SourceError> {
    let theirs = Theirs::of(whose);
    let mut found = HashSet::new();
    let mut reading = journal.read(next)?;
    loop {
        let items = reading.next(READ_BYTES)?;
        if items.is_empty() {
            return Ok(found);
        }
        for record in items.iter().filter_map(|item| item.record()) {
            if theirs.has(whose, record) {
                found.extend(record.envelope.call_id.map(|id| id.to_string()));
            }
        }
    }
}
