//! Opening Clerk sessions by ticket, and going on with those that were opened before.
//!
//! A session's id is no secret on this road, since minting for it takes the key. So it is kept for as long as Clerk
//! keeps the session, beyond the entry that it was opened for and beyond a restart, and a sign-in is spent once in days.
//! Only ids that were opened here are used: a browser's session of the same user is the browser's.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Opened;
use super::backend::{Backend, Known};
use crate::clerk_api::fapi::{Proof, SignedIn};
use crate::clerk_api::{Fault, Meaning, TimeLeft};
use crate::kept::StoredSession;
use crate::limits::{NoPermit, PermitRequest, Share};
use crate::membership::Membership;
use crate::scope::OrganizationName;
use crate::sessions::{Generation, Session, Target};

/// A session that ends sooner is replaced.
const TOO_SHORT: Duration = Duration::from_secs(60);

/// What is taken for a session's life where Clerk doesn't say: its shortest setting (five minutes).
const LEAST_LIFE: Duration = Duration::from_secs(5 * 60);

impl Backend {
    /// A session of this user: for the organization that is asked for first, where the user is a member, or for none.
    pub(super) async fn open(
        &self,
        user_id: &str,
        organization: Option<&OrganizationName>,
        since: Generation,
        time: &mut TimeLeft,
    ) -> Result<Opened, Fault> {
        if organization.is_some() {
            match self.open_for(user_id, organization, since, time).await {
                Err(fault) if fault.meaning == Meaning::OrganizationForbidden => {}
                answer => return answer,
            }
        }
        self.open_for(user_id, None, since, time).await
    }

    /// A session of this user for this organization or for none: what is kept, or a new one.
    ///
    /// One that was revoked since its flight has started is not kept, so that no other flight goes on with it.
    pub(crate) async fn open_for(
        &self,
        user_id: &str,
        organization: Option<&OrganizationName>,
        since: Generation,
        time: &mut TimeLeft,
    ) -> Result<Opened, Fault> {
        if let Some(kept) = self.kept(user_id, organization).await {
            return Ok(Opened::Kept(kept));
        }
        // Whether the user is a member is asked before a sign-in is spent on it.
        let id = match organization {
            None => None,
            Some(organization) => {
                let memberships = self.bapi.memberships(user_id, time).await?;
                let id = Membership::find(&memberships, organization);
                let not_a_member = || Fault::coded(Meaning::OrganizationForbidden, "not_a_member");
                Some(id.ok_or_else(not_a_member)?.to_owned())
            }
        };
        // One at a time per user: who comes second finds what the first has opened.
        let identifier = self.secret.user(user_id);
        let wish = PermitRequest { share: Share::Proven, identifier, source: None, renewal: None };
        let mut permit = self.sign_ins.permit(wish).await.map_err(|NoPermit { earliest }| {
            let retry_after = Some(earliest.max(Duration::from_secs(1)));
            Fault { retry_after, ..Fault::coded(Meaning::NoTurn, "sign_in_budget") }
        })?;
        if let Some(kept) = self.kept(user_id, organization).await {
            return Ok(Opened::Kept(kept));
        }
        let ticket = self.bapi.ticket(user_id, id.as_deref(), time).await.map_err(|fault| {
            // The user is gone since the password was verified.
            let gone = fault.meaning == Meaning::NotFound;
            if gone { Fault::unavailable("user_gone") } else { fault }
        })?;
        permit.start();
        let signed_in = time.run(self.fapi.sign_in(Proof::Ticket(&ticket), None)).await;
        let signed_in = signed_in.inspect_err(|fault| {
            if fault.meaning == Meaning::RateLimited {
                let pause = self.sign_ins.rate_limited(fault.retry_after);
                tracing::warn!(
                    pause_secs = pause.as_secs(),
                    "Clerk's sign-in quota is spent: no new session is opened until the pause is over"
                );
            }
        })?;
        if &*signed_in.user_id != user_id {
            return Err(Fault::unavailable("another_user"));
        }
        // For what it was opened it is kept, and else for none.
        let opened_for = organization.filter(|_| signed_in.active_organization.as_deref() == id.as_deref());
        self.keep(&signed_in, opened_for).await;
        // Still with the permit of this user: the next flight looks into the store after this. A revocation that comes
        // later finds the session there.
        let concerns = |target: &Target| match target {
            Target::User(id) => **id == *user_id,
            Target::Session(id) => *id == signed_in.session_id,
            Target::Organization(_) | Target::All => false,
        };
        if self.revocations.store_unless_revoked(since, concerns, || ()).is_none() {
            self.forget_known(&signed_in.session_id);
            self.sessions.remove(user_id, &signed_in.session_id).await;
        }
        drop(permit);
        Ok(Opened::New(signed_in))
    }

    /// No later sign-in goes on with this session.
    pub(crate) async fn forget(&self, session: &Session) {
        self.forget_known(&session.id);
        self.sessions.remove(&session.user.id, &session.id).await;
    }

    /// A session of this user that was opened before, as far as is known here.
    async fn kept(&self, user_id: &str, organization: Option<&OrganizationName>) -> Option<StoredSession> {
        self.removals.settled().await;
        let kept = self.sessions.get(user_id, organization.map(OrganizationName::as_str)).await?;
        let left = kept.expire_at().duration_since(self.time.now()).unwrap_or_default();
        (left > TOO_SHORT).then_some(kept)
    }

    /// What is known of a session beside its id.
    pub(crate) fn known(&self, session_id: &str) -> Known {
        self.opened.get(session_id).map(|known| Known::clone(&known)).unwrap_or_default()
    }

    pub(crate) fn forget_known(&self, session_id: &str) {
        self.opened.invalidate(session_id);
    }

    async fn keep(&self, signed_in: &SignedIn, organization: Option<&OrganizationName>) {
        let (client, memberships) = (Arc::clone(&signed_in.client), signed_in.memberships.clone());
        let known = Known { client: Some(client), memberships: Some(memberships) };
        self.opened.insert(signed_in.session_id.clone(), Arc::new(known));
        let seen = signed_in.timing.date.unwrap_or_else(|| self.time.now());
        let life = signed_in.expire_at.map_or(LEAST_LIFE, |at| at.duration_since(seen).unwrap_or_default());
        let expire_at: SystemTime = self.time.now() + life;
        let session = StoredSession::new(
            &signed_in.user_id,
            organization.map(OrganizationName::as_str),
            &signed_in.session_id,
            expire_at,
        );
        self.sessions.put(session).await;
    }
}
