//! The OpenAI dialect: requests, answers, streams and errors, as OpenAI and the many servers that
//! are compatible with it speak it.

pub mod assemble;
pub mod error;
pub mod request;
pub mod response;
pub mod stream;

mod channel;
mod endpoint;
mod frames;
mod pieces;
mod top;

pub use channel::Channel;
pub use endpoint::Endpoint;
pub use pieces::{Piece, ToolCall};
