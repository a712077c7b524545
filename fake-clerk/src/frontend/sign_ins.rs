//! `/v1/client/sign_ins`: the identifier and the first factor.

use crate::context::{Context, Handled};
use crate::errors::ApiError;
use crate::frontend::checks::{check_single_session, check_user, required};
use crate::frontend::codes::{CODES, mail_code};
use crate::frontend::password::check_password;
use crate::frontend::progress::proceed;
use crate::frontend::step::finish;
use crate::frontend::ticket;
use crate::state::Client;
use crate::state::identifiers::is_identifier;
use crate::state::sign_in::{SignIn, Status, Verification};

pub(crate) fn create(context: &mut Context<'_>) -> Handled {
    let known = context.client_id()?;
    let known = known.and_then(|id| context.state.clients.remove(&id));
    let is_new = known.is_none();
    let mut client = known.unwrap_or_else(|| Client::new(context.now));
    let outcome = begin(context, &mut client);
    finish(context, client, is_new, outcome)
}

fn begin(context: &mut Context<'_>, client: &mut Client) -> Result<(), ApiError> {
    let call = context.call;
    if call.param("strategy") == Some("ticket") {
        return ticket::redeem(context, client);
    }
    let password = call.param("password");
    let strategy = call.param("strategy").filter(|strategy| !strategy.is_empty());
    let strategy = match strategy {
        None if password.is_some() => Some("password"),
        None => None,
        Some("password") if context.settings.passwords => Some("password"),
        Some(other) => match CODES.iter().find(|code| **code == other) {
            Some(code) => Some(*code),
            None => return Err(ApiError::param_value("strategy", other)),
        },
    };
    let identifier = call.param("identifier");
    if strategy.is_some() {
        required("identifier", identifier)?;
    }
    if strategy == Some("password") {
        required("password", password)?;
    }
    check_single_session(context, client)?;
    let mut attempt = SignIn::new(context.now);
    let Some(identifier) = identifier else {
        client.sign_in = Some(attempt);
        return Ok(());
    };
    attempt.user = identify(context, client, identifier.trim(), password.is_some())?;
    attempt.identifier = Some(identifier.trim().to_owned());
    attempt.status = Status::NeedsFirstFactor;
    match (strategy, password) {
        (Some("password"), Some(password)) => {
            check_password(context, attempt.user.as_deref(), password)?;
            attempt.first =
                Some(Verification { strategy: "password", verified: true, attempts: 1, code: None });
            proceed(context, client, &mut attempt);
        }
        (Some(strategy), _) => attempt.first = Some(mail_code(context, attempt.user.as_deref(), strategy)),
        (None, _) => {}
    }
    client.sign_in = Some(attempt);
    Ok(())
}

/// Returns the user with an identifier; `Ok(None)` if there is none and the instance hides that.
fn identify(
    context: &Context<'_>,
    client: &Client,
    identifier: &str,
    has_password: bool,
) -> Result<Option<String>, ApiError> {
    if !is_identifier(identifier) {
        return Err(ApiError::identifier_format());
    }
    let Some(user) = context.state.users.by_identifier(identifier) else {
        return match (context.settings.enumeration_protection, has_password) {
            (false, _) => Err(ApiError::identifier_not_found()),
            (true, true) => Err(ApiError::password_or_identifier_incorrect()),
            (true, false) => Ok(None),
        };
    };
    check_user(context, client, &user.account.id)?;
    Ok(Some(user.account.id.clone()))
}
