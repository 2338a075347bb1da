//! Reversible redaction: values leave as tokens such as `[EMAIL_1]` and come back where the token does.
//!
//! ```text
//!  prompt ─▶ Outcome::vaulted ─▶ "write to [EMAIL_1]" ─▶ model ─▶ "I wrote to [EMAIL_1]."
//!                 │ value                                              │ token
//!                 └──────────────▶ session of the vault ───────────────┘▶ Restorer ─▶ app
//! ```
//!
//! The map lives in memory only. A session knows its own tokens and no others; a token that the user
//! typed himself is never given to a value, so that nothing is restored that was not replaced.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::types::{Action, GUARD_ERROR, Verdict};

/// The longest entity of a token, bytes.
const LONGEST_ENTITY: usize = 48;
/// The longest token, bytes: `[`, entity, `_`, number, `]`.
const LONGEST: usize = LONGEST_ENTITY + 24;

/// How much a vault keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VaultLimits {
    /// The most sessions. One more, and that which was used longest ago is forgotten.
    pub sessions: usize,
    /// The most values of one session. What comes after is redacted: its token has no number.
    pub entries: usize,
    /// How long a session is kept after its last use.
    pub ttl: Duration,
}

impl Default for VaultLimits {
    fn default() -> VaultLimits {
        VaultLimits {
            sessions: 10_000,
            entries: 1_000,
            ttl: Duration::from_secs(3600),
        }
    }
}

/// What a vault has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VaultStats {
    /// Sessions kept now.
    pub sessions: usize,
    /// Values kept now, in all sessions.
    pub entries: usize,
    /// Sessions forgotten because nobody used them.
    pub expired: u64,
    /// Sessions forgotten because there were too many.
    pub evicted: u64,
    /// Values that were redacted for good because their session was full.
    pub refused: u64,
}

/// The sessions and their values, in memory only.
#[derive(Debug)]
pub struct Vault {
    limits: VaultLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sessions: HashMap<String, Slot>,
    expired: u64,
    evicted: u64,
    swept: Option<Instant>,
    uses: u64,
}

#[derive(Debug)]
struct Slot {
    session: SessionVault,
    used: Instant,
    /// Counts up with every use: which session was used longest ago.
    turn: u64,
}

/// The values of one session. Clones share them.
#[derive(Clone)]
pub struct SessionVault {
    inner: Arc<Mutex<Session>>,
}

impl std::fmt::Debug for SessionVault {
    // Values never get into a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SessionVault({} values)", self.len())
    }
}

#[derive(Default)]
struct Session {
    limit: usize,
    /// By entity and value.
    tokens: HashMap<(String, String), String>,
    values: HashMap<String, String>,
    /// The last number given, by entity.
    numbers: HashMap<String, u64>,
    /// What looks like a token and came from the user.
    typed: HashSet<String>,
    /// No more tokens are given.
    closed: bool,
    refused: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here panics half way; a map is whole even then.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Vault {
    /// An empty vault.
    #[must_use]
    pub fn new(limits: VaultLimits) -> Vault {
        Vault {
            limits,
            state: Mutex::default(),
        }
    }

    /// The session of `key`, begun now if there is none. Whoever holds it may use it even after the vault
    /// has forgotten it.
    pub fn session(&self, key: &str) -> SessionVault {
        self.session_at(key, Instant::now())
    }

    /// A session that nobody else can come to, for a call without one: it takes nobody's place, and lives as
    /// long as it is held.
    #[must_use]
    pub fn alone(&self) -> SessionVault {
        SessionVault {
            inner: Arc::new(Mutex::new(Session {
                limit: self.limits.entries,
                ..Session::default()
            })),
        }
    }

    fn session_at(&self, key: &str, now: Instant) -> SessionVault {
        let mut state = lock(&self.state);
        state.uses += 1;
        let turn = state.uses;
        let sweep_due = state
            .swept
            .is_none_or(|at| now.saturating_duration_since(at) >= self.limits.ttl / 8);
        if sweep_due {
            self.sweep(&mut state, now);
        }
        let alive = |slot: &Slot| now.saturating_duration_since(slot.used) < self.limits.ttl;
        if let Some(slot) = state.sessions.get_mut(key) {
            if alive(slot) {
                (slot.used, slot.turn) = (now, turn);
                return slot.session.clone();
            }
            state.sessions.remove(key);
            state.expired += 1;
        }
        if state.sessions.len() >= self.limits.sessions.max(1) {
            self.sweep(&mut state, now);
        }
        if state.sessions.len() >= self.limits.sessions.max(1) {
            let oldest = state.sessions.iter().min_by_key(|(_, slot)| slot.turn);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                state.sessions.remove(&oldest);
                state.evicted += 1;
            }
        }
        let session = self.alone();
        let slot = Slot {
            session: session.clone(),
            used: now,
            turn,
        };
        state.sessions.insert(key.to_owned(), slot);
        session
    }

