//! A project that is watched: its streams, and what sweeps them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    clock::Steady,
    crawl::{self, CrawlContext, CrawlScope, FollowUp, Heartbeat},
    kapso,
    model::{Api, Source},
    project::{Project, Stream},
    state::OpenedAccount,
    sweep::Sweeper,
    verification::Verification,
};

/// Requests of a sweep may wait for their turn in a budget that is nearly used up, and the sweep is alive.
const PATIENCE: Duration = Duration::from_mins(15);

/// A project with its streams.
pub struct WatchedProject {
    /// What is watched, and with what.
    pub project: Project,
    /// Each of its APIs.
    pub streams: BTreeMap<Api, Arc<Stream>>,
    /// Their accounts, and the claims to them.
    pub(super) accounts: BTreeMap<Api, OpenedAccount>,
    /// When watching began.
    pub(super) started: Steady,
}

impl WatchedProject {
    /// Each source, with its stream.
    pub fn sources(&self) -> impl Iterator<Item = (Source, &Arc<Stream>)> {
        let sources = self.project.config.sources.iter();
        sources.filter_map(|&source| Some((source, self.streams.get(&source.api())?)))
    }

    /// What verifies each claim, before its API is swept.
    #[must_use]
    pub fn verifications(&self) -> BTreeMap<Api, Arc<Verification>> {
        let Project { config, shutdown, .. } = &self.project;
        let verification = |(&api, stream): (&Api, &Arc<Stream>)| {
            let claim = self.accounts.get(&api)?.claim.clone();
            let (client, account) = (stream.client.clone(), stream.account.clone());
            let verification = Verification::new(client, account, claim, config.interval, shutdown.clone());
            Some((api, Arc::new(verification)))
        };
        self.streams.iter().filter_map(verification).collect()
    }

    /// What looks at the executions that webhook deliveries name, for each stream that takes any.
    pub fn follow_ups(&self) -> impl Iterator<Item = (Api, FollowUp)> {
        self.streams.iter().filter_map(|(&api, stream)| {
            let named = stream.webhook.as_ref()?.named.clone();
            Some((api, FollowUp::new(self.context(stream), named, self.project.config.interval)))
        })
    }

    fn context(&self, stream: &Stream) -> CrawlContext {
        CrawlContext {
            client: stream.client.clone(),
            account: stream.account.clone(),
            budget: stream.budget.clone(),
            started: self.started,
            heartbeat: Heartbeat::default(),
            changed: stream.changed.clone(),
        }
    }

    /// The loop of one source.
    #[must_use]
    pub fn sweeper(&self, source: Source, stream: &Stream) -> Sweeper {
        let Project { config, clock, shutdown, .. } = &self.project;
        let scope = CrawlScope {
            only: config.conversations.clone(),
            phone_number_ids: config.phone_number_ids.clone(),
            max_age: config.account.conversation_max_age,
            interval: config.interval,
            max_staleness: config.account.max_staleness,
            listed_by: crawl::listed_by(config.sources.iter().copied(), source.api()),
            is_optional: config.only_tries(source.api()),
        };
        Sweeper {
            source,
            is_optional: scope.is_optional,
            crawler: crawl::kind_of(source).crawler(self.context(stream), scope),
            interval: config.interval,
            patience: PATIENCE + kapso::longest_call(config.timeout),
            clock: clock.clone(),
            shutdown: shutdown.clone(),
        }
    }
}
