//! Checks the page of promises: each promise, the places that keep it, and that its tests exist.

#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/promises.md";
/// The number of promises by letter.
const PROMISES: [(char, u32); 8] =
    [('S', 7), ('T', 10), ('R', 4), ('C', 3), ('P', 7), ('N', 3), ('K', 3), ('Y', 4)];
/// The text for a promise without a test.
const NOT_YET: &str = "Tests: not yet.";

#[derive(Default)]
struct Promise {
    places: Vec<String>,
    tests: Vec<String>,
    not_yet: bool,
}

#[test]
fn every_promise_is_on_the_page_once_with_its_place_and_its_tests() {
    let promises = promises();
    let ids = PROMISES
        .iter()
        .flat_map(|(letter, count)| (1..=*count).map(move |number| format!("{letter}{number}")));
    let expected: BTreeSet<_> = ids.collect();
    assert_eq!(promises.keys().cloned().collect::<BTreeSet<_>>(), expected);
    for (id, promise) in &promises {
        assert!(!promise.places.is_empty(), "{id} is kept nowhere");
        for place in &promise.places {
            assert!(root().join(place).is_file(), "{id} is kept in `{place}`, which is no file");
        }
        assert_eq!(
            promise.not_yet,
            promise.tests.is_empty(),
            "{id}: name its tests or `{NOT_YET}`"
        );
    }
}

#[test]
fn every_test_on_the_page_exists_in_order_under_the_promise_that_it_begins_with() {
    let tests = tests();
    for (id, promise) in promises() {
        assert!(promise.tests.is_sorted(), "{id}: its tests are not in the order of the alphabet");
        for test in &promise.tests {
            assert!(tests.contains(test), "{id} names the test `{test}`, which does not exist");
            assert!(ids(test).contains(&id), "`{test}` does not begin with {id}");
        }
    }
}

#[test]
fn every_test_that_begins_with_a_promise_is_on_the_page_under_it() {
    let promises = promises();
    let letters: Vec<char> = PROMISES.iter().map(|(letter, _)| *letter).collect();
    for test in tests() {
        for id in ids(&test).into_iter().filter(|id| id.starts_with(&letters[..])) {
            let promise = promises.get(&id).unwrap_or_else(|| panic!("`{test}`: what is {id}?"));
            assert!(promise.tests.contains(&test), "{id} has a test, `{test}`: name it in {PAGE}");
        }
    }
}

/// The ids with which the name of a test begins.
fn ids(test: &str) -> Vec<String> {
    let parts = test.strip_prefix("test_").unwrap_or(test).split('_');
    let is_id = |part: &&str| {
        let mut letters = part.chars();
        letters.next().is_some_and(|it| it.is_ascii_lowercase())
            && !letters.as_str().is_empty()
            && letters.all(|it| it.is_ascii_digit())
    };
    parts.take_while(is_id).map(str::to_ascii_uppercase).collect()
}

/// Each section such as `### T1` has a paragraph `Kept in` with paths in backticks, and a list of
/// names.
fn promises() -> BTreeMap<String, Promise> {
    let page = fs::read_to_string(root().join(PAGE)).unwrap();
    let mut promises = BTreeMap::new();
    for section in page.split("\n### ").skip(1) {
        let section = section.split("\n## ").next().unwrap_or_default();
        let (id, text) = section.split_once('\n').unwrap();
        let mut promise = Promise { not_yet: text.contains(NOT_YET), ..Promise::default() };
        for paragraph in text.split("\n\n") {
            if paragraph.trim_start().starts_with("Kept in") {
                promise.places.extend(spans(paragraph));
            } else if paragraph.trim_start().starts_with("- ") {
                promise.tests.extend(spans(paragraph));
            }
        }
        assert!(promises.insert(id.to_owned(), promise).is_none(), "{id} is on the page twice");
    }
    promises
}

/// The texts between backticks.
fn spans(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// The names of all functions in the project's sources that begin with an id.
fn tests() -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for file in sources(&root()) {
        let (keyword, prefix) = match file.extension().is_some_and(|it| it == "py") {
            true => ("def ", "test_"),
            false => ("fn ", ""),
        };
        let text = fs::read_to_string(&file).unwrap();
        let names = text.split(keyword).skip(1).filter_map(|rest| {
            rest.split(|it: char| !it.is_ascii_alphanumeric() && it != '_').next()
        });
        // Names of other functions may begin like an id, too: the name of a test has some more
        // words.
        let is_test = |name: &&str| {
            name.starts_with(prefix) && !ids(name).is_empty() && name.split('_').count() > 2
        };
        tests.extend(names.filter(is_test).map(str::to_owned));
    }
    tests
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() {
            let is_ours = !name.starts_with('.') && name != "target" && name != "__pycache__";
            found.extend(is_ours.then(|| sources(&path)).into_iter().flatten());
        } else if name.ends_with(".rs") || name.ends_with(".py") {
            found.push(path);
        }
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
