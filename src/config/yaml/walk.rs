//! Walking a tree: every value is read or complained about, and the walk goes on.

use super::{
    problem::{Problem, quoted, suggestion},
    tree::{Key, Node, Place, Value},
};

/// Takes values out of a tree, and notes what is wrong.
#[derive(Default)]
pub struct Walk {
    /// What was wrong so far.
    pub problems: Vec<Problem>,
}

/// A mapping that is being read.
#[derive(Clone, Copy)]
pub struct Mapping<'a> {
    /// Where it stands.
    pub place: Place,
    entries: &'a [(Key, Node)],
}

impl<'a> Mapping<'a> {
    /// One without entries.
    pub const EMPTY: Self = Self { place: Place { line: 0, column: 0 }, entries: &[] };

    /// The value of a key; `None` if it is not there, or nothing was given.
    pub fn get(&self, key: &str) -> Option<&'a Node> {
        let (_, node) = self.entries.iter().find(|(found, _)| found.text == key)?;
        (!matches!(node.value, Value::Null)).then_some(node)
    }

    /// The same, where empty text is as good as nothing.
    pub fn given(&self, key: &str) -> Option<&'a Node> {
        self.get(key).filter(|node| !node.is_empty_text())
    }
}

impl Walk {
    /// Ends it.
    ///
    /// # Errors
    /// All that was wrong, in the order of the file's lines.
    pub fn done(mut self) -> Result<(), Vec<Problem>> {
        self.problems.sort_by(|a, b| (a.place, &a.path).cmp(&(b.place, &b.path)));
        if self.problems.is_empty() { Ok(()) } else { Err(self.problems) }
    }

    /// Notes that something is wrong.
    pub fn problem(&mut self, place: Place, path: &str, message: impl Into<String>) {
        self.problems.push(Problem { place, path: path.into(), message: message.into() });
    }

    /// A mapping that has these keys alone.
    pub fn mapping<'a>(&mut self, node: &'a Node, path: &str, known: &[&str]) -> Option<Mapping<'a>> {
        self.mapping_without(node, path, known, &[])
    }

    /// The same; keys that the format has but that are not taken are refused by name, each for its reason.
    pub fn mapping_without<'a>(
        &mut self,
        node: &'a Node,
        path: &str,
        known: &[&str],
        refused: &[(&str, &str)],
    ) -> Option<Mapping<'a>> {
        let entries = self.entries(node, path)?;
        for (key, _) in entries {
            let text = key.text.as_str();
            if let Some((_, reason)) = refused.iter().find(|(name, _)| *name == text) {
                self.problem(key.place, &join(path, text), *reason);
            } else if !known.contains(&text) {
                self.unknown(key, path, known);
            }
        }
        Some(Mapping { place: node.place, entries })
    }

    /// A mapping with keys of the user's own.
    pub fn entries<'a>(&mut self, node: &'a Node, path: &str) -> Option<&'a [(Key, Node)]> {
        if let Value::Mapping(entries) = &node.value {
            return Some(entries);
        }
        self.problem(node.place, path, format!("expected a mapping, found {}", quoted(&node.value)));
        None
    }

    fn unknown(&mut self, key: &Key, path: &str, known: &[&str]) {
        let guess = suggestion(&key.text, known).map(|word| format!("; did you mean {word}?"));
        let allowed = known.join(", ");
        let message = format!("unknown key{} Allowed: {allowed}", guess.unwrap_or_else(|| ".".into()));
        let shown = quoted(&Value::Scalar(key.text.clone()));
        self.problem(key.place, &join(path, shown.trim_matches('"')), message);
    }

    /// Each item of a list, with its path.
    pub fn list<'a>(&mut self, node: &'a Node, path: &str) -> Vec<(String, &'a Node)> {
        match &node.value {
            Value::List(items) => {
                items.iter().enumerate().map(|(number, item)| (format!("{path}[{number}]"), item)).collect()
            }
            other => {
                self.problem(node.place, path, format!("expected a list, found {}", quoted(other)));
                Vec::new()
            }
        }
    }

    /// A single value.
    pub fn scalar<'a>(&mut self, node: &'a Node, path: &str) -> Option<&'a str> {
        if let Value::Scalar(text) = &node.value {
            return Some(text);
        }
        self.problem(node.place, path, format!("expected a single value, found {}", node.value.kind()));
        None
    }

    /// A single value that `parse` understands, or else says what is allowed.
    pub fn value<T>(
        &mut self,
        node: &Node,
        path: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.scalar(node, path)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(allowed) => {
                self.problem(node.place, path, format!("found {}: {allowed}", quoted(&node.value)));
                None
            }
        }
    }

    /// The same for a value that may hold a secret: it is not quoted.
    pub fn hidden<T>(
        &mut self,
        node: &Node,
        path: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let parsed = parse(self.scalar(node, path)?);
        parsed.map_err(|allowed| self.problem(node.place, path, allowed)).ok()
    }

    /// A list of such values.
    pub fn values<T>(
        &mut self,
        node: &Node,
        path: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let items = self.list(node, path);
        items.into_iter().filter_map(|(path, item)| self.value(item, &path, &parse)).collect()
    }
}

/// The path of a key below another path.
pub fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.into() } else { format!("{path}.{key}") }
}
