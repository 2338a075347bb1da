//! Properties of all views: maps are right, plain text has none, nothing grows.

use super::*;

#[test]
fn plain_text_has_no_views() {
    for text in [
        "Hello, how are you today? I'd like a summary of this report, please.",
        "Переведи на английский: доброе утро",
        "हिन्दी में एक कविता लिखो",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ",
        "ＡＢＣ株式会社の住所を教えて",
        "日本語で自己紹介文を書いてください",
        "👩\u{200D}👩\u{200D}👧 می\u{200C}خواهم 🏴\u{E0067}\u{E0062}\u{E0077}\u{E006C}\u{E0073}\u{E007F} 🇩🇪",
    ] {
        let views: Vec<String> = texts(text)
            .into_iter()
            .filter(|v| !v.map.rewritten(0).is_empty())
            .map(|v| v.text)
            .collect();
        assert!(views.is_empty(), "{text}: {views:?}");
    }
}
