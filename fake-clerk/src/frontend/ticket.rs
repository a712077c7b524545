//! Sign-in with a sign-in token: `strategy=ticket`.

use crate::authentication::lockout;
use crate::claims::read_ticket;
use crate::context::Context;
use crate::errors::ApiError;
use crate::frontend::checks::{check_single_session, check_user, required};
use crate::frontend::progress;
use crate::state::sign_in::{SignIn, Status, Verification};
use crate::state::{Client, TicketStatus};
use crate::views::identifier;

/// Starts a sign-in with a ticket, and completes it unless a second factor is required.
///
/// The ticket is spent once it has identified the user. A sign-in that is refused for another reason leaves it valid.
pub(crate) fn redeem(context: &mut Context<'_>, client: &mut Client) -> Result<(), ApiError> {
    let text = context.call.param("ticket");
    required("ticket", text)?;
    check_single_session(context, client)?;
    let now = context.now.instant;
    let id = text.and_then(read_ticket).ok_or_else(ApiError::ticket_invalid)?;
    let Some(ticket) = context.state.tickets.get(&id) else { return Err(ApiError::ticket_invalid()) };
    if now >= ticket.expires {
        return Err(ApiError::ticket_expired());
    }
    match ticket.status {
        TicketStatus::Pending => {}
        TicketStatus::Accepted => return Err(ApiError::sign_in_token_used()),
        TicketStatus::Revoked => return Err(ApiError::sign_in_token_revoked()),
    }
    let (user, organization) = (ticket.user.clone(), ticket.organization.clone());
    let Some(holder) = context.state.users.get(&user) else { return Err(ApiError::user_deleted()) };
    let mut attempt = SignIn::new(context.now);
    attempt.identifier = Some(identifier(holder).to_owned());
    check_user(context, client, &user)?;
    lockout::unlocked(context, Some(&user))?;
    attempt.user = Some(user);
    attempt.organization = organization;
    attempt.status = Status::NeedsFirstFactor;
    attempt.first = Some(Verification { strategy: "ticket", verified: true, attempts: 1, code: None });
    if let Some(ticket) = context.state.tickets.get_mut(&id) {
        ticket.status = TicketStatus::Accepted;
        ticket.updated = now;
    }
    progress::proceed(context, client, &mut attempt);
    client.sign_in = Some(attempt);
    Ok(())
}
