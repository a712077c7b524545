//! The place that the data comes from. A provider implements it.

use std::error::Error;

use tower_clerk::ClerkSession;
use uuid::Uuid;

use crate::events::Event;
use crate::filter::Filter;
use crate::model::{ProductFootprint, TransportActivity};
use crate::page::Page;
use crate::tad::ActivityFilter;

/// A provider's data. [`Sample`](crate::sample::Sample) is the one that the example serves.
///
/// Each method gets the session of the partner that asks: its user, and its organization if the host is set up for one.
/// Return only the data that this partner may see, and nothing about the rest: the host does no further check.
///
/// A list has to be in an order that doesn't change, with new entries last, since a page is a part of it and a partner may
/// ask for the same page for 180 s.
pub(crate) trait Source: Send + Sync + 'static {
    /// Lists the latest version of each footprint that meets the filter.
    fn footprints(
        &self,
        partner: &ClerkSession,
        filter: &Filter,
        page: Page,
    ) -> impl Future<Output = Result<Listed<ProductFootprint>, SourceError>> + Send;

    /// Returns the latest version of a footprint, or `None` if there is none that this partner may see.
    fn footprint(
        &self,
        partner: &ClerkSession,
        id: Uuid,
    ) -> impl Future<Output = Result<Option<ProductFootprint>, SourceError>> + Send;

    /// Lists the transport activities that meet the filter.
    fn activities(
        &self,
        partner: &ClerkSession,
        filter: &ActivityFilter,
        page: Page,
    ) -> impl Future<Output = Result<Listed<TransportActivity>, SourceError>> + Send;

    /// Takes a partner's event. Its form has been checked, its sender's claims about itself (`source`) have not.
    ///
    /// The partner is answered when this returns, so it stores the event, and does the work later. An event may come
    /// twice, with the same id.
    fn receive(
        &self,
        partner: &ClerkSession,
        event: Event,
    ) -> impl Future<Output = Result<(), SourceError>> + Send;
}

/// One page of a list.
#[derive(Debug)]
pub(crate) struct Listed<T> {
    pub(crate) entries: Vec<T>,
    /// Whether the list goes on after them.
    pub(crate) has_more: bool,
}

impl<T> Listed<T> {
    /// Takes a page out of the entries that meet the filter.
    pub(crate) fn of(entries: impl Iterator<Item = T>, page: Page) -> Self {
        let mut rest = entries.skip(page.offset);
        let entries: Vec<T> = rest.by_ref().take(page.limit).collect();
        Self { entries, has_more: rest.next().is_some() }
    }
}

/// Why a source has no answer.
#[derive(Debug)]
pub(crate) enum SourceError {
    /// The source can't do this, for example compare by this property. The partner reads the sentence.
    #[allow(dead_code, reason = "the data set is in memory, and can do all of it")]
    NotImplemented(&'static str),
    /// The source failed. The log has the error, the partner doesn't.
    #[allow(dead_code, reason = "the data set is in memory, and can't fail")]
    Failed(Box<dyn Error + Send + Sync>),
}
