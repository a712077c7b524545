//! The second factor of a sign-in: a code from an authenticator app, or the mailed one of Device Trust.

use crate::authentication::lockout;
use crate::context::{Context, Handled};
use crate::errors::ApiError;
use crate::frontend::step::step;
use crate::frontend::{codes, progress};
use crate::state::sign_in::{ClientTrust, SignIn, Status, Verification};
use crate::totp;

pub(crate) fn prepare(context: &mut Context<'_>) -> Handled {
    step(context, |context, _, attempt| {
        let strategy = match context.call.param("strategy") {
            Some("email_code") => "email_code",
            Some("phone_code") => "phone_code",
            Some(other) => return Err(ApiError::param_value("strategy", other)),
            None => return Err(ApiError::missing_param("strategy")),
        };
        if !needs_one(attempt) || attempt.trust != ClientTrust::New {
            return Err(ApiError::no_second_factors(strategy));
        }
        attempt.second = Some(codes::mail_code(context, attempt.user.as_deref(), strategy));
        Ok(())
    })
}

fn needs_one(attempt: &SignIn) -> bool {
    matches!(attempt.status, Status::NeedsSecondFactor | Status::NeedsClientTrust)
}

pub(crate) fn attempt(context: &mut Context<'_>) -> Handled {
    step(context, |context, client, attempt| {
        let strategy = context.call.param("strategy").unwrap_or_default();
        if !needs_one(attempt) {
            return Err(ApiError::no_second_factors(strategy));
        }
        let user = attempt.user.clone();
        match strategy {
            "totp" => check_totp(context, user.as_deref(), attempt)?,
            "email_code" | "phone_code" => {
                let prepared = attempt.second.as_mut().filter(|second| second.strategy == strategy);
                codes::check_code(context, user.as_deref(), prepared)?;
            }
            "" => return Err(ApiError::missing_param("strategy")),
            other => return Err(ApiError::no_second_factors(other)),
        }
        progress::finish_factors(context, client, attempt);
        Ok(())
    })
}

fn check_totp(context: &mut Context<'_>, user: Option<&str>, attempt: &mut SignIn) -> Result<(), ApiError> {
    let code = context.call.param("code").ok_or_else(|| ApiError::missing_param("code"))?;
    let unix = u64::try_from(context.now.unix()).unwrap_or_default();
    let secret = lockout::unlocked(context, user)?.and_then(|user| user.account.totp.clone());
    let Some(secret) = secret else { return Err(ApiError::no_second_factors("totp")) };
    let attempts = attempt.second.as_ref().map_or(0, |second| second.attempts) + 1;
    let verified = totp::is_right(&secret, code, unix);
    attempt.second = Some(Verification { strategy: "totp", verified, attempts, code: None });
    if verified { Ok(()) } else { Err(lockout::count_failure(context, user, ApiError::code_incorrect())) }
}
