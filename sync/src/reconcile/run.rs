//! The steps of one reconciliation (rule Y6).

use std::collections::{HashMap, HashSet};

use tower_clerk::backend::BackendClient;

use super::CONFIRMED_AGAIN;
use super::abort::{Abort, Stop};
use super::bounds;
use super::confirm::{Candidate, Candidates};
use super::report::{KindReport, ReconcileMode, ReconcileReport};
use super::scan::Scanned;
use super::seen::Seen;
use crate::kind::Kind;
use crate::mirror::{Fence, Mirror};
use crate::progress::{Observer, Progress};

/// A reconciliation that is under way.
pub(super) struct Run<'a> {
    pub(super) mirror: &'a Mirror,
    pub(super) client: &'a BackendClient,
    pub(super) observer: &'a Observer,
    /// `None` if nothing is to be written.
    pub(super) fence: Option<&'a Fence>,
    pub(super) is_forced: bool,
    pub(super) page_size: u32,
    /// Clerk's time at the beginning, in ms.
    pub(super) started_at: i64,
    pub(super) report: &'a mut ReconcileReport,
}

impl Run<'_> {
    pub(super) async fn steps(&mut self) -> Result<(), Stop> {
        let mut scans = HashMap::new();
        for kind in Kind::ALL {
            scans.insert(kind, self.scan(kind).await?);
        }
        let mut candidates = self.candidates(&scans).await?;
        self.confirm(&mut candidates).await?;
        self.check_bounds(&candidates)?;
        // Parents first: a membership comes back after its user.
        let doubtful =
            Kind::ALL.map(|kind| (kind, scans.remove(&kind).map_or_else(Vec::new, |scan| scan.doubtful)));
        if !candidates.is_empty() || doubtful.iter().any(|(_, rows)| !rows.is_empty()) {
            self.observer.tell(Progress::Waiting { time: CONFIRMED_AGAIN });
            tokio::time::sleep(CONFIRMED_AGAIN).await;
        }
        self.confirm(&mut candidates).await?;
        for (kind, rows) in doubtful {
            for row in rows {
                self.reread(kind, &row).await?;
            }
        }
        self.delete(candidates).await?;
        for kind in Kind::ALL {
            self.report(kind).after = self.mirror.count_live(kind).await?;
        }
        Ok(())
    }

    pub(super) fn report(&mut self, kind: Kind) -> &mut KindReport {
        match kind {
            Kind::User => &mut self.report.users,
            Kind::Organization => &mut self.report.organizations,
            Kind::Membership => &mut self.report.memberships,
        }
    }

    pub(super) fn is_repair(&self) -> bool {
        self.report.mode == ReconcileMode::Repair
    }

    /// Clerk's `Date` has whole seconds, so the beginning may be up to this time.
    pub(super) fn end_of_beginning(&self) -> i64 {
        self.started_at + 1_000
    }

    /// Gives up for this reason, unless the run is forced.
    pub(super) fn check(&self, abort: Abort) -> Result<(), Abort> {
        if self.is_forced { Ok(()) } else { Err(abort) }
    }

    /// The rows that the scans haven't shown.
    async fn candidates(&self, scans: &HashMap<Kind, Scanned>) -> Result<AllCandidates, Stop> {
        let mut all = AllCandidates::default();
        for kind in Kind::ALL {
            let Some(scan) = scans.get(&kind) else { continue };
            let before = self.end_of_beginning();
            let unseen = |id: &str| !scan.seen.contains(id);
            let rows = self.mirror.untouched(kind, before, unseen).await?;
            match kind {
                Kind::User => all.users = Candidates { kind, rows },
                Kind::Organization => all.organizations = Candidates { kind, rows },
                Kind::Membership => all.memberships = Candidates { kind, rows },
            }
        }
        if let Some(scan) = scans.get(&Kind::Organization) {
            all.note_strangers(&scan.seen);
        }
        Ok(all)
    }

    async fn confirm(&self, all: &mut AllCandidates) -> Result<(), Stop> {
        let nothing = HashSet::new();
        for some in [&mut all.users, &mut all.organizations, &mut all.strangers] {
            self.tell(some);
            some.confirm(self.client, &nothing).await?;
        }
        all.leave_to_parents();
        let gone = all.strangers.rows.iter().map(|row| row.id.clone()).collect();
        self.tell(&all.memberships);
        all.memberships.confirm(self.client, &gone).await
    }

    fn tell(&self, candidates: &Candidates) {
        let rows = u64::try_from(candidates.rows.len()).unwrap_or(u64::MAX);
        if rows > 0 {
            self.observer.tell(Progress::Confirming { kind: candidates.kind, rows });
        }
    }

    fn check_bounds(&mut self, all: &AllCandidates) -> Result<(), Stop> {
        for some in [&all.users, &all.organizations, &all.memberships] {
            let rows = u64::try_from(some.rows.len()).unwrap_or(u64::MAX);
            let most = bounds::most_deletions(self.report(some.kind).before);
            // A report deletes nothing.
            if rows > most && self.is_repair() {
                self.check(Abort::TooMany { kind: some.kind, rows, most })?;
            }
        }
        Ok(())
    }

    async fn delete(&mut self, all: AllCandidates) -> Result<(), Stop> {
        for some in [all.users, all.organizations, all.memberships] {
            let mut extra = some.rows.len();
            if self.is_repair() {
                let rows: Vec<(String, i64)> =
                    some.rows.into_iter().map(|row| (row.id, row.revision)).collect();
                extra = 0;
                for rows in rows.chunks(500) {
                    // A row that was touched since is no difference: it was written by a later event.
                    extra += self.mirror.tombstone(some.kind, rows, self.fence).await?.len();
                }
            }
            self.report(some.kind).extra = u64::try_from(extra).unwrap_or(u64::MAX);
        }
        Ok(())
    }
}

/// The candidates of all kinds.
#[derive(Debug)]
struct AllCandidates {
    users: Candidates,
    organizations: Candidates,
    memberships: Candidates,
    /// Organizations that neither the mirror nor Clerk's list has, and that candidates among the memberships belong to.
    strangers: Candidates,
}

impl Default for AllCandidates {
    fn default() -> Self {
        let none = |kind| Candidates { kind, rows: Vec::new() };
        Self {
            users: none(Kind::User),
            organizations: none(Kind::Organization),
            memberships: none(Kind::Membership),
            strangers: none(Kind::Organization),
        }
    }
}

impl AllCandidates {
    fn is_empty(&self) -> bool {
        let all = [&self.users, &self.organizations, &self.memberships];
        all.iter().all(|some| some.rows.is_empty())
    }

    fn note_strangers(&mut self, seen: &Seen) {
        let known: HashSet<&str> = self.organizations.rows.iter().map(|row| &*row.id).collect();
        let strangers: HashSet<&str> = self
            .memberships
            .rows
            .iter()
            .map(|row| &*row.organization_id)
            .filter(|id| !seen.contains(id) && !known.contains(id))
            .collect();
        self.strangers.rows = strangers.into_iter().map(Candidate::stranger).collect();
    }

    /// Leaves out the memberships of users and organizations that are gone: the tombstone of those covers them.
    fn leave_to_parents(&mut self) {
        let ids = |some: &Candidates| some.rows.iter().map(|row| row.id.clone()).collect::<HashSet<_>>();
        let (users, organizations) = (ids(&self.users), ids(&self.organizations));
        self.memberships
            .rows
            .retain(|row| !users.contains(&row.user_id) && !organizations.contains(&row.organization_id));
    }
}
