//! Why a command fails, and with which exit status.

use crate::config::ConfigError;

/// A command's failure. The text is for the person at the terminal: what is wrong, where, what to do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The reader of our output went away, as `| head` does: not an error.
    #[error("broken pipe")]
    BrokenPipe,
    /// What was asked for cannot be had as asked.
    #[error("{0}")]
    Usage(String),
    /// The configuration is not usable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The sidecar cannot start.
    #[error(transparent)]
    Start(#[from] sidecar::StartError),
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] journal::OpenError),
    /// Something else did not work.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// 2: the command or the configuration is at fault; 1: something failed.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Usage(_) | Failure::Config(_) => 2,
            Failure::Start(
                sidecar::StartError::OpenToTheWorld { .. }
                | sidecar::StartError::Upstream { .. }
                | sidecar::StartError::Webhook { .. }
                | sidecar::StartError::ClientKey { .. },
            ) => 2,
            _ => 1,
        }
    }

    /// Any error, in its own words.
    pub fn other(error: impl std::fmt::Display) -> Failure {
        Failure::Other(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::BrokenPipe,
            _ => Failure::Other(error.to_string()),
        }
    }
}
