//! The first factor of sign-ins that began with only an identifier, and the password reset.

use crate::authentication::MIN_PASSWORD;
use crate::context::{Context, Handled};
use crate::errors::ApiError;
use crate::frontend::checks::required;
use crate::frontend::codes::{CODES, check_code, mail_code};
use crate::frontend::password::check_password;
use crate::frontend::progress::{complete, proceed};
use crate::frontend::step::step;
use crate::state::SessionStatus;
use crate::state::sign_in::{Status, Verification};

pub(crate) fn prepare(context: &mut Context<'_>) -> Handled {
    step(context, |context, _, attempt| {
        if attempt.status != Status::NeedsFirstFactor {
            return Err(ApiError::already_verified());
        }
        let strategy = context.call.param("strategy");
        required("strategy", strategy)?;
        let strategy = strategy.unwrap_or_default();
        let Some(code) = CODES.iter().find(|code| **code == strategy) else {
            return Err(ApiError::param_value("strategy", strategy));
        };
        attempt.first = Some(mail_code(context, attempt.user.as_deref(), code));
        Ok(())
    })
}

pub(crate) fn attempt(context: &mut Context<'_>) -> Handled {
    step(context, |context, client, attempt| {
        if attempt.status != Status::NeedsFirstFactor {
            return Err(ApiError::already_verified());
        }
        let call = context.call;
        let user = attempt.user.clone();
        match call.param("strategy").unwrap_or("password") {
            "password" => {
                required("password", call.param("password"))?;
                let attempts = attempt.first.as_ref().map_or(0, |first| first.attempts) + 1;
                let password =
                    |verified| Verification { strategy: "password", verified, attempts, code: None };
                attempt.first = Some(password(false));
                check_password(context, user.as_deref(), call.param("password").unwrap_or_default())?;
                attempt.first = Some(password(true));
                proceed(context, client, attempt);
            }
            strategy if CODES.contains(&strategy) => {
                let prepared = attempt.first.as_mut().filter(|first| first.strategy == strategy);
                check_code(context, user.as_deref(), prepared)?;
                if strategy.starts_with("reset_password") {
                    attempt.status = Status::NeedsNewPassword;
                } else {
                    proceed(context, client, attempt);
                }
            }
            other => return Err(ApiError::param_value("strategy", other)),
        }
        Ok(())
    })
}

pub(crate) fn reset_password(context: &mut Context<'_>) -> Handled {
    step(context, |context, client, attempt| {
        let password = context.call.param("password");
        required("password", password)?;
        let password = password.unwrap_or_default();
        if attempt.status != Status::NeedsNewPassword {
            return Err(ApiError::of_status(400));
        }
        if password.chars().count() < MIN_PASSWORD {
            return Err(ApiError::password_too_short(MIN_PASSWORD));
        }
        let now = context.now;
        let user = attempt.user.as_deref().unwrap_or_default();
        context.state.update_user(user, now, |user| {
            user.set_password(password.to_owned(), now);
            user.account.new_password = false;
        });
        if context.call.param("sign_out_of_other_sessions") == Some("true") {
            context.state.end_sessions_of_user(user, SessionStatus::Revoked, now);
        }
        complete(context, client, attempt);
        Ok(())
    })
}
