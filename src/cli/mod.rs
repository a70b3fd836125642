//! The command line. Field docs are the help texts; every flag also reads an environment variable.
//! What follows from flags that are given together is in `arguments`.

#![allow(missing_docs, clippy::doc_markdown, reason = "doc comments here are help texts")]

mod arguments;
mod redacted;
mod reference;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, builder::BoolishValueParser};
use url::Url;

use self::redacted::RedactedValueParser;
pub use self::{arguments::parse, reference::reference};
use crate::{
    config::{
        BackfillConfig, KeyFrom, LogConfig, LogFormat, LogLevel, MetricsConfig, Raw, RawProject, RawState,
        RemoteWriteConfig, WebConfig,
        backfill::{self, Bound},
        parse,
        web::{Listen, ListenAddress},
    },
    model::{ConversationId, NativeHistograms, Source, WorkflowFilter},
    simulator::DEFAULT_KEY,
};

/// Prometheus exporter for Kapso: workflow executions, handoffs, failures and durations of WhatsApp automations.
///
/// Without a subcommand it serves. The API key of the project is read from the environment variable
/// KAPSO_API_KEY or from the file that --kapso.api-key-file names.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    pub serve: Serve,
    #[command(flatten)]
    pub log: Log,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do instead of serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Sweep every source once and write the metrics to stdout, or send them by remote write
    ///
    /// Reads everything that a first sweep reads, within the same budget of requests. In a large project that
    /// takes long: about as many minutes as there are conversations, divided by the requests per minute. On a
    /// terminal stderr shows how far it is. Exit codes: 0 complete; 1 something could not be read (the metrics are written all
    /// the same, kapso_up is 0, and stderr says what and why) or it was interrupted (nothing is written); 2 usage
    /// or configuration error. With --remote-write nothing is written to stdout; 1 also tells that the receiver did not take
    /// all of it.
    Once(Once),
    /// Verify configuration, key and reachability, and say what the exporter would do
    ///
    /// Sends at most 12 requests, however large the project is, and says how many it sent. Exit codes: 0 all is
    /// well; 1 something does not work, such as a key that is refused or an API that cannot be reached; 2 usage or
    /// configuration error.
    Check(Check),
    /// Write the counters of the past as files that Prometheus and VictoriaMetrics import
    ///
    /// Reads the executions of each workflow from the Platform API, within the budget of requests, and writes OpenMetrics
    /// text with timestamps: a file for each day, whose names go to stdout. What was read is kept in the folder as well, so
    /// that the same command goes on after an interruption. On a terminal stderr shows how far it is. Exit codes: 0 all
    /// was read and written; 1 something could not be read, or it was interrupted (no file is written); 2 usage or
    /// configuration error.
    Backfill(Backfill),
    /// Create the tables of the exporter in a PostgreSQL, or bring them to this version
    ///
    /// Needs a role that may create the schema kapso_exporter (CREATE on the database), or that owns it. Changes nothing
    /// where all is there. Exit codes: 0 the tables are those of this version; 1 they are not; 2 usage error.
    Migrate(StateUrl),
    /// Move what was counted from a PostgreSQL into a state file, or from a state file into a PostgreSQL
    #[command(subcommand)]
    State(StateCommand),
    /// Serve the simulated Kapso on its own, to point an exporter or a test at
    Simulate(Simulate),
}

/// Where what was counted is moved to.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Write what the database holds into a new state file
    ///
    /// All of it is of one moment. Replicas that run meanwhile go on counting in the database: stop them first where the
    /// file is to take over. Exit codes: 0 all was written; 1 it was not; 2 usage error.
    Export(Move),
    /// Write what a state file holds into the database
    ///
    /// No replica may run, and of no project in the file may the database know anything. All or nothing. Exit codes: 0
    /// all was written; 1 nothing was; 2 usage error.
    Import(Move),
}

/// Flags of `state export` and `state import`.
#[derive(Debug, Args)]
pub struct Move {
    /// The state file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub url: StateUrl,
}

