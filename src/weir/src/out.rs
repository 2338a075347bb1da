//! Standard output and standard error.

use std::io::{self, IsTerminal, Write};

/// Writes lines to standard output; a closed pipe is an error of its own kind, not a panic.
pub fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes `weir: text` to standard error. There is nowhere to say that this failed.
pub fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "weir: {text}");
}

/// Whether standard output takes colours.
pub fn is_coloured() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}
