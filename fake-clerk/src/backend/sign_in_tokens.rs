//! `/v1/sign_in_tokens`: tickets for the Frontend API.

use std::time::Duration;

use serde_json::json;

use crate::backend::body;
use crate::backend::find::{organization_of, user};
use crate::context::{Context, Handled, Reply};
use crate::errors::ApiError;
use crate::ids;
use crate::state::{Ticket, TicketStatus};

/// Default lifetime of a sign-in token: 30 days.
const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Maximum lifetime: a hundred years, so that no addition overflows.
const MAX_LIFE: u64 = 100 * 365 * 24 * 3600;

pub(crate) fn create(context: &mut Context<'_>) -> Handled {
    let call = context.call;
    let id = body::required_text(call, "user_id")?;
    let life = body::life(call, 1, MAX_LIFE)?.unwrap_or(LIFE);
    let organization = body::text(call, "org_id")?;
    user(context, id)?;
    let organization =
        organization.map(|organization| organization_of(context, id, organization)).transpose()?;
    let now = context.now.instant;
    let ticket = Ticket {
        id: ids::random("sit"),
        user: id.to_owned(),
        organization,
        status: TicketStatus::Pending,
        expires: now + life,
        created: now,
        updated: now,
    };
    let mut page = context.page();
    let mut shown = page.sign_in_token(&ticket);
    // The index of the unsigned ticket, which signing replaces, and the base URL that the ticket is appended to.
    shown["token"] = json!(page.tokens.len());
    shown["url"] = json!(format!("{}/v1/tickets/accept?ticket=", call.issuer));
    let expires = page.now.ms_at(ticket.expires).div_euclid(1000);
    page.tokens.push(ticket.text(page.state, &page.settings.host, expires));
    let reply = Reply { tokens: page.tokens, ..Reply::plain(shown) };
    context.state.tickets.insert(ticket.id.clone(), ticket);
    Ok(reply)
}

pub(crate) fn revoke(context: &mut Context<'_>) -> Handled {
    let id = context.call.variable(0);
    let now = context.now.instant;
    let Some(ticket) = context.state.tickets.get_mut(id) else { return Err(ApiError::no_sign_in_token(id)) };
    if ticket.status != TicketStatus::Pending {
        return Err(ApiError::sign_in_token_not_pending(ticket.status.as_str()));
    }
    ticket.status = TicketStatus::Revoked;
    ticket.updated = now;
    let page = context.page();
    let shown = page.state.tickets.get(id).map(|ticket| page.sign_in_token(ticket));
    Ok(Reply::plain(shown.unwrap_or_default()))
}
