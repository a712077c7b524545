//! Which columns there are, and which objects may stand beside each other (rules Y1, Y4).

use super::*;
use crate::kind::Kind;
use crate::record::{Record, Value, canonical_text};
use crate::support::each;
use proptest::prelude::*;

#[tokio::test]
async fn y1_two_users_may_have_the_same_address_name_and_number_for_a_while() {
    each(async |database| {
        let mirror = mirror(database).await;
        for id in ["user_1", "user_2"] {
            let mut user = user(id, "Jane", T);
            user["username"] = json!("jane");
            user["external_id"] = json!("42");
            assert_eq!(mirror.event("user.created", T, &user).await, Outcome::Applied);
            let mut organization = organization(&id.replace("user", "org"), "Acme", T);
            organization["slug"] = json!("acme");
            assert_eq!(mirror.event("organization.created", T, &organization).await, Outcome::Applied);
        }
    })
    .await;
}

#[tokio::test]
async fn y4_the_address_is_the_primary_one_with_its_verification() {
    each(async |database| {
        let mirror = mirror(database).await;
        let address = async || {
            mirror
                .texts(
                    "SELECT email || ' ' || CAST(CAST(email_verified AS INTEGER) AS TEXT) FROM clerk_users",
                )
                .await
        };
        let mut jane = user("user_1", "Jane", T);
        mirror.event("user.created", T, &jane).await;
        assert_eq!(address().await, ["jane@example.com 1"]);
        jane["primary_email_address_id"] = json!("idn_1");
        jane["updated_at"] = json!(T + 1);
        mirror.event("user.updated", T + 1, &jane).await;
        assert_eq!(address().await, ["old@example.com 0"]);
        jane["primary_email_address_id"] = Json::Null;
        jane["updated_at"] = json!(T + 2);
        mirror.event("user.updated", T + 2, &jane).await;
        assert_eq!(address().await, [""], "none is primary, so none is taken for it");
    })
    .await;
}

#[tokio::test]
async fn y4_a_row_reads_back_as_the_record_that_was_written() {
    each(async |database| {
        let mirror = mirror(database).await;
        let mut jane = user("user_1", "Jané 🦀", T);
        jane["phone_numbers"] = json!([{ "id": "idn_3", "phone_number": "+15555550100", "verification": null }]);
        jane["primary_phone_number_id"] = json!("idn_3");
        jane["deprovisioned"] = json!(true);
        jane["public_metadata"] = json!({ "z": [1.5, 1e300, -0.25, 9_007_199_254_740_993_i64], "a": { "y": null, "b": "\u{7f}\\u0041" } });
        let objects = [
            (Kind::User, jane),
            (Kind::Organization, organization("org_1", "Acme", T)),
            (Kind::Membership, membership("orgmem_1", "user_1", "org_1", T)),
        ];
        for (kind, object) in objects {
            let json = object.to_string();
            mirror.apply_page(kind, T + 1, &[&json], None).await.unwrap();
            let record = Record::read(kind, &json).unwrap();
            let rows = mirror.rows(kind, &[&record.id]).await.unwrap();
            assert_eq!(rows[0].values, record.values);
            assert_eq!((rows[0].head.version, &rows[0].head.hash), (record.version, &record.hash));
        }
    })
    .await;
}

#[tokio::test]
async fn y4_metadata_can_be_queried_as_json_on_both_databases() {
    each(async |database| {
        let mirror = mirror(database).await;
        mirror.event("user.created", T, &user("user_1", "Jane", T)).await;
        assert_eq!(mirror.texts("SELECT public_metadata->>'plan' FROM clerk_users").await, ["pro"]);
    })
    .await;
}

fn json_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "[a-z\\PC]{0,8}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map("[a-z]{1,4}", inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn y6_the_hash_changes_with_a_mirrored_column_and_with_nothing_else(
        one in json_value(), other in json_value(), theme in "[a-z]{0,4}", seen in any::<i64>(),
    ) {
        let with = |metadata: &Json| {
            let mut jane = user("user_1", "Jane", T);
            jane["public_metadata"] = metadata.clone();
            jane
        };
        let hash = |user: &Json| Record::read(Kind::User, &user.to_string()).unwrap().hash;
        // As text in another form.
        let pretty = serde_json::to_string_pretty(&with(&one)).unwrap();
        prop_assert_eq!(hash(&with(&one)), Record::read(Kind::User, &pretty).unwrap().hash);
        let (one_text, other_text) = (one.to_string(), other.to_string());
        prop_assert_eq!(hash(&with(&one)) == hash(&with(&other)), one_text == other_text);
        let mut elsewhere = with(&one);
        elsewhere["unsafe_metadata"] = json!({ "theme": theme });
        elsewhere["last_sign_in_at"] = json!(seen);
        elsewhere["updated_at"] = json!(seen);
        prop_assert_eq!(hash(&with(&one)), hash(&elsewhere));
    }

    #[test]
    fn y4_canonical_json_stays_as_it_is(json in json_value()) {
        let canonical = canonical_text(&json.to_string());
        prop_assert_eq!(&canonical_text(&canonical), &canonical);
        prop_assert_eq!(serde_json::from_str::<Json>(&canonical).unwrap(), json);
    }
}

#[test]
fn y4_values_of_different_columns_do_not_run_into_each_other() {
    let record = |first: &str, last: &str| {
        let mut jane = user("user_1", first, T);
        jane["last_name"] = json!(last);
        Record::read(Kind::User, &jane.to_string()).unwrap()
    };
    assert_ne!(record("ab", "c").hash, record("a", "bc").hash);
    assert_eq!(record("a", "b").value("last_name"), Some(&Value::Text(Some("b".to_owned()))));
}
