//! `/v1/client`: the client, which stands for a device.

use http::Method;
use serde_json::Value;

use crate::context::{ClientToken, Context, Handled, Reply};
use crate::errors::ApiError;
use crate::state::{Client, SessionStatus};

pub(crate) fn handle(context: &mut Context<'_>) -> Handled {
    match context.client_id()? {
        Some(id) if context.call.method == Method::DELETE => delete(context, &id),
        Some(id) => {
            let mut page = context.page();
            let client = page.state.clients.get(&id).map(|client| page.client(client));
            Ok(Reply::wrapped(client.unwrap_or_default(), Value::Null, page))
        }
        None if context.call.method == Method::DELETE => Err(ApiError::no_client()),
        // In native mode a request without a token gets a new client, even with GET: this is how native clients
        // start.
        None => create(context),
    }
}

fn create(context: &mut Context<'_>) -> Handled {
    let client = Client::new(context.now);
    let token = context.token_of(&client);
    let mut page = context.page();
    let shown = page.client(&client);
    let reply = Reply { client_token: token, ..Reply::wrapped(shown, Value::Null, page) };
    context.state.clients.insert(client.id.clone(), client);
    Ok(reply)
}

/// Ends all sessions and deletes the client.
fn delete(context: &mut Context<'_>, id: &str) -> Handled {
    context.state.end_sessions_of_client(id, SessionStatus::Ended, context.now);
    let client = context.state.clients.remove(id);
    let mut page = context.page();
    let shown = client.map(|client| page.client(&client)).unwrap_or_default();
    Ok(Reply { client_token: ClientToken::Gone, ..Reply::wrapped(shown, Value::Null, page) })
}

/// Removes all sessions but keeps the client, so that Device Trust still knows the device.
pub(crate) fn remove_sessions(context: &mut Context<'_>) -> Handled {
    let id = context.require_client()?;
    context.state.end_sessions_of_client(&id, SessionStatus::Removed, context.now);
    let now = context.now.instant;
    if let Some(client) = context.state.clients.get_mut(&id) {
        client.sessions.clear();
        client.last_active_session = None;
        client.updated = now;
    }
    let mut page = context.page();
    let client = page.state.clients.get(&id).map(|client| page.client(client));
    Ok(Reply::wrapped(client.unwrap_or_default(), Value::Null, page))
}
