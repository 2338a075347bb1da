//! One configuration, compiled: what a call reads, swapped whole on reload.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use provider::prices::Prices;
use sha2::{Digest, Sha256};

use crate::call::Webhook;
use crate::config::{ClientKey, Recording, Server, Timeouts, Upstream, WebhookSpec};
use crate::error::StartError;
use crate::policies::Policies;
use crate::route::Routes;
use crate::upstream::Target;

/// Everything that a call needs to know, immutable.
#[derive(Debug)]
pub struct Snapshot {
    /// The providers.
    pub routes: Routes,
    /// The guardrails.
    pub policies: Policies,
    /// Who decides about matches of rules with the action `ask`.
    pub webhook: Option<Webhook>,
    /// The price table.
    pub prices: Arc<Prices>,
    /// What is kept and what a blocked app sees.
    pub recording: Recording,
    /// Largest request body in bytes.
    pub max_request_bytes: usize,
    /// Largest unstreamed answer in bytes.
    pub max_response_bytes: usize,
    /// Time limits.
    pub limits: Limits,
    keys: HashMap<[u8; 32], Owner>,
}

/// Time limits of a call.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For an app to send the head of a request.
    pub request_head: Duration,
    /// To connect.
    pub connect: Duration,
    /// From request to the head of the answer.
    pub first_byte: Duration,
    /// Between two pieces of an answer.
    pub idle: Duration,
    /// The whole call.
    pub total: Duration,
}

/// Whom a client key belongs to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Owner {
    /// The key's name.
    pub name: String,
    /// The tenant.
    pub tenant: Option<String>,
    /// The app.
    pub app: Option<String>,
}

/// What a snapshot is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// `[server]`.
    pub server: Server,
    /// `[timeouts]`.
    pub timeouts: Timeouts,
    /// `[[upstream]]`.
    pub upstreams: Vec<Upstream>,
    /// `[[client_key]]`.
    pub client_keys: Vec<ClientKey>,
    /// `[recording]`.
    pub recording: Recording,
    /// The compiled guardrails.
    pub policies: Policies,
    /// `[guard.webhook]`.
    pub webhook: Option<WebhookSpec>,
    /// The price table.
    pub prices: Arc<Prices>,
}

impl Snapshot {
    /// Compiles `parts`; `env` looks up environment variables.
    pub fn new(parts: &Parts, env: impl Fn(&str) -> Option<String>) -> Result<Snapshot, StartError> {
        check_listen(parts.server.listen, &parts.client_keys)?;
        let targets = parts
            .upstreams
            .iter()
            .map(|upstream| Target::new(upstream, &env).map(Arc::new));
        let keys = parts.client_keys.iter().map(|key| {
            let owner = Owner {
                name: key.name.clone(),
                tenant: key.tenant.clone(),
                app: key.app.clone(),
            };
            let hash = parse_hash(&key.hash).ok_or_else(|| StartError::ClientKey { name: key.name.clone() })?;
            Ok((hash, owner))
        });
        Ok(Snapshot {
            routes: Routes::new(targets.collect::<Result<_, _>>()?),
            policies: parts.policies.clone(),
            webhook: parts
                .webhook
                .as_ref()
                .map(|spec| Webhook::new(spec, &env))
                .transpose()?,
            prices: Arc::clone(&parts.prices),
            recording: parts.recording.clone(),
            max_request_bytes: parts.server.max_request_bytes,
            max_response_bytes: parts.server.max_response_bytes,
            limits: Limits {
                request_head: Timeouts::duration(parts.timeouts.request_head),
                connect: Timeouts::duration(parts.timeouts.connect),
                first_byte: Timeouts::duration(parts.timeouts.first_byte),
                idle: Timeouts::duration(parts.timeouts.idle),
                total: Timeouts::duration(parts.timeouts.total),
            },
            keys: keys.collect::<Result<_, StartError>>()?,
        })
    }

    /// Whether apps must present a client key.
    #[must_use]
    pub fn wants_client_key(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The owner of a presented key. Keys are looked up by their SHA-256, so that the time taken
    /// says nothing about how much of a guess was right.
    #[must_use]
    pub fn owner(&self, key: &[u8]) -> Option<&Owner> {
        let hash: [u8; 32] = Sha256::digest(key).into();
        self.keys.get(&hash)
    }
}

/// The `hash` of a client key, as configuration files hold it.
#[must_use]
pub fn hash_key(key: &str) -> String {
    let hash = Sha256::digest(key.as_bytes());
    hash.iter()
        .fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

fn parse_hash(text: &str) -> Option<[u8; 32]> {
    let hex = text.strip_prefix("sha256:")?;
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    let mut hash = [0u8; 32];
    for (i, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(hash)
}

fn check_listen(listen: SocketAddr, keys: &[ClientKey]) -> Result<(), StartError> {
    if keys.is_empty() && !listen.ip().is_loopback() {
        return Err(StartError::OpenToTheWorld { listen });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip() {
        let text = hash_key("my-key");
        let hash = parse_hash(&text).unwrap();
        assert_eq!(hash, <[u8; 32]>::from(Sha256::digest(b"my-key")));
        assert_eq!(parse_hash("sha256:12"), None);
        assert_eq!(parse_hash(&text[7..]), None);
    }

    #[test]
    fn an_open_door_needs_a_key() {
        let world = SocketAddr::from(([0, 0, 0, 0], 8080));
        assert!(check_listen(world, &[]).is_err());
        assert!(check_listen(world, &[ClientKey::default()]).is_ok());
        assert!(check_listen(SocketAddr::from(([127, 0, 0, 1], 8080)), &[]).is_ok());
    }
}
