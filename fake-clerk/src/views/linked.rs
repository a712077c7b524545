//! A user's accounts at identity providers as JSON.

use serde_json::{Value, json};

use crate::accounts::{FakeEnterpriseAccount, FakeExternalAccount, FakeUser, VerificationStatus};
use crate::state::User;
use crate::views::page::{IMAGE, Page};

impl Page<'_> {
    pub(crate) fn add_linked_accounts(&self, user: &User, shown: &mut Value) {
        let account = &user.account;
        let external = account.external_accounts.iter().map(|linked| self.external_account(user, linked));
        shown["external_accounts"] = external.collect();
        let enterprise = account.enterprise_accounts.iter();
        let saml = enterprise.clone().filter(|linked| linked.is_saml());
        shown["saml_accounts"] = saml.map(|linked| self.saml_account(user, linked)).collect();
        shown["enterprise_accounts"] =
            enterprise.map(|linked| self.enterprise_account(user, linked)).collect();
    }

    fn external_account(&self, user: &User, linked: &FakeExternalAccount) -> Value {
        let FakeExternalAccount { id, identification, provider, provider_user_id, .. } = linked;
        let (first, last) = names(user);
        // Clerk's older models of these two providers have the identification's id as their own, and the account's id
        // beside it.
        let (object, shown_id) = match provider.as_str() {
            "oauth_google" => ("google_account", identification),
            "oauth_facebook" => ("facebook_account", identification),
            _ => ("external_account", id),
        };
        let mut shown = json!({
            "object": object,
            "id": shown_id,
            "external_account_id": id,
            "provider": provider,
            "identification_id": identification,
            "provider_user_id": provider_user_id,
            "approved_scopes": "email openid profile",
            "email_address": linked.email,
            "email_address_verified": linked.email_verified,
            "first_name": first,
            "last_name": last,
            "avatar_url": IMAGE,
            "image_url": IMAGE,
            "username": null,
            "phone_number": null,
            "public_metadata": {},
            "label": null,
            "created_at": self.ms(user.created),
            "updated_at": self.ms(user.updated),
            "verification": linked.status.map(|status| self.verification("oauth", provider, status)),
        });
        if object == "google_account" {
            shown["google_id"] = json!(provider_user_id);
            shown["given_name"] = json!(first);
            shown["family_name"] = json!(last);
            shown["picture"] = json!(IMAGE);
        }
        shown
    }

    fn enterprise_account(&self, user: &User, linked: &FakeEnterpriseAccount) -> Value {
        let mut shown = self.account_of_connection("enterprise_account", user, linked);
        shown["protocol"] = json!(protocol(linked));
        shown["enterprise_connection_id"] = json!(linked.connection);
        shown["enterprise_connection"] = self.connection(user, linked);
        shown["enterprise_connection"]["protocol"] = json!(protocol(linked));
        shown["enterprise_connection"]["logo_public_url"] = Value::Null;
        shown
    }

    /// Renders the account as Clerk's older, deprecated model.
    fn saml_account(&self, user: &User, linked: &FakeEnterpriseAccount) -> Value {
        let mut shown = self.account_of_connection("saml_account", user, linked);
        shown["saml_connection"] = self.connection(user, linked);
        shown
    }

    fn account_of_connection(&self, object: &str, user: &User, linked: &FakeEnterpriseAccount) -> Value {
        let (first, last) = names(user);
        let strategy =
            if linked.is_saml() { "saml".to_owned() } else { linked.provider.replace("oidc_", "oauth_") };
        json!({
            "object": object,
            "id": linked.id,
            "provider": linked.provider,
            "active": linked.active,
            "email_address": linked.email,
            "first_name": first,
            "last_name": last,
            "provider_user_id": linked.provider_user_id,
            "public_metadata": {},
            "verification": linked.status.map(|status| self.verification(protocol(linked), &strategy, status)),
            "last_authenticated_at": user.last_sign_in.map(|at| self.now.ms_at(at)),
        })
    }

    fn connection(&self, user: &User, linked: &FakeEnterpriseAccount) -> Value {
        json!({
            "id": linked.connection,
            "provider": linked.provider,
            "name": linked.provider,
            "domains": [linked.domain()],
            "active": linked.connection_active,
            "sync_user_attributes": true,
            "allow_subdomains": false,
            "allow_idp_initiated": false,
            "disable_additional_identifications": false,
            "created_at": self.ms(user.created),
            "updated_at": self.ms(user.created),
        })
    }

    fn verification(&self, protocol: &str, strategy: &str, status: VerificationStatus) -> Value {
        json!({
            "object": format!("verification_{protocol}"),
            "status": status.as_str(),
            "strategy": strategy,
            "attempts": null,
            // Ten minutes after its start, as recorded.
            "expire_at": self.now.ms + 600_000,
        })
    }
}

fn protocol(linked: &FakeEnterpriseAccount) -> &'static str {
    if linked.is_saml() { "saml" } else { "oauth" }
}

/// The names as the provider has them: never `null` in an external account.
fn names(user: &User) -> (&str, &str) {
    let FakeUser { first_name, last_name, .. } = &user.account;
    (first_name.as_deref().unwrap_or_default(), last_name.as_deref().unwrap_or_default())
}

/// The verified accounts at OAuth providers that an address of the user's came with, or was found at.
pub(crate) fn linked_to(user: &User, address: &str) -> Vec<Value> {
    let linked = user.account.external_accounts.iter().filter(|linked| {
        linked.status == Some(VerificationStatus::Verified) && linked.email.eq_ignore_ascii_case(address)
    });
    linked.map(|linked| json!({ "type": linked.provider, "id": linked.identification })).collect()
}

/// Whether an active enterprise connection is for the address's domain. The stand-in knows the connections of the user.
pub(crate) fn matches_sso_connection(user: &User, address: &str) -> bool {
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    let mut linked = user.account.enterprise_accounts.iter();
    linked.any(|linked| linked.connection_active && linked.domain().eq_ignore_ascii_case(domain))
}
