//! What tells a secret from the stand-ins, names and hashes that look like one.

/// Pairs of letters that make up 97% of all pairs in English prompts: for each first letter, a bit for
/// each second one. Counted over the benign rows of the project's development data.
const PAIRS: [u32; 26] = [
    0x17ebd6e, 0x1164911, 0x11a4d95, 0x0164119, 0x1eff97d, 0x01a4931, 0x1166191, 0x01a6111, 0x22ef87f, 0x0104010,
    0x0040110, 0x11c4919, 0x014d113, 0x13c6d7d, 0x07ef96f, 0x01ed991, 0x0100000, 0x13efd5d, 0x11cdd95, 0x15ec995,
    0x00eb95f, 0x0004111, 0x0024191, 0x0088100, 0x0044010, 0x0000010,
];

/// Texts that stand where a secret would be. Lower case.
const STAND_INS: &[&str] = &[
    "example",
    "sample",
    "placeholder",
    "your",
    "changeme",
    "change_me",
    "change-me",
    "changeit",
    "redacted",
    "dummy",
    "insert",
    "replace",
    "notreal",
    "not-real",
    "not_real",
    "123456789",
    "987654321",
    "abcdefgh",
    "undefined",
    "null",
];
/// What puts a secret in from somewhere else. Lower case.
const MARKS: &[&str] = &[
    "${",
    "{{",
    "$(",
    "%s",
    "...",
    "<",
    "process.env",
    "os.environ",
    "getenv",
    "secrets.",
    "vault:",
];
/// Words with which such texts go on: of no weight without one of them. Lower case.
const FILLERS: &[&str] = &[
    "abc", "access", "account", "actual", "admin", "api", "app", "auth", "case", "client", "data", "demo", "goes",
    "here", "jwt", "key", "manager", "my", "name", "p@ss", "pass", "passw0rd", "password", "pwd", "real", "server",
    "string", "this", "token", "user", "value", "word", "xyz",
];
/// Words of which half a stand-in for a password consists. Lower case.
const SAID: &[&str] = &["secret", "test"];
/// From this length on a long stand-in within a value is no accident: it was drawn at random, or made up.
const DRAWN: usize = 20;

/// Whether a value was masked: nothing but one character, or a run of a character that masks are made of.
pub(crate) fn is_masked(value: &str) -> bool {
    let bytes = value.as_bytes();
    let masks = |b: u8| matches!(b, b'x' | b'X' | b'*' | b'.' | b'#' | b'?' | b'_' | b'-' | b'0');
    let mut run = 1;
    for pair in bytes.windows(2) {
        run = if pair[0] == pair[1] && masks(pair[0]) {
            run + 1
        } else {
            1
        };
        // Base64 of a few zeros is `A`s; eight of a mask's characters in a row are no accident.
        if run >= 8 || (run >= 4 && matches!(pair[0], b'*' | b'#' | b'?')) {
            return true;
        }
    }
    let same = bytes.iter().all(|b| *b == bytes[0]);
    same || value.to_ascii_lowercase().contains("xxxxx")
}

/// Whether a value is what documentation writes in place of a secret.
pub(crate) fn is_stand_in(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    is_masked(value) || MARKS.iter().chain(STAND_INS).any(|word| lower.contains(word))
}

/// Whether a value that somebody chose is what documentation writes in its place: that may be a part of
/// a password by chance, so it must be a word of its own, or with others most of the value.
fn is_filled_in(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let word = |word: &&str| {
        lower.match_indices(*word).any(|(at, _)| {
            is_word_at(value.as_bytes(), at, at + word.len()) || (value.len() >= DRAWN && word.len() > 4)
        })
    };
    MARKS.iter().any(|mark| lower.contains(mark)) || STAND_INS.iter().any(word) || share(&lower, STAND_INS) > 50
}

/// Whether `value[start..end]` is a word of its own, `camelCase` or with any separators.
fn is_word_at(value: &[u8], start: usize, end: usize) -> bool {
    let hump = |at: usize| {
        value[at - 1].is_ascii_lowercase()
            && value[at].is_ascii_uppercase()
            && value.get(at + 1).is_some_and(u8::is_ascii_lowercase)
    };
    let edge = |at: usize| {
        at == 0
            || at == value.len()
            || !(value[at - 1].is_ascii_alphanumeric() && value[at].is_ascii_alphanumeric())
            || hump(at)
    };
    edge(start) && edge(end)
}

