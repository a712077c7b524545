//! The first factor on its own, for sign-ins that began with the identifier alone; and the new password.

use super::attempt::{Status, Verification};
use super::errors::ApiError;
use super::handler::{Context, Handled};
use super::progress::{complete, proceed};
use super::proof::{check_code, check_password, mail_code};
use super::session::SessionStatus;
use super::sign_in::{CODES, required, step};

/// The shortest password that can be set.
const MIN_PASSWORD: usize = 8;

pub(super) fn prepare(context: &mut Context<'_>) -> Handled {
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

pub(super) fn attempt(context: &mut Context<'_>) -> Handled {
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

pub(super) fn reset_password(context: &mut Context<'_>) -> Handled {
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
        if let Some(user) = attempt.user.as_ref().and_then(|id| context.state.users.get_mut(id)) {
            user.account.password = Some(password.to_owned());
            user.account.new_password = false;
            user.password_set = now.instant;
        }
        if context.call.param("sign_out_of_other_sessions") == Some("true") {
            let user = attempt.user.clone();
            context
                .state
                .end_sessions(SessionStatus::Revoked, now, |session| Some(&session.user) == user.as_ref());
        }
        complete(context, client, attempt);
        Ok(())
    })
}
