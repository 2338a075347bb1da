//! Trains the classifier of the `injection` pack, or measures how well such a training goes.
//!
//! ```text
//! cargo run --release -p weir-guard --example train-injection -- src/guard/data src/guard/models
//! cargo run --release -p weir-guard --example train-injection -- src/guard/data --measure
//! ```

mod data;
mod documents;
mod fit;
mod report;
mod synth;
mod train;

use std::path::Path;

use data::Row;
use train::{Example, PLAN};

const USAGE: &str = "usage: train-injection DATA (MODELS | --measure)";

fn main() -> Result<(), String> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [data, out] = &args[..] else {
        return Err(USAGE.to_owned());
    };
    let rows = fit::rows(Path::new(data))?;
    let examples = fit::examples(&rows);
    if out == "--measure" {
        let random = fit::out_of_fold(&rows, &examples, PLAN, 5, fit::by_text);
        report::print("random folds, near duplicates together", &rows, &random);
        let sources = fit::sources(&rows);
        let left = fit::out_of_fold(&rows, &examples, PLAN, sources.len(), |row| fit::place(&sources, row));
        report::print("each source left out", &rows, &left);
        return Ok(());
    }
    let (weights, table) = fit::model(&rows, &examples);
    let write = |name: &str, bytes: &[u8]| {
        let path = Path::new(out).join(name);
        std::fs::write(&path, bytes).map_err(|e| format!("{}: {e}", path.display()))
    };
    write("injection.i8", &weights)?;
    write("injection.toml", table.as_bytes())
}
