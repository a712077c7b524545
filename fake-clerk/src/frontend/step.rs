//! One step of a sign-in. The client is taken out of the state, and put back along with the response.

use crate::context::{ClientToken, Context, Handled, Reply};
use crate::errors::ApiError;
use crate::state::Client;
use crate::state::sign_in::SignIn;

/// Responds with the attempt's new state, or with the error and the client.
pub(crate) fn finish(
    context: &mut Context<'_>,
    mut client: Client,
    is_new: bool,
    outcome: Result<(), ApiError>,
) -> Handled {
    if let Err(mut error) = outcome {
        let mut page = context.page();
        error.client = Some(page.client(&client));
        error.tokens = page.tokens;
        // A failed sign-in leaves no new client behind, so attempts can't fill the memory.
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

/// Takes the client out of the state, with the sign-in named in the path.
fn take(context: &mut Context<'_>) -> Result<(Client, SignIn), ApiError> {
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

/// Runs one step of the sign-in in the path.
pub(crate) fn step(
    context: &mut Context<'_>,
    go: impl FnOnce(&mut Context<'_>, &mut Client, &mut SignIn) -> Result<(), ApiError>,
) -> Handled {
    let (mut client, mut attempt) = take(context)?;
    let outcome = go(context, &mut client, &mut attempt);
    client.sign_in = Some(attempt);
    finish(context, client, false, outcome)
}

pub(crate) fn show(context: &mut Context<'_>) -> Handled {
    let reply = step(context, |_, _, _| Ok(()))?;
    Ok(Reply { client_token: ClientToken::Unchanged, ..reply })
}
