//! Sign-ins as JSON.

use serde_json::{Value, json};

use crate::state::User;
use crate::state::sign_in::{ClientTrust, SignIn, Status, Verification};
use crate::views::page::Page;
use crate::views::user::safe_identifier;

impl Verification {
    fn render(&self, page: &Page<'_>) -> Value {
        let status = if self.verified { "verified" } else { "unverified" };
        let object = match self.strategy {
            "password" => "verification_password",
            "totp" => "verification_totp",
            "ticket" => "verification_ticket",
            _ => "verification_otp",
        };
        json!({
            "object": object,
            "status": status,
            "strategy": self.strategy,
            "attempts": (self.strategy != "ticket").then_some(self.attempts),
            "expire_at": self.code.as_ref().map(|(_, until)| page.now.ms_at(*until)),
        })
    }
}

impl SignIn {
    /// Renders `Client.SignIn`, whose schema allows no other fields.
    pub(crate) fn render(&self, page: &Page<'_>) -> Value {
        let user = self.user.as_ref().and_then(|id| page.state.users.get(id));
        let (first, second) = match self.status {
            Status::NeedsIdentifier | Status::Complete => (Value::Null, Value::Null),
            _ => (self.first_factors(user, page), self.second_factors(user)),
        };
        let mut shown = json!({
            "object": "sign_in_attempt",
            "id": self.id,
            "status": if self.is_abandoned(page.now) { "abandoned" } else { self.status.as_str() },
            "supported_identifiers": ["email_address", "phone_number", "username"],
            "supported_first_factors": first,
            "supported_second_factors": second,
            "first_factor_verification": self.first.as_ref().map(|factor| factor.render(page)),
            "second_factor_verification": self.second.as_ref().map(|factor| factor.render(page)),
            "identifier": self.identifier,
            "user_data": self.user_data(user),
            "created_session_id": self.session,
            "abandon_at": page.now.ms_at(self.abandon),
        });
        match self.trust {
            ClientTrust::Unasked => {}
            ClientTrust::New => shown["client_trust_state"] = json!("new"),
            ClientTrust::Known => shown["client_trust_state"] = json!("known"),
        }
        shown
    }

    fn first_factors(&self, user: Option<&User>, page: &Page<'_>) -> Value {
        let mut factors = Vec::new();
        // An unknown identifier must look like a user with a password, or the response would reveal that it is
        // unknown.
        let has_password = user.is_none_or(|user| user.account.password.is_some());
        if has_password && page.settings.passwords {
            factors.push(json!({ "strategy": "password" }));
        }
        factors.extend(user.and_then(|user| email_factor(user, "email_code")));
        if has_password {
            factors.extend(user.and_then(|user| email_factor(user, "reset_password_email_code")));
        }
        Value::Array(factors)
    }

    fn second_factors(&self, user: Option<&User>) -> Value {
        let Some(user) = user else { return Value::Null };
        if self.trust == ClientTrust::New {
            let email = email_factor(user, "email_code");
            return Value::Array(email.or_else(|| phone_factor(user)).into_iter().collect());
        }
        if user.account.totp.is_some() && self.status == Status::NeedsSecondFactor {
            return json!([{ "strategy": "totp" }]);
        }
        Value::Null
    }

    /// Renders the name and picture, which Clerk shows until the sign-in is complete.
    fn user_data(&self, user: Option<&User>) -> Value {
        let Some(user) = user.filter(|_| !self.is_complete()) else { return Value::Null };
        json!({
            "first_name": user.account.first_name,
            "last_name": user.account.last_name,
            "image_url": "https://img.clerk.com/fake",
            "profile_image_url": "https://img.clerk.com/fake",
            "has_image": false,
        })
    }
}

fn email_factor(user: &User, strategy: &str) -> Option<Value> {
    let mut emails = user.account.emails.iter().zip(&user.email_ids);
    let ((address, _), id) = emails.find(|((_, verified), _)| *verified)?;
    Some(json!({
        "strategy": strategy,
        "safe_identifier": safe_identifier(address),
        "email_address_id": id,
        "primary": true,
    }))
}

fn phone_factor(user: &User) -> Option<Value> {
    let number = user.account.phone.as_ref()?;
    Some(json!({
        "strategy": "phone_code",
        "safe_identifier": safe_identifier(number),
        "phone_number_id": user.phone_id,
        "primary": true,
    }))
}