/// How much of a value in lower case consists of `words`, of what goes with them and of digits in a
/// row, in percent; 0 without one of `words`.
fn share(lower: &str, words: &[&str]) -> usize {
    if !words.iter().any(|word| lower.contains(word)) {
        return 0;
    }
    let bytes = lower.as_bytes();
    let mut covered = vec![false; bytes.len()];
    for word in words.iter().chain(SAID).chain(FILLERS) {
        for (at, word) in lower.match_indices(*word) {
            covered[at..at + word.len()].fill(true);
        }
    }
    for (at, run) in bytes.windows(3).enumerate() {
        if run[0].is_ascii_digit() && run[1] == run[0] + 1 && run[2] == run[1] + 1 {
            covered[at..at + 3].fill(true);
        }
    }
    covered.iter().filter(|is| **is).count() * 100 / bytes.len()
}

/// Whether a value looks as if it was drawn at random, and not put together from words and numbers.
pub(crate) fn is_random(value: &str) -> bool {
    let bytes = value.as_bytes();
    let has = |test: fn(&u8) -> bool| bytes.iter().any(test);
    if !has(u8::is_ascii_digit) || !has(u8::is_ascii_alphabetic) || is_stand_in(value) || is_date_or_version(value) {
        return false;
    }
    let (mut pairs, mut odd, mut changes) = (0, 0, 0);
    for pair in bytes.windows(2) {
        let (a, b) = (pair[0].to_ascii_lowercase(), pair[1].to_ascii_lowercase());
        if a.is_ascii_lowercase() && b.is_ascii_lowercase() {
            pairs += 1;
            odd += usize::from(is_odd(a, b));
        } else if a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric() && a.is_ascii_digit() != b.is_ascii_digit() {
            changes += 1;
        }
    }
    changes >= 2 && (odd * 4 > pairs || changes * 3 > bytes.len()) || (odd * 3 > pairs && odd >= 6)
}

/// `20230412`, `1.2.3`, `2024-01-31`: what makes a name of words look mixed.
fn is_date_or_version(value: &str) -> bool {
    value
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b':' | b'v' | b'T' | b'Z'))
}

/// Whether a value has the form of a UUID.
pub(crate) fn is_uuid(value: &str) -> bool {
    value.len() == 36
        && value.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// Words that documentation writes for a password, besides stand-ins.
const WORDS: &[&str] = &[
    "test",
    "token",
    "xxx",
    "yyy",
    "foo",
    "bar",
    "none",
    "true",
    "false",
    "string",
    "pwd",
    "change",
    "value",
    "field",
    "key",
    "password",
    "passwd",
    "mypassword",
    "my_password",
    "my-password",
    "admin_password",
    "user_password",
];
/// And these, where many of them are in use on test machines.
const PASSWORDS: &[&str] = &[
    "password",
    "passwd",
    "pass",
    "secret",
    "username",
    "mypassword",
    "mypass",
    "my_password",
    "my-password",
    "password123",
    "pass123",
    "user",
    "admin",
    "root",
    "postgres",
    "mysql",
    "mariadb",
    "mongo",
    "mongodb",
    "redis",
    "rabbitmq",
    "guest",
];

/// Whether a value stands for itself. `database`: words that are sample passwords do not.
pub(crate) fn is_credential(value: &str, database: bool) -> bool {
    let lower = value.to_ascii_lowercase();
    let bare = lower.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    !bare.is_empty()
        && !is_masked(value)
        && !is_filled_in(value)
        && !value.starts_with(['$', '%', '[', '<'])
        && (!value.starts_with('{') || value.ends_with("=}"))
        && !WORDS.contains(&bare)
        && !(database && PASSWORDS.contains(&bare))
}

/// Whether somebody may have chosen a value as a password: neither a word, a name, a number nor code.
pub(crate) fn is_password(value: &str) -> bool {
    let bytes = value.as_bytes();
    let count = |test: &dyn Fn(u8) -> bool| usize::from(bytes.iter().any(|b| test(*b)));
    let letters = count(&|b| b.is_ascii_lowercase()) + count(&|b| b.is_ascii_uppercase());
    let symbols = count(&|b| b.is_ascii_punctuation() && !matches!(b, b'_' | b'-' | b'.' | b'/' | b':' | b','));
    let digits = count(&|b| b.is_ascii_digit());
    let lower = value.to_ascii_lowercase();
    let said = ["password", "passwd", "username", "fake", "mypass", "pass_", "pwd"];
    // A call in code; what goes on behind the bracket is none.
    let call = value.contains('(')
        && !(value.rsplit_once(')')).is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_alphanumeric()));
    let chosen = letters > 0 && digits > 0 && (letters + digits + symbols >= 3 || is_random(value));
    (chosen || is_scrambled(value))
        && !is_masked(value)
        && !is_filled_in(value)
        && share(&lower, SAID) < 50
        && !said.iter().any(|word| lower.contains(word))
        && !value.starts_with(['$', '@', '%', '#', '&', '/', '\\'])
        && !(call || value.contains("::") || value.contains("://"))
}

