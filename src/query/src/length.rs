//! How long a query may be. What plans it recurses as deep as it nests, and takes time in the square of that.

use std::collections::HashMap;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::QueryError;

/// The longest query, in bytes: a list of some 6,000 ids.
pub(crate) const MAX_BYTES: usize = 256 << 10;
/// The most of what makes a query nest deeper: operators and keywords, but no values, names and commas.
/// `+1+1+1` nests once for each of them, and this many take a minute of planning.
pub(crate) const MAX_LINKS: usize = 4_096;
/// A table more makes each join wider as well, so it counts as many links.
const LINKS_OF_A_TABLE: usize = 32;

/// Whether a query's text is short enough to be planned.
pub(crate) fn check(sql: &str) -> Result<(), QueryError> {
    if sql.len() > MAX_BYTES {
        return Err(QueryError::TooLong {
            of: "bytes",
            found: sql.len(),
            most: MAX_BYTES,
        });
    }
    // What cannot be read as tokens is told better by the parser.
    let found = match Tokenizer::new(&GenericDialect {}, sql).tokenize() {
        Ok(tokens) => links(&tokens),
        Err(_) => 0,
    };
    if found > MAX_LINKS {
        return Err(QueryError::TooLong {
            of: "operators and keywords (a table that is joined counts as 32)",
            found,
            most: MAX_LINKS,
        });
    }
    Ok(())
}

/// What stands between two parentheses, or around all of them.
#[derive(Default)]
struct Level {
    links: usize,
    /// Links of the defined tables that are read here.
    again: usize,
    /// Commas part tables here.
    tables: bool,
    /// The word before the parenthesis.
    after: Option<String>,
    /// The table that it defines: `name as (…)`.
    defines: Option<String>,
}

/// Links of a query; those of `with name as (…)` again wherever it is read, as it is planned again there.
fn links(tokens: &[Token]) -> usize {
    let mut defined: HashMap<String, usize> = HashMap::new();
    let mut outer: Vec<Level> = Vec::new();
    let mut level = Level::default();
    // The last word that is no keyword, or that stood before the list of columns that just ended.
    let mut name: Option<String> = None;
    let (mut table_is_next, mut body_is_next) = (false, false);
    for token in tokens {
        let table = std::mem::take(&mut table_is_next);
        let body = std::mem::take(&mut body_is_next);
        let mut count = 1;
        match token {
            Token::Whitespace(_) => {
                (table_is_next, body_is_next) = (table, body);
                continue;
            }
            Token::Number(..) | Token::SingleQuotedString(_) | Token::DoubleQuotedString(_) => count = 0,
            Token::SemiColon | Token::EOF | Token::RBracket => count = 0,
            Token::Comma => {
                table_is_next = level.tables;
                count = if level.tables { LINKS_OF_A_TABLE } else { 0 };
            }
            Token::LParen => {
                let inner = Level {
                    after: name.clone(),
                    defines: name.take().filter(|_| body),
                    ..Level::default()
                };
                outer.push(std::mem::replace(&mut level, inner));
                table_is_next = table;
                count = 0;
            }
            Token::RParen => {
                count = 0;
                if let Some(around) = outer.pop() {
                    let inner = std::mem::replace(&mut level, around);
                    level.links = level.links.saturating_add(inner.links);
                    name = inner.after;
                    match inner.defines {
                        Some(table) => {
                            defined.insert(table, inner.links.saturating_add(inner.again));
                        }
                        None => level.again = level.again.saturating_add(inner.again),
                    }
                }
            }
            Token::Word(word) => {
                let read = word.value.to_lowercase();
                match word.keyword {
                    Keyword::FROM => (level.tables, table_is_next) = (true, true),
                    Keyword::JOIN => (count, table_is_next) = (LINKS_OF_A_TABLE, true),
                    Keyword::AS | Keyword::NOT | Keyword::MATERIALIZED => body_is_next = true,
                    Keyword::SELECT
                    | Keyword::WHERE
                    | Keyword::GROUP
                    | Keyword::HAVING
                    | Keyword::ORDER
                    | Keyword::WINDOW
                    | Keyword::QUALIFY => level.tables = false,
                    keyword => {
                        count = usize::from(keyword != Keyword::NoKeyword);
                        if let Some(again) = defined.get(&read).filter(|_| table) {
                            level.again = level.again.saturating_add(*again);
                        }
                        name = Some(read);
                    }
                }
            }
            _ => {}
        }
        level.links = level.links.saturating_add(count);
    }
    // Parentheses that nothing closes are the parser's affair.
    outer.push(level);
    (outer.iter()).fold(0, |sum, level| {
        sum.saturating_add(level.links).saturating_add(level.again)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sql: &str) -> usize {
        links(&Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap())
    }

    #[test]
    fn lists_are_free_and_chains_are_not() {
        assert_eq!(found("select app from calls where app in ('a', 'b', 'c')"), 4);
        assert_eq!(found("select 1+1+1"), 3);
        assert_eq!(
            found("select a.x, b.x from (select 1 as x, 2) a, calls b"),
            2 + 2 + 2 + 32
        );
        assert_eq!(found("select 1 from calls a join calls b on true"), 2 + 32 + 2);
        let ids: Vec<String> = (0..6000).map(|i| format!("'{i:036}'")).collect();
        check(&format!("select 1 from calls where call_id in ({})", ids.join(","))).unwrap();
        let terms: Vec<String> = (0..2000).map(|i| format!("app='a{i}'")).collect();
        check(&format!("select app from calls where {}", terms.join(" or "))).unwrap();
    }

    /// Each table reads the one before it twice: thirty of them would be a billion.
    #[test]
    fn what_is_read_again_counts_again() {
        for columns in ["", "(x)", " (x)"] {
            let mut sql = format!("with c0{columns} as (select 1 x)");
            for i in 0..30 {
                let from = ["c0, C0", "c0 a join c0 b on true", "(c0), c0"][i % 3].replace(['0'], &i.to_string());
                let from = from.replace('C', "c");
                sql.push_str(&format!(
                    ", c{}{columns} as not materialized (select 1 x from {from})",
                    i + 1
                ));
            }
            assert!(check(&format!("{sql} select * from c30")).is_err(), "{sql}");
        }
        // A chain of tables is as long as its links, and those of the last are read.
        let mut chain = "with c0 as (select 1 x)".to_owned();
        for i in 0..100 {
            chain.push_str(&format!(", c{} as (select x x from c{i})", i + 1));
        }
        assert_eq!(
            found(&format!("{chain} select 1 from c100")),
            1 + 2 + 100 * 3 + (1 + 100 * 2) + 2
        );
        let read_once = "with a as (select 1 + 1 x) select a.x, a.x from a";
        assert_eq!(found(read_once), 8 + 2);
    }

    #[test]
    fn too_long_is_said_in_numbers() {
        let chain = check(&format!("select 1{}", "+1".repeat(MAX_LINKS)))
            .unwrap_err()
            .to_string();
        assert!(chain.contains("4097 operators") && chain.contains("4096"), "{chain}");
        let text = check(&format!("select '{}'", "x".repeat(MAX_BYTES)))
            .unwrap_err()
            .to_string();
        assert!(text.contains("262153 bytes") && text.contains("262144"), "{text}");
    }
}
