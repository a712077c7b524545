//! Query parameters of lists.

use crate::errors::ApiError;
use crate::request::Call;

/// Maximum number of values of a filter.
const MAX_VALUES: usize = 100;

/// The order of a list.
pub(crate) struct Order<'c> {
    pub(crate) by: &'c str,
    pub(crate) descending: bool,
}

/// Refuses query parameters that the stand-in doesn't implement. Clerk has more filters, and ignoring one would
/// return every user.
pub(crate) fn check(call: &Call, known: &[&str]) -> Result<(), ApiError> {
    let unknown = call.query.iter().find(|(name, _)| !known.contains(&name.as_str()));
    unknown.map_or(Ok(()), |(name, _)| Err(ApiError::unknown_param(name)))
}

/// Reads `limit` (default 10, at most 500) and `offset` of a paginated list.
pub(crate) fn page(call: &Call) -> Result<(usize, usize), ApiError> {
    let number = |name: &str, default: usize, allowed: std::ops::RangeInclusive<usize>| {
        let Some(text) = call.query(name) else { return Ok(default) };
        let value = text.parse().ok().filter(|value| allowed.contains(value));
        value.ok_or_else(|| ApiError::param_value(name, text))
    };
    Ok((number("limit", 10, 1..=500)?, number("offset", 0, 0..=usize::MAX)?))
}

/// Reads `order_by`: the first one, as on Clerk. A leading `-` means descending, and `+`, which decodes to a space if it
/// wasn't escaped, ascending. By default the newest come first.
pub(crate) fn order<'c>(call: &'c Call, known: &[&str]) -> Result<Order<'c>, ApiError> {
    let text = call.query("order_by").unwrap_or("-created_at");
    let (by, descending) = match text.strip_prefix('-') {
        Some(by) => (by, true),
        None => (text.strip_prefix(['+', ' ']).unwrap_or(text), false),
    };
    if known.contains(&by) {
        Ok(Order { by, descending })
    } else {
        Err(ApiError::param_value("order_by", text))
    }
}

pub(crate) fn flag(call: &Call, name: &str) -> Result<bool, ApiError> {
    match call.query(name) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(text) => Err(ApiError::param_value(name, text)),
    }
}

/// Reads a time in milliseconds.
pub(crate) fn time(call: &Call, name: &str) -> Result<Option<i64>, ApiError> {
    let Some(text) = call.query(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| ApiError::param_value(name, text))
}

/// Reads the values of a filter.
pub(crate) fn values<'c>(call: &'c Call, name: &str) -> Result<Vec<&'c str>, ApiError> {
    let values = call.query.iter().filter(|(known, _)| known == name);
    let values: Vec<&str> = values.map(|(_, value)| value.as_str()).collect();
    if values.len() > MAX_VALUES {
        return Err(ApiError::too_many_values(name, MAX_VALUES));
    }
    Ok(values)
}

/// Returns the ids that a filter includes. A leading `-` excludes an id; the leading `+` of the others is optional,
/// and decodes to a space if it wasn't escaped.
pub(crate) fn asked_for<'v>(values: &[&'v str]) -> impl Iterator<Item = &'v str> {
    let asked = values.iter().filter(|value| !value.starts_with('-'));
    asked.map(|value| value.trim_start_matches(['+', ' ']))
}

/// Whether the filter includes an id and doesn't exclude it with a leading `-`.
pub(crate) fn is_among(id: &str, values: &[&str]) -> bool {
    let is_excluded = values.iter().any(|value| value.strip_prefix('-') == Some(id));
    let mut asked = asked_for(values).peekable();
    !is_excluded && (asked.peek().is_none() || asked.any(|known| known == id))
}
