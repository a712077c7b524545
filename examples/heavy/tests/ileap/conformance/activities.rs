//! iLEAP's cases 4 to 8: transport activity data.

use std::time::Duration;

use crate::harness::World;

const ALL: &str = "/2/ileap/tad";

#[tokio::test]
async fn i4_ileap_tc004_all_activities_are_listed() {
    let world = World::new().await;
    let activities = world.get(ALL, &world.token().await).await.entries();
    assert!(activities.len() >= 5);
    for activity in &activities {
        for name in ["activityId", "mode", "departureAt", "arrivalAt", "distance"] {
            assert!(!activity[name].is_null(), "no {name} in {activity}");
        }
        assert!(!activity["consignmentIds"].as_array().unwrap().is_empty());
        for end in ["origin", "destination"] {
            assert!(
                activity[end]["country"].as_str().is_some_and(|country| country.len() == 2),
                "{activity}"
            );
        }
    }
}

#[tokio::test]
async fn i4_ileap_tc005_activities_are_filtered_by_mode_and_other_properties() {
    let world = World::new().await;
    let token = world.token().await;
    let all = world.get(ALL, &token).await.entries();
    for mode in ["Road", "Rail", "Air", "Sea", "InlandWaterway"] {
        let found = world.get(&format!("{ALL}?mode={mode}"), &token).await.entries();
        let expected: Vec<_> = all.iter().filter(|activity| activity["mode"] == mode).cloned().collect();
        assert_eq!(found, expected, "{mode}");
    }
    // The specification's own example, with a value in another case.
    let found = world
        .get(&format!("{ALL}?feedstock=Fossil&packagingOrTrEqType=container-teu"), &token)
        .await
        .entries();
    assert_eq!(found.iter().map(|activity| &activity["activityId"]).collect::<Vec<_>>(), ["A-2001"]);
    assert!(world.get(&format!("{ALL}?mode=road&feedstock=Grid"), &token).await.entries().is_empty());
    let refused = world.get(&format!("{ALL}?colour=red"), &token).await;
    assert_eq!(refused.error(), (400, "NotImplemented".to_owned()));
}

#[tokio::test]
async fn i4_ileap_tc006_a_limit_holds_and_the_link_leads_on() {
    let world = World::new().await;
    let token = world.token().await;
    let all = world.get(&format!("{ALL}?mode=Road"), &token).await.entries();
    let first = world.get(&format!("{ALL}?mode=Road&limit=1"), &token).await;
    assert_eq!(first.entries(), all[..1]);
    let next = first.next().unwrap();
    assert!(next.starts_with(&format!("{}{ALL}?", world.url)), "{next}");
    let second = world.get(&next, &token).await;
    assert_eq!((second.entries(), second.next()), (all[1..2].to_vec(), None));
    for limit in ["0", "-1", "one"] {
        let refused = world.get(&format!("{ALL}?limit={limit}"), &token).await;
        assert_eq!(refused.error(), (400, "BadRequest".to_owned()), "{limit}");
    }
}

#[tokio::test]
async fn i4_ileap_tc007_an_invalid_token_is_403_access_denied() {
    let world = World::new().await;
    assert_eq!(world.get(ALL, "invalid-token").await.error(), (403, "AccessDenied".to_owned()));
}

#[tokio::test]
async fn i4_ileap_tc008_an_expired_token_is_401_token_expired() {
    let world = World::new().await;
    let token = world.token().await;
    assert_eq!(world.get(ALL, &token).await.status, 200);
    world.advance(Duration::from_secs(70)).await;
    let answer = world.get(ALL, &token).await;
    assert_eq!(answer.error(), (401, "TokenExpired".to_owned()));
    assert!(answer.field("www-authenticate").iter().any(|field| field.contains("invalid_token")));
    assert_eq!(world.get(ALL, &world.token().await).await.status, 200, "a new one is got as the first was");
}
