use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::chat::Chat;
use super::directives::Directives;
use super::drive::{Drive, drive};
use super::pace::Pace;
use super::plan::{End, Plan};
use super::prompt::Prompt;
use super::upstream;

fn chunks(body: &Value, directives: &Directives) -> Vec<Value> {
    let prompt = Prompt::chat(body).unwrap();
    let plan = Chat::new(&prompt, directives)
        .stream(&mut Pace::new("", directives))
        .unwrap();
    let text: Vec<u8> = plan.frames.iter().flat_map(|(_, frame)| frame.to_vec()).collect();
    let text = String::from_utf8(text).unwrap();
    let data: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(data.last(), Some(&"[DONE]"));
    data[..data.len() - 1]
        .iter()
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

fn whole(body: &Value, directives: &Directives) -> Value {
    let prompt = Prompt::chat(body).unwrap();
    serde_json::from_str(&Chat::new(&prompt, directives).whole().unwrap()).unwrap()
}

fn ask(more: Value) -> Value {
    let mut body =
        json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Rain in Rome and Oslo, please?"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[test]
fn usage_comes_only_where_it_was_asked_for() {
    let none = Directives::default();
    let unasked = chunks(&ask(json!({"stream": true})), &none);
    assert!(
        unasked
            .iter()
            .all(|chunk| chunk.get("usage").is_none() && chunk["choices"] != json!([]))
    );
    let asked = chunks(
        &ask(json!({"stream": true, "stream_options": {"include_usage": true}})),
        &none,
    );
    let (last, before) = asked.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"], whole(&ask(json!({})), &none)["usage"]);
    assert!(
        before
            .iter()
            .all(|chunk| chunk["usage"].is_null() && chunk.get("usage").is_some())
    );
}

#[test]
fn streamed_choices_and_tools_join_to_the_whole_answer() {
    let tool = json!({"type": "function", "function": {"name": "rain", "parameters": {"type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}}});
    for (more, chunk) in [(json!({"n": 3}), "chunk=3"), (json!({"tools": [tool]}), "chunk=2")] {
        let directives = Directives::read(Some(chunk), None);
        let body = ask(more);
        let whole = whole(&body, &directives);
        for (index, choice) in whole["choices"].as_array().unwrap().iter().enumerate() {
            let (mut text, mut arguments) = (String::new(), vec![String::new(); 2]);
            for chunk in chunks(&body, &directives) {
                let Some(part) = chunk["choices"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .find(|c| c["index"] == index)
                else {
                    continue;
                };
                text.push_str(part["delta"]["content"].as_str().unwrap_or_default());
                for call in part["delta"]["tool_calls"].as_array().into_iter().flatten() {
                    let at = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
                    arguments[at].push_str(call["function"]["arguments"].as_str().unwrap());
                }
            }
            assert_eq!(text, choice["message"]["content"].as_str().unwrap_or_default());
            for (at, arguments) in arguments.iter().enumerate() {
                let expected = &choice["message"]["tool_calls"][at]["function"]["arguments"];
                assert_eq!(arguments, expected.as_str().unwrap_or_default());
            }
        }
    }
}

#[test]
fn transport_directives() {
    let frames = |directives: &str| {
        let plan = Plan::whole("0123456789")
            .directed(&Directives::read(Some(directives), None))
            .unwrap();
        (plan.frames.iter().map(|(_, f)| f.len()).collect::<Vec<_>>(), plan.end)
    };
    assert_eq!(frames("cut=4"), (vec![4, 4, 2], End::Finish));
    assert_eq!(frames("cut=4,die_after=2"), (vec![4, 4], End::Die));
    assert_eq!(frames("cut=4,hang_after=0"), (vec![], End::Hang));
    let gzip = Plan::whole("0123456789")
        .directed(&Directives::read(Some("gzip=1,cut=3"), None))
        .unwrap();
    let packed: Vec<u8> = gzip.frames.iter().flat_map(|(_, frame)| frame.to_vec()).collect();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(packed.as_slice()), &mut text).unwrap();
    assert_eq!(text, "0123456789");
}

#[tokio::test]
async fn the_drivers_calls_end_as_expected() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(upstream::serve(listener, std::future::pending()));
    let plan = Drive {
        base_url,
        calls: 100,
        seed: 1,
        concurrency: 8,
    };
    let tally = tokio::time::timeout(Duration::from_secs(60), drive(&plan, |_| ()))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((tally.done(), tally.cancelled), (100, 4));
    // Without Weir between, nobody turns a dropped connection into a 502.
    assert!(
        tally.surprises.iter().all(|surprise| surprise.starts_with("Dropped")),
        "{:?}",
        tally.surprises
    );
    assert_eq!(tally.surprises.len(), 1);
    server.abort();
}
