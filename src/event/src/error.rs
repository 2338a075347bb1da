//! What can be wrong with a record's bytes.

/// Why bytes are not an event. Retrying does not help: the bytes will not change.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The envelope is not the JSON object that `docs/specs/events.md` describes.
    #[error("not an event envelope: {0}")]
    Envelope(#[source] serde_json::Error),
    /// The body does not fit its type.
    #[error("the body does not fit type {event_type}: {source}")]
    Body {
        /// The envelope's `type`.
        event_type: String,
        /// What serde found.
        source: serde_json::Error,
    },
    /// Written by a newer Weir than this one.
    #[error("event version {found} is newer than {known}, which this Weir reads: use a newer Weir")]
    Version {
        /// The envelope's `v`.
        found: u16,
        /// The newest version known here.
        known: u16,
    },
}
