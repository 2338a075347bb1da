//! Which records on their way have arrived: the position is what all before have.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;

use crate::client::Complaints;

/// Delivery reports of one producer, in the order in which they come.
#[derive(Clone, Debug)]
pub(crate) struct Inflight {
    state: Arc<Mutex<State>>,
    pub(crate) complaints: Complaints,
}

#[derive(Debug)]
struct State {
    /// Every record before this offset has arrived.
    next: i64,
    /// Records that arrived before one that precedes them.
    ahead: BTreeSet<i64>,
    failed: Option<String>,
}

impl Inflight {
    /// Nothing is on its way; the record at `next` is the first.
    pub(crate) fn at(next: i64) -> Inflight {
        Inflight {
            state: Arc::new(Mutex::new(State {
                next,
                ahead: BTreeSet::new(),
                failed: None,
            })),
            complaints: Complaints::default(),
        }
    }

    /// Every record before this offset has arrived.
    pub(crate) fn arrived(&self) -> i64 {
        self.lock().next
    }

    /// Why a message was not delivered, if one was not.
    pub(crate) fn failed(&self) -> Option<String> {
        self.lock().failed.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, ticket: usize, failure: Option<String>) {
        let mut state = self.lock();
        if let Some(failure) = failure {
            state.failed.get_or_insert(failure);
            return;
        }
        let (offset, last) = opened(ticket);
        if !last || offset < state.next {
            return;
        }
        if offset > state.next {
            state.ahead.insert(offset);
            return;
        }
        state.next += 1;
        while state.ahead.first() == Some(&state.next) {
            state.ahead.pop_first();
            state.next += 1;
        }
    }
}

/// What travels with a message and comes back with its report: the record's offset, and whether it is
/// the record's last part.
pub(crate) fn ticket(offset: i64, last: bool) -> usize {
    // Offsets are never negative, and half of all of them is enough.
    (usize::try_from(offset).unwrap_or_default() << 1) | usize::from(last)
}

fn opened(ticket: usize) -> (i64, bool) {
    (i64::try_from(ticket >> 1).unwrap_or(i64::MAX), ticket & 1 == 1)
}

impl ClientContext for Inflight {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.complaints.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.complaints.error(error, reason);
    }
}

impl ProducerContext for Inflight {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: usize) {
        self.report(ticket, result.as_ref().err().map(|(error, _)| error.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unbroken_row_of_arrivals_counts() {
        let inflight = Inflight::at(5);
        for (offset, last) in [(5, false), (5, true), (7, true)] {
            inflight.report(ticket(offset, last), None);
        }
        assert_eq!(inflight.arrived(), 6);
        inflight.report(ticket(6, true), None);
        assert_eq!(inflight.arrived(), 8);
        inflight.report(ticket(8, true), Some("gone".to_owned()));
        inflight.report(ticket(9, true), None);
        assert_eq!((inflight.arrived(), inflight.failed()), (8, Some("gone".to_owned())));
    }

    #[test]
    fn tickets_hold_what_was_put_in() {
        for offset in [0, 1, 1 << 40, i64::MAX / 2] {
            for last in [false, true] {
                assert_eq!(opened(ticket(offset, last)), (offset, last));
            }
        }
    }
}
