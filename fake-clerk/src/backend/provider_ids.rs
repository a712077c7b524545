//! The filter of `/v1/users` by an account at an OAuth provider.

use std::collections::BTreeSet;

use crate::errors::ApiError;
use crate::request::Call;
use crate::state::Users;

/// The parameters, which only work together.
pub(crate) const FILTER: [&str; 2] = ["provider", "provider_user_id"];

/// Maximum number of ids.
const MAX_IDS: usize = 100;

/// Returns the users who have one of the accounts that a request names, by number; `None` if it names none.
///
/// Accounts at the providers of enterprise connections aren't searched, and the verification of an account doesn't
/// matter, as for addresses.
pub(crate) fn find(call: &Call, users: &Users) -> Result<Option<BTreeSet<usize>>, ApiError> {
    let [provider, ids] = FILTER.map(|name| {
        let values = call.query.iter().filter(move |(known, _)| known == name);
        values.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
    });
    match (provider.last(), ids.as_slice()) {
        (None, []) => Ok(None),
        (None, _) => Err(ApiError::missing_param_beside(FILTER[0], FILTER[1])),
        (Some(_), []) => Err(ApiError::missing_param_beside(FILTER[1], FILTER[0])),
        (Some(_), ids) if ids.len() > MAX_IDS => Err(ApiError::too_many_values(FILTER[1], MAX_IDS)),
        (Some(provider), ids) => Ok(Some(users.by_provider_id.of_any(provider, ids.iter().copied()))),
    }
}