    fn sweep(&self, state: &mut State, now: Instant) {
        let before = state.sessions.len();
        let ttl = self.limits.ttl;
        state
            .sessions
            .retain(|_, slot| now.saturating_duration_since(slot.used) < ttl);
        state.expired += (before - state.sessions.len()) as u64;
        state.swept = Some(now);
    }

    /// Forgets the session of `key`. Says whether there was one.
    pub fn forget(&self, key: &str) -> bool {
        lock(&self.state).sessions.remove(key).is_some()
    }

    /// What is kept, and what was forgotten.
    pub fn stats(&self) -> VaultStats {
        let state = lock(&self.state);
        let mut stats = VaultStats {
            sessions: state.sessions.len(),
            expired: state.expired,
            evicted: state.evicted,
            ..VaultStats::default()
        };
        for slot in state.sessions.values() {
            let session = lock(&slot.session.inner);
            stats.entries += session.values.len();
            stats.refused += session.refused;
        }
        stats
    }
}

impl SessionVault {
    /// The token of `value`, the same each time; `[ENTITY]` if the session is full.
    pub fn token(&self, entity: &str, value: &str) -> String {
        let mut session = lock(&self.inner);
        let key = (entity.to_owned(), value.to_owned());
        if let Some(token) = session.tokens.get(&key) {
            return token.clone();
        }
        if session.closed || session.values.len() >= session.limit || entity.len() > LONGEST_ENTITY || entity.is_empty()
        {
            session.refused += 1;
            return format!("[{entity}]");
        }
        loop {
            let number = session.numbers.entry(entity.to_owned()).or_insert(0);
            *number += 1;
            let token = format!("[{entity}_{number}]");
            if !session.typed.contains(&token) {
                session.values.insert(token.clone(), value.to_owned());
                session.tokens.insert(key, token.clone());
                return token;
            }
        }
    }

    /// Whether `value` has a token here, given now if need be: what has none cannot come back.
    #[must_use]
    pub fn takes(&self, entity: &str, value: &str) -> bool {
        let token = self.token(entity, value);
        self.value(&token).is_some()
    }

    /// Takes note of what looks like a token in a text that somebody typed, before its values are
    /// replaced: no value will be given such a token.
    pub fn reserve(&self, text: &str) {
        let mut at = 0;
        while let Some(open) = text[at..].find('[') {
            let rest = &text[at + open..];
            if let Some(token) = whole_token(rest) {
                let mut session = lock(&self.inner);
                if !session.values.contains_key(token) && !session.typed.contains(token) {
                    if session.typed.len() < session.limit {
                        session.typed.insert(token.to_owned());
                    } else {
                        // What cannot be kept free must not be given away.
                        session.closed = true;
                    }
                }
            }
            at += open + 1;
        }
    }

