//! The pages lead to what there is: files, headings, flags; and every page can be found.

use std::{collections::BTreeSet, fs, path::Path};

use clap::CommandFactory;
use kapso_exporter::{cli::Cli, config::STATE_URL_VARIABLE};

use crate::files;

/// Every page, by relative path.
pub fn pages() -> Vec<String> {
    let mut pages: Vec<_> = ["README.md", "CHANGELOG.md", "tests/golden/README.md"].map(str::to_owned).into();
    pages.extend(files::listed("docs", ".md"));
    pages.extend(files::listed("docs/runbooks", ".md"));
    pages
}

/// The lines that are prose: what stands in a code block is none.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

/// Where links and pictures lead.
fn targets(text: &str) -> Vec<String> {
    let lines: Vec<_> = prose(text).map(without_code).collect();
    let all = lines.join("\n");
    all.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.to_owned())
        .collect()
}

/// A line without its code spans.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// The anchors that GitHub makes of the headings of a page.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for heading in prose(text).filter(|line| line.starts_with('#')) {
        let anchor = anchor(heading.trim_start_matches('#').trim());
        let others = (1..).map(|n| format!("{anchor}-{n}"));
        let free = std::iter::once(anchor.clone()).chain(others).find(|name| !anchors.contains(name));
        anchors.extend(free);
    }
    anchors
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase()
}

/// Why a link of a page leads nowhere.
fn fault(page: &str, target: &str) -> Option<String> {
    if target.starts_with("https://") || target.starts_with("http://") {
        return None;
    }
    let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let folder = Path::new(page).parent().unwrap_or(Path::new(""));
    let path = if file.is_empty() { files::path(page) } else { files::path("").join(folder).join(file) };
    if !path.exists() {
        return Some(format!("{page}: {target}: there is no such file"));
    }
    let anchor = anchor?;
    let known = anchors(&fs::read_to_string(path).unwrap());
    (!known.contains(anchor)).then(|| format!("{page}: {target}: there is no such heading"))
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_there_are() {
    let mut count = 0;
    let mut faults = Vec::new();
    for page in pages() {
        let targets = targets(&files::text(&page));
        count += targets.len();
        faults.extend(targets.iter().filter_map(|target| fault(&page, target)));
    }
    assert_eq!(faults, [""; 0]);
    assert!(count > 50, "{count}");
}

#[test]
fn links_and_headings_are_read_as_github_reads_them() {
    let text = "# A `b_c`: d, e-f\n[x](y.md#z) `[no](no)`\n```sh\n# no heading\n[no](no)\n```\n![p](q.png)\n## Twice\n## Twice\n";
    assert_eq!(targets(text), ["y.md#z", "q.png"]);
    let known: Vec<_> = anchors(text).into_iter().collect();
    assert_eq!(known, ["a-b_c-d-e-f", "twice", "twice-1"]);
}

#[test]
fn a_link_that_leads_nowhere_is_told() {
    assert_eq!(fault("docs/metrics.md", "freshness.md"), None);
    assert_eq!(fault("docs/runbooks/handoffs.md", "exporter.md#kapsoexporterdown"), None);
    let lost = fault("docs/metrics.md", "README.md").unwrap();
    assert_eq!(lost, "docs/metrics.md: README.md: there is no such file");
    let lost = fault("docs/metrics.md", "#no-heading").unwrap();
    assert_eq!(lost, "docs/metrics.md: #no-heading: there is no such heading");
}

#[test]
fn the_readme_is_short_and_leads_to_every_page() {
    let readme = files::text("README.md");
    let lines = readme.lines().count();
    assert!(lines <= 150, "{lines} lines: facts stand in docs");
    let linked: BTreeSet<_> =
        targets(&readme).iter().map(|target| target.split('#').next().unwrap().to_owned()).collect();
    let pages = files::listed("docs", ".md").into_iter().chain(["docs/runbooks/README.md".to_owned()]);
    let hidden: Vec<_> = pages.filter(|page| !linked.contains(page)).collect();
    assert_eq!(hidden, [""; 0], "the README links to them");
}

#[test]
fn pictures_are_shown_and_small() {
    let all = pages().into_iter().flat_map(|page| targets(&files::text(&page)));
    // As a page of `docs` names it.
    let shown: BTreeSet<_> = all.map(|target| target.trim_start_matches("docs/").to_owned()).collect();
    for picture in files::listed("docs", ".png") {
        let size = fs::metadata(files::path(&picture)).unwrap().len();
        assert!(size < 300_000, "{picture} is too large");
        assert!(shown.contains(picture.trim_start_matches("docs/")), "no page shows {picture}");
    }
}

/// Flags of Prometheus and promtool that pages name.
const OF_PROMETHEUS: [&str; 2] = ["http.config.file", "web.enable-remote-write-receiver"];

#[test]
fn every_flag_and_variable_that_a_page_names_exists() {
    let mut root = Cli::command();
    root.build();
    let commands: Vec<_> = std::iter::once(&root).chain(root.get_subcommands()).collect();
    let all = || commands.iter().flat_map(|command| command.get_arguments());
    let flags: BTreeSet<_> = all().filter_map(clap::Arg::get_long).collect();
    // No flag has the URL as its value: it holds a password.
    let mut variables: BTreeSet<_> = all().filter_map(|flag| flag.get_env()?.to_str()).collect();
    variables.insert(STATE_URL_VARIABLE);
    let mut count = 0;
    for page in pages() {
        let text = files::text(&page);
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "-._".contains(c)));
        for word in words.map(|word| word.trim_end_matches('.')) {
            if let Some(flag) = word.strip_prefix("--").filter(|flag| flag.contains('.')) {
                assert!(flags.contains(flag) || OF_PROMETHEUS.contains(&flag), "{page}: {word}");
                count += 1;
            } else if word.starts_with("KAPSO_EXPORTER_") && !word.ends_with('_') {
                assert!(variables.contains(word), "{page}: {word}");
                count += 1;
            }
        }
    }
    assert!(count > 100, "{count}");
}
