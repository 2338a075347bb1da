//! What a check knows about the call whose text it looks at.

/// The call to which a text belongs: what checks compare it with. Cheap to make, shared by the texts
/// of a call.
#[derive(Clone, Debug, Default)]
pub struct CallContext {}
