//! What SQL sees: a version of each table and, beside it, what has not landed yet.

use std::sync::Arc;

use arc_swap::ArcSwap;
use arrow::array::RecordBatch;

use crate::schema::TableKind;
use crate::store::Snapshot;

/// One table as SQL sees it.
#[derive(Clone, Debug)]
pub struct TableView {
    /// What has landed.
    pub snapshot: Arc<Snapshot>,
    /// Rows that have not, in the schema [`TableKind::arrow`].
    pub tail: Vec<RecordBatch>,
}

/// Both tables at one moment: every event and every ended call exactly once.
#[derive(Clone, Debug)]
pub struct View {
    /// `events`.
    pub events: TableView,
    /// `calls`.
    pub calls: TableView,
}

impl View {
    /// One of the tables.
    #[must_use]
    pub fn table(&self, kind: TableKind) -> &TableView {
        match kind {
            TableKind::Events => &self.events,
            TableKind::Calls => &self.calls,
        }
    }
}

/// The current [`View`]; a reader keeps the one it took for as long as it likes. Landing moves rows
/// from the tail to the snapshot in one swap, so no reader sees a row twice, or misses one.
#[derive(Clone, Debug)]
pub struct Tail(Arc<ArcSwap<View>>);

impl Tail {
    /// A tail that shows `view`.
    #[must_use]
    pub fn new(view: View) -> Tail {
        Tail(Arc::new(ArcSwap::from_pointee(view)))
    }

    /// What is visible now.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.0.load_full()
    }

    pub(crate) fn set(&self, view: View) {
        self.0.store(Arc::new(view));
    }
}
