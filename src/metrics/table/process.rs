//! The process, as the client library of Prometheus tells of it.

use super::{Family, Kind, Note, RowsFrom, Shown, Unit};
use crate::metrics::{Instance, Rows};

/// By name.
#[rustfmt::skip]
pub(super) static FAMILIES: &[Family] = &[
    Family {
        name: "process_cpu_seconds_total",
        help: "Total user and system CPU time spent in seconds.",
        unit: Unit::Seconds,
        labels: &[],
        kind: Kind::Counter,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| if let Some(&seconds) = instance.process.get("process_cpu_seconds_total") {
            rows.counter(&[], seconds);
        }),
        note: Note {
            from: "`/proc/self/stat`",
            blind: "which part of the exporter it was",
            series: "1",
            example: "rate(process_cpu_seconds_total[5m])",
        },
    },
    Family {
        name: "process_max_fds",
        help: "Maximum number of open file descriptors.",
        unit: Unit::Number,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| gauge("process_max_fds", instance, rows)),
        note: Note {
            from: "`/proc/self/limits`",
            blind: "limits of the machine as a whole",
            series: "1",
            example: "process_open_fds / process_max_fds",
        },
    },
    Family {
        name: "process_open_fds",
        help: "Number of open file descriptors.",
        unit: Unit::Number,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| gauge("process_open_fds", instance, rows)),
        note: Note {
            from: "`/proc/self/fd`",
            blind: "what they are",
            series: "1",
            example: "process_open_fds / process_max_fds",
        },
    },
    Family {
        name: "process_resident_memory_bytes",
        help: "Resident memory size in bytes.",
        unit: Unit::Bytes,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| gauge("process_resident_memory_bytes", instance, rows)),
        note: Note {
            from: "`/proc/self/stat`",
            blind: "what is kept in files",
            series: "1",
            example: "process_resident_memory_bytes",
        },
    },
    Family {
        name: "process_start_time_seconds",
        help: "Start time of the process since unix epoch in seconds.",
        unit: Unit::UnixSeconds,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| gauge("process_start_time_seconds", instance, rows)),
        note: Note {
            from: "`/proc/self/stat`",
            blind: "since when is counted: with state that is longer ago, see `kapso_exporter_watch_start_timestamp_seconds`",
            series: "1",
            example: "time() - process_start_time_seconds",
        },
    },
    Family {
        name: "process_threads",
        help: "Number of OS threads in the process.",
        unit: Unit::Number,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| gauge("process_threads", instance, rows)),
        note: Note {
            from: "`/proc/self/stat`",
            blind: "what they do",
            series: "1",
            example: "process_threads",
        },
    },
    Family {
        name: "process_virtual_memory_bytes",
        help: "Virtual memory size in bytes.",
        unit: Unit::Bytes,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| gauge("process_virtual_memory_bytes", instance, rows)),
        note: Note {
            from: "`/proc/self/stat`",
            blind: "how much of it is in use",
            series: "1",
            example: "process_virtual_memory_bytes",
        },
    },
];

/// What the client library tells under this name, on systems on which it tells anything.
fn gauge(name: &str, instance: &Instance, rows: &mut Rows<'_>) {
    if let Some(&value) = instance.process.get(name) {
        rows.gauge(&[], super::number(value));
    }
}