/// Flags of serving.
#[derive(Debug, Args)]
pub struct Serve {
    #[command(flatten)]
    pub watch: Watch,
    #[command(flatten)]
    pub web: Web,
}

/// Flags of `once`.
#[derive(Debug, Args)]
pub struct Once {
    #[command(flatten)]
    pub watch: Watch,
    #[command(flatten)]
    pub remote_write: RemoteWrite,
}

/// Where the metrics are sent, where nothing can scrape.
#[derive(Debug, Args)]
#[command(next_help_heading = "Remote write")]
pub struct RemoteWrite {
    /// Send the metrics to this receiver by Prometheus remote write 1.0, instead of writing them to stdout
    #[arg(long = "remote-write", env = "KAPSO_EXPORTER_REMOTE_WRITE", value_name = "URL", hide_env_values = true,
        value_parser = RedactedValueParser(parse::remote_write_url))]
    pub url: Option<Url>,
    /// YAML file for passwords, tokens, TLS, headers and a proxy, in the format of Prometheus' HTTP client configuration
    #[arg(
        long = "remote-write.config.file",
        env = "KAPSO_EXPORTER_REMOTE_WRITE_CONFIG_FILE",
        value_name = "FILE",
        requires = "url"
    )]
    pub file: Option<PathBuf>,
    /// Label that every series gets (repeatable); job=kapso-exporter is added unless job is given, and one without a
    /// value is left out
    #[arg(long = "remote-write.label", env = "KAPSO_EXPORTER_REMOTE_WRITE_LABEL", value_name = "NAME=VALUE",
        value_delimiter = ',', value_parser = parse::remote_write_label, requires = "url")]
    pub labels: Vec<(String, String)>,
}

/// Flags of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Verify the configuration alone and send no request
    #[arg(long, env = "KAPSO_EXPORTER_OFFLINE", value_parser = BoolishValueParser::new())]
    pub offline: bool,
    /// How the report is written
    #[arg(long, env = "KAPSO_EXPORTER_OUTPUT", value_name = "FORMAT", default_value = "text")]
    pub output: Output,
    #[command(flatten)]
    pub watch: Watch,
    #[command(flatten)]
    pub web: WebFile,
}

/// Flags of `backfill`.
#[derive(Debug, Args)]
pub struct Backfill {
    #[command(flatten)]
    pub what: What,
    #[command(flatten)]
    pub watch: Watch,
}

/// What is backfilled, and to where.
#[derive(Debug, Args)]
pub struct What {
    /// Where to begin: how long before the end, or a moment
    #[arg(long, env = "KAPSO_EXPORTER_SINCE", value_name = "TIME", value_parser = backfill::since)]
    pub since: Bound,
    /// Where to end; without it now. Beside an exporter that runs, the value of its metric
    /// kapso_exporter_watch_start_timestamp_seconds: then each event is counted once, by the one or the other
    #[arg(long, env = "KAPSO_EXPORTER_UNTIL", value_name = "TIME", value_parser = backfill::until)]
    pub until: Option<Bound>,
    /// Folder for the files, and for what was read so far
    #[arg(long, env = "KAPSO_EXPORTER_OUTPUT", value_name = "DIR")]
    pub output: PathBuf,
    /// From one sample to the next
    #[arg(long, env = "KAPSO_EXPORTER_STEP", value_name = "DURATION", default_value = "1m", value_parser = backfill::step)]
    pub step: Duration,
    /// A label of every series beside the exporter's own (repeatable). Series go on in those of a scrape if they have
    /// the same labels, which are job and instance as a rule
    #[arg(long = "label", env = "KAPSO_EXPORTER_LABEL", value_name = "NAME=VALUE", value_delimiter = ',',
        value_parser = backfill::label)]
    pub labels: Vec<(String, String)>,
}

/// Formats of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Text,
    Json,
}

