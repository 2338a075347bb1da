//! The way to a provider: where it is, how to connect, and each worker's own pool of connections.

mod connect;
mod pool;
mod target;

pub use connect::{TlsSetup, tls_setup};
pub use pool::{Pool, PooledConn, SendFailure};
pub use target::Target;

/// The body of a request to a provider: whole, or streamed through.
pub type RequestBody = http_body_util::Either<http_body_util::Full<bytes::Bytes>, crate::call::Upload>;
