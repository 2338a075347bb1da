//! The guardrail engine: text in, verdicts and edits out, whole or in a stream.
//!
//! ```text
//!  packs (TOML) ─┐
//!                ├─▶ Policy ──scan(text)─────▶ Outcome: verdicts, redacted(), at_rest()
//!  PolicySpec ───┘      └─────scanner().push()▶ Release: text that may leave now, verdicts
//! ```
//!
//! The promise is that of `docs/specs/streaming-guardrails.md`: what a stream releases, and every
//! verdict on it, equals what the whole text would have given, wherever it was cut; and text waits
//! only while some rule can still match from inside it. The crate does no I/O.
//!
//! ```
//! use std::sync::Arc;
//! use guard::{Pack, Phase, Policy, PolicySpec};
//!
//! let policy = Arc::new(Policy::compile(&PolicySpec::default(), &Pack::builtin())?);
//! let outcome = policy.scan(Phase::Input, "write to jane@example.com");
//! assert_eq!(outcome.redacted("write to jane@example.com"), "write to [EMAIL]");
//!
//! let mut scanner = policy.scanner(Phase::Output);
//! assert_eq!(scanner.push("Write to jane@exa").text, "Write to ");
//! assert_eq!(scanner.push("mple.com, please").text, "[EMAIL], ");
//! assert_eq!(scanner.finish().text, "please");
//! # Ok::<(), guard::PolicyError>(())
//! ```

mod allow;
mod bits;
mod bytes;
mod check;
mod context;
pub mod cost;
mod dfa;
mod engine;
pub mod eval;
pub mod explain;
#[doc(hidden)]
pub mod fuzz;
mod gitleaks;
mod literals;
#[doc(hidden)]
pub mod model;
mod nearby;
mod normalize;
mod outcome;
mod pack;
mod pattern;
mod policy;
mod rule;
mod scanner;
mod schema;
mod secret;
mod settings;
mod template;
mod types;
mod validate;
mod vault;
mod views;
mod wake;

pub use context::{CallContext, canary};
pub use outcome::{Outcome, Release};
pub use pack::{Pack, PackError};
pub use policy::{OnError, Policy, PolicyError, PolicySpec, RuleOverride};
pub use rule::{ExampleFailure, Rule};
pub use scanner::Scanner;
pub use schema::{Schema, SchemaError};
pub use settings::{FormatSpec, LeakSpec, LimitSpec, TopicSpec};
pub use types::{Action, GUARD_ERROR, Kind, Phase, Phases, Verdict};
pub use validate::Validator;
pub use vault::{Escaping, Restorer, SessionVault, Vault, VaultLimits, VaultStats};
pub use views::View;