/// What is watched, and how: the flags that serving, `once`, `check` and `backfill` share.
#[derive(Debug, Args)]
pub struct Watch {
    /// Watch the embedded simulated Kapso: lifelike traffic, no key needed. Both APIs, every 5s, with series of their
    /// own for ten conversations, unless told otherwise. --demo=false is as if it were absent
    #[arg(long, env = "KAPSO_EXPORTER_DEMO", value_parser = BoolishValueParser::new(), action = ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false",
        value_name = "BOOL", hide_default_value = true)]
    pub demo: bool,
    /// YAML file for several projects, filters and buckets, instead of the flags below Kapso, Scraping Kapso and Metrics and
    /// of KAPSO_API_KEY. Serving, it is read again after SIGHUP, POST /-/reload and whenever it changes
    #[arg(
        long = "config.file",
        env = "KAPSO_EXPORTER_CONFIG_FILE",
        value_name = "FILE",
        help_heading = "Configuration file"
    )]
    pub config_file: Option<PathBuf>,
    #[command(flatten)]
    pub kapso: Kapso,
    #[command(flatten)]
    pub scrape: Scrape,
    #[command(flatten)]
    pub metrics: Metrics,
    #[command(flatten)]
    pub state: State,
}

/// What survives a restart.
#[derive(Debug, Args)]
#[command(next_help_heading = "State")]
pub struct State {
    /// File in which counters and what is known survive a restart; without it they are kept in memory alone, and a
    /// restart starts counting afresh
    #[arg(long = "state.path", env = "KAPSO_EXPORTER_STATE_PATH", value_name = "FILE")]
    pub path: Option<PathBuf>,
    /// How long the state of a project, or of an API of it, is kept that is no longer watched
    #[arg(long = "state.retention", env = "KAPSO_EXPORTER_STATE_RETENTION", value_name = "DURATION",
        default_value = "7d", value_parser = parse::retention)]
    pub retention: Duration,
    #[command(flatten)]
    pub url: StateUrl,
    /// Let the program create and change its tables in the database
    #[arg(long = "state.migrate", env = "KAPSO_EXPORTER_STATE_MIGRATE", value_parser = BoolishValueParser::new())]
    pub migrate: bool,
    /// With a database: the label instance of what the owner of a project shows, the same for all replicas
    #[arg(long = "replica.instance-label", env = "KAPSO_EXPORTER_REPLICA_INSTANCE_LABEL", value_name = "VALUE",
        default_value = "kapso", value_parser = parse::instance_label, help_heading = "Replicas")]
    pub instance_label: String,
    /// With a database: how long a replica may watch a project after it was last heard of, before another one takes it
    /// over
    #[arg(long = "replica.lease-ttl", env = "KAPSO_EXPORTER_REPLICA_LEASE_TTL", value_name = "DURATION",
        default_value = "15s", value_parser = parse::lease_ttl, help_heading = "Replicas")]
    pub lease_ttl: Duration,
}

/// The database that replicas share.
#[derive(Debug, Args)]
#[command(next_help_heading = "State")]
pub struct StateUrl {
    /// File with the URL of a PostgreSQL that several replicas share, postgres://…, instead of the environment variable
    /// KAPSO_EXPORTER_STATE_URL; not together with --state.path
    #[arg(long = "state.url-file", env = "KAPSO_EXPORTER_STATE_URL_FILE", value_name = "FILE")]
    pub url_file: Option<PathBuf>,
}

/// Where Kapso is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Kapso")]
pub struct Kapso {
    /// File that holds the API key, instead of the environment variable KAPSO_API_KEY
    #[arg(long = "kapso.api-key-file", env = "KAPSO_EXPORTER_KAPSO_API_KEY_FILE", value_name = "FILE")]
    pub api_key_file: Option<PathBuf>,
    /// Base URL of the Platform API
    #[arg(long = "kapso.platform-url", env = "KAPSO_EXPORTER_KAPSO_PLATFORM_URL", value_name = "URL",
        default_value = "https://api.kapso.ai/platform/v1", value_parser = RedactedValueParser(parse::url))]
    pub platform_url: Url,
    /// Base URL of the legacy API
    #[arg(long = "kapso.legacy-url", env = "KAPSO_EXPORTER_KAPSO_LEGACY_URL", value_name = "URL",
        default_value = "https://app.kapso.ai/api/v1", value_parser = RedactedValueParser(parse::url))]
    pub legacy_url: Url,
}

