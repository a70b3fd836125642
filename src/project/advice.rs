//! What to do about what goes wrong: a sentence for each reason, and the runbook that says more.

/// Where the runbooks are that alerts name.
const RUNBOOKS: &str = "https://github.com/kapso-exporter/kapso-exporter/blob/main/docs/runbooks/";

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// In a sentence.
    pub what: &'static str,
    /// File and section of the runbook.
    section: &'static str,
}

impl Advice {
    const fn new(section: &'static str, what: &'static str) -> Self {
        Self { what, section }
    }

    /// The address of the runbook's section.
    #[must_use]
    pub fn runbook(&self) -> String {
        format!("{RUNBOOKS}{}", self.section)
    }

    /// What to do about a failure with this reason.
    #[must_use]
    pub fn on(reason: &str) -> Self {
        match reason {
            "unauthorized" => {
                Self::new("exporter.md#kapsokeyrefused", "Kapso refuses the API key: replace it.")
            }
            "forbidden" => Self::new(
                "exporter.md#kapsokeyrefused",
                "The API key may not list this: check its project and rights.",
            ),
            "rate_limited" => Self::new(
                "exporter.md#kapsoratelimited",
                "The key's limit is used up: lower the budget, or find who else uses the key.",
            ),
            "disappeared" => Self::new(
                "exporter.md#kapsoexecutionsdisappeared",
                "Wait until it is confirmed; look whether Kapso's own lists show them.",
            ),
            "decode" | "time" | "truncated" | "unaddressable" => Self::new(
                "exporter.md#kapsoexporterdataodd",
                "Kapso answers what this version does not know: the log says what.",
            ),
            "failing_lists" => Self::new(
                "exporter.md#kapsoexporterlistsfailing",
                "Other lists are read: the errors by reason say why these are not.",
            ),
            "stuck" => Self::new(
                "exporter.md#kapsoexportersweepstuck",
                "The next sweep begins by itself; if it happens again, report it as a defect.",
            ),
            "not_found" => Self::new(
                "exporter.md#kapsoexporterblind",
                "There is no such API or list: check platform_url and legacy_url.",
            ),
            "server_error" => Self::new(
                "exporter.md#kapsoexporterblind",
                "Kapso is in trouble: see its status page. The exporter tries again by itself.",
            ),
            "connection" | "timeout" => Self::new(
                "exporter.md#kapsoexporterblind",
                "Check the network between here and Kapso, and the proxy.",
            ),
            "clock" => Self::new("exporter.md#kapsoexporterblind", "Set this machine's clock."),
            "refused" => Self::new(
                "exporter.md#kapsoexporterblind",
                "The kept state is another project's: correct the key, or give the project another name.",
            ),
            _ => Self::new(
                "exporter.md#kapsoexporterblind",
                "`kapso-exporter check` with the same flags says what works and what does not.",
            ),
        }
    }

    /// What to do about lists that are late.
    #[must_use]
    pub const fn on_lateness() -> Self {
        Self::new(
            "exporter.md#kapsoexporterlate",
            "The budget does not cover what is due: raise it, or lengthen the interval.",
        )
    }

    /// What to do about state that is not written.
    #[must_use]
    pub const fn on_state() -> Self {
        Self::new("exporter.md#kapsoexporterstatenotwritten", "Counting goes on in memory: check the disk.")
    }

    /// What to do about a configuration file that is refused.
    #[must_use]
    pub const fn on_configuration() -> Self {
        Self::new(
            "exporter.md#kapsoexporterconfigrefused",
            "The configuration before it stays in force: the log says what is wrong.",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kapso::Reason;

    #[test]
    fn every_advice_names_a_section_that_is_there() {
        let page = include_str!("../../docs/runbooks/exporter.md").to_lowercase();
        let reasons =
            Reason::ALL.map(Reason::as_str).into_iter().chain(["stuck", "failing_lists", "refused", "other"]);
        let fixed = [Advice::on_lateness(), Advice::on_state(), Advice::on_configuration()];
        for advice in reasons.map(Advice::on).chain(fixed) {
            let title = advice.section.strip_prefix("exporter.md#").unwrap();
            assert!(page.contains(&format!("\n## {title}\n")), "{title}");
        }
    }
}
