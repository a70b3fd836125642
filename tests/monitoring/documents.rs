//! The documents: what they name exists, and the reference is what is generated.

use std::{collections::BTreeSet, env, fs};

use kapso_exporter::{cli, config, metrics};

use crate::{
    files,
    links::pages,
    registry::{self, Described},
};

const REFERENCE: &str = "docs/metrics.md";
const FLAGS: &str = "docs/flags.md";

/// A page as it is generated; it is written where that is asked for.
fn assert_generated(page: &str, generated: &str) {
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(files::path(page), generated).unwrap();
    }
    let written = fs::read_to_string(files::path(page)).unwrap_or_default();
    assert!(
        written == generated,
        "{page} is not what the program says: run UPDATE_DOCS=1 cargo test --test monitoring"
    );
}

#[test]
fn the_reference_of_flags_is_what_the_program_takes() {
    assert_generated(FLAGS, &cli::reference());
}

#[test]
fn the_schema_of_the_configuration_file_is_what_the_program_takes() {
    let schema = serde_json::to_string_pretty(&config::file::schema()).unwrap();
    assert_generated("docs/config.schema.json", &format!("{schema}\n"));
}

#[test]
fn the_reference_is_what_the_program_says_of_its_families() {
    assert_generated(REFERENCE, &metrics::reference());
}

#[test]
fn the_program_publishes_the_families_that_it_tells_of() {
    let told = metrics::TABLE.iter().map(|family| {
        let labels = family.label_names().into_iter().map(str::to_owned).collect();
        let (name, help, kind) = (family.name.into(), family.help.into(), family.kind.as_str().into());
        Described { name, help, kind, labels }
    });
    let published = registry::published().values().cloned();
    assert_eq!(published.collect::<Vec<_>>(), told.collect::<Vec<_>>());
}

#[test]
fn every_example_query_asks_for_what_there_is() {
    let text = files::text(REFERENCE);
    let examples = text.lines().filter_map(|line| line.strip_prefix("- Example: `")?.strip_suffix('`'));
    let mut count = 0;
    for example in examples {
        assert_eq!(registry::unknown_names(example), [""; 0], "{example}");
        count += 1;
    }
    assert!(count > 35, "{count}");
}

#[test]
fn every_metric_that_a_document_names_exists() {
    // The changelog names what was renamed.
    for page in pages().into_iter().filter(|page| page != "CHANGELOG.md") {
        let text = files::text(&page);
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
        let named = words.map(|word| word.trim_matches(':'));
        let named: BTreeSet<_> =
            named.filter(|word| word.starts_with("kapso_") || word.contains(":kapso_")).collect();
        let unknown: Vec<_> = named.into_iter().filter(|name| !exists(name)).collect();
        assert!(unknown.is_empty(), "{page} names what there is not: {unknown:?}");
    }
}

fn exists(name: &str) -> bool {
    // The crate's own name.
    registry::look_up(name).is_some() || name == "kapso_exporter"
}

#[test]
fn every_query_in_a_document_can_be_read_and_asks_for_what_there_is() {
    for page in pages() {
        for block in files::text(&page).split("```promql\n").skip(1) {
            let block = block.split("```").next().unwrap();
            for query in block.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
                assert_eq!(registry::unknown_names(query), [""; 0], "{page}: {query}");
            }
        }
    }
}
