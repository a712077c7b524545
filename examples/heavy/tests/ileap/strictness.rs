//! The filter's language, and the arithmetic of the data set.

use rust_decimal::Decimal;
use serde_json::Value;

use crate::errors::Code;
use crate::filter::{Condition, Filter, Operator, SetProperty, TextProperty, TimeProperty};

fn text(property: TextProperty, operator: Operator, value: &str) -> Condition {
    Condition::Text { property, operator, value: value.to_owned() }
}

fn time(property: TimeProperty, operator: Operator, value: &str) -> Condition {
    Condition::Time { property, operator, value: value.parse().unwrap() }
}

fn any(property: SetProperty, value: &str) -> Condition {
    Condition::Any { property, value: value.to_owned() }
}

#[test]
fn i3_the_filters_of_pacts_specification_are_read() {
    let start = time(TimeProperty::ReferencePeriodStart, Operator::Ge, "2023-01-01T00:00:00Z");
    let end = time(TimeProperty::ReferencePeriodEnd, Operator::Lt, "2024-01-01T00:00:00Z");
    for (filter, expected) in [
        ("productCategoryCpc eq '3342'", vec![text(TextProperty::ProductCategoryCpc, Operator::Eq, "3342")]),
        ("pcf/geographyCountry eq 'DE'", vec![text(TextProperty::GeographyCountry, Operator::Eq, "DE")]),
        (
            "(pcf/referencePeriodStart ge '2023-01-01T00:00:00.000Z') and \
             (pcf/referencePeriodEnd lt '2024-01-01T00:00:00.000Z') ",
            vec![start.clone(), end.clone()],
        ),
        (
            "((pcf/referencePeriodStart ge 2023-01-01T00:00:00Z) and pcf/referencePeriodEnd lt '2024-01-01T01:00:00+01:00')",
            vec![start, end],
        ),
        ("productIds/any(productId:(productId eq 'urn:a'))", vec![any(SetProperty::ProductIds, "urn:a")]),
        ("companyIds/any( id : id eq 'urn:b' )", vec![any(SetProperty::CompanyIds, "urn:b")]),
        (
            "productCategoryCpc eq 'it''s (and) so'",
            vec![text(TextProperty::ProductCategoryCpc, Operator::Eq, "it's (and) so")],
        ),
        (
            "created lt '2025-01-01T00:00:00 02:00'",
            vec![time(TimeProperty::Created, Operator::Lt, "2024-12-31T22:00:00Z")],
        ),
        (
            "updated le '2025-01-01T00:00:00-02:00'",
            vec![time(TimeProperty::Updated, Operator::Le, "2025-01-01T02:00:00Z")],
        ),
        (
            "created gt '2025-01-01T00:00:00.250Z'",
            vec![time(TimeProperty::Created, Operator::Gt, "2025-01-01T00:00:00.25Z")],
        ),
        ("", vec![]),
        ("  ", vec![]),
    ] {
        assert_eq!(Filter::parse(filter).unwrap(), Filter(expected), "{filter}");
    }
}

#[test]
fn i3_a_filter_beyond_pacts_is_not_implemented_and_none_at_all_is_a_bad_request() {
    let code = |filter: &str| Filter::parse(filter).map_err(|error| error.code);
    for filter in [
        "productCategoryCpc eq 'a' or productCategoryCpc eq 'b'",
        "(productCategoryCpc eq 'a' or productCategoryCpc eq 'b')",
        "productCategoryCpc ne 'a'",
        "not (productCategoryCpc eq 'a')",
        "not created eq 'a'",
        "startswith(productCategoryCpc,'83')",
        "companyName eq 'a'",
        "pcf/declaredUnit eq 'liter'",
        "comments/any(c:(c eq 'a'))",
        "productIds/any(id:(id ne 'urn:a'))",
        "productIds/all(id:(id eq 'urn:a'))",
    ] {
        assert_eq!(code(filter), Err(Code::NotImplemented), "{filter}");
    }
    let deep =
        |depth: usize| format!("{}created ge '2025-01-01T00:00:00Z'{}", "(".repeat(depth), ")".repeat(depth));
    assert!(code(&deep(16)).is_ok());
    let (too_deep, too_long) = (deep(17), format!("productCategoryCpc eq '{}'", "a".repeat(2048)));
    for filter in [
        "productCategoryCpc",
        "productCategoryCpc eq",
        "productCategoryCpc eq 'a",
        "productCategoryCpc eq 'a' and",
        "and productCategoryCpc eq 'a'",
        "productCategoryCpc = 'a'",
        "productCategoryCpc eq 'a' productCategoryCpc eq 'b'",
        "(productCategoryCpc eq 'a'",
        "productCategoryCpc eq 'a')",
        "'a' eq productCategoryCpc",
        "created ge 'yesterday'",
        "created ge '2025-01-01'",
        "created ge '2025-13-01T00:00:00Z'",
        "created ge '2025-01-01T00:00:00'",
        "productIds/any(id:(other eq 'urn:a'))",
        "productIds/any(id:(id eq 'urn:a')",
        "productIds/any(id:((id eq 'urn:a'))",
        "productIds/any",
        "()",
        ",",
        "é eq 'é'",
        &*too_deep,
        &*too_long,
    ] {
        assert!(matches!(code(filter), Err(Code::BadRequest | Code::NotImplemented)), "{filter}");
    }
    assert_eq!(code(&too_deep), Err(Code::BadRequest));
    assert_eq!(code("created ge '2025-01-01"), Err(Code::BadRequest));
}

#[test]
fn i2_emissions_are_activity_times_intensity() {
    let data: Value = serde_json::from_str(include_str!("../../ileap/data.json")).unwrap();
    let decimal = |value: &Value| -> Decimal { value.as_str().unwrap().parse().unwrap() };
    let category = |list: &str, name: &str, id: &Value| {
        let found = data[list].as_array().unwrap().iter().find(|record| record["data"][name] == *id);
        found.unwrap_or_else(|| panic!("no {id} in {list}"))["data"].clone()
    };
    for shipment in data["shipments"].as_array().unwrap() {
        for element in shipment["data"]["tces"].as_array().unwrap() {
            let tonnes = decimal(&element["mass"]) / Decimal::ONE_THOUSAND;
            let activity = decimal(&element["transportActivity"]);
            assert_eq!(activity, tonnes * decimal(&element["distance"]["actual"]), "{element}");
            let (category, amount) = match &element["tocId"] {
                Value::Null => (category("hubs", "hocId", &element["hocId"]), tonnes),
                id => (category("transports", "tocId", id), activity),
            };
            for (emissions, intensity) in [("co2eWTW", "co2eIntensityWTW"), ("co2eTTW", "co2eIntensityTTW")] {
                assert_eq!(decimal(&element[emissions]), amount * decimal(&category[intensity]), "{element}");
            }
        }
    }
    for list in ["transports", "hubs"] {
        for record in data[list].as_array().unwrap() {
            let carriers = record["data"]["energyCarriers"].as_array().unwrap();
            let shares: Decimal = carriers.iter().map(|carrier| decimal(&carrier["relativeShare"])).sum();
            assert_eq!(shares, Decimal::ONE, "{record}");
        }
    }
}
