//! Clients, sessions and users as JSON, in the shape of Clerk's OpenAPI description.

use serde_json::{Value, json};

use super::FakeClerkBuilder;
use super::request::Call;
use super::state::{Client, Membership, Now, Organization, Session, State, User};
use super::tokens::{self, Unsigned, Wanted};

const IMAGE: &str = "https://img.clerk.com/fake";

/// One answer in the making: what it shows, and the tokens in it that are to be signed before it goes out.
pub(super) struct Page<'a> {
    pub(super) state: &'a State,
    pub(super) settings: &'a FakeClerkBuilder,
    pub(super) call: &'a Call,
    pub(super) now: Now,
    pub(super) tokens: Vec<Unsigned>,
    /// The sessions whose tokens they are: a session shown twice has one token.
    token_of: Vec<String>,
}

impl<'a> Page<'a> {
    pub(super) fn new(state: &'a State, settings: &'a FakeClerkBuilder, call: &'a Call, now: Now) -> Self {
        Self { state, settings, call, now, tokens: Vec::new(), token_of: Vec::new() }
    }

    pub(super) fn ms(&self, instant: tokio::time::Instant) -> Value {
        json!(self.now.ms_at(instant))
    }

    /// A token, its `jwt` the number of the unsigned one until [`fill_tokens`] puts the text there.
    ///
    /// [`fill_tokens`]: super::fill::fill_tokens
    pub(super) fn token(&mut self, token: Unsigned) -> Value {
        self.tokens.push(token);
        json!({ "object": "token", "jwt": self.tokens.len() - 1 })
    }

    fn last_active_token(&mut self, session: &Session) -> Value {
        if !session.is_live(self.now.instant) {
            return Value::Null;
        }
        if let Some(at) = self.token_of.iter().position(|id| *id == session.id) {
            return json!({ "object": "token", "jwt": at });
        }
        let wanted = Wanted {
            issuer: &self.call.issuer,
            origin: self.call.origin(),
            organization: session.organization.as_deref(),
            life: None,
        };
        let token = tokens::session_token(self.state, self.settings, session, &wanted, self.now);
        self.token_of.push(session.id.clone());
        self.token(token)
    }

    pub(super) fn client(&mut self, client: &Client) -> Value {
        let state = self.state;
        let sessions = client.sessions.iter().filter_map(|id| state.sessions.get(id));
        let sessions: Vec<Value> = sessions.map(|session| self.session(session)).collect();
        // A sign-in that is complete isn't the client's current one any more.
        let sign_in = client.sign_in.as_ref().filter(|sign_in| !sign_in.is_complete());
        let last_active = client.last_active_session.as_ref();
        let last_active = last_active
            .filter(|id| state.sessions.get(*id).is_some_and(|session| session.is_live(self.now.instant)));
        let mut shown = json!({
            "object": "client",
            "id": client.id,
            "sign_in": sign_in.map(|sign_in| sign_in.render(self)),
            "sign_up": null,
            "last_active_session_id": last_active,
            "last_authentication_strategy": client.last_strategy,
            "cookie_expires_at": null,
            "captcha_bypass": false,
            "created_at": self.ms(client.created),
            "updated_at": self.ms(client.updated),
        });
        // Put in afterwards: `json!` would copy them.
        shown["sessions"] = Value::Array(sessions);
        shown
    }

    pub(super) fn session(&mut self, session: &Session) -> Value {
        let token = self.last_active_token(session);
        let tasks: Vec<Value> = session.tasks.iter().map(|key| json!({ "key": key })).collect();
        // A session is kept for some weeks after it is over.
        let abandon = session.expires + std::time::Duration::from_secs(23 * 24 * 3600);
        let mut shown = json!({
            "object": "session",
            "id": session.id,
            "status": session.status(self.now.instant).as_str(),
            "expire_at": self.ms(session.expires),
            "abandon_at": self.ms(abandon),
            "last_active_at": self.ms(session.last_active),
            "last_active_organization_id": session.organization,
            "actor": null,
            "tasks": if tasks.is_empty() { Value::Null } else { Value::Array(tasks) },
            "factor_verification_age": tokens::factor_verification_age(session, self.now),
            "created_at": self.ms(session.created),
            "updated_at": self.ms(session.last_active),
            "last_active_token": token,
            "public_user_data": null,
        });
        if let Some(user) = self.state.users.get(&session.user) {
            shown["public_user_data"] = public_user_data(user);
            shown["user"] = self.user(user);
        }
        shown
    }