/// What is asked, and how often.
#[derive(Debug, Args)]
#[command(next_help_heading = "Scraping Kapso")]
pub struct Scrape {
    /// What to watch, comma-separated: auto (Platform API: each execution by the list that shows it with the fewest
    /// requests; adds agents once the legacy API shows any), conversations (Platform API: flow executions per
    /// conversation), workflows (Platform API: executions per workflow, also those without a conversation), agents
    /// (legacy API: agent executions per conversation)
    #[arg(long = "scrape.source", env = "KAPSO_EXPORTER_SCRAPE_SOURCE", value_name = "SOURCE",
        value_delimiter = ',', default_value = "auto", value_parser = parse::source)]
    pub source: Vec<Source>,
    /// Watch these conversations only (repeatable; not with the source workflows); without it they are discovered
    #[arg(long = "scrape.conversation", env = "KAPSO_EXPORTER_SCRAPE_CONVERSATION", value_name = "ID",
        value_delimiter = ',', value_parser = parse::conversation)]
    pub conversation: Vec<ConversationId>,
    /// From one sweep's start to the next
    #[arg(long = "scrape.interval", env = "KAPSO_EXPORTER_SCRAPE_INTERVAL", value_name = "DURATION",
        default_value = "60s", value_parser = parse::interval)]
    pub interval: Duration,
    /// How long a finished execution stays in the current-state gauges
    #[arg(long = "scrape.lookback", env = "KAPSO_EXPORTER_SCRAPE_LOOKBACK", value_name = "DURATION",
        default_value = "24h", value_parser = parse::lookback)]
    pub lookback: Duration,
    /// A conversation without activity for longer, and without open executions, is left alone
    #[arg(long = "scrape.conversation-max-age", env = "KAPSO_EXPORTER_SCRAPE_CONVERSATION_MAX_AGE",
        value_name = "DURATION", default_value = "7d", value_parser = parse::max_age)]
    pub conversation_max_age: Duration,
    /// If nothing was learned for so long, the gauges of the current state are withdrawn instead of frozen; ten
    /// times the interval, at least 10m, unless given
    #[arg(long = "scrape.max-staleness", env = "KAPSO_EXPORTER_SCRAPE_MAX_STALENESS", value_name = "DURATION",
        value_parser = parse::max_staleness)]
    pub max_staleness: Option<Duration>,
    /// The exporter's own request budget; without it half of the limit that the API reports (of 100 until it
    /// has said), so that the production bot on the same key never starves
    #[arg(long = "scrape.requests-per-minute", env = "KAPSO_EXPORTER_SCRAPE_REQUESTS_PER_MINUTE",
        value_name = "N", value_parser = parse::requests_per_minute)]
    pub requests_per_minute: Option<u32>,
    /// For one API request, everything included
    #[arg(long = "scrape.timeout", env = "KAPSO_EXPORTER_SCRAPE_TIMEOUT", value_name = "DURATION",
        default_value = "10s", value_parser = parse::timeout)]
    pub timeout: Duration,
}

