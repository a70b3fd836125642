//! The web configuration file.

use super::{Family, Kind, Note, RowsFrom, Shown, Unit, flag};
use crate::model::unix_seconds;

/// By name.
#[rustfmt::skip]
pub(super) static FAMILIES: &[Family] = &[
    Family {
        name: "kapso_exporter_web_certificate_expiry_timestamp_seconds",
        help: "When the first certificate of the chain that is served ends.",
        unit: Unit::UnixSeconds,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| {
            if let Some(at) = instance.web.as_ref().and_then(|web| web.file.certificate_expires) {
                rows.gauge(&[], unix_seconds(at));
            }
        }),
        note: Note {
            from: "`cert` or `cert_file` of `--web.config.file`, as it is in force",
            blind: "certificates of clients and of their CA; whether anybody trusts the chain",
            series: "1 with TLS, or none",
            example: "(kapso_exporter_web_certificate_expiry_timestamp_seconds - time()) / 86400",
        },
    },
    Family {
        name: "kapso_exporter_web_config_last_reload_success_timestamp_seconds",
        help: "When the web configuration file that is in force was read.",
        unit: Unit::UnixSeconds,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| if let Some(web) = &instance.web {
            rows.gauge(&[], unix_seconds(web.file.loaded));
        }),
        note: Note {
            from: "the exporter's own clock",
            blind: "changes that were refused",
            series: "1 with `--web.config.file`, or none",
            example: "time() - kapso_exporter_web_config_last_reload_success_timestamp_seconds",
        },
    },
    Family {
        name: "kapso_exporter_web_config_last_reload_successful",
        help: "1 if the last change of the web configuration file, or of a file that it names, was taken over; 0 if it was refused, and what was before is in force.",
        unit: Unit::Flag,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| if let Some(web) = &instance.web {
            rows.gauge(&[], flag(web.file.successful));
        }),
        note: Note {
            from: "a look at the files each second; a change that is refused counts after ten",
            blind: "why: the log says it",
            series: "1 with `--web.config.file`, or none",
            example: "kapso_exporter_web_config_last_reload_successful == 0",
        },
    },
    Family {
        name: "kapso_exporter_web_requests_refused_total",
        help: "Requests that were refused because of a wrong password, because too many passwords waited to be verified, or by rate_limit.",
        unit: Unit::Number,
        labels: &["reason"],
        kind: Kind::Counter,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| if let Some(web) = &instance.web {
            for (reason, count) in web.refused {
                rows.counter(&[reason], count);
            }
        }),
        note: Note {
            from: "`basic_auth_users` and `rate_limit` of `--web.config.file`",
            blind: "requests without a password, as browsers send first; clients that TLS turns away; who they were",
            series: "3 with `--web.config.file`, or none",
            example: "increase(kapso_exporter_web_requests_refused_total{reason=\"wrong_password\"}[15m])",
        },
    },
];
