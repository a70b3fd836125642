//! Replicas that share a state. Without one there is none of these.

use super::{Family, Kind, Note, RowsFrom, Shown, Unit, flag, number};

/// By name.
#[rustfmt::skip]
pub(super) static FAMILIES: &[Family] = &[
    Family {
        name: "kapso_exporter_lease_acquired_total",
        help: "Leases of API keys that this replica acquired.",
        unit: Unit::Number,
        labels: &[],
        kind: Kind::Counter,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| if let Some(replica) = &instance.replica {
            rows.counter(&[], replica.acquired);
        }),
        note: Note {
            from: "the table of leases in the database of `KAPSO_EXPORTER_STATE_URL`",
            blind: "renewals of a lease that it holds",
            series: "1 with a shared state, or none",
            example: "sum(increase(kapso_exporter_lease_acquired_total[15m]))",
        },
    },
    Family {
        name: "kapso_exporter_lease_held",
        help: "1 if this replica holds the lease of the project's API key, and so shows the project; 0 for every other project that is configured.",
        unit: Unit::Flag,
        labels: &["project"],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| if let Some(replica) = &instance.replica {
            for (project, is_held) in &replica.held {
                rows.gauge(&[project], flag(*is_held));
            }
        }),
        note: Note {
            from: "the leases that this replica trusts by its own clock",
            blind: "replicas that cannot be scraped",
            series: "1 per configured project with a shared state, or none",
            example: "sum by (project) (kapso_exporter_lease_held) != 1",
        },
    },
    Family {
        name: "kapso_exporter_lease_lost_total",
        help: "Leases of API keys that this replica no longer has: handed_over (it stopped or had too many), expired (not renewed in time), fenced (another had it already when this one wanted to write).",
        unit: Unit::Number,
        labels: &["reason"],
        kind: Kind::Counter,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| if let Some(replica) = &instance.replica {
            for (reason, count) in replica.lost {
                rows.counter(&[reason], count);
            }
        }),
        note: Note {
            from: "the table of leases in the database of `KAPSO_EXPORTER_STATE_URL`, and this replica's own clock",
            blind: "leases of a replica that was killed; which projects they were: the log says it",
            series: "3 with a shared state, or none",
            example: "sum by (reason) (increase(kapso_exporter_lease_lost_total[15m]))",
        },
    },
    Family {
        name: "kapso_exporter_leases",
        help: "Leases of API keys that this replica holds. Projects with the same key share one.",
        unit: Unit::Number,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| if let Some(replica) = &instance.replica {
            rows.gauge(&[], number(replica.leases));
        }),
        note: Note {
            from: "the leases that this replica trusts by its own clock",
            blind: "what they cost: shares are even by cost, not by number",
            series: "1 with a shared state, or none",
            example: "kapso_exporter_leases",
        },
    },
    Family {
        name: "kapso_exporter_replicas",
        help: "Replicas whose heartbeat is alive in the shared state, this one included.",
        unit: Unit::Number,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| if let Some(replica) = &instance.replica {
            rows.gauge(&[], number(replica.replicas));
        }),
        note: Note {
            from: "the table of replicas in the database of `KAPSO_EXPORTER_STATE_URL`",
            blind: "whether Prometheus can reach them: that is `up`",
            series: "1 with a shared state, or none",
            example: "min(kapso_exporter_replicas) < count(up{job=\"kapso\"})",
        },
    },
    Family {
        name: "kapso_exporter_store_errors_total",
        help: "Requests to the shared state that failed, by operation: lease (leases and heartbeats), read and write (accounts), delivery (webhook deliveries).",
        unit: Unit::Number,
        labels: &["operation"],
        kind: Kind::Counter,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| if let Some(replica) = &instance.replica {
            for (operation, figures) in &replica.store {
                rows.counter(&[operation], figures.errors);
            }
        }),
        note: Note {
            from: "each request to the database of `KAPSO_EXPORTER_STATE_URL`",
            blind: "why: the log says it",
            series: "4 with a shared state, or none",
            example: "sum by (operation) (increase(kapso_exporter_store_errors_total[15m])) > 0",
        },
    },
    Family {
        name: "kapso_exporter_store_older_total",
        help: "Accounts that were found older in the shared state than this replica had written them, as after a backup was restored or a failover lost the last transactions.",
        unit: Unit::Number,
        labels: &[],
        kind: Kind::Counter,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| if let Some(replica) = &instance.replica {
            rows.counter(&[], replica.older);
        }),
        note: Note {
            from: "the generation of each account in the database, against the one in memory",
            blind: "what was lost before this replica had written or read the account",
            series: "1 with a shared state, or none",
            example: "increase(kapso_exporter_store_older_total[1h]) > 0",
        },
    },
    Family {
        name: "kapso_exporter_store_request_duration_seconds",
        help: "How long requests to the shared state took, those that failed included, by operation: lease (leases and heartbeats), read and write (accounts), delivery (webhook deliveries).",
        unit: Unit::Seconds,
        labels: &["operation"],
        kind: Kind::Histogram,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| if let Some(replica) = &instance.replica {
            for (operation, figures) in &replica.store {
                rows.histogram(&[operation], &figures.durations);
            }
        }),
        note: Note {
            from: "the exporter's own clock",
            blind: "where the time goes: network, pooler or database",
            series: "16 per operation with a shared state, or none",
            example: "histogram_quantile(0.95, sum by (le, operation) (rate(kapso_exporter_store_request_duration_seconds_bucket[5m])))",
        },
    },
    Family {
        name: "kapso_exporter_store_up",
        help: "1 if the database of the shared state answered when it was last asked. While it does not, leases run out and their projects are withdrawn.",
        unit: Unit::Flag,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| if let Some(replica) = &instance.replica {
            rows.gauge(&[], flag(replica.store_up));
        }),
        note: Note {
            from: "the last request to the database of `KAPSO_EXPORTER_STATE_URL`",
            blind: "how slow it is: see `kapso_exporter_store_request_duration_seconds`",
            series: "1 with a shared state, or none",
            example: "kapso_exporter_store_up == 0",
        },
    },
];
