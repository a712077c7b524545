//! `/v1/users`: list and count users.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde_json::{Value, json};

use crate::backend::{provider_ids, query};
use crate::clock::Now;
use crate::context::{Context, Handled, Reply};
use crate::errors::ApiError;
use crate::request::Call;
use crate::state::identifiers::normalize;
use crate::state::{User, Users};

/// Filters of which a user must match each that is there.
const FILTERS: [&str; 5] = ["email_address", "phone_number", "username", "user_id", "external_id"];

const BOUNDS: [&str; 2] = ["created_at_after", "created_at_before"];

const ORDERS: [&str; 10] = [
    "created_at",
    "updated_at",
    "email_address",
    "web3wallet",
    "first_name",
    "last_name",
    "phone_number",
    "username",
    "last_active_at",
    "last_sign_in_at",
];

/// The users that a request asks for.
struct Wanted<'c> {
    filters: [(&'static str, Vec<&'c str>); 5],
    numbers: Range<usize>,
    /// The numbers of those with an account at a provider, if a request names one.
    linked: Option<BTreeSet<usize>>,
}

pub(crate) fn list(context: &mut Context<'_>) -> Handled {
    let (call, now) = (context.call, context.now);
    let page = ["limit", "offset", "order_by", "starting_after", "__clerk_api_version"];
    query::check(call, &[&FILTERS[..], &provider_ids::FILTER, &BOUNDS, &page].concat())?;
    let (limit, offset) = query::page(call)?;
    let order = query::order(call, &ORDERS)?;
    let cursor = call.query("starting_after");
    if cursor.is_some() && order.by != "created_at" {
        return Err(ApiError::param_value("order_by", order.by));
    }
    if cursor.is_some() && offset > 0 {
        return Err(ApiError::param_value("offset", &offset.to_string()));
    }
    let page = context.page();
    let users = &page.state.users;
    let mut wanted = Wanted::of(call, users, now)?;
    wanted.linked = provider_ids::find(call, users)?;
    if let Some(id) = cursor {
        // Clerk doesn't say what a cursor is whose user is gone. Here it is the end of the list.
        match users.get(id) {
            Some(user) if order.descending => wanted.numbers.end = wanted.numbers.end.min(user.number),
            Some(user) => wanted.numbers.start = wanted.numbers.start.max(user.number + 1),
            None => wanted.numbers = 0..0,
        }
    }
    let found = wanted.found(users);
    let found: Box<dyn Iterator<Item = &User>> = match (order.by, order.descending) {
        ("created_at", false) => found,
        ("created_at", true) => Box::new(found.rev()),
        (by, descending) => {
            let mut all: Vec<&User> = found.collect();
            all.sort_by_cached_key(|user| sort_key(user, by, now));
            if descending { Box::new(all.into_iter().rev()) } else { Box::new(all.into_iter()) }
        }
    };
    let shown: Vec<Value> = found.skip(offset).take(limit).map(|user| page.backend_user(user)).collect();
    Ok(Reply::plain(Value::Array(shown)))
}

pub(crate) fn count(context: &mut Context<'_>) -> Handled {
    let call = context.call;
    query::check(call, &[&FILTERS[..], &BOUNDS, &["__clerk_api_version"]].concat())?;
    let users = &context.state.users;
    let is_filtered = call.query.iter().any(|(name, _)| name != "__clerk_api_version");
    let count = match is_filtered {
        true => Wanted::of(call, users, context.now)?.found(users).count(),
        false => users.len(),
    };
    Ok(Reply::plain(json!({ "object": "total_count", "total_count": count })))
}

impl<'c> Wanted<'c> {
    fn of(call: &'c Call, users: &Users, now: Now) -> Result<Self, ApiError> {
        let mut filters = FILTERS.map(|name| (name, Vec::new()));
        for (name, values) in &mut filters {
            *values = query::values(call, name)?;
        }
        let (after, before) = (query::time(call, BOUNDS[0])?, query::time(call, BOUNDS[1])?);
        let start = after.map_or(0, |ms| users.first_number(|user| now.ms_at(user.created) > ms));
        let end = before.map_or(usize::MAX, |ms| users.first_number(|user| now.ms_at(user.created) >= ms));
        Ok(Self { filters, numbers: start..end, linked: None })
    }

    /// The users, oldest first.
    fn found<'s>(self, users: &'s Users) -> Box<dyn DoubleEndedIterator<Item = &'s User> + 's>
    where
        'c: 's,
    {
        let numbers = self.numbers.clone();
        let linked =
            || Some(users.of_numbers(self.linked.as_ref()?).map(|user| (user.number, user)).collect());
        let few = candidates(users, &self.filters).or_else(linked);
        let all: Box<dyn DoubleEndedIterator<Item = &User>> = match few {
            Some(few) => Box::new(few.into_values().filter(move |user| numbers.contains(&user.number))),
            None => Box::new(users.numbered(numbers)),
        };
        Box::new(all.filter(move |user| {
            self.linked.as_ref().is_none_or(|linked| linked.contains(&user.number))
                && self.filters.iter().all(|(name, values)| matches(user, name, values))
        }))
    }
}

/// Returns the users that the indexes find for the filters, by number; `None` if no filter has an index.
fn candidates<'s>(users: &'s Users, filters: &[(&str, Vec<&str>)]) -> Option<BTreeMap<usize, &'s User>> {
    let found: Vec<&User> = filters.iter().find_map(|(name, values)| match *name {
        _ if values.is_empty() => None,
        "external_id" => None,
        "user_id" => {
            let ids: Vec<&str> = query::asked_for(values).collect();
            (!ids.is_empty()).then(|| ids.into_iter().filter_map(|id| users.get(id)).collect())
        }
        _ => Some(values.iter().flat_map(|value| users.having(value)).collect()),
    })?;
    Some(found.into_iter().map(|user| (user.number, user)).collect())
}

/// Whether a user matches one of a filter's values. As on Clerk, unverified addresses match too.
fn matches(user: &User, filter: &str, values: &[&str]) -> bool {
    if values.is_empty() {
        return true;
    }
    let account = &user.account;
    let has = |own: &str| values.iter().any(|value| normalize(value) == normalize(own));
    match filter {
        "email_address" => account.emails.iter().any(|(address, _)| has(address)),
        "phone_number" => account.phone.as_deref().is_some_and(has),
        "username" => account.username.as_deref().is_some_and(has),
        "external_id" => query::is_among(account.external_id.as_deref().unwrap_or_default(), values),
        _ => query::is_among(&account.id, values),
    }
}

/// The value that users are ordered by. Those who have none come last.
pub(crate) fn sort_key(user: &User, by: &str, now: Now) -> (bool, String) {
    let account = &user.account;
    let time = |at| format!("{:020}", now.ms_at(at));
    let key = match by {
        "created_at" => Some(time(user.created)),
        "updated_at" => Some(time(user.updated)),
        "last_active_at" | "last_sign_in_at" => user.last_sign_in.map(time),
        "email_address" => account.emails.first().map(|(address, _)| address.clone()),
        "phone_number" => account.phone.clone(),
        "username" => account.username.clone(),
        "first_name" => account.first_name.clone(),
        "last_name" => account.last_name.clone(),
        _ => None,
    };
    (key.is_none(), key.unwrap_or_default())
}
