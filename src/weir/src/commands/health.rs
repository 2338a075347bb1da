//! `weir health`: for those who start and stop containers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use super::configuration;
use crate::args::HealthArgs;
use crate::error::Failure;
use crate::out::{complain, say};
use crate::runtime::listen_file;

const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the command.
pub fn run(args: &HealthArgs) -> Result<ExitCode, Failure> {
    let (config, _) = configuration(&args.place)?;
    let listen = match args.listen {
        Some(listen) => listen,
        // What the running process wrote there is right also where it chose the port itself.
        None => std::fs::read_to_string(listen_file(&config.data))
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(config.server.listen),
    };
    match ready(listen) {
        Ok((true, text)) => {
            say(text.trim_end())?;
            Ok(ExitCode::SUCCESS)
        }
        Ok((false, text)) => {
            complain(text.trim_end());
            Ok(ExitCode::FAILURE)
        }
        Err(error) => {
            complain(&format!("nobody answers at {listen}: {error}"));
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Whether it answers `/readyz` with 200, and its words.
fn ready(listen: SocketAddr) -> std::io::Result<(bool, String)> {
    let mut stream = TcpStream::connect_timeout(&reachable(listen), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /readyz HTTP/1.0\r\nhost: {listen}\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(64 << 10).read_to_string(&mut answer)?;
    let status = answer.split_ascii_whitespace().nth(1).unwrap_or_default();
    let text = answer.split_once("\r\n\r\n").map_or(answer.as_str(), |(_, body)| body);
    Ok((status == "200", text.to_owned()))
}

/// Who listens everywhere is asked here.
fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], v4.port())),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], v6.port())),
        other => other,
    }
}
