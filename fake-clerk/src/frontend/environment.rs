//! `/v1/environment`: the instance's settings, as clients read them.

use serde_json::{Value, json};

use crate::ids;
use crate::settings::FakeClerkBuilder;

/// Has all fields that the OpenAPI description requires, and the optional fields that clerk-js reads.
pub(crate) fn show(settings: &FakeClerkBuilder) -> Value {
    json!({
        "auth_config": auth_config(settings),
        "display_config": display_config(settings),
        "user_settings": user_settings(settings),
        "organization_settings": {
            "enabled": true,
            "max_allowed_memberships": 5,
            "actions": { "admin_delete": true },
            "domains": { "enabled": false, "enrollment_modes": [], "default_role": "org:member" },
            "slug": { "disabled": false },
            "creator_role": "org:admin",
        },
        "fraud_settings": {
            "object": "fraud_settings",
            "native": { "device_attestation_mode": "disabled" },
        },
        "commerce_settings": {
            "billing": {
                "stripe_publishable_key": null,
                "free_trial_requires_payment_method": false,
                "organization": { "enabled": false, "has_paid_plans": false },
                "user": { "enabled": false, "has_paid_plans": false },
            },
        },
        "api_keys_settings": {
            "enabled": false,
            "user_api_keys_enabled": false,
            "orgs_api_keys_enabled": false,
        },
        "protect_config": { "loaders": [] },
        "maintenance_mode": false,
        "client_debug_mode": false,
        "partitioned_cookies": false,
    })
}

fn auth_config(settings: &FakeClerkBuilder) -> Value {
    let mut first_factors = vec!["email_code", "reset_password_email_code"];
    if settings.passwords {
        first_factors.insert(0, "password");
    }
    json!({
        "object": "auth_config",
        "id": ids::derived("aconf", &settings.host),
        "first_name": "on",
        "last_name": "on",
        "email_address": "on",
        "phone_number": "on",
        "username": "on",
        "password": if settings.passwords { "required" } else { "off" },
        "identification_requirements": [["email_address"], ["phone_number"], ["username"]],
        "identification_strategies": ["email_address", "phone_number", "username"],
        "first_factors": first_factors,
        "second_factors": ["totp"],
        "email_address_verification_strategies": ["email_code"],
        "single_session_mode": settings.single_session_mode,
        "enhanced_email_deliverability": false,
        "test_mode": true,
        "cookieless_dev": true,
        "url_based_session_syncing": true,
        "claimed_at": null,
        "reverification": false,
        "native_settings": {
            "object": "native_settings",
            "api_enabled": settings.native_api,
            "trusted_device_sign_in_enabled": false,
            "trusted_device_enrollment_prompt_after_sign_in_enabled": false,
            "trusted_device_enrollment_prompt_after_sign_up_enabled": false,
        },
    })
}

fn display_config(settings: &FakeClerkBuilder) -> Value {
    let mut shown = display_links(&settings.host);
    let rest = json!({
        "object": "display_config",
        "id": ids::derived("display_config", &settings.host),
        "instance_environment_type": settings.environment_type(),
        "application_name": "Fake Clerk",
        "theme": {},
        "preferred_sign_in_strategy": if settings.passwords { "password" } else { "otp" },
        "logo_image": null,
        "favicon_image": null,
        "logo_image_url": null,
        "favicon_image_url": null,
        "logo_url": null,
        "favicon_url": null,
        "support_email": "support@example.com",
        "branded": false,
        "experimental_force_oauth_first": false,
        "clerk_js_version": "6",
        "show_devmode_warning": false,
        "google_one_tap_client_id": null,
        "help_url": null,
        "privacy_policy_url": null,
        "terms_url": null,
        "captcha_public_key": null,
        "captcha_public_key_invisible": null,
        "captcha_widget_type": null,
        "captcha_provider": null,
        "captcha_oauth_bypass": [],
        "captcha_heartbeat": false,
    });
    if let (Value::Object(shown), Value::Object(rest)) = (&mut shown, rest) {
        shown.extend(rest);
    }
    shown
}

