//! Pages of lists: `limit`, `offset`, and the link to the next page (RFC 8288).

use axum::http::HeaderValue;
use url::form_urlencoded::{Serializer, parse};

use crate::errors::PactError;

/// The most entries of one page. A partner that asks for more gets these, and a link to the next ones.
const MOST: usize = 100;
/// The most parameters of a query. Each is compared with those before it.
const MOST_PARAMETERS: usize = 16;

/// The part of a list that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// How many entries come before it.
    pub(crate) offset: usize,
    /// How many entries it has at most, from 1 to 100.
    pub(crate) limit: usize,
}

/// The query of a request for a list.
#[derive(Debug)]
pub(crate) struct ListQuery {
    pub(crate) page: Page,
    /// The other parameters, decoded, in their order, each at most once.
    pub(crate) others: Vec<(String, String)>,
}

impl ListQuery {
    /// Reads a query, in which a `+` is a space as in HTML forms.
    pub(crate) fn parse(query: &str) -> Result<Self, PactError> {
        let mut page = Page { offset: 0, limit: MOST };
        let mut seen = Vec::new();
        let mut others = Vec::new();
        for (name, value) in parse(query.as_bytes()) {
            if seen.len() == MOST_PARAMETERS {
                return Err(PactError::bad_request("a query has at most 16 parameters"));
            }
            if seen.contains(&name) {
                return Err(PactError::bad_request(format!("the parameter {name:?} is repeated")));
            }
            match &*name {
                "limit" => page.limit = positive(&value)?.min(MOST),
                "offset" => page.offset = value.parse().map_err(|_| PactError::bad_request(BAD_OFFSET))?,
                _ => others.push((name.clone().into_owned(), value.into_owned())),
            }
            seen.push(name);
        }
        Ok(Self { page, others })
    }

    /// The error for a parameter that a list doesn't have. If it were ignored, a partner would take the whole list for the
    /// part that it asked for.
    pub(crate) fn unknown(name: &str) -> PactError {
        PactError::not_implemented(format!("the parameter {name:?} isn't implemented"))
    }

    /// The `Link` field that leads to the page after this one, at the address that the host is known by. The address is a
    /// setting and not taken from `Host`, because a client chooses that field, and a cache would hand its link to others.
    pub(crate) fn next(&self, public_url: &str, path: &str) -> Option<HeaderValue> {
        let mut query = Serializer::new(String::new());
        query.extend_pairs(&self.others);
        query.append_pair("limit", &self.page.limit.to_string());
        query.append_pair("offset", &self.page.offset.checked_add(self.page.limit)?.to_string());
        let link = format!("<{public_url}{path}?{}>; rel=\"next\"", query.finish());
        HeaderValue::try_from(link).ok()
    }
}

const BAD_OFFSET: &str = "`offset` must be a whole number; follow the link of the page before";

fn positive(limit: &str) -> Result<usize, PactError> {
    let bad = || PactError::bad_request("`limit` must be a whole number from 1");
    // A number that is too large for this machine is as good as the most.
    let is_number = !limit.is_empty() && limit.bytes().all(|byte| byte.is_ascii_digit());
    match limit.parse() {
        Ok(0) => Err(bad()),
        Ok(limit) if is_number => Ok(limit),
        Err(_) if is_number => Ok(MOST),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Result<Page, PactError> {
        ListQuery::parse(query).map(|query| query.page)
    }

    #[test]
    fn i2_a_page_has_from_1_to_100_entries() {
        for (query, offset, limit) in [
            ("", 0, 100),
            ("limit=1", 0, 1),
            ("limit=101", 0, 100),
            ("limit=99999999999999999999999999", 0, 100),
            ("offset=7&limit=2", 7, 2),
        ] {
            assert_eq!(of(query).unwrap(), Page { offset, limit }, "{query}");
        }
        for bad in [
            "limit=",
            "limit=0",
            "limit=-1",
            "limit=%2B1",
            "limit=1.5",
            "limit=ten",
            "offset=-1",
            "limit=1&limit=2",
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
        let parameters = |count: usize| (0..count).map(|at| format!("p{at}&")).collect::<String>();
        assert!(of(&parameters(16)).is_ok() && of(&parameters(17)).is_err());
    }

    #[test]
    fn i2_the_link_to_the_next_page_keeps_the_filter() {
        let query =
            ListQuery::parse("$filter=created+ge+'2025-01-01T00:00:00%2B01:00'&limit=2&offset=2").unwrap();
        let link = query.next("https://api.example.com/pact", "/2/footprints").unwrap();
        let expected = "<https://api.example.com/pact/2/footprints?\
                        %24filter=created+ge+%272025-01-01T00%3A00%3A00%2B01%3A00%27&limit=2&offset=4>; rel=\"next\"";
        assert_eq!(link, expected);
        let end = ListQuery { page: Page { offset: usize::MAX, limit: 1 }, others: Vec::new() };
        assert_eq!(end.next("https://a.example", "/"), None);
    }
}