    pub(super) fn user(&self, user: &User) -> Value {
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
            "mfa_enabled_at": two_factor.then(|| self.now.ms_at(user.created)),
            "mfa_disabled_at": null,
            "public_metadata": account.public_metadata,
            "unsafe_metadata": {},
            "external_id": null,
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
            "updated_at": self.ms(user.password_set),
        });
        // Put in afterwards: `json!` would copy them.
        shown["email_addresses"] = Value::Array(self.email_addresses(user));
        shown["phone_numbers"] = Value::Array(self.phone_numbers(user));
        shown["organization_memberships"] = Value::Array(memberships);
        for none in ["web3_wallets", "passkeys", "external_accounts", "saml_accounts", "enterprise_accounts"]
        {
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
                "linked_to": [],
                "matches_sso_connection": false,
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

    pub(super) fn membership(&self, user: &User, membership: &Membership) -> Option<Value> {
        let organization = self.state.organizations.get(&membership.organization)?;
        let role = membership.role.strip_prefix("org:").unwrap_or(&membership.role);
        let mut letters = role.chars();
        let name: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
        Some(json!({
            "object": "organization_membership",
            "id": membership.id,
            "role": membership.role,
            "role_name": name,
            "permissions": permissions(organization, &membership.role),
            "public_metadata": {},
            "public_user_data": public_user_data(user),
            "organization": self.organization(organization),
            "created_at": self.ms(membership.created),
            "updated_at": self.ms(membership.created),
        }))
    }

    fn organization(&self, organization: &Organization) -> Value {
        json!({
            "object": "organization",
            "id": organization.about.id,
            "name": organization.about.name,
            "slug": organization.about.slug,
            "image_url": IMAGE,
            "has_image": false,
            "members_count": organization.members,
            "pending_invitations_count": 0,
            "max_allowed_memberships": 0,
            "admin_delete_enabled": true,
            "public_metadata": {},
            "created_at": self.ms(organization.created),
            "updated_at": self.ms(organization.created),
        })
    }
}

/// A role's permissions with Clerk's own, which tokens leave out.
fn permissions(organization: &Organization, role: &str) -> Vec<String> {
    let system: &[&str] = match role {
        "org:admin" => &[
            "org:sys_profile:manage",
            "org:sys_profile:delete",
            "org:sys_memberships:read",
            "org:sys_memberships:manage",
            "org:sys_domains:read",
            "org:sys_domains:manage",
        ],
        "org:member" => &["org:sys_memberships:read"],
        _ => &[],
    };
    let own = organization.about.roles.iter().find(|(key, _)| key == role);
    let own = own.into_iter().flat_map(|(_, permissions)| permissions.clone());
    system.iter().map(|&permission| permission.to_owned()).chain(own).collect()
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

fn public_user_data(user: &User) -> Value {
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

/// What others know the user by.
pub(super) fn identifier(user: &User) -> &str {
    let account = &user.account;
    let email = account.emails.first().map(|(address, _)| address);
    email.or(account.phone.as_ref()).or(account.username.as_ref()).map_or("", String::as_str)
}

/// An identifier with most of it covered, as it may be shown to somebody who isn't signed in yet.
pub(super) fn safe_identifier(identifier: &str) -> String {
    match identifier.split_once('@') {
        Some((local, domain)) => format!("{}***@{domain}", local.chars().next().unwrap_or('*')),
        None => {
            let last = identifier.char_indices().rev().nth(1).map_or("", |(at, _)| &identifier[at..]);
            format!("***{last}")
        }
    }
}