fn display_links(host: &str) -> Value {
    let home = format!("https://{host}");
    json!({
        "logo_link_url": home,
        "home_url": home,
        "sign_in_url": format!("{home}/sign-in"),
        "sign_up_url": format!("{home}/sign-up"),
        "user_profile_url": format!("{home}/user"),
        "waitlist_url": format!("{home}/waitlist"),
        "organization_profile_url": format!("{home}/organization"),
        "create_organization_url": format!("{home}/create-organization"),
        "oauth_consent_url": format!("{home}/oauth-consent"),
        "after_sign_in_url": home,
        "after_sign_up_url": home,
        "after_sign_out_one_url": home,
        "after_sign_out_all_url": home,
        "after_switch_session_url": home,
        "after_join_waitlist_url": home,
        "after_create_organization_url": home,
        "after_leave_organization_url": home,
    })
}

fn user_settings(settings: &FakeClerkBuilder) -> Value {
    let (max_attempts, duration) = settings.lockout.unwrap_or((0, std::time::Duration::ZERO));
    let off = json!({ "enabled": false });
    json!({
        "attributes": attributes(settings),
        "sign_in": { "second_factor": { "required": false } },
        "sign_up": {
            "mode": "public",
            "progressive": true,
            "captcha_enabled": false,
            "captcha_widget_type": "smart",
            "custom_action_required": false,
            "legal_consent_enabled": false,
        },
        "actions": { "delete_self": true, "create_organization": true, "create_organizations_limit": null },
        "attack_protection": {
            "user_lockout": {
                "enabled": settings.lockout.is_some(),
                "max_attempts": max_attempts,
                "duration_in_minutes": duration.as_secs().div_ceil(60),
            },
            "pii": { "enabled": true },
            "email_link": { "require_same_client": true },
            "enumeration_protection": { "enabled": settings.enumeration_protection },
        },
        "password_settings": {
            "min_length": 8,
            "max_length": 72,
            "allowed_special_characters": "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~",
            "min_zxcvbn_strength": 0,
            "require_special_char": false,
            "require_numbers": false,
            "require_uppercase": false,
            "require_lowercase": false,
            "show_zxcvbn": false,
            "disable_hibp": true,
            "enforce_hibp_on_sign_in": false,
            "disable_password_reverification": false,
        },
        "passkey_settings": {
            "allow_autofill": false,
            "show_sign_in_button": false,
            "satisfies_second_factor": false,
        },
        "username_settings": {
            "min_length": 4,
            "max_length": 64,
            "allow_extended_special_characters": false,
            "allow_numeric_usernames": false,
        },
        "restrictions": {
            "allowlist": off,
            "blocklist": off,
            "allowlist_blocklist_disabled_on_sign_in": off,
            "block_email_subaddresses": off,
            "block_disposable_email_domains": off,
        },
        "enterprise_sso": { "enabled": false, "self_serve_sso": false },
        "saml": { "enabled": false },
        "social": {},
    })
}

fn attributes(settings: &FakeClerkBuilder) -> Value {
    let attribute = |enabled: bool, first: &[&str], second: &[&str], verifications: &[&str]| {
        json!({
            "enabled": enabled,
            "required": false,
            "immutable": false,
            "used_for_first_factor": !first.is_empty(),
            "first_factors": first,
            "used_for_second_factor": !second.is_empty(),
            "second_factors": second,
            "verifications": verifications,
            "verify_at_sign_up": !verifications.is_empty(),
        })
    };
    json!({
        "email_address": attribute(true, &["email_code"], &[], &["email_code"]),
        "phone_number": attribute(true, &["phone_code"], &[], &["phone_code"]),
        "username": attribute(true, &[], &[], &[]),
        "password": attribute(settings.passwords, &[], &[], &[]),
        "first_name": attribute(true, &[], &[], &[]),
        "last_name": attribute(true, &[], &[], &[]),
        "authenticator_app": attribute(true, &[], &["totp"], &[]),
        "backup_code": attribute(false, &[], &[], &[]),
        "passkey": attribute(false, &[], &[], &[]),
        "ticket": attribute(true, &["ticket"], &[], &[]),
        "web3_wallet": attribute(false, &[], &[], &[]),
    })
}
