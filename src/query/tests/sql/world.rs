//! A lake with a known history: partly landed, partly in the tail.

use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use event::Body;
use event::body::AttemptFailed;
use lake::source::MemorySource;
use lake::{Lake, LandOptions, Lander, LanderHandle};
use query::output::{Format, write};
use query::{Engine, EngineOptions};

use crate::history::History;

pub struct World {
    pub dir: tempfile::TempDir,
    pub source: MemorySource,
    pub lander: LanderHandle,
    pub engine: Engine,
    pub history: History,
}

/// A lake over `history`: all before offset `landed` is landed, the rest is in the tail.
pub async fn world(history: History, landed: usize) -> World {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::create(dir.path().join("lake").to_str().unwrap()).await.unwrap();
    let source = MemorySource::new("one");
    let options = LandOptions {
        max_age: Duration::from_secs(3600),
        pause: Duration::from_millis(1),
        ..LandOptions::default()
    };
    let (task, lander) = Lander::open(lake.clone(), source.clone(), options).await.unwrap();
    tokio::spawn(task.run());
    source.push(history.items[..landed].iter().cloned());
    lander.flush().await.unwrap();
    source.push(history.items[landed..].iter().cloned());
    while lander.status().visible < history.next() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let engine = Engine::open(lander.tail(), EngineOptions::default()).unwrap();
    World {
        dir,
        source,
        lander,
        engine,
        history,
    }
}

/// Sixty calls with a failed attempt among them; two thirds have landed.
pub async fn small_world() -> World {
    let mut history = History::new();
    history.sidecar_started();
    history.calls(59);
    let call = history.begin("large");
    let failed = AttemptFailed {
        provider: "openai".to_owned(),
        error_type: "timeout".to_owned(),
        retryable: true,
        ..AttemptFailed::default()
    };
    history.event(Some(call), 1, &Body::AttemptFailed(Box::new(failed)));
    history.end(call, 2, Body::CallCompleted);
    world(history, 200).await
}

impl World {
    pub async fn number(&self, sql: &str) -> i64 {
        let rows = self.engine.collect(sql).await.unwrap();
        rows[0].column(0).as_primitive::<Int64Type>().value(0)
    }

    pub async fn text(&self, sql: &str, format: Format, width: Option<usize>) -> String {
        String::from_utf8(self.bytes(sql, format, width).await).unwrap()
    }

    pub async fn bytes(&self, sql: &str, format: Format, width: Option<usize>) -> Vec<u8> {
        let mut out = Vec::new();
        let rows = self.engine.sql(sql).await.unwrap();
        write(rows, format, width, &mut out).await.unwrap();
        out
    }

    pub async fn error(&self, sql: &str) -> query::QueryError {
        self.engine.collect(sql).await.err().unwrap()
    }
}

/// Compares with `golden/<name>`; `UPDATE_GOLDEN=1` rewrites it.
pub fn golden(name: &str, found: &str) {
    let path = format!("{}/tests/sql/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == found,
        "{name} differs (UPDATE_GOLDEN=1 rewrites it):\n{found}"
    );
}
