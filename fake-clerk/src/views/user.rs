//! Users as JSON.

use serde_json::{Value, json};

use crate::state::User;
use crate::views::linked::{linked_to, matches_sso_connection};
use crate::views::page::{IMAGE, Page};

impl Page<'_> {
    pub(crate) fn user(&self, user: &User) -> Value {
        let account = &user.account;
        let two_factor = account.totp.is_some();
        let memberships: Vec<Value> =
            user.memberships.iter().filter_map(|membership| self.membership(user, membership)).collect();
        let attempts_left = self.settings.lockout.map(|(max, _)| max.saturating_sub(user.failures));
        let lock_left = user
            .lock
            .and_then(|lock| lock.until)
            .map(|until| until.saturating_duration_since(self.now.instant).as_secs());
        let mut shown = json!({
            "object": "user",
            "id": account.id,
            "username": account.username,
            "first_name": account.first_name,
            "last_name": account.last_name,
            "locale": null,
            "image_url": IMAGE,
            "profile_image_url": IMAGE,
            "has_image": false,
            "primary_email_address_id": user.email_ids.first(),
            "primary_phone_number_id": account.phone.as_ref().map(|_| &user.phone_id),
            "primary_web3_wallet_id": null,
            "password_enabled": account.password.is_some(),
            "password_last_updated_at": account.password.as_ref().map(|_| self.now.ms_at(user.password_set)),
            "two_factor_enabled": two_factor,
            "totp_enabled": two_factor,
            "backup_code_enabled": false,
            "mfa_enabled_at": user.mfa_enabled.map(|at| self.now.ms_at(at)),
            "mfa_disabled_at": user.mfa_disabled.map(|at| self.now.ms_at(at)),
            "public_metadata": account.public_metadata,
            "unsafe_metadata": account.unsafe_metadata,
            "external_id": account.external_id,
            "banned": account.banned,
            "locked": user.lock.is_some(),
            "lockout_expires_in_seconds": lock_left,
            "verification_attempts_remaining": attempts_left,
            "bypass_client_trust": account.bypass_device_trust,
            "delete_self_enabled": true,
            "create_organization_enabled": true,
            "legal_accepted_at": null,
            "last_sign_in_at": user.last_sign_in.map(|at| self.now.ms_at(at)),
            "last_active_at": user.last_sign_in.map(|at| self.now.ms_at(at)),
            "created_at": self.ms(user.created),
            "updated_at": self.ms(user.updated),
        });
        // Moved in afterwards; `json!` would clone them.
        shown["email_addresses"] = Value::Array(self.email_addresses(user));
        shown["phone_numbers"] = Value::Array(self.phone_numbers(user));
        shown["organization_memberships"] = Value::Array(memberships);
        self.add_linked_accounts(user, &mut shown);
        for none in ["web3_wallets", "passkeys"] {
            shown[none] = Value::Array(Vec::new());
        }
        shown
    }

    fn email_addresses(&self, user: &User) -> Vec<Value> {
        let emails = user.account.emails.iter().zip(&user.email_ids);
        let show = |((address, verified), id): (&(String, bool), &String)| {
            let verification = verified.then(verified_by_admin);
            json!({
                "object": "email_address",
                "id": id,
                "email_address": address,
                "reserved": false,
                "verification": verification,
                "linked_to": linked_to(user, address),
                "matches_sso_connection": matches_sso_connection(user, address),
                "created_at": self.ms(user.created),
                "updated_at": self.ms(user.created),
            })
        };
        emails.map(show).collect()
    }

    fn phone_numbers(&self, user: &User) -> Vec<Value> {
        let show = |number: &String| {
            json!({
                "object": "phone_number",
                "id": user.phone_id,
                "phone_number": number,
                "reserved": false,
                "reserved_for_second_factor": false,
                "default_second_factor": false,
                "verification": verified_by_admin(),
                "linked_to": [],
                "backup_codes": null,
                "created_at": self.ms(user.created),
                "updated_at": self.ms(user.created),
            })
        };
        user.account.phone.iter().map(show).collect()
    }
}

fn verified_by_admin() -> Value {
    json!({
        "object": "verification_admin",
        "status": "verified",
        "strategy": "admin",
        "attempts": null,
        "expire_at": null,
    })
}

pub(crate) fn public_user_data(user: &User) -> Value {
    let account = &user.account;
    json!({
        "first_name": account.first_name,
        "last_name": account.last_name,
        "image_url": IMAGE,
        "profile_image_url": IMAGE,
        "has_image": false,
        "identifier": identifier(user),
        "username": account.username,
        "user_id": account.id,
    })
}

/// Returns the identifier to show for the user.
pub(crate) fn identifier(user: &User) -> &str {
    let account = &user.account;
    let email = account.emails.first().map(|(address, _)| address);
    email.or(account.phone.as_ref()).or(account.username.as_ref()).map_or("", String::as_str)
}

/// Masks most of an identifier, so that it can be shown before the user is signed in.
pub(crate) fn safe_identifier(identifier: &str) -> String {
    match identifier.split_once('@') {
        Some((local, domain)) => format!("{}***@{domain}", local.chars().next().unwrap_or('*')),
        None => {
            let last = identifier.char_indices().rev().nth(1).map_or("", |(at, _)| &identifier[at..]);
            format!("***{last}")
        }
    }
}
