//! iLEAP's cases 1 to 3, and PACT's 3 to 8 and 20: footprints.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use crate::harness::World;

const SHIPMENT: &str = "https://api.ileap.sine.dev/shipment-footprint.json";
const TOC: &str = "https://api.ileap.sine.dev/toc.json";
const HOC: &str = "https://api.ileap.sine.dev/hoc.json";

/// The footprints whose extension has this schema, after a look at what iLEAP says about all of them.
async fn with_extension(world: &World, schema: &str, urn: &str, unit: &str) -> Vec<Value> {
    let token = world.token().await;
    let mut found = world.get("/2/footprints", &token).await.entries();
    found.retain(|footprint| footprint["extensions"][0]["dataSchema"] == schema);
    assert!(!found.is_empty());
    for footprint in &found {
        let extensions = footprint["extensions"].as_array().unwrap();
        assert_eq!(extensions.len(), 1, "{footprint}");
        assert_eq!(extensions[0]["specVersion"], "2.0.0");
        assert_eq!(extensions[0]["documentation"], "https://sine-fdn.github.io/ileap-extension/");
        assert_eq!(footprint["productCategoryCpc"], "83117");
        let urn = format!("urn:pathfinder:product:customcode:vendor-assigned:{urn}:");
        assert!(footprint["productIds"][0].as_str().unwrap().starts_with(&urn), "{footprint}");
        let pcf = &footprint["pcf"];
        assert_eq!(pcf["packagingEmissionsIncluded"], false);
        assert_eq!(pcf["declaredUnit"], unit);
        assert_eq!(pcf["biogenicCarbonContent"], "0");
        assert_eq!(pcf["fossilGhgEmissions"], pcf["pCfExcludingBiogenic"]);
    }
    found
}

fn has(object: &Value, names: &[&str]) {
    for name in names {
        assert!(!object[name].is_null(), "no {name} in {object}");
    }
}

fn decimal(value: &Value) -> rust_decimal::Decimal {
    value.as_str().unwrap().parse().unwrap()
}

/// The ids that a footprint of this kind is for.
fn ids<'f>(footprints: &'f [Value], name: &str) -> BTreeSet<&'f str> {
    footprints.iter().map(|footprint| footprint["extensions"][0]["data"][name].as_str().unwrap()).collect()
}

#[tokio::test]
async fn i2_ileap_tc001_shipments_are_extensions_of_footprints() {
    let world = World::new().await;
    for footprint in with_extension(&world, SHIPMENT, "shipment", "ton kilometer").await {
        let shipment = &footprint["extensions"][0]["data"];
        has(shipment, &["mass", "shipmentId"]);
        let elements = shipment["tces"].as_array().unwrap();
        assert!(!elements.is_empty());
        for element in elements {
            has(
                element,
                &["tceId", "shipmentId", "mass", "co2eWTW", "co2eTTW", "distance", "transportActivity"],
            );
            assert!(element["tocId"].is_null() != element["hocId"].is_null(), "either of the two: {element}");
        }
        let sum = |name: &str| {
            elements.iter().map(|element| decimal(&element[name])).sum::<rust_decimal::Decimal>()
        };
        assert_eq!(decimal(&footprint["pcf"]["unitaryProductAmount"]), sum("transportActivity"));
        assert_eq!(decimal(&footprint["pcf"]["pCfExcludingBiogenic"]), sum("co2eWTW"));
        assert_eq!(footprint["pcf"]["productMassPerDeclaredUnit"], shipment["mass"]);
    }
}

#[tokio::test]
async fn i2_ileap_tc002_the_transport_categories_of_all_shipments_are_listed() {
    let world = World::new().await;
    let categories = with_extension(&world, TOC, "toc", "ton kilometer").await;
    for footprint in &categories {
        let category = &footprint["extensions"][0]["data"];
        has(category, &["tocId", "mode", "co2eIntensityWTW", "co2eIntensityTTW", "transportActivityUnit"]);
        assert!(!category["energyCarriers"].as_array().unwrap().is_empty());
        assert_eq!(footprint["pcf"]["unitaryProductAmount"], "1");
        assert_eq!(footprint["pcf"]["pCfExcludingBiogenic"], category["co2eIntensityWTW"]);
    }
    let shipments = with_extension(&world, SHIPMENT, "shipment", "ton kilometer").await;
    assert!(ids(&categories, "tocId").is_superset(&referenced(&shipments, "tocId")));
}

#[tokio::test]
async fn i2_ileap_tc003_the_hub_categories_of_all_shipments_are_listed() {
    let world = World::new().await;
    let categories = with_extension(&world, HOC, "hoc", "kilogram").await;
    for footprint in &categories {
        let category = &footprint["extensions"][0]["data"];
        has(category, &["hocId", "hubType", "co2eIntensityWTW", "co2eIntensityTTW", "hubActivityUnit"]);
        assert!(!category["energyCarriers"].as_array().unwrap().is_empty());
        assert_eq!(footprint["pcf"]["unitaryProductAmount"], "1000");
        assert_eq!(footprint["pcf"]["pCfExcludingBiogenic"], category["co2eIntensityWTW"]);
    }
    let shipments = with_extension(&world, SHIPMENT, "shipment", "ton kilometer").await;
    let referenced = referenced(&shipments, "hocId");
    assert!(!referenced.is_empty() && ids(&categories, "hocId").is_superset(&referenced));
}

/// The categories that the elements of shipments refer to.
fn referenced<'f>(shipments: &'f [Value], name: &str) -> BTreeSet<&'f str> {
    let elements =
        shipments.iter().flat_map(|shipment| shipment["extensions"][0]["data"]["tces"].as_array().unwrap());
    elements.filter_map(|element| element[name].as_str()).collect()
}

