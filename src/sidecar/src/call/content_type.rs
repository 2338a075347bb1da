//! What kind of body a content type announces.

/// Whether a content type is JSON.
pub fn is_json_type(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json") || kind == "text/json"
}

/// Whether a content type is text: a body that is no JSON is looked at as it stands.
pub fn is_text_type(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    kind.starts_with("text/") || kind == "application/x-www-form-urlencoded"
}

/// Whether a content type names a charset that is not UTF-8: UTF-16 may be valid UTF-8, too, and says
/// something else then.
pub fn has_odd_charset(content_type: &str) -> bool {
    let parameters = content_type
        .split(';')
        .skip(1)
        .filter_map(|parameter| parameter.split_once('='));
    let mut charsets = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    charsets.any(|(_, value)| {
        let value = value.trim().trim_matches('"');
        !["utf-8", "utf8", "us-ascii", "ascii"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(value))
    })
}
