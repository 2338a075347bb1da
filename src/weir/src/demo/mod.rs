//! `weir demo`: the whole product in a minute, without a key.
//!
//! ```text
//!  drive ──calls──▶ sidecar ──▶ upstream (offline, deterministic)
//! ```
//!
//! Nothing here knows the rest of the binary: it gets addresses and says what happened.

pub mod drive;
pub mod upstream;

mod chat;
mod directives;
mod other;
mod pace;
mod plan;
mod prompt;
mod reply;
mod script;
mod seed;
mod sse;
#[cfg(test)]
mod tests;
mod topics;
mod words;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::net::TcpListener;

/// `weir demo`.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {
    /// How many calls to send.
    #[arg(long, default_value_t = 300, value_name = "N")]
    pub calls: u64,
    /// Seed of the calls: the same seed sends the same calls.
    #[arg(long, default_value_t = 7, value_name = "N")]
    pub seed: u64,
    /// Where the demo's data lies; a fresh folder if not given.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Keep serving after the tour, until interrupted.
    #[arg(long)]
    pub stay: bool,
    /// Serve the offline upstream and nothing else.
    #[arg(long, hide = true)]
    pub upstream_only: bool,
    /// Address to listen on; a free port if not given.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    pub listen: SocketAddr,
}

/// Serves the offline upstream on `args.listen` until `shutdown` resolves, after printing
/// `demo upstream on http://ADDR`.
///
/// # Errors
/// If the address cannot be bound.
pub async fn run_upstream(args: &DemoArgs, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let listener = TcpListener::bind(args.listen).await?;
    say(&format!("demo upstream on http://{}", listener.local_addr()?))?;
    upstream::serve(listener, shutdown).await
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    io::Write::write_all(&mut out, line.as_bytes())?;
    io::Write::write_all(&mut out, b"\n")?;
    io::Write::flush(&mut out)
}
