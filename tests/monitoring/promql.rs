//! What an expression in `PromQL` asks for.

use std::{collections::BTreeSet, time::Duration};

use promql_parser::{
    label::Labels,
    parser::{BinaryExpr, Call, Expr, LabelModifier, MatrixSelector, VectorSelector, parse, token::T_LOR},
};

/// Stands for `$__rate_interval`.
pub const RATE_INTERVAL: Duration = Duration::from_secs(4567);
/// Stands for `$__interval`.
pub const INTERVAL: Duration = Duration::from_secs(4568);
/// Stands for `$__range`.
pub const RANGE: Duration = Duration::from_secs(4569);

/// An expression, taken apart.
#[derive(Debug, Default)]
pub struct Query {
    pub selectors: Vec<Selector>,
    /// Labels that it groups, joins or matches by.
    pub labels: BTreeSet<String>,
    /// Labels that it makes itself.
    pub made: BTreeSet<String>,
    /// Numbers that something is compared with or multiplied by.
    pub numbers: Vec<f64>,
}

/// One selector in it.
#[derive(Debug)]
pub struct Selector {
    pub metric: String,
    /// Label, operator, value.
    pub matchers: Vec<(String, String, String)>,
    pub range: Option<Duration>,
    /// The function that it is directly in.
    pub function: Option<String>,
    /// The side of the innermost `or` that it is in; the whole expression if it is in none.
    pub side: String,
    /// All sides of that `or`.
    pub sides: Vec<String>,
}

/// Where in an expression something is.
#[derive(Clone, Copy)]
struct Place<'a> {
    function: Option<&'a str>,
    side: &'a str,
    sides: &'a [String],
}

impl Query {
    /// Takes apart an expression, which may have Grafana's variables.
    pub fn of(expr: &str) -> Self {
        let plain = [("$__rate_interval", RATE_INTERVAL), ("$__interval", INTERVAL), ("$__range", RANGE)]
            .iter()
            .fold(expr.to_owned(), |text, (name, value)| {
                text.replace(name, &format!("{}s", value.as_secs()))
            });
        let mut query = Self::default();
        let parsed = parse(&plain).unwrap_or_else(|error| panic!("{expr}: {error}"));
        query.walk_sides(&parsed, &sides(&parsed));
        query
    }

    /// Whether one of the selectors is for this metric.
    pub fn asks_for(&self, metric: &str) -> bool {
        self.selectors.iter().any(|selector| selector.metric == metric)
    }

    /// Each side of an `or` on its own; `all` of them, as text.
    fn walk_sides(&mut self, expr: &Expr, all: &[String]) {
        match expr {
            Expr::Binary(binary) if binary.op.id() == T_LOR => {
                self.take_matching(binary);
                self.walk_sides(&binary.lhs, all);
                self.walk_sides(&binary.rhs, all);
            }
            Expr::Paren(inner) => self.walk_sides(&inner.expr, all),
            _ => self.walk(expr, Place { function: None, side: &expr.to_string(), sides: all }),
        }
    }

    fn walk(&mut self, expr: &Expr, place: Place<'_>) {
        let outside = Place { function: None, ..place };
        match expr {
            Expr::Aggregate(aggregate) => {
                self.take_modifier(aggregate.modifier.as_ref());
                self.walk(&aggregate.expr, outside);
            }
            Expr::Binary(binary) if binary.op.id() == T_LOR => self.walk_sides(expr, &sides(expr)),
            Expr::Binary(binary) => {
                self.take_matching(binary);
                self.walk(&binary.lhs, outside);
                self.walk(&binary.rhs, outside);
            }
            Expr::Call(call) => self.call(call, place),
            Expr::MatrixSelector(MatrixSelector { vs, range }) => self.select(vs, Some(*range), place),
            Expr::VectorSelector(vs) => self.select(vs, None, place),
            Expr::NumberLiteral(number) => self.numbers.push(number.val),
            Expr::Paren(inner) => self.walk(&inner.expr, outside),
            Expr::Subquery(inner) => self.walk(&inner.expr, outside),
            Expr::Unary(inner) => self.walk(&inner.expr, outside),
            Expr::StringLiteral(_) | Expr::Extension(_) => {}
        }
    }

    fn call(&mut self, call: &Call, place: Place<'_>) {
        if call.func.name == "label_replace"
            && let Expr::StringLiteral(label) = &*call.args.args[1]
        {
            self.made.insert(label.val.clone());
        }
        for arg in &call.args.args {
            self.walk(arg, Place { function: Some(call.func.name), ..place });
        }
    }

    fn take_matching(&mut self, binary: &BinaryExpr) {
        if let Some(modifier) = &binary.modifier {
            self.take_modifier(modifier.matching.as_ref());
            self.take(modifier.card.labels());
        }
    }

    fn take_modifier(&mut self, modifier: Option<&LabelModifier>) {
        self.take(modifier.map(LabelModifier::labels));
    }

    fn take(&mut self, labels: Option<&Labels>) {
        self.labels.extend(labels.into_iter().flat_map(|labels| labels.labels.iter().cloned()));
    }

    fn select(&mut self, selector: &VectorSelector, range: Option<Duration>, place: Place<'_>) {
        let matchers = selector.matchers.matchers.iter();
        self.selectors.push(Selector {
            metric: selector.name.clone().expect("a selector by name"),
            matchers: matchers
                .map(|m| (m.name.clone(), operator(&m.op.to_string()), m.value.clone()))
                .collect(),
            range,
            function: place.function.map(str::to_owned),
            side: place.side.to_owned(),
            sides: place.sides.to_vec(),
        });
    }
}

/// What an `or` stands between; the expression alone if it is no `or`.
fn sides(expr: &Expr) -> Vec<String> {
    match expr {
        Expr::Binary(binary) if binary.op.id() == T_LOR => [sides(&binary.lhs), sides(&binary.rhs)].concat(),
        Expr::Paren(inner) => sides(&inner.expr),
        _ => vec![expr.to_string()],
    }
}

/// The operator alone: the parser writes a regular expression behind it.
fn operator(text: &str) -> String {
    text.chars().take_while(|c| "=!~".contains(*c)).collect()
}

impl Selector {
    /// Whether it has exactly this matcher.
    pub fn has(&self, label: &str, operator: &str, value: &str) -> bool {
        self.matchers.iter().any(|(l, o, v)| (l.as_str(), o.as_str(), v.as_str()) == (label, operator, value))
    }
}