    /// Replaces the spans of `verdicts`, which come in order of their start, and tokens that were typed.
    pub(crate) fn mask<'t, 'v>(&self, text: &'t str, verdicts: impl Iterator<Item = &'v Verdict>) -> Cow<'t, str> {
        self.reserve(text);
        let mut typed = self.typed_tokens(text).into_iter().peekable();
        let (mut out, mut done) = (String::new(), 0);
        let mut type_until = |end: usize, done: &mut usize, out: &mut String| {
            while let Some((start, token)) = typed.next_if(|(start, _)| *start < end) {
                if start >= *done && start + token.len() <= end {
                    out.push_str(&text[*done..start]);
                    let entity = token[1..].rsplit_once('_').map_or("", |(entity, _)| entity);
                    out.push_str(&self.token(entity, token));
                    *done = start + token.len();
                }
            }
        };
        for verdict in verdicts {
            let unseen = &*verdict.rule == GUARD_ERROR;
            let end = if unseen { text.len() } else { verdict.end };
            if verdict.start >= done {
                type_until(verdict.start, &mut done, &mut out);
                out.push_str(&text[done..verdict.start]);
                done = verdict.start;
                self.replace(verdict, &text[done..end], &mut out);
            } else if end > done {
                self.replace_rest(verdict, &text[done..end], &mut out);
            }
            done = done.max(end);
        }
        type_until(text.len(), &mut done, &mut out);
        if done == 0 && out.is_empty() {
            return Cow::Borrowed(text);
        }
        out.push_str(&text[done..]);
        Cow::Owned(out)
    }

    /// Writes what stands in the place of `value`.
    pub(crate) fn replace(&self, verdict: &Verdict, value: &str, out: &mut String) {
        if verdict.action == Action::Vault {
            out.push_str(&self.token(&verdict.entity, value));
        } else {
            crate::outcome::push_placeholder(out, &verdict.entity);
        }
    }

    /// Writes what stands in the place of the end of a value whose beginning is replaced already.
    pub(crate) fn replace_rest(&self, verdict: &Verdict, value: &str, out: &mut String) {
        if verdict.action == Action::Vault {
            self.replace(verdict, value, out);
        }
    }

    /// What was typed and is a token of this session all the same.
    fn typed_tokens<'t>(&self, text: &'t str) -> Vec<(usize, &'t str)> {
        let session = lock(&self.inner);
        let opens = text.match_indices('[');
        opens
            .filter_map(|(at, _)| Some((at, whole_token(&text[at..])?)))
            .filter(|(_, token)| session.values.contains_key(*token))
            .collect()
    }

    /// What `token` stands for.
    #[must_use]
    pub fn value(&self, token: &str) -> Option<String> {
        lock(&self.inner).values.get(token).cloned()
    }

    /// `text` with all tokens of this session restored.
    #[must_use]
    pub fn restore(&self, text: &str, escaping: Escaping) -> String {
        let mut restorer = self.restorer(escaping);
        let mut out = restorer.push(text).into_owned();
        out.push_str(&restorer.finish());
        out
    }

    /// Restores a stream.
    #[must_use]
    pub fn restorer(&self, escaping: Escaping) -> Restorer {
        Restorer {
            session: self.clone(),
            escaping,
            held: String::new(),
        }
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.inner).values.len()
    }

    /// Whether there is nothing to restore.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How a value is written where its token stood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Escaping {
    /// As it is.
    #[default]
    Plain,
    /// As part of a JSON string: quotes, backslashes and control characters escaped.
    Json,
}

impl Escaping {
    fn write(self, value: &str, out: &mut String) {
        use std::fmt::Write as _;
        if self == Escaping::Plain {
            out.push_str(value);
            return;
        }
        for c in value.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if c < ' ' => {
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                }
                c => out.push(c),
            }
        }
    }
}

/// Restores the tokens of one text that comes in pieces. Held back is only what may still become a token.
#[derive(Debug)]
pub struct Restorer {
    session: SessionVault,
    escaping: Escaping,
    held: String,
}

impl Restorer {
    /// Takes the next piece; gives what may leave.
    pub fn push<'t>(&mut self, piece: &'t str) -> Cow<'t, str> {
        if self.held.is_empty() && !piece.contains('[') {
            return Cow::Borrowed(piece);
        }
        self.held.push_str(piece);
        let text = std::mem::take(&mut self.held);
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(open) = rest.find('[') {
            out.push_str(&rest[..open]);
            rest = &rest[open..];
            if let Some(token) = whole_token(rest) {
                match self.session.value(token) {
                    Some(value) => self.escaping.write(&value, &mut out),
                    None => out.push_str(token),
                }
                rest = &rest[token.len()..];
            } else if may_become_token(rest) {
                self.held.push_str(rest);
                return Cow::Owned(out);
            } else {
                out.push('[');
                rest = &rest[1..];
            }
        }
        out.push_str(rest);
        Cow::Owned(out)
    }

    /// The text has ended: gives what was held.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Bytes held back now.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }
}

fn is_entity(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'
}

/// The token that `text` begins with.
fn whole_token(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let body = bytes
        .get(1..)?
        .iter()
        .take(LONGEST)
        .take_while(|b| is_entity(**b))
        .count();
    if bytes.first() != Some(&b'[') || bytes.get(body + 1) != Some(&b']') || body + 2 > LONGEST {
        return None;
    }
    let (entity, number) = text[1..=body].rsplit_once('_')?;
    let numbered = !number.is_empty() && !number.starts_with('0') && number.bytes().all(|b| b.is_ascii_digit());
    (numbered && !entity.is_empty()).then(|| &text[..body + 2])
}

/// Whether `text`, which begins with `[` and ends with what has come so far, may become a token.
fn may_become_token(text: &str) -> bool {
    text.len() < LONGEST && text.bytes().skip(1).all(is_entity)
}

#[cfg(test)]
mod tests;
