use super::*;

const SCHEMA: &str = r##"{
  "type": "object",
  "properties": {
    "name": {"type": "string", "minLength": 1, "maxLength": 8, "pattern": "^[A-Z]"},
    "kind": {"enum": ["small", "smart", 3, null]},
    "age": {"type": "integer", "minimum": 0, "maximum": 150},
    "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
    "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
    "shape": {"anyOf": [
      {"type": "object", "properties": {"type": {"const": "circle"}, "r": {"type": "number"}}, "required": ["type", "r"], "additionalProperties": false},
      {"type": "object", "properties": {"type": {"const": "square"}, "side": {"$ref": "#/$defs/positive"}}, "required": ["type", "side"], "additionalProperties": false}
    ]}
  },
  "required": ["name"],
  "additionalProperties": false,
  "$defs": {"positive": {"type": "number", "exclusiveMinimum": 0}}
}"##;

/// How much of `text` is valid: all of it, or up to where it goes wrong.
fn valid<'t>(schema: &str, text: &'t str) -> Result<(), &'t str> {
    let schema = Arc::new(Schema::parse(schema).unwrap());
    let run = |pieces: &[&str]| {
        let (mut check, mut found) = (FormatCheck::new(0, Arc::clone(&schema)), Vec::new());
        pieces.iter().for_each(|piece| check.push(piece, &mut found));
        check.finish(&mut found);
        found
    };
    let found = run(&[text]);
    for cut in (0..text.len()).filter(|cut| text.is_char_boundary(*cut)) {
        assert_eq!(run(&[&text[..cut], &text[cut..]]), found, "cut at {cut} of {text}");
    }
    found.first().map_or(Ok(()), |f| Err(&text[..f.start]))
}

#[test]
fn valid_answers_pass() {
    for text in [
        r#"{"name": "Ann"}"#,
        r#" { "name" : "\u0041nn\n" , "age": 0, "tags": ["a", "b"] } "#,
        r#"{"kind": "smart", "name": "B", "next": {"name": "C", "next": null}}"#,
        r#"{"kind": 3, "name": "B"}"#,
        r#"{"kind": null, "name": "B"}"#,
        r#"{"name": "B", "shape": {"type": "square", "side": 2.5e1}}"#,
        r#"{"shape": {"r": 1, "type": "circle"}, "name": "\ud83d\ude00Z"}"#,
    ] {
        let expected = if text.contains("ude00") { Err(()) } else { Ok(()) };
        assert_eq!(valid(SCHEMA, text).map_err(|_| ()), expected, "{text}");
    }
}

