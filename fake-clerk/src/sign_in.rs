//! `/v1/client/sign_ins`: the identifier and the first factor.

use super::attempt::{SignIn, Status, Verification};
use super::errors::ApiError;
use super::handler::{ClientToken, Context, Handled, Reply};
use super::progress::proceed;
use super::proof::{check_password, mail_code};
use super::state::Client;
use super::ticket;

/// Strategies that mail a code.
pub(super) const CODES: [&str; 4] =
    ["email_code", "phone_code", "reset_password_email_code", "reset_password_phone_code"];

pub(super) fn create(context: &mut Context<'_>) -> Handled {
    let known = context.client_id()?;
    let known = known.and_then(|id| context.state.clients.remove(&id));
    let is_new = known.is_none();
    let mut client = known.unwrap_or_else(|| Client::new(context.now));
    let outcome = begin(context, &mut client);
    finish(context, client, is_new, outcome)
}

/// Answers for a sign-in: with the attempt as it now stands, or with the error and the client beside it.
pub(super) fn finish(
    context: &mut Context<'_>,
    mut client: Client,
    is_new: bool,
    outcome: Result<(), ApiError>,
) -> Handled {
    if let Err(mut error) = outcome {
        let mut page = context.page();
        error.client = Some(page.client(&client));
        error.tokens = page.tokens;
        // A sign-in that never was leaves no client behind, however many are tried.
        if !is_new {
            context.state.clients.insert(client.id.clone(), client);
        }
        return Err(error);
    }
    client.updated = context.now.instant;
    let client_token: ClientToken = context.token_of(&client);
    let mut page = context.page();
    let response = client.sign_in.as_ref().map(|sign_in| sign_in.render(&page)).unwrap_or_default();
    let shown = page.client(&client);
    let reply = Reply { client_token, ..Reply::wrapped(response, shown, page) };
    context.state.clients.insert(client.id.clone(), client);
    Ok(reply)
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

pub(super) fn required(name: &str, value: Option<&str>) -> Result<(), ApiError> {
    match value.map(str::is_empty) {
        None => Err(ApiError::missing_param(name)),
        Some(true) => Err(ApiError::nil_param(name)),
        Some(false) => Ok(()),
    }
}

/// Whose identifier it is. `Ok(None)`: nobody's, and the instance keeps that to itself.
fn identify(
    context: &Context<'_>,
    client: &Client,
    identifier: &str,
    has_password: bool,
) -> Result<Option<String>, ApiError> {
    if !is_identifier(identifier) {
        return Err(ApiError::identifier_format());
    }
    let Some(id) = context.state.user_by_identifier(identifier) else {
        return match (context.settings.enumeration_protection, has_password) {
            (false, _) => Err(ApiError::identifier_not_found()),
            (true, true) => Err(ApiError::password_or_identifier_incorrect()),
            (true, false) => Ok(None),
        };
    };
    check_user(context, client, id)?;
    Ok(Some(id.to_owned()))
}

/// Whether the client may have one more session.
pub(super) fn check_single_session(context: &Context<'_>, client: &Client) -> Result<(), ApiError> {
    let live = context.state.live_sessions_of(client, context.now).next();
    if live.is_some() && context.settings.single_session_mode {
        return Err(ApiError::session_exists());
    }
    Ok(())
}

/// Whether the user may sign in, and isn't signed in on this client.
pub(super) fn check_user(context: &Context<'_>, client: &Client, id: &str) -> Result<(), ApiError> {
    if context.state.users.get(id).is_some_and(|user| user.account.banned) {
        return Err(ApiError::user_banned());
    }
    let mut live = context.state.live_sessions_of(client, context.now);
    match live.find(|session| session.user == id) {
        Some(session) => Err(ApiError::identifier_already_signed_in(&session.id)),
        None => Ok(()),
    }
}

/// Whether a text has the form of an e-mail address, a phone number or a username.
fn is_identifier(text: &str) -> bool {
    if let Some((local, domain)) = text.rsplit_once('@') {
        let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '@';
        return !local.is_empty()
            && domain.contains('.')
            && text.len() <= 320
            && local.chars().chain(domain.chars()).all(plain);
    }
    if let Some(number) = text.strip_prefix('+') {
        return number.chars().filter(char::is_ascii_digit).count() >= 4
            && number.chars().all(|c| c.is_ascii_digit() || " -().".contains(c));
    }
    !text.is_empty() && text.len() <= 256 && text.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c))
}

/// Takes the client of a step in a sign-in out of the state, with the sign-in named in the path.
pub(super) fn take(context: &mut Context<'_>) -> Result<(Client, SignIn), ApiError> {
    let id = context.require_client()?;
    let wanted = context.call.variable(0);
    let now = context.now;
    let attempt = context.state.clients.get(&id).and_then(|client| client.sign_in.clone());
    let attempt = attempt.filter(|attempt| attempt.id == wanted && !attempt.is_abandoned(now));
    match (attempt, context.state.clients.remove(&id)) {
        (Some(attempt), Some(client)) => Ok((client, attempt)),
        (_, client) => {
            context.state.clients.extend(client.map(|client| (id, client)));
            Err(ApiError::no_sign_in(wanted))
        }
    }
}

/// One step of the sign-in in the path.
pub(super) fn step(
    context: &mut Context<'_>,
    go: impl FnOnce(&mut Context<'_>, &mut Client, &mut SignIn) -> Result<(), ApiError>,
) -> Handled {
    let (mut client, mut attempt) = take(context)?;
    let outcome = go(context, &mut client, &mut attempt);
    client.sign_in = Some(attempt);
    finish(context, client, false, outcome)
}

pub(super) fn show(context: &mut Context<'_>) -> Handled {
    let reply = step(context, |_, _, _| Ok(()))?;
    Ok(Reply { client_token: ClientToken::Unchanged, ..reply })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_an_address_a_number_or_a_username() {
        for right in
            ["jane@example.com", "a+b@x.io", "+15555550100", "+49 30 1234", "jane", "jane_doe-2", "josé"]
        {
            assert!(is_identifier(right), "{right}");
        }
        for wrong in [
            "",
            "jane@",
            "@example.com",
            "jane@localhost",
            "jane doe",
            "a b@example.com",
            "+1",
            "+abc",
            "j:x",
        ] {
            assert!(!is_identifier(wrong), "{wrong}");
        }
    }
}
