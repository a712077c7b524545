//! JSON bodies of requests to the Backend API.

use http::Method;
use serde_json::Value;

use crate::endpoint::Endpoint;
use crate::errors::ApiError;
use crate::request::Call;

/// Returns the accepted body parameters of endpoints that reject unknown ones.
fn known(call: &Call) -> Option<&'static [&'static str]> {
    match call.endpoint {
        Endpoint::VerifyPassword => Some(&["password"]),
        // Clerk has many more; refusing them is better than pretending to change something.
        Endpoint::User if call.method == Method::PATCH => Some(&[
            "bypass_client_trust",
            "first_name",
            "last_name",
            "password",
            "sign_out_of_other_sessions",
            "skip_password_checks",
            "totp_secret",
        ]),
        Endpoint::UserAction if call.variable(1) == "remove_password" => {
            Some(&["sign_out_of_other_sessions"])
        }
        Endpoint::Organization if call.method == Method::PATCH => Some(&["name", "slug"]),
        Endpoint::OrganizationMembers => Some(&["role", "user_id"]),
        Endpoint::OrganizationMember if call.method == Method::PATCH => Some(&["role"]),
        _ => None,
    }
}

/// Checks that the body, if there is one, is a JSON object of parameters that the endpoint knows.
pub(crate) fn check(call: &Call) -> Result<(), ApiError> {
    if call.body.is_empty() {
        return Ok(());
    }
    call.check_content_type("application/json")?;
    let Some(Value::Object(object)) = &call.json else { return Err(ApiError::body_invalid()) };
    match known(call) {
        Some(known) => match object.keys().find(|name| !known.contains(&name.as_str())) {
            Some(unknown) => Err(ApiError::unknown_param(unknown)),
            None => Ok(()),
        },
        None => Ok(()),
    }
}

/// Returns a parameter of the body. `null` counts as absent.
fn param<'c>(call: &'c Call, name: &str) -> Option<&'c Value> {
    call.json.as_ref()?.get(name).filter(|value| !value.is_null())
}

pub(crate) fn text<'c>(call: &'c Call, name: &str) -> Result<Option<&'c str>, ApiError> {
    let wrong = |value: &Value| ApiError::json_type(name, kind(value), "string");
    param(call, name).map(|value| value.as_str().ok_or_else(|| wrong(value))).transpose()
}

pub(crate) fn required_text<'c>(call: &'c Call, name: &str) -> Result<&'c str, ApiError> {
    text(call, name)?.ok_or_else(|| ApiError::missing_param(name))
}

pub(crate) fn flag(call: &Call, name: &str) -> Result<Option<bool>, ApiError> {
    let wrong = |value: &Value| ApiError::json_type(name, kind(value), "boolean");
    param(call, name).map(|value| value.as_bool().ok_or_else(|| wrong(value))).transpose()
}

/// Reads `expires_in_seconds`, which must be in `least..=most`.
pub(crate) fn life(call: &Call, least: u64, most: u64) -> Result<Option<std::time::Duration>, ApiError> {
    const NAME: &str = "expires_in_seconds";
    let Some(value) = param(call, NAME) else { return Ok(None) };
    if !value.is_i64() && !value.is_u64() {
        return Err(ApiError::json_type(NAME, kind(value), "integer"));
    }
    match value.as_u64() {
        Some(seconds) if seconds > most => Err(ApiError::value_too_large(NAME, most)),
        Some(seconds) if seconds >= least => Ok(Some(std::time::Duration::from_secs(seconds))),
        _ => Err(ApiError::param_value(NAME, &value.to_string())),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
