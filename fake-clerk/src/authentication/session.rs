//! Opens sessions, and updates clients after a session has ended.

use crate::clock::Now;
use crate::context::Context;
use crate::ids;
use crate::settings::FakeClerkBuilder;
use crate::state::{Change, Client, Session, SessionStatus, State};

/// Maximum number of ended sessions that a client lists.
const OVER_SESSIONS: usize = 4;

/// Opens a session of a user on a client and returns its id. An organization that the user has left since is dropped.
pub(crate) fn open(
    state: &mut State,
    settings: &FakeClerkBuilder,
    now: Now,
    client: &mut Client,
    user: &str,
    organization: Option<String>,
    second_factor: bool,
) -> Option<String> {
    let organization = organization.filter(|id| state.membership(user, id).is_some());
    let user = state.users.get_mut(user)?;
    user.failures = 0;
    user.last_sign_in = Some(now.instant);
    user.updated = now.instant;
    let mut tasks = user.tasks.clone();
    if settings.force_organization_selection && !tasks.iter().any(|task| task == "choose-organization") {
        tasks.push("choose-organization".to_owned());
    }
    if organization.is_some() {
        tasks.retain(|task| task != "choose-organization");
    }
    let session = Session {
        number: state.sessions.next_number(),
        id: ids::random("sess"),
        user: user.account.id.clone(),
        client: client.id.clone(),
        status: if tasks.is_empty() { SessionStatus::Active } else { SessionStatus::Pending },
        tasks,
        organization,
        created: now.instant,
        last_active: now.instant,
        updated: now.instant,
        expires: now.instant + settings.session_life,
        first_factor: now.instant,
        second_factor: second_factor.then_some(now.instant),
    };
    let over = |id: &String| !state.sessions.get(id).is_some_and(|known| known.is_live(now.instant));
    let mut surplus = client.sessions.iter().filter(|id| over(id)).count().saturating_sub(OVER_SESSIONS);
    client.sessions.retain(|id| {
        let drop = surplus > 0 && over(id);
        surplus -= usize::from(drop);
        !drop
    });
    let id = session.id.clone();
    state.changes.push(Change::Session(id.clone(), session.status));
    if settings.sign_in_updates_user {
        state.changes.push(Change::UserUpdated(session.user.clone()));
    }
    client.sessions.push(id.clone());
    client.last_active_session = Some(id.clone());
    state.sessions.insert(session);
    Some(id)
}

/// Picks another live session, if any, as the client's last active one.
pub(crate) fn choose_last_active(context: &mut Context<'_>, id: &str) {
    let now = context.now;
    let Some(client) = context.state.sessions.get(id).map(|session| session.client.clone()) else { return };
    let Some(mut client) = context.state.clients.remove(&client) else { return };
    let other = context.state.live_sessions_of(&client, now).last().map(|session| session.id.clone());
    client.last_active_session = other;
    client.updated = now.instant;
    context.state.clients.insert(client.id.clone(), client);
}
