//! Size of files, links of documents, and words that have no place here.

use std::path::{Path, PathBuf};

use crate::{read, root};

/// Lines that a source file may have; tests and data are not counted.
const MAX_LINES: usize = 500;

/// Files of the repository, without what is built.
fn files() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            if name == ".git" || name == "target" || name == "node_modules" || name == "weir-data" {
                continue;
            }
            match entry.file_type().unwrap().is_dir() {
                true => walk(&entry.path(), found),
                false => found.push(entry.path()),
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), &mut found);
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

#[test]
fn source_files_are_of_a_readable_size() {
    let mut seen = 0;
    for path in files() {
        let name = shown(&path);
        let is_source = name.starts_with("src/") && name.ends_with(".rs") && !name.contains("/tests/");
        if is_source {
            seen += 1;
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            assert!(
                lines <= MAX_LINES,
                "{name} has {lines} lines, the cap is {MAX_LINES}: split it"
            );
        }
    }
    assert!(seen > 100, "{seen} source files");
}

#[test]
fn nothing_names_the_machine_it_was_made_on() {
    let forbidden = [
        concat!("/", "work/"),
        concat!("/", "root/"),
        concat!("/", "tmp/weir"),
        concat!("artifactory/", "api"),
    ];
    for path in files() {
        // What is no text cannot say anything.
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        for word in forbidden {
            if let Some(at) = text.find(word) {
                let line = text[..at].matches('\n').count() + 1;
                panic!("{}:{line}: `{word}` has no place here", shown(&path));
            }
        }
    }
}

#[test]
fn links_of_documents_lead_somewhere() {
    let mut seen = 0;
    for path in files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
    {
        let text = std::fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            seen += 1;
            let there = path.parent().unwrap().join(target);
            assert!(there.exists(), "{}: {link} leads nowhere", shown(&path));
        }
    }
    assert!(seen > 5, "{seen} links");
}

/// The README's second block of commands is the one that CI and `just test` run.
#[test]
fn there_is_one_test_command() {
    let command = "cargo test --workspace";
    for file in ["README.md", "justfile", ".ci/run"] {
        let found = read(file).lines().any(|line| line.trim() == command);
        assert!(found, "{file} does not run `{command}`");
    }
}
