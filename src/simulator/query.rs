//! The query of a request: percent-decoded, checked parameter by parameter.

use axum::extract::Query;
use http::Uri;
use jiff::Timestamp;

use super::answer::Answer;

/// The parameters, and how much may be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    /// In the order in which they came.
    all: Vec<(String, String)>,
    /// The most items of a page.
    pub largest_page: usize,
    /// Shows fewer items than a list with cursors was asked for.
    pub cut_to: Option<usize>,
}

impl Params {
    /// The parameters of `uri`.
    ///
    /// # Errors
    /// 400 for a query that isn't one.
    pub fn of(uri: &Uri) -> Result<Self, Answer> {
        let parsed = Query::<Vec<(String, String)>>::try_from_uri(uri);
        let whole = |all| Self { all, largest_page: usize::MAX, cut_to: None };
        parsed.map(|Query(all)| whole(all)).map_err(|_| invalid("query", "cannot be read"))
    }

    /// The same, where pages have at most `largest_page` items, and those of lists with cursors `cut_to`.
    pub fn showing(self, largest_page: usize, cut_to: Option<usize>) -> Self {
        Self { largest_page, cut_to, ..self }
    }

    /// The last value of a parameter; an empty one counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut same = self.all.iter().rev().filter(|(key, _)| key == name);
        same.next().map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A parameter that must be one of `allowed`.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn one_of(&self, name: &str, allowed: &[&str]) -> Result<Option<&str>, Answer> {
        match self.get(name) {
            Some(value) if !allowed.contains(&value) => {
                Err(invalid(name, &format!("must be one of {}", allowed.join(", "))))
            }
            value => Ok(value),
        }
    }

    /// A positive number of at most `most`: a greater one is cut to it.
    ///
    /// # Errors
    /// 400 for what is not a positive number.
    pub fn size(&self, name: &str, most: usize) -> Result<Option<usize>, Answer> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        match text.parse::<usize>() {
            Ok(size) if size > 0 => Ok(Some(size.min(most))),
            _ => Err(invalid(name, "must be a positive number")),
        }
    }

    /// The inclusive range between two RFC 3339 parameters.
    ///
    /// # Errors
    /// 400 for what is not a time.
    pub fn range(&self, from: &str, to: &str) -> Result<TimeRange, Answer> {
        Ok(TimeRange { from: self.time(from)?, to: self.time(to)? })
    }

    fn time(&self, name: &str) -> Result<Option<Timestamp>, Answer> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| invalid(name, "must be an RFC 3339 time"))
    }
}

/// Times from one bound to another, both inclusive, both optional.
#[derive(Clone, Copy, Debug, Default)]
pub struct TimeRange {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl TimeRange {
    /// Whether neither bound was given.
    pub fn is_unbounded(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }

    /// Whether `at` lies within.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at <= to)
    }
}

/// 400 for one query parameter.
pub fn invalid(parameter: &str, what: &str) -> Answer {
    Answer::invalid(parameter, what)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn params(query: &str) -> Params {
        Params::of(&format!("/x?{query}").parse().unwrap()).unwrap()
    }

    #[test]
    fn brackets_may_come_encoded_or_not() {
        assert_eq!(params("q[status_eq]=active").get("q[status_eq]"), Some("active"));
        assert_eq!(params("q%5Bstatus_eq%5D=active").get("q[status_eq]"), Some("active"));
    }

    #[test]
    fn a_range_includes_its_bounds_and_needs_encoded_plus_signs() {
        let range = params("a=2026-01-01T02:00:00%2B02:00&b=2026-01-01T00:00:01Z").range("a", "b").unwrap();
        assert!(range.contains("2026-01-01T00:00:00Z".parse().unwrap()));
        assert!(range.contains("2026-01-01T00:00:01Z".parse().unwrap()));
        assert!(!range.contains("2026-01-01T00:00:01.001Z".parse().unwrap()));
        assert!(params("a=2026-01-01T02:00:00+02:00").range("a", "b").is_err());
    }

    #[test]
    fn sizes_are_cut_and_nonsense_is_refused() {
        assert_eq!(params("limit=500").size("limit", 100).unwrap(), Some(100));
        assert_eq!(params("limit=").size("limit", 100).unwrap(), None);
        for nonsense in ["limit=0", "limit=-1", "limit=many"] {
            assert!(params(nonsense).size("limit", 100).is_err(), "{nonsense}");
        }
    }
}