/// How much is published.
#[derive(Debug, Args)]
#[command(next_help_heading = "Metrics")]
pub struct Metrics {
    /// Bound on the series of all workflows and steps together; what is beyond it is added up under "other"
    #[arg(long = "metrics.max-series", env = "KAPSO_EXPORTER_METRICS_MAX_SERIES", value_name = "N",
        default_value = "50000", value_parser = parse::max_series)]
    pub max_series: usize,
    /// Publish series of their own for this many conversations, those with the newest events; the rest is added
    /// up under "other". 0 publishes none
    #[arg(long = "metrics.max-conversations", env = "KAPSO_EXPORTER_METRICS_MAX_CONVERSATIONS",
        value_name = "N", default_value = "0",
        value_parser = parse::max_conversations)]
    pub max_conversations: usize,
    /// Publish the ids of executions as exemplars of failures, handoffs, durations and detection delays, where the format
    /// has them (OpenMetrics, protobuf). The ids are opaque and tell nothing of a customer
    #[arg(long = "metrics.exemplars", env = "KAPSO_EXPORTER_METRICS_EXEMPLARS", value_name = "BOOL",
        value_parser = BoolishValueParser::new(), action = ArgAction::Set, num_args = 0..=1,
        require_equals = true, default_missing_value = "true", default_value = "true")]
    pub exemplars: bool,
    /// Publish native histograms, where the format has them (protobuf): off, on (beside the classic buckets), only
    /// (without the classic buckets, in every format)
    #[arg(long = "metrics.native-histograms", env = "KAPSO_EXPORTER_METRICS_NATIVE_HISTOGRAMS",
        value_name = "MODE", default_value = "off", value_parser = parse::native_histograms)]
    pub native_histograms: NativeHistograms,
}

/// What is served where.
#[derive(Debug, Args)]
#[command(next_help_heading = "Web")]
pub struct Web {
    /// Address to listen on (repeatable); without a host, every address of the machine; unix:/path is a socket in the
    /// file system
    #[arg(long = "web.listen-address", env = "KAPSO_EXPORTER_WEB_LISTEN_ADDRESS",
        value_name = "ADDRESS", value_delimiter = ',', default_value = ":10110",
        value_parser = parse::listen_address)]
    pub listen_address: Vec<ListenAddress>,
    /// Listen on the sockets that systemd hands over (socket activation), instead of --web.listen-address
    #[arg(long = "web.systemd-socket", env = "KAPSO_EXPORTER_WEB_SYSTEMD_SOCKET",
        value_parser = BoolishValueParser::new())]
    pub systemd_socket: bool,
    /// Path of the metrics
    #[arg(long = "web.telemetry-path", env = "KAPSO_EXPORTER_WEB_TELEMETRY_PATH", value_name = "PATH",
        default_value = "/metrics", value_parser = parse::telemetry_path)]
    pub telemetry_path: String,
    #[command(flatten)]
    pub file: WebFile,
}

/// Who may ask, and over what.
#[derive(Debug, Args)]
#[command(next_help_heading = "Web")]
pub struct WebFile {
    /// YAML file for TLS, passwords, headers and a rate limit, in the format of the Prometheus exporter-toolkit; it is read
    /// again when it or a file that it names changes
    #[arg(long = "web.config.file", env = "KAPSO_EXPORTER_WEB_CONFIG_FILE", value_name = "FILE")]
    pub web_config_file: Option<PathBuf>,
}

/// What is logged, to stderr.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
pub struct Log {
    /// The least level to log
    #[arg(
        long = "log.level",
        env = "KAPSO_EXPORTER_LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "info",
        global = true
    )]
    pub level: LogLevel,
    /// How a line of the log is written, to stderr
    #[arg(
        long = "log.format",
        env = "KAPSO_EXPORTER_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "logfmt",
        global = true
    )]
    pub format: LogFormat,
}