#[test]
fn the_first_wrong_character_is_the_finding() {
    for (text, good) in [
        ("Sure! Here", ""),
        ("[1]", ""),
        (r#"{"nose": 1}"#, r#"{"n"#),
        (r#"{"name": 1}"#, r#"{"name": "#),
        (r#"{"name": "ann"}"#, r#"{"name": "ann"#),
        (r#"{"name": "Abcdefghi"}"#, r#"{"name": "Abcdefgh"#),
        (r#"{"name": ""}"#, r#"{"name": ""#),
        (r#"{"kind": "smurf"}"#, r#"{"kind": "sm"#),
        (r#"{"kind": true}"#, r#"{"kind": "#),
        (r#"{"age": 1.5, "#, r#"{"age": 1.5"#),
        (r#"{"age": 151}"#, r#"{"age": 151"#),
        (r#"{"age": -1}"#, r#"{"age": -1"#),
        (r#"{"age": 01}"#, r#"{"age": 0"#),
        (r#"{"tags": []}"#, r#"{"tags": ["#),
        (r#"{"tags": ["a", "b", "c"]}"#, r#"{"tags": ["a", "b", "#),
        (r#"{"age": 1}"#, r#"{"age": 1"#),
        (r#"{"name": "B", }"#, r#"{"name": "B", "#),
        (r#"{"name": "B"} x"#, r#"{"name": "B"} "#),
        (r#"{"name": "B""#, r#"{"name": "B""#),
        (
            r#"{"shape": {"type": "square", "r": 1}}"#,
            r#"{"shape": {"type": "square", ""#,
        ),
        (r#"{"shape": {"type": "circus"}}"#, r#"{"shape": {"type": "circ"#),
        (
            r#"{"shape": {"side": 1, "type": "c"}}"#,
            r#"{"shape": {"side": 1, "type": ""#,
        ),
        (r#"{"next": {"next": {"x"#, r#"{"next": {"next": {""#),
    ] {
        assert_eq!(valid(SCHEMA, text), Err(good), "{text}");
    }
}

#[test]
fn any_json_will_do_for_an_empty_schema() {
    for text in ["1", "null", "\"x\"", "[[], {}]", r#"{"a": {"b": [1, true, -0.5e-3]}}"#] {
        assert_eq!(valid("{}", text), Ok(()), "{text}");
    }
    assert_eq!(valid("{}", "{'a'"), Err("{"));
    assert_eq!(valid("{}", "tru"), Err("tru"));
    assert_eq!(valid("false", "1"), Err(""));
}

#[test]
fn odd_schemas_end() {
    assert_eq!(valid(r##"{"$ref": "#"}"##, "1"), Ok(()));
    assert_eq!(
        valid(r##"{"anyOf": [{"$ref": "#"}, {"type": "string"}]}"##, "\"a\""),
        Ok(())
    );
    let wide = format!(
        "{{\"allOf\": [{}]}}",
        vec![r#"{"anyOf": [{"minimum": 1}, {"maximum": 5}, {"type": "null"}]}"#; 20].join(",")
    );
    assert_eq!(valid(&wide, "3"), Ok(()));
    for (schema, at) in [
        ("{\"$ref\": \"#/x\"}", "#/x"),
        ("[]", "#"),
        ("{\"type\": \"text\"}", "#"),
        ("{", "#"),
    ] {
        assert_eq!(Schema::parse(schema).unwrap_err().at, at, "{schema}");
    }
    let deep = "[".repeat(600);
    assert_eq!(valid("{}", &deep).unwrap_err().len(), DEEPEST);
}

/// Ways that ask the same of what comes are one way: they do not add up over a list until none is followed.
#[test]
fn ways_that_come_to_the_same_do_not_add_up() {
    let either = r#"{"anyOf": [{"type": "integer"}, {"type": "number"}]}"#;
    let list = format!(r#"{{"type": "array", "items": {either}}}"#);
    let numbers = "1, 2.5, ".repeat(100);
    assert_eq!(valid(&list, &format!("[{numbers}3]")), Ok(()));
    let good = format!("[{numbers}");
    assert_eq!(valid(&list, &format!("{good}\"3\"]")), Err(good.as_str()));

    let lists = format!(r#"{{"type": "array", "items": {{"anyOf": [{list}, {list}]}}}}"#);
    let good = format!("[{}", "[1, 2], ".repeat(50));
    assert_eq!(valid(&lists, &format!("{good}true]")), Err(good.as_str()));

    let object = format!(r#"{{"additionalProperties": {either}}}"#);
    let numbers: String = (0..50).map(|i| format!("\"{i}\": {i}, ")).collect();
    let good = format!("{{{numbers}\"x\": ");
    assert_eq!(valid(&object, &format!("{good}null}}")), Err(good.as_str()));
}

/// Each character of a name or a value is looked up, not compared with all that may stand there.
#[test]
fn long_lists_of_names_and_values() {
    let names: Vec<String> = (0..2000).map(|i| format!("name-{i}")).collect();
    let properties: Vec<String> = names
        .iter()
        .map(|name| format!("{name:?}: {{\"enum\": {names:?}}}"))
        .take(3)
        .collect();
    let schema = format!(
        r#"{{"properties": {{{}}}, "additionalProperties": false}}"#,
        properties.join(",")
    );
    assert_eq!(valid(&schema, r#"{"name-2": "name-1999"}"#), Ok(()));
    assert_eq!(
        valid(&schema, r#"{"name-2": "name-20000"}"#),
        Err(r#"{"name-2": "name-200"#)
    );
    assert_eq!(valid(&schema, r#"{"name-2": "name-2x"}"#), Err(r#"{"name-2": "name-2"#));
    assert_eq!(valid(&schema, r#"{"name-3": 1}"#), Err(r#"{"name-"#));
    assert_eq!(valid(&schema, r#"{"name-2": "name"}"#), Err(r#"{"name-2": "name"#));
}
