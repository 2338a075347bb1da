//! Named queries: `queries/<name>.sql`, asked as `@name`.

use std::borrow::Cow;

use crate::QueryError;

/// A query with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedQuery {
    /// Its name, without the `@`.
    pub name: &'static str,
    /// Its text; the first line is a comment that says what it answers.
    pub sql: &'static str,
}

impl NamedQuery {
    /// What it answers.
    #[must_use]
    pub fn description(&self) -> &'static str {
        (self.sql.lines().next())
            .and_then(|line| line.strip_prefix("--"))
            .map(str::trim)
            .unwrap_or_default()
    }
}

macro_rules! queries {
    ($($name:literal),* $(,)?) => {
        &[$(NamedQuery {
            name: $name,
            sql: include_str!(concat!("../../../queries/", $name, ".sql")),
        }),*]
    };
}

/// Every named query, by name.
#[must_use]
pub fn named() -> &'static [NamedQuery] {
    const ALL: &[NamedQuery] = queries![
        "app-spend",
        "blocked",
        "busy-sessions",
        "cost-by-model",
        "errors",
        "failing-attempts",
        "guardrails",
        "latency",
        "overview",
        "recent",
        "slowest",
        "tokens",
    ];
    ALL
}

/// The text of `@name`, or `sql` itself.
pub(crate) fn resolve(sql: &str) -> Result<Cow<'_, str>, QueryError> {
    let Some(name) = sql.trim().strip_prefix('@') else {
        return Ok(Cow::Borrowed(sql));
    };
    let name = name.trim_end_matches(';').trim();
    if let Some(query) = named().iter().find(|query| query.name == name) {
        return Ok(Cow::Borrowed(query.sql));
    }
    let near = (named().iter())
        .map(|query| (strsim::jaro_winkler(query.name, name), query.name))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    Err(QueryError::UnknownName {
        name: name.to_owned(),
        near: near.map(|(_, name)| name.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_embedded_and_described() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../queries");
        let mut files: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| name.strip_suffix(".sql").map(str::to_owned))
            .collect();
        files.sort();
        let embedded: Vec<&str> = named().iter().map(|query| query.name).collect();
        assert_eq!(files, embedded);
        for query in named() {
            assert!(query.description().len() > 10, "{} has no description", query.name);
        }
    }

    #[test]
    fn the_nearest_name_is_offered() {
        let error = resolve("@cost_by_model").unwrap_err().to_string();
        assert_eq!(error, "no query is named @cost_by_model: did you mean @cost-by-model?");
        assert!(resolve("@xyzzy").unwrap_err().to_string().ends_with("@xyzzy"));
        assert_eq!(resolve("select 1").unwrap(), "select 1");
        assert!(resolve(" @overview; ").unwrap().contains("calls"));
    }
}
