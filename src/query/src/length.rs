//! How long a query may be. What plans it recurses as deep as it nests, and takes time in the square of that.

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

fn links(tokens: &[Token]) -> usize {
    let mut links = 0;
    // For each parenthesis that is open: whether commas part tables there.
    let mut open = vec![false];
    for token in tokens {
        let tables = open.last().copied().unwrap_or_default();
        let mut now = tables;
        links += match token {
            Token::Whitespace(_) | Token::Number(..) | Token::SemiColon | Token::EOF => 0,
            Token::SingleQuotedString(_) | Token::DoubleQuotedString(_) | Token::RBracket => 0,
            Token::LParen | Token::RParen => 0,
            Token::Comma if tables => LINKS_OF_A_TABLE,
            Token::Comma => 0,
            Token::Word(word) => match word.keyword {
                Keyword::NoKeyword => 0,
                Keyword::JOIN => LINKS_OF_A_TABLE,
                Keyword::FROM => {
                    now = true;
                    1
                }
                Keyword::SELECT
                | Keyword::WHERE
                | Keyword::GROUP
                | Keyword::HAVING
                | Keyword::ORDER
                | Keyword::WINDOW
                | Keyword::QUALIFY => {
                    now = false;
                    1
                }
                _ => 1,
            },
            _ => 1,
        };
        match token {
            Token::LParen => open.push(false),
            Token::RParen if open.len() > 1 => {
                open.pop();
            }
            _ => {
                if let Some(last) = open.last_mut() {
                    *last = now;
                }
            }
        }
    }
    links
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
