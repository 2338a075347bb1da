//! Identifiers. All are our own: a provider's id is recorded, but keys nothing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        #[schemars(with = "String")]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id: UUIDv7, so ids sort by the millisecond they were made in.
            #[must_use]
            #[expect(clippy::new_without_default, reason = "a random id is not a default value")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                s.parse().map(Self)
            }
        }
    };
}

uuid_id!(
    /// The key of a call, whatever happens to it.
    CallId
);
uuid_id!(
    /// The key of an event.
    EventId
);
uuid_id!(
    /// The key of a journal: one data folder of one sidecar, for its whole life.
    JournalId
);
