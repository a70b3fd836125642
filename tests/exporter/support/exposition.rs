//! The text format, read strictly.

use std::collections::{BTreeMap, BTreeSet};

pub type Labels = BTreeMap<String, String>;

/// An exposition as a map from series to value.
#[derive(Debug, Default)]
pub struct Exposition {
    series: BTreeMap<(String, Labels), f64>,
    /// Names of the families, as their TYPE lines say.
    pub families: BTreeSet<String>,
}

impl Exposition {
    /// Reads the text format; panics on anything that it does not allow, a series that occurs twice, a family
    /// without HELP or a family in two pieces included.
    pub fn parse(text: &str) -> Self {
        let mut exposition = Self::default();
        let (mut helped, mut family) = (BTreeSet::new(), String::new());
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').unwrap();
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                kind.split_once(' ').unwrap().0.clone_into(&mut family);
                assert!(helped.contains(&family) && exposition.families.insert(family.clone()), "{line}");
            } else {
                let (name, labels, value) = sample(line);
                let suffix = name.strip_prefix(&family).unwrap_or_else(|| panic!("{line} within {family}"));
                assert!(["", "_bucket", "_sum", "_count"].contains(&suffix), "{line} within {family}");
                assert!(exposition.series.insert((name, labels), value).is_none(), "twice: {line}");
            }
        }
        exposition
    }

    /// Every series with its value.
    pub fn series(&self) -> impl Iterator<Item = (&str, &Labels, f64)> {
        self.series.iter().map(|((name, labels), value)| (name.as_str(), labels, *value))
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// The value of the one series with this name and at least these labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let found: Vec<_> = self.matching(name, labels).collect();
        assert!(found.len() <= 1, "{name} {labels:?} is ambiguous: {found:?}");
        found.first().map(|(_, value)| *value)
    }

    /// The sum over all series with this name and at least these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|(_, value)| value).sum()
    }

    /// All values of a label in the series of this name.
    pub fn values_of(&self, name: &str, label: &str) -> BTreeSet<&str> {
        let named = self.series.keys().filter(|(n, _)| n == name);
        named.filter_map(|(_, labels)| labels.get(label)).map(String::as_str).collect()
    }

    /// Whether there is a series with this name and at least these labels.
    pub fn has(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        let names = [name.to_owned(), format!("{name}_count")];
        names.iter().any(|name| self.matching(name, labels).next().is_some())
    }

    fn matching<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&str, &str)],
    ) -> impl Iterator<Item = (&'a Labels, f64)> {
        let fits =
            |own: &Labels| labels.iter().all(|(key, value)| own.get(*key).is_some_and(|own| own == value));
        let from_name_on = self.series.range((name.to_owned(), Labels::new())..);
        let named = from_name_on.take_while(move |((n, _), _)| n == name);
        named.filter(move |((_, own), _)| fits(own)).map(|((_, own), value)| (own, *value))
    }
}

fn sample(line: &str) -> (String, Labels, f64) {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("{line}"));
    let (name, mut rest) = line.split_at(end);
    let mut labels = Labels::new();
    if let Some(mut inner) = rest.strip_prefix('{') {
        while !inner.starts_with('}') {
            let (key, after) = inner.split_once("=\"").unwrap();
            let (value, after) = unquote(after);
            assert!(labels.insert(key.to_owned(), value).is_none(), "{line}");
            inner = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &inner[1..];
    }
    let value = rest.strip_prefix(' ').unwrap().parse().unwrap_or_else(|_| panic!("{line}"));
    (name.to_owned(), labels, value)
}

fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match chars.next().unwrap().1 {
                'n' => '\n',
                c @ ('\\' | '"') => c,
                other => panic!("\\{other} in {text}"),
            }),
            c => value.push(c),
        }
    }
    panic!("an open label value: {text}")
}