/// Whether a value of letters alone was drawn at random: no words are written with such pairs.
fn is_scrambled(value: &str) -> bool {
    let bytes = value.as_bytes();
    let count = |test: fn(&u8) -> bool| bytes.iter().filter(|b| test(b)).count();
    let (lower, upper) = (count(u8::is_ascii_lowercase), count(u8::is_ascii_uppercase));
    let odd = || bytes.windows(2).filter(|pair| is_odd(pair[0], pair[1])).count();
    let letters = bytes.len() >= 12 && lower + upper == bytes.len() && lower >= 3 && upper >= 3;
    letters && odd() * 5 > bytes.len() * 2
}

/// Whether two letters seldom stand side by side.
fn is_odd(a: u8, b: u8) -> bool {
    let place = |letter: u8| usize::from(letter.to_ascii_lowercase().wrapping_sub(b'a'));
    PAIRS
        .get(place(a))
        .is_some_and(|known| known & (1 << (place(b) % 32)) == 0)
}

/// The first eight bytes of a hash, from 16 hexadecimal digits.
pub(crate) fn short_hash(hex: &str) -> Option<[u8; 8]> {
    (hex.len() == 16)
        .then(|| u64::from_str_radix(hex, 16).ok().map(u64::to_be_bytes))
        .flatten()
}

/// The end of `text` that belongs to a name: an identifier, and the word before it.
pub(crate) fn name_before(text: &[u8]) -> &[u8] {
    let mut spaces = 0;
    let begin = text.iter().rposition(|b| {
        spaces += usize::from(*b == b' ');
        spaces > 1 || !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b' '))
    });
    &text[begin.map_or(0, |at| at + 1)..]
}

/// Whether one of the words of an identifier, `camelCase` or with any separators, is in `words`.
pub(crate) fn is_named(identifier: &[u8], words: &[String]) -> bool {
    let known = |word: &[u8]| !word.is_empty() && words.iter().any(|w| w.as_bytes().eq_ignore_ascii_case(word));
    let mut start = 0;
    for (at, &byte) in identifier.iter().enumerate() {
        let hump = at > start
            && byte.is_ascii_uppercase()
            && (identifier[at - 1].is_ascii_lowercase() || identifier.get(at + 1).is_some_and(u8::is_ascii_lowercase));
        if !byte.is_ascii_alphabetic() || hump {
            if known(&identifier[start..at]) {
                return true;
            }
            start = if hump { at } else { at + 1 };
        }
    }
    known(&identifier[start.min(identifier.len())..])
}

