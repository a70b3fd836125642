//! Labels of every series beside its own: `--remote-write.label`.

use super::message::Label;
use crate::metrics::TABLE;

/// The label by which a scrape would say the same.
const JOB: (&str, &str) = ("job", "kapso-exporter");

/// Labels that every series gets.
#[derive(Debug, Clone)]
pub struct CommonLabels(Vec<Label>);

impl CommonLabels {
    /// These, and `job` unless it is among them. One without a value is left out.
    ///
    /// # Errors
    /// If a name is given twice, or the exporter's own series have it.
    pub fn new(given: &[(String, String)]) -> Result<Self, String> {
        let own = TABLE.iter().flat_map(|family| family.label_names()).chain(["le"]).collect::<Vec<_>>();
        for (number, (name, _)) in given.iter().enumerate() {
            if own.contains(&name.as_str()) {
                return Err(format!("{name} is a label of the exporter's own series; give another name"));
            }
            if given[..number].iter().any(|(other, _)| other == name) {
                return Err(format!("{name} is given twice"));
            }
        }
        let job = Some(JOB).filter(|(job, _)| given.iter().all(|(name, _)| name != job));
        let given = given.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let valued = job.into_iter().chain(given).filter(|(_, value)| !value.is_empty());
        Ok(Self(valued.map(|(name, value)| label(name, value)).collect()))
    }

    /// All labels of a series, as the protocol wants them: sorted by name, the name of the metric among them, and none
    /// without a value, which is as good as absent. A label that the series has itself is not given another time, as with
    /// `honor_labels`.
    #[must_use]
    pub fn of<'a>(&self, metric: String, own: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Label> {
        let own: Vec<_> =
            own.filter(|(_, value)| !value.is_empty()).map(|(name, value)| label(name, value)).collect();
        let is_new = |label: &&Label| own.iter().all(|other| other.name != label.name);
        let mut labels: Vec<_> = self.0.iter().filter(is_new).cloned().collect();
        labels.push(Label { name: "__name__".into(), value: metric });
        labels.extend(own);
        labels.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        labels
    }
}

fn label(name: &str, value: &str) -> Label {
    Label { name: name.into(), value: value.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(labels: &[(&str, &str)]) -> Result<CommonLabels, String> {
        let owned: Vec<_> = labels.iter().map(|&(name, value)| (name.into(), value.into())).collect();
        CommonLabels::new(&owned)
    }

    fn all(common: &[(&str, &str)], own: &[(&str, &str)]) -> Vec<String> {
        let labels = given(common).unwrap().of("x_total".into(), own.iter().copied());
        labels.into_iter().map(|label| format!("{}={}", label.name, label.value)).collect()
    }

    #[test]
    fn labels_are_sorted_and_the_name_is_among_them() {
        assert_eq!(
            all(&[("instance", "a"), ("Zone", "b")], &[("api", "c"), ("status", "d")]),
            ["Zone=b", "__name__=x_total", "api=c", "instance=a", "job=kapso-exporter", "status=d"]
        );
    }

    #[test]
    fn a_label_without_a_value_is_left_out_and_job_can_be_another() {
        assert_eq!(all(&[("job", "cron")], &[("reason", "")]), ["__name__=x_total", "job=cron"]);
        assert_eq!(all(&[("job", "")], &[]), ["__name__=x_total"]);
    }

    #[test]
    fn a_label_that_a_series_has_itself_stays_as_it_is() {
        let own = [("instance", "kapso")];
        assert_eq!(
            all(&[("instance", "a")], &own),
            ["__name__=x_total", "instance=kapso", "job=kapso-exporter"]
        );
    }

    #[test]
    fn a_name_that_series_have_already_or_that_is_given_twice_is_refused() {
        for own in ["project", "workflow_name", "le", "endpoint"] {
            assert!(given(&[(own, "a")]).unwrap_err().contains("own series"), "{own}");
        }
        assert_eq!(given(&[("a", "b"), ("a", "c")]).unwrap_err(), "a is given twice");
    }
}
