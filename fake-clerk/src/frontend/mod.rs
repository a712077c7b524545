//! The Frontend API, for browsers and native clients.

mod checks;
mod client;
mod codes;
mod environment;
mod first_factor;
mod password;
mod progress;
mod second_factor;
mod sessions;
mod sign_ins;
mod step;
mod ticket;

use serde_json::json;

use crate::context::{Context, Handled, Reply};
use crate::endpoint::Endpoint;
use crate::errors::ApiError;
use crate::state::Window;

pub(crate) fn handle(context: &mut Context<'_>) -> Handled {
    context.call.check(context.settings, context.now)?;
    match context.call.endpoint {
        Endpoint::SignIns => {
            context.limit(Window::SignIns)?;
            sign_ins::create(context)
        }
        Endpoint::SignIn => step::show(context),
        Endpoint::PrepareFirstFactor => first_factor::prepare(context),
        Endpoint::AttemptFirstFactor => {
            context.limit(Window::Attempts)?;
            first_factor::attempt(context)
        }
        Endpoint::PrepareSecondFactor => second_factor::prepare(context),
        Endpoint::AttemptSecondFactor => {
            context.limit(Window::Attempts)?;
            second_factor::attempt(context)
        }
        Endpoint::ResetPassword => first_factor::reset_password(context),
        Endpoint::Client => client::handle(context),
        Endpoint::Sessions => client::remove_sessions(context),
        Endpoint::Session => sessions::show(context),
        Endpoint::Touch => {
            context.limit(Window::Mints)?;
            sessions::touch(context)
        }
        Endpoint::Tokens => {
            context.limit(Window::Mints)?;
            sessions::mint(context)
        }
        Endpoint::TemplateTokens => {
            context.limit(Window::Mints)?;
            sessions::mint_from_template(context)
        }
        Endpoint::End => sessions::end(context),
        Endpoint::Remove => sessions::remove(context),
        Endpoint::Environment => Ok(Reply::plain(environment::show(context.settings))),
        Endpoint::Jwks => Ok(Reply::plain(context.state.keys.jwks())),
        Endpoint::Health => Ok(Reply::plain(json!({ "status": "healthy" }))),
        // `backend` handles the endpoints of the Backend API.
        _ => Err(ApiError::of_status(404)),
    }
}
