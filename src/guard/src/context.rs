//! What a check knows about the call whose text it looks at.

use std::sync::Arc;

use crate::check::prompt::Prompt;
use crate::schema::Schema;
use crate::vault::SessionVault;

/// The call to which a text belongs: what checks compare it with. Cheap to clone; made once for a call
/// and shared by its texts.
#[derive(Clone, Debug, Default)]
pub struct CallContext {
    pub(crate) prompt: Option<Arc<Prompt>>,
    pub(crate) canaries: Vec<Arc<str>>,
    pub(crate) schema: Option<Arc<Schema>>,
    pub(crate) vault: Option<SessionVault>,
    pub(crate) aside: bool,
}

impl CallContext {
    /// The system prompt of this call, whose words an answer must not repeat. Of several messages, give
    /// all, joined by line ends.
    #[must_use]
    pub fn with_system_prompt(mut self, prompt: &str) -> CallContext {
        self.prompt = (!prompt.trim().is_empty()).then(|| Arc::new(Prompt::new(prompt)));
        self
    }

    /// A token that stands in the prompt for no other reason than to be found where it should not be.
    #[must_use]
    pub fn with_canary(mut self, token: &str) -> CallContext {
        self.canaries.push(token.into());
        self
    }

    /// The schema that the request asks for: `response_format.json_schema.schema`.
    #[must_use]
    pub fn with_response_schema(mut self, schema: Arc<Schema>) -> CallContext {
        self.schema = Some(schema);
        self
    }

    /// The same for a text that is not the answer itself: reasoning, arguments of tool calls. It need
    /// not have the answer's form.
    #[must_use]
    pub fn aside(&self) -> CallContext {
        CallContext {
            aside: true,
            ..self.clone()
        }
    }

    /// The session whose vault keeps the values of rules with the action `vault`.
    #[must_use]
    pub fn with_vault(mut self, session: SessionVault) -> CallContext {
        self.vault = Some(session);
        self
    }
}

/// A canary token for a session: to be put into its system prompt and given to
/// [`CallContext::with_canary`]. The same `secret` and `session` give the same token; without the secret
/// nobody can tell it.
#[must_use]
pub fn canary(secret: &[u8; 32], session: &str) -> String {
    let hash = blake3::keyed_hash(secret, session.as_bytes());
    let digits: String = hash.as_bytes()[..10].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("canary-{digits}")
}
