//! The official SDKs as clients.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde::Deserialize;
use serde_json::Value;

/// Which SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sdk {
    Python,
    Node,
}

pub const BOTH: [Sdk; 2] = [Sdk::Python, Sdk::Node];

/// What a script reports: ids of its calls by name, and what else it saw.
#[derive(Debug, Deserialize)]
pub struct Report {
    pub calls: BTreeMap<String, Option<String>>,
    pub facts: BTreeMap<String, Value>,
}

impl Report {
    #[track_caller]
    pub fn call(&self, name: &str) -> &str {
        self.calls
            .get(name)
            .and_then(Option::as_deref)
            .unwrap_or_else(|| panic!("no call id of {name}: {self:?}"))
    }
}

impl Sdk {
    /// Runs a script of `tests/sdk/` against `base_url`; fails if the script does.
    #[track_caller]
    pub fn run(self, script: &str, base_url: &str, cases: &Value) -> Report {
        let env = environment();
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/sdk");
        let (program, path) = match self {
            Sdk::Python => (env.join("python/bin/python"), here.join(format!("python/{script}.py"))),
            Sdk::Node => (PathBuf::from("node"), here.join(format!("node/{script}.mjs"))),
        };
        let output = Command::new(program)
            .arg(path)
            .env("WEIR_BASE_URL", base_url)
            .env("WEIR_SDK_HOME", env.join("node"))
            .env("WEIR_CASES", cases.to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env_remove("OPENAI_BASE_URL")
            .output()
            .expect("start the SDK's language");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{self:?} {script}:\n{errors}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| {
            panic!(
                "{self:?} {script}: {e}\n{}\n{errors}",
                String::from_utf8_lossy(&output.stdout)
            )
        })
    }
}

/// The folder with both SDKs, installed at first use. If that fails it is not tried again.
fn environment() -> &'static Path {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/setup.sh");
        let output = Command::new("bash").arg(&script).output().expect("bash");
        match output.status.success() {
            true => Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    });
    folder.as_ref().unwrap_or_else(|errors| {
        panic!("the SDKs that the tests drive Weir with could not be installed; run tests/setup.sh by hand:\n{errors}")
    })
}