#[tokio::test]
async fn i2_pact_tc03_a_listed_footprint_is_got_by_its_id() {
    let world = World::new().await;
    let token = world.token().await;
    for footprint in world.get("/2/footprints", &token).await.entries() {
        let answer = world.get(&format!("/2/footprints/{}", footprint["id"].as_str().unwrap()), &token).await;
        assert_eq!((answer.status, &answer.json()["data"]), (200, &footprint));
    }
}

#[tokio::test]
async fn i2_pact_tc04_all_footprints_are_listed() {
    let world = World::new().await;
    let answer = world.get("/2/footprints", &world.token().await).await;
    let footprints = answer.entries();
    assert!(footprints.len() >= 5 && answer.next().is_none());
    for footprint in &footprints {
        has(
            footprint,
            &[
                "id",
                "specVersion",
                "version",
                "created",
                "status",
                "companyName",
                "productDescription",
                "pcf",
                "comment",
            ],
        );
        assert!(!footprint["companyIds"].as_array().unwrap().is_empty());
        assert!(!footprint["productIds"].as_array().unwrap().is_empty());
    }
}

#[tokio::test]
async fn i2_pact_tc05_the_link_leads_to_the_next_page_and_gives_it_again() {
    let world = World::new().await;
    let token = world.token().await;
    let all = world.get("/2/footprints", &token).await.entries();
    let mut page = world.get("/2/footprints?limit=1", &token).await;
    let mut found = page.entries();
    while let Some(next) = page.next() {
        assert!(next.starts_with(&format!("{}/2/footprints?", world.url)), "{next}");
        page = world.get(&next, &token).await;
        assert_eq!(page.entries().len(), 1);
        assert_eq!(world.get(&next, &token).await.entries(), page.entries());
        found.extend(page.entries());
    }
    assert_eq!(found, all);
}

#[tokio::test]
async fn i2_pact_tc06_a_list_for_an_invalid_token_is_401_bad_request() {
    let world = World::new().await;
    for token in ["invalid-token", "very-invalid-access-token-jL0pQv8aZ3kTnY5w"] {
        assert_eq!(world.get("/2/footprints", token).await.error(), (401, "BadRequest".to_owned()));
    }
}

#[tokio::test]
async fn i2_pact_tc07_a_footprint_for_an_invalid_token_is_401_bad_request() {
    let world = World::new().await;
    for id in ["some-id", "5b0e3f5c-2f0b-4d52-9a53-0f6f0a4f7c01"] {
        let answer = world.get(&format!("/2/footprints/{id}"), "invalid-token").await;
        assert_eq!(answer.error(), (401, "BadRequest".to_owned()));
    }
}

#[tokio::test]
async fn i2_pact_tc08_a_footprint_that_is_not_there_is_404_no_such_footprint() {
    let world = World::new().await;
    let token = world.token().await;
    for id in ["00000000-0000-0000-0000-000000000000", "non-existent-id", "%ff", "a%2Fb"] {
        let answer = world.get(&format!("/2/footprints/{id}"), &token).await;
        assert_eq!(answer.error(), (404, "NoSuchFootprint".to_owned()), "{id}");
    }
}

#[tokio::test]
async fn i3_pact_tc20_a_filter_leaves_the_footprints_that_meet_it() {
    let world = World::new().await;
    let token = world.token().await;
    let all = world.get("/2/footprints", &token).await.entries();
    let answer = world.get("/2/footprints?$filter=productCategoryCpc+eq+'83117'", &token).await;
    assert_eq!(answer.entries(), all);
    assert!(
        world.get("/2/footprints?$filter=productCategoryCpc+eq+'6398'", &token).await.entries().is_empty()
    );

    // As `encodeURIComponent` writes it.
    let first = all[0]["created"].as_str().unwrap();
    let filter = format!("/2/footprints?$filter=created%20ge%20'{}'", first.replace(':', "%3A"));
    assert_eq!(world.get(&filter, &token).await.entries(), all);

    let since: Timestamp = "2025-03-01T00:00:00Z".parse().unwrap();
    let answer = world.get("/2/footprints?$filter=created+ge+'2025-03-01T00:00:00Z'", &token).await;
    let found = answer.entries();
    assert!(!found.is_empty() && found.len() < all.len());
    for footprint in &found {
        assert!(footprint["created"].as_str().unwrap().parse::<Timestamp>().unwrap() >= since);
    }

    // An offset whose plus is not encoded, as iLEAP's tests send it.
    let updated =
        |offset: &str| format!("/2/footprints?$filter=updated+lt+'2025-03-10T09:00:00.000{offset}'");
    assert_eq!(world.get(&updated("+02:00"), &token).await.entries(), [] as [Value; 0]);
    assert_eq!(world.get(&updated("+01:30"), &token).await.entries().len(), 1);
    assert_eq!(world.get(&updated("%2B01:30"), &token).await.entries().len(), 1);
    assert_eq!(world.get(&updated("-02:00"), &token).await.entries().len(), 1);
}

/// PACT's `$filter` is the only one. A partner would take the whole list for the part that it asked for.
#[tokio::test]
async fn i3_another_parameter_of_a_list_is_400_not_implemented() {
    let world = World::new().await;
    let token = world.token().await;
    for query in [
        "$top=1",
        "$skip=1",
        "%24orderby=created",
        "filter=created+ge+'2025-01-01T00:00:00Z'",
        "status=Active",
    ] {
        for path in ["/2/footprints", "/2/ileap/tad"] {
            let answer = world.get(&format!("{path}?{query}"), &token).await;
            assert_eq!(answer.error(), (400, "NotImplemented".to_owned()), "{path}?{query}");
        }
    }
}
