//! Clients and their sessions as JSON.

use serde_json::{Value, json};

use crate::claims::{self, Wanted};
use crate::state::{Client, Session};
use crate::views::page::Page;
use crate::views::user::public_user_data;

impl Page<'_> {
    pub(crate) fn client(&mut self, client: &Client) -> Value {
        let state = self.state;
        let sessions = client.sessions.iter().filter_map(|id| state.sessions.get(id));
        let sessions: Vec<Value> = sessions.map(|session| self.session(session)).collect();
        // A completed sign-in is no longer the client's current one.
        let sign_in = client.sign_in.as_ref().filter(|sign_in| !sign_in.is_complete());
        let last_active = client.last_active_session.as_ref();
        let last_active = last_active
            .filter(|id| state.sessions.get(id).is_some_and(|session| session.is_live(self.now.instant)));
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
        // Moved in afterwards; `json!` would clone them.
        shown["sessions"] = Value::Array(sessions);
        shown
    }

    pub(crate) fn session(&mut self, session: &Session) -> Value {
        let token = self.last_active_token(session);
        let tasks: Vec<Value> = session.tasks.iter().map(|key| json!({ "key": key })).collect();
        // Clerk stores a session for some weeks after it has ended.
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
            "factor_verification_age": claims::factor_verification_age(session, self.now),
            "created_at": self.ms(session.created),
            "updated_at": self.ms(session.updated),
            "last_active_token": token,
            "public_user_data": null,
        });
        if let Some(user) = self.state.users.get(&session.user) {
            shown["public_user_data"] = public_user_data(user);
            shown["user"] = self.user(user);
        }
        shown
    }

    fn last_active_token(&mut self, session: &Session) -> Value {
        if !session.is_live(self.now.instant) {
            return Value::Null;
        }
        if let Some(at) = self.token_of.iter().position(|id| *id == session.id) {
            return json!({ "object": "token", "jwt": at });
        }
        let wanted = Wanted {
            issuer: self.issuer,
            origin: self.origin,
            organization: session.organization.as_deref(),
            life: None,
        };
        let token = claims::session_token(self.state, self.settings, session, &wanted, self.now);
        self.token_of.push(session.id.clone());
        self.token(token)
    }
}
