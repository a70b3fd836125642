//! The parts of the program use each other in one direction: what is in `docs/architecture.md` is true.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// A part of the program, and the parts that it uses.
type Uses = BTreeMap<String, BTreeSet<String>>;

/// What is at the root of the library itself, and belongs to no part.
const ROOT: [&str; 1] = ["RELEASED"];

#[test]
fn the_parts_use_each_other_as_the_page_on_the_architecture_says() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    assert_eq!(uses_in_source(), uses_on_page(&page));
}

#[test]
fn no_two_parts_use_each_other() {
    let uses = uses_in_source();
    let is_circle = |a: &str, b: &str| uses.get(b).is_some_and(|used| used.contains(a));
    let pairs = uses.iter().flat_map(|(part, used)| used.iter().map(move |other| (part, other)));
    let circles: Vec<_> = pairs.filter(|(part, other)| is_circle(part, other)).collect();
    assert!(circles.is_empty(), "{circles:?}");
}

#[test]
fn a_use_is_found_alone_in_a_group_and_in_code() {
    let text = "use crate::{\n    a::{B, c},\n    d,\n};\nuse crate::e;\n// crate::f\nlet g = crate::g::h();";
    assert_eq!(used_in(text), ["a", "d", "e", "g"].map(Into::into).into());
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Rows of the table, as `| part | what it is | uses |`, with names in backquotes.
fn uses_on_page(page: &str) -> Uses {
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows = page.lines().filter(|line| line.starts_with("| `")).map(cells);
    rows.map(|row| {
        let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(Into::into).collect::<BTreeSet<_>>();
        (names(&row[1]).into_iter().next().unwrap(), names(&row[3]))
    })
    .collect()
}

fn uses_in_source() -> Uses {
    let mut uses = Uses::new();
    for file in files(&root().join("src")) {
        let text = fs::read_to_string(&file).unwrap();
        let part = part(&file);
        let is_test = file.components().any(|name| name.as_os_str() == "tests") || file.ends_with("tests.rs");
        if is_test || ["main", "lib"].contains(&part.as_str()) {
            continue;
        }
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let others =
            used_in(code).into_iter().filter(|other| *other != part && !ROOT.contains(&other.as_str()));
        uses.entry(part.clone()).or_default().extend(others);
    }
    uses
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The folder or the file below `src` that a file belongs to.
fn part(file: &Path) -> String {
    let below = file.strip_prefix(root().join("src")).unwrap().components().next().unwrap();
    Path::new(below.as_os_str()).file_stem().unwrap().to_str().unwrap().into()
}

/// The parts that a text names after `crate::`, alone or in a group.
fn used_in(text: &str) -> BTreeSet<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let mut used = BTreeSet::new();
    for (start, _) in code.match_indices("crate::") {
        let rest = &code[start + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => used.extend(first_names(group)),
            None => used.extend(name(rest)),
        }
    }
    used
}

/// The first names of a group's members, up to its closing brace.
fn first_names(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut member) = (0, Vec::new(), String::new());
    for character in group.chars() {
        match character {
            '}' if depth == 0 => break,
            ',' if depth == 0 => names.extend(name(std::mem::take(&mut member).trim())),
            '{' => depth += 1,
            '}' => depth -= 1,
            _ if depth == 0 => member.push(character),
            _ => {}
        }
    }
    names.extend(name(member.trim()));
    names
}

fn name(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    Some(name).filter(|name| !name.is_empty())
}
