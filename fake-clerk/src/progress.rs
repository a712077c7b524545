//! From one step of a sign-in to the next, and to the session at its end.

use super::attempt::{ClientTrust, SignIn, Status};
use super::handler::Context;
use super::ids;
use super::session::SessionStatus;
use super::state::{Client, Session};

/// How many sessions that are over stay listed on a client.
const OVER_SESSIONS: usize = 4;

/// Goes on after the first factor: to what else the sign-in needs, or to its end.
pub(super) fn proceed(context: &mut Context<'_>, client: &mut Client, attempt: &mut SignIn) {
    let settings = context.settings;
    let Some(user) = attempt.user.as_ref().and_then(|id| context.state.users.get(id)) else { return };
    let by_ticket = attempt.is_by("ticket");
    if user.account.totp.is_some() && !(by_ticket && settings.tickets_skip_second_factor) {
        attempt.status = Status::NeedsSecondFactor;
        return;
    }
    // Device Trust is for passwords alone, and needs an address to send the code to.
    let reachable = user.account.emails.iter().any(|(_, verified)| *verified) || user.account.phone.is_some();
    let asked = (settings.device_trust || user.account.device_trust)
        && !user.account.bypass_device_trust
        && attempt.is_by("password")
        && reachable;
    if asked && !client.known_users.contains(&user.account.id) {
        attempt.trust = ClientTrust::New;
        attempt.status =
            if settings.legacy_device_trust { Status::NeedsSecondFactor } else { Status::NeedsClientTrust };
        return;
    }
    if asked {
        attempt.trust = ClientTrust::Known;
    }
    finish_factors(context, client, attempt);
}

/// Goes on after the last factor.
pub(super) fn finish_factors(context: &mut Context<'_>, client: &mut Client, attempt: &mut SignIn) {
    let user = attempt.user.as_ref().and_then(|id| context.state.users.get(id));
    // Whoever comes with a ticket doesn't use the password.
    if user.is_some_and(|user| user.account.new_password) && !attempt.is_by("ticket") {
        attempt.status = Status::NeedsNewPassword;
    } else {
        complete(context, client, attempt);
    }
}

/// Opens the session of an attempt.
pub(super) fn complete(context: &mut Context<'_>, client: &mut Client, attempt: &mut SignIn) {
    let Some(user) = attempt.user.clone() else { return };
    let second = attempt.second.as_ref().is_some_and(|second| second.strategy == "totp" && second.verified);
    let Some(session) = open(context, client, &user, attempt.organization.clone(), second) else { return };
    attempt.status = Status::Complete;
    attempt.session = Some(session);
    client.known_users.insert(user);
    client.last_strategy = attempt.first.as_ref().map(|first| first.strategy);
    client.rotating = ids::base62(40);
}

/// Opens a session of a user on a client; its id. An organization that the user has left meanwhile is left out.
pub(super) fn open(
    context: &mut Context<'_>,
    client: &mut Client,
    user: &str,
    organization: Option<String>,
    second_factor: bool,
) -> Option<String> {
    let now = context.now;
    let organization = organization.filter(|id| context.state.membership(user, id).is_some());
    let user = context.state.users.get_mut(user)?;
    user.failures = 0;
    user.last_sign_in = Some(now.instant);
    let mut tasks = user.tasks.clone();
    if context.settings.force_organization_selection
        && !tasks.iter().any(|task| task == "choose-organization")
    {
        tasks.push("choose-organization".to_owned());
    }
    if organization.is_some() {
        tasks.retain(|task| task != "choose-organization");
    }
    context.state.opened += 1;
    let session = Session {
        number: context.state.opened,
        id: ids::random("sess"),
        user: user.account.id.clone(),
        client: client.id.clone(),
        status: if tasks.is_empty() { SessionStatus::Active } else { SessionStatus::Pending },
        tasks,
        organization,
        created: now.instant,
        last_active: now.instant,
        expires: now.instant + context.settings.session_life,
        second_factor,
    };
    let over = |id: &String| !context.state.sessions.get(id).is_some_and(|known| known.is_live(now.instant));
    let mut surplus = client.sessions.iter().filter(|id| over(id)).count().saturating_sub(OVER_SESSIONS);
    client.sessions.retain(|id| {
        let drop = surplus > 0 && over(id);
        surplus -= usize::from(drop);
        !drop
    });
    let id = session.id.clone();
    client.sessions.push(id.clone());
    client.last_active_session = Some(id.clone());
    context.state.sessions.insert(id.clone(), session);
    Some(id)
}
