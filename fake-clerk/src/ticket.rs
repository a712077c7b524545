//! Sign-in tokens, which the Backend API makes, and the sign-in with one: `strategy=ticket`.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::attempt::{SignIn, Status, Verification};
use super::errors::ApiError;
use super::handler::Context;
use super::render::identifier;
use super::sign_in::{check_single_session, check_user, required};
use super::state::{Client, State};
use super::tokens::{self, Unsigned};
use super::{ids, progress, proof};

/// What became of a sign-in token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TicketStatus {
    Pending,
    Accepted,
    Revoked,
}

impl TicketStatus {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Revoked => "revoked",
        }
    }
}

/// A sign-in token. What the user brings is a signed note of its id.
pub(super) struct Ticket {
    pub(super) id: String,
    pub(super) user: String,
    pub(super) organization: Option<String>,
    pub(super) status: TicketStatus,
    pub(super) expires: Instant,
    pub(super) created: Instant,
    pub(super) updated: Instant,
}

impl Ticket {
    /// The text that is brought, yet to be signed.
    pub(super) fn text(&self, state: &State, instance: &str, expires: i64) -> Unsigned {
        let claims = json!({
            "exp": expires,
            "iid": ids::derived("ins", instance),
            "sid": self.id,
            "st": "sign_in_token",
        });
        let Value::Object(claims) = claims else { unreachable!("an object was written") };
        Unsigned::by_the_first_key(&state.keys, claims)
    }
}

/// The id of the sign-in token that a text stands for, if this process wrote the text.
fn read(text: &str) -> Option<String> {
    tokens::read_by_the_first_key(text)?.get("sid")?.as_str().map(str::to_owned)
}

/// Begins a sign-in with a ticket, which ends it too unless a second factor is wanted.
///
/// The ticket is spent when it has proved who its bearer is; refused for another reason, it is still good.
pub(super) fn redeem(context: &mut Context<'_>, client: &mut Client) -> Result<(), ApiError> {
    let text = context.call.param("ticket");
    required("ticket", text)?;
    check_single_session(context, client)?;
    let now = context.now.instant;
    let id = text.and_then(read).ok_or_else(ApiError::ticket_invalid)?;
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
    proof::unlocked(context, Some(&user))?;
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
