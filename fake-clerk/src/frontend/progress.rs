//! The transitions of a sign-in from one factor to the next, and to the session.

use crate::authentication::session::open;
use crate::context::Context;
use crate::ids;
use crate::state::Client;
use crate::state::sign_in::{ClientTrust, SignIn, Status};

/// Continues after the first factor: with the second factor, or with the end of the sign-in.
pub(crate) fn proceed(context: &mut Context<'_>, client: &mut Client, attempt: &mut SignIn) {
    let settings = context.settings;
    let Some(user) = attempt.user.as_ref().and_then(|id| context.state.users.get(id)) else { return };
    let by_ticket = attempt.is_by("ticket");
    if user.account.totp.is_some() && !(by_ticket && settings.tickets_skip_second_factor) {
        attempt.status = Status::NeedsSecondFactor;
        return;
    }
    // Device Trust applies only to passwords, and needs an address to send the code to.
    let reachable = user.account.emails.iter().any(|(_, verified)| *verified) || user.account.phone.is_some();
    let asked = (settings.device_trust || user.account.device_trust)
        && !user.account.bypass_device_trust
        && attempt.is_by("password")
        && reachable;
    if asked && !context.state.known_devices.knows(&user.account.id, &client.id) {
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

/// Continues after the last factor.
pub(crate) fn finish_factors(context: &mut Context<'_>, client: &mut Client, attempt: &mut SignIn) {
    let user = attempt.user.as_ref().and_then(|id| context.state.users.get(id));
    // A sign-in by ticket doesn't use the password.
    if user.is_some_and(|user| user.account.new_password) && !attempt.is_by("ticket") {
        attempt.status = Status::NeedsNewPassword;
    } else {
        complete(context, client, attempt);
    }
}

/// Opens the session of a completed sign-in.
pub(crate) fn complete(context: &mut Context<'_>, client: &mut Client, attempt: &mut SignIn) {
    let Some(user) = attempt.user.clone() else { return };
    let second = attempt.second.as_ref().is_some_and(|second| second.strategy == "totp" && second.verified);
    let organization = attempt.organization.clone();
    let opened = open(context.state, context.settings, context.now, client, &user, organization, second);
    let Some(session) = opened else { return };
    attempt.status = Status::Complete;
    attempt.session = Some(session);
    context.state.known_devices.add(&user, &client.id);
    client.last_strategy = attempt.first.as_ref().map(|first| first.strategy);
    client.rotating = ids::base62(40);
}
