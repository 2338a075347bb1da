//! Output formats.

use std::io::Cursor;

use query::output::Format;

use crate::world::{golden, small_world};

const ROWS: &str = "select call_id, started_at, day, status, stream, cost_nano_usd, duration_ms, tags, request_text, error_code, cache \
     from calls order by started_at limit 4";
const ODD: &str = "select * from (values \
     (1, 'plain', 1.5), (-20, 'comma, \"quote\" and\nnewline', null), (null, 'tab\tbell\u{7}', 1e300), (300, '漢字', 0.1)) as t(n, s, f)";

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_as_ever() {
    let w = small_world().await;
    for (name, sql) in [
        ("rows", ROWS),
        ("odd", ODD),
        ("none", "select call_id, attempts from calls where false"),
    ] {
        for format in ["table", "csv", "json", "ndjson"] {
            let found = w.text(sql, format.parse().unwrap(), None).await;
            golden(&format!("{name}.{format}"), &found);
        }
    }
    let narrow = w.text(ROWS, Format::Table, Some(100)).await;
    assert!(narrow.lines().all(|line| line.chars().count() <= 100), "{narrow}");
    golden("rows-narrow.table", &narrow);
}

/// Stored text is somebody else's: on a terminal it may not steer it, in a file it stays as it is.
#[tokio::test(flavor = "multi_thread")]
async fn csv_does_not_steer_a_terminal() {
    let w = small_world().await;
    let sql = "select 'a' || chr(27) || '[2J' as t, make_array(chr(155) || '2J') as l";
    let file = w.text(sql, Format::Csv, None).await;
    assert!(file.contains("a\u{1b}[2J"), "{file:?}");
    let shown = w.text(sql, Format::Csv, Some(80)).await;
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
    assert!(shown.contains("a\u{fffd}[2J"), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn columnar_formats_read_back() {
    let w = small_world().await;
    let sql = "select call_id, started_at, tags, cost_nano_usd, request_body from calls order by call_id";
    let rows = w.engine.collect(sql).await.unwrap();
    let wanted = arrow::compute::concat_batches(&rows[0].schema(), &rows).unwrap();
    let arrow = w.bytes(sql, Format::Arrow, None).await;
    let read: Vec<_> = arrow::ipc::reader::StreamReader::try_new(Cursor::new(arrow), None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(arrow::compute::concat_batches(&wanted.schema(), &read).unwrap(), wanted);
    // From process to process, and on in any other format.
    let arrow = w.bytes(sql, Format::Arrow, None).await;
    let mut out = Vec::new();
    let rows = query::output::read_arrow(Cursor::new(arrow)).unwrap();
    query::output::write(rows, Format::Csv, None, &mut out).await.unwrap();
    assert_eq!(out, w.bytes(sql, Format::Csv, None).await);
    let file = w.dir.path().join("out.parquet");
    std::fs::write(&file, w.bytes(sql, Format::Parquet, None).await).unwrap();
    let reader =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(file).unwrap());
    let read: Vec<_> = reader.unwrap().build().unwrap().map(Result::unwrap).collect();
    assert_eq!(arrow::compute::concat_batches(&wanted.schema(), &read).unwrap(), wanted);
}

#[test]
fn formats_have_names() {
    for name in Format::NAMES {
        assert!(name.parse::<Format>().is_ok(), "{name}");
    }
    assert!("xml".parse::<Format>().unwrap_err().contains("table, csv"));
}