/// Flags of the simulated Kapso.
#[derive(Debug, Args)]
pub struct Simulate {
    /// Address to listen on
    #[arg(long = "web.listen-address", value_name = "[HOST]:PORT", default_value = "127.0.0.1:10111",
        value_parser = parse::tcp_address)]
    pub listen_address: String,
    /// Seed of everything random
    #[arg(long, default_value = "1")]
    pub seed: u64,
    /// The API key to accept
    #[arg(long, value_name = "KEY", default_value = DEFAULT_KEY)]
    pub key: String,
    /// Accept so many further keys, KEY-1 and so on, as if each were of a project of its own with the same content
    #[arg(long, value_name = "N", default_value = "0")]
    pub keys: u32,
    /// Workflows; without it six, with names of their own
    #[arg(long, value_name = "N")]
    pub workflows: Option<usize>,
    /// Conversations at the start
    #[arg(long, value_name = "N", default_value = "60")]
    pub conversations: usize,
    /// Executions at the start that are over, on each API
    #[arg(long, value_name = "N", default_value = "240")]
    pub history: usize,
    /// Of how much time before the start they are
    #[arg(long, value_name = "DURATION", default_value = "3d", value_parser = parse::history_span)]
    pub history_span: Duration,
    /// Executions at the start that are open, on each API
    #[arg(long, value_name = "N", default_value = "18")]
    pub open_history: usize,
    /// Executions that start per minute, on each API
    #[arg(long, value_name = "N", default_value = "12")]
    pub starts_per_minute: f64,
    /// Requests per minute that the key may make; 0 is unlimited
    #[arg(long, value_name = "N", default_value = "2000")]
    pub rate_limit: u32,
    /// Wait before every answer
    #[arg(long, value_name = "DURATION", default_value = "25ms", value_parser = parse::latency)]
    pub latency: Duration,
    /// Spoil one request in so many, in every way it knows; 0 spoils none
    #[arg(long, value_name = "N", default_value = "0")]
    pub fault_one_in: u32,
}

impl From<Watch> for Raw {
    fn from(flags: Watch) -> Self {
        let key = match flags.kapso.api_key_file {
            _ if flags.demo => KeyFrom::Value(DEFAULT_KEY.into()),
            Some(path) => KeyFrom::File(path),
            None => KeyFrom::Variable,
        };
        let scrape = flags.scrape;
        let project = RawProject {
            name: "default".into(),
            key,
            platform_url: flags.kapso.platform_url,
            legacy_url: flags.kapso.legacy_url,
            embedded: flags.demo,
            sources: scrape.source,
            conversations: scrape.conversation,
            phone_number_ids: Vec::new(),
            workflows: WorkflowFilter::default(),
            agents: BTreeMap::new(),
            handoff_reasons: Vec::new(),
            webhook_secrets: Vec::new(),
            interval: scrape.interval,
            timeout: scrape.timeout,
            requests_per_minute: scrape.requests_per_minute,
            lookback: scrape.lookback,
            conversation_max_age: scrape.conversation_max_age,
            max_staleness: scrape.max_staleness,
        };
        let Metrics { max_series, max_conversations, exemplars, native_histograms } = flags.metrics;
        let metrics = MetricsConfig { max_series, max_conversations, exemplars, native_histograms };
        Self {
            projects: vec![project],
            metrics,
            state: flags.state.into(),
            file: None,
            secret_files: Vec::new(),
            text: String::new(),
        }
    }
}

impl From<What> for BackfillConfig {
    fn from(flags: What) -> Self {
        let What { since, until, output, step, labels } = flags;
        Self { since, until, output, step, labels }
    }
}

impl From<State> for RawState {
    fn from(flags: State) -> Self {
        let State { path, retention, url: StateUrl { url_file }, migrate, instance_label, lease_ttl } = flags;
        Self { path, retention, url_file, migrate, instance_label, lease_ttl }
    }
}

impl From<Web> for WebConfig {
    fn from(flags: Web) -> Self {
        let listen =
            if flags.systemd_socket { Listen::Systemd } else { Listen::Addresses(flags.listen_address) };
        Self { listen, telemetry_path: flags.telemetry_path, file: flags.file.web_config_file }
    }
}

impl RemoteWrite {
    /// Where the metrics are sent, if they are.
    #[must_use]
    pub fn config(self) -> Option<RemoteWriteConfig> {
        let Self { url, file, labels } = self;
        url.map(|url| RemoteWriteConfig { url, labels, file })
    }
}

impl From<&Log> for LogConfig {
    fn from(flags: &Log) -> Self {
        Self { level: flags.level, format: flags.format }
    }
}