/// Words that may stand between a service's name and its secret.
const MIDDLE: &str = "access|api|auth|bearer|bot|client|app|key|license|password|personal|private|secret|service|str|string|token|user|webhook";
/// What may stand between a name and `=`, with what bounds its length.
const GAP: [(&str, &str); 4] = [
    (r"[\w.-]", "24"),
    (r"[\w.-]", "12"),
    (r#"[\s'"`\\)\]]"#, "4"),
    (r#"[\s'"`\\(\[]"#, "10"),
];

/// A value assigned to a name in code, configuration, JSON, XML, or words: `acmeToken := "…"`. The
/// expression, and the one that tells its longest match.
pub(crate) fn assigned(names: &[String], value: &str, ignore_case: bool) -> (String, String) {
    let flags = if ignore_case { "(?i)" } else { "" };
    let write = |repeat: &dyn Fn(usize) -> String, words: &str| {
        let gap = |index: usize| format!("{}{}", GAP[index].0, repeat(index));
        format!(
            r#"(?:{names}){}(?:[ \t](?i:{MIDDLE}){}){words}{}[.+?:|]{{0,3}}(?:=+>?|[>:,]){}{flags}(?P<value>{value})(?:[\s'"`;,)\]\}}<&|\\]|$)"#,
            gap(0),
            gap(1),
            gap(2),
            gap(3),
            names = names.iter().map(|name| start(name)).collect::<Vec<_>>().join("|"),
        )
    };
    (
        write(&|_| "*".to_owned(), "*"),
        write(&|index| format!("{{0,{}}}", GAP[index].1), "{0,3}").replace("=+>?", "={1,3}>?"),
    )
}

/// A name as a word, or as part of an identifier: `acme`, `my_acme`, `myAcme`, `MYACME`.
fn start(name: &str) -> String {
    let mut capital = name.to_owned();
    if let Some(first) = capital.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let plain = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if plain {
        format!(r"\b(?i:{name})|_(?i:{name})|{capital}|{}", name.to_ascii_uppercase())
    } else {
        format!(r"\b(?i:{name})|_(?i:{name})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let words = ["id".to_owned(), "public".to_owned(), "url".to_owned()];
        for yes in [
            "key_id",
            "keyId",
            "KEY_ID",
            "publicKey",
            "tokenURL",
            "token-url",
            "PUBLIC_KEY",
        ] {
            assert!(is_named(yes.as_bytes(), &words), "{yes}");
        }
        for no in ["idle_key", "side_token", "republican", "key", ""] {
            assert!(!is_named(no.as_bytes(), &words), "{no}");
        }
    }

    #[test]
    fn stand_ins_are_known() {
        for yes in [
            "your-api-key",
            "sk_XXXXXXXXXXXX",
            "*****",
            "<token>",
            "${TOKEN}",
            "my_example_1",
            "ghp_00000000000",
        ] {
            assert!(is_stand_in(yes), "{yes}");
        }
        assert!(!is_stand_in("q8Zk2LxT0vWb"));
    }

    #[test]
    fn words_and_dates_are_not_random() {
        for no in [
            "my-service-name-2",
            "SalesResults-1.2",
            "text-embedding-ada-002",
            "kubernetes-deployment-v2",
            "2024-01-31",
            "getApiKeyFromSettings2",
            "aaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert!(!is_random(no), "{no}");
        }
        for yes in [
            "xCEp7vJdeGoEVnKN3972yhd8BHdpHk",
            "5eb4223e50084b9c",
            "Zm9v8hGq2LxT0vWbK1",
        ] {
            assert!(is_random(yes), "{yes}");
        }
    }

    #[test]
    fn passwords_are_more_than_words() {
        for yes in [
            "hunter2!X",
            "G!t4lE-k$%",
            "Tr0ub4dor&3",
            "D2vk50GCtI0mg3nc",
            "vZyqbJmaKqdLltTI",
            "xcTWsABPMZqwLLkpQ",
            "MyCompanySecret2024!",
            "Qw9!kLmZxTest2",
            "Qw7(kLm2)zX9",
            "p@ssW0rd,2024!",
            "Insert9kd8Qz",
        ] {
            assert!(is_password(yes), "{yes}");
        }
        for no in [
            "password123",
            "String",
            "required",
            "$PASSWORD1a",
            "your-Passw0rd",
            "12345678",
            "get(\"X1\")",
            "getPassphrase(X1",
            "TestSecret123!",
            "Test@1234",
            "MySecretKey1",
            "your-Strong1",
            "UsernameTokenHandler",
            "KeyStoreProvider",
            "",
        ] {
            assert!(!is_password(no), "{no}");
        }
    }

    #[test]
    fn a_stand_in_by_chance_leaves_a_credential_one() {
        for yes in [
            "Insert9kd8Qz",
            "nullK9dj2Qz",
            "Xsample77!kQ",
            "Zq7replaceKx9w",
            "q8Zk2LxT0vWb",
        ] {
            assert!(is_credential(yes, true), "{yes}");
        }
        for no in [
            "your-password",
            "YourStrong@Passw0rd",
            "yourpassword",
            "insertyourkeyhere",
            "putyouraccesstokenhere99",
            "YOUR_ACCESS_TOKEN",
            "example123",
            "my_example_1",
            "changeme1!",
            "dummyvalue",
            "null",
            "a123456789",
            "EXAMPLEKEY",
            "sk-abc123exampletoken456def",
            "${DB_PASSWORD}",
            "<password>",
            "process.env.DB",
        ] {
            assert!(!is_credential(no, true), "{no}");
        }
    }
}
